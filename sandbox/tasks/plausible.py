"""Plausible: what numbers of one row may be beside each other, and within the bounds that owners declared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from fractions import Fraction

from sandbox.gate.cells import Place, pair_of
from sandbox.model.plan import Aggregate, Function, Plan
from sandbox.tasks.shown import Number, Of, Shown

NEARLY = 1e-9
"""Relative: released floats are rounded once from exact fractions."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What a value may be: the declared bounds; half a unit more where they are no whole units, to which a provider rounds."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """high − low."""
        return self.high - self.low


def intervals(plan: Plan, aggregate: Aggregate) -> tuple[Interval, ...]:
    """Return the interval of each column that an aggregate is of: none for counts, and where no bounds are declared."""
    if aggregate.input is None or aggregate.measure is None:
        return ()
    places = pair_of(aggregate) or ((aggregate.input, aggregate.measure),)
    found = [_interval(plan, place) for place in places]
    return tuple(item for item in found if item is not None) if None not in found else ()


def is_possible(function: Function, of: tuple[Interval, ...], value: Number, count: int | None, rows: int | None) -> bool:
    """Return whether values within their intervals can give this number. count: COUNT(x), rows: COUNT(*), where shown."""
    number = float(value)
    if function == "sum":
        return _sum_is_possible(of[0], number, count, rows)
    if function in ("corr", "regr_r2"):
        return (-1 if function == "corr" else 0) - NEARLY <= number <= 1 + NEARLY
    if function == "avg":
        return of[0].low - _slack(of[0]) <= number <= of[0].high + _slack(of[0])
    if function in ("regr_slope", "regr_intercept"):
        return math.isfinite(number)
    largest = math.prod(item.width for item in (of * 2)[:2]) / 4
    if function.endswith("samp"):
        largest *= count / (count - 1) if count is not None and count > 1 else 2
    if function.startswith("stddev"):
        largest = math.sqrt(largest)
    return (0 if len(of) == 1 else -largest) - NEARLY * largest <= number <= largest * (1 + NEARLY)


def contradicts(row: Shown) -> bool:
    """Return whether numbers of one row cannot stand beside each other."""
    return any(_contradictions(row))


def _interval(plan: Plan, place: Place) -> Interval | None:
    measure = plan.inputs[place[0]].measures[place[1]]
    if measure.lowest is None or measure.highest is None or measure.times is not None:
        return None
    low, high = Fraction(measure.lowest), Fraction(measure.highest)
    is_whole = (low * measure.scale).denominator == (high * measure.scale).denominator == 1
    spare = Fraction(0) if is_whole else Fraction(1, 2 * measure.scale)
    low, high = low - spare, high + spare
    if plan.rules.noise is not None:
        # A noisy sum is moved to within ± bound × values, whatever the sign of the bounds.
        high = Fraction(measure.bound, measure.scale) + spare
        low = -high
    return Interval(low=float(low), high=float(high))


def _sum_is_possible(of: Interval, value: float, count: int | None, rows: int | None) -> bool:
    if count is not None:
        return count * of.low - _slack(of) * count <= value <= count * of.high + _slack(of) * count
    if rows is not None:
        return min(0.0, rows * of.low) - _slack(of) * rows <= value <= max(0.0, rows * of.high) + _slack(of) * rows
    return math.isfinite(value)


def _slack(of: Interval) -> float:
    return NEARLY * max(abs(of.low), abs(of.high))


def _contradictions(row: Shown) -> Iterator[bool]:
    keys, rows = row.number("count_keys"), row.rows
    if keys is not None and rows is not None:
        yield keys > rows
    for of in {of for _, of in row.numbers if of is not None}:
        yield from _of_one(row, of, rows)


def _of_one(row: Shown, of: Of, rows: int | None) -> Iterator[bool]:
    count, total, mean = row.number("count", of), row.number("sum", of), row.number("avg", of)
    if count is not None and rows is not None:
        yield count > rows
    if count is not None and total is not None:
        yield count == 0
    if count and total is not None and mean is not None:
        yield not _same(float(mean), float(Fraction(total) / int(count)))
    roots: tuple[tuple[Function, Function], ...] = (("var_pop", "stddev_pop"), ("var_samp", "stddev_samp"))
    for squared, rooted in roots:
        spread, root = row.number(squared, of), row.number(rooted, of)
        if spread is not None and root is not None:
            yield not _same(float(root) ** 2, float(spread))
    sample, population = row.number("var_samp", of), row.number("var_pop", of)
    if count is not None and count > 1 and sample is not None and population is not None:
        yield not _same(float(sample) * (float(count) - 1), float(population) * float(count))
    correlation, share = row.number("corr", of), row.number("regr_r2", of)
    if correlation is not None and share is not None:
        yield not _same(float(correlation) ** 2, float(share))


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=NEARLY, abs_tol=1e-300)
