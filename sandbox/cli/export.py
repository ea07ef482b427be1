"""Writing a product's table to a file whose ending says its kind. NULL stays NULL; no file is overwritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sandbox.errors import StateError, UsageError

if TYPE_CHECKING:
    from sandbox.tasks.product import Product


def write_table(product: Product, path: Path) -> None:
    """Write a product's rows. Raises UsageError for an unknown ending, StateError if the file exists or cannot be written."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageError(f"the kind of {path.name!a} is not known; end it in {', '.join(_WRITERS)}")
    table = product.to_arrow()
    try:
        with path.open("xb") as file:
            try:
                write(table, file)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise StateError(f"{str(path)!a} exists and stays as it is; name a new file") from None
    except OSError as error:
        raise StateError(f"{str(path)!a} cannot be written: {error.strerror}") from None


def _write_csv(table: Any, file: IO[bytes]) -> None:
    """An empty field is NULL; an empty text is quoted."""
    from pyarrow import csv

    csv.write_csv(table, file)


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
