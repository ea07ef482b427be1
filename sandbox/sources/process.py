"""Running one worker: start, feed, wait, and make sure that it is gone, whatever happens. Node side."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from protocols.errors import Cancelled
from sandbox.sources.faults import SourceFault
from sandbox.sources.pipe import CHUNK_BYTES, DONE, FAULT, HEADER, NEXT, TABLE, Fault, Request

ASK_EVERY_S = 0.05
ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-P", "-s", "-m", "sandbox.sources.worker")


@dataclass(slots=True)
class Reply:
    """What a worker sent: one table per statement, and what an inspection found."""

    tables: list[pa.Table] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)


def run_worker(request: Request, *, data: pa.Table | None, what: str, is_cancelled: Callable[[], bool] | None = None) -> Reply:
    """Return a fresh worker's reply to one request; `data` goes to it as an Arrow stream.

    is_cancelled is asked about twenty times a second from this thread. Raises SourceFault (what: the source's name for
    people), Cancelled; the worker is killed and reaped on every way out, an interrupt included.
    """
    worker = _start(what)
    feeder = threading.Thread(target=_feed, args=(worker.stdin, request, data), name="sandbox-source-feed", daemon=True)
    try:
        feeder.start()
        return _Receiver(request, what).receive(worker.stdout, is_cancelled)
    finally:
        worker.kill()
        worker.wait()
        feeder.join()
        if worker.stdout is not None:
            worker.stdout.close()


def _start(what: str) -> subprocess.Popen[bytes]:
    kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["PYTHONPATH"] = str(ROOT)
    environment["OMP_NUM_THREADS"] = "1"
    try:
        return subprocess.Popen(  # noqa: S603  (our own interpreter and module, no shell)
            [*COMMAND, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            bufsize=0,
        )
    except OSError:
        pass
    raise SourceFault("start", what)


def _feed(stdin: IO[bytes] | None, request: Request, data: pa.Table | None) -> None:
    if stdin is None:
        return
    try:
        with stdin:
            _write_all(stdin, request.to_bytes())
            if data is not None:
                sink = pa.PythonFile(_Unbuffered(stdin), mode="w")
                with pa.ipc.new_stream(sink, data.schema) as writer:
                    writer.write_table(data, max_chunksize=1 << 16)
    except OSError:
        return  # the worker ended first; what it said, or its silence, is the receiver's matter


def _write_all(stdin: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[stdin.write(view) :]


class _Unbuffered:
    """A pipe that takes every byte of a write."""

    def __init__(self, stdin: IO[bytes]) -> None:
        self._stdin = stdin
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        _write_all(self._stdin, view)
        return len(view)

    def flush(self) -> None:
        self._stdin.flush()

    def close(self) -> None:
        self.closed = True


class _Receiver:
    """The frames of one worker, taken apart as they come."""

    def __init__(self, request: Request, what: str) -> None:
        self._limits = request.limits
        self._what = what
        self._held = bytearray()
        self._current = bytearray()
        self._received = 0
        self._reply = Reply()
        self._done = False

    def receive(self, stdout: IO[bytes] | None, is_cancelled: Callable[[], bool] | None) -> Reply:
        if stdout is None:
            raise SourceFault("start", self._what)
        deadline = time.monotonic() + self._limits.timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not self._done:
                if is_cancelled is not None and is_cancelled():
                    raise Cancelled(f"{self._what}: reading was stopped")
                if time.monotonic() > deadline:
                    raise SourceFault("timeout", self._what, {"limit_s": f"{self._limits.timeout_s:g}"})
                if selector.select(ASK_EVERY_S):
                    data = os.read(stdout.fileno(), CHUNK_BYTES)
                    if not data:
                        raise SourceFault("lost", self._what)
                    self._take(data)
        return self._reply

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limits.result_bytes:
            raise SourceFault("result-size", self._what, {"limit_bytes": self._limits.result_bytes})
        self._held += data
        at = 0
        while not self._done and len(self._held) - at >= HEADER.size:
            tag, length = HEADER.unpack_from(self._held, at)
            if len(self._held) - at < HEADER.size + length:
                break
            self._frame(tag, self._held[at + HEADER.size : at + HEADER.size + length])
            at += HEADER.size + length
        del self._held[:at]

    def _frame(self, tag: bytes, payload: bytearray) -> None:
        if tag == TABLE:
            self._current += payload
        elif tag == NEXT:
            self._reply.tables.append(self._table(bytes(self._current)))
            self._current = bytearray()
        elif tag == DONE:
            self._reply.found = json.loads(payload)
            self._done = True
        elif tag == FAULT:
            fault = json.loads(payload)
            raise SourceFault.of(Fault(fault["code"], **fault["places"]), self._what)
        else:
            raise SourceFault("lost", self._what)

    def _table(self, stream: bytes) -> pa.Table:
        try:
            table = pa.ipc.open_stream(stream).read_all()
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError):
            pass
        else:
            return table
        raise SourceFault("lost", self._what)
