"""Rates with confidence intervals, risk beyond a control group, and Holm's correction for several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from protocols.errors import ParameterError

CONFIDENCE = 0.95
NORMAL = NormalDist()
KNOWN = 1_000_000
"""A chance that is known exactly is so many successes."""


@dataclass(frozen=True, slots=True)
class Rate:
    """successes of trials."""

    successes: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.trials:
            raise ParameterError("successes must lie between 0 and the number of trials")

    def __str__(self) -> str:
        known = self.successes == KNOWN and not self.trials % KNOWN
        return f"1 in {self.trials // KNOWN:,}" if known else f"{self.successes:,} of {self.trials:,}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its two-sided interval; `error` is half its width before it is cut off at the ends of what is possible."""

    value: float
    low: float
    high: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def wilson(rate: Rate, confidence: float = CONFIDENCE) -> Estimate:
    """Return a rate's Wilson score interval (Wilson 1927): centre (s + z²/2) / (n + z²). Without a trial it is all of [0,
    1]."""
    if not 0 < confidence < 1:
        raise ParameterError("a confidence lies between 0 and 1")
    if not rate.trials:
        return Estimate(0.5, 0.0, 1.0, 0.5)
    z2 = NORMAL.inv_cdf((1 + confidence) / 2) ** 2
    n, s = rate.trials, rate.successes
    centre = (s + z2 / 2) / (n + z2)
    error = math.sqrt(z2) / (n + z2) * math.sqrt(s * (n - s) / n + z2 / 4)
    low = 0.0 if s == 0 else max(0.0, centre - error)
    high = 1.0 if s == n else min(1.0, centre + error)
    return Estimate(centre, low, high, error)


def excess(attack: Rate, control: Rate, confidence: float = CONFIDENCE) -> Estimate:
    """Return R = (τ_attack − τ_control) / (1 − τ_control), the part of what was there to learn that only the release tells.

    τ are Wilson's centres; the error is propagated from both to first order. R is cut off at 0 and 1.
    Source: Giomi and others, "A Unified Framework for Quantifying Privacy Risk in Synthetic Data", PETS 2023 (Anonymeter).
    """
    a, c = wilson(attack, confidence), wilson(control, confidence)
    room = 1 - c.value
    value = (a.value - c.value) / room
    error = math.hypot(a.error / room, c.error * (1 - a.value) / room**2)
    return Estimate(min(1.0, max(0.0, value)), min(1.0, max(0.0, value - error)), min(1.0, max(0.0, value + error)), error)


def better_than(attack: Rate, other: Rate) -> float:
    """Return the p-value of "the attack succeeds no more often than the other", by the two-sample test of proportions."""
    if not attack.trials or not other.trials:
        return 1.0
    pooled = (attack.successes + other.successes) / (attack.trials + other.trials)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / attack.trials + 1 / other.trials))
    gain = attack.successes / attack.trials - other.successes / other.trials
    if not spread:
        return 1.0
    return 1 - NORMAL.cdf(gain / spread)


def exceeds(estimate: Estimate, threshold: float, confidence: float = CONFIDENCE) -> float:
    """Return the p-value of "the true value is at most the threshold", by the normal approximation of the estimate."""
    spread = estimate.error / NORMAL.inv_cdf((1 + confidence) / 2)
    return 1 - NORMAL.cdf((estimate.value - threshold) / spread) if spread else float(estimate.value <= threshold)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the same order (Holm 1979): the chance of one false alarm is held."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted
