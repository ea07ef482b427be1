"""Whole-number solutions of linear bounds: the least of a sum, by linear programme and then by whole numbers (HiGHS).

Limits count nodes and entries, never time, so that the same question gets the same answer. What a solver says is not taken on
trust where it would let a number pass: a point counts only if it is whole and fits every bound in integers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.knowledge import Bound

MAX_ENTRIES = 30_000
MAX_NODES = 200
TOTAL_WORK = 3_000_000
WHOLE = 1e-6
OPTIMAL, LIMIT, INFEASIBLE = 0, 1, 2  # scipy.optimize.milp's status
Points = npt.NDArray[np.int64]


class ContradictionError(Exception):
    """No whole numbers fit all bounds."""


@dataclass(slots=True)
class Work:
    """Entries of programmes that one judgement may still solve; a programme over whole numbers counts ten times."""

    left: int = TOTAL_WORK

    def spend(self, entries: int) -> bool:
        """Take a share, if there is enough left."""
        if entries > self.left:
            return False
        self.left -= entries
        return True


@dataclass(frozen=True, slots=True)
class Least:
    """The least of a sum: `low` is proved (None: nothing is), and reached if `exact`. point: a solution, or None."""

    low: int | None
    exact: bool
    point: Points | None


def incidence(groups: Sequence[Collection[int]], width: int) -> Any:
    """Return the (groups, width) matrix of 0 and 1, int64, sparse, that adds up each group's unknowns."""
    from scipy.sparse import csr_array

    at = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    columns = np.fromiter((column for group in groups for column in group), dtype=np.int64, count=len(at))
    return csr_array((np.ones(len(at), dtype=np.int64), (at, columns)), shape=(len(groups), width))


class Programme:
    """Bounds on `width` unknowns, each a whole number from 0 (and 0 for the `absent` ones). Raises BeyondModel: too large.

    beyond: a figure that stands for no end.
    """

    def __init__(self, width: int, bounds: Sequence[Bound], absent: Collection[int], work: Work) -> None:
        bounds = list(dict.fromkeys(bounds))
        self._matrix = incidence([one.plus for one in bounds], width) - incidence([one.minus for one in bounds], width)
        if self._matrix.nnz > MAX_ENTRIES:
            raise BeyondModel(f"more than {MAX_ENTRIES} entries in the bounds of all releases")
        self._low = np.array([-np.inf if one.low is None else one.low for one in bounds])
        self._high = np.array([np.inf if one.high is None else one.high for one in bounds])
        # Where nothing ends an unknown, a figure beyond all that is stated does: what is smaller can still be told from it.
        stated = [abs(end) for one in bounds for end in (one.low, one.high) if end is not None]
        self.beyond = 2 * max(stated, default=0) + 1000
        self._upper = np.full(width, self.beyond)
        self._upper[list(absent)] = 0
        self._work = work

    def fits(self, point: Points) -> bool:
        """Return whether whole numbers meet every bound, in exact integers."""
        sums = self._matrix @ point
        return bool(
            (point >= 0).all() and (point <= self._upper).all() and (sums >= self._low).all() and (sums <= self._high).all()
        )

    def least(self, weights: npt.NDArray[np.int64]) -> Least:
        """Return the least of a weighted sum of the unknowns. Raises ContradictionError."""
        relaxed = self._solve(weights, whole=False)
        if relaxed is None or relaxed.status != OPTIMAL:
            return Least(None, False, None)
        low, point = int(np.ceil(relaxed.fun - WHOLE)), self._point(relaxed)
        if point is not None and int(weights @ point) == low:
            return Least(low, True, point)
        found = self._solve(weights, whole=True)
        if found is None or found.status not in (OPTIMAL, LIMIT):
            return Least(low, False, point)
        bound = found.mip_dual_bound
        low = max(low, int(np.ceil(bound - WHOLE))) if bound is not None and np.isfinite(bound) else low
        better = self._point(found)
        point = point if better is None else better
        return Least(low, found.status == OPTIMAL and better is not None, point)

    def _point(self, solution: Any) -> Points | None:
        if solution.x is None:
            return None
        point = np.rint(solution.x).astype(np.int64)
        return point if self.fits(point) else None

    def _solve(self, weights: npt.NDArray[np.int64], *, whole: bool) -> Any:
        from scipy.optimize import Bounds, LinearConstraint, milp

        if not self._work.spend((self._matrix.nnz + len(weights)) * (10 if whole else 1)):
            return None
        options: Any = {"mip_rel_gap": 0.0, "node_limit": MAX_NODES}
        found = milp(
            weights.astype(np.float64),
            integrality=np.full(len(weights), int(whole)),
            bounds=Bounds(0, self._upper),
            constraints=LinearConstraint(self._matrix.astype(np.float64), self._low, self._high),
            options=options,
        )
        if found.status == INFEASIBLE:
            raise ContradictionError
        return found
