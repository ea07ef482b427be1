"""Outsider: what several published products together tell, by the gate's own check, from what is published alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from sandbox.gate.cells import Cell, CellTable, Labels, Moments, Place, ProviderNote
from sandbox.gate.checks import difference, reconstruction
from sandbox.gate.history.comparison import Comparison, compare
from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.outlook import cell_ranges
from sandbox.gate.history.programme import ContradictionError
from sandbox.gate.labels import from_literal, order_key
from sandbox.gate.model import model_record
from sandbox.gate.record import MERGED, record_of
from sandbox.model.decision import Reason, Verdict
from sandbox.model.expression import AggregateRef
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard, ReleaseRecord, Suppression
from sandbox.tasks.models.fitting import overlap_of
from sandbox.tasks.shown import Shown, of_what, shown_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A product as anyone reads it."""

    plan: Plan
    table: pa.Table
    card: ProductCard


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What a product tells with others. numbers: those, as (labels, column), that tell too much; None: it cannot be decided.

    compared: how many of the others have populations that can be compared with its own at all.
    """

    numbers: tuple[tuple[Labels, str], ...] | None
    compared: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A cell whose count was withheld: the fewest and most contributors that it can have; no most where nothing bounds it.

    plan: digest of the plan of its product. low: None where a limit was met.
    """

    plan: str
    labels: Labels
    low: int | None
    high: int | None


def differences(product: Published, others: Sequence[Published]) -> Together:
    """Return the numbers of a product of which a combination with others is the indicator of too few people.

    Only populations count whose COUNT is shown. Where keys repeat, rows stand for people, of whom there are no more: what is
    found is found, and there may be more that only the gate could see.
    """
    return _together(product, others, lambda comparison: difference.check(comparison).refused)


def reconstructions(product: Published, others: Sequence[Published]) -> Together:
    """Return the numbers of a product that, with all numbers and reasons of others, bound a small count too closely.

    Only for products in which every joined row is another person's: where keys repeat, a count of rows states none of people.
    """
    return _together(product, others, lambda comparison: reconstruction.check(comparison).refused)


def bounds_of_withheld(product: Published, others: Sequence[Published]) -> tuple[Bounds, ...] | None:
    """Return what a product, with others, lets anyone conclude of the contributors of each cell without a count.

    Cells of the others that are comparable are among them. From numbers, labels and reasons as published; by programmes with
    limits on nodes, in the way of the gate's `reconstruction`. None: undecided, or the products contradict each other.
    """
    record, past = _record(product), [found for other in others if (found := _record(other)) is not None]
    if record is None:
        return None
    try:
        ranges = list(cell_ranges(compare(record, past, rules=product.plan.rules)))
    except (BeyondModel, ContradictionError):
        return None
    return tuple(
        Bounds(plan=one.plan_digest, labels=tuple(map(from_literal, one.cells[position].labels)), low=low, high=high)
        for one, position, low, high in ranges
    )


def _together(
    product: Published, others: Sequence[Published], check: Callable[[Comparison], Mapping[tuple[int, int], Verdict]]
) -> Together:
    record, past = _record(product), [found for other in others if (found := _record(other)) is not None]
    if record is None:
        return Together(numbers=None, compared=0)
    comparison = compare(record, past, rules=product.plan.rules)
    refused, compared = check(comparison), len(comparison.past)
    if "inconclusive" in refused.values():
        return Together(numbers=None, compared=compared)
    names = {item.source.index: item.name for item in product.plan.select if isinstance(item.source, AggregateRef)}
    cells = comparison.candidate.cells
    named = [(tuple(map(from_literal, cells[at].labels)), names.get(index, "")) for at, index in sorted(refused)]
    return Together(numbers=tuple(named), compared=compared)


