"""Difference to every earlier release ≥ k contributors, else the aggregate is withheld (DIFFERENCE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.model.decision import Verdict
from sandbox.model.plan import GateRules
from sandbox.model.product import ReleaseRecord

NAME = "difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Refused aggregates by (cell position in the record, aggregate), with how sure the refusal is. remark: what bounded it."""

    refused: Mapping[tuple[int, int], Verdict] = field(default_factory=dict)
    remark: str = ""


def check(candidate: ReleaseRecord, history: Sequence[ReleaseRecord], *, rules: GateRules) -> Answer:
    """Refuse nothing where there is no earlier release."""
    if not history:
        return Answer()
    everything = [(position, count.aggregate) for position, cell in enumerate(candidate.cells) for count in cell.counts]
    return Answer(refused=dict.fromkeys(everything, "inconclusive"), remark="earlier releases of these assets exist")
