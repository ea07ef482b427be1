"""What all released tables together let anyone compute has at least k contributors, or none (DIFFERENCE).

Nested filters, N and N−1, roll-ups and re-grouped bands are all one thing: a combination of released cells that is the
indicator of a population. Each released cell is a vector over atoms, kept in an exact row space per kind of number (counts;
amounts of one measure); a new aggregate is released if no population of 1..k−1 contributors becomes computable with it.
Aggregates are tried one after the other, by labels and in the question's order, so the choice never depends on their
values' size. What cannot be decided is withheld as inconclusive.
Source: Hundepool et al., Statistical Disclosure Control (2012), chapter 4 (linked tables); Fellegi, J. Am. Stat. Assoc. 67
(1972), on combinations of released counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.gate.history.comparison import Comparison
from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.judge import Judge
from sandbox.gate.history.nearby import nearby
from sandbox.gate.history.parts import tells_of_few_parts
from sandbox.model.decision import Reason, Verdict
from sandbox.model.product import ReleasedCount, ReleaseRecord

NAME = "difference"
REASON: Reason = "DIFFERENCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Refused aggregates by (cell position in the record, aggregate), with how sure the refusal is. remark: what bounded it."""

    refused: Mapping[tuple[int, int], Verdict] = field(default_factory=dict)
    remark: str = ""


def check(comparison: Comparison) -> Answer:
    """Judge every aggregate that still stands against all comparable earlier releases."""
    past, candidate, whole = comparison.past, comparison.candidate, comparison.whole
    standing = [(position, count) for position, cell in enumerate(candidate.cells) for count in cell.counts]
    if comparison.rows_of_part:
        known = "rows of a part were released before: what is left of a total is that of the other parts"
        return Answer(refused=_all(standing, "inconclusive"), remark=known)
    if not past:
        return Answer(remark="no comparable earlier release")
    remark = f"{len(past)} comparable earlier releases"
    if _repeats(candidate, past):
        return Answer(remark=f"{remark}; all of it was released before")
    try:
        if whole is not None and tells_of_few_parts(whole):
            few = f"{remark}, over other parts: a difference would be that of fewer than {whole.min_parties} of them"
            return Answer(refused=_all(standing, "fail"), remark=few)
        judge = Judge(comparison.records, comparison.atoms(), k=comparison.k)
        close = nearby(comparison.records, k=comparison.k)
    except BeyondModel as limit:
        remark = f"{remark}; the difference to them cannot be decided: {limit}"
        return Answer(refused=_all(standing, "inconclusive"), remark=remark)
    refused: dict[tuple[int, int], Verdict] = dict.fromkeys(close, "fail")
    rest = [(position, count) for position, count in standing if (position, count.aggregate) not in close]
    return Answer(refused=refused | judge.refused(rest), remark=remark)


def _all(standing: Sequence[tuple[int, ReleasedCount]], verdict: Verdict) -> dict[tuple[int, int], Verdict]:
    return {(position, count.aggregate): verdict for position, count in standing}


def _repeats(candidate: ReleaseRecord, past: Sequence[ReleaseRecord]) -> bool:
    """The same question gave the same numbers before: nothing new becomes computable."""
    return any(
        (record.inputs, record.groups, record.aggregates) == (candidate.inputs, candidate.groups, candidate.aggregates)
        and len(record.cells) == len(candidate.cells)
        and all(
            before.labels == now.labels and set(now.counts) <= set(before.counts)
            for before, now in zip(record.cells, candidate.cells, strict=True)
        )
        for record in past
    )
