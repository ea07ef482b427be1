"""Blinding and two-party intersection: ours on both engines beside X25519 and openmined-psi, in turn, with targets."""

from __future__ import annotations

import datetime
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alternate import Contender, Worker, WorkerError, alternating, cores, elements_for, prepared, ratio, running
from benchmarks.peers import absent, interpreter
from benchmarks.report import CAUTION, contenders, spread, table, target
from protocols.errors import ParameterError

HERE = Path(__file__).parent
OPERATIONS = {
    "exchange": "one multiplication of a point, validated (X25519: one exchange)",
    "blind": "blinding: hash to the group, then multiply (X25519: one exchange)",
    "intersect": "intersection of two lists of equal length, both sides, a row of one list",
}
OURS = (
    Contender(
        name="native",
        script=HERE / "worker_ours.py",
        environment={"SANDBOX_ENGINE": "native"},
        is_peer=False,
        least=4096,
        differs="ristretto255; hashing to the group, validation and constant-time scalars included",
    ),
    Contender(
        name="portable",
        script=HERE / "worker_ours.py",
        environment={"SANDBOX_ENGINE": "portable"},
        is_peer=False,
        least=512,
        differs="the same through libsodium (rbcl)",
    ),
)
PEERS = (
    Contender(
        name="X25519",
        script=HERE / "worker_x25519.py",
        least=512,
        differs="cryptography (OpenSSL): one exchange a key, nothing is hashed to the curve, points loaded beforehand",
    ),
    Contender(
        name="openmined-psi",
        script=HERE / "worker_openmined.py",
        least=512,
        differs="ECDH over P-256, C++; DataStructure.RAW, intersection revealed to the client, messages through bytes",
    ),
)
MOST = 1 << 17
TARGETS = (("blind", "X25519", 2.5), ("intersect", "openmined-psi", 8.0))
OnProgress = Callable[[str, int, int], None]


def run(*, peers: bool, quick: bool, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Measure, and return one document with tables to print. Raises ParameterError where processes cannot be pinned."""
    if not hasattr(os, "sched_setaffinity") or not cores(1):
        raise ParameterError("this system cannot pin a process to cores, which comparing on one core needs: use Linux")
    rounds, round_s = (3, 0.05) if quick else (7, 0.3)
    host = machine.describe()
    missing = absent([each.name for each in PEERS], asked=peers)
    wanted = OURS if missing else (*OURS, *PEERS)
    results: list[dict[str, Any]] = []
    with running(wanted, {False: Path(sys.executable), True: interpreter()}) as workers:
        ready, engines = prepared(workers, 255, missing)
        for done, operation in enumerate(OPERATIONS):
            if on_progress:
                on_progress("psi", done, len(OPERATIONS))
            results.append(_measured(ready, operation, rounds, round_s))
        if on_progress:
            on_progress("psi", len(OPERATIONS), len(OPERATIONS))
    return {
        "suite": "psi",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": host,
        "peer_versions": machine.versions(interpreter(), ["cryptography", "openmined-psi"]) if peers else {},
        "rounds": rounds,
        "missing": missing,
        "results": results,
        "engines": engines,
        "tables": [contenders((each.name, each.differs) for each in wanted), _times(results, [each.name for each in wanted])],
        "targets": judge(results),
    }


def _measured(workers: list[Worker], operation: str, rounds: int, round_s: float) -> dict[str, Any]:
    able = {}
    for worker in workers:
        try:
            able[worker] = (operation, elements_for(worker, operation, round_s, most=MOST))
        except WorkerError:
            continue  # OPERATIONS says who has which
    seconds = {name: found for (name, _), found in alternating(able, (1,), rounds).items()}
    return {
        "operation": operation,
        "elements": {worker.contender.name: size for worker, (_, size) in able.items()},
        "microseconds": {name: statistics.median(found) * 1e6 for name, found in seconds.items()},
        "against": {name: ratio(seconds["native"], found) for name, found in seconds.items() if "native" in seconds},
    }


def judge(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with what was measured, and `met`: True, False, or None where a side is missing."""
    found = {row["operation"]: row["against"] for row in results}
    return [
        target(f"{operation}, native, one core, against {peer}", factor, found[operation].get(peer))
        for operation, peer, factor in TARGETS
    ]


def _times(results: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    rows = []
    for row in results:
        times = [f"{row['microseconds'][name]:.3g}" if name in row["microseconds"] else "" for name in names]
        against = [spread(row["against"].get(name)) for name in names[1:]]
        rows.append([OPERATIONS[row["operation"]], *times, *against])
    headers = ["operation", *(f"{name}, µs" for name in names), *(f"× {name}" for name in names[1:])]
    return table(f"one core, µs a row, and times of others to native's (lowest-highest over rounds); {CAUTION}", headers, rows)
