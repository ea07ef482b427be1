"""No contributor, nor two, may make up most of a SUM, AVG, VAR or STDDEV: (1,50), (2,67) and p %, proved from sums (DOMINANCE).

With contributors' amounts y = w·S per key, S1 = Σ|y|, S2 = Σy², N contributors: the weighted sum of the largest ones is at most
A1·S1/N + √((A2 − A1²/N)(S2 − S1²/N)) (Cauchy–Schwarz on the deviations from the mean). In integers, with no root and no
division, Σ a_i·x_i ≤ (u/d)·S1 is proved by r = (N·u − d·A1)·S1 ≥ 0 and d²(N·A2 − A1²)(N·S2 − S1²) ≤ r².
Where one person may stand in n parts of a federated table, amounts are per part: every weight then counts n times, and amounts
of both signs prove nothing.
Source of the rules: Hundepool et al., Statistical Disclosure Control (2012), section 4.2.2 ((n, k) dominance and p % rule).
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.gate.cells import Moments
from sandbox.gate.checks.outcome import PASS, Outcome, Subject
from sandbox.model.plan import PAIR_FUNCTIONS, GateRules, Measure

NAME = "dominance"
_FAIL = Outcome(verdict="fail", reason="DOMINANCE")
_UNKNOWN = Outcome(verdict="inconclusive", reason="DOMINANCE")
_JUDGED = (*PAIR_FUNCTIONS, "sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop")


def check(subject: Subject) -> Outcome:
    """Pass only what the inequality proves under every rule of the profile; what cannot be proved is withheld.

    A function of two columns is judged by the amounts of both, over its own rows: two of them can tell a mean or a variance.
    Withheld as not provable: amounts of unknown sign without Σ|S|, no Σy², sums that contradict each other. A total of zero
    fails: the released zero would say of every contributor that it has none.
    """
    if subject.aggregate.function not in _JUDGED or not shares(subject.rules):
        return PASS
    outcome = _judge(subject, subject.measure, subject.moments)
    if subject.pair is not None and outcome.verdict == "pass":
        outcome = _judge(subject, subject.second_measure, subject.pair.second)
    return outcome


def _judge(subject: Subject, measure: Measure | None, moments: Moments | None) -> Outcome:
    if moments is None or measure is None or moments.contributors == 0:
        return PASS
    total = absolute_total(measure, moments)
    if total is None or moments.contribution_squares is None:
        return _UNKNOWN
    if subject.overlap > 1 and not _has_one_sign(measure):
        return _UNKNOWN
    count, squares = moments.contributors, moments.contribution_squares
    if total < 0 or count * squares < total * total or squares > total * total:
        return _UNKNOWN
    if total == 0:
        return _FAIL
    bounds = shares(subject.rules)
    proved = all(proves(weights * subject.overlap, share, count, total, squares) for weights, share in bounds)
    return PASS if proved else _FAIL


def shares(rules: GateRules) -> tuple[tuple[tuple[int, ...], tuple[int, int]], ...]:
    """Return the profile's rules as (weights a, (u, d)): Σ a_i·x_i ≤ (u/d)·S1 over the largest contributors."""
    bounds: list[tuple[tuple[int, ...], tuple[int, int]]] = []
    if rules.dominance_1 is not None:
        bounds.append(((1,), (rules.dominance_1, 100)))
    if rules.dominance_2 is not None:
        bounds.append(((1, 1), (rules.dominance_2, 100)))
    if rules.p_percent is not None:
        bounds.append(((100 + rules.p_percent, 100), (100, 1)))
    return tuple(bounds)


def _has_one_sign(measure: Measure) -> bool:
    return Decimal(measure.lowest or 0) >= 0 or Decimal(measure.highest or 0) <= 0


def absolute_total(measure: Measure, moments: Moments) -> int | None:
    """Return Σ|y| over contributors: its own slot where it was computed, else ±SUM where the bounds fix the sign, else None."""
    if moments.absolute_sum is not None:
        return moments.absolute_sum
    if moments.sum is None:
        return None
    if measure.lowest is not None and Decimal(measure.lowest) >= 0:
        return moments.sum
    if measure.highest is not None and Decimal(measure.highest) <= 0:
        return -moments.sum
    return None


def proves(weights: tuple[int, ...], share: tuple[int, int], count: int, total: int, squares: int) -> bool:
    """Return whether N, S1 and S2 prove Σ a_i·x_i ≤ (u/d)·S1 for the largest contributors, in integers.

    False below len(weights) contributors, where the bound has no room for the weights.
    """
    u, d = share
    first, second = sum(weights), sum(weight * weight for weight in weights)
    room = (count * u - d * first) * total
    if count < len(weights) or room < 0:
        return False
    return d * d * (count * second - first * first) * (count * squares - total * total) <= room * room
