"""Noise on sums: its cost, its size whoever drops out, its distribution against the convolution, and refusals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.deterministic import DeterministicRng

from protocols.aggregation import Block, choose, plan_laplace, plan_noise, secure_sum
from protocols.aggregation.noise import REACH_SIGMAS
from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives.accounting import gaussian_cost
from protocols.primitives.rng import OsRng


@settings(max_examples=60, deadline=None)
@given(
    sensitivities=st.lists(st.integers(0, 10**9), min_size=1, max_size=4).filter(any),
    length=st.integers(1, 10**6),
    rho=st.fractions(min_value=Fraction(1, 10**6), max_value=10),
    shares=st.integers(1, 200),
)
def test_a_plan_costs_what_it_may_and_hardly_less(sensitivities: list[int], length: int, rho: Fraction, shares: int) -> None:
    plan = plan_noise([Block(length=length, sensitivity=each) for each in sensitivities], rho, shares=shares)
    assert plan.cost <= rho
    assert plan.length == length * len(sensitivities)
    # What is paid beyond one Gaussian of the same total variance: nothing from variance 4 of a share on.
    alone = sum(
        (gaussian_cost(each, v * shares) for each, v in zip(sensitivities, plan.variances, strict=True) if v), Fraction(0)
    )
    if min(v for v in plan.variances if v) >= 4:
        assert rho * Fraction(99, 100) <= alone <= plan.cost
    assert [v == 0 for v in plan.variances] == [each == 0 for each in sensitivities]


def test_narrow_shares_are_widened_until_their_sum_is_near_enough() -> None:
    """At ρ = 10 one Gaussian needs variance 1/20, so a share 1/2000: the sum would be all zeros, and is not allowed."""
    plan = plan_noise([Block(length=1000, sensitivity=1)], Fraction(10), shares=100)
    assert plan.variances[0] > Fraction(1, 5)
    assert plan.cost <= 10


@pytest.mark.parametrize("dropped", [0, 3])
def test_noise_survives_dropouts_with_at_least_the_variance_asked_for(dropped: int) -> None:
    """Twelve parties, T = 9: with 9 survivors the variance is the planned one, with 12 a third more."""
    parties, length, colluding = 12, 20_000, 1
    threshold = choose(parties).signatures
    plan = plan_noise([Block(length=length, sensitivity=5)], Fraction(1, 8), shares=threshold - colluding)
    rng = DeterministicRng(f"noise {dropped}")
    vectors = {f"p{index}": np.full(length, 7, dtype=np.int64) + plan.draw(rng) for index in range(parties)}
    lost = {f"p{index}": "share" for index in range(dropped)}
    result = secure_sum(vectors, dropped_after=lost, bound=7 + plan.reach, rng=rng)  # type: ignore[arg-type]
    survivors = len(result.survivors)
    assert survivors == parties - dropped
    noise = result.values - 7 * survivors
    planned = float(plan.variances[0]) * (threshold - colluding)
    assert planned == pytest.approx(100, rel=0.01)
    expected = float(plan.variances[0]) * survivors
    assert noise.var() == pytest.approx(expected, rel=0.05)
    assert noise.var() > planned
    assert abs(noise.mean()) < 5 * math.sqrt(expected / length)


def test_the_sum_of_shares_has_the_convolution_s_probabilities() -> None:
    plan = plan_noise([Block(length=40_000, sensitivity=1)], Fraction(1, 4), shares=3)
    rng = DeterministicRng("convolution")
    total = sum(plan.draw(rng) for _ in range(3))
    support = np.arange(-40, 41)
    share = np.exp(-(support**2) / (2 * float(plan.variances[0])))
    convolved = np.convolve(np.convolve(share, share), share)[80:161]
    expected = convolved / convolved.sum() * len(total)
    observed = np.bincount(total + 40, minlength=81)
    keep = expected >= 10
    observed, expected = observed[keep], expected[keep] * observed[keep].sum() / expected[keep].sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_blocks_get_noise_of_their_own_size_and_shares_are_fresh() -> None:
    blocks = [Block(length=3000, sensitivity=1), Block(length=2000, sensitivity=0), Block(length=3000, sensitivity=1000)]
    plan = plan_noise(blocks, Fraction(1, 10))
    share = plan.draw(OsRng())
    assert share.shape == (8000,)
    assert not share[3000:5000].any()
    assert share[:3000].std() == pytest.approx(math.sqrt(10), rel=0.1)
    assert share[5000:].std() == pytest.approx(1000 * math.sqrt(10), rel=0.1)
    assert not np.array_equal(share, plan.draw(OsRng()))


def test_the_reach_covers_every_share_and_what_exceeds_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_noise([Block(length=1, sensitivity=1)], Fraction(1, 200))
    assert plan.reach == REACH_SIGMAS * 11
    assert 2 * stats.norm.sf(REACH_SIGMAS) < 2**-100
    monkeypatch.setattr(
        "protocols.aggregation.noise.discrete_gaussian", lambda rng, variance, count: np.full(count, plan.reach + 1)
    )
    with pytest.raises(EncodingOverflow, match="beyond its reach"):
        plan.draw(OsRng())


@pytest.mark.parametrize(
    ("blocks", "rho", "shares"),
    [((), 1, 1), (((3, 0),), 1, 1), (((3, 1),), 0, 1), (((3, 1),), -1, 1), (((3, 1),), 1, 0)],
)
def test_noise_without_meaning_is_refused(blocks: tuple[tuple[int, int], ...], rho: int, shares: int) -> None:
    with pytest.raises(ParameterError):
        plan_noise([Block(length=n, sensitivity=s) for n, s in blocks], Fraction(rho), shares=shares)
    for length, sensitivity in ((0, 1), (1, -1)):
        with pytest.raises(ParameterError):
            Block(length=length, sensitivity=sensitivity)


@given(
    sensitivities=st.lists(st.integers(0, 10**6), min_size=1, max_size=4).filter(any),
    epsilon=st.fractions(Fraction(1, 100), Fraction(8), max_denominator=1000),
)
def test_laplace_noise_spends_exactly_its_epsilon(sensitivities: list[int], epsilon: Fraction) -> None:
    plan = plan_laplace([Block(length=2, sensitivity=each) for each in sensitivities], epsilon)
    assert plan.epsilon == epsilon
    assert plan.cost == epsilon**2 / 2
    shares = {each / scale for each, scale in zip(sensitivities, plan.scales, strict=True) if each}
    assert len(shares) == 1, "ε is split evenly"


def test_laplace_noise_has_its_distribution_and_its_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_laplace([Block(length=40_000, sensitivity=1), Block(length=3, sensitivity=0)], Fraction(1, 2))
    drawn = plan.draw(DeterministicRng("laplace"))
    assert drawn.shape == (plan.length,)
    assert not drawn[40_000:].any()
    # P(x) = (1 - q) / (1 + q) q^|x|, q = e^-ε
    q = math.exp(-0.5)
    for value in range(-4, 5):
        expected = 40_000 * (1 - q) / (1 + q) * q ** abs(value)
        assert abs((drawn[:40_000] == value).sum() - expected) < 5 * math.sqrt(expected)
    assert math.exp(-plan.reach / float(plan.scales[0])) < 2**-100
    monkeypatch.setattr(
        "protocols.aggregation.noise.discrete_laplace", lambda rng, scale, count: np.full(count, plan.reach + 1)
    )
    with pytest.raises(EncodingOverflow, match="beyond its reach"):
        plan.draw(OsRng())


@pytest.mark.parametrize(("blocks", "epsilon"), [((), 1), (((3, 0),), 1), (((3, 1),), 0), (((3, 1),), -1)])
def test_laplace_noise_without_meaning_is_refused(blocks: tuple[tuple[int, int], ...], epsilon: int) -> None:
    with pytest.raises(ParameterError):
        plan_laplace([Block(length=n, sensitivity=s) for n, s in blocks], Fraction(epsilon))
