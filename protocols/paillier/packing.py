"""Packing: several bounded numbers in one plaintext, as balanced digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives.fixed_point import check_scale, encode_bounded, is_integer, rows_text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place in a packed plaintext. Public.

    bound: largest magnitude of an encoded integer before weights. scale: what an encoded integer is to be divided by.
    """

    name: str
    bound: int
    scale: int = 1

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if not self.name:
            raise ParameterError("a slot needs a name")
        if isinstance(self.bound, bool) or not isinstance(self.bound, int) or self.bound < 1:
            raise ParameterError(f"slot {self.name!r}: the bound must be a positive integer")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How slots share one plaintext: M = Σ v_j · 2^(o_j), lowest slot first. Public.

    slots: in order from the lowest bits. max_weight: W, the largest sum of |weights| that any result may carry; each slot is
    1 + bitlen(bound · W) bits wide, so that no digit reaches its neighbour while |v_j| ≤ bound and Σ|w| ≤ W. A sender
    that breaks its bound corrupts the neighbouring slots unseen: there is no range proof.
    """

    slots: tuple[Slot, ...]
    max_weight: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", tuple(self.slots))
        if not self.slots:
            raise ParameterError("a packing needs at least one slot")
        if len({slot.name for slot in self.slots}) != len(self.slots):
            raise ParameterError("slot names must differ")
        if isinstance(self.max_weight, bool) or not isinstance(self.max_weight, int) or self.max_weight < 1:
            raise ParameterError("max_weight must be a positive integer")

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of each slot."""
        return tuple(1 + (slot.bound * self.max_weight).bit_length() for slot in self.slots)

    @property
    def bits(self) -> int:
        """Bits of the whole plaintext."""
        return sum(self.widths)

    def check_fits(self, modulus: int) -> None:
        """Raise EncodingOverflow if the slots do not fit a key: Σ widths ≤ bitlen(n) − 1."""
        room = modulus.bit_length() - 1
        if self.bits > room:
            raise EncodingOverflow(
                f"the slots need {self.bits} bits and the key offers {room}: use fewer slots, smaller bounds or a longer key"
            )

    def encode(self, columns: Sequence[Any], *, weight: int = 1) -> list[int]:
        """Pack encoded integers: one column of n integers per slot, in slot order -> n plaintexts (negative ones too).

        columns: int64 or object arrays, or sequences of int; already multiplied by the slot's scale. weight: magnitudes may
        reach bound · weight. Raises EncodingOverflow with the rows beyond that, ParameterError for columns that do not match.
        """
        if len(columns) != len(self.slots):
            raise ParameterError(f"{len(columns)} columns for {len(self.slots)} slots")
        packed: list[int] | None = None
        offset = 0
        for slot, width, column in zip(self.slots, self.widths, columns, strict=True):
            integers = _bounded(column, slot, weight)
            if packed is None:
                packed = integers
            elif len(integers) != len(packed):
                raise ParameterError(f"slot {slot.name!r} has {len(integers)} rows where the first has {len(packed)}")
            else:
                packed = [total + (number << offset) for total, number in zip(packed, integers, strict=True)]
            offset += width
        return packed or []

    def decode(self, plaintexts: Sequence[int]) -> dict[str, list[int]]:
        """Unpack centred plaintexts: n integers -> n encoded integers per slot name.

        Raises ParameterError with the row if something is left above the highest slot: a bound was broken.
        """
        columns: list[list[int]] = [[] for _ in self.slots]
        places = [
            (column, width, 1 << (width - 1), (1 << width) - 1) for column, width in zip(columns, self.widths, strict=True)
        ]
        for row, plaintext in enumerate(plaintexts):
            rest = int(plaintext)
            for column, width, half, mask in places:
                digit = ((rest + half) & mask) - half
                rest = (rest - digit) >> width
                column.append(digit)
            if rest:
                raise ParameterError(f"row {row} holds more than its slots: a sender broke a declared bound")
        return {slot.name: column for slot, column in zip(self.slots, columns, strict=True)}


def _bounded(column: Any, slot: Slot, weight: int) -> list[int]:
    try:
        return encode_bounded(_integers(column), 1, slot.bound * weight)
    except EncodingOverflow as error:
        raise EncodingOverflow(f"slot {slot.name!r}: {error}") from None
    except ParameterError as error:
        raise ParameterError(f"slot {slot.name!r}: {error}") from None


def _integers(column: Any) -> npt.NDArray[Any]:
    if not hasattr(column, "__len__"):
        raise ParameterError("expected a column of encoded integers")
    # A list goes in as objects: numpy would turn integers beyond 2^63 beside negative ones into floats.
    array: npt.NDArray[Any] = column if isinstance(column, np.ndarray) else np.array(list(column), dtype=object)
    if array.dtype.kind in "iu":
        return array
    bad = [row for row, item in enumerate(array.ravel().tolist()) if not is_integer(item)]
    if bad:
        raise ParameterError(f"no integer in {rows_text(bad)}: encode fractions by the slot's scale first")
    return array.astype(object)
