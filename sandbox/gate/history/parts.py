"""Releases of federated tables before history: which parts each added up is a condition, and a difference may be one part's.

Parts that every compared release treats alike make a class. "The part is of class c" stands in the records as a condition on a
column of its own, so that atoms and row spaces tell a part that dropped from one that is empty. Then a rule about parts: no
linear combination of released numbers speaks of fewer than `min_parties` parts alone, however many people are in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from sandbox.gate.history.atoms import atoms_of
from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.judge import Measures, columns_of, measures_of_aggregate
from sandbox.model.expression import ColumnRef, In, Literal
from sandbox.model.product import RecordedInput, RecordedParts, ReleaseRecord

COLUMN = ""
"""The column of part classes: no column of a table has an empty name."""
WHOLE = "federated"
MAX_ENTRIES = 200_000
_Vector = dict[int, Fraction]


@dataclass(frozen=True, slots=True)
class Compared:
    """Records over one whole, candidate last. plain: without the condition on parts. sizes: parts of each class.

    members: the classes in each record. overlap: the most parts in which any record says that one person may be.
    """

    records: tuple[ReleaseRecord, ...]
    plain: tuple[ReleaseRecord, ...]
    members: tuple[frozenset[int], ...]
    sizes: Mapping[int, int]
    min_parties: int
    overlap: int


def same_kind(candidate: ReleaseRecord, history: Sequence[ReleaseRecord]) -> tuple[ReleaseRecord, ...]:
    """Return the earlier releases that the candidate can be compared with: joins with joins, federated ones with federated.

    Of the latter those that share a part, directly or through others: two federated tables may have parts in common.
    """
    if candidate.parts is None:
        return tuple(record for record in history if record.parts is None)
    reached, found = set(candidate.parts.assets), set[int]()
    grew = True
    while grew:
        grew = False
        for number, record in enumerate(history):
            if number not in found and record.parts is not None and not reached.isdisjoint(record.parts.assets):
                reached |= set(record.parts.assets)
                found.add(number)
                grew = True
    return tuple(record for number, record in enumerate(history) if number in found)


def compared(records: Sequence[ReleaseRecord]) -> Compared:
    """Return releases of federated tables as releases of one whole, each with a condition on the parts that it added up."""
    parts = [record.parts or RecordedParts(assets=(), min_parties=0, overlap=1) for record in records]
    patterns: dict[tuple[bool, ...], int] = {}
    sizes: dict[int, int] = {}
    for asset in sorted({asset for one in parts for asset in one.assets}):
        pattern = tuple(asset in one.assets for one in parts)
        number = patterns.setdefault(pattern, len(patterns))
        sizes[number] = sizes.get(number, 0) + 1
    members = tuple(frozenset(number for pattern, number in patterns.items() if pattern[at]) for at in range(len(records)))
    unique = all(one.input.unique for record in records for one in record.inputs)
    plain = tuple(_renamed(record, unique) for record in records)
    conditioned = plain
    if len(sizes) > 1:
        conditioned = tuple(_within(record, classes) for record, classes in zip(plain, members, strict=True))
    return Compared(
        records=conditioned,
        plain=plain,
        members=members,
        sizes=sizes,
        min_parties=max(one.min_parties for one in parts),
        overlap=max(one.overlap for one in parts),
    )


def tells_of_few_parts(whole: Compared) -> bool:
    """Return whether some combination of released numbers speaks of fewer than min_parties parts alone. Raises BeyondModel.

    A population is a vector over (class of rows, class of parts). A combination within few parts exists if and only if
    leaving their columns out lowers the rank. Counts are taken as known wherever anything was released.
    """
    few = _few(whole)
    if not few:
        return False
    columns, doubt = columns_of(whole.plain, atoms_of(whole.plain))
    kinds: dict[Measures, list[tuple[int, frozenset[int]]]] = {}
    for number, record in enumerate(whole.plain):
        for position, cell in enumerate(record.cells):
            for measures in {measures_of_aggregate(record, count.aggregate) for count in cell.counts}:
                present = frozenset(column for column in columns.get((number, position, measures), ()) if not doubt[column])
                for kind in {(), measures, *((measure,) for measure in measures)}:
                    kinds.setdefault(kind, []).append((number, present))
    return any(_within_few(whole, populations, chosen) for populations in kinds.values() for chosen in few)


def _few(whole: Compared) -> list[frozenset[int]]:
    """Largest sets of part classes that hold fewer than min_parties parts; none where all releases added up the same parts."""
    if len(whole.sizes) < 2:
        return []
    small = [number for number, size in whole.sizes.items() if size < whole.min_parties]
    found = [
        frozenset(chosen)
        for length in range(1, whole.min_parties)
        for chosen in itertools.combinations(small, length)
        if sum(whole.sizes[number] for number in chosen) < whole.min_parties
    ]
    return [chosen for chosen in found if not any(chosen < other for other in found)]


def _within_few(whole: Compared, populations: Sequence[tuple[int, frozenset[int]]], few: frozenset[int]) -> bool:
    width = len(whole.sizes)
    vectors = [
        {column * width + part: Fraction(1) for column in present for part in whole.members[number]}
        for number, present in dict.fromkeys(populations)
    ]
    if sum(map(len, vectors)) > MAX_ENTRIES:
        raise BeyondModel(f"more than {MAX_ENTRIES} pairs of a released number and what it covers")
    outside = [{place: value for place, value in vector.items() if place % width not in few} for vector in vectors]
    return _rank(outside) < _rank(vectors)


def _rank(vectors: Iterable[_Vector]) -> int:
    """Return the rank over the rationals, exactly."""
    basis: dict[int, _Vector] = {}
    for vector in vectors:
        left = dict(vector)
        while left:
            pivot = min(left)
            known = basis.get(pivot)
            if known is None:
                scale = left[pivot]
                basis[pivot] = {place: value / scale for place, value in left.items()}
                break
            factor = left[pivot]
            for place, value in known.items():
                rest = left.get(place, Fraction(0)) - factor * value
                if rest:
                    left[place] = rest
                else:
                    left.pop(place, None)
    return len(basis)


def _renamed(record: ReleaseRecord, unique: bool) -> ReleaseRecord:
    """unique: over all records, since populations are compared that hold each other's rows."""
    changed = {"asset": WHOLE, "unique": unique}
    inputs = tuple(msgspec.structs.replace(one, input=msgspec.structs.replace(one.input, **changed)) for one in record.inputs)
    return msgspec.structs.replace(record, inputs=inputs)


def _within(record: ReleaseRecord, classes: frozenset[int]) -> ReleaseRecord:
    options = tuple(Literal(type="integer", value=str(number)) for number in sorted(classes))
    condition = In(operand=ColumnRef(name=COLUMN), options=options)

    def conditioned(one: RecordedInput) -> RecordedInput:
        return msgspec.structs.replace(one, input=msgspec.structs.replace(one.input, filters=(*one.input.filters, condition)))

    return msgspec.structs.replace(record, inputs=tuple(map(conditioned, record.inputs)))
