"""Data in memory as an Arrow table: pandas NaN is NULL; what DuckDB and the house have no type for is left out."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sandbox.sources.columns import check_names
from sandbox.sources.pipe import Fault

if TYPE_CHECKING:
    import pandas as pd

DECIMAL128_DIGITS = 38


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """Return a snapshot of a frame's columns; the index is no column. Raises Fault for bad names and mixed columns."""
    names = list(frame.columns)
    for position, name in enumerate(names, start=1):
        if not isinstance(name, str):
            raise Fault("column-label", position=position)
    check_names(names)
    snapshot = frame.copy()
    return pa.Table.from_arrays([_array(snapshot.iloc[:, at], name) for at, name in enumerate(names)], names=names)


def settle(table: pa.Table) -> tuple[pa.Table, tuple[tuple[str, str], ...]]:
    """Return the columns in types that DuckDB reads, and (name, type) of the others. Raises Fault for no columns or rows."""
    check_names(table.column_names)
    kept: dict[str, pa.ChunkedArray] = {}
    left_out: list[tuple[str, str]] = []
    for field in table.schema:
        column = _plain(table.column(field.name))
        if column is None:
            left_out.append((field.name, re.split(r"[<\[]", str(field.type))[0]))
        else:
            kept[field.name] = column
    if not kept:
        raise Fault("no-columns")
    if not table.num_rows:
        raise Fault("no-rows")
    return pa.table(kept), tuple(left_out)


def fingerprint(table: pa.Table) -> str:
    """Return `sha256:<hex>` over the table as an Arrow stream."""
    sink = _Hash()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        writer.write_table(table)
    return "sha256:" + sink.state.hexdigest()


def _array(series: pd.Series[Any], name: str) -> pa.ChunkedArray:
    # Raised outside the handler: Arrow's own error quotes the value, and would stay reachable as __context__.
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        array = None
    if array is None:
        raise Fault("mixed", column=name)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_decimal(kind) and not pa.types.is_decimal128(kind):
        if kind.precision > DECIMAL128_DIGITS:
            return None
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    usable = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal128(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_null(kind)
    )
    return column if usable else None


class _Hash:
    def __init__(self) -> None:
        self.state = hashlib.sha256()
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.state.update(view)
        return len(view)

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        self.closed = True
