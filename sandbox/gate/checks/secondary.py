"""Nothing that the rules hide may follow from the other numbers of the same cell (SECONDARY).

COUNT(*) − COUNT(x) is a cell too: the rows without a value. With fewer than k keys behind it, COUNT(x) is withheld wherever
COUNT(*) stays, and so is the last number that would give COUNT(x) away: SUM and AVG together, or a sample and a population
spread together (their ratio is (N−1)/N). Cells of one table are disjoint, so no other relation exists inside a product;
relations to earlier products are the difference check's.
Source: Hundepool et al. (2012), section 4.4 (secondary suppression).
"""

from __future__ import annotations

from collections.abc import Collection

from sandbox.gate.algebra import tells_count
from sandbox.gate.cells import Cell
from sandbox.model.plan import Aggregate, Plan

NAME = "secondary"


def check(plan: Plan, cell: Cell, standing: Collection[int]) -> tuple[int, ...]:
    """Return the aggregates, among those still `standing`, that must be withheld as well, in the plan's order.

    Walks in the plan's order and gives up the later one of a revealing pair, so the choice never depends on values.
    """
    functions = {plan.aggregates[index].function for index in standing}
    if not functions & {"count_rows", "count_keys"}:
        return ()
    withheld: list[int] = []
    for measure in dict.fromkeys(_measure(plan.aggregates[index]) for index in sorted(standing)):
        if measure is None or not _few_without_value(plan, cell, measure):
            continue
        kept: set[str] = set()
        for index in sorted(standing):
            aggregate = plan.aggregates[index]
            if _measure(aggregate) != measure:
                continue
            if tells_count(kept | {aggregate.function}):
                withheld.append(index)
            else:
                kept.add(aggregate.function)
    return tuple(sorted(withheld))


def _measure(aggregate: Aggregate) -> tuple[int, int] | None:
    if aggregate.input is None or aggregate.measure is None:
        return None
    return aggregate.input, aggregate.measure


def _few_without_value(plan: Plan, cell: Cell, measure: tuple[int, int]) -> bool:
    """Rows without a value exist, and fewer than k keys are proved to be behind them."""
    moments = cell.moments[measure]
    if moments.count == cell.rows:
        return False
    return cell.keys - moments.contributors < plan.rules.min_contributors
