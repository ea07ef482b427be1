"""The encrypted join of two lists: rows a second by step, bytes on the wire, peak memory of each node, exactness."""

from __future__ import annotations

import datetime
import functools
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine, report
from benchmarks.join.network import run_processes
from benchmarks.join.tables import BOUND, CASES, DOMAIN, expected, is_unique, provider_rows, raw_table, released
from protocols import join, paillier
from protocols.errors import ParameterError
from protocols.primitives.engine import get_engine
from protocols.primitives.ristretto255 import get_group

PROVIDERS = ("left", "right")
MIN_KEYS = 10
MAX_PEAK_BYTES = 1 << 30
OnProgress = Callable[[str, int, int], None]


def run(*, peers: bool, quick: bool, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Join lists of 10^6 rows under a 3072-bit key (quick: 20,000 under 1,024 bits); return one document to print."""
    rows, key_bits = (20_000, 1024) if quick else (1_000_000, 3072)
    cases = ("plain", "repeating") if quick else ("plain",)
    return document([measure(case, rows, key_bits, "subgroup", on_progress=on_progress) for case in cases], peers)


def measure(
    case: str, rows: int, key_bits: int, noise: Any, *, threads: int = 2, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Run one case with every role in a process of its own, and compare with DuckDB."""
    if not hasattr(os, "fork") or not os.path.exists("/proc/self/status"):  # noqa: PTH110  (a system's feature, no file)
        raise ParameterError("this benchmark reads each process's peak memory from /proc: use Linux")
    make = paillier.generate_insecure_keypair if key_bits < 2048 else paillier.generate_keypair
    _, private_key = make(key_bits=key_bits, noise=noise)
    params = parameters(case, private_key.public_key)
    allow: dict[str, Any] = {"allow_insecure_key": key_bits < 2048}

    def provider(name: str, mapper: Any, scratch: Any, progress: Any) -> join.JoinProvider:
        own = provider_rows(raw_table(case, PROVIDERS.index(name), rows))
        return join.JoinProvider(name, params, own, mapper=mapper, scratch=scratch, progress=progress, **allow)

    def operator(mapper: Any, scratch: Any, progress: Any) -> join.JoinOperator:
        return join.JoinOperator("operator", params, mapper=mapper, workers=mapper, scratch=scratch, progress=progress, **allow)

    def gate(mapper: Any, _: Any, progress: Any) -> join.JoinGate:
        return join.JoinGate("gate", params, private_key, mapper=mapper, progress=progress, **allow)

    def summary(name: str, output: Any) -> Any:
        return released(output) if name == "gate" else None

    roles: dict[str, Any] = {name: functools.partial(provider, name) for name in PROVIDERS}
    began = time.monotonic()
    nodes = run_processes(roles | {"operator": operator, "gate": gate}, summary, threads, on_progress)
    seconds = time.monotonic() - began
    cells = expected(case, rows, MIN_KEYS)
    return {
        "case": case,
        "rows": rows,
        "key_bits": key_bits,
        "noise": noise,
        "threads": threads,
        "seconds": seconds,
        "cells": len(cells),
        "is_exact": nodes["gate"]["output"] == cells,
        "nodes": {name: {key: value for key, value in node.items() if key != "output"} for name, node in nodes.items()},
    }


def parameters(case: str, key: paillier.PublicKey) -> join.JoinParams:
    """Return the terms of a case: a measure with Σx and Σx² at each provider, groups at the left one."""
    measure_spec = join.MeasureSpec(bound=BOUND, sums=True, squares=True, signed=False, dominance=False)
    return join.JoinParams(
        plan="sha256:benchmark",
        key_domain=DOMAIN,
        providers=tuple(
            join.ProviderSpec(
                name=name,
                unique=is_unique(case, side),
                carries=side == 0,
                opens_multiplicity=not is_unique(case, side),
                measures=(measure_spec,),
            )
            for side, name in enumerate(PROVIDERS)
        ),
        operator="operator",
        gate="gate",
        gate_key=key.fingerprint,
        key_bits=key.key_bits,
        noise=key.noise,  # type: ignore[arg-type]
        min_keys=MIN_KEYS,
        min_pattern=MIN_KEYS if case not in ("repeating", "one-key") else 1,
        min_list=1,
    )


def document(results: list[dict[str, Any]], peers: bool) -> dict[str, Any]:
    """Return what `sandbox bench` prints and keeps."""
    return {
        "suite": "join",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "engines": [get_engine().description, get_group().description],
        "peer_versions": {},
        "missing": [{"name": "peers", "why": "no other library joins so; each result is checked against DuckDB"}]
        if peers
        else [],
        "results": results,
        "tables": [table for result in results for table in (_nodes_table(result), _steps_table(result))],
        "targets": [target for result in results for target in judge(result)],
    }


def judge(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what must hold: the exact result, and less than 1 GiB at every node."""
    what = f"{result['case']}, {result['rows']:,} rows, {result['key_bits']} bits"
    peak = max(node["peak_bytes"] for node in result["nodes"].values())
    room, exact = MAX_PEAK_BYTES / peak, float(result["is_exact"])
    return [
        report.target(f"{what}: cells as DuckDB has them", 1, _single(exact)),
        report.target(f"{what}: 1 GiB over the largest node's peak", 1, _single(room)),
    ]


def _single(value: float) -> dict[str, float]:
    return {"ratio": value, "lowest": value, "highest": value}


def _nodes_table(result: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, node in result["nodes"].items():
        sent = sum(node["sent_bytes"].values())
        rows.append(
            [
                name,
                f"{node['seconds']:.1f}",
                f"{node['prepare_s']:.1f}",
                f"{node['cpu_s']:.1f}",
                f"{node['peak_bytes'] / 2**20:.0f}",
                f"{node['mapped_bytes'] / 2**20:.0f}",
                f"{sent / 2**20:.0f}",
                f"{sent / result['rows']:.0f}",
            ]
        )
    verdict = "exact" if result["is_exact"] else "NOT EXACT"
    title = (
        f"{result['case']} ({CASES[result['case']]}): {result['rows']:,} × {result['rows']:,} rows, {result['key_bits']} bits, "
        f"{result['noise']}: {result['seconds']:.1f} s, {result['cells']} cells, {verdict}"
    )
    headers = ["node", "s", "prepare, s", "CPU, s", "peak, MiB", "mapped, MiB", "sent, MiB", "sent, bytes a row"]
    return report.table(title, headers, rows)


def _steps_table(result: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [step, f"{found['units']:,}", f"{found['seconds']:.1f}", f"{found['units'] / found['seconds']:,.0f}"]
        for node in result["nodes"].values()
        for step, found in node["steps"].items()
        if found["seconds"]
    ]
    return report.table("steps, beside each other on the same cores:", ["step", "units", "s", "units a second"], rows)
