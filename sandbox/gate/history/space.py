"""The rational row space of released cells, and the search for small populations that can be computed from it.

A released cell is the indicator of its columns (classes of atoms that no released cell tells apart) with a known number of
rows. Whatever indicator lies in the span of released cells is a population whose counts and sums anyone can compute. A
space is safe if no such population has 1..k−1 contributors. Only minimal ones are searched: an indicator that contains a
released cell is that cell plus a smaller indicator, and only where witnesses leave room for fewer than k. Elimination is
exact. A population of no rows is empty; its columns leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox.gate.history.indicators import Budget, Search
from sandbox.gate.history.reduced import Exact, Row, Vector, combined, components, joined, reduced, subtract
from sandbox.gate.history.witness import Witnesses
from sandbox.model.decision import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A released population: its columns, its rows, its contributors. counts_keys: its number of distinct keys is public."""

    columns: frozenset[int]
    rows: int
    keys: int
    counts_keys: bool = False


State = tuple[list[Released], list[Row], frozenset[int], frozenset[int]]


@dataclass(slots=True)
class RowSpace:
    """Released populations of one kind, reduced. one_row_per_key: every joined row has its own key.

    keys_add: each key's rows are together wherever they are, so that the keys of disjoint populations add up: keys are then
    counted in place of rows.
    doubt: columns that only unusual values make, with how unusual. They are taken as empty, as one who knows the data would,
    until a count shows otherwise (admitted): then the least doubtful ones that explain it come in. empty: known to hold nobody.
    """

    k: int
    one_row_per_key: bool
    keys_add: bool = False
    doubt: Mapping[int, int] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    witnesses: Witnesses = field(default_factory=Witnesses)
    released: list[Released] = field(default_factory=list)
    basis: list[Row] = field(default_factory=list)
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
        entries: dict[int, Exact] = {column: 1 for column in population.columns if not self._absent(column)}
        row = reduced(self.basis, entries, population.keys if self.keys_add else population.rows, {number: 1})
        if not row.entries:
            beyond = row.rows or sum(
                (Fraction(value) * self.released[part].rows for part, value in row.parts.items()), Fraction(0)
            )
            return self._admit(beyond, row.parts) if beyond else self._judge_known(population, row)
        self.basis = joined(self.basis, row)
        return "pass"

    def _judge_known(self, population: Released, row: Row) -> Verdict:
        """A population that was computable already: its keys may not tell a small overlap."""
        if self.one_row_per_key or not population.counts_keys:
            return "pass"
        overlap = sum((Fraction(value) * self.released[number].keys for number, value in row.parts.items()), Fraction(0))
        return "fail" if 0 < abs(overlap) < self.k else "pass"

    def _search_from(self, rows: list[Row]) -> Verdict:
        """Judge the components of the given rows; after a removal the whole space has been judged."""
        new, known = {id(row) for row in rows}, (self.empty, self.admitted)
        for component in components(self.basis):
            if new.isdisjoint(id(row) for row in component):
                continue
            # Where keys do not add up, witnesses of rows say nothing of them: all that is computable is looked at.
            counted = self.one_row_per_key or self.keys_add
            for left in components(self.witnesses.small(component, self.k)) if counted else [component]:
                verdict = self._search(left)
                if verdict != "pass" or (self.empty, self.admitted) != known:
                    return verdict
        return "pass"

    def _search(self, component: list[Row]) -> Verdict:
        """Judge every minimal indicator of a component. An empty population on the way removes its columns and restarts."""
        touched = frozenset(column for row in component for column in row.entries)
        known = [self._present(population) for population in self.released]
        search = Search(
            [row.entries for row in component], [columns for columns in known if columns and columns <= touched], self.budget
        )
        for columns, chosen in search.indicators():
            rows, parts = combined([component[index] for index in chosen])
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

    def _admit(self, rows: Exact, parts: Vector) -> Verdict:
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

    def _full(self, parts: Vector) -> dict[int, Exact]:
        """Return a combination of released populations over all columns, the absent ones included."""
        total: dict[int, Exact] = {}
        for number, value in parts.items():
            subtract(total, dict.fromkeys(self.released[number].columns, 1), -value)
        return total

    def _contributors(self, columns: frozenset[int], rows: Exact, parts: Vector) -> Exact:
        """Return a proved lower bound on the keys behind a computable population.

        rows, where each key has one row in it or keys are counted; else, for each released A that adds to it, keys(A) less
        the keys of all that is subtracted and meets A: every key of A is in the population or in something subtracted.
        """
        if (
            self.one_row_per_key
            or self.keys_add
            or any(known.rows == known.keys and columns <= known.columns for known in self.released)
        ):
            return rows
        taken = [self.released[number] for number, value in parts.items() if value < 0]
        bounds = [
            self.released[number].keys - sum(other.keys for other in taken if other.columns & self.released[number].columns)
            for number, value in parts.items()
            if value > 0
        ]
        return max(bounds, default=0)
