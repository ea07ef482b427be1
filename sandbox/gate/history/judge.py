"""The judge of differences: one row space for counts, one for the amounts of each measure, over shared columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandbox.gate.algebra import tells_count
from sandbox.gate.history.atoms import Atom, atoms_of
from sandbox.gate.history.space import Released, RowSpace
from sandbox.model.decision import Verdict
from sandbox.model.product import ReleasedCount, ReleaseRecord

_Measure = tuple[str, str]
_Population = tuple[int, int, _Measure | None]


class Judge:
    """Holds every earlier release, then takes the last record's aggregates one by one.

    A COUNT adds its population to the counts. SUM, AVG, VAR and STDDEV of x add the rows that have a value to the amounts of x;
    together with what was released of the same rows before they may tell COUNT(x) as well. Raises BeyondModel.
    """

    def __init__(self, records: Sequence[ReleaseRecord], *, k: int) -> None:
        self._records = records
        self._k = k
        self._one_row_per_key = all(recorded.input.unique for record in records for recorded in record.inputs)
        self._columns, self._doubt = _columns(records, atoms_of(records))
        self._told: dict[tuple[_Measure, frozenset[int]], frozenset[str]] = {}
        self._counts = self._space(frozenset())
        self._amounts: dict[_Measure, RowSpace] = {}
        self._start = self._load()

    def add(self, position: int, count: ReleasedCount) -> Verdict:
        """Add one aggregate of the last record if every space stays safe; return the verdict.

        Where the earlier releases alone, with the labels that the new one shows, are not safe, nothing is added.
        """
        if self._start != "pass":
            return self._start
        number = len(self._records) - 1
        population = self._population(number, position, count)
        released = self._released(number, position, count)
        measure = population[2]
        functions = self._functions(number, count, population)
        if measure is None:
            return self._counts.add(released)
        if tells_count(functions):
            verdict = self._counts.add(released)
            if verdict != "pass":
                return verdict
        if self._function(number, count) != "count":
            verdict = self._amounts_of(measure).add(released)
            if verdict != "pass":
                return verdict
        self._told[measure, released.columns] = functions
        return "pass"

    def _load(self) -> Verdict:
        counts: list[Released] = []
        amounts: dict[_Measure, list[Released]] = {}
        for number, position, count in self._earlier():
            population = self._population(number, position, count)
            released = self._released(number, position, count)
            measure = population[2]
            if measure is None:
                counts.append(released)
                continue
            functions = self._functions(number, count, population)
            self._told[measure, released.columns] = functions
            if tells_count(functions):
                counts.append(released)
            if self._function(number, count) != "count":
                amounts.setdefault(measure, []).append(released)
        verdict = self._counts.load(counts)
        for measure, populations in amounts.items():
            if verdict == "pass":
                verdict = self._amounts_of(measure).load(populations)
        return verdict

    def _earlier(self) -> Iterator[tuple[int, int, ReleasedCount]]:
        for number, record in enumerate(self._records[:-1]):
            for position, cell in enumerate(record.cells):
                for count in cell.counts:
                    yield number, position, count

    def _amounts_of(self, measure: _Measure) -> RowSpace:
        if measure not in self._amounts:
            self._amounts[measure] = self._space(self._counts.empty)
        return self._amounts[measure]

    def _space(self, empty: frozenset[int]) -> RowSpace:
        return RowSpace(k=self._k, one_row_per_key=self._one_row_per_key, doubt=self._doubt, empty=empty)

    def _function(self, number: int, count: ReleasedCount) -> str:
        return self._records[number].aggregates[count.aggregate].function

    def _functions(self, number: int, count: ReleasedCount, population: _Population) -> frozenset[str]:
        measure = population[2]
        if measure is None:
            return frozenset()
        before = self._told.get((measure, self._columns.get(population, frozenset())), frozenset())
        return before | {self._function(number, count)}

    def _population(self, number: int, position: int, count: ReleasedCount) -> _Population:
        return number, position, _measure(self._records[number], count.aggregate)

    def _released(self, number: int, position: int, count: ReleasedCount) -> Released:
        columns = self._columns.get(self._population(number, position, count), frozenset())
        return Released(
            columns=columns, rows=count.rows, keys=count.keys, counts_keys=self._function(number, count) == "count_keys"
        )


def _measure(record: ReleaseRecord, aggregate: int) -> _Measure | None:
    entry = record.aggregates[aggregate]
    if entry.input is None or entry.measure is None:
        return None
    source = record.inputs[entry.input].input
    return source.asset, source.measures[entry.measure].column


def _columns(
    records: Sequence[ReleaseRecord], atoms: Sequence[Atom]
) -> tuple[dict[_Population, frozenset[int]], dict[int, int]]:
    """Return each population's columns, and each column's doubt: atoms that no population tells apart are one column."""
    asked: dict[tuple[int, int], set[_Measure | None]] = {}
    for number, record in enumerate(records):
        for position, cell in enumerate(record.cells):
            asked[number, position] = {_measure(record, count.aggregate) for count in cell.counts}
    numbers: dict[frozenset[_Population], int] = {}
    doubt: dict[int, int] = {}
    for atom in atoms:
        populations = frozenset(
            (number, position, measure)
            for number, position in enumerate(atom.cells)
            if position is not None
            for measure in asked[number, position]
            if measure is None or measure in atom.present
        )
        column = numbers.setdefault(populations, len(numbers))
        doubt[column] = min(atom.doubt, doubt.get(column, atom.doubt))
    columns: dict[_Population, set[int]] = {}
    for populations, column in numbers.items():
        for population in populations:
            columns.setdefault(population, set()).add(column)
    return {population: frozenset(found) for population, found in columns.items()}, doubt
