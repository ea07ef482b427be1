"""What everyone may know of populations: bounds that every released number, and every reason for a withheld one, states.

Rows of a column (atoms that no population tells apart) are unknown whole numbers. Where every key has one row, contributors
are rows. Else contributors are unknowns of their own, one per population, tied to rows and to each other by what holds of
any sets of keys: the part has no more than the whole, a whole no more than its parts together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sandbox.gate.algebra import tells_count
from sandbox.gate.checks.fit import PARAMETERS
from sandbox.gate.history.atoms import Atom
from sandbox.gate.history.judge import Measures, Population, measures_of_aggregate, partition
from sandbox.gate.record import MERGED
from sandbox.model.product import ReleasedCount, ReleaseRecord, Suppression, WithheldCount

Columns = frozenset[int]
Place = tuple[int, int]
_Told = Mapping[tuple[Measures, Columns], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Bound:
    """low ≤ Σ plus − Σ minus ≤ high, of unknowns by number; None for no end."""

    plus: tuple[int, ...]
    low: int | None
    high: int | None
    minus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """A population that nobody may bound too closely. keys, rows: the unknowns that add up to its contributors and rows."""

    columns: Columns
    keys: tuple[int, ...]
    rows: tuple[int, ...]


class Knowledge:
    """The unknowns of comparable releases and what is stated of them. candidate: the last one is not out yet.

    width: how many unknowns; the first are the rows of each column. signatures: the populations that a column belongs to.
    doubt: 0 for ordinary columns. populations: columns of each cell, and of its rows with a value. sets: every population, the
    rows of cells without a value, and single columns.
    """

    def __init__(self, records: Sequence[ReleaseRecord], atoms: Sequence[Atom], *, candidate: bool) -> None:
        self._records = records
        self._published = len(records) - int(candidate)
        asked = {
            (number, position): _asked(record, position)
            for number, record in enumerate(records)
            for position in range(len(record.cells))
        }
        self.signatures, self.doubt = partition(atoms, asked)
        found: dict[Population, set[int]] = {(*place, measures): set() for place, some in asked.items() for measures in some}
        for column, populations in enumerate(self.signatures):
            for population in populations:
                found[population].add(column)
        self.populations: dict[Population, Columns] = {name: frozenset(columns) for name, columns in found.items()}
        self.one_row_per_key = all(one.input.unique for record in records for one in record.inputs)
        self.sets = tuple(dict.fromkeys(self._sets()))
        self._numbers = {columns: len(self.signatures) + number for number, columns in enumerate(self.sets)}
        self.width = len(self.signatures) + (0 if self.one_row_per_key else len(self.sets))
        self._fixed = () if self.one_row_per_key else tuple(self._relations())
        self._earlier = [bound for number in range(self._published) for bound in self._marks(number, frozenset(), False)]

    def has(self, columns: Columns) -> bool:
        """Return whether contributors of a population can be stated."""
        return self.one_row_per_key or columns in self._numbers

    def protected(self, columns: Columns) -> Protected:
        """Return a population with the unknowns that add up to its contributors, and to its rows."""
        return Protected(columns=columns, keys=self._keys(columns), rows=_rows(columns))

    def bounds(self, released: Collection[Place], *, merge: bool) -> list[Bound]:
        """Return all that is stated if these (cell position, aggregate) of the candidate are released.

        merge: one reason of its stands for all others.
        """
        chosen = frozenset(released)
        counts = [
            (number, position, count)
            for number, record in enumerate(self._records)
            for position, cell in enumerate(record.cells)
            for count in cell.counts
            if number < self._published or (position, count.aggregate) in chosen
        ]
        told: dict[tuple[Measures, Columns], frozenset[str]] = {}
        for number, position, count in counts:
            measures, columns = self._population(number, position, count)
            function = self._records[number].aggregates[count.aggregate].function
            told[measures, columns] = told.get((measures, columns), frozenset()) | {function}
        stated = [self._count(number, position, count, told) for number, position, count in counts]
        marks = [one for number in range(self._published, len(self._records)) for one in self._marks(number, chosen, merge)]
        return [*self._fixed, *self._earlier, *marks, *stated]

    def _keys(self, columns: Columns) -> tuple[int, ...]:
        return _rows(columns) if self.one_row_per_key else (self._numbers[columns],)

    def _sets(self) -> Iterator[Columns]:
        for (number, position, measures), columns in self.populations.items():
            yield columns
            if measures:
                yield self.populations[number, position, ()] - columns
        for column in range(len(self.signatures)):
            yield frozenset((column,))

    def _population(self, number: int, position: int, count: ReleasedCount) -> tuple[Measures, Columns]:
        measures = measures_of_aggregate(self._records[number], count.aggregate)
        return measures, self.populations[number, position, measures]

    def _count(self, number: int, position: int, count: ReleasedCount, told: _Told) -> Bound:
        """What a released number states: its count, if it is one or tells one; else that it has contributors, or none."""
        measures, columns = self._population(number, position, count)
        function = self._records[number].aggregates[count.aggregate].function
        if function == "count_keys":
            return Bound(self._keys(columns), count.keys, count.keys)
        if function == "count_rows" or count.rows == 0 or tells_count(told[measures, columns]):
            return Bound(_rows(columns), count.rows, count.rows)
        least = _fewest(self._records[number], "min_contributors")
        return Bound(self._keys(columns), least, None)

    def _marks(self, number: int, released: Collection[Place], merge: bool) -> Iterator[Bound]:
        """What labels and reasons of a release state. released: of the candidate's numbers, those that are."""
        record = self._records[number]
        candidate = number == self._published
        known = record.suppression
        # Where only the merged reason occurs, it may stand for any other.
        vague = not isinstance(known, Suppression) or (merge if candidate else _only_merged(known))
        for position, cell in enumerate(record.cells):
            columns = self.populations[number, position, ()]
            whole = known.whole[position] if isinstance(known, Suppression) else None
            shown = any(not candidate or (position, count.aggregate) in released for count in cell.counts)
            if whole == "RARE_GROUP":
                yield Bound(_rows(columns), 0, 0)
            elif whole is not None or (vague and not shown):
                most = None if whole is None or whole == MERGED or vague else _most(record, "min_keys")
                trimmed = not isinstance(known, Suppression) and any(one.trimmed for one in record.inputs)
                yield Bound(self._keys(columns), int(bool(record.groups) and not trimmed), most)
            elif record.groups:
                yield Bound(self._keys(columns), _fewest(record, "min_keys"), None)
            if isinstance(known, Suppression) and not vague:
                for mark in known.withheld[position]:
                    yield from self._mark(number, position, mark)

    def _mark(self, number: int, position: int, mark: WithheldCount) -> Iterator[Bound]:
        """What the reason for one withheld number states of those with a value, or without one."""
        record = self._records[number]
        measures = measures_of_aggregate(record, mark.aggregate)
        if not measures:
            return
        columns, cell = self.populations[number, position, measures], self.populations[number, position, ()]
        if mark.reason == "DOMINANCE":
            yield Bound(self._keys(columns), _fewest(record, "min_contributors"), None)
        elif mark.reason == "BELOW_K":
            single = len(measures) == 1
            most = max(_most(record, "min_contributors"), 0 if single else _most(record, "min_freedom", beyond=PARAMETERS))
            yield Bound(self._keys(columns), int(single), most)
        elif mark.reason == "SECONDARY" and not any(one.other_input is not None for one in record.aggregates):
            most = _most(record, "min_contributors")
            yield Bound(_rows(cell - columns), 1, None)
            if self.one_row_per_key:
                yield Bound(_rows(cell - columns), None, most)
            else:
                yield Bound(self._keys(cell), None, most, self._keys(columns))

    def _relations(self) -> Iterator[Bound]:
        """What holds of contributors, as numbers of keys, whatever the data are."""
        by_column: dict[int, set[Columns]] = {}
        for columns in self.sets:
            for column in columns:
                by_column.setdefault(column, set()).add(columns)
        for whole in self.sets:
            singles = tuple(self._numbers[frozenset((column,))] for column in sorted(whole))
            yield Bound(_rows(whole), 0, None, self._keys(whole))
            if len(whole) != 1:
                yield Bound(singles, 0, None, self._keys(whole))
            parts = {part for column in whole for part in by_column[column] if part < whole}
            for part in sorted(parts, key=self._numbers.__getitem__):
                yield Bound(self._keys(whole), 0, None, self._keys(part))
            for cover in self._covers(whole):
                yield Bound(tuple(self._numbers[part] for part in cover), 0, None, self._keys(whole))

    def _covers(self, whole: Columns) -> Iterator[list[Columns]]:
        """Cells of each release that together hold a population."""
        for number, record in enumerate(self._records):
            cells = [self.populations[number, position, ()] for position in range(len(record.cells))]
            met = [columns for columns in cells if not columns.isdisjoint(whole)]
            if met and whole not in met and whole <= frozenset().union(*met):
                yield met
        for (number, position, measures), columns in self.populations.items():
            if measures and self.populations[number, position, ()] == whole and columns not in (whole, frozenset()):
                yield [columns, whole - columns]


