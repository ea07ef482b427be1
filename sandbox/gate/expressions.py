"""Expressions over plain values, with SQL's three truths: for HAVING over released values, and for history over atoms."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sandbox.errors import UsageError
from sandbox.gate.cells import Label
from sandbox.gate.labels import from_literal
from sandbox.model.expression import (
    AggregateRef,
    Case,
    ColumnRef,
    Compare,
    DateTrunc,
    Expression,
    FloorDivide,
    GroupRef,
    In,
    IsNull,
    Literal,
    Logic,
    Not,
)

Lookup = Callable[[ColumnRef | GroupRef | AggregateRef], Label]
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MONTHS = {"year": 12, "quarter": 3, "month": 1}


def evaluate(expression: Expression, lookup: Lookup) -> Label:  # noqa: PLR0911  (one line per node)
    """Return an expression's value; NULL is None. `lookup` gives the values of references.

    Raises UsageError where two types cannot be compared: the planner's type check should have refused the question.
    """
    match expression:
        case Literal():
            return from_literal(expression)
        case ColumnRef() | GroupRef() | AggregateRef():
            return lookup(expression)
        case Compare():
            return compare(expression.op, evaluate(expression.left, lookup), evaluate(expression.right, lookup))
        case In():
            return _within(expression, evaluate(expression.operand, lookup))
        case IsNull():
            return (evaluate(expression.operand, lookup) is None) != expression.negated
        case Logic():
            return _logic(expression, lookup)
        case Not():
            value = evaluate(expression.operand, lookup)
            return None if value is None else not value
        case FloorDivide():
            return _floor(evaluate(expression.operand, lookup), expression.divisor)
        case DateTrunc():
            return truncate(expression.unit, evaluate(expression.operand, lookup))
        case Case():
            return _case(expression, lookup)


def compare(op: str, left: Label, right: Label) -> bool | None:
    """Return `left op right`, None if a side is NULL. Beside a timestamp a date is its midnight; beside a float, a float."""
    if left is None or right is None:
        return None
    left, right = _aligned(left, right), _aligned(right, left)
    try:
        return _COMPARISONS[op](left, right)
    except TypeError:
        raise UsageError(f"cannot compare {type(left).__name__} with {type(right).__name__}") from None


def truncate(unit: str, value: Label) -> Label:
    """Return date_trunc(unit, value): a date stays a date (hours aside), a timestamp a timestamp; weeks start on Monday."""
    if value is None:
        return None
    if not isinstance(value, date):
        raise UsageError(f"date_trunc needs a date or a timestamp, not {type(value).__name__}")
    if unit == "hour":
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return moment.replace(minute=0, second=0, microsecond=0)
    day = datetime(value.year, value.month, value.day) if isinstance(value, datetime) else value
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day if unit == "day" else day.replace(month=(day.month - 1) // _MONTHS[unit] * _MONTHS[unit] + 1, day=1)


def _aligned(value: Label, other: Label) -> Label:
    if isinstance(other, float) and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    if isinstance(other, datetime) and isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value


def _within(expression: In, value: Label) -> bool | None:
    if value is None:
        return None
    answers = [compare("=", value, from_literal(option)) for option in expression.options]
    if any(answers):
        return not expression.negated
    return None if None in answers else expression.negated


def _logic(expression: Logic, lookup: Lookup) -> bool | None:
    answers = [evaluate(term, lookup) for term in expression.terms]
    decisive = expression.op == "or"
    if any(answer is not None and bool(answer) == decisive for answer in answers):
        return decisive
    return None if None in answers else not decisive


def _floor(value: Label, divisor: int) -> Label:
    if value is None:
        return None
    if isinstance(value, int):
        return value // divisor
    if isinstance(value, float | Decimal):
        return math.floor(Fraction(value) / divisor)
    raise UsageError(f"// needs a number, not {type(value).__name__}")


def _case(expression: Case, lookup: Lookup) -> Label:
    for branch in expression.branches:
        if evaluate(branch.condition, lookup):
            return from_literal(branch.result)
    return None if expression.otherwise is None else from_literal(expression.otherwise)
