"""Counts made safe: small cells merged, what stays small set to 0, the rest rounded; and what could still be worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.desensitise.synthesis.fields import Field, IntArray

Runs = tuple[tuple[int, int], ...]
ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """Exact counts of one table, any shape: rows, and the people they are of (the same array where a row is a person)."""

    rows: IntArray
    people: IntArray


def merge(field: Field, weights: IntArray, least: int) -> list[Runs]:
    """Return the atoms of a column: cells of at least `least` alone, small ones merged until they have it, as far as that goes.

    weights: (cells,) people, without NULL. Ordered cells merge with their neighbours, others with all other small ones. What
    stays small is an atom of its own, and is suppressed later.
    """
    small = weights < least
    if not field.is_ordered:
        alone: list[Runs] = [((at, at),) for at in np.flatnonzero(~small).tolist()]
        return [*alone, _runs(np.flatnonzero(small))] if small.any() else alone
    large = np.flatnonzero(~small)
    if not len(large):
        return [((first, last),) for first, last in _collected(range(len(weights)), weights, least)]
    # Before the first large cell collection starts beside it, so that what stays small lies at the far end.
    head = _collected(range(int(large[0]) - 1, -1, -1), weights, least)
    ends = [*large[1:].tolist(), len(weights)]
    tail = [
        run
        for at, end in zip(large.tolist(), ends, strict=True)
        for run in ((at, at), *_collected(range(at + 1, end), weights, least))
    ]
    return [((first, last),) for first, last in (*reversed(head), *tail)]


def _collected(cells: range, weights: IntArray, least: int) -> list[tuple[int, int]]:
    """Return runs (first, last) that have `least` each, collected in the order given; the last one may have less."""
    found, start, total = [], None, 0
    for at in cells:
        start = at if start is None else start
        total += int(weights[at])
        if total >= least:
            found.append((min(start, at), max(start, at)))
            start, total = None, 0
    if start is not None:
        found.append((min(start, cells[-1]), max(start, cells[-1])))
    return found


def safe(tally: Tally, least: int, base: int) -> IntArray:
    """Return counts that may be published: 0 below `least` people, else rows rounded to a multiple of base, at least one."""
    rounded = np.maximum((tally.rows + base // 2) // base, 1) * base
    return np.where(tally.people < least, 0, rounded)


def group(field: Field, atoms: Sequence[Runs], rows: Sequence[int], missing: int, most: int) -> tuple[tuple[int, ...], ...]:
    """Return groups of atoms that hold about the same number of published rows each, at most `most`, and NULL apart.

    Ordered atoms are grouped with their neighbours; of others the largest stay alone. Atoms of 0 rows are in none.
    """
    present = [at for at in range(len(atoms)) if rows[at]]
    groups: list[list[int]] = []
    if field.is_ordered:
        total, sum_before = sum(rows[at] for at in present), 0
        last = -1
        for at in present:
            # The group is told by the middle of the atom's share, so that a large atom takes no neighbour along.
            place = min(most - 1, (2 * sum_before + rows[at]) * most // (2 * total))
            if place != last:
                groups.append([])
                last = place
            groups[-1].append(at)
            sum_before += rows[at]
    else:
        order = sorted(present, key=lambda at: (-rows[at], at))
        groups = [[at] for at in order[: most - 1]]
        if order[most - 1 :]:
            groups.append(sorted(order[most - 1 :]))
    if missing:
        groups.append([len(atoms)])
    return tuple(tuple(each) for each in groups)


@dataclass(slots=True)
class Unknown:
    """True counts that somebody who reads the aggregates knows bounds of. low, high: any one shape, float for infinity."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    @classmethod
    def of(cls, published: npt.ArrayLike, least: int, base: int, *, per_row: bool) -> Unknown:
        """What one published number says by itself. Where people are counted, 0 says nothing about rows."""
        shown = np.asarray(published, dtype=np.float64)
        # What lies below half a base is rounded up to it, so that a single base may hold any count from `least` on.
        low = np.where(shown == 0, 0, np.maximum(np.where(shown > base, shown - base // 2, least), least))
        high = np.where(shown == 0, least - 1 if per_row else np.inf, shown + base - base // 2 - 1)
        return cls(low, high)

    def meets(self, other_low: npt.ArrayLike, other_high: npt.ArrayLike) -> None:
        """Take other bounds into account."""
        self.low, self.high = np.maximum(self.low, other_low), np.minimum(self.high, other_high)


def tighten(total: Unknown, parts: Sequence[Unknown]) -> None:
    """Let bounds of a total and of its parts narrow each other, in place. parts: arrays whose sum along axis 0 is the total."""
    low, high = (np.stack([getattr(part, end) for part in parts]) for end in ("low", "high"))
    # Sums without one part, not the sum minus the part: infinity minus infinity says nothing.
    others_low = low.sum(axis=0) - low
    infinite = np.isinf(high)
    finite_sum = np.where(infinite, 0, high).sum(axis=0)
    others_infinite = infinite.sum(axis=0) - infinite > 0
    others_high = np.where(others_infinite, np.inf, finite_sum - np.where(infinite, 0, high))
    total.meets(low.sum(axis=0), high.sum(axis=0))
    for at, part in enumerate(parts):
        part.meets(total.low - others_high[at], total.high - others_low[at])


def told(unknowns: Sequence[Unknown], least: int) -> int:
    """Return how many counts of 1 to below `least` are known exactly."""
    return sum(int(((each.low == each.high) & (each.low >= 1) & (each.low < least)).sum()) for each in unknowns)


def _runs(cells: IntArray) -> Runs:
    breaks = np.flatnonzero(np.diff(cells) > 1)
    starts, ends = [0, *(breaks + 1)], [*breaks, len(cells) - 1]
    return tuple((int(cells[first]), int(cells[last])) for first, last in zip(starts, ends, strict=True))
