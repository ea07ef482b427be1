"""What an outsider can bound once a release is out: its unknowns, the populations to protect, and the verdict on a choice."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from sandbox.gate.history.atoms import atoms_of
from sandbox.gate.history.comparison import Comparison
from sandbox.gate.history.knowledge import Bound, Columns, Knowledge, Place, Protected
from sandbox.gate.history.programme import ContradictionError, Points, Programme, Work
from sandbox.gate.history.ranges import Guard, Range
from sandbox.gate.record import merged
from sandbox.model.decision import Verdict
from sandbox.model.product import ReleaseRecord


class Outlook:
    """Verdicts on releasing some numbers of the candidate, for all populations that its history tells apart.

    has_reasons: the candidate withholds something for a reason that could be merged. Raises BeyondModel, ContradictionError.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self.has_reasons = merged(comparison.candidate) != comparison.candidate
        self._k = max(comparison.rules.min_difference, comparison.rules.min_keys) * comparison.overlap
        self._work = Work()
        self._points: list[Points] = []
        self._knowledge = Knowledge(comparison.records, comparison.atoms(), candidate=True)
        cells = comparison.candidate.cells
        everything = [(position, count.aggregate) for position, cell in enumerate(cells) for count in cell.counts]
        self._absent = _absent(self._knowledge, self._knowledge.bounds(everything, merge=False), self._work)
        self._protected = [self._knowledge.protected(columns) for columns in self._knowledge.sets if columns - self._absent]
        self._found: dict[tuple[frozenset[Bound], int], Verdict] = {}
        self._before: _Before | None = None

    def verdict(self, released: Collection[Place], *, values: int, merge: bool = False) -> Verdict:
        """Return whether small populations keep that many values if these numbers of the candidate are released.

        merge: one reason stands for all others.
        """
        bounds = self._knowledge.bounds(released, merge=merge)
        name = frozenset(bounds), values
        if name not in self._found:
            self._found[name] = self._judge(bounds, values)
        return self._found[name]

    def _judge(self, bounds: Sequence[Bound], values: int) -> Verdict:
        programme = Programme(self._knowledge.width, bounds, self._absent, self._work)
        guard = Guard(programme, self._knowledge.width, self._k, values, self._points)
        verdict = guard.judge(self._protected, self._excused)
        if verdict != "fail" and self._knowledge.one_row_per_key:
            pairs = guard.judge(guard.pairs(list(self._cells()), self._protected), self._excused)
            verdict = pairs if pairs != "pass" else verdict
        return verdict

    def _cells(self) -> Iterator[tuple[int, Columns]]:
        for (number, _, measures), columns in self._knowledge.populations.items():
            if not measures:
                yield number, columns - self._absent

    def _excused(self, population: Protected, now: Range) -> bool:
        """Return whether earlier releases alone leave a population no more values: then this one tells nothing new of it."""
        if self._before is None:
            self._before = _Before(self._comparison, self._knowledge, self._work)
        return self._before.range(population.columns) == now


class _Before:
    """What the earlier releases alone tell of the populations of all. Raises BeyondModel, ContradictionError."""

    def __init__(self, comparison: Comparison, now: Knowledge, work: Work) -> None:
        past = comparison.past
        self._old = Knowledge(past, atoms_of(past), candidate=False)
        bounds = self._old.bounds((), merge=False)
        programme = Programme(self._old.width, bounds, _absent(self._old, bounds, work), work)
        self._guard = Guard(programme, self._old.width, k=0, values=0)
        numbers = {signature: column for column, signature in enumerate(self._old.signatures)}
        self._columns = [
            numbers.get(frozenset(name for name in signature if name[0] < len(past))) for signature in now.signatures
        ]

    def range(self, columns: Columns) -> Range | None:
        """Return the range of a population; None where the earlier releases do not tell it apart, or it was not found."""
        old = frozenset(self._columns[column] for column in columns)
        whole = {column for column, number in enumerate(self._columns) if number in old}
        known = frozenset(number for number in old if number is not None)
        if whole != columns or len(known) < len(old) or not self._old.has(known):
            return None
        return self._guard.range(self._old.protected(known))


def cell_ranges(comparison: Comparison) -> Iterator[tuple[ReleaseRecord, int, int | None, int | None]]:
    """Yield (release, cell position, low, high) of the contributors of each cell of which no count was released.

    high: None where nothing bounds it; both: None where a limit was met. Raises BeyondModel, ContradictionError.
    """
    knowledge, work = Knowledge(comparison.records, comparison.atoms(), candidate=False), Work()
    bounds = knowledge.bounds((), merge=False)
    programme = Programme(knowledge.width, bounds, _absent(knowledge, bounds, work), work)
    guard = Guard(programme, knowledge.width, k=0, values=0)
    for number, record in enumerate(comparison.records):
        counts = {at for at, one in enumerate(record.aggregates) if one.function in ("count_rows", "count_keys")}
        for position, cell in enumerate(record.cells):
            if counts.isdisjoint(count.aggregate for count in cell.counts):
                found = guard.range(knowledge.protected(knowledge.populations[number, position, ()]))
                unbounded = found is None or found.high >= programme.beyond
                yield record, position, None if found is None else found.low, None if unbounded or found is None else found.high


def _absent(knowledge: Knowledge, bounds: Sequence[Bound], work: Work) -> Columns:
    """Return the columns that only unusual values make (beyond all conditions, NULL) and that hold nobody.

    As one who knows the data would, unless the bounds cannot be met: then the least doubtful ones that help come in.
    """
    doubt = knowledge.doubt
    absent = frozenset(column for column, level in enumerate(doubt) if level)
    weights = np.zeros(knowledge.width, dtype=np.int64)
    for column in absent:
        weights[column] = len(doubt) ** (doubt[column] - 1)
    while True:
        try:
            Programme(knowledge.width, bounds, absent, work).least(np.zeros_like(weights))
        except ContradictionError:
            if not absent:
                raise
            point = Programme(knowledge.width, bounds, (), work).least(weights).point
            needed = {column for column in absent if point is None or point[column]} or set(absent)
            alike = {
                other
                for other in absent
                if any(doubt[other] == doubt[one] and knowledge.signatures[other] & knowledge.signatures[one] for one in needed)
            }
            absent -= needed | alike
            weights[list(needed | alike)] = 0
        else:
            return absent
