"""Contenders in processes of their own, timed in turn, so that other load on the machine hits all of them alike."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Seconds = dict[tuple[str, int], list[float]]


class WorkerError(Exception):
    """A contender could not do what it was asked; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A library, and how to start its worker. least: fewest elements a call, so that its batches have a fair size."""

    name: str
    script: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    is_peer: bool = True
    uses_cores: bool = True
    least: int = 32
    differs: str = ""


class Worker:
    """One running contender."""

    def __init__(self, contender: Contender, interpreter: Path) -> None:
        self.contender = contender
        command = [str(interpreter), str(contender.script), *contender.arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **contender.environment},
        )

    def send(self, **command: Any) -> None:
        """Send a command without waiting for its answer. Raises WorkerError if the worker has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.contender.name}: its process ended; is the library installed?") from None

    def receive(self) -> dict[str, Any]:
        """Wait for one answer. Raises WorkerError with the worker's reason."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.contender.name}: its process ended; is the library installed?")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.contender.name}: {answer['error']}")
        return answer

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self.send(**command)
        return self.receive()

    def seconds(self, operation: str, elements: int) -> float:
        """Return how long one call takes; the worker has made its inputs and called once before."""
        return float(self.ask(do="time", operation=operation, elements=elements)["seconds"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def running(contenders: Sequence[Contender], interpreters: dict[bool, Path]) -> Iterator[dict[str, Worker]]:
    """Start one worker a contender; interpreters: whether it is a peer -> its Python."""
    workers: dict[str, Worker] = {}
    try:
        for contender in contenders:
            workers[contender.name] = Worker(contender, interpreters[contender.is_peer])
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def prepared(workers: dict[str, Worker], key_bits: int, missing: list[dict[str, str]]) -> tuple[list[Worker], list[str]]:
    """Prepare every worker on one core; return those that are ready, and what they say of their engines.

    The others are named in `missing`.
    """
    ready, engines = [], []
    for name, worker in workers.items():
        try:
            facts = worker.ask(do="prepare", key_bits=key_bits)["facts"]
            engines += [facts["engine"]] if "engine" in facts else []
            pin(worker, 1)
            ready.append(worker)
        except WorkerError as error:
            missing.append({"name": name, "why": str(error)})
    return ready, engines


def cores(count: int) -> list[int] | None:
    """Return the last `count` cores that this process may use; None if there are fewer."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-count:] if len(usable) >= count else None


def pin(worker: Worker, count: int) -> None:
    """Bind a worker to `count` cores."""
    worker.ask(do="cores", cpus=cores(count))


def elements_for(worker: Worker, operation: str, round_s: float, *, most: int = 1 << 16) -> int:
    """Return how many elements fill a round of about `round_s` seconds, at least the contender's fewest."""
    least = worker.contender.least
    per_element = worker.seconds(operation, least) / least
    elements = min(int(round_s / per_element), most)
    return max(least, elements - elements % least)


def alternating(workers: dict[Worker, tuple[str, int]], counts: Sequence[int], rounds: int) -> Seconds:
    """Return seconds per element, one figure a round, by (contender, cores): each round asks every worker once per count.

    workers: each with its operation and its number of elements.
    """
    found: Seconds = {}
    for _ in range(rounds):
        for worker, (operation, size) in workers.items():
            for count in counts if worker.contender.uses_cores else (1,):
                if len(counts) > 1:
                    pin(worker, count)
                found.setdefault((worker.contender.name, count), []).append(worker.seconds(operation, size) / size)
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return theirs / ours, round by round: the median and the extremes."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
