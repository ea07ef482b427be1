"""Shown: one row of a released table by what its numbers are, as anyone reads it beside the plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.gate.cells import Label, Labels, Pair, Place, pair_of
from sandbox.model.expression import AggregateRef, GroupRef
from sandbox.model.plan import Aggregate, Function, Plan

if TYPE_CHECKING:
    import pyarrow as pa

Number = int | float | Decimal
Of = Place | Pair | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One row. labels: by the plan's groups, those that the question shows; is_labelled: it shows all of them.

    values: each column of an aggregate, None for NULL. numbers: those that are there, by function and what it is of.
    """

    labels: Labels
    is_labelled: bool
    values: Mapping[str, Number | None]
    numbers: Mapping[tuple[Function, Of], Number]

    def number(self, function: Function, of: Of = None) -> Number | None:
        """Return a number of this row, if it is shown."""
        return self.numbers.get((function, of))

    def count_of(self, aggregate: Aggregate) -> int | None:
        """Return COUNT(x) of an aggregate of one column, if it is shown."""
        found = self.number("count", of_what(aggregate))
        return None if found is None else int(found)

    @property
    def rows(self) -> int | None:
        """COUNT(*), if it is shown."""
        found = self.number("count_rows")
        return None if found is None else int(found)


def of_what(aggregate: Aggregate) -> Of:
    """Return what an aggregate is of: a measure, two measures, or nothing but rows."""
    pair = pair_of(aggregate)
    if pair is not None or aggregate.input is None or aggregate.measure is None:
        return pair
    return (aggregate.input, aggregate.measure)


def number_columns(plan: Plan, functions: tuple[str, ...] = ()) -> Iterator[tuple[str, Aggregate]]:
    """Yield each output column that holds an aggregate, of some functions or of any."""
    for item in plan.select:
        if isinstance(item.source, AggregateRef):
            aggregate = plan.aggregates[item.source.index]
            if not functions or aggregate.function in functions:
                yield item.name, aggregate


def are_people(plan: Plan) -> bool:
    """Return whether every joined row is another person's."""
    return all(entry.unique for entry in plan.inputs)


def shown_rows(plan: Plan, table: pa.Table) -> list[Shown]:
    """Return the rows of a released table, which has the plan's columns."""
    groups = {item.source.index: item.name for item in plan.select if isinstance(item.source, GroupRef)}
    columns = list(number_columns(plan))
    found = []
    for row in table.to_pylist():
        labels: list[Label] = [row[groups[at]] for at in sorted(groups)]
        numbers = {(item.function, of_what(item)): row[name] for name, item in columns if row[name] is not None}
        values = {name: row[name] for name, _ in columns}
        entry = Shown(labels=tuple(labels), is_labelled=len(groups) == len(plan.groups), values=values, numbers=numbers)
        found.append(entry)
    return found
