"""Columns as integer codes, and classes as one code per row: what every count in this room stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

IntArray = npt.NDArray[np.int64]
Frame = "pd.DataFrame | pa.Table"
MAX_RADIX = 1 << 62
DENSE_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Dictionary:
    """One column: codes (rows,) int64 into values (distinct,), in order of first appearance. A missing value is one of them."""

    name: str
    codes: IntArray
    values: npt.NDArray[Any]

    @property
    def size(self) -> int:
        """Number of distinct values."""
        return len(self.values)


def as_frame(table: pd.DataFrame | pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table as a pandas frame that has the named columns. Raises ParameterError: no frame, no row, no such column."""
    frame = table if isinstance(table, pd.DataFrame) else _from_arrow(table)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ParameterError(
            f"the table has no column {', '.join(map(repr, missing))}; it has: {', '.join(map(str, frame.columns))}"
        )
    doubled = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]} & {str(name) for name in columns})
    if doubled or len(set(columns)) != len(columns):
        raise ParameterError(f"a column is named twice{': ' + ', '.join(doubled) if doubled else ''}; name each once")
    if not len(frame):
        raise ParameterError("the table has no rows")
    return frame


def _from_arrow(table: object) -> pd.DataFrame:
    convert = getattr(table, "to_pandas", None)
    if convert is None:
        raise ParameterError(f"a pandas frame or an Arrow table is needed, not {type(table).__name__}")
    frame: pd.DataFrame = convert()
    return frame


def encode(series: pd.Series[Any], name: str) -> Dictionary:
    """Return a column as integer codes. Raises ParameterError for values that cannot be compared (lists, dictionaries)."""
    try:
        codes, values = pd.factorize(series, use_na_sentinel=False)
    except TypeError:
        codes, values = None, None
    if codes is None:
        raise ParameterError(f"column {name!r} holds values that cannot be compared; use numbers, text, dates or booleans")
    return Dictionary(name=name, codes=np.asarray(codes, dtype=np.int64), values=np.asarray(values))


def group(columns: Sequence[IntArray], sizes: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return (inverse, representatives) of the distinct rows of several code columns.

    columns: (rows,) int64 each, column i below sizes[i]. inverse: (rows,) int64, the class of each row, from 0 without gaps.
    representatives: (classes,) int64, one row of each class. Codes are combined by radix into one int64; where that would
    not fit, what was combined so far is renumbered first.
    """
    key, room = columns[0], max(1, sizes[0])
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        if room > MAX_RADIX // max(1, size):
            key, first = _renumber(key, room)
            room = len(first)
        key = key * size + column
        room *= max(1, size)
    return _renumber(key, room)


def _renumber(key: IntArray, room: int) -> tuple[IntArray, IntArray]:
    if room <= DENSE_FACTOR * len(key) + 1024:
        holder = np.full(room, -1, dtype=np.int64)
        holder[key] = np.arange(len(key))
        used = holder >= 0
        number = np.cumsum(used) - 1
        return number[key], holder[used]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return inverse.reshape(-1), first


def tally(inverse: IntArray, classes: int, weights: IntArray | None = None) -> IntArray:
    """Return the number (or the sum of whole weights, below 2^53) of rows in each class, shape (classes,) int64."""
    if weights is None:
        return np.bincount(inverse, minlength=classes)
    return np.rint(np.bincount(inverse, weights=weights, minlength=classes)).astype(np.int64)
