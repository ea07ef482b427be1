"""Running one worker: start, feed, wait, and make sure that it is gone, whatever happens. Node side."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from protocols.errors import Cancelled
from sandbox.sources.faults import SourceFault
from sandbox.sources.pipe import BATCH, CHUNK_BYTES, DONE, FAULT, HEADER, NEXT, TABLE, Fault, Request

ASK_EVERY_S = 0.05
ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-P", "-s", "-m", "sandbox.sources.worker")


Reply = Generator[tuple[int, pa.RecordBatch], None, dict[str, Any]]
"""(number of the statement from 0, its next batch) as they come; in the end what an inspection found."""


def run_worker(request: Request, *, data: pa.Table | None, what: str, is_cancelled: Callable[[], bool] | None = None) -> Reply:
    """Yield a fresh worker's reply to one request; `data` goes to it as an Arrow stream. Every statement has a batch.

    What was yielded counts only if the end is reached: a fault may follow. is_cancelled is asked about twenty times a second
    from this thread. Raises SourceFault (what: the source's name for people), Cancelled; the worker is killed and reaped on
    every way out, an interrupt and a caller that stops listening included.
    """
    worker = _start(what)
    feeder = threading.Thread(target=_feed, args=(worker.stdin, request, data), name="sandbox-source-feed", daemon=True)
    try:
        feeder.start()
        return (yield from _Receiver(request, what).receive(worker.stdout, is_cancelled))
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
        self._statement = 0
        self._found: dict[str, Any] | None = None

    def receive(self, stdout: IO[bytes] | None, is_cancelled: Callable[[], bool] | None) -> Reply:
        if stdout is None:
            raise SourceFault("start", self._what)
        deadline = time.monotonic() + self._limits.timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while self._found is None:
                if is_cancelled is not None and is_cancelled():
                    raise Cancelled(f"{self._what}: reading was stopped")
                if time.monotonic() > deadline:
                    raise SourceFault("timeout", self._what, {"limit_s": f"{self._limits.timeout_s:g}"})
                if selector.select(ASK_EVERY_S):
                    data = os.read(stdout.fileno(), CHUNK_BYTES)
                    if not data:
                        raise SourceFault("lost", self._what)
                    yield from self._take(data)
        return self._found

    def _take(self, data: bytes) -> Iterator[tuple[int, pa.RecordBatch]]:
        self._received += len(data)
        if self._received > self._limits.result_bytes:
            raise SourceFault("result-size", self._what, {"limit_bytes": self._limits.result_bytes})
        self._held += data
        at = 0
        whole: list[tuple[int, pa.RecordBatch]] = []
        while self._found is None and len(self._held) - at >= HEADER.size:
            tag, length = HEADER.unpack_from(self._held, at)
            if len(self._held) - at < HEADER.size + length:
                break
            batch = self._frame(tag, self._held[at + HEADER.size : at + HEADER.size + length])
            whole += [] if batch is None else [(self._statement, batch)]
            at += HEADER.size + length
        del self._held[:at]
        yield from whole

    def _frame(self, tag: bytes, payload: bytearray) -> pa.RecordBatch | None:
        if tag == TABLE:
            self._current += payload
        elif tag == BATCH:
            stream, self._current = self._current, bytearray()
            return self._batch(stream)
        elif tag == NEXT:
            self._statement += 1
        elif tag == DONE:
            self._found = json.loads(payload)
        elif tag == FAULT:
            fault = json.loads(payload)
            raise SourceFault.of(Fault(fault["code"], **fault["places"]), self._what)
        else:
            raise SourceFault("lost", self._what)
        return None

    def _batch(self, stream: bytearray) -> pa.RecordBatch:
        try:
            (batch,) = pa.ipc.open_stream(pa.py_buffer(stream))
            batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError):
            pass
        else:
            return batch
        raise SourceFault("lost", self._what)
