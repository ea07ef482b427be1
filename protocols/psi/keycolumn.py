"""Encoded keys as one column: offsets and bytes, never a Python object for each key of a long list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols.errors import ParameterError

SPAN_ROWS = 1 << 16
_WORD_BYTES = 8


class KeyColumn(Sequence[bytes]):
    """n encoded keys, as an Arrow array of large binary, which may be mapped from a file. Private to whoever owns the rows.

    An integer gives one key; a slice, or an array of row numbers, a column of those rows. Immutable.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Any) -> None:
        if not isinstance(data, pa.LargeBinaryArray) or data.null_count:
            raise ParameterError("a key column is an Arrow array of large binary without missing values")
        self._data = data

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> KeyColumn:
        """Return the column of some keys."""
        return cls(pa.array(keys, type=pa.large_binary()))

    @classmethod
    def of_rows(cls, table: npt.NDArray[np.uint8]) -> KeyColumn:
        """Return the column of n keys of one width, (n, width) uint8, without a copy."""
        return cls(fixed_width(table))

    @property
    def data(self) -> Any:
        """The Arrow array."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    @overload
    def __getitem__(self, rows: int) -> bytes: ...

    @overload
    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> KeyColumn: ...

    def __getitem__(self, rows: int | slice | npt.NDArray[np.int64]) -> bytes | KeyColumn:
        if isinstance(rows, np.ndarray):
            return KeyColumn(self._data.take(pa.array(rows)))
        if isinstance(rows, slice):
            return KeyColumn(self._data[rows])
        return bytes(self._data[rows].as_py())

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self), SPAN_ROWS):
            yield from self._data[first : first + SPAN_ROWS].to_pylist()

    def numbers(self) -> npt.NDArray[np.int64]:
        """Return for each row the number of its key among the distinct ones, from 0 and in no meaningful order: (n,) int64."""
        words = self._words()
        if words is not None:
            ranks = np.unique(words, return_inverse=True)[1]
            return np.asarray(ranks.reshape(-1), dtype=np.int64)
        numbers: npt.NDArray[np.int64] = self._data.dictionary_encode().indices.to_numpy().astype(np.int64)
        # Arrow would keep the hash table's memory for itself.
        pa.default_memory_pool().release_unused()
        return numbers

    def _words(self) -> npt.NDArray[np.uint64] | None:
        """Return the keys as one word each, if all have one width and differ in at most 8 neighbouring bytes: integers do."""
        offsets = np.frombuffer(self._data.buffers()[1], dtype=np.int64, count=len(self) + 1, offset=8 * self._data.offset)
        width = int(offsets[1] - offsets[0]) if len(self) else 0
        if not width or np.any(np.diff(offsets) != width):
            return None
        table = np.frombuffer(self._data.buffers()[2], dtype=np.uint8, count=len(self) * width, offset=int(offsets[0]))
        table = table.reshape(len(self), width)
        varying = [column for column in range(width) if np.any(table[:, column] != table[0, column])]
        if varying and varying[-1] - varying[0] >= _WORD_BYTES:
            return None
        words = np.zeros((len(self), _WORD_BYTES), dtype=np.uint8)
        if varying:
            words[:, : varying[-1] + 1 - varying[0]] = table[:, varying[0] : varying[-1] + 1]
        return words.view(np.uint64).reshape(-1)

    def __eq__(self, other: object) -> bool:
        return bool(self._data.equals(other._data)) if isinstance(other, KeyColumn) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<KeyColumn: {len(self)} keys>"


def fixed_width(table: npt.NDArray[np.uint8]) -> Any:
    """Return (n, width) bytes as an Arrow array of n values, without a copy."""
    offsets = np.arange(len(table) + 1, dtype=np.int64) * table.shape[1]
    return pa.Array.from_buffers(pa.large_binary(), len(table), [None, pa.py_buffer(offsets), pa.py_buffer(table)])
