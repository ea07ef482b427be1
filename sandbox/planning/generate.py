"""Expressions of a plan as DuckDB SQL: quoted names, every literal a bound parameter with its type."""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation

from sandbox.errors import UsageError
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

Parameter = int | float | str | bool | Decimal | datetime.date | datetime.datetime

_INTEGER_MAX = 2**31 - 1
_MAX_DIGITS = 38


def quote(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def columns_of(expression: Expression) -> set[str]:
    """Return the names of the columns that an expression reads."""
    if isinstance(expression, ColumnRef):
        return {expression.name}
    return set().union(*(columns_of(child) for child in _children(expression)))


def decimal_type(value: Decimal) -> str:
    """Return the narrowest DuckDB type that holds a decimal exactly."""
    _, digits, exponent = value.as_tuple()
    scale = max(0, -exponent) if isinstance(exponent, int) else 0
    return f"DECIMAL({max(len(digits), scale + 1)},{scale})"


class Writer:
    """Writes the expressions of one statement and collects its parameters."""

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []

    def bind(self, value: Parameter, sql_type: str) -> str:
        """Return a typed reference to a new parameter."""
        self.parameters.append(value)
        return f"CAST(${len(self.parameters)} AS {sql_type})"

    def literal(self, literal: Literal) -> str:
        """Return a literal as a parameter. Raises UsageError for one that is not in its canonical form."""
        try:
            return self._literal(literal)
        except (ValueError, InvalidOperation):
            raise UsageError(f"the plan has a malformed literal of type {literal.type}") from None

    def expression(self, expression: Expression) -> str:
        """Return an expression over one table's columns. Raises UsageError for a reference to groups or aggregates."""
        match expression:
            case Literal():
                text = self.literal(expression)
            case ColumnRef():
                text = quote(expression.name)
            case Compare():
                text = f"({self.expression(expression.left)} {expression.op} {self.expression(expression.right)})"
            case In():
                options = ", ".join(self.literal(option) for option in expression.options)
                text = f"({self.expression(expression.operand)} {'NOT ' * expression.negated}IN ({options}))"
            case IsNull():
                text = f"({self.expression(expression.operand)} IS {'NOT ' * expression.negated}NULL)"
            case Logic():
                text = "(" + f" {expression.op.upper()} ".join(self.expression(term) for term in expression.terms) + ")"
            case Not():
                text = f"(NOT {self.expression(expression.operand)})"
            case FloorDivide():
                text = self._floor_divide(expression)
            case DateTrunc():
                text = f"date_trunc('{expression.unit}', {self.expression(expression.operand)})"
            case Case():
                text = self._case(expression)
            case GroupRef() | AggregateRef():
                raise UsageError("the plan uses a group or an aggregate where a provider's columns are expected")
        return text

    def _literal(self, literal: Literal) -> str:
        value: Parameter
        match literal.type:
            case "null":
                return "NULL"
            case "integer":
                number = int(literal.value)
                value, kind = number, "INTEGER" if abs(number) <= _INTEGER_MAX else "BIGINT"
            case "decimal":
                value = Decimal(literal.value)
                if not value.is_finite() or len(value.as_tuple().digits) > _MAX_DIGITS:
                    raise ValueError
                kind = decimal_type(value)
            case "boolean":
                value, kind = literal.value == "true", "BOOLEAN"
            case "date":
                value, kind = datetime.date.fromisoformat(literal.value), "DATE"
            case "timestamp":
                value, kind = datetime.datetime.fromisoformat(literal.value), "TIMESTAMP"
            case "text":
                value, kind = literal.value, "VARCHAR"
        return self.bind(value, kind)

    def _floor_divide(self, expression: FloorDivide) -> str:
        """DuckDB's // truncates towards zero; a negative remainder moves the quotient down to the floor."""
        if expression.divisor < 1:
            raise UsageError("the plan divides by a number that is not positive")
        operand, divisor = self.expression(expression.operand), self.bind(expression.divisor, "BIGINT")
        operand = f"CAST({operand} AS BIGINT)"
        return f"({operand} // {divisor} - CASE WHEN {operand} % {divisor} < 0 THEN 1 ELSE 0 END)"

    def _case(self, expression: Case) -> str:
        branches = "".join(
            f" WHEN {self.expression(branch.condition)} THEN {self.literal(branch.result)}" for branch in expression.branches
        )
        otherwise = "" if expression.otherwise is None else f" ELSE {self.literal(expression.otherwise)}"
        return f"CASE{branches}{otherwise} END"


def _children(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Compare():
            return (expression.left, expression.right)
        case Logic():
            return expression.terms
        case In() | IsNull() | Not() | FloorDivide() | DateTrunc():
            return (expression.operand,)
        case Case():
            return tuple(branch.condition for branch in expression.branches)
        case _:
            return ()
