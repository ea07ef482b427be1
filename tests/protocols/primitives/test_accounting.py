"""Costs and conversions against the paper's formula, exact divergences, PLD accounting and convolved distributions."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from protocols.errors import ParameterError
from protocols.primitives import accounting
from protocols.primitives.accounting import (
    UNIT,
    distributed_cost,
    epsilon_of,
    gaussian_cost,
    laplace_cost,
    rho_within,
    units_down,
    units_up,
)

pytest.importorskip("dp_accounting", reason="the extra `privacy` is not installed")
DELTA = Fraction(1, 10**6)


def paper_epsilon(rho: float, delta: float) -> float:
    """Canonne, Kamath, Steinke 2020, corollary 13, minimised over a fine grid of α."""
    alpha = 1 + np.logspace(-5, 7, 100_001)
    return max(
        0, float(np.min(alpha * rho + (np.log(1 / delta) - np.log(alpha - 1) + alpha * np.log1p(-1 / alpha)) / (alpha - 1)))
    )


def discrete_gaussian(variance: float, reach: int) -> npt.NDArray[np.float64]:
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * variance))
    return weights / weights.sum()


def shifted(p: npt.NDArray[np.float64], shift: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    padded = np.concatenate([np.zeros(shift), p, np.zeros(shift)])
    return padded, np.roll(padded, shift)


@pytest.mark.parametrize("rho", [1e-7, 1e-4, 0.02, 0.5, 3, 20])
@pytest.mark.parametrize("delta", [Fraction(1, 10**3), DELTA, Fraction(1, 2**60)])
def test_epsilon_is_the_paper_s_and_never_below_it(rho: float, delta: Fraction) -> None:
    expected = paper_epsilon(rho, float(delta))
    assert expected * (1 - 1e-9) <= epsilon_of(Fraction(rho), delta) <= expected * 1.001


@pytest.mark.parametrize(("sensitivity", "variance"), [(1, 1), (1, 9), (3, 20), (2, 150)])
def test_epsilon_covers_the_exact_divergence_of_the_mechanism(sensitivity: int, variance: int) -> None:
    """δ(ε) = Σ max(0, P(x) − e^ε·Q(x)) over neighbouring outputs, computed from the probabilities themselves."""
    epsilon = epsilon_of(gaussian_cost(sensitivity, variance), DELTA)
    p, q = shifted(discrete_gaussian(variance, 40 * math.isqrt(variance) + 40), sensitivity)
    exact = float(np.maximum(p - math.exp(epsilon) * q, 0).sum())
    assert exact <= float(DELTA)
    assert float(np.maximum(p - math.exp(0.75 * epsilon) * q, 0).sum()) > float(DELTA), "the bound is far too loose"


def test_an_account_for_fixed_mechanisms_is_tighter_but_close() -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    one = pld.from_discrete_gaussian_mechanism(8.0, sensitivity=1, value_discretization_interval=1e-3)
    fixed = one.self_compose(12).get_epsilon_for_delta(float(DELTA))
    ours = epsilon_of(12 * gaussian_cost(1, 64), DELTA)
    assert 0.8 * ours < fixed <= ours
    laplace = pld.from_discrete_laplace_mechanism(0.25, sensitivity=1, value_discretization_interval=1e-3)
    assert laplace.self_compose(12).get_epsilon_for_delta(float(DELTA)) <= epsilon_of(12 * laplace_cost(Fraction(1, 4)), DELTA)


@settings(max_examples=30, deadline=None)
@given(
    epsilon=st.fractions(min_value=Fraction(1, 100), max_value=30),
    delta=st.fractions(min_value=Fraction(1, 10**12), max_value=Fraction(1, 100)),
)
def test_a_budget_is_the_largest_that_fits(epsilon: Fraction, delta: Fraction) -> None:
    rho = rho_within(epsilon, delta)
    assert rho % UNIT == 0
    assert epsilon_of(rho, delta) <= epsilon
    assert epsilon_of(rho * Fraction(101, 100) + UNIT, delta) > epsilon


@pytest.mark.parametrize("shares", [1, 2, 4, 7])
@pytest.mark.parametrize("variance", [Fraction(1, 3), Fraction(1, 2), Fraction(1), Fraction(5, 2)])
@pytest.mark.parametrize("sensitivity", [1, 3])
def test_the_cost_of_distributed_noise_covers_the_convolution(shares: int, variance: Fraction, sensitivity: int) -> None:
    """Rényi divergences of the exact sum of shares stay below ρ·α; where shares are many and wide, they nearly touch."""
    share = discrete_gaussian(float(variance), 60)
    total = share
    for _ in range(shares - 1):
        total = np.convolve(total, share)
    p, q = shifted(total, sensitivity)
    keep = (p > 1e-280) & (q > 1e-280)
    rho = float(distributed_cost(sensitivity, variance, shares=shares, length=1))
    for alpha in (1.5, 2, 4, 6):
        divergence = float(logsumexp(alpha * np.log(p[keep]) + (1 - alpha) * np.log(q[keep]))) / (alpha - 1)
        assert divergence <= rho * alpha * (1 + 1e-9)
        if variance >= 1 and shares == 1:
            assert divergence >= 0.98 * rho * alpha


def test_wide_shares_cost_what_one_discrete_gaussian_would_and_narrow_ones_more() -> None:
    alone = gaussian_cost(5, 40 * 16)
    assert alone <= distributed_cost(5, 16, shares=40, length=10**6) <= alone * (1 + Fraction(1, 10**6))
    assert distributed_cost(5, Fraction(1, 4), shares=40, length=10) > gaussian_cost(5, 10) * 2
    assert distributed_cost(5, 10**6, shares=40, length=10**6) == gaussian_cost(5, 40 * 10**6)


def test_rounding_never_favours_the_spender() -> None:
    assert units_up(UNIT / 3) == 1
    assert units_down(UNIT * Fraction(5, 3)) == 1
    assert units_up(Fraction(0)) == 0


@pytest.mark.parametrize(
    "act",
    [
        lambda: epsilon_of(Fraction(1), Fraction(0)),
        lambda: epsilon_of(Fraction(1), Fraction(1)),
        lambda: epsilon_of(Fraction(-1), DELTA),
        lambda: rho_within(Fraction(0), DELTA),
        lambda: rho_within(Fraction(65), DELTA),
        lambda: rho_within(Fraction(1, 10**9), Fraction(1, 2**100)),
        lambda: gaussian_cost(1, 0),
        lambda: gaussian_cost(-1, 1),
        lambda: laplace_cost(-1),
        lambda: distributed_cost(1, 1, shares=0, length=1),
        lambda: distributed_cost(1, 1, shares=1, length=0),
    ],
)
def test_parameters_without_meaning_are_refused(act: object) -> None:
    with pytest.raises(ParameterError):
        act()  # type: ignore[operator]


def test_without_the_extra_the_conversion_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(ParameterError, match="extra `privacy`"):
        accounting.epsilon_of(Fraction(1), DELTA)
    assert epsilon_of(Fraction(0), DELTA) == 0
