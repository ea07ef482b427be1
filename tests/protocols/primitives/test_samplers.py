"""Samplers against exact probabilities, opendp, and refusals. Seeds are fixed, so that nothing is a matter of luck."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import protocols.primitives.samplers as module
from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, SeededRng
from protocols.primitives.samplers import bernoulli, bernoulli_exp, discrete_gaussian, discrete_laplace

COUNT = 60_000
ALPHA = 1e-4
"""With fixed seeds a case passes or fails for ever; a wrong distribution gives p-values far below this."""

LAPLACE_SCALES = [
    Fraction(1, 10),
    Fraction(1),
    Fraction(7, 3),
    Fraction(4),
    Fraction(10**40 + 1, 10**39),
    1000,
    2**44,
]
VARIANCES = [Fraction(1, 5), Fraction(1), Fraction(22, 7), Fraction(10**30 + 1, 10**29), 10**4, 10**9, 2**90]


def rng(seed: object) -> SeededRng:
    return SeededRng(str(seed).encode().ljust(32, b"."))


def laplace_weight(scale: float) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    return lambda x: np.exp(-np.abs(x) / scale)


def gaussian_weight(variance: float) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    return lambda x: np.exp(-(x**2) / (2 * variance))


def fit(
    samples: npt.NDArray[np.int64], weight: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], spread: float
) -> float:
    """Return the chi-square p-value of integers against a weight, in cells of at least 8 expected samples."""
    reach = math.ceil(40 * spread) + 40
    support = np.arange(-reach, reach + 1)
    expected = weight(support.astype(np.float64))
    expected *= len(samples) / expected.sum()
    assert np.abs(samples).max() <= reach
    observed = np.bincount(samples + reach, minlength=len(support)).astype(np.float64)
    step = max(8, len(samples) // 200)
    cells = np.floor(np.cumsum(expected) / step).astype(np.int64)
    merged, seen = np.bincount(cells, expected), np.bincount(cells, observed)
    keep = merged >= 8
    merged, seen = np.append(merged[keep], merged[~keep].sum()), np.append(seen[keep], seen[~keep].sum())
    if merged[-1] < 8:
        merged[-2:], seen[-2:] = [merged[-2:].sum(), 0], [seen[-2:].sum(), 0]
        merged, seen = merged[:-1], seen[:-1]
    return float(stats.chisquare(seen, merged * (seen.sum() / merged.sum())).pvalue) if len(merged) > 1 else 1.0


@pytest.mark.parametrize("scale", LAPLACE_SCALES)
def test_discrete_laplace_has_its_probabilities(scale: Fraction | int) -> None:
    samples = discrete_laplace(rng(f"laplace {scale}"), scale, COUNT)
    assert samples.dtype == np.int64
    assert samples.shape == (COUNT,)
    if scale <= 1000:
        assert fit(samples, laplace_weight(float(scale)), float(scale)) > ALPHA
    else:
        assert stats.kstest(samples.astype(np.float64), stats.laplace(scale=float(scale)).cdf).pvalue > ALPHA


@pytest.mark.parametrize("variance", VARIANCES)
def test_discrete_gaussian_has_its_probabilities(variance: Fraction | int) -> None:
    samples = discrete_gaussian(rng(f"gaussian {variance}"), variance, COUNT)
    assert samples.dtype == np.int64
    assert samples.shape == (COUNT,)
    sigma = math.sqrt(variance)
    if sigma <= 1000:
        assert fit(samples, gaussian_weight(float(variance)), sigma) > ALPHA
    else:
        assert stats.kstest(samples.astype(np.float64), stats.norm(scale=sigma).cdf).pvalue > ALPHA


def test_the_goodness_of_fit_test_notices_a_wrong_scale_and_a_missing_rejection_of_minus_zero() -> None:
    right = discrete_laplace(rng("power"), 5, COUNT)
    assert fit(right, laplace_weight(5.15), 5) < ALPHA
    doubled_zero = np.where((right == 1) & (np.arange(COUNT) % 5 == 0), 0, right)
    assert fit(doubled_zero, laplace_weight(5), 5) < ALPHA
    assert fit(discrete_gaussian(rng("power"), 27, COUNT), gaussian_weight(25), 5) < ALPHA


@pytest.mark.parametrize(("variance", "seed"), [(Fraction(1, 2), 1), (50, 2), (10**7, 3)])
def test_moments_are_those_of_the_distribution(variance: Fraction | int, seed: int) -> None:
    x = discrete_gaussian(rng(seed), variance, COUNT).astype(np.float64)
    support = np.arange(-40, 41) if variance < 1 else None
    true = float(variance)
    if support is not None:
        weights = np.exp(-(support**2) / (2 * true))
        true = float((weights * support**2).sum() / weights.sum())
        assert true < variance
    assert abs(x.mean()) < 4.5 * math.sqrt(true / COUNT)
    assert abs(x.var() / true - 1) < 4.5 * math.sqrt(2 / COUNT) * (1 if support is None else 1.5)
    assert abs(stats.skew(x)) < 0.06


@pytest.mark.parametrize(
    "exponent", [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(5, 2), Fraction(10**40 + 7, 3 * 10**40), 4]
)
def test_coins_of_exp_have_their_probability(exponent: Fraction | int) -> None:
    heads = int(bernoulli_exp(rng(f"exp {exponent}"), exponent, COUNT).sum())
    assert stats.binomtest(heads, COUNT, math.exp(-exponent)).pvalue > ALPHA


class Words:
    """A source that returns given 64-bit words, and counts them."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def bytes(self, count: int) -> bytes:
        taken, self.words = self.words[: count // 8], self.words[count // 8 :]
        return b"".join(word.to_bytes(8, "little") for word in taken)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), denominator=st.integers(1, 2**60) | st.integers(2**60, 2**200))