def _rows(columns: Columns) -> tuple[int, ...]:
    return tuple(sorted(columns))


def _asked(record: ReleaseRecord, position: int) -> set[Measures]:
    """The populations of a cell of which anything is stated."""
    known = record.suppression
    marks: Iterable[WithheldCount] = known.withheld[position] if isinstance(known, Suppression) else ()
    aggregates = [count.aggregate for count in record.cells[position].counts] + [mark.aggregate for mark in marks]
    return {(), *(measures_of_aggregate(record, aggregate) for aggregate in aggregates)}


def _only_merged(known: Suppression) -> bool:
    reasons = {*known.whole, *(mark.reason for marks in known.withheld for mark in marks)}
    return reasons <= {None, "RARE_GROUP", MERGED}


def _overlap(record: ReleaseRecord) -> int:
    return 1 if record.parts is None else record.parts.overlap


def _threshold(record: ReleaseRecord, figure: str) -> int:
    known = record.suppression
    return int(getattr(known.rules, figure)) if isinstance(known, Suppression) else 0


def _most(record: ReleaseRecord, figure: str, *, beyond: int = 0) -> int:
    """The most keys that may stand for fewer people than a rule asks for, `beyond` a number of them."""
    return max(0, _threshold(record, figure) + beyond - 1) * _overlap(record)


def _fewest(record: ReleaseRecord, figure: str) -> int:
    """The fewest keys that are proved to be as many people as a rule asks for."""
    people = _threshold(record, figure)
    return (people - 1) * _overlap(record) + 1 if people else 0
