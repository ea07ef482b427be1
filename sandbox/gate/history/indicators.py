"""Search for the 0/1 vectors of a row space in reduced form: the populations that released cells let anyone compute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

MAX_NODES = 20_000


class Search:
    """Depth-first search over the values of the pivots, which determine every other column.

    rows: reduced rows, each by column, whose pivot is the column that only it has with entry 1. known: released populations; a
    vector that contains one is that one plus a smaller vector, so it is not followed. exhausted: the limit of nodes was hit.
    """

    def __init__(self, rows: Sequence[Mapping[int, Fraction]], known: Sequence[frozenset[int]]) -> None:
        self.exhausted = False
        self._nodes = 0
        self._depths = len(rows)
        by_column: dict[int, dict[int, Fraction]] = {}
        for depth, row in enumerate(rows):
            for column, value in row.items():
                by_column.setdefault(column, {})[depth] = value
        self._one = {
            column: math.lcm(*(value.denominator for value in values.values())) for column, values in by_column.items()
        }
        self._steps: list[list[tuple[int, int, int, int]]] = [[] for _ in rows]
        for column, values in by_column.items():
            self._plan_column(column, values)
        self._sums = dict.fromkeys(by_column, 0)
        self._sets_of: dict[int, list[int]] = {}
        self._missing = [len(columns) for columns in known]
        for number, columns in enumerate(known):
            for column in columns:
                self._sets_of.setdefault(column, []).append(number)
        self._sure: list[int] = []
        self._chosen: list[int] = []

    def indicators(self) -> Iterator[tuple[frozenset[int], tuple[int, ...]]]:
        """Yield (columns, rows that were added up) of each non-zero 0/1 vector that contains no known population."""
        yield from self._descend(0)

    def _plan_column(self, column: int, values: Mapping[int, Fraction]) -> None:
        """For each depth that touches a column: its integer step, and the least and most that later depths can still add."""
        low = high = 0
        for depth in sorted(values, reverse=True):
            step = int(values[depth] * self._one[column])
            self._steps[depth].append((column, step, low, high))
            low, high = low + min(step, 0), high + max(step, 0)

    def _descend(self, depth: int) -> Iterator[tuple[frozenset[int], tuple[int, ...]]]:
        if depth == self._depths:
            if self._sure:
                yield frozenset(self._sure), tuple(self._chosen)
            return
        for one in (1, 0):
            self._nodes += 1
            if self._nodes > MAX_NODES:
                self.exhausted = True
                return
            mark = len(self._sure)
            if one:
                self._chosen.append(depth)
            if self._choose(depth, one):
                yield from self._descend(depth + 1)
            self._undo(depth, one, mark)

    def _choose(self, depth: int, one: int) -> bool:
        """Apply a choice to every column it touches; return whether a new 0/1 vector is still possible."""
        possible = True
        for column, step, low, high in self._steps[depth]:
            total = self._sums[column] = self._sums[column] + step * one
            unit = self._one[column]
            possible = possible and (total + low <= unit <= total + high or total + low <= 0 <= total + high)
            if low == high and total + low == unit:
                self._sure.append(column)
                for number in self._sets_of.get(column, ()):
                    self._missing[number] -= 1
                    possible = possible and self._missing[number] > 0
        return possible

    def _undo(self, depth: int, one: int, mark: int) -> None:
        if one:
            self._chosen.pop()
            for column, step, _, _ in self._steps[depth]:
                self._sums[column] -= step
        for column in self._sure[mark:]:
            for number in self._sets_of.get(column, ()):
                self._missing[number] += 1
        del self._sure[mark:]
