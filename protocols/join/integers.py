"""Columns of exact integers of any size: two's complement limbs, so that no long list is made of Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError

Ints = npt.NDArray[np.int64]

_LIMB_BITS = 64
_DIGIT_BITS = 32
_DIGIT_MASK = (1 << _DIGIT_BITS) - 1


class Integers:
    """n signed integers as (n, L) uint64: two's complement, lowest limb first, as narrow as the largest one allows.

    One limb is int64; two are the layout of Arrow's decimal128. Immutable; the repr shows no value.
    """

    __slots__ = ("_limbs",)

    def __init__(self, limbs: npt.NDArray[np.uint64]) -> None:
        if limbs.dtype != np.uint64 or limbs.ndim != 2 or not limbs.shape[1]:
            raise ParameterError("a column of integers is an (n, limbs) uint64 array")
        self._limbs = _narrowed(limbs).view()
        self._limbs.flags.writeable = False

    @classmethod
    def of(cls, values: npt.NDArray[Any] | Sequence[int]) -> Integers:
        """Return the column of a numpy array of integers, or of Python integers of any size."""
        if isinstance(values, np.ndarray) and values.dtype.kind == "i":
            return cls(np.ascontiguousarray(values, dtype=np.int64).view(np.uint64).reshape(-1, 1))
        numbers = [int(value) for value in values]
        widest = max((number.bit_length() for number in numbers), default=0)
        size_bytes = 8 * (widest // _LIMB_BITS + 1)
        data = b"".join(number.to_bytes(size_bytes, "little", signed=True) for number in numbers)
        return cls(np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(len(numbers), size_bytes // 8))

    @classmethod
    def from_arrow(cls, column: Any) -> Integers:
        """Return the column of an Arrow array of integers or of decimal128 with scale 0, without a Python object per row.

        Raises ParameterError for other types and for missing values.
        """
        import pyarrow as pa

        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if column.null_count:
            raise ParameterError(f"{column.null_count} integers are missing")
        if pa.types.is_decimal128(column.type) and column.type.scale == 0:
            if not len(column):
                return cls.of([])
            data = np.frombuffer(column.buffers()[1], dtype="<u8", count=2 * len(column), offset=16 * column.offset)
            return cls(data.astype(np.uint64, copy=False).reshape(-1, 2))
        if not pa.types.is_signed_integer(column.type):
            raise ParameterError(
                f"a column of {column.type} is no column of integers; use signed integers or decimal128 of scale 0"
            )
        return cls.of(column.cast(pa.int64()).to_numpy())

    @classmethod
    def concatenate(cls, parts: Sequence[Integers]) -> Integers:
        """Return the parts one after the other; they may be of different widths."""
        width = max((part._limbs.shape[1] for part in parts), default=1)
        limbs = np.empty((sum(map(len, parts)), width), dtype=np.uint64)
        at = 0
        for part in parts:
            own = part._limbs
            rows = limbs[at : at + len(own)]
            rows[:, : own.shape[1]] = own
            rows[:, own.shape[1] :] = (own[:, -1:].view(np.int64) >> (_LIMB_BITS - 1)).view(np.uint64)
            at += len(own)
        return cls(limbs)

    def __len__(self) -> int:
        return len(self._limbs)

    def __getitem__(self, rows: slice | Ints) -> Integers:
        return Integers(np.ascontiguousarray(self._limbs[rows]))

    def extended(self, rows: int) -> Integers:
        """Return the column with `rows` zeros behind it."""
        return Integers(np.concatenate((self._limbs, np.zeros((rows, self._limbs.shape[1]), dtype=np.uint64))))

    @property
    def int64(self) -> Ints | None:
        """The integers as (n,) int64, or None if some need more bits."""
        return self._limbs.view(np.int64)[:, 0] if self._limbs.shape[1] == 1 else None

    def tolist(self) -> list[int]:
        """Return Python integers; for a chunk of rows."""
        if self.int64 is not None:
            return list(map(int, self.int64.tolist()))
        data, size_bytes = self._limbs.astype("<u8").tobytes(), 8 * self._limbs.shape[1]
        return [int.from_bytes(data[at : at + size_bytes], "little", signed=True) for at in range(0, len(data), size_bytes)]

    def segment_sums(self, order: Ints, starts: Ints) -> Integers:
        """Return the sums over rows order[starts[i]:starts[i + 1]], the last segment to the end; no segment is empty.

        Digits of 32 bits add up without overflow for up to 2^31 rows; then carries go up.
        """
        if not len(starts):
            return Integers(np.zeros((0, 1), dtype=np.uint64))
        ordered = np.ascontiguousarray(self._limbs[order])
        negative = ordered[:, -1] >> np.uint64(_LIMB_BITS - 1)
        digits = ordered.astype("<u8").view("<u4").astype(np.int64)
        sums = np.add.reduceat(digits, starts, axis=0)
        # A negative number reads 2^(64 L) too large.
        above = -np.add.reduceat(negative.astype(np.int64), starts)
        result = np.empty((len(starts), sums.shape[1] + 2), dtype="<u4")
        carry = np.zeros(len(starts), dtype=np.int64)
        for at in range(sums.shape[1]):
            carry += sums[:, at]
            result[:, at] = carry & _DIGIT_MASK
            carry >>= _DIGIT_BITS
        result[:, -2:] = (carry + above).astype("<i8").view("<u4").reshape(-1, 2)
        return Integers(result.view("<u8").astype(np.uint64))

    def __eq__(self, other: object) -> bool:
        return np.array_equal(self._limbs, other._limbs) if isinstance(other, Integers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Integers: {len(self)} rows, {self._limbs.shape[1] * _LIMB_BITS} bits>"


def _narrowed(limbs: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Drop top limbs that only repeat the sign."""
    width = limbs.shape[1]
    while width > 1:
        signs = (limbs[:, width - 2].view(np.int64) >> (_LIMB_BITS - 1)).view(np.uint64)
        if not np.array_equal(limbs[:, width - 1], signs):
            break
        width -= 1
    return np.ascontiguousarray(limbs[:, :width])
