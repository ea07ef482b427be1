"""Format-preserving encryption, ours beside libffx, on one core: the run that alternates them, and the targets."""

from __future__ import annotations

import datetime
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.alternate import Contender, Worker, WorkerError, alternating, elements_for, pin, ratio, running
from benchmarks.report import CAUTION, spread, table, target
from protocols.errors import ParameterError

HERE = Path(__file__).parent
OPERATIONS = {
    "encrypt_mobile": "encrypt, 11 digits",
    "encrypt_card": "encrypt, 16 digits",
    "encrypt_code": "encrypt, 12 of 36 letters and digits",
    "encrypt_long": "encrypt, 24 digits",
    "decrypt_mobile": "decrypt, 11 digits",
    "list_mobile": "encrypt, 11 digits, list of str in and out on both sides",
}
OURS = Contender(
    name="ours", script=HERE / "worker_ours.py", is_peer=False, least=1 << 13, differs="whole column, Arrow in and out"
)
LIBFFX = Contender(name="libffx", script=HERE / "worker_libffx.py", differs="one call a text, list of str in and out")
MIN_PER_SECOND, MIN_RATIO = 1_000_000, 20
OnProgress = Callable[[str, int, int], None]


def run(*, peers: bool, quick: bool, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Measure, and return one document with tables to print. Raises ParameterError where processes cannot be pinned."""
    if not hasattr(os, "sched_setaffinity"):
        raise ParameterError("this system cannot pin a process to cores, which comparing on one core needs: use Linux")
    rounds, round_s = (3, 0.05) if quick else (7, 0.2)
    missing = [] if peers else [{"name": LIBFFX.name, "why": "not asked for: use --peers"}]
    host = machine.describe()
    python = Path(sys.executable)
    results = []
    with running([OURS, *([LIBFFX] if peers else [])], {False: python, True: python}) as workers:
        ready = {}
        for name, worker in workers.items():
            try:
                worker.ask(do="prepare", key_bits=128)
                pin(worker, 1)
                ready[name] = worker
            except WorkerError as error:
                missing.append({"name": name, "why": f'{error}; install it: pip install -e ".[test]"'})
        for done, operation in enumerate(OPERATIONS):
            if on_progress:
                on_progress("FF1", done, len(OPERATIONS))
            results.append(_measured(ready, operation, rounds, round_s))
    return {
        "suite": "desensitise",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": host,
        "peer_versions": machine.versions(python, ["libffx", "cryptography", "pyarrow"]),
        "rounds": rounds,
        "missing": missing,
        "results": results,
        "engines": [],
        "tables": [_table(results)],
        "targets": judge(results),
    }


def _measured(workers: dict[str, Worker], operation: str, rounds: int, round_s: float) -> dict[str, Any]:
    able = {worker: (operation, elements_for(worker, operation, round_s, most=1 << 20)) for worker in workers.values()}
    seconds = {name: found for (name, _), found in alternating(able, (1,), rounds).items()}
    row: dict[str, Any] = {"operation": operation, "elements": {worker.contender.name: n for worker, (_, n) in able.items()}}
    row["microseconds"] = {name: statistics.median(found) * 1e6 for name, found in seconds.items()}
    row["against"] = ratio(seconds["ours"], seconds["libffx"]) if len(seconds) == 2 else None
    return row


def judge(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the two targets with what was measured, and `met`: True, False, or None where the peer is missing."""
    first = next(row for row in results if row["operation"] == "encrypt_mobile")
    speed = 1e6 / first["microseconds"]["ours"]
    return [
        target(
            "values a second, encrypt, 11 digits, one core",
            MIN_PER_SECOND,
            dict.fromkeys(("ratio", "lowest", "highest"), speed),
        ),
        target("encrypt, 11 digits, one core, against libffx", MIN_RATIO, first["against"]),
    ]


def _table(results: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for row in results:
        times = row["microseconds"]
        peer = f"{times['libffx']:.3g}" if "libffx" in times else ""
        ours = (f"{times['ours']:.3g}", f"{1 / times['ours']:.3g}")
        rows.append([OPERATIONS[row["operation"]], *ours, peer, spread(row["against"])])
    headers = ["operation", "ours, µs", "ours, 10^6 a second", "libffx, µs", "× libffx"]
    return table(f"FF1 (NIST SP 800-38G), AES-128, one core, a value; {CAUTION}", headers, rows)
