"""Parts: rows of one party each, checked by scikit-learn; and public bounds, which numbers are scaled by."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError

Floats = npt.NDArray[np.float64]


class DataBoundsWarning(UserWarning):
    """Bounds were computed from all parts' data, which only a process that holds them all can do; declare them instead."""


class CoarseNumbersWarning(UserWarning):
    """Columns vary by few units of the encoding, which its bounds set: declare bounds that are no wider than the data."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Part:
    """One party's rows. X: (rows, features) float64. y: (rows,) or None. Stays in the process of the party."""

    name: str
    X: Floats
    y: npt.NDArray[Any] | None = None


def split(X: Floats, y: npt.NDArray[Any] | None, parties: int) -> tuple[Part, ...]:
    """Return rows cut into runs of nearly equal length, named p1, p2, …"""
    pieces = np.array_split(np.arange(len(X)), parties)
    return tuple(
        Part(name=f"p{index}", X=X[rows], y=None if y is None else y[rows]) for index, rows in enumerate(pieces, start=1)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Public bounds of columns, and the powers of two that cover them: |value| ≤ bound ≤ 2^exponent."""

    bounds: Floats
    exponents: npt.NDArray[np.int64]
    declared: bool

    def unit(self, values: Floats) -> Floats:
        """Return values clipped to the bounds and divided by 2^e, so within [−1, 1]; the division is exact."""
        return np.ldexp(np.clip(values, -self.bounds, self.bounds), -self.exponents)


def scale_of(declared: object, columns: Sequence[Floats], *, clip: bool, what: str) -> Scale:
    """Return the scale of columns: from the declared bounds, or with a warning from the data.

    declared: largest absolute value, one number or one per column, or None. columns: each party's (rows, columns) array.
    Raises UsageError for bounds that are no positive numbers, and, unless values are clipped, for values beyond them.
    """
    width = columns[0].shape[1]
    if declared is None:
        message = f"no bounds were declared for {what}: they are taken from all parties' data and become public"
        warnings.warn(message, DataBoundsWarning, stacklevel=5)
        bounds = np.max([np.abs(part).max(axis=0, initial=0) for part in columns], axis=0)
        bounds = np.where(bounds == 0, 1.0, bounds)
    else:
        bounds = _declared(declared, width, what)
        beyond = sum(int(np.any(np.abs(part) > bounds, axis=1).sum()) for part in columns)
        if beyond and not clip:
            raise UsageError(f"{beyond} rows exceed the declared bounds of {what}: declare wider ones, or clip=True")
    return scale_within(bounds, declared=declared is not None)


def scale_within(bounds: Floats, *, declared: bool) -> Scale:
    """Return the scale of columns with these positive bounds."""
    mantissa, exponent = np.frexp(bounds)
    covering = np.where(mantissa == 0.5, exponent - 1, exponent).astype(np.int64)
    return Scale(bounds=bounds, exponents=covering, declared=declared)


def _declared(declared: object, width: int, what: str) -> Floats:
    try:
        bounds = np.broadcast_to(np.asarray(declared, dtype=np.float64), (width,))
    except (TypeError, ValueError):
        bounds = np.zeros(width)
    if not np.all(np.isfinite(bounds)) or np.any(bounds <= 0):
        raise UsageError(f"bounds of {what} are positive numbers: one for all columns, or one for each of {width}")
    return bounds
