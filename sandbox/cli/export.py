"""Writing a product's table to a file whose ending says its kind. NULL stays NULL; no file is overwritten.

CSV is opened in spreadsheets, which run a text that begins as a formula does, and a provider's labels or an operator's column
names could be one: such a text gets an apostrophe in front. Parquet and Arrow hold every value as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sandbox.errors import StateError, UsageError

# Also in full width, which some spreadsheets take for the same.
FORMULA = r"^[\s]*[=+\-@\t\r\n＝＋－＠]"
NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"

if TYPE_CHECKING:
    from sandbox.tasks.product import Product


def write_table(product: Product, path: Path) -> None:
    """Write a product's rows. Raises UsageError for an unknown ending, StateError if the file exists or cannot be written."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"the kind of {path.name!r} is not known; end it in {', '.join(_WRITERS)}")
    table = product.to_arrow()
    try:
        with path.open("xb") as file:
            try:
                write(table, file)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise StateError(f"{str(path)!r} exists and stays as it is; name a new file") from None
    except OSError as error:
        raise StateError(f"{str(path)!r} cannot be written: {error.strerror}") from None


def _write_csv(table: Any, file: IO[bytes]) -> None:
    """An empty field is NULL; an empty text is quoted; what a spreadsheet would run is text."""
    import pyarrow as pa
    from pyarrow import csv

    columns = [_inert(column) for column in table.columns]
    csv.write_csv(pa.table(columns, names=_inert(pa.chunked_array([table.column_names], pa.string())).to_pylist()), file)


def _inert(column: Any) -> Any:
    """Return a column; in one of text, values that begin as a formula and are no plain number stand behind an apostrophe."""
    import pyarrow as pa
    from pyarrow import compute as pc

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    begins, number = pc.match_substring_regex(column, FORMULA), pc.match_substring_regex(column, NUMBER)
    quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(pc.and_not(begins, number), quoted, column)


def _write_parquet(table: Any, file: IO[bytes]) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file)


def _write_arrow(table: Any, file: IO[bytes]) -> None:
    import pyarrow as pa

    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


_WRITERS: Mapping[str, Callable[[Any, IO[bytes]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
}
