"""What an outsider can find out by trying: all tables of whole numbers that fit what was published. No gate code."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Atom = tuple[Hashable, ...]


@dataclass(frozen=True)
class Statement:
    """low ≤ Σ cells ≤ high; None for no end."""

    cells: frozenset[Atom]
    low: int
    high: int | None


def statements(
    domain: Sequence[Atom], labels: Sequence[Hashable | None], shown: dict[Hashable, tuple[int | None, str]], k: int
) -> Iterator[Statement]:
    """What one table says. labels: of each kind of person, None if it is left out. shown: by label, count and reason."""
    reasons = {reason for count, reason in shown.values() if count is None}
    for label in set(labels) - {None}:
        cells = frozenset(atom for atom, own in zip(domain, labels, strict=True) if own == label)
        count, reason = shown.get(label, (0, ""))
        if count is not None:
            yield Statement(cells, count, count)
        elif reason == "BELOW_K":
            yield Statement(cells, 1, k - 1)
        elif reasons == {"RECONSTRUCTION"}:
            yield Statement(cells, 1, None)
        else:
            yield Statement(cells, k, None)


class Tables:
    """All tables over a domain that meet statements; nothing is enumerated that a bound rules out."""

    def __init__(self, domain: Sequence[Atom], known: Iterable[Statement], most: int) -> None:
        self._domain = list(domain)
        self._known = list(dict.fromkeys(known))
        self._most = most

    def possible(self, cells: frozenset[Atom], low: int, high: int | None) -> bool:
        """Whether some table has low..high people in these cells."""
        known = [*self._known, Statement(cells, low, high)]
        order = sorted(self._domain, key=lambda atom: -sum(atom in one.cells for one in known))
        touching = [[number for number, one in enumerate(known) if atom in one.cells] for atom in order]
        left = [len(one.cells) for one in known]
        sums = [0] * len(known)

        def fits(at: int) -> bool:
            if at == len(order):
                return True
            mine = touching[at]
            floor, ceiling = 0, self._most
            for number in mine:
                one = known[number]
                if left[number] == 1:
                    floor = max(floor, one.low - sums[number])
                if one.high is not None:
                    ceiling = min(ceiling, one.high - sums[number])
            for value in range(floor, ceiling + 1):
                for number in mine:
                    sums[number] += value
                    left[number] -= 1
                good = fits(at + 1)
                for number in mine:
                    sums[number] -= value
                    left[number] += 1
                if good:
                    return True
            return False

        return fits(0)

    def small_values(self, cells: frozenset[Atom], k: int) -> list[int] | None:
        """The values that a population may have; None if it may be empty, or have k or more."""
        if self.possible(cells, 0, 0) or self.possible(cells, k, None):
            return None
        return [value for value in range(1, k) if self.possible(cells, value, value)]


def overlaps(populations: Sequence[frozenset[Atom]]) -> set[frozenset[Atom]]:
    """Populations, what two of them share, and what one has beyond the other."""
    found = set(populations)
    for one, other in itertools.permutations(populations, 2):
        found |= {one & other, one - other}
    return {cells for cells in found if cells}
