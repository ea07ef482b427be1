"""How many people would be unique in the whole population, estimated from a sample's class sizes: Pitman and Zayatz."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protocols.errors import ParameterError
from protocols.risk.encoding import IntArray

STEPS = 80
GOLDEN = (math.sqrt(5) - 1) / 2


def zayatz_uniques(sizes: IntArray, population: int) -> float:
    """Return the expected number of population uniques. sizes: (classes,) int64, classes of the sample.

    The sample's class sizes stand for the population's; the hypergeometric distribution says how likely a class of each
    size shows one member. Source: Zayatz, "Estimation of the Number of Unique Population Elements Using a Sample", US
    Bureau of the Census 1991.
    """
    sample = _check(sizes, population)
    values, counts = np.unique(sizes, return_counts=True)
    if values[0] != 1:
        return 0.0
    shows_one = np.array([_hypergeometric_one(int(size), sample, population) for size in values])
    chance = counts[0] * shows_one[0] / float((counts * shows_one).sum())
    return float(counts[0] * chance * population / sample)


def pitman_uniques(sizes: IntArray, population: int) -> float | None:
    """Return the expected number of population uniques, Γ(θ + 1) / Γ(θ + α) · N^α; None where the fit has no solution inside.

    θ and α maximise the likelihood of the sample's class sizes under Pitman's sampling formula.
    Source: Hoshino, "Applying Pitman's sampling formula to microdata disclosure risk assessment", J. Official Statistics
    17, 2001.
    """
    _check(sizes, population)
    if not (sizes == 1).any():
        return 0.0
    fitted = fit_pitman(sizes)
    if fitted is None:
        return None
    theta, alpha = fitted
    found = math.exp(math.lgamma(theta + 1) - math.lgamma(theta + alpha) + alpha * math.log(population))
    return found if found <= population else None


def fit_pitman(sizes: IntArray) -> tuple[float, float] | None:
    """Return (θ, α) of greatest likelihood, 0 < α < 1, θ > −α; None where it lies on the border.

    For each α the best θ is the root of the likelihood's slope; α is found by golden section.
    """
    values, counts = np.unique(sizes, return_counts=True)
    rows, classes = int(sizes.sum()), len(sizes)
    if classes < 2 or classes == rows:
        return None

    def best_theta(alpha: float) -> float:
        def slope(log_shift: float) -> float:
            theta = math.exp(log_shift) - alpha
            gained = (_digamma(classes + theta / alpha) - _digamma(1 + theta / alpha)) / alpha
            return gained - (_digamma(rows + theta) - _digamma(1 + theta))

        return math.exp(_root(slope, math.log(1e-9), math.log(1e3 * rows))) - alpha

    def likelihood(alpha: float) -> float:
        theta = best_theta(alpha)
        ratio = theta / alpha
        tables = (classes - 1) * math.log(alpha) + math.lgamma(classes + ratio) - math.lgamma(1 + ratio)
        people = math.lgamma(rows + theta) - math.lgamma(1 + theta)
        rest = sum(
            int(n) * (math.lgamma(size - alpha) - math.lgamma(1 - alpha)) for size, n in zip(values, counts, strict=True)
        )
        return tables - people + rest

    alpha = _highest(likelihood, 1e-4, 1 - 1e-6)
    return None if not 2e-4 < alpha < 1 - 1e-5 else (best_theta(alpha), alpha)


def _check(sizes: IntArray, population: int) -> int:
    if not len(sizes) or sizes.min() < 1:
        raise ParameterError("class sizes are whole numbers from 1 on, and there is at least one")
    sample = int(sizes.sum())
    if population < sample:
        raise ParameterError(f"a population of {population:,} cannot hold a sample of {sample:,}")
    return sample


def _hypergeometric_one(size: int, sample: int, population: int) -> float:
    """The chance that exactly one of `size` people is among `sample` drawn from `population`."""
    if sample - 1 > population - size:
        return 0.0
    log = _log_choose(population - size, sample - 1) - _log_choose(population, sample)
    return size * math.exp(log)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _digamma(x: float) -> float:
    """ψ(x), x > 0: recurrence up to 10, then the asymptotic series (Abramowitz, Stegun 6.3.18)."""
    shift = 0.0
    while x < 10:
        shift -= 1 / x
        x += 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square * (1 / 240 - square / 132))))
    return shift + math.log(x) - 0.5 / x - series


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function falls through 0; an end where it does not."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def _highest(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(STEPS // 2):
        width = (high - low) * GOLDEN
        left, right = high - width, low + width
        low, high = (left, high) if function(left) < function(right) else (low, right)
    return (low + high) / 2
