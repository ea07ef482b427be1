"""A network in a process of its own, which ends as by kill -9 at a chosen operation, or whenever somebody kills it."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from support import agencies, inprocess_worker, released

from sandbox import embedded
from sandbox.audit import bundle
from sandbox.ledger import ledger
from sandbox.node import computation, gate, joined, logbook, manager, provider
from sandbox.sources import source as source_module

FORKS = multiprocessing.get_context("forkserver")
CALLS = 1
FALLEN = 41
LOADED = ["sandbox.embedded", "sandbox.audit.reconcile", "sandbox.sources.worker", "pandas", "rbcl", "pyarrow.csv"]


class Countdown:
    """Counts every operation that makes something durable, and ends the process before the chosen one.

    Operations: fsync, rename, unlink, the commit of a database, a frame. fatal: the number, from 1 on; 0 for none.
    """

    def __init__(self, fatal: int, report: Callable[[str], None]) -> None:
        self.fatal = fatal
        self.done = 0
        self._report = report
        self._wrap(os, "fsync")
        for name in ("replace", "rename", "unlink"):
            self._wrap(pathlib.Path, name)
        sa.event.listen(sa.Engine, "commit", lambda connection: self.step("commit"))

    def step(self, name: str) -> None:
        self.done += 1
        if self.fatal:
            if self.done == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        else:
            self._report(name)

    def _wrap(self, place: Any, name: str) -> None:
        original = getattr(place, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.step(name)
            return original(*arguments, **options)

        setattr(place, name, counted)


@dataclasses.dataclass(frozen=True)
class Point:
    """A step of a run at which to end: before or after the `nth` call of a function, counted from the run's begin."""

    place: Any
    name: str
    after: bool = False
    nth: int = 1

    def arm(self) -> None:
        original = getattr(self.place, self.name)
        calls = itertools.count(1)

        def fatal(*arguments: Any, **options: Any) -> Any:
            number = next(calls)
            if number == self.nth and not self.after:
                os._exit(FALLEN)
            result = original(*arguments, **options)
            if number == self.nth:
                os._exit(FALLEN)
            return result

        setattr(self.place, self.name, fatal)


POINTS = {
    "before the use is counted": Point(manager.ManagerNode, "may_run", after=True),
    "use counted, not committed": Point(manager, "_enqueue"),
    "use counted, not in the log": Point(logbook.Logbook, "deliver"),
    "in the log, not marked as delivered": Point(ledger.Ledger, "_mark_delivered"),
    "authorised": Point(manager.ManagerNode, "begin", after=True),
    "before a provider contributes": Point(provider.ProviderNode, "contribute"),
    "table committed to, seed not kept": Point(provider.ProviderNode, "_keep_seed"),
    "between two providers": Point(provider.ProviderNode, "contribute", after=True),
    "before the session is in the log": Point(computation, "_open_session"),
    "before the first frame": Point(joined, "run_session"),
    "decrypted, not judged": Point(computation, "publish"),
    "judged, nothing written": Point(gate, "_keep"),
    "written, not committed": Point(gate, "_keep", after=True),
    "committed, not in the log (release)": Point(logbook.Logbook, "deliver", nth=2),
    "in the log, not marked (release)": Point(ledger.Ledger, "_mark_delivered", nth=2),
    "before the bundle": Point(gate, "write_evidence"),
    "bundle half written": Point(bundle, "_write", after=True),
    "bundle not in its place": Point(bundle, "_sync"),
    "bundle written": Point(gate, "write_evidence", after=True),
}
FIRST_WITH_EFFECT = "committed, not in the log (release)"


def released_network(path: Path) -> embedded.Embedded:
    return released.network(path, released.people())


def live(path: Path, fatal: int, point: str, rounds: int, line: Connection, *, kind: str = "join") -> None:
    """Open the network, approve a question and run it, telling over `line` what was reached."""
    source_module.run_worker = inprocess_worker.run_worker  # type: ignore[assignment]
    steps: list[str] = []
    countdown = Countdown(fatal, steps.append)
    line.send("begun")
    makes, asks = (agencies.make, agencies.ask) if kind == "join" else (released_network, released.ask)
    with makes(path) as network:
        line.send("opened")
        explanation = asks(network)
        grant = network.approve(explanation, calls=CALLS)
        line.send("approved")
        if point:
            POINTS[point].arm()
        for _ in range(rounds):
            network.run(explanation, grant=grant, on_frame=lambda *_: countdown.step("frame"))
            line.send("answered")
    line.send(steps)


def start(
    path: Path, *, fatal: int = 0, point: str = "", rounds: int = 1, kind: str = "join"
) -> tuple[BaseProcess, Connection]:
    """Start such a process. Its modules are loaded once, by the server that all of them are forked from."""
    FORKS.set_forkserver_preload(LOADED)
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=live, args=(path, fatal, point, rounds, theirs), kwargs={"kind": kind}, daemon=True)
    process.start()
    theirs.close()
    return process, ours


def wait_for(line: Connection, mark: str) -> Any:
    """Return the first message that is `mark`, or the list of steps at the end. Raises EOFError if the process has ended."""
    while True:
        message = line.recv()
        if message == mark or isinstance(message, list):
            return message
