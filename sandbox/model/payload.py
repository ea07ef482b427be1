"""The payload of a product: one table as an Arrow file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_file(table: pa.Table) -> tuple[bytes, str]:
    """Return a table as an Arrow file, and its schema as text."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue(), table.schema.to_string()


def open_arrow_file(data: bytes) -> pa.RecordBatchFileReader:
    """Return a reader of an Arrow file in memory, to be used as a context. Raises pyarrow's errors for what is none.

    Everything is read by the calling thread: a thread of Arrow that lets go of Python bytes while the interpreter ends
    aborts the process.
    """
    import pyarrow as pa

    return pa.ipc.open_file(pa.BufferReader(data), options=pa.ipc.IpcReadOptions(use_threads=False))
