"""A provider's worker inside this process: the same request, the same code, the same frames, without starting a process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from protocols.errors import Cancelled
from sandbox.sources import source as source_module
from sandbox.sources import worker
from sandbox.sources.faults import SourceFault
from sandbox.sources.pipe import BATCH, DONE, FAULT, HEADER, NEXT, TABLE, Fault, Request
from sandbox.sources.process import Reply


def run_worker(request: Request, *, data: pa.Table | None, what: str, is_cancelled: Callable[[], bool] | None = None) -> Reply:
    """Stands for `sandbox.sources.process.run_worker`; faults and tables pass through the same bytes."""
    if is_cancelled is not None and is_cancelled():
        raise Cancelled(f"{what}: reading was stopped")
    pipe, sink = io.BytesIO(request.to_bytes()), io.BytesIO()
    received = Request.read(pipe)
    try:
        found = worker.answer(received, _stream(data), sink)
        worker._send(sink, DONE, json.dumps(found).encode())
    except Fault as fault:
        worker._send(sink, FAULT, json.dumps({"code": fault.code, "places": fault.places}).encode())
    return (yield from _read(sink.getvalue(), what))


def _stream(data: pa.Table | None) -> io.BytesIO:
    stream = io.BytesIO()
    if data is not None:
        with pa.ipc.new_stream(stream, data.schema) as writer:
            writer.write_table(data, max_chunksize=1 << 16)
    stream.seek(0)
    return stream


def _read(frames: bytes, what: str) -> Reply:
    found: dict[str, Any] = {}
    at, statement, stream = 0, 0, b""
    while at < len(frames):
        tag, length = HEADER.unpack_from(frames, at)
        payload = frames[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length
        if tag == TABLE:
            stream += payload
        elif tag == BATCH:
            (batch,) = pa.ipc.open_stream(stream)
            stream = b""
            yield statement, batch
        elif tag == NEXT:
            statement += 1
        elif tag == FAULT:
            fault = json.loads(payload)
            raise SourceFault(fault["code"], what, fault.get("places"))
        elif tag == DONE:
            found = json.loads(payload)
    return found


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read all sources in this process for the length of a test."""
    monkeypatch.setattr(source_module, "run_worker", run_worker)
