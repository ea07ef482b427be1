"""Nothing that the rules hide may follow from the other numbers of the same cell (SECONDARY).

COUNT(*) − COUNT(x) is a cell too: the rows without a value. With fewer than k keys behind it, COUNT(x) is withheld wherever
COUNT(*) stays, and so is the last number that would give COUNT(x) away: SUM and AVG together, or a sample and a population
spread or covariance together (their ratio is (N−1)/N). A function of two columns is over rows in which both have a value: where
few keys have further rows with a value in one of them, it does not stand beside amounts of that column, since both together may
tell what those rows hold. Cells of one table are disjoint; relations to earlier products are the difference check's.
Source: Hundepool et al. (2012), section 4.4 (secondary suppression).
"""

from __future__ import annotations

from collections.abc import Collection

from sandbox.gate.algebra import tells_count
from sandbox.gate.cells import Cell, Moments, Place, pair_of, persons, population
from sandbox.model.plan import Aggregate, Plan

NAME = "secondary"


def check(plan: Plan, cell: Cell, standing: Collection[int], *, overlap: int = 1) -> tuple[int, ...]:
    """Return the aggregates, among those still `standing`, that must be withheld as well, in the plan's order.

    Walks in the plan's order and gives up the later one of a revealing pair, so the choice never depends on values.
    """
    withheld = _beside_amounts(plan, cell, sorted(standing), overlap)
    left = [index for index in sorted(standing) if index not in withheld]
    return tuple(sorted(withheld | _telling_counts(plan, cell, left, overlap)))


def _telling_counts(plan: Plan, cell: Cell, standing: Collection[int], overlap: int) -> set[int]:
    withheld: set[int] = set()
    kept: dict[frozenset[Place], set[str]] = {}
    for index in standing:
        aggregate = plan.aggregates[index]
        narrow = population(cell, aggregate)
        wider = _known_counts(plan, cell, aggregate, standing)
        if narrow is None or not any(_few_apart(plan, rows, keys, narrow, overlap) for rows, keys in wider):
            continue
        functions = kept.setdefault(frozenset(_places(aggregate)), set())
        if tells_count(functions | {aggregate.function}):
            withheld.add(index)
        else:
            functions.add(aggregate.function)
    return withheld


def _known_counts(plan: Plan, cell: Cell, aggregate: Aggregate, standing: Collection[int]) -> list[tuple[int, int]]:
    """(rows, keys) of the populations around an aggregate's own whose COUNT stands: COUNT(*), and COUNT(x) around a pair."""
    functions = {plan.aggregates[index].function for index in standing}
    known = [(cell.rows, cell.keys)] if functions & {"count_rows", "count_keys"} else []
    for other in (plan.aggregates[index] for index in standing):
        moments = population(cell, other)
        around = other.function == "count" and _columns(plan, other) < _columns(plan, aggregate)
        if around and moments is not None:
            known.append((moments.count, moments.contributors))
    return known


def _beside_amounts(plan: Plan, cell: Cell, standing: Collection[int], overlap: int) -> set[int]:
    """Functions of two columns and of one of them, over nested rows that few keys make the difference of."""
    withheld: set[int] = set()
    kept: list[int] = []
    for index in standing:
        if any(_reveals(plan, cell, plan.aggregates[index], plan.aggregates[other], overlap) for other in kept):
            withheld.add(index)
        else:
            kept.append(index)
    return withheld


def _reveals(plan: Plan, cell: Cell, one: Aggregate, other: Aggregate, overlap: int) -> bool:
    if (pair_of(one) is None) == (pair_of(other) is None):
        return False
    both, single = (one, other) if pair_of(one) is not None else (other, one)
    wide, narrow = population(cell, single), population(cell, both)
    if wide is None or narrow is None or single.function == "count" or not _columns(plan, single) <= _columns(plan, both):
        return False
    return _few_apart(plan, wide.count, wide.contributors, narrow, overlap)


def _few_apart(plan: Plan, rows: int, keys: int, narrow: Moments, overlap: int) -> bool:
    """Rows beyond a population exist, and fewer than k keys are proved to be behind them."""
    return narrow.count != rows and persons(keys - narrow.contributors, overlap) < plan.rules.min_contributors


def _places(aggregate: Aggregate) -> tuple[Place, ...]:
    if aggregate.input is None or aggregate.measure is None:
        return ()
    return pair_of(aggregate) or ((aggregate.input, aggregate.measure),)


def _columns(plan: Plan, aggregate: Aggregate) -> set[tuple[int, str]]:
    return {(index, plan.inputs[index].measures[measure].column) for index, measure in _places(aggregate)}
