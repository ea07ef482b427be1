"""The history's record of a release: populations of what was released, and the labels of what was not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from sandbox.gate.cells import Cell, CellTable, Labels, population
from sandbox.gate.labels import order_key, to_literal
from sandbox.model.plan import Plan
from sandbox.model.product import RecordedCell, RecordedInput, RecordedParts, ReleasedCount, ReleaseRecord


def record_of(
    plan: Plan, table: CellTable, cells: Sequence[Cell], rare: Sequence[Labels], withheld: Mapping[Labels, Collection[int]]
) -> ReleaseRecord:
    """Return the record of `cells`, each without the aggregates that `withheld` names; other groups appear by labels only.

    Cells that HAVING or LIMIT drops are recorded as released: a conservative choice, since their absence tells something too.
    """
    trimmed = {note.input for note in table.notes if note.keys_removed or note.rows_removed}
    seen = [
        RecordedCell(labels=tuple(map(to_literal, cell.labels)), counts=_counts(plan, cell, withheld.get(cell.labels, ())))
        for cell in cells
    ]
    unseen = [
        RecordedCell(labels=tuple(map(to_literal, labels)), counts=())
        for labels in sorted((*table.below, *rare), key=order_key)
    ]
    return ReleaseRecord(
        version=1,
        plan_digest=plan.digest(),
        key_domain=plan.key_domain.name,
        inputs=inputs_of(plan, trimmed),
        groups=plan.groups,
        aggregates=plan.aggregates,
        cells=(*seen, *unseen),
        parts=_parts(plan, table),
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


def without(record: ReleaseRecord, refused: Collection[tuple[int, int]]) -> ReleaseRecord:
    """Return the record without the refused (cell position, aggregate) pairs."""
    gone = frozenset(refused)
    cells = tuple(
        RecordedCell(
            labels=cell.labels, counts=tuple(count for count in cell.counts if (position, count.aggregate) not in gone)
        )
        for position, cell in enumerate(record.cells)
    )
    return msgspec.structs.replace(record, cells=cells)


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
