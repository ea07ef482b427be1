"""Outsider: what several published products together tell, by the gate's own check, from what is published alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.gate.cells import Cell, CellTable, Labels, Moments, Place, ProviderNote
from sandbox.gate.checks import difference
from sandbox.gate.history.comparison import compare
from sandbox.gate.labels import from_literal, order_key
from sandbox.gate.model import model_record
from sandbox.gate.record import MERGED, record_of
from sandbox.model.decision import Reason
from sandbox.model.expression import AggregateRef
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard, ReleaseRecord
from sandbox.tasks.fitting import overlap_of
from sandbox.tasks.shown import Shown, of_what, shown_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A product as anyone reads it."""

    plan: Plan
    table: pa.Table
    card: ProductCard


def differences(product: Published, others: Sequence[Published]) -> tuple[tuple[Labels, str], ...] | None:
    """Return the numbers of a product, as (labels, column), that tell with others of too few people. None: undecided.

    Only populations count whose COUNT is shown. Where keys repeat, rows stand for people, of whom there are no more: what is
    found is found, and there may be more that only the gate could see.
    """
    record, past = _record(product), [found for other in others if (found := _record(other)) is not None]
    if record is None:
        return None
    answer = difference.check(compare(record, past, rules=product.plan.rules))
    if "inconclusive" in answer.refused.values():
        return None
    names = {item.source.index: item.name for item in product.plan.select if isinstance(item.source, AggregateRef)}
    return tuple(
        (tuple(map(from_literal, record.cells[position].labels)), names.get(aggregate, ""))
        for position, aggregate in sorted(answer.refused)
    )


def _record(product: Published) -> ReleaseRecord | None:
    """What the history would keep of a product, as far as it is published; None for noise, or groups that are not shown."""
    plan, card = product.plan, product.card
    if plan.fit is not None:
        parts, rounds = tuple(source.asset for source in card.sources), () if card.model is None else card.model.rounds
        rows_behind = (rounds[-1].rows if rounds else None) or 0
        return model_record(plan, rows=rows_behind, parts=parts, overlap=overlap_of(plan, len(parts)))
    rows = shown_rows(plan, product.table)
    if plan.rules.noise is not None or not all(row.is_labelled for row in rows):
        return None
    cells = {row.labels: _cell(plan, row) for row in rows if row.numbers}
    unseen = {tuple(map(from_literal, item.labels)) for item in card.withheld} - cells.keys()
    overlap = 1 if plan.federation is None or plan.federation.disjoint else len(card.sources)
    parts = tuple(source.asset for source in card.sources) if plan.federation is not None else ()
    notes = tuple(
        ProviderNote(input=at, keys_removed=1)
        for at, entry in enumerate(plan.inputs)
        if any((item.asset, item.keys == "0") == (entry.asset, False) for item in card.dropped)
    )
    table = CellTable(cells=tuple(cells.values()), below=tuple(unseen), notes=notes, parts=parts, overlap=overlap)
    hidden = {row.labels: _unknown(plan, row) for row in rows if row.numbers}
    ordered = sorted(cells.values(), key=lambda cell: order_key(cell.labels))
    return record_of(plan, table, ordered, (), withheld=hidden, small=())


def _cell(plan: Plan, row: Shown) -> Cell:
    keys = row.number("count_keys")
    rows = row.rows if row.rows is not None else int(keys or 0)
    people = rows if keys is None else int(keys)
    moments: dict[Place, Moments] = {}
    for aggregate in plan.aggregates:
        if aggregate.input is not None and aggregate.measure is not None:
            count = row.number("count", (aggregate.input, aggregate.measure)) or 0
            moments[aggregate.input, aggregate.measure] = Moments(contributors=int(count), count=int(count))
    return Cell(labels=row.labels, keys=people, rows=rows, moments=moments)


def _unknown(plan: Plan, row: Shown) -> dict[int, Reason]:
    """The aggregates of which an outsider knows no count: withheld ones, and those of x where COUNT(x) is not shown.

    Under the reason that says nothing of sizes: differences do not look at reasons.
    """
    found: dict[int, Reason] = {}
    for index, aggregate in enumerate(plan.aggregates):
        of = of_what(aggregate)
        shown = row.number(aggregate.function, of) is not None
        counted = of is None or row.number("count", of) is not None
        if not (shown and counted):
            found[index] = MERGED
    return found
