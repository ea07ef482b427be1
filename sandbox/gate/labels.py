"""Labels as documents and back, and the one order in which cells are walked and shown: by labels, NULL last."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sandbox.gate.cells import Label, Labels
from sandbox.model.expression import Literal


def to_literal(label: Label) -> Literal:  # noqa: PLR0911  (one line per type)
    """Return a label's document form."""
    if label is None:
        return Literal(type="null", value="")
    if isinstance(label, bool):
        return Literal(type="boolean", value="true" if label else "false")
    if isinstance(label, int):
        return Literal(type="integer", value=str(label))
    if isinstance(label, float):
        return Literal(type="decimal", value=repr(label))
    if isinstance(label, Decimal):
        return Literal(type="decimal", value=str(label))
    if isinstance(label, datetime):
        return Literal(type="timestamp", value=label.isoformat())
    if isinstance(label, date):
        return Literal(type="date", value=label.isoformat())
    return Literal(type="text", value=label)


def from_literal(literal: Literal) -> Label:  # noqa: PLR0911  (one line per type)
    """Return the Python value of a literal. Raises ValueError or ArithmeticError for a text that is not of its type."""
    match literal.type:
        case "null":
            return None
        case "boolean":
            return literal.value == "true"
        case "integer":
            return int(literal.value)
        case "decimal":
            return Decimal(literal.value)
        case "date":
            return date.fromisoformat(literal.value)
        case "timestamp":
            return datetime.fromisoformat(literal.value)
        case "text":
            return literal.value


def order_key(labels: Labels) -> tuple[tuple[bool, object], ...]:
    """Return a sort key: NULL after every value, text by code point."""
    return tuple((label is None, 0 if label is None else label) for label in labels)
