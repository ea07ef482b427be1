"""Fixed-point numbers: value × public scale, rounded half to even, exactly.

A scale is any positive integer, normally 2^f (exact for binary fractions) or 10^d (exact for Decimal). Nothing here depends
on the values beyond the result itself: there is no per-element exponent. Errors name rows and counts, never a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError

Kind = Literal["auto", "integer", "float", "fraction", "decimal"]

_SHOWN_ROWS = 5
_INT64_LIMIT = 1 << 63


def rows_text(rows: Sequence[int]) -> str:
    """Return `row 3`, or `5 rows (3, 7, ...)`, for error messages."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    shown = ", ".join(str(row) for row in rows[:_SHOWN_ROWS])
    return f"{len(rows)} rows ({shown}{', ...' if len(rows) > _SHOWN_ROWS else ''})"


def is_integer(item: object) -> bool:
    """Return whether an object is an integer of Python or numpy; booleans are not."""
    return isinstance(item, int | np.integer) and not isinstance(item, bool)


def check_scale(scale: int) -> int:
    """Return the scale as an int. Raises ParameterError unless it is a positive integer."""
    if not is_integer(scale) or scale < 1:
        raise ParameterError("a fixed-point scale is a positive integer, such as 2**16 or 10**2")
    return int(scale)


def encode(values: Any, scale: int = 1) -> list[int]:
    """Return round-half-even(value · scale) for each value of a one-dimensional sequence.

    values: int, uint or float arrays of any width, or sequences of int, float, Decimal and Fraction; float64 counts as
    the binary fraction that it is. Raises ParameterError with row numbers for NaN, infinities, booleans and anything else.
    """
    scale = check_scale(scale)
    if isinstance(values, np.ndarray) or hasattr(values, "to_numpy"):
        array = np.asarray(values)
        if array.ndim != 1:
            raise ParameterError(f"expected a one-dimensional array, got {array.ndim} dimensions")
        if array.dtype.kind in "iu":
            return [number * scale for number in array.tolist()]
        if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
            return _encode_floats(array.astype(np.float64), scale)
        if array.dtype.kind != "O":
            raise ParameterError(f"cannot encode an array of {array.dtype}: use integers, float64 or Decimal")
        values = array.tolist()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ParameterError("expected an array or a sequence of numbers")
    return _encode_objects(list(values), scale)


def encode_bounded(values: Any, scale: int, bound: int) -> list[int]:
    """Encode as `encode` does, and check |integer| ≤ bound (in encoded units).

    Raises EncodingOverflow with the rows that are out of bounds, ParameterError as `encode`.
    """
    integers = encode(values, scale)
    rows = [row for row, number in enumerate(integers) if not -bound <= number <= bound]
    if rows:
        raise EncodingOverflow(f"beyond the declared bound in {rows_text(rows)}: clip the values or declare a larger bound")
    return integers


def _encode_floats(array: npt.NDArray[np.float64], scale: int) -> list[int]:
    bad = np.flatnonzero(~np.isfinite(array)).tolist()
    if bad:
        raise ParameterError(f"NaN or infinity in {rows_text(bad)}: leave missing values out first")
    if scale & (scale - 1) == 0 and scale.bit_length() <= 1024:
        # Scaling up by 2^f only moves the exponent, so that the product is exact and rint is the one rounding.
        with np.errstate(over="ignore"):
            scaled = np.rint(np.ldexp(array, scale.bit_length() - 1))
        if np.all(np.abs(scaled) < _INT64_LIMIT):
            return [int(number) for number in scaled.astype(np.int64).tolist()]
        if np.all(np.isfinite(scaled)):
            return [int(number) for number in scaled.tolist()]
    return [_scaled(number.as_integer_ratio(), scale) for number in array.tolist()]


def _encode_objects(values: list[Any], scale: int) -> list[int]:
    integers, bad = [], []
    for row, value in enumerate(values):
        if type(value) is int:
            integers.append(value * scale)
            continue
        ratio = _ratio(value)
        if ratio is None:
            bad.append(row)
        else:
            integers.append(_scaled(ratio, scale))
    if bad:
        raise ParameterError(
            f"{rows_text(bad)} not a finite number: use int, float, Decimal or Fraction, and no missing values"
        )
    return integers


def _ratio(value: Any) -> tuple[int, int] | None:
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return int(value), 1
    if isinstance(value, float | np.floating):
        return float(value).as_integer_ratio() if math.isfinite(value) and not isinstance(value, np.longdouble) else None
    if isinstance(value, Decimal):
        return value.as_integer_ratio() if value.is_finite() else None
    if isinstance(value, Fraction):
        return value.numerator, value.denominator
    return None


def _scaled(ratio: tuple[int, int], scale: int) -> int:
    numerator, denominator = ratio
    quotient, remainder = divmod(numerator * scale, denominator)
    doubled = 2 * remainder
    if doubled > denominator or (doubled == denominator and quotient & 1):
        return quotient + 1
    return quotient


def decode(integers: Sequence[int], scale: int = 1, kind: Kind = "auto") -> npt.NDArray[Any]:
    """Return integer / scale as a one-dimensional array.

    kind: `float` float64, correctly rounded; `fraction` and `decimal` exact, dtype object; `integer` the encoded integers,
    not divided (int64 where all fit, else dtype object); `auto` is `integer` for scale 1, else `float`.
    Raises ParameterError for a float64 out of range and for a Decimal that would have no end.
    """
    scale = check_scale(scale)
    if kind == "auto":
        kind = "integer" if scale == 1 else "float"
    if kind == "integer":
        fits = all(-_INT64_LIMIT <= number < _INT64_LIMIT for number in integers)
        return np.array(integers, dtype=np.int64) if fits else _objects(integers)
    if kind == "float":
        try:
            return np.array([int(number) / scale for number in integers], dtype=np.float64)
        except OverflowError:
            raise ParameterError("a result is too large for float64: decode as `fraction` or `decimal`") from None
    if kind == "fraction":
        return _objects([Fraction(int(number), scale) for number in integers])
    if kind == "decimal":
        factor, places = _decimal_places(scale)
        return _objects([_decimal(int(number) * factor, places) for number in integers])
    raise ParameterError(f"cannot decode as {kind!r}: use auto, integer, float, fraction or decimal")


def _objects(items: Sequence[Any]) -> npt.NDArray[Any]:
    result = np.empty(len(items), dtype=object)
    result[:] = items
    return result


def _decimal_places(scale: int) -> tuple[int, int]:
    """Return (factor, places) with scale · factor = 10^places."""
    twos = (scale & -scale).bit_length() - 1
    fives, rest = 0, scale >> twos
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    if rest != 1:
        raise ParameterError("this scale has prime factors other than 2 and 5, so that decimals have no end: use `fraction`")
    places = max(twos, fives)
    return 10**places // scale, places


def _decimal(number: int, places: int) -> Decimal:
    sign, digits, _ = Decimal(number).as_tuple()
    return Decimal((sign, digits, -places))
