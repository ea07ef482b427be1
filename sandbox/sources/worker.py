"""The worker: a fresh interpreter that opens one source, answers one request over the pipe, and ends.

Run as `python -m sandbox.sources.worker PARENT`, the parent's process number. It writes no file, opens no connection, and says
nothing but frames: whatever goes wrong leaves as a fault code with places. Its standard error is closed, since library texts
quote cell values.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from typing import BinaryIO

import duckdb
import pyarrow as pa

from sandbox.sources import reading
from sandbox.sources.pipe import (
    BATCH,
    BATCH_ROWS,
    CHUNK_BYTES,
    DONE,
    FAULT,
    HEADER,
    NEXT,
    TABLE,
    Fault,
    Limits,
    Parameter,
    Request,
)

ADDRESS_SPACE_SPARE = 4 << 30
OPEN_FILES = 64
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer the request on standard input. Ends with status 0 also after a fault, which is in the reply."""
    die_with(int(sys.argv[1]))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    request = Request.read(source)
    try:
        confine(request.limits)
        reply = answer(request, source, sink)
    except Fault as fault:
        _send(sink, FAULT, json.dumps({"code": fault.code, "places": fault.places}).encode())
    except (MemoryError, pa.ArrowMemoryError, duckdb.OutOfMemoryException):
        _send(sink, FAULT, json.dumps({"code": "memory", "places": {"limit_bytes": request.limits.memory_bytes}}).encode())
    else:
        _send(sink, DONE, json.dumps(reply).encode())
    sink.flush()


def die_with(parent: int) -> None:
    """Be killed when the parent dies; end now if it has died already, since then no signal will come."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def confine(limits: Limits) -> None:
    """Bound memory, processor time and open files; forbid writing and cores; die at the time limit."""
    seconds = int(limits.timeout_s) + 5
    for kind, value in (
        (resource.RLIMIT_AS, 2 * limits.memory_bytes + ADDRESS_SPACE_SPARE),
        (resource.RLIMIT_CPU, seconds * max(1, limits.threads)),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(OSError, ValueError):  # macOS has no bound on address space
            resource.setrlimit(kind, (bound, bound))
    signal.alarm(seconds)


def answer(request: Request, source: BinaryIO, sink: BinaryIO) -> dict[str, object]:
    """Return what an inspection found, after sending every statement's table. Raises Fault."""
    connection = reading.connect(request.limits)
    opened = reading.open_raw(connection, request, source)
    found: dict[str, object] = {}
    if request.inspect:
        try:
            columns = reading.resolve(connection, opened, request)
            rows = reading.check_rows(connection, opened, columns, request)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            raise Fault("unreadable", kind=request.kind) from None
        found = {
            "columns": [[column.name, column.type] for column in columns],
            "left_out": opened.left_out,
            "encoding": opened.encoding,
            "delimiter": opened.delimiter,
            "rows": rows,
        }
    else:
        columns = reading.resolve(connection, opened, request)
    sql_types = reading.create_view(connection, opened.relation, columns)
    for number, (text, values) in enumerate(request.statements, start=1):
        run(connection, number, text, values, sink)
    return found | {"sql_types": sql_types}


def run(connection: duckdb.DuckDBPyConnection, number: int, text: str, values: tuple[Parameter, ...], sink: BinaryIO) -> None:
    """Send the table of one SELECT, a batch of rows at a time. Raises Fault: the engine's own words stay here."""
    code = ""
    try:
        statements = connection.extract_statements(text)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            code = "statement"
        else:
            batches = connection.sql(text, params=list(values)).to_arrow_reader(BATCH_ROWS)
            sent = 0
            for batch in batches:
                _send_batch(sink, batch)
                sent += 1
            if not sent:
                _send_batch(sink, pa.RecordBatch.from_pylist([], schema=batches.schema))
            _send(sink, NEXT, b"")
    except (duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        raise
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.PermissionException):
        code = "query-rejected"
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError):
        code = "query-failed"
    if code:
        raise Fault(code, statement=number)


def _send(sink: BinaryIO, tag: bytes, payload: bytes) -> None:
    sink.write(HEADER.pack(tag, len(payload)))
    sink.write(payload)


def _send_batch(sink: BinaryIO, batch: pa.RecordBatch) -> None:
    with pa.ipc.new_stream(pa.PythonFile(_TableFrames(sink), mode="w"), batch.schema) as writer:
        writer.write_batch(batch)
    _send(sink, BATCH, b"")


class _TableFrames:
    """A file to write an IPC stream to, which leaves as frames."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.closed = False

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        for start in range(0, len(view), CHUNK_BYTES):
            part = view[start : start + CHUNK_BYTES]
            self._sink.write(HEADER.pack(TABLE, len(part)))
            self._sink.write(part)
        return len(view)

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True


if __name__ == "__main__":
    main()
