"""Search for the 0/1 vectors of a row space in reduced form: the populations that released cells let anyone compute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.gate.history.reduced import Exact, Vector

MAX_NODES = 5_000
TOTAL_NODES = 40_000


@dataclass(slots=True)
class Budget:
    """Nodes that all searches of one judgement may still visit; counted, not timed, so that the answer repeats."""

    left: int = TOTAL_NODES


@dataclass(slots=True)
class _Column:
    """A column as an integer combination of pivots. unit: what counts as 1. low, high: what open pivots can still add."""

    unit: int
    steps: Mapping[int, int]
    known: list[int] = field(default_factory=list)
    total: int = 0
    low: int = 0
    high: int = 0
    open: int = 0

    def allows(self, total: int, low: int, high: int) -> bool:
        """Return whether 0 or 1 can still be reached from a total."""
        return total + low <= 0 <= total + high or total + low <= self.unit <= total + high

    def options(self, step: int) -> tuple[bool, bool]:
        """Return whether an open pivot of this column may be 0, and whether it may be 1."""
        low, high = self.low - min(step, 0), self.high - max(step, 0)
        return self.allows(self.total, low, high), self.allows(self.total + step, low, high)


class Search:
    """Depth-first search with propagation over the values of the pivots, which determine every other column.

    rows: reduced rows, each by column, with 1 in a column of its own. known: released populations; a vector that contains one
    is that one plus a smaller vector, so it is not followed. exhausted: the limit of nodes was hit.
    """

    def __init__(self, rows: Sequence[Vector], known: Sequence[frozenset[int]], budget: Budget) -> None:
        self.exhausted = False
        self._budget = budget
        self._values: list[int | None] = [None] * len(rows)
        self._columns = _columns(rows)
        self._touched = [[self._columns[column] for column in row] for row in rows]
        self._known = [sorted(columns) for columns in known]
        self._missing = [len(columns) for columns in known]
        for number, columns in enumerate(known):
            for column in columns:
                self._columns[column].known.append(number)
        self._trail: list[int] = []

    def indicators(self) -> Iterator[tuple[frozenset[int], tuple[int, ...]]]:
        """Yield (columns, rows that were added up) of each non-zero 0/1 vector that contains no known population."""
        stack: list[tuple[int, int, int]] = []
        nodes, possible = min(MAX_NODES, self._budget.left), True
        while True:
            choice = self._next() if possible else None
            if possible and choice is not None:
                stack.append((choice, 0, len(self._trail)))
                one = 1
            else:
                if possible and (found := self._found()):
                    yield found
                while stack and stack[-1][1] == -1:
                    self._undo(stack.pop()[2])
                if not stack:
                    return
                choice, _, mark = stack.pop()
                self._undo(mark)
                stack.append((choice, -1, mark))
                one = 0
            if nodes == 0:
                self.exhausted = True
                return
            nodes -= 1
            self._budget.left -= 1
            possible = self._assign(choice, one)

    def _next(self) -> int | None:
        """Return the pivot to try: one of the started known population that lacks least, so that it completes or fails soon."""
        order = sorted((left, number) for number, left in enumerate(self._missing) if left < len(self._known[number]))
        for _, number in order:
            for name in self._known[number]:
                if self._columns[name].open:
                    return next(index for index in self._columns[name].steps if self._values[index] is None)
        return next((index for index, value in enumerate(self._values) if value is None), None)

    def _found(self) -> tuple[frozenset[int], tuple[int, ...]] | None:
        chosen = tuple(index for index, value in enumerate(self._values) if value)
        columns = frozenset(name for name, column in self._columns.items() if column.total == column.unit)
        return (columns, chosen) if columns else None

    def _assign(self, pivot: int, one: int) -> bool:
        """Set a pivot and whatever follows from it; return whether a new 0/1 vector is still possible."""
        waiting = [(pivot, one)]
        while waiting:
            index, value = waiting.pop()
            if self._values[index] is not None:
                if self._values[index] != value:
                    return False
                continue
            if not self._set(index, value):
                return False
            for column in self._touched[index]:
                for other, step in column.steps.items():
                    if self._values[other] is not None:
                        continue
                    may_be_zero, may_be_one = column.options(step)
                    if not may_be_zero and not may_be_one:
                        return False
                    if may_be_zero != may_be_one:
                        waiting.append((other, int(may_be_one)))
        return True

    def _set(self, index: int, value: int) -> bool:
        self._values[index] = value
        self._trail.append(index)
        possible = True
        for column in self._touched[index]:
            step = column.steps[index]
            column.low -= min(step, 0)
            column.high -= max(step, 0)
            column.open -= 1
            column.total += step * value
            possible = possible and column.allows(column.total, column.low, column.high)
            if not column.open and column.total == column.unit:
                for number in column.known:
                    self._missing[number] -= 1
                    possible = possible and self._missing[number] > 0
        return possible

    def _undo(self, mark: int) -> None:
        while len(self._trail) > mark:
            index = self._trail.pop()
            value = self._values[index] or 0
            self._values[index] = None
            for column in self._touched[index]:
                if not column.open and column.total == column.unit:
                    for number in column.known:
                        self._missing[number] += 1
                step = column.steps[index]
                column.low += min(step, 0)
                column.high += max(step, 0)
                column.open += 1
                column.total -= step * value


def _columns(rows: Sequence[Vector]) -> dict[int, _Column]:
    """Scale each column to integers."""
    by_column: dict[int, dict[int, Exact]] = {}
    for index, row in enumerate(rows):
        for column, value in row.items():
            by_column.setdefault(column, {})[index] = value
    columns: dict[int, _Column] = {}
    for name, values in by_column.items():
        unit = math.lcm(*(value.denominator for value in values.values()))
        steps = {index: int(value * unit) for index, value in values.items()}
        low, high = sum(min(step, 0) for step in steps.values()), sum(max(step, 0) for step in steps.values())
        columns[name] = _Column(unit, steps, low=low, high=high, open=len(steps))
    return columns
