"""Which earlier releases speak of the same joined rows, so that their cells can be added and subtracted.

Joined rows are those of the assets whose keys may repeat; an asset with unique keys only keeps or drops them. So releases over
the same repeating assets are comparable, whatever unique assets they join as well. Asset versions count declarations, not
data: versions are compared too, unless an identical population shows that the data have changed by k contributors or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandbox.model.canonical import digest
from sandbox.model.product import RecordedInput, ReleaseRecord


def earlier(candidate: ReleaseRecord, history: Sequence[ReleaseRecord], *, k: int) -> tuple[ReleaseRecord, ...]:
    """Return the earlier releases that the candidate is judged against, in their order."""
    related = [record for record in history if _related(candidate, record)]
    current = [candidate, *(record for record in related if not _other_version(candidate, record))]
    stale = {
        _versions(record)
        for record in related
        if _other_version(candidate, record) and any(_data_changed(record, other, k) for other in current)
    }
    return tuple(record for record in related if _versions(record) not in stale)


def identity(recorded: RecordedInput) -> str:
    """Return what two inputs have in common that see the same rows and the same labels of an asset."""
    entry = recorded.input
    trimmed = (recorded.min_pattern, entry.opens_multiplicity) if recorded.trimmed else None
    return digest([entry.asset, entry.filters, entry.groups, trimmed])


def _related(candidate: ReleaseRecord, record: ReleaseRecord) -> bool:
    shared = _assets(candidate) & _assets(record)
    return bool(shared) and candidate.key_domain == record.key_domain and _repeating(candidate) == _repeating(record)


def _assets(record: ReleaseRecord) -> frozenset[str]:
    return frozenset(recorded.input.asset for recorded in record.inputs)


def _repeating(record: ReleaseRecord) -> frozenset[str]:
    return frozenset(recorded.input.asset for recorded in record.inputs if not recorded.input.unique)


def _versions(record: ReleaseRecord) -> frozenset[tuple[str, int]]:
    return frozenset((recorded.input.asset, recorded.input.asset_version) for recorded in record.inputs)


def _other_version(candidate: ReleaseRecord, record: ReleaseRecord) -> bool:
    mine = dict(_versions(candidate))
    return any(mine.get(asset, version) != version for asset, version in _versions(record))


def _data_changed(old: ReleaseRecord, new: ReleaseRecord, k: int) -> bool:
    known = dict(_populations(old))
    return any(abs(keys - known.get(name, keys)) >= k for name, keys in _populations(new))


def _populations(record: ReleaseRecord) -> Iterator[tuple[str, int]]:
    """Each released population by a name that only identical definitions share, with its contributors."""
    inputs = [identity(recorded) for recorded in record.inputs]
    groups = [(inputs[group.input], group.local) for group in record.groups]
    for cell in record.cells:
        for count in cell.counts:
            aggregate = record.aggregates[count.aggregate]
            measures = []
            for index, number in ((aggregate.input, aggregate.measure), (aggregate.other_input, aggregate.other_measure)):
                if index is not None and number is not None:
                    entry = record.inputs[index].input
                    measures.append((entry.asset, entry.measures[number].column))
            labels = sorted(zip(groups, cell.labels, strict=True), key=lambda pair: pair[0])
            yield digest([sorted(inputs), labels, sorted(measures)]), count.keys
