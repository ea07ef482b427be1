"""Differencing and reconstruction: what all published counts together tell about a cell that none of them shows.

Every elementary cell is an unknown whole number; every published cell, margin, rounding interval and suppression of every
release is a linear constraint on a sum of cells. A cell that has only one value left, or too few, is found out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.risk.verdict import Finding, Verdict

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

FloatArray = npt.NDArray[np.float64]
WHOLE = 1e-6
SECONDS = 60.0
OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 2, 3  # scipy.optimize.milp's status


@dataclass(frozen=True, slots=True)
class Constraint:
    """low ≤ Σ weights[i] · cell[cells[i]] ≤ high. cells: (terms,) int64; weights: (terms,) float64. source: where it was
    published."""

    cells: npt.NDArray[np.int64]
    weights: FloatArray
    low: float
    high: float
    source: str = ""


def published(cells: Iterable[int], value: float, source: str = "") -> Constraint:
    """Return the constraint of a published count: the sum of some cells."""
    return within(cells, value, value, source)


def rounded(cells: Iterable[int], value: float, base: float, source: str = "") -> Constraint:
    """Return the constraint of a count that was rounded to the nearest multiple of `base`, halves either way."""
    if base <= 0 or value % base:
        raise ParameterError("a rounded count is a multiple of its base, which is above 0")
    return within(cells, value - base / 2, value + base / 2, source)


def suppressed(cells: Iterable[int], below: int, source: str = "", *, from_: int = 0) -> Constraint:
    """Return the constraint of a count that was withheld because it lies from `from_` up to, and not at, `below`."""
    return within(cells, from_, below - 1, source)


def within(cells: Iterable[int], low: float, high: float, source: str = "") -> Constraint:
    """Return the constraint of a count of which bounds are known. Raises ParameterError: no cell, a cell twice, low above
    high."""
    found = np.array(list(cells), dtype=np.int64)
    return weighted(found, np.ones(len(found)), low, high, source)


def weighted(cells: npt.ArrayLike, weights: npt.ArrayLike, low: float, high: float, source: str = "") -> Constraint:
    """Return the constraint of a weighted sum (a total, a mean times its count)."""
    found, factors = np.array(cells, dtype=np.int64), np.array(weights, dtype=np.float64)
    if not len(found) or len(np.unique(found)) != len(found) or found.min() < 0 or factors.shape != found.shape:
        raise ParameterError("a constraint has at least one cell, each once, and a weight for each")
    if not low <= high or not np.isfinite(factors).all():
        raise ParameterError("a constraint's low is at most its high, and its weights are finite")
    return Constraint(found, factors, float(low), float(high), source)


@dataclass(frozen=True, slots=True)
class Range:
    """What is possible for one cell: whole numbers from low to high. exact: False where only the linear relaxation was
    solved."""

    cell: int
    low: float
    high: float
    exact: bool

    @property
    def width(self) -> float:
        """high − low; 0 for a cell that is found out."""
        return self.high - self.low


@dataclass
class History:
    """Everything that was published about one set of cells.

    cells: how many elementary cells. upper: the most that one can hold (people in the population, or 1 for a yes-or-no
    unknown). Grows by `add`; `ranges` and `judge` look at all of it together.
    """

    cells: int
    upper: npt.ArrayLike = np.inf
    constraints: list[Constraint] = field(default_factory=list)

    def add(self, constraints: Iterable[Constraint]) -> None:
        """Add a release. Raises ParameterError for a cell that there is not."""
        new = list(constraints)
        if any(int(item.cells.max()) >= self.cells for item in new):
            raise ParameterError(f"cells are numbered from 0 to {self.cells - 1}")
        self.constraints.extend(new)

    def with_release(self, constraints: Iterable[Constraint]) -> History:
        """Return the history as it would be with one more release."""
        grown = History(self.cells, self.upper, list(self.constraints))
        grown.add(constraints)
        return grown

    def ranges(self, of: Sequence[int] | None = None, *, seconds: float = SECONDS) -> list[Range]:
        """Return the possible range of each cell: by linear programme, and by whole numbers where its corner is not whole.

        seconds: for each solve. Raises ParameterError if the releases contradict each other.
        """
        system = _System(self, seconds)
        return [system.range(cell) for cell in (range(self.cells) if of is None else of)]

    def solution(self, *, seconds: float = SECONDS) -> npt.NDArray[np.int64] | None:
        """Return one table of whole numbers that fits everything; None if the time ended. Raises ParameterError if none
        does."""
        return _System(self, seconds).any_solution()

    def is_unique(self, *, seconds: float = SECONDS) -> bool | None:
        """Return whether only one table fits, None if the time ended."""
        system = _System(self, seconds)
        first = system.any_solution()
        if first is None:
            return None
        return system.differs_nowhere(first)

    def judge(self, sensitive: Sequence[int], *, narrowest: float = 0.0, seconds: float = SECONDS) -> Finding:
        """Return whether any sensitive cell has `narrowest + 1` or fewer values left.

        sensitive: cells that must not be found out (small, not 0). A time-out is INCONCLUSIVE. exposed: (cell, low, high), for
        the auditor.
        """
        found, open_ = [], 0
        for item in self.ranges(sensitive, seconds=seconds):
            if item.width <= narrowest + WHOLE:
                found.append((item.cell, item.low, item.high))
            elif not item.exact:
                open_ += 1
        verdict: Verdict = "FAIL" if found else "INCONCLUSIVE" if open_ else "PASS"
        unsolved = f"; {open_} not solved in time" if open_ else ""
        return Finding(
            attack="reconstruction",
            verdict=verdict,
            message=f"{len(found)} of {len(sensitive)} small cells have {narrowest + 1:g} or fewer values left, "
            f"by {len(self.constraints)} published sums over {self.cells} cells{unsolved}",
            exposed=tuple(found),
        )


class _System:
    """The constraints as a sparse matrix, for scipy's HiGHS."""

    def __init__(self, history: History, seconds: float) -> None:
        from scipy.optimize import Bounds, LinearConstraint
        from scipy.sparse import csr_array

        self._cells, self._seconds = history.cells, seconds
        upper = np.broadcast_to(np.asarray(history.upper, dtype=np.float64), (history.cells,))
        self._bounds = Bounds(np.zeros(history.cells), upper)
        self._rows: list[Any] = []
        if history.constraints:
            at = np.repeat(np.arange(len(history.constraints)), [len(item.cells) for item in history.constraints])
            columns = np.concatenate([item.cells for item in history.constraints])
            weights = np.concatenate([item.weights for item in history.constraints])
            matrix = csr_array((weights, (at, columns)), shape=(len(history.constraints), history.cells))
            low, high = (np.array([getattr(item, end) for item in history.constraints]) for end in ("low", "high"))
            self._rows.append(LinearConstraint(matrix, low, high))

    def range(self, cell: int) -> Range:
        target = np.zeros(self._cells)
        target[cell] = 1
        low, high = self._least(target), self._least(-target)
        return Range(cell, max(0.0, low.value), -high.value, low.exact and high.exact)

    def any_solution(self) -> npt.NDArray[np.int64] | None:
        found = self._solve(np.zeros(self._cells), whole=True)
        return None if found is None or found.x is None else np.rint(found.x).astype(np.int64)

    def differs_nowhere(self, first: npt.NDArray[np.int64]) -> bool | None:
        """Whether no other table fits: none has more in the first one's empty cells, none another number in its others."""
        empty = (first == 0).astype(np.float64)
        answers = [self._same(-empty, 0.0)]
        if (first[first > 0] == np.asarray(self._bounds.ub)[first > 0]).all():
            answers.append(self._same(1 - empty, float(first.sum())))
        else:
            for cell in np.flatnonzero(first):
                found = self.range(int(cell))
                answers.append(found.width == 0 if found.width == 0 or found.exact else None)
        return False if False in answers else None if None in answers else True

    def _same(self, objective: FloatArray, expected: float) -> bool | None:
        least = self._least(objective)
        return True if least.value >= expected - WHOLE else False if least.exact else None

    def _least(self, objective: FloatArray) -> _Least:
        """Return the least value over whole numbers; not exact, a lower bound, if the time ended."""
        relaxed = self._solve(objective, whole=False)
        if relaxed is None:
            return _Least(-np.inf, False)
        if relaxed.status == UNBOUNDED:
            return _Least(-np.inf, True)
        # The corner that the relaxation found is the answer if it is whole, as it is for most tables.
        if (np.abs(relaxed.x - np.rint(relaxed.x)) < WHOLE).all():
            return _Least(float(objective @ np.rint(relaxed.x)), True)
        found = self._solve(objective, whole=True)
        if found is None:
            return _Least(float(np.ceil(relaxed.fun - WHOLE)), False)
        return _Least(float(objective @ np.rint(found.x)), True)

    def _solve(self, objective: FloatArray, *, whole: bool) -> OptimizeResult | None:
        """Return a solved programme (optimal or unbounded), None for a time-out."""
        from scipy.optimize import milp

        kind = np.full(self._cells, int(whole))
        options: Any = {"time_limit": self._seconds, "mip_rel_gap": 0.0}
        found = milp(objective, integrality=kind, bounds=self._bounds, constraints=self._rows or None, options=options)
        if found.status == INFEASIBLE:
            raise ParameterError("the releases contradict each other: no table of whole numbers fits them all")
        return found if found.status in (OPTIMAL, UNBOUNDED) else None


@dataclass(frozen=True, slots=True)
class _Least:
    value: float
    exact: bool
