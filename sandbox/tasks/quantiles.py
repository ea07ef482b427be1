"""Quantiles of a released histogram: the bin in which each lies. Computed after the gate, from what it released."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from sandbox.errors import UsageError
from sandbox.model.expression import AggregateRef, FloorDivide, GroupRef
from sandbox.model.plan import Plan

COUNTS = ("count_rows", "count")


def quantile_rows(
    plan: Plan, rows: Iterable[Mapping[str, Any]], fractions: Sequence[float], of: str | None, by: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield, for each combination of the groups `by` and each fraction, the bin that holds the quantile.

    of: the group `column // width` that bins the values, where there are several. A quantile is the smallest value such that at
    least a fraction q of the counted rows are not above it (SQL's QUANTILE_DISC); it is `low` or more, and below `high`, the
    declared bins being the precision. Rows without a value are left out. lacking: bins whose count the gate withheld; they
    count as empty, so that more of them make the answer less sure. Raises UsageError.
    """
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise UsageError(f"a quantile's fraction is above 0 and at most 1, not {fraction}")
    bins, width, count = _binned(plan, of)
    names = [item.name for item in plan.select if isinstance(item.source, GroupRef)]
    strange = [name for name in by if name not in names or name == bins]
    if strange:
        raise UsageError(f"{strange[0]!r} is no other group of this product")
    found: dict[tuple[Any, ...], dict[int, int]] = {}
    lacking: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        counts = found.setdefault(key, {})
        if row[count] is None:
            lacking[key] = lacking.get(key, 0) + 1
        elif row[bins] is not None:
            counts[row[bins]] = counts.get(row[bins], 0) + int(row[count])
    for key, counts in found.items():
        for fraction in fractions:
            label = _holding(counts, fraction)
            ends = {"low": None, "high": None} if label is None else {"low": label * width, "high": (label + 1) * width}
            yield {**dict(zip(by, key, strict=True)), "quantile": fraction, **ends, "lacking": lacking.get(key, 0)}


def _binned(plan: Plan, of: str | None) -> tuple[str, int, str]:
    """Return the column of bins, their width, and the column that counts."""
    bins = {}
    for item in plan.select:
        if isinstance(item.source, GroupRef):
            group = plan.groups[item.source.index]
            expression = plan.inputs[group.input].groups[group.local].expression
            if isinstance(expression, FloorDivide) and not isinstance(expression.operand, FloorDivide):
                bins[item.name] = expression.divisor
    name = next(iter(bins)) if of is None and len(bins) == 1 else of
    if name not in bins:
        raise UsageError(
            f"quantiles need a group column // width; this product has {', '.join(bins) or 'none'}: name one as `of`"
        )
    counts = [
        item.name
        for item in plan.select
        if isinstance(item.source, AggregateRef) and plan.aggregates[item.source.index].function in COUNTS
    ]
    if not counts:
        raise UsageError("quantiles need COUNT(*) or COUNT(column) among the columns")
    return name, bins[name], counts[0]


def _holding(counts: Mapping[int, int], fraction: float) -> int | None:
    place, total = math.ceil(Fraction(str(fraction)) * sum(counts.values())), 0
    for label in sorted(counts):
        total += counts[label]
        if counts[label] and total >= place:
            return label
    return None
