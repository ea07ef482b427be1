"""Elementary values of a column: one representative for each set of values that no condition or band tells apart.

A representative may be missing without harm (two conditions then look alike, and contradicting counts refuse the release); a
superfluous one could hide a difference. Hence columns count as integers unless something says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sandbox.gate.cells import Label
from sandbox.gate.expressions import truncate
from sandbox.gate.labels import from_literal
from sandbox.model.expression import (
    Case,
    ColumnRef,
    Compare,
    DateTrunc,
    Expression,
    FloorDivide,
    In,
    IsNull,
    Literal,
    Logic,
    Not,
)


class BeyondModel(Exception):  # noqa: N818  (a limit of the analysis, not a fault)
    """The conditions cannot be turned into atoms exactly; the message names the limit."""


@dataclass(slots=True)
class Cuts:
    """Where the conditions on one asset's columns can change their truth, by column."""

    points: dict[str, set[Label]] = field(default_factory=dict)

    def add_condition(self, expression: Expression) -> None:
        """Note every place where a condition can change. Raises BeyondModel for columns compared with each other."""
        match expression:
            case Compare():
                self._compare(expression.left, expression.right)
            case In():
                for option in expression.options:
                    self._compare(expression.operand, option)
            case Logic():
                for term in expression.terms:
                    self.add_condition(term)
            case Not() | IsNull():
                self.add_condition(expression.operand)
            case ColumnRef():
                self.points.setdefault(expression.name, set())
            case FloorDivide() | DateTrunc():
                self.add_condition(expression.operand)
            case Case():
                for branch in expression.branches:
                    self.add_condition(branch.condition)
            case Literal():
                return
            case _:
                raise BeyondModel("a condition refers to something that is not a column")

    def add_group(self, expression: Expression, labels: Iterable[Label]) -> None:
        """Note the places where a GROUP BY expression passes from one seen label to another."""
        self.add_condition(expression)
        if not isinstance(expression, Case):
            for label in labels:
                self._cut(expression, label)

    def _compare(self, left: Expression, right: Expression) -> None:
        if isinstance(left, Literal):
            left, right = right, left
        if not isinstance(right, Literal):
            raise BeyondModel("a condition compares columns with each other")
        self.add_condition(left)
        if not isinstance(left, Literal | Case):
            self._cut(left, from_literal(right))

    def _cut(self, path: Expression, value: Label) -> None:
        """Carry a cut of an expression's value back to its column."""
        if value is None:
            return
        match path:
            case ColumnRef():
                self.points.setdefault(path.name, set()).add(plain(value))
            case FloorDivide():
                floor = math.floor(Fraction(_number(value)))
                self._cut(path.operand, floor * path.divisor)
                self._cut(path.operand, (floor + 1) * path.divisor)
            case DateTrunc():
                start = truncate(path.unit, value)
                self._cut(path.operand, start)
                self._cut(path.operand, _next(path.unit, start))
            case _:
                raise BeyondModel("a condition computes with the truth of another one")


@dataclass(frozen=True, slots=True)
class Elementary:
    """A representative. doubt: 0 for values that conditions speak of, 1 beyond the outermost of them, 2 for NULL.

    Whoever knows that nobody has a doubtful value (a published range, no missing values) can compute more than who does not.
    """

    value: Label
    doubt: int = 0


def representatives(points: Iterable[Label]) -> tuple[Elementary, ...]:
    """Return NULL, each point, and one value of each gap between neighbours and outside; a boolean has its two values."""
    values = list(points)
    missing = Elementary(None, 2)
    if not values or all(isinstance(value, bool) for value in values):
        return (missing, Elementary(False), Elementary(True)) if values else (missing, Elementary(0))
    if any(isinstance(value, bool) for value in values) or len({_family(value) for value in values}) > 1:
        raise BeyondModel("a column is compared with values of several types")
    ordered = sorted(values, key=_comparable)
    result = [missing, *(Elementary(value, 1) for value in _below(ordered[0]))]
    for here, following in zip(ordered, [*ordered[1:], None], strict=True):
        outside = following is None or isinstance(here, str)
        result += [Elementary(here), *(Elementary(value, int(outside)) for value in _between(here, following))]
    return tuple(result)


def _number(value: Label) -> int | Decimal | float:
    if isinstance(value, int | float | Decimal):
        return value
    raise BeyondModel("// meets a value that is not a number")


def plain(value: Label) -> Label:
    """Return a value in the one form that equal values share: whole numbers int, others Decimal, dates their midnight."""
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else Decimal(repr(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value


def _family(value: Label) -> str:
    if isinstance(value, str):
        return "text"
    return "time" if isinstance(value, datetime) else "number"


def _comparable(value: Label) -> Any:
    return value


def _below(value: Label) -> tuple[Label, ...]:
    if isinstance(value, str):
        return ("",) if value else ()
    return (value - timedelta(days=1),) if isinstance(value, datetime) else (_number(value) - 1,)


def _between(value: Label, following: Label) -> tuple[Label, ...]:
    """One value strictly between, if there is one; integers have none between neighbours, dates none within a day."""
    inner: Label
    if isinstance(value, str):
        inner = value + "\0"
    elif isinstance(value, datetime):
        midnight = value == truncate("day", value) and (following is None or following == truncate("day", following))
        inner = value + (timedelta(days=1) if midnight else timedelta(microseconds=1))
    elif isinstance(value, int) and (following is None or isinstance(following, int)):
        inner = value + 1
    else:
        low, high = Fraction(_number(value)), Fraction(_number(following) if following is not None else _number(value) + 2)
        middle = (low + high) / 2
        inner = Decimal(middle.numerator) / Decimal(middle.denominator)
    return (inner,) if following is None or _comparable(inner) < _comparable(following) else ()


def _next(unit: str, start: Label) -> Label:
    if not isinstance(start, date):
        raise BeyondModel("date_trunc meets a value that is not a date")
    days = {"year": 366, "quarter": 92, "month": 31, "week": 7, "day": 1}
    if unit == "hour":
        return start + timedelta(hours=1)
    return truncate(unit, start + timedelta(days=days[unit]))
