"""The judge of differences: one row space for counts, one for the amounts of each measure, over shared columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sandbox.gate.algebra import tells_count
from sandbox.gate.history.atoms import Atom
from sandbox.gate.history.indicators import Budget
from sandbox.gate.history.space import Released, RowSpace, State
from sandbox.gate.history.witness import Witnesses
from sandbox.model.decision import Verdict
from sandbox.model.product import ReleasedCount, ReleaseRecord

Measures = tuple[tuple[str, str], ...]
Population = tuple[int, int, Measures]
_Told = tuple[Measures, frozenset[int]]


class Judge:
    """Holds every earlier release, then takes the last record's aggregates in turn.

    A COUNT adds its population to the counts. SUM, AVG, VAR and STDDEV of x add the rows that have a value to the amounts of x;
    together with what was released of the same rows before they may tell COUNT(x) as well. A function of two columns adds the
    rows in which both have a value to the amounts of each and of both together.
    """

    def __init__(self, records: Sequence[ReleaseRecord], atoms: Sequence[Atom], *, k: int) -> None:
        self._records = records
        self._k = k
        self._budget, self._witnesses = Budget(), Witnesses()
        self._one_row_per_key = all(recorded.input.unique for record in records for recorded in record.inputs)
        self._columns, self._doubt = columns_of(records, atoms)
        self._told: dict[_Told, frozenset[str]] = {}
        self._counts = self._space((), frozenset())
        self._amounts: dict[Measures, RowSpace] = {}
        self._start = self._extend(list(self._earlier()))

    def refused(self, standing: Sequence[tuple[int, ReleasedCount]]) -> dict[tuple[int, int], Verdict]:
        """Return the aggregates of the last record, among (cell position, count), that must be withheld.

        As if they were tried one after the other: whatever is safe together is safe one by one, so halves are tried first.
        Where the earlier releases alone, with the labels that the new one shows, are not safe, all are refused.
        """
        number = len(self._records) - 1
        if self._start != "pass":
            return {(position, count.aggregate): self._start for position, count in standing}
        found: dict[tuple[int, int], Verdict] = {}
        waiting = [list(standing)]
        while waiting:
            batch = waiting.pop()
            verdict = self._extend([(number, position, count) for position, count in batch])
            if verdict == "pass":
                continue
            if len(batch) == 1:
                found[batch[0][0], batch[0][1].aggregate] = verdict
                continue
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]
        return found

    def _extend(self, batch: Sequence[tuple[int, int, ReleasedCount]]) -> Verdict:
        """Add aggregates to every space that they concern, or to none."""
        before = self._counts.state(), {measure: space.state() for measure, space in self._amounts.items()}, dict(self._told)
        counts: list[Released] = []
        amounts: dict[Measures, list[Released]] = {}
        for number, position, count in batch:
            measures, released = self._population(number, position, count)
            function = self._records[number].aggregates[count.aggregate].function
            if not measures:
                counts.append(released)
                continue
            functions = self._told.get((measures, released.columns), frozenset()) | {function}
            self._told[measures, released.columns] = functions
            if tells_count(functions):
                counts.append(released)
            if function != "count":
                for amount in {measures, *((measure,) for measure in measures)}:
                    amounts.setdefault(amount, []).append(released)
        verdict = self._counts.extend(counts)
        for measure, populations in amounts.items():
            if verdict == "pass":
                verdict = self._amounts_of(measure).extend(populations)
        if verdict != "pass":
            self._restore(*before)
        return verdict

    def _restore(self, counts: State, amounts: dict[Measures, State], told: dict[_Told, frozenset[str]]) -> None:
        self._counts.restore(counts)
        self._amounts = {measure: self._amounts[measure] for measure in amounts}
        for measure, state in amounts.items():
            self._amounts[measure].restore(state)
        self._told = told

    def _earlier(self) -> Iterator[tuple[int, int, ReleasedCount]]:
        for number, record in enumerate(self._records[:-1]):
            for position, cell in enumerate(record.cells):
                for count in cell.counts:
                    yield number, position, count

    def _amounts_of(self, measures: Measures) -> RowSpace:
        if measures not in self._amounts:
            self._amounts[measures] = self._space(measures, self._counts.empty)
        return self._amounts[measures]

    def _space(self, measures: Measures, empty: frozenset[int]) -> RowSpace:
        return RowSpace(
            k=self._k,
            one_row_per_key=self._one_row_per_key,
            keys_add=keys_add(self._records, measures),
            doubt=self._doubt,
            budget=self._budget,
            witnesses=self._witnesses,
            empty=empty,
        )

    def _population(self, number: int, position: int, count: ReleasedCount) -> tuple[Measures, Released]:
        measures = measures_of_aggregate(self._records[number], count.aggregate)
        return measures, Released(
            columns=self._columns.get((number, position, measures), frozenset()),
            rows=count.rows,
            keys=count.keys,
            counts_keys=self._records[number].aggregates[count.aggregate].function == "count_keys",
        )


def measures_of_aggregate(record: ReleaseRecord, aggregate: int) -> Measures:
    """Return (asset, column) of each column that an aggregate is of, in order; none for COUNT(*) and COUNT(DISTINCT key)."""
    entry = record.aggregates[aggregate]
    places = ((entry.input, entry.measure), (entry.other_input, entry.other_measure))
    found = []
    for index, measure in places:
        if index is not None and measure is not None:
            source = record.inputs[index].input
            found.append((source.asset, source.measures[measure].column))
    return tuple(sorted(found))


def keys_add(records: Sequence[ReleaseRecord], space: Measures) -> bool:
    """Return whether keys of disjoint populations add up, as rows do. space: measures of amounts; none for counts.

    They do where each key is in a population with all of its rows that could be in any, or with none: releases see the rows
    of an asset whose keys repeat alike (the same conditions, no groups, none removed), and a value must be there in the same
    columns of such assets.
    """
    seen: dict[str, Sequence[object]] = {}
    for record in records:
        for recorded in record.inputs:
            entry = recorded.input
            if entry.unique:
                continue
            rows = (entry.key, entry.filters)
            if entry.groups or recorded.trimmed or seen.setdefault(entry.asset, rows) != rows:
                return False
    functions: dict[Measures, set[str]] = {}
    for record in records:
        for number, aggregate in enumerate(record.aggregates):
            functions.setdefault(measures_of_aggregate(record, number), set()).add(aggregate.function)
    judged = [
        measures
        for measures, asked in functions.items()
        if (asked != {"count"} and set(space) <= set(measures) if space else not measures or tells_count(asked))
    ]
    return len({tuple(measure for measure in measures if measure[0] in seen) for measures in judged}) <= 1


def columns_of(
    records: Sequence[ReleaseRecord], atoms: Sequence[Atom]
) -> tuple[dict[Population, frozenset[int]], dict[int, int]]:
    """Return each released population's columns, and each column's doubt: atoms that none of them tells apart are one."""
    asked: dict[tuple[int, int], set[Measures]] = {}
    for number, record in enumerate(records):
        for position, cell in enumerate(record.cells):
            asked[number, position] = {measures_of_aggregate(record, count.aggregate) for count in cell.counts}
    signatures, doubt = partition(atoms, asked)
    columns: dict[Population, set[int]] = {}
    for column, populations in enumerate(signatures):
        for population in populations:
            columns.setdefault(population, set()).add(column)
    return {population: frozenset(found) for population, found in columns.items()}, dict(enumerate(doubt))


def partition(
    atoms: Sequence[Atom], asked: Mapping[tuple[int, int], Collection[Measures]]
) -> tuple[list[frozenset[Population]], list[int]]:
    """Return the columns, each as the populations that it belongs to, and their doubts.

    asked: for each (release, cell), the populations of it that are told apart: by the columns that must have a value.
    """
    numbers: dict[frozenset[Population], int] = {}
    doubt: list[int] = []
    for atom in atoms:
        populations = frozenset(
            (number, position, measures)
            for number, position in enumerate(atom.cells)
            if position is not None
            for measures in asked[number, position]
            if atom.present.issuperset(measures)
        )
        column = numbers.setdefault(populations, len(numbers))
        if column == len(doubt):
            doubt.append(atom.doubt)
        doubt[column] = min(atom.doubt, doubt[column])
    return list(numbers), doubt
