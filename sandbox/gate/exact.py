"""Aggregates from integer moments: exact fractions, rounded once. An output type with every value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from sandbox.gate import two_columns
from sandbox.gate.cells import Cell, Label, pair_of
from sandbox.gate.roots import root
from sandbox.model.expression import ColumnType
from sandbox.model.plan import Aggregate, Measure, Plan

Value = Label
DECIMAL_DIGITS = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputType:
    """Type of an output column. digits: decimals of a `decimal`; wide: an integer SUM, shown as decimal128(38, 0)."""

    name: ColumnType
    digits: int = 0
    wide: bool = False


def measure_of(plan: Plan, aggregate: Aggregate) -> Measure | None:
    """Return the measure that an aggregate is of; None for COUNT(*) and COUNT(DISTINCT key)."""
    if aggregate.input is None or aggregate.measure is None:
        return None
    return plan.inputs[aggregate.input].measures[aggregate.measure]


def decimal_digits(scale: int) -> int | None:
    """Return d if scale = 10^d, else None."""
    digits = len(str(scale)) - 1
    return digits if scale == 10**digits else None


def output_type(plan: Plan, aggregate: Aggregate) -> OutputType:
    """Return the type of an aggregate's column: counts are integers, AVG and spreads floats, SUM as its scale says."""
    measure = measure_of(plan, aggregate)
    if measure is None or aggregate.function == "count":
        return OutputType(name="integer")
    if aggregate.function != "sum":
        return OutputType(name="float")
    digits = decimal_digits(measure.scale)
    if measure.scale == 1 and measure.type == "integer":
        return OutputType(name="integer", wide=True)
    if digits is None or (measure.scale == 1 and measure.type == "float"):
        return OutputType(name="float")
    return OutputType(name="decimal", digits=digits)


def aggregate_value(plan: Plan, aggregate: Aggregate, cell: Cell) -> Value:
    """Return an aggregate's exact value in a cell, None where SQL says NULL (no value; fewer than two for *_SAMP)."""
    measure = measure_of(plan, aggregate)
    if measure is None or aggregate.input is None or aggregate.measure is None:
        return cell.rows if aggregate.function == "count_rows" else cell.keys
    pair = pair_of(aggregate)
    if pair is not None:
        other = plan.inputs[pair[1][0]].measures[pair[1][1]]
        return two_columns.value(aggregate.function, cell.pairs[pair], measure.scale, other.scale)
    moments = cell.moments[aggregate.input, aggregate.measure]
    if aggregate.function == "count":
        return moments.count
    if moments.count == 0 or moments.sum is None:
        return None
    if aggregate.function == "sum":
        return _sum(output_type(plan, aggregate), moments.sum, measure.scale)
    return _of_moments(aggregate.function, moments.count, moments.sum, moments.squares or 0, measure.scale)


def _sum(kind: OutputType, total: int, scale: int) -> Value:
    if kind.name == "integer":
        return total
    if kind.name == "float":
        return float(Fraction(total, scale))
    with localcontext() as context:
        context.prec = max(DECIMAL_DIGITS, len(str(total)) + 1)
        return Decimal(total).scaleb(-kind.digits)


def _of_moments(function: str, count: int, total: int, squares: int, scale: int) -> float | None:
    """AVG = S/N; VAR = (N·Q − S²) / (N(N−1)) or / N²; STDDEV its correctly rounded root."""
    if function == "avg":
        return float(Fraction(total, scale * count))
    freedom = count - 1 if function.endswith("samp") else count
    if freedom == 0:
        return None
    variance = Fraction(count * squares - total * total, count * freedom * scale * scale)
    return float(variance) if function.startswith("var") else root(variance)
