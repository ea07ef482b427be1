"""The released table: HAVING, ORDER BY and LIMIT over released values, then the question's columns, typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.gate.cells import Label, Labels
from sandbox.gate.exact import DECIMAL_DIGITS, OutputType, Value, output_type
from sandbox.gate.expressions import evaluate
from sandbox.gate.labels import order_key
from sandbox.model.decision import Reason
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
from sandbox.model.plan import Order, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCell:
    """A cell after all checks. values: one per plan aggregate, None where withheld or SQL's NULL; reasons: by aggregate."""

    labels: Labels
    values: tuple[Value, ...]
    reasons: dict[int, Reason]

    def is_withheld(self, index: int) -> bool:
        """Return whether an aggregate is NULL because a check withheld it."""
        return self.reasons.get(index, "NO_VALUES") != "NO_VALUES"

    @property
    def wholly_withheld(self) -> bool:
        """True if nothing of the cell but its labels may be shown."""
        return all(self.is_withheld(index) for index in range(len(self.values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputColumn:
    """Name and type of one column of the product."""

    name: str
    type: OutputType


def columns(plan: Plan, cells: Iterable[JudgedCell]) -> tuple[OutputColumn, ...]:
    """Return the question's columns; a decimal group's digits are those of its finest label."""
    labels = [cell.labels for cell in cells]
    result: list[OutputColumn] = []
    for item in plan.select:
        if isinstance(item.source, AggregateRef):
            result.append(OutputColumn(name=item.name, type=output_type(plan, plan.aggregates[item.source.index])))
            continue
        index = item.source.index
        digits = max((_digits(row[index]) for row in labels), default=0)
        result.append(OutputColumn(name=item.name, type=OutputType(name=plan.groups[index].type, digits=digits)))
    return tuple(result)


def arrange(plan: Plan, cells: Iterable[JudgedCell]) -> tuple[JudgedCell, ...]:
    """Return the cells that the table shows, in its order.

    HAVING: a cell stays if a check withheld all of it, or anything that HAVING reads; else HAVING decides on released values.
    ORDER BY: withheld is NULL and sorts where the question puts NULLs; ties and a missing ORDER BY fall to the labels.
    LIMIT: cuts what is then in order. All three depend on released values and labels only, so neither presence nor rank
    tells anything about a withheld value.
    """
    stays = [cell for cell in cells if _having(plan, cell)]
    ordered = sorted(stays, key=lambda cell: order_key(cell.labels))
    for term in reversed(plan.order_by):
        ordered = _sorted(ordered, term)
    return tuple(ordered if plan.limit is None else ordered[: plan.limit])


def row(plan: Plan, cell: JudgedCell) -> tuple[Value, ...]:
    """Return a cell as one row of the question's columns."""
    return tuple(_lookup(cell, item.source) for item in plan.select)


def to_arrow(names: Sequence[OutputColumn], rows: Sequence[tuple[Value, ...]]) -> Any:
    """Return the rows as a pyarrow.Table: counts int64, integer SUM decimal128(38, 0), decimals decimal128(38, d)."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "float": pa.float64(),
    }
    arrays, fields = [], []
    for position, column in enumerate(names):
        values: list[Value] = [line[position] for line in rows]
        if column.type.name == "decimal" or column.type.wide:
            kind = pa.decimal128(DECIMAL_DIGITS, column.type.digits)
            values = [None if value is None else Decimal(str(value)) for value in values]
        else:
            kind = kinds.get(column.type.name, pa.int64())
        arrays.append(pa.array(values, type=kind))
        fields.append(pa.field(column.name, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _having(plan: Plan, cell: JudgedCell) -> bool:
    if plan.having is None or cell.wholly_withheld:
        return True
    if any(cell.is_withheld(index) for index in aggregates_in(plan.having)):
        return True
    return bool(evaluate(plan.having, lambda reference: _lookup(cell, reference)))


def aggregates_in(expression: Expression) -> frozenset[int]:
    """Return the indices of the aggregates that an expression reads."""
    match expression:
        case AggregateRef():
            return frozenset({expression.index})
        case Compare():
            parts: tuple[Expression, ...] = (expression.left, expression.right)
        case Logic():
            parts = expression.terms
        case In() | IsNull() | Not() | FloorDivide() | DateTrunc():
            parts = (expression.operand,)
        case Case():
            parts = tuple(branch.condition for branch in expression.branches)
        case Literal() | ColumnRef() | GroupRef():
            parts = ()
    return frozenset(index for part in parts for index in aggregates_in(part))


def _sorted(cells: list[JudgedCell], term: Order) -> list[JudgedCell]:
    """Stable in both directions: `reverse` would keep the order of equals, and NULLs are placed apart from values."""
    present = [cell for cell in cells if _lookup(cell, term.by) is not None]
    absent = [cell for cell in cells if _lookup(cell, term.by) is None]
    present.sort(key=lambda cell: order_key((_lookup(cell, term.by),)), reverse=term.descending)
    return absent + present if term.nulls_first else present + absent


def _lookup(cell: JudgedCell, reference: ColumnRef | GroupRef | AggregateRef) -> Label:
    if isinstance(reference, GroupRef):
        return cell.labels[reference.index]
    if isinstance(reference, AggregateRef):
        return cell.values[reference.index]
    return None


def _digits(label: Label) -> int:
    exponent = getattr(label, "as_tuple", lambda: None)()
    return max(0, -exponent.exponent) if exponent is not None and isinstance(exponent.exponent, int) else 0
