"""Layouts: what the plaintexts of an array mean, and how far computation may still carry them.

A layout is public metadata. Each operation asks it for the layout of the result *before* it computes; a result that could
wrap raises EncodingOverflow there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError
from protocols.paillier.packing import Packing
from protocols.primitives import fixed_point


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """One number a ciphertext.

    scale: plaintext = value · scale. bound: largest magnitude that the plaintext can have (encoded units).
    """

    scale: int
    bound: int

    def __post_init__(self) -> None:
        fixed_point.check_scale(self.scale)
        if isinstance(self.bound, bool) or not isinstance(self.bound, int) or self.bound < 0:
            raise ParameterError("a bound must be a non-negative integer")

    @classmethod
    def declared(cls, scale: int, bound: Any, default_bound: int) -> Numbers:
        """Return the layout for a bound in units of values, or for the default (encoded) bound where it is None."""
        encoded = default_bound if bound is None else fixed_point.encode([bound], scale)[0]
        if encoded < 0:
            raise ParameterError("a bound must not be negative")
        return cls(scale=fixed_point.check_scale(scale), bound=encoded)

    def check_fits(self, modulus: int) -> None:
        """Raise EncodingOverflow unless 2 · bound < n."""
        if 2 * self.bound >= modulus:
            raise EncodingOverflow(
                f"a result could need {self.bound.bit_length() + 1} bits and the key offers {modulus.bit_length() - 1}: "
                "declare tighter bounds, use smaller weights or a longer key"
            )

    def added(self, other: Layout, modulus: int) -> Numbers:
        """Return the layout of a sum. Raises ParameterError for another scale, EncodingOverflow for a sum that could wrap."""
        if not isinstance(other, Numbers):
            raise ParameterError("one array is packed and the other is not")
        if other.scale != self.scale:
            raise ParameterError(f"scales differ: {self.scale} and {other.scale}; encrypt both with one scale")
        return self._checked(self.bound + other.bound, modulus)

    def weighted(self, total_weight: int, modulus: int) -> Numbers:
        """Return the layout of a weighted sum, given the largest Σ|w| of any result."""
        return self._checked(self.bound * total_weight, modulus)

    def _checked(self, bound: int, modulus: int) -> Numbers:
        result = Numbers(scale=self.scale, bound=bound)
        result.check_fits(modulus)
        return result

    def widened(self, other: Layout) -> Numbers:
        """Return the layout of both arrays joined. Raises ParameterError for another scale."""
        if not isinstance(other, Numbers) or other.scale != self.scale:
            raise ParameterError("arrays of different scales or packing cannot be joined")
        return Numbers(scale=self.scale, bound=max(self.bound, other.bound))

    def plain(self, values: Any) -> tuple[list[int], Numbers]:
        """Encode plain numbers that are to be added; their own largest magnitude is the bound."""
        integers = fixed_point.encode(values, self.scale)
        return integers, Numbers(scale=self.scale, bound=max(map(abs, integers), default=0))

    def decode(self, plaintexts: Sequence[int], kind: fixed_point.Kind) -> npt.NDArray[Any]:
        """Return values of centred plaintexts. Raises ParameterError for one that is beyond the bound."""
        rows = [row for row, number in enumerate(plaintexts) if not -self.bound <= number <= self.bound]
        if rows:
            raise ParameterError(f"beyond the declared bound in {fixed_point.rows_text(rows)}: a sender broke it")
        return fixed_point.decode(plaintexts, self.scale, kind)

    def value_bound(self) -> Fraction:
        """Return the bound in units of values."""
        return Fraction(self.bound, self.scale)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Several numbers a ciphertext.

    packing: the slots. weight: largest Σ|w| that any plaintext carries already, at most packing.max_weight.
    """

    packing: Packing
    weight: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int) or self.weight < 0:
            raise ParameterError("a weight must be a non-negative integer")
        if self.weight > self.packing.max_weight:
            raise EncodingOverflow(
                f"a result would carry weight {self.weight} where the packing allows {self.packing.max_weight}: "
                "plan a larger max_weight"
            )

    def check_fits(self, modulus: int) -> None:
        """Raise EncodingOverflow if the slots do not fit the key."""
        self.packing.check_fits(modulus)

    def added(self, other: Layout, modulus: int) -> Packed:
        """Return the layout of a sum. Raises ParameterError for other slots, EncodingOverflow beyond max_weight."""
        if not isinstance(other, Packed):
            raise ParameterError("one array is packed and the other is not")
        if other.packing != self.packing:
            raise ParameterError("the arrays are packed with different slots")
        return Packed(packing=self.packing, weight=self.weight + other.weight)

    def weighted(self, total_weight: int, modulus: int) -> Packed:
        """Return the layout of a weighted sum, given the largest Σ|w| of any result."""
        return Packed(packing=self.packing, weight=self.weight * total_weight)

    def widened(self, other: Layout) -> Packed:
        """Return the layout of both arrays joined. Raises ParameterError for other slots."""
        if not isinstance(other, Packed) or other.packing != self.packing:
            raise ParameterError("arrays with different slots cannot be joined")
        return Packed(packing=self.packing, weight=max(self.weight, other.weight))

    def plain(self, values: Any) -> tuple[list[int], Packed]:
        """Refuse: a plain number has no slot."""
        raise ParameterError("plain numbers cannot be added to a packed array: encrypt them with the same packing")


Layout = Numbers | Packed
