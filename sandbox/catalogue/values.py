"""Declared values as they stand in documents: bounds as decimal text, codes as literals, and default scales."""

from __future__ import annotations

import datetime
import math
import numbers
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from sandbox.errors import UsageError
from sandbox.model.expression import ColumnType, Literal

DECIMAL_SCALE = 10**4
FLOAT_BITS = 16
BOUND_BITS = 30
MAX_CODES = 10_000
INTEGER_DIGITS, FRACTION_DIGITS = 19, 18


def bound_texts(name: str, kind: ColumnType, given: object) -> tuple[str, str]:
    """Return (lowest, highest) as plain decimal text. Raises UsageError; `name` is how the column is called in it."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise UsageError(f"the bounds of {name} are a pair (lowest, highest)")
    low, high = (_number(name, end) for end in given)
    if low > high:
        raise UsageError(f"the bounds of {name} are the wrong way round; write (lowest, highest)")
    if kind == "integer" and (low != low.to_integral_value() or high != high.to_integral_value()):
        raise UsageError(f"{name} is an integer column; its bounds are whole numbers")
    return _text(name, low), _text(name, high)


def code_literals(name: str, kind: ColumnType, given: tuple[Any, ...]) -> tuple[Literal, ...]:
    """Return a code list as literals of the column's type, in the order given. Raises UsageError."""
    if kind not in _CODES:
        raise UsageError(f"codes are given for {name}, which is {kind}; declare types={{{name}: 'integer'}} if it holds codes")
    if not 1 <= len(given) <= MAX_CODES:
        raise UsageError(f"the code list of {name} has {len(given)} entries; give 1 to {MAX_CODES}")
    literals = tuple(Literal(type=kind, value=_code(name, kind, value)) for value in given)  # type: ignore[arg-type]
    if len({literal.value for literal in literals}) != len(literals):
        raise UsageError(f"the code list of {name} has an entry twice")
    return literals


def default_scale(kind: ColumnType, bounds: tuple[str, str]) -> int:
    """Return the scale of a measure that declares none.

    integer: 1. decimal: 10^4. float: 2^16, fewer bits where the largest bound is beyond 2^14 (so that bound · scale stays
    about 2^30), more where it is below 1 (so that the bound itself keeps 16 bits). Powers of two scale a double exactly.
    """
    if kind == "integer":
        return 1
    if kind == "decimal":
        return DECIMAL_SCALE
    largest = max(abs(Fraction(end)) for end in bounds)
    exponent = math.frexp(float(largest))[1] if largest else 0
    bits = min(FLOAT_BITS, BOUND_BITS - exponent) if exponent > 0 else FLOAT_BITS - exponent
    return int(2 ** max(0, min(bits, 40)))


def _number(name: str, end: object) -> Decimal:
    if isinstance(end, bool) or not isinstance(end, numbers.Number | str):
        raise UsageError(f"a bound of {name} is of type {type(end).__name__}; give numbers")
    plain = end.item() if hasattr(end, "item") else end
    try:
        number = Decimal(repr(plain) if isinstance(plain, float) else str(plain))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UsageError(f"a bound of {name} is not a finite number; give what its values can reach")
    return number


def _text(name: str, number: Decimal) -> str:
    text = format(number if number else Decimal(0), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    whole, _, fraction = text.removeprefix("-").partition(".")
    if len(whole) > INTEGER_DIGITS or len(fraction) > FRACTION_DIGITS:
        raise UsageError(f"a bound of {name} has more than {INTEGER_DIGITS} digits before or {FRACTION_DIGITS} after the point")
    return text


def _code(name: str, kind: ColumnType, value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    expected, write = _CODES[kind]
    if type(plain) is not expected:
        raise UsageError(
            f"the code list of {name} has an entry of type {type(plain).__name__}; the column is {kind}, "
            f"give {expected.__name__}"
        )
    text = str(write(plain))
    if not text.isprintable() or len(text) > 256:
        raise UsageError(f"the code list of {name} has an entry that is unprintable or longer than 256; correct it")
    return text


_CODES: dict[str, tuple[type, Any]] = {
    "integer": (int, str),
    "text": (str, str),
    "boolean": (bool, lambda value: "true" if value else "false"),
    "date": (datetime.date, datetime.date.isoformat),
}
