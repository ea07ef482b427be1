"""Quantiles of a released histogram: the bin in which each lies. Computed after the gate, from what it released."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sandbox.errors import UsageError
from sandbox.gate.labels import from_literal
from sandbox.model.expression import AggregateRef, Case, ColumnRef, Compare, FloorDivide, GroupRef, IsNull, Literal
from sandbox.model.plan import Aggregate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """The bins of a histogram, in ascending order by number. name: the group's column; count: that of the counts.

    number: a label's number; ends: where a numbered bin begins and where it ends, None where it has no end.
    """

    name: str
    count: str
    number: Callable[[Any], int]
    ends: Callable[[int], tuple[Any, Any]]


def quantile_rows(
    plan: Plan, rows: Iterable[Mapping[str, Any]], fractions: Sequence[float], of: str | None, by: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield, for each combination of the groups `by` and each fraction, the bin that holds the quantile.

    of: the group that bins the values, where there are several: `column // width`, or a CASE over bands of one column. A
    quantile is the smallest value such that at least a fraction q of the counted rows are not above it (SQL's QUANTILE_DISC);
    it is `low` or more, and below `high`, the declared bins being the precision; None where a band has no end. Rows without a
    value are left out. lacking: bins whose count the gate withheld; they count as empty, so that more of them make the answer
    less sure. Raises UsageError.
    """
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"a quantile's fraction is above 0 and at most 1, not {fraction}")
    bins = _binned(plan, of)
    names = [item.name for item in plan.select if isinstance(item.source, GroupRef)]
    strange = [name for name in by if name not in names or name == bins.name]
    if strange:
        raise UsageError(f"{strange[0]!r} is no other group of this product")
    found: dict[tuple[Any, ...], dict[int, int]] = {}
    lacking: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        counts = found.setdefault(key, {})
        if row[bins.count] is None:
            lacking[key] = lacking.get(key, 0) + 1
        elif row[bins.name] is not None:
            place = bins.number(row[bins.name])
            counts[place] = counts.get(place, 0) + int(row[bins.count])
    for key, counts in found.items():
        for fraction in fractions:
            number = _holding(counts, fraction)
            low, high = (None, None) if number is None else bins.ends(number)
            named = dict(zip(by, key, strict=True))
            yield {**named, "quantile": fraction, "low": low, "high": high, "lacking": lacking.get(key, 0)}


def _binned(plan: Plan, of: str | None) -> Bins:
    """Return the bins of the group `of`; unless it is named, of the only `//`, else of the only CASE. Raises UsageError."""
    groups = {item.name: plan.groups[item.source.index] for item in plan.select if isinstance(item.source, GroupRef)}
    widths: dict[str, int] = {}
    cases: dict[str, Case] = {}
    for name, group in groups.items():
        expression = plan.inputs[group.input].groups[group.local].expression
        if isinstance(expression, FloorDivide) and not isinstance(expression.operand, FloorDivide):
            widths[name] = expression.divisor
        elif isinstance(expression, Case):
            cases[name] = expression
    likely = [*(widths or cases)]
    chosen = likely[0] if of is None and len(likely) == 1 else of
    if chosen in widths:
        width = widths[chosen]
        count = _counts(plan)[0][0]
        return Bins(name=chosen, count=count, number=int, ends=lambda number: (number * width, (number + 1) * width))
    if chosen not in cases:
        listed = ", ".join((*widths, *cases)) or "none"
        problem = f"quantiles need a group column // width, or a CASE over bands; this product has {listed}: name one as `of`"
        raise UsageError(problem)
    column, bands = _bands(chosen, cases[chosen])
    numbers = {label: number for number, (label, _, _) in enumerate(bands)}
    count = _counting(plan, groups[chosen].input, column)
    return Bins(name=chosen, count=count, number=numbers.__getitem__, ends=lambda number: bands[number][1:])


def _bands(name: str, case: Case) -> tuple[str, list[tuple[Any, Any, Any]]]:
    """Return the column that a CASE bins, and each band's label, begin and end, ascending. Raises UsageError.

    Only this form says where every value lies: `column < literal`, ascending, or `column >= literal`, descending, and ELSE.
    """
    column: set[str] = set()
    ops: set[str] = set()
    edges: list[Any] = []
    for branch in case.branches:
        condition = branch.condition
        if (
            not isinstance(condition, Compare)
            or not isinstance(condition.left, ColumnRef)
            or not isinstance(condition.right, Literal)
        ):
            break
        column.add(condition.left.name)
        ops.add(condition.op)
        edges.append(from_literal(condition.right))
    upward = ops == {"<"}
    ordered = edges if upward else edges[::-1]
    labels = [from_literal(branch.result) for branch in case.branches]
    labels.append(None if case.otherwise is None else from_literal(case.otherwise))
    plain = len(edges) == len(case.branches) and len(column) == 1 and (upward or ops == {">="})
    if not plain or None in labels or len(set(labels)) < len(labels) or any(a >= b for a, b in itertools.pairwise(ordered)):
        raise UsageError(
            f"the bands of {name} are not in a row: write CASE WHEN x < 10 THEN 'low' WHEN x < 20 THEN 'mid' ELSE 'high' END, "
            "limits ascending (or >= and descending), and a label of its own for each band"
        )
    begins, ends = [None, *ordered], [*ordered, None]
    return column.pop(), list(zip(labels if upward else labels[::-1], begins, ends, strict=True))


def _counts(plan: Plan) -> list[tuple[str, Aggregate]]:
    """Return the columns that count, in order. Raises UsageError where there are none."""
    found = []
    for item in plan.select:
        if isinstance(item.source, AggregateRef):
            aggregate = plan.aggregates[item.source.index]
            if aggregate.function in ("count_rows", "count"):
                found.append((item.name, aggregate))
    if not found:
        raise UsageError("quantiles need COUNT(*) or COUNT(column) among the columns")
    return found


def _counting(plan: Plan, part: int, column: str) -> str:
    """Return the column that counts rows with a value of a binned column: ELSE takes rows without one as well."""
    counts, entry = _counts(plan), plan.inputs[part]
    for name, aggregate in counts:
        if aggregate.input == part and aggregate.measure is not None and entry.measures[aggregate.measure].column == column:
            return name
    if IsNull(operand=ColumnRef(name=column), negated=True) in entry.filters:
        return counts[0][0]
    raise UsageError(
        f"ELSE takes rows without a value of {column} too: ask COUNT({column}), or keep rows WHERE {column} IS NOT NULL"
    )


def _holding(counts: Mapping[int, int], fraction: float) -> int | None:
    place, total = math.ceil(Fraction(str(fraction)) * sum(counts.values())), 0
    for label in sorted(counts):
        total += counts[label]
        if counts[label] and total >= place:
            return label
    return None
