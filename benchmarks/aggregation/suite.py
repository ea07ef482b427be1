"""One party's work in a sum over 1,000 beside the keystream bounds and Flower's SecAgg+, in turn; the operator's work."""

from __future__ import annotations

import datetime
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alternate import Contender, Worker, WorkerError, alternating, cores, prepared, ratio, running
from benchmarks.peers import absent, interpreter
from benchmarks.report import CAUTION, contenders, spread, table, target
from protocols.errors import ParameterError

HERE = Path(__file__).parent
OPERATIONS = {
    "mask": "a vector under the masks of 48 neighbours, its own and the gate's (Flower: no gate)",
    "client": "everything a party does in a round, 764 signatures to check included (Flower: nothing is signed)",
    "framed": "the same with encoding, decoding and a hashed transcript of all frames (Flower: as above)",
    "unmask_100": "the operator takes the masks of 100 parties away, 10 of them dropped",
    "unmask_1000": "the operator takes the masks of 1,000 parties away, 100 of them dropped",
}
ELEMENTS = 1_000_000
OURS = (
    Contender(
        name="native",
        script=HERE / "worker_ours.py",
        environment={"SANDBOX_ENGINE": "auto"},
        is_peer=False,
        differs="masks by ChaCha20, in C++ on AVX-512F; 256-bit seeds; ring 2^32; messages as objects, not frames",
    ),
    Contender(
        name="native AES",
        script=HERE / "worker_ours.py",
        arguments=("aes256ctr",),
        environment={"SANDBOX_ENGINE": "auto"},
        is_peer=False,
        differs="the same, masks by AES-256-CTR, in C++ on AVX-512F with VAES",
    ),
    Contender(
        name="portable",
        script=HERE / "worker_ours.py",
        environment={"SANDBOX_ENGINE": "portable"},
        is_peer=False,
        differs="no C++: ChaCha20 of cryptography (OpenSSL) added by numpy; signatures and agreements one by one",
    ),
    Contender(
        name="keystream bound",
        script=HERE / "worker_bound.py",
        is_peer=False,
        differs="50 ChaCha20 keystreams of cryptography, added as uint32 in cache-sized tiles; nothing else",
    ),
    Contender(
        name="AES bound",
        script=HERE / "worker_bound.py",
        arguments=("aes256ctr",),
        is_peer=False,
        differs="the same with AES-256-CTR of cryptography",
    ),
)
PEERS = (
    Contender(
        name="Flower SecAgg+",
        script=HERE / "worker_flwr.py",
        differs="masks from MT19937 seeded with 32 bits, int64 elements; quantises floats; P-384 key agreement; no signatures",
    ),
)
# Of ours, those whose times are compared with everyone's.
JUDGED = ("native", "native AES", "portable")
TARGETS = (
    ("mask", "native", "keystream bound", 0.7),
    ("mask", "native AES", "AES bound", 0.7),
    ("mask", "portable", "keystream bound", 0.7),
    ("client", "native", "keystream bound", 0.7),
    ("client", "native AES", "AES bound", 0.7),
    ("mask", "native", "Flower SecAgg+", 20.0),
    ("mask", "native AES", "Flower SecAgg+", 20.0),
    ("client", "native", "Flower SecAgg+", 20.0),
    ("client", "native AES", "Flower SecAgg+", 20.0),
)
OnProgress = Callable[[str, int, int], None]


def run(*, peers: bool, quick: bool, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Measure, and return one document with tables to print. quick: no operator of 1,000 parties, three rounds.

    Raises ParameterError where processes cannot be pinned.
    """
    if not hasattr(os, "sched_setaffinity") or not cores(1):
        raise ParameterError("this system cannot pin a process to cores, which comparing on one core needs: use Linux")
    operations = [name for name in OPERATIONS if not (quick and name == "unmask_1000")]
    host = machine.describe()
    missing = absent([each.name for each in PEERS], asked=peers)
    wanted = OURS if missing else (*OURS, *PEERS)
    results: list[dict[str, Any]] = []
    with running(wanted, {False: Path(sys.executable), True: interpreter()}) as workers:
        ready, engines = prepared(workers, 256, missing)
        for done, operation in enumerate(operations):
            if on_progress:
                on_progress("aggregation", done, len(operations))
            rounds = 3 if quick or operation.startswith("unmask") else 7
            results.append(_measured(ready, operation, rounds))
        if on_progress:
            on_progress("aggregation", len(operations), len(operations))
    return {
        "suite": "aggregation",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": host,
        "peer_versions": machine.versions(interpreter(), ["flwr", "numpy"]) if peers else {},
        "elements": ELEMENTS,
        "missing": missing,
        "results": results,
        "engines": engines,
        "tables": [
            contenders((each.name, each.differs) for each in wanted),
            times(results, [each.name for each in wanted]),
            ratios(results, [each.name for each in wanted]),
        ],
        "targets": judge(results),
    }


def _measured(workers: list[Worker], operation: str, rounds: int) -> dict[str, Any]:
    able = {}
    for worker in workers:
        try:
            worker.seconds(operation, ELEMENTS)
            able[worker] = (operation, ELEMENTS)
        except WorkerError:
            continue  # OPERATIONS says who has which
    seconds = {name: found for (name, _), found in alternating(able, (1,), rounds).items()}
    milliseconds = {name: statistics.median(found) * ELEMENTS * 1e3 for name, found in seconds.items()}
    against = {
        ours: {name: ratio(seconds[ours], found) for name, found in seconds.items()} for ours in JUDGED if ours in seconds
    }
    return {"operation": operation, "milliseconds": milliseconds, "against": against}


def judge(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with what was measured, and `met`: True, False, or None where a side is missing."""
    found = {row["operation"]: row["against"] for row in results}
    return [
        target(f"{operation}, {ours}, one core, against {peer}", factor, found[operation].get(ours, {}).get(peer))
        for operation, ours, peer, factor in TARGETS
    ]


def times(results: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Return the table of times."""
    rows = []
    for row in results:
        found = row["milliseconds"]
        rows.append([OPERATIONS[row["operation"]], *(f"{found[name]:.3g}" if name in found else "" for name in names)])
    return table(f"{ELEMENTS:,} elements, one core, ms; {CAUTION}", ["operation", *names], rows)


def ratios(results: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Return the table of others' times to ours."""
    rows = []
    for row in results:
        for ours, against in row["against"].items():
            rows.append([row["operation"], ours, *(spread(against.get(name)) if name != ours else "" for name in names)])
    title = "times of others to ours (lowest-highest over rounds)"
    return table(title, ["operation", "ours", *(f"× {name}" for name in names)], rows)