def _record(product: Published) -> ReleaseRecord | None:
    """What the history would keep of a product, as far as it is published.

    None where that is not enough: rows of people, noise, groups that are not shown, and HAVING or LIMIT, which leave cells out.
    """
    plan, card = product.plan, product.card
    if plan.fit is not None:
        parts, rounds = tuple(source.asset for source in card.sources), () if card.model is None else card.model.rounds
        rows_behind = (rounds[-1].rows if rounds else None) or 0
        return model_record(plan, rows=rows_behind, parts=parts, overlap=overlap_of(plan, len(parts)))
    if plan.release is not None:
        return None
    rows = shown_rows(plan, product.table)
    is_cut = plan.having is not None or plan.limit is not None
    if plan.rules.noise is not None or is_cut or not all(row.is_labelled for row in rows):
        return None
    reasons = _reasons(plan, card)
    shown = {row.labels: row for row in rows if row.numbers}
    whole = {labels: _whole(plan, each) for labels, each in reasons.items() if labels not in shown}
    small, rare = ([labels for labels, reason in whole.items() if reason == one] for one in ("BELOW_K", "RARE_GROUP"))
    hidden = [Cell(labels=labels, keys=0, rows=0) for labels in whole if labels not in {*small, *rare}]
    cells = sorted((*(_cell(plan, row) for row in shown.values()), *hidden), key=lambda cell: order_key(cell.labels))
    overlap = plan.overlap(len(card.sources))
    parts = tuple(source.asset for source in card.sources) if plan.federation is not None else ()
    notes = tuple(
        ProviderNote(input=at, keys_removed=1)
        for at, entry in enumerate(plan.inputs)
        if any((item.asset, item.keys == "0") == (entry.asset, False) for item in card.dropped)
    )
    table = CellTable(cells=tuple(cells), below=tuple(small), notes=notes, parts=parts, overlap=overlap)
    withheld = {cell.labels: _unknown(plan, shown.get(cell.labels), reasons.get(cell.labels, {})) for cell in cells}
    record = record_of(plan, table, cells, tuple(rare), withheld=withheld, small=())
    return _as_told(record, reasons, {labels for labels, reason in whole.items() if reason == MERGED})


def _whole(plan: Plan, reasons: Mapping[int, Reason]) -> Reason | None:
    """Why a cell of which nothing is shown is withheld as a whole, as far as its reasons tell; None where each has its own."""
    stated = set(reasons.values())
    if stated == {"BELOW_K"} and all(plan.aggregates[index].input is not None for index in reasons):
        # Too few keys, or enough of them and too few with a value.
        return MERGED
    return stated.pop() if stated in ({"BELOW_K"}, {"RARE_GROUP"}, {MERGED}) else None


def _as_told(record: ReleaseRecord, reasons: Mapping[Labels, Mapping[int, Reason]], vague: Collection[Labels]) -> ReleaseRecord:
    """The record with the reasons that were published and no others: of a number without a known count nothing is said.

    vague: cells withheld as a whole, for a reason that says nothing of sizes.
    """
    known = record.suppression
    if not isinstance(known, Suppression):
        return record
    whole: list[Reason | None] = []
    marks = []
    for cell, one, some in zip(record.cells, known.whole, known.withheld, strict=True):
        labels = tuple(map(from_literal, cell.labels))
        told = {} if labels in vague else reasons.get(labels, {})
        whole.append(MERGED if labels in vague else one)
        marks.append(tuple(mark for mark in some if mark.aggregate in told))
    suppression = msgspec.structs.replace(known, whole=tuple(whole), withheld=tuple(marks))
    return msgspec.structs.replace(record, suppression=suppression)


def _reasons(plan: Plan, card: ProductCard) -> dict[Labels, dict[int, Reason]]:
    """Why each aggregate of each cell that has a withheld one is withheld, as the card says."""
    numbers = {item.name: item.source.index for item in plan.select if isinstance(item.source, AggregateRef)}
    found: dict[Labels, dict[int, Reason]] = {}
    for item in card.withheld:
        if item.column in numbers:
            found.setdefault(tuple(map(from_literal, item.labels)), {})[numbers[item.column]] = item.reason
    return found


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


def _unknown(plan: Plan, row: Shown | None, reasons: Mapping[int, Reason]) -> dict[int, Reason]:
    """The aggregates of which an outsider knows no count, with the reason that was published.

    Those of x where COUNT(x) is not shown, and aggregates that the question does not show, under the reason that says nothing.
    """
    found: dict[int, Reason] = {}
    for index, aggregate in enumerate(plan.aggregates):
        of = of_what(aggregate)
        shown = row is not None and row.number(aggregate.function, of) is not None
        counted = row is not None and (of is None or row.number("count", of) is not None)
        if not (shown and counted):
            found[index] = reasons.get(index, MERGED)
    return found
