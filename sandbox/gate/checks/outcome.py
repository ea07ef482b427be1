"""What a check judges and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.gate.cells import Cell, Moments, PairMoments
from sandbox.model.decision import Reason, Verdict
from sandbox.model.plan import Aggregate, GateRules, Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One aggregate of one cell, with the rules it is judged by. measure and moments are None for COUNT(*) and keys.

    For a function of two columns, `pair` holds both columns' moments over its rows; measure and moments are the first column's
    there, second_measure is the second's. overlap: as `CellTable` says.
    """

    rules: GateRules
    cell: Cell
    aggregate: Aggregate
    measure: Measure | None
    moments: Moments | None
    pair: PairMoments | None = None
    second_measure: Measure | None = None
    overlap: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A check's answer. Whatever is not `pass` withholds, with `reason`."""

    verdict: Verdict
    reason: Reason | None = None


PASS = Outcome(verdict="pass")
