"""Nearby populations: nested in each other but for what the pattern rule removed, and fewer than k contributors apart.

Rows that a pattern rule removed are a condition of their own, so that two trimmed releases need not tell a difference exactly.
They tell it nearly: a provider removes few rows, and says how many. Where a list was trimmed, populations are therefore also
compared as if nothing had been removed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sandbox.gate.history.atoms import atoms_of
from sandbox.gate.history.judge import Population, columns_of, measures_of_aggregate
from sandbox.model.product import ReleasedCount, ReleaseRecord

_Place = tuple[int, int]


def nearby(records: Sequence[ReleaseRecord], *, k: int) -> frozenset[_Place]:
    """Return the aggregates (cell position, aggregate) of the last record that come too near an earlier release.

    Two populations are too near if one holds the other, or they are the same but for removed rows, and the contributors
    differ by 1..k−1 (nested ones: by fewer than k). Nothing where no list was trimmed. Raises BeyondModel.
    """
    if not any(recorded.trimmed for record in records for recorded in record.inputs):
        return frozenset()
    whole = [_untrimmed(record) for record in records]
    columns, _ = columns_of(whole, atoms_of(whole))
    last = len(records) - 1
    earlier = [item for number in range(last) for item in _populations(records[number], number, columns)]
    return frozenset(
        (position, count.aggregate)
        for position, count, population in _populations(records[last], last, columns)
        if any(_too_near(population, count, other, before, k) for _, before, other in earlier)
    )


def _populations(
    record: ReleaseRecord, number: int, columns: dict[Population, frozenset[int]]
) -> list[tuple[int, ReleasedCount, frozenset[int]]]:
    return [
        (position, count, columns.get((number, position, measures_of_aggregate(record, count.aggregate)), frozenset()))
        for position, cell in enumerate(record.cells)
        for count in cell.counts
    ]


def _too_near(population: frozenset[int], count: ReleasedCount, other: frozenset[int], before: ReleasedCount, k: int) -> bool:
    apart = abs(count.keys - before.keys)
    if population == other:
        return 0 < apart < k
    return (population < other or other < population) and apart < k


def _untrimmed(record: ReleaseRecord) -> ReleaseRecord:
    inputs = tuple(msgspec.structs.replace(recorded, trimmed=False) for recorded in record.inputs)
    return msgspec.structs.replace(record, inputs=inputs)
