"""Which small populations have too few values left: every one is cleared by solutions that fit all bounds, or is found out.

A population is cleared if some solution leaves it empty, or gives it k contributors, or if two solutions are far enough apart.
One solution clears many, so solutions are sought for all that are open together before each is looked at alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.knowledge import Columns, Protected
from sandbox.gate.history.programme import Least, Points, Programme, incidence
from sandbox.model.decision import Verdict

MAX_PAIRS = 500_000


@dataclass(frozen=True, slots=True)
class Range:
    """What is possible: from low to high contributors, from low_rows to high_rows rows."""

    low: int
    high: int
    low_rows: int
    high_rows: int

    def too_narrow(self, *, k: int, values: int) -> bool:
        """Return whether somebody is known to be in it, fewer than k, and fewer than `values` numbers are left."""
        return self.low >= 1 and self.high < k and min(self.high - self.low, self.high_rows - self.low_rows) < values - 1


@dataclass(slots=True)
class Guard:
    """Judges populations under one programme. points: solutions found so far, also those of other programmes."""

    programme: Programme
    width: int
    k: int
    values: int
    points: list[Points] = field(default_factory=list)

    def judge(self, protected: Sequence[Protected], excused: Callable[[Protected, Range], bool]) -> Verdict:
        """Return `fail` if any population has too few values left, unless excused; `inconclusive` where a limit was met."""
        if not protected:
            return "pass"
        seen = _Seen(self, protected)
        self._together(seen)
        verdict: Verdict = "pass"
        for number, population in enumerate(protected):
            if not seen.open()[number]:
                continue
            found = self.range(population, seen)
            if not seen.open()[number]:
                continue
            if found is None:
                verdict = "inconclusive"
            elif found.too_narrow(k=self.k, values=self.values) and not excused(population, found):
                return "fail"
        return verdict

    def range(self, population: Protected, seen: _Seen | None = None) -> Range | None:
        """Return a population's exact range; None where a limit was met, or as soon as it is cleared."""
        ends: list[int] = []
        for unknowns in dict.fromkeys((population.keys, population.rows)):
            for sign in (1, -1):
                weights = np.zeros(self.width, dtype=np.int64)
                weights[list(unknowns)] = sign
                found = self.least(weights, seen)
                if not found.exact or found.low is None or (seen is not None and not seen.open()[seen.number(population)]):
                    return None
                ends.append(sign * found.low)
        return Range(ends[0], ends[1], ends[-2], ends[-1])

    def least(self, weights: npt.NDArray[np.int64], seen: _Seen | None = None) -> Least:
        """Return the least of a sum, and keep the solution that shows it."""
        found = self.programme.least(weights)
        if found.point is not None:
            self.points.append(found.point)
            if seen is not None:
                seen.add(found.point)
        return found

    def _together(self, seen: _Seen) -> None:
        """Few people in all that is open, then many, as long as that clears some of them."""
        left = len(seen.protected) + 1
        while 0 < (now := int(seen.open().sum())) < left:
            left = now
            for sign in (1, -1):
                self.least(sign * seen.weights(), seen)

    def pairs(self, cells: Sequence[tuple[int, Columns]], known: Sequence[Protected]) -> list[Protected]:
        """Return what two cells of different releases share, or one has and the other has not, where no solution clears it.

        cells: (release, columns); every key has one row.
        """
        groups = [columns for _, columns in cells]
        releases = np.array([release for release, _ in cells])
        matrix = incidence(groups, self.width)
        first, second = (matrix @ matrix.T).nonzero()
        apart = releases[first] != releases[second]
        first, second = first[apart], second[apart]
        if len(first) > MAX_PAIRS:
            raise BeyondModel(f"more than {MAX_PAIRS} pairs of cells that overlap")
        shared, beyond = _Extremes(len(first)), _Extremes(len(first))
        for point in self.points:
            if self.programme.fits(point):
                common = np.asarray((matrix * point[None, :] @ matrix.T).tocsr()[first, second]).ravel()
                shared.add(common)
                beyond.add((matrix @ point)[first] - common)
        found: dict[Columns, None] = {}
        for at in np.flatnonzero(shared.open(self.k, self.values) & (first < second)):
            found[groups[first[at]] & groups[second[at]]] = None
        for at in np.flatnonzero(beyond.open(self.k, self.values)):
            found[groups[first[at]] - groups[second[at]]] = None
        judged = {one.columns for one in known}
        return [_rows(columns) for columns in found if columns and columns not in judged]


class _Extremes:
    """The least and most of some sums over all solutions seen."""

    def __init__(self, count: int) -> None:
        self.low = np.full(count, np.iinfo(np.int64).max)
        self.high = np.full(count, -1, dtype=np.int64)

    def add(self, sums: npt.NDArray[np.int64]) -> None:
        self.low, self.high = np.minimum(self.low, sums), np.maximum(self.high, sums)

    def wide(self, values: int) -> npt.NDArray[np.bool_]:
        return np.asarray((self.high >= 0) & (self.high - self.low >= values - 1))

    def open(self, k: int, values: int) -> npt.NDArray[np.bool_]:
        return np.asarray((self.low > 0) & (self.high < k) & ~self.wide(values))


class _Seen:
    """What solutions have shown of some populations: those are open that none has cleared."""

    def __init__(self, guard: Guard, protected: Sequence[Protected]) -> None:
        self.protected = protected
        self._k, self._values = guard.k, guard.values
        self._numbers = {id(population): number for number, population in enumerate(protected)}
        self._of_keys = incidence([one.keys for one in protected], guard.width)
        self._of_rows = incidence([one.rows for one in protected], guard.width)
        self._keys, self._rows = _Extremes(len(protected)), _Extremes(len(protected))
        for point in guard.points:
            if guard.programme.fits(point):
                self.add(point)

    def add(self, point: Points) -> None:
        self._keys.add(self._of_keys @ point)
        self._rows.add(self._of_rows @ point)

    def number(self, population: Protected) -> int:
        return self._numbers[id(population)]

    def open(self) -> npt.NDArray[np.bool_]:
        wide = self._keys.wide(self._values) & self._rows.wide(self._values)
        return np.asarray((self._keys.low > 0) & (self._keys.high < self._k) & ~wide)

    def weights(self) -> npt.NDArray[np.int64]:
        """How often each unknown counts in the contributors of all open populations."""
        return np.asarray(self._of_keys.T @ self.open().astype(np.int64))


def _rows(columns: Columns) -> Protected:
    places = tuple(sorted(columns))
    return Protected(columns=columns, keys=places, rows=places)
