"""The history's record of a release: populations of what was released; labels and reasons of what was not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from sandbox.gate.cells import Cell, CellTable, Labels, population
from sandbox.gate.labels import order_key, to_literal
from sandbox.model.decision import Reason
from sandbox.model.plan import Plan
from sandbox.model.product import (
    RecordedCell,
    RecordedInput,
    RecordedParts,
    ReleasedCount,
    ReleaseRecord,
    Suppression,
    WithheldCount,
)

MERGED: Reason = "RECONSTRUCTION"
RARE: Reason = "RARE_GROUP"


def record_of(
    plan: Plan,
    table: CellTable,
    cells: Sequence[Cell],
    rare: Sequence[Labels],
    *,
    withheld: Mapping[Labels, Mapping[int, Reason]],
    small: Collection[Labels],
) -> ReleaseRecord:
    """Return the record of `cells`, each without the aggregates that `withheld` names; other groups appear by labels only.

    small: the cells that have fewer keys than the rules ask for. Cells that HAVING or LIMIT drops are recorded as released: a
    conservative choice, since their absence tells something too.
    """
    trimmed = {note.input for note in table.notes if note.keys_removed or note.rows_removed}
    seen = [
        RecordedCell(labels=tuple(map(to_literal, cell.labels)), counts=_counts(plan, cell, withheld.get(cell.labels, ())))
        for cell in cells
    ]
    below: Reason = "BELOW_K"
    hidden = dict.fromkeys(table.below, below) | dict.fromkeys(rare, RARE)
    others = sorted(hidden, key=order_key)
    unseen = [RecordedCell(labels=tuple(map(to_literal, labels)), counts=()) for labels in others]
    suppression = Suppression(
        rules=plan.rules,
        whole=(*(below if cell.labels in small else None for cell in cells), *(hidden[labels] for labels in others)),
        withheld=(
            *(() if cell.labels in small else _marks(withheld.get(cell.labels, {})) for cell in cells),
            *(() for _ in others),
        ),
    )
    return ReleaseRecord(
        version=2,
        plan_digest=plan.digest(),
        key_domain=plan.key_domain.name,
        inputs=inputs_of(plan, trimmed),
        groups=plan.groups,
        aggregates=plan.aggregates,
        cells=(*seen, *unseen),
        parts=_parts(plan, table),
        suppression=suppression,
    )


def inputs_of(plan: Plan, trimmed: Collection[int]) -> tuple[RecordedInput, ...]:
    """The plan's inputs; of a federated table the one whole that its parts make, whose version moves with each of theirs."""
    entries = plan.inputs
    if plan.federation is not None:
        version, unique = sum(entry.asset_version for entry in plan.inputs), all(entry.unique for entry in plan.inputs)
        whole = msgspec.structs.replace(
            plan.inputs[0],
            provider="",
            asset=plan.federation.name,
            asset_version=version,
            asset_digest="",
            unique=unique,
        )
        entries = (whole,)
    return tuple(
        RecordedInput(input=entry, trimmed=index in trimmed, min_pattern=plan.rules.min_pattern)
        for index, entry in enumerate(entries)
    )


def _parts(plan: Plan, table: CellTable) -> RecordedParts | None:
    if plan.federation is None:
        return None
    return RecordedParts(assets=table.parts, min_parties=plan.federation.min_parties, overlap=table.overlap)


def without(record: ReleaseRecord, refused: Collection[tuple[int, int]], reason: Reason) -> ReleaseRecord:
    """Return the record without the refused (cell position, aggregate) pairs, which are withheld for a reason."""
    gone: dict[int, dict[int, Reason]] = {}
    for position, aggregate in refused:
        gone.setdefault(position, {})[aggregate] = reason
    cells = list(record.cells)
    for position, aggregates in gone.items():
        counts = tuple(count for count in cells[position].counts if count.aggregate not in aggregates)
        cells[position] = RecordedCell(labels=cells[position].labels, counts=counts)
    known = record.suppression
    if isinstance(known, Suppression):
        withheld = tuple((*marks, *_marks(gone.get(position, {}))) for position, marks in enumerate(known.withheld))
        known = msgspec.structs.replace(known, withheld=withheld)
    return msgspec.structs.replace(record, cells=tuple(cells), suppression=known)


def merged(record: ReleaseRecord) -> ReleaseRecord:
    """Return the record as it is when one reason stands for all others but RARE_GROUP."""
    known = record.suppression
    if not isinstance(known, Suppression):
        return record
    whole: tuple[Reason | None, ...] = tuple(MERGED if reason == "BELOW_K" else reason for reason in known.whole)
    withheld = tuple(_marks({mark.aggregate: MERGED for mark in marks}) for marks in known.withheld)
    return msgspec.structs.replace(record, suppression=msgspec.structs.replace(known, whole=whole, withheld=withheld))


def without_cells(record: ReleaseRecord) -> ReleaseRecord:
    """Return the record of a release that nothing exact can be told from."""
    return msgspec.structs.replace(record, cells=(), suppression=msgspec.UNSET)


def _marks(reasons: Mapping[int, Reason]) -> tuple[WithheldCount, ...]:
    return tuple(WithheldCount(aggregate=aggregate, reason=reason) for aggregate, reason in reasons.items())


def _counts(plan: Plan, cell: Cell, withheld: Collection[int]) -> tuple[ReleasedCount, ...]:
    counts: list[ReleasedCount] = []
    for index, aggregate in enumerate(plan.aggregates):
        if index in withheld:
            continue
        moments = population(cell, aggregate)
        if moments is None:
            counts.append(ReleasedCount(aggregate=index, rows=cell.rows, keys=cell.keys))
        else:
            counts.append(ReleasedCount(aggregate=index, rows=moments.count, keys=moments.contributors))
    return tuple(counts)
