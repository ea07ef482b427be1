"""Functions of two columns (y, x) from integer moments over the rows where both have a value: exact, rounded once.

NULL where DuckDB says NULL, and where it says NaN: CORR without spread in both columns, REGR_SLOPE without spread in x.
REGR_R2 is 1 where x varies and y does not, as in DuckDB.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sandbox.gate.cells import PairMoments
from sandbox.gate.roots import root


@dataclass(frozen=True, slots=True)
class Spreads:
    """N² times the population variances and the covariance, integers: N·Σy² − (Σy)², N·Σx² − (Σx)², N·Σxy − Σx·Σy."""

    yy: int
    xx: int
    xy: int


def spreads(moments: PairMoments) -> Spreads:
    """Return a pair's spreads."""
    y, x, count = moments.first, moments.second, moments.first.count
    total_y, total_x = y.sum or 0, x.sum or 0
    return Spreads(
        yy=count * (y.squares or 0) - total_y**2,
        xx=count * (x.squares or 0) - total_x**2,
        xy=count * moments.product - total_x * total_y,
    )


def value(function: str, moments: PairMoments, scale_y: int, scale_x: int) -> float | None:
    """Return a function's value, None for NULL. scale_y, scale_x: what the columns' integers are to be divided by."""
    count = moments.first.count
    if count == 0:
        return None
    if function in ("covar_pop", "covar_samp"):
        return _covariance(spreads(moments).xy, count, count - (function == "covar_samp"), scale_y * scale_x)
    return _fit(function, moments, Fraction(scale_x, scale_y), scale_y)


def _covariance(xy: int, count: int, divisor: int, scale: int) -> float | None:
    return float(Fraction(xy, count * divisor * scale)) if divisor else None


def _fit(function: str, moments: PairMoments, unit: Fraction, scale_y: int) -> float | None:
    """unit: what turns a slope between integers into one between values."""
    found = spreads(moments)
    if found.xx == 0 or (function == "corr" and found.yy == 0):
        return None
    if function == "corr":
        size = root(Fraction(found.xy**2, found.xx * found.yy))
        return -size if found.xy < 0 else size
    if function == "regr_r2":
        return float(Fraction(found.xy**2, found.xx * found.yy)) if found.yy else 1.0
    slope = Fraction(found.xy, found.xx)
    if function == "regr_slope":
        return float(slope * unit)
    return float(((moments.first.sum or 0) - slope * (moments.second.sum or 0)) / (moments.first.count * scale_y))
