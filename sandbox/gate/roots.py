"""Square roots of exact fractions, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

_ROOT_BITS = 70


def root(value: Fraction) -> float:
    """Return √value as the nearest float64. Negative values are refused by ValueError (moments that no data can have).

    An integer root with more than 53 bits, then one bit that says whether anything was cut off, then one rounding.
    """
    if value == 0:
        return 0.0
    shift = max(0, _ROOT_BITS - (value.numerator.bit_length() - value.denominator.bit_length()) // 2)
    scaled, cut = divmod(value.numerator << (2 * shift), value.denominator)
    whole = math.isqrt(scaled)
    inexact = bool(cut) or whole * whole != scaled
    return float(Fraction(2 * whole + inexact, 1 << (shift + 1)))