def test_a_coin_compares_the_uniform_number_with_the_probability_to_the_last_bit(data: st.DataObject, denominator: int) -> None:
    """Three words of 64 bits make u; the coin is heads where 0.u < n/d in exact arithmetic, at the edge as elsewhere."""
    numerator = data.draw(st.integers(0, denominator))
    p = Fraction(numerator, denominator)
    width = 62 - p.denominator.bit_length()
    width = 64 if width < 12 else width
    edge = numerator * (1 << 3 * width) // denominator
    near = st.integers(-2, 2).map(lambda step: min(max(edge + step, 0), (1 << 3 * width) - 1))
    u = data.draw(near | st.integers(0, (1 << 3 * width) - 1))
    words = [((u >> shift * width) & ((1 << width) - 1)) << (64 - width) for shift in (2, 1, 0)]
    source = Words(*words, 0)
    heads = bool(bernoulli(source, p, 1)[0])
    if u == edge and len(source.words) == 0:
        assert heads == (edge * denominator < numerator << 3 * width)  # a fourth word, all zeros, decided
    else:
        assert heads == (Fraction(u, 1 << 3 * width) < p)


def test_neighbours_of_the_edge_differ() -> None:
    """1/3 = 0.010101…: one unit below the first digit is heads, above is tails, on it the next words decide."""
    width, edge = 60, (1 << 60) // 3
    shift = 64 - width
    assert bernoulli(Words((edge - 1) << shift), Fraction(1, 3), 1).all()
    assert not bernoulli(Words((edge + 1) << shift), Fraction(1, 3), 1).any()
    assert bernoulli(Words(edge << shift, (edge - 1) << shift), Fraction(1, 3), 1).all()
    assert not bernoulli(Words(edge << shift, (edge + 1) << shift), Fraction(1, 3), 1).any()


@pytest.mark.parametrize("width", [10, 90], ids=["int64", "objects"])
def test_both_kinds_of_arrays_give_one_distribution(width: int) -> None:
    """A fraction with a long denominator close to 3 takes the path of Python integers; the noise is that of 3."""
    scale = 3 + Fraction(1, 2**width) if width > 10 else Fraction(3)
    assert fit(discrete_laplace(rng(width), scale, COUNT), laplace_weight(3), 3) > ALPHA
    assert fit(discrete_gaussian(rng(width), scale, COUNT), gaussian_weight(3), 2) > ALPHA


def test_opendp_draws_the_same_distribution() -> None:
    dp = pytest.importorskip("opendp.prelude", reason="the oracle opendp is not installed")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    theirs = np.array(dp.m.make_laplace(*space, scale=4.0)([0] * COUNT))
    ours = discrete_laplace(OsRng(), 4, COUNT)
    assert same_distribution(ours, theirs) > 1e-7
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=int)
    theirs = np.array(dp.m.make_gaussian(*space, scale=3.0)([0] * COUNT))
    ours = discrete_gaussian(OsRng(), 9, COUNT)
    assert same_distribution(ours, theirs) > 1e-7


def same_distribution(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    clipped = [np.bincount(np.clip(x, -10, 10) + 10, minlength=21) for x in (left, right)]
    return float(stats.chi2_contingency(np.array(clipped)).pvalue)


def test_the_operating_system_s_noise_differs_between_calls_and_a_seed_repeats_it() -> None:
    assert not np.array_equal(discrete_gaussian(OsRng(), 10**6, 50), discrete_gaussian(OsRng(), 10**6, 50))
    assert np.array_equal(discrete_gaussian(rng(1), 10**6, 50), discrete_gaussian(rng(1), 10**6, 50))


@pytest.mark.parametrize("sampler", [discrete_laplace, discrete_gaussian, bernoulli, bernoulli_exp])
def test_empty_requests_and_bad_parameters(sampler: Callable[..., npt.NDArray[np.int64]]) -> None:
    assert sampler(OsRng(), 1, 0).shape == (0,)
    for bad in (0.5, "1", None, True, Decimal("0.5"), np.float64(1)):
        with pytest.raises(ParameterError, match="int or a Fraction"):
            sampler(OsRng(), bad, 3)
    with pytest.raises(ParameterError):
        sampler(OsRng(), Fraction(-1, 2), 3)
    with pytest.raises(ParameterError, match="256 bits"):
        sampler(OsRng(), Fraction(1, 2**256), 3)
    for count in (-1, 1.0, True):
        with pytest.raises(ParameterError, match="number of samples"):
            sampler(OsRng(), 1, count)


def test_scales_beyond_their_range_are_refused() -> None:
    for sampler, beyond in ((discrete_laplace, 2**48 + 1), (discrete_gaussian, 2**96 + 1), (bernoulli, Fraction(3, 2))):
        with pytest.raises(ParameterError):
            sampler(OsRng(), beyond, 3)
        if sampler is not bernoulli:
            with pytest.raises(ParameterError, match="above 0"):
                sampler(OsRng(), 0, 3)


@pytest.mark.parametrize("tiny", [Fraction(1, 10**20), Fraction(1, 2**255)])
def test_tiny_scales_and_long_denominators_give_zeros_not_overflows(tiny: Fraction) -> None:
    assert not discrete_laplace(OsRng(), tiny, 100).any()
    assert not discrete_gaussian(OsRng(), tiny, 100).any()
    assert np.isin(discrete_gaussian(OsRng(), Fraction(2**255 + 1, 2**255), 100), range(-12, 13)).all()


def test_no_floating_point_number_takes_part() -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"random", "float64", "exp", "log", "sqrt"}
