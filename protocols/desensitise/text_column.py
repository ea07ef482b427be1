"""A column of text as arrays of characters, so that rules work on whole columns at once; and back.

Plain ASCII columns are their own bytes; others are decoded once to code points. Lengths never change here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from protocols.errors import ParameterError

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]


class TextColumn:
    """One column of strings, some of them missing.

    codes: (characters,) uint8 where all are ASCII, else (characters,) uint32 code points. starts, lengths: (rows,) int64, in
    characters; a missing value has length 0 and `present` False.
    """

    def __init__(self, column: pa.Array) -> None:
        self._column = pc.cast(column, pa.large_string())
        self.rows = len(self._column)
        self.present: npt.NDArray[np.bool_] = np.asarray(self._column.is_valid().to_numpy(zero_copy_only=False))
        offsets, data = _buffers(self._column)
        self._text = data
        if not len(data) or int(data.max()) < 0x80:
            self.codes: Codes = data
            bounds = offsets
        else:
            self.codes = np.frombuffer(data.tobytes().decode("utf-8").encode("utf-32-le"), dtype="<u4")
            bounds = np.concatenate(([0], np.cumsum((data & 0xC0) != 0x80)))[offsets]
        self.starts: npt.NDArray[np.int64] = bounds[:-1]
        self.lengths: npt.NDArray[np.int64] = np.where(self.present, np.diff(bounds), 0)

    def groups(self) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Yield (length, row numbers) for every length that present values have."""
        rows = np.flatnonzero(self.present)
        lengths = self.lengths[rows]
        for length in np.unique(lengths):
            yield int(length), rows[lengths == length]

    def places(self, rows: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64] | slice:
        """Return where the characters of these rows lie: (rows × length,) positions, or a slice if they are contiguous."""
        starts = self.starts[rows]
        if len(rows) and int(starts[-1]) - int(starts[0]) == (len(rows) - 1) * length:
            return slice(int(starts[0]), int(starts[0]) + len(rows) * length)
        return (starts[:, None] + np.arange(length)).reshape(-1)

    def rebuilt(self, codes: Codes) -> pa.Array:
        """Return the column with other characters in the same places: large_string, the same rows missing."""
        if codes.dtype == np.uint8:
            text, bounds = codes, np.append(self.starts, len(codes))
        else:
            encoded = codes.astype("<u4").tobytes().decode("utf-32-le").encode("utf-8")
            widths = 1 + (codes > 0x7F).astype(np.int64) + (codes > 0x7FF) + (codes > 0xFFFF)
            text = np.frombuffer(encoded, dtype=np.uint8)
            bounds = np.concatenate(([0], np.cumsum(widths)))[np.append(self.starts, len(codes))]
        offsets = pa.py_buffer(np.ascontiguousarray(bounds, dtype=np.int64))
        validity = None if self.present.all() else pa.array(self.present).buffers()[1]
        return pa.Array.from_buffers(
            pa.large_string(), self.rows, [validity, offsets, pa.py_buffer(np.ascontiguousarray(text))]
        )


def as_array(values: Any) -> pa.Array:
    """Return texts of any usual container as one Arrow array of strings.

    values: an Arrow array or chunked array, pandas Series, numpy array, list or tuple of str and None. Raises ParameterError
    for anything that is not text.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
        values = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    if not isinstance(values, pa.Array):
        if isinstance(values, str | bytes):
            raise ParameterError("values is one text; give a list, an array or a column of texts")
        try:
            values = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
            values = None
        if values is None:
            raise ParameterError("values mixes kinds; give texts (str) or None")
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        values = values.cast(pa.string())
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise ParameterError(f"values are {values.type}, not text; convert them first, with leading zeros where they had some")
    return values


def like(values: Any, column: pa.Array) -> Any:
    """Return a column of texts in the kind of container in which `values` came."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        kind = values.type if pa.types.is_large_string(values.type) else pa.string()
        column = column.cast(kind)
        return pa.chunked_array([column]) if isinstance(values, pa.ChunkedArray) else column
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(values, pandas.Series):
        return pandas.Series(column.to_numpy(zero_copy_only=False), index=values.index, name=values.name)
    if isinstance(values, np.ndarray):
        return column.to_numpy(zero_copy_only=False)
    return column.to_pylist()


def _buffers(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return offsets from 0 and the bytes between them, whatever part of its buffers a column is."""
    _, offsets, data = column.buffers()
    bounds = (
        np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        if offsets
        else np.zeros(1, np.int64)
    )
    if not len(bounds):
        bounds = np.zeros(1, np.int64)
    used = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]] if data else np.zeros(0, np.uint8)
    return bounds - bounds[0], used
