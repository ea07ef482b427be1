"""Expressions that a plan carries: typed trees over one provider's columns, or over a plan's groups and aggregates."""

from __future__ import annotations

from typing import Literal as OneOf

from sandbox.model.canonical import Document

ColumnType = OneOf["integer", "decimal", "float", "text", "boolean", "date", "timestamp"]
LiteralType = OneOf["integer", "decimal", "text", "boolean", "date", "timestamp", "null"]


class Literal(Document, frozen=True, kw_only=True, tag_field="node", tag="literal"):
    """A constant. value is its text form: `-12`, `0.5`, `diabetes`, `true`, `2026-01-31`; `` for null."""

    type: LiteralType
    value: str


class ColumnRef(Document, frozen=True, kw_only=True, tag_field="node", tag="column"):
    """A column of the input's own table."""

    name: str


class GroupRef(Document, frozen=True, kw_only=True, tag_field="node", tag="group"):
    """A group of the plan, by index (in HAVING and ORDER BY)."""

    index: int


class AggregateRef(Document, frozen=True, kw_only=True, tag_field="node", tag="aggregate"):
    """An aggregate of the plan, by index (in HAVING and ORDER BY)."""

    index: int


class Compare(Document, frozen=True, kw_only=True, tag_field="node", tag="compare"):
    """left op right."""

    op: OneOf["=", "<>", "<", "<=", ">", ">="]
    left: Expression
    right: Expression


class In(Document, frozen=True, kw_only=True, tag_field="node", tag="in"):
    """operand [NOT] IN (literals)."""

    operand: Expression
    options: tuple[Literal, ...]
    negated: bool = False


class IsNull(Document, frozen=True, kw_only=True, tag_field="node", tag="is_null"):
    """operand IS [NOT] NULL."""

    operand: Expression
    negated: bool = False


class Logic(Document, frozen=True, kw_only=True, tag_field="node", tag="logic"):
    """terms joined by AND or OR."""

    op: OneOf["and", "or"]
    terms: tuple[Expression, ...]


class Not(Document, frozen=True, kw_only=True, tag_field="node", tag="not"):
    """NOT operand."""

    operand: Expression


class FloorDivide(Document, frozen=True, kw_only=True, tag_field="node", tag="floor_divide"):
    """operand // divisor (floors; divisor is a positive integer)."""

    operand: Expression
    divisor: int


class DateTrunc(Document, frozen=True, kw_only=True, tag_field="node", tag="date_trunc"):
    """date_trunc(unit, operand)."""

    unit: OneOf["year", "quarter", "month", "week", "day", "hour"]
    operand: Expression


class Branch(Document, frozen=True, kw_only=True):
    """WHEN condition THEN result."""

    condition: Expression
    result: Literal


class Case(Document, frozen=True, kw_only=True, tag_field="node", tag="case"):
    """CASE over literal bands; without ELSE the result is NULL."""

    branches: tuple[Branch, ...]
    otherwise: Literal | None = None


Expression = (
    Literal | ColumnRef | GroupRef | AggregateRef | Compare | In | IsNull | Logic | Not | FloorDivide | DateTrunc | Case
)
