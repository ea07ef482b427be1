"""Nobody can bound a small population more closely than the rules allow, from all numbers and all reasons (RECONSTRUCTION).

Counts are unknown whole numbers; every released one, every group that is missing, and every reason for a withheld one bounds
sums of them. A population fails if somebody is known to be in it, fewer than k, and of the k − 1 values that `fewer than k`
leaves fewer than half (and fewer than 2) are still possible: its sliding protection level. Ranges that earlier releases alone
leave are not this release's doing. Where the reasons for withheld numbers would, without any number of this release, narrow
such a range at all, they are merged into one that says nothing of sizes; if labels alone are too much still, nothing is
released. Numbers are tried by labels and in the question's order, as if one after another: no choice depends on their size.
Source: Fischetti and Salazar, Management Science 47 (2001), on protection levels; Hundepool et al. (2012), section 4.4;
Garfinkel, Abowd and Martindale, ACM Queue 16(5) (2018), on reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.gate.history.comparison import Comparison
from sandbox.gate.history.domains import BeyondModel
from sandbox.gate.history.knowledge import Place
from sandbox.gate.history.outlook import Outlook
from sandbox.gate.history.programme import ContradictionError
from sandbox.gate.record import MERGED
from sandbox.model.decision import Reason, Verdict
from sandbox.model.product import ReleaseRecord

NAME = "reconstruction"
REASON: Reason = MERGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Refused aggregates by (cell position in the record, aggregate). merge: one reason stands for all others."""

    refused: Mapping[Place, Verdict] = field(default_factory=dict)
    merge: bool = False
    remark: str = ""


def check(comparison: Comparison) -> Answer:
    """Judge every aggregate that still stands, and the reasons of the others, with all comparable earlier releases."""
    if not comparison.past:
        return Answer(remark="no comparable earlier release")
    most = small_values(comparison)
    values = least_values(most)
    remark = f"a small count keeps {values} values or more"
    standing = [(at, count.aggregate) for at, cell in enumerate(comparison.candidate.cells) for count in cell.counts]
    if not standing:
        return Answer(remark="nothing left to judge")
    if any(_same(record, comparison.candidate) for record in comparison.past):
        return Answer(remark="all of it was released before")
    refused: Mapping[Place, Verdict]
    try:
        outlook = Outlook(comparison)
        merge = outlook.has_reasons and outlook.verdict((), values=most) != "pass"
        start = outlook.verdict((), values=values, merge=merge)
        if start == "pass":
            refused = _refused(outlook, standing, values=values, merge=merge)
        else:
            refused, merge = dict.fromkeys(standing, start), outlook.has_reasons
    except BeyondModel as limit:
        refused, merge = dict.fromkeys(standing, "inconclusive"), True
        remark = f"{remark}; ranges cannot be decided: {limit}"
    except ContradictionError:
        refused, merge = dict.fromkeys(standing, "inconclusive"), True
        remark = f"{remark}; the releases contradict each other, as if the data had changed"
    return Answer(refused=refused, merge=merge, remark=remark)


def _same(record: ReleaseRecord, candidate: ReleaseRecord) -> bool:
    """The same question gave the same numbers, and the same reasons, before."""
    names = ("inputs", "groups", "aggregates", "cells", "suppression")
    return all(getattr(record, name) == getattr(candidate, name) for name in names)


def small_values(comparison: Comparison) -> int:
    """Return how many numbers of keys `fewer people than the rules ask for` leaves, 0 where every number is enough."""
    asked = [figure for figure in (comparison.rules.min_keys, comparison.rules.min_contributors) if figure > 1]
    return (min(asked) - 1) * comparison.overlap if asked else 0


def least_values(most: int) -> int:
    """Return how many of the values that a suppression leaves a small count must keep: half, and at least 2 where it can."""
    return min(most, max(2, (most + 1) // 2))


def _refused(outlook: Outlook, standing: Sequence[Place], *, values: int, merge: bool) -> dict[Place, Verdict]:
    """The numbers that must be withheld: whatever is safe together is safe one by one, so halves are tried first."""
    kept: list[Place] = []
    refused: dict[Place, Verdict] = {}
    waiting = [list(standing)]
    while waiting:
        batch = waiting.pop()
        verdict = outlook.verdict([*kept, *batch], values=values, merge=merge)
        if verdict == "pass":
            kept += batch
        elif len(batch) == 1:
            refused[batch[0]] = verdict
        else:
            middle = len(batch) // 2
            waiting += [batch[middle:], batch[:middle]]
    return refused
