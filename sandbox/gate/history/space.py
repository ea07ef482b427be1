"""The rational row space of released cells, and the search for small populations that can be computed from it.

A released cell is the indicator of its columns (classes of atoms that no released cell tells apart) with a known number of
rows. Whatever indicator lies in the span of released cells is a population whose counts and sums anyone can compute. A
space is safe if no such population has 1..k−1 contributors. Only minimal ones are searched: an indicator that contains a
released cell is that cell plus a smaller indicator. Elimination is exact (Fraction). A population of no rows is empty; its
columns leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox.gate.history.indicators import Budget, Search
from sandbox.model.decision import Verdict

_Vector = Mapping[int, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A released population: its columns, its rows, its contributors. counts_keys: its number of distinct keys is public."""

    columns: frozenset[int]
    rows: int
    keys: int
    counts_keys: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """A reduced row: entries by column, 1 at the pivot; rows: its value; parts: how it is made from released populations."""

    pivot: int
    entries: _Vector
    rows: Fraction
    parts: Mapping[int, Fraction]


State = tuple[list[Released], list[_Row], frozenset[int], frozenset[int]]


@dataclass(slots=True)
class RowSpace:
    """Released populations of one kind, reduced. one_row_per_key: every joined row has its own key.

    doubt: columns that only unusual values make, with how unusual. They are taken as empty, as one who knows the data would,
    until a count shows otherwise (admitted): then the least doubtful ones that explain it come in. empty: known to hold nobody.
    """

    k: int
    one_row_per_key: bool
    doubt: Mapping[int, int] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    released: list[Released] = field(default_factory=list)
    basis: list[_Row] = field(default_factory=list)
    empty: frozenset[int] = frozenset()
    admitted: frozenset[int] = frozenset()

    def extend(self, populations: Sequence[Released]) -> Verdict:
        """Add populations if the space stays safe with all of them, else none; return the verdict."""
        before = self.state()
        judged = {id(row) for row in self.basis}
        verdict: Verdict = "pass"
        for population in populations:
            verdict = self._insert(population)
            if verdict != "pass":
                break
        else:
            verdict = self._search_from([row for row in self.basis if id(row) not in judged])
        if verdict != "pass":
            self.restore(before)
        return verdict

    def state(self) -> State:
        """Return what `restore` needs to undo later additions."""
        return list(self.released), list(self.basis), self.empty, self.admitted

    def restore(self, state: State) -> None:
        """Return to an earlier state."""
        released, basis, self.empty, self.admitted = state
        self.released, self.basis = list(released), list(basis)

    def _insert(self, population: Released) -> Verdict:
        """Reduce a population into the basis. Anything but `pass` concerns one that was computable already."""
        number = len(self.released)
        self.released.append(population)
        if population.rows == 0:
            return "pass" if population.columns <= self.empty else self._remove(population.columns)
        entries = {column: Fraction(1) for column in population.columns if not self._absent(column)}
        row = self._reduced(entries, Fraction(population.rows), {number: Fraction(1)})
        if not row.entries:
            return self._judge_known(population, row) if row.rows == 0 else self._admit(row.rows, row.parts)
        self._join(row)
        return "pass"

    def _reduced(self, entries: dict[int, Fraction], rows: Fraction, parts: dict[int, Fraction]) -> _Row:
        for known in self.basis:
            factor = entries.get(known.pivot)
            if factor:
                _subtract(entries, known.entries, factor)
                _subtract(parts, known.parts, factor)
                rows -= factor * known.rows
        pivot = min(entries, default=-1)
        return _Row(pivot, entries, rows, parts)

    def _join(self, row: _Row) -> None:
        scale = row.entries[row.pivot]
        unit = _Row(
            row.pivot,
            {column: value / scale for column, value in row.entries.items()},
            row.rows / scale,
            {number: value / scale for number, value in row.parts.items()},
        )
        self.basis = [_cleared(known, unit) for known in self.basis]
        self.basis.append(unit)

    def _judge_known(self, population: Released, row: _Row) -> Verdict:
        """A population that was computable already: its keys may not tell a small overlap."""
        if self.one_row_per_key or not population.counts_keys:
            return "pass"
        overlap = sum((value * self.released[number].keys for number, value in row.parts.items()), Fraction(0))
        return "fail" if 0 < abs(overlap) < self.k else "pass"

    def _component(self, start: _Row) -> list[_Row]:
        """Rows linked through shared columns: the space is the direct sum of its components."""
        found, waiting = [start], [row for row in self.basis if row is not start]
        for row in found:
            linked = [other for other in waiting if not other.entries.keys().isdisjoint(row.entries.keys())]
            waiting = [other for other in waiting if all(other is not one for one in linked)]
            found.extend(linked)
        return found

    def _search_from(self, rows: list[_Row]) -> Verdict:
        """Judge the components of the given rows; after a removal the whole space has been judged."""
        left, known = rows, (self.empty, self.admitted)
        while left:
            component = self._component(left[0])
            verdict = self._search(component)
            if verdict != "pass" or (self.empty, self.admitted) != known:
                return verdict
            left = [row for row in left if all(row is not one for one in component)]
        return "pass"

    def _search(self, component: list[_Row]) -> Verdict:
        """Judge every minimal indicator of a component. An empty population on the way removes its columns and restarts."""
        touched = frozenset(column for row in component for column in row.entries)
        known = [self._present(population) for population in self.released]
        search = Search(
            [row.entries for row in component], [columns for columns in known if columns and columns <= touched], self.budget
        )
        for columns, chosen in search.indicators():
            rows, parts = _combined([component[index] for index in chosen])
            if rows == 0:
                if all(value > 0 for value in self._full(parts).values()):
                    return self._remove(columns)
                continue
            if rows < 0:
                return self._admit(rows, parts)
            if rows < self.k:
                return "fail"
            if self._contributors(columns, rows, parts) < self.k:
                return "inconclusive"
        return "inconclusive" if search.exhausted else "pass"

    def _remove(self, columns: frozenset[int]) -> Verdict:
        """Rebuild without columns that are known to be empty, and judge the whole space again."""
        self.empty |= columns
        return self._rebuild()

    def _admit(self, rows: Fraction, parts: Mapping[int, Fraction]) -> Verdict:
        """Counts contradict each other unless absent columns hold somebody: the least doubtful ones that explain it come in."""
        full = self._full(parts)
        between = [
            column for column in full if self._absent(column) and column not in self.empty and (full[column] > 0) == (rows > 0)
        ]
        if not between:
            return "inconclusive"
        least = min(self.doubt[column] for column in between)
        self.admitted |= {column for column in between if self.doubt[column] == least}
        return self._rebuild()

    def _rebuild(self) -> Verdict:
        populations, self.released, self.basis = self.released, [], []
        return self.extend(populations)

    def _absent(self, column: int) -> bool:
        return column in self.empty or (self.doubt.get(column, 0) > 0 and column not in self.admitted)

    def _present(self, population: Released) -> frozenset[int]:
        return frozenset(column for column in population.columns if not self._absent(column))

    def _full(self, parts: Mapping[int, Fraction]) -> dict[int, Fraction]:
        """Return a combination of released populations over all columns, the absent ones included."""
        total: dict[int, Fraction] = {}
        for number, value in parts.items():
            _subtract(total, dict.fromkeys(self.released[number].columns, Fraction(1)), -value)
        return total

    def _contributors(self, columns: frozenset[int], rows: Fraction, parts: Mapping[int, Fraction]) -> Fraction:
        """Return a proved lower bound on the keys behind a computable population.

        rows, where each key has one row in it; else, for each released A that adds to it, keys(A) less the keys of all that is
        subtracted and meets A: every key of A is in the population or in something subtracted.
        """
        if self.one_row_per_key or any(known.rows == known.keys and columns <= known.columns for known in self.released):
            return rows
        taken = [self.released[number] for number, value in parts.items() if value < 0]
        bounds = [
            self.released[number].keys - sum(other.keys for other in taken if other.columns & self.released[number].columns)
            for number, value in parts.items()
            if value > 0
        ]
        return Fraction(max(bounds, default=0))


def _subtract(target: dict[int, Fraction], other: Mapping[int, Fraction], factor: Fraction) -> None:
    for key, value in other.items():
        left = target.get(key, Fraction(0)) - factor * value
        if left:
            target[key] = left
        else:
            target.pop(key, None)


def _cleared(row: _Row, unit: _Row) -> _Row:
    factor = row.entries.get(unit.pivot)
    if not factor:
        return row
    entries, parts = dict(row.entries), dict(row.parts)
    _subtract(entries, unit.entries, factor)
    _subtract(parts, unit.parts, factor)
    return _Row(row.pivot, entries, row.rows - factor * unit.rows, parts)


def _combined(rows: Sequence[_Row]) -> tuple[Fraction, Mapping[int, Fraction]]:
    total, parts = Fraction(0), dict[int, Fraction]()
    for row in rows:
        total += row.rows
        _subtract(parts, row.parts, Fraction(-1))
    return total, parts
