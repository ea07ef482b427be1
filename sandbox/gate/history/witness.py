"""Witnesses: tables that agree with every released count and prove that a column is in no small computable population.

A population v (0 or 1 on each column) that can be computed from the released counts has v·x contributors for every real
vector x with those counts, true or not. If x has p > 0 in column c and −s in all columns below 0 together, every such v with
c in it has v·x >= p − s: more than k − 1 means k, as counts are whole. A column that some x clears so is in no population
that is small, empty or contradictory, and the search may set it to 0. By duality, what no x clears the linear relaxation of
the search does not exclude either.

A solver (HiGHS) only proposes x. Its pivots are then computed from the reduced rows, so that it agrees with all counts, and
what is below 0 is paid for, all in whole numbers: a wrong proposal clears nothing that it should not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandbox.gate.history.reduced import Row, within

UNIT = 2**30
"""Witnesses count in fractions of a person: 1 / UNIT."""
MAX_ENTRIES = 200_000
TOTAL_ENTRIES = 10_000_000
OPTIMAL = 0  # scipy.optimize.milp's status


@dataclass(slots=True)
class Witnesses:
    """Narrows row spaces to where small populations can be. left: entries of programmes that may still be solved.

    found: proposals that cleared something, by column; they are tried, and proved anew, on other spaces.
    """

    left: int = TOTAL_ENTRIES
    found: list[Mapping[int, int]] = field(default_factory=list)

    def small(self, basis: Sequence[Row], k: int) -> list[Row]:
        """Return a basis of a subspace that holds every 0/1 vector of fewer than k: those that are 0 where columns are cleared.

        On the subspace fewer counts are given, so that witnesses of it may clear more.
        """
        rows = list(basis)
        while rows:
            system = _System(rows)
            cleared = self._cleared(system, k)
            if not cleared:
                break
            rows = within(rows, set(system.columns) - cleared)
        return rows

    def _cleared(self, system: _System, k: int) -> set[int]:
        """Return columns that are cleared by a witness that needs no solver or is known, else by a new one."""
        cleared = system.clears([0] * len(system.columns), k)
        for proposal in self.found:
            if proposal.keys() >= system.places.keys():
                known = [proposal[column] for column in system.columns]
                if any(
                    value > (k - 1) * UNIT and column not in cleared
                    for column, value in zip(system.columns, known, strict=True)
                ):
                    cleared |= system.clears(known, k)
        if cleared or system.entries > min(MAX_ENTRIES, self.left):
            return cleared
        self.left -= system.entries
        new = system.propose(k)
        if new is not None and (cleared := system.clears(new, k)):
            self.found.append(dict(zip(system.columns, new, strict=True)))
        return cleared


class _System:
    """Reduced rows as whole numbers, each multiplied by its common denominator."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.columns = sorted({column for row in rows for column in row.entries})
        self.places = {column: place for place, column in enumerate(self.columns)}
        self._scales = [math.lcm(row.rows.denominator, *(value.denominator for value in row.entries.values())) for row in rows]
        self._values = [int(row.rows * scale) for row, scale in zip(rows, self._scales, strict=True)]
        self._pivots = np.array([self.places[row.pivot] for row in rows])
        self._lines = np.repeat(np.arange(len(rows)), [len(row.entries) for row in rows])
        self._at = np.array([self.places[column] for row in rows for column in row.entries])
        self._steps = np.array(
            [int(value * scale) for row, scale in zip(rows, self._scales, strict=True) for value in row.entries.values()],
            dtype=object,
        )

    @property
    def entries(self) -> int:
        """Size of the programme that `propose` solves."""
        return 2 * (len(self._at) + len(self.columns))

    def clears(self, proposal: Sequence[int], k: int) -> set[int]:
        """Return the columns that a proposal clears, once its pivots are what the rows make of the other columns."""
        point = np.array(proposal, dtype=object)
        point[self._pivots] = 0
        starts = np.searchsorted(self._lines, np.arange(len(self._values)))
        sums = np.add.reduceat(self._steps * point[self._at], starts)
        # Rounded down: what is then below 0 counts against all columns, what is above is no more than it may be.
        point[self._pivots] = [
            (value * UNIT - total) // scale for value, total, scale in zip(self._values, sums, self._scales, strict=True)
        ]
        below = sum(value for value in point if value < 0)
        return {column for column, value in zip(self.columns, point, strict=True) if value + below > (k - 1) * UNIT}

    def propose(self, k: int) -> list[int] | None:
        """Return a table that puts k in as many columns as it can, if the solver finds one: unproved."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array, hstack

        width = len(self.columns)
        steps = [float(value) for row in self._rows for value in row.entries.values()]
        values = [float(row.rows) for row in self._rows]
        matrix: Any = csr_array((steps, (self._lines, self._at)), shape=(len(values), width))
        # People of a column stand in two unknowns: the first k count, those beyond do not.
        solved = milp(
            np.repeat([-1.0, 0.0], width),
            bounds=Bounds(0, np.repeat([float(k), np.inf], width)),
            constraints=LinearConstraint(hstack([matrix, matrix]), values, values),
        )
        if solved.status != OPTIMAL or solved.x is None or not np.isfinite(solved.x).all():
            return None
        return [round(float(value) * UNIT) for value in solved.x[:width] + solved.x[width:]]
