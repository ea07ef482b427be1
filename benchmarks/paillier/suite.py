"""Paillier: operations, contenders, the run that alternates them, and the targets.

A figure means something only beside the others of the same run: ratios are taken round by round.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.alternate import Contender, Worker, WorkerError, alternating, cores, elements_for, pin, ratio, running
from benchmarks.paillier.tables import tables
from benchmarks.paillier.targets import judge
from benchmarks.peers import absent, interpreter
from protocols.errors import ParameterError
from protocols.primitives.engine import native_unavailable

HERE = Path(__file__).parent
KEY_BITS = (1024, 2048, 3072)
DOT_TERMS = 100_000
PACKAGES = ["phe", "gmpy2", "sf-heu", "numpy", "pypaillier"]

OPERATIONS = {
    "encrypt": "encrypt, 32-bit values",
    "encrypt_owner": "encrypt by the key's owner (peers: their encryption)",
    "decrypt": "decrypt",
    "add": "ciphertext + ciphertext",
    "sum": "sum, per row",
    "multiply": "ciphertext × 14-bit plain",
    "dot": "dot product, 32-bit weights, per term (peers: multiply, then add)",
    "rerandomise": "re-randomise",
}
_LEAST = {"native": 1024, "portable": 128}
_NOISE_OPERATIONS = ("encrypt", "encrypt_owner", "decrypt", "rerandomise")
OnProgress = Callable[[str, int, int], None]


class Schedule(NamedTuple):
    """How one operation is timed: on how many cores, how often, how long about."""

    counts: tuple[int, ...]
    rounds: int
    round_s: float


def _ours(engine: str, noise: str) -> Contender:
    random = "32 bytes of the OS a 256 rows, expanded by SHAKE-256"
    return Contender(
        name=f"{engine} {noise}",
        script=HERE / "worker_ours.py",
        arguments=(noise,),
        environment={"SANDBOX_ENGINE": engine},
        is_peer=False,
        least=_LEAST[engine] // (4 if noise == "full" else 1),
        differs=f"Paillier, {noise} noise; {random}; int64 arrays; decryption on a fixed schedule",
    )


OURS = (
    _ours("native", "djn"),
    _ours("native", "subgroup"),
    _ours("native", "full"),
    _ours("portable", "djn"),
    _ours("portable", "full"),
)
PEERS = (
    Contender(
        name="phe",
        script=HERE / "worker_phe.py",
        uses_cores=False,
        differs="Paillier, full noise, no tables; SystemRandom; lists of Python int, one object a number; one thread",
    ),
    Contender(
        name="HEU ZPaillier",
        script=HERE / "worker_heu.py",
        arguments=("ZPaillier",),
        differs="Paillier, short exponents and tables as djn; its own generator; int64 arrays",
    ),
    Contender(
        name="HEU OU",
        script=HERE / "worker_heu.py",
        arguments=("OU",),
        differs="another scheme: Okamoto-Uchiyama, n = p²q, plaintexts of a third, ciphertexts of half the bits; int64 arrays",
    ),
    Contender(
        name="pypaillier",
        script=HERE / "worker_pypaillier.py",
        differs="Paillier, short exponents as djn, safe primes, at least 2048 bits; its own generator; lists of int and bytes",
    ),
)


def run(*, peers: bool, quick: bool, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Measure, and return one document: machine, contenders, missing, results, targets.

    quick: 2048 bits on one core with short rounds. Without it: three sizes, one core and two.
    Raises ParameterError where processes cannot be pinned.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise ParameterError("this system cannot pin a process to cores, which comparing on one core needs: use Linux")
    sizes = (2048,) if quick else KEY_BITS
    counts = tuple(count for count in ((1,) if quick else (1, 2)) if cores(count))
    schedule = Schedule(counts=counts, rounds=3, round_s=0.05) if quick else Schedule(counts=counts, rounds=5, round_s=0.15)
    wanted, missing = _wanted(peers)
    host = machine.describe()
    contenders: dict[str, dict[str, Any]] = {
        each.name: {"is_peer": each.is_peer, "differs": each.differs, "keys": {}} for each in wanted
    }
    results: list[dict[str, Any]] = []
    for key_bits in sizes:
        with running(wanted, {False: Path(sys.executable), True: interpreter()}) as workers:
            ready = list(_prepared(workers, key_bits, contenders, missing))
            for done, operation in enumerate(OPERATIONS):
                if on_progress:
                    on_progress(f"{key_bits} bits", done, len(OPERATIONS))
                results += _measured(ready, operation, key_bits, schedule, missing)
            if on_progress:
                on_progress(f"{key_bits} bits", len(OPERATIONS), len(OPERATIONS))
    return {
        "suite": "paillier",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": host,
        "peer_versions": machine.versions(interpreter(), PACKAGES) if peers else {},
        "rounds": schedule.rounds,
        "operations": OPERATIONS,
        "contenders": contenders,
        "missing": missing,
        "results": results,
        "engines": [key["engine"] for item in contenders.values() for key in item["keys"].values() if "engine" in key],
        "tables": tables(OPERATIONS, contenders, results),
        "targets": judge(results, contenders),
    }


def _wanted(peers: bool) -> tuple[list[Contender], list[dict[str, str]]]:
    """Return who takes part, and who cannot, with what to do about it."""
    wanted, missing = list(OURS), []
    reason = native_unavailable()
    if reason is not None:
        wanted = [each for each in wanted if not each.name.startswith("native")]
        missing.append({"name": "native engine", "why": reason})
    gone = absent([each.name for each in PEERS], asked=peers)
    missing += gone
    if not gone:
        wanted += PEERS
    return wanted, missing


def _prepared(
    workers: dict[str, Worker], key_bits: int, contenders: dict[str, dict[str, Any]], missing: list[dict[str, str]]
) -> Iterator[Worker]:
    """Yield the workers that have keys of this size; the others are named in `missing`."""
    for worker in workers.values():
        with contextlib.suppress(WorkerError):  # receiving tells the same
            worker.send(do="prepare", key_bits=key_bits)
    for name, worker in workers.items():
        try:
            contenders[name]["keys"][str(key_bits)] = worker.receive()["facts"]
            pin(worker, 1)
        except WorkerError as error:
            missing.append({"name": f"{name}, {key_bits} bits", "why": str(error)})
        else:
            yield worker


def _measured(
    workers: list[Worker], operation: str, key_bits: int, schedule: Schedule, missing: list[dict[str, str]]
) -> list[dict[str, Any]]:
    """Time one operation of all who have it, in turn, and return one row for each of ours on each number of cores."""
    able: dict[Worker, tuple[str, int]] = {}
    for worker in workers:
        name = worker.contender.name
        if not worker.contender.is_peer and not name.endswith("djn") and operation not in _NOISE_OPERATIONS:
            continue
        asked = "encrypt" if worker.contender.is_peer and operation == "encrypt_owner" else operation
        try:
            pin(worker, 1)
            fixed = operation == "dot" and not worker.contender.is_peer
            able[worker] = (asked, DOT_TERMS if fixed else elements_for(worker, asked, schedule.round_s))
        except WorkerError as error:
            missing.append({"name": f"{name}, {operation}, {key_bits} bits", "why": str(error)})
    seconds = alternating(able, schedule.counts, schedule.rounds)
    elements = {worker.contender.name: size for worker, (_, size) in able.items()}
    rows = []
    for (name, count), ours in seconds.items():
        is_peer = any(worker.contender.is_peer for worker in able if worker.contender.name == name)
        rows.append(
            {
                "key_bits": key_bits,
                "cores": count,
                "operation": operation,
                "contender": name,
                "is_peer": is_peer,
                "elements": elements[name],
                "microseconds": statistics.median(ours) * 1e6,
                "against": {} if is_peer else _against(name, count, ours, seconds),
            }
        )
    return rows


def _against(name: str, count: int, ours: list[float], seconds: dict[tuple[str, int], list[float]]) -> dict[str, Any]:
    """Return ratios to every other contender on as many cores (or on one, where it has no threads), and to itself on one."""
    found = {}
    for (other, other_count), theirs in seconds.items():
        has_threads = (other, count) in seconds
        if other != name and (other_count == count or not has_threads):
            found[other] = ratio(ours, theirs)
    if count > 1:
        found["one core"] = ratio(ours, seconds[name, 1])
    return found
