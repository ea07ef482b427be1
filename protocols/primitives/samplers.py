"""Discrete Laplace and discrete Gaussian noise over the integers: exact, from uniform bytes and rational parameters only.

Source: Canonne, Kamath, Steinke, *The Discrete Gaussian for Differential Privacy* (NeurIPS 2020), algorithms 1 to 3, here over
whole arrays. No floating-point number takes part, so there are no low bits to tell a noisy number by (Mironov 2012). Every
comparison of a uniform number with a rational is exact: it is decided by the first words of both binary expansions, and by
further words where they are equal.

Legend: n/d a probability or an exponent; K, A, U, V, X, Y, C as in the paper. Arrays are int64 where every intermediate
number fits, else Python integers in an object array: the same code, about twice as slow. Time depends on the noise drawn
(rejection), so whoever can time single samples learns something about them: draw many at once, away from clients.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives.fixed_point import is_integer
from protocols.primitives.rng import Rng, below

MAX_SCALE_BITS = 48
"""Noise has a scale of at most 2^48, a variance of at most 2^96: a sample beyond int64 has probability below e^-32000."""

MAX_TERM_BITS = 256
"""Numerators and denominators of parameters have at most that many bits; it bounds time, not correctness."""

_INT64_BITS = 62
_WORD_BITS = 64
_MIN_CHUNK_BITS = 12

Array = npt.NDArray[Any]
"""Integers, int64 or object."""


def bernoulli(rng: Rng, probability: Fraction | int, count: int) -> npt.NDArray[np.bool_]:
    """Return `count` independent booleans, each true with exactly the given probability, shape (count,).

    Raises ParameterError for a probability that is not a Fraction or an integer in [0, 1].
    """
    p = _rational(probability, "a probability")
    if not 0 <= p <= 1:
        raise ParameterError("a probability lies in [0, 1]")
    return _bernoulli(rng, _filled(_count(count), p.numerator), p.denominator)


def bernoulli_exp(rng: Rng, exponent: Fraction | int, count: int) -> npt.NDArray[np.bool_]:
    """Return `count` independent booleans, each true with probability exactly exp(−exponent), shape (count,).

    Raises ParameterError for an exponent that is not a Fraction or an integer, or is negative.
    """
    gamma = _rational(exponent, "an exponent")
    if gamma < 0:
        raise ParameterError("exp(−exponent) is a probability for exponents of 0 and above")
    return _bernoulli_exp(rng, _filled(_count(count), gamma.numerator), gamma.denominator)


def discrete_laplace(rng: Rng, scale: Fraction | int, count: int) -> npt.NDArray[np.int64]:
    """Return `count` independent samples of the discrete Laplace distribution, shape (count,), int64.

    P(x) ∝ exp(−|x| / scale) over all integers. An integer query of L1-sensitivity Δ with noise of scale Δ/ε is
    ε-differentially private.
    Raises ParameterError for a scale that is not a positive Fraction or integer, or is above 2^48.
    """
    ratio = _rational(scale, "a scale")
    _check_range(ratio, MAX_SCALE_BITS, "a scale")
    return _signed(rng, ratio, _count(count)).astype(np.int64)


def discrete_gaussian(rng: Rng, variance: Fraction | int, count: int) -> npt.NDArray[np.int64]:
    """Return `count` independent samples of the discrete Gaussian distribution, shape (count,), int64.

    P(x) ∝ exp(−x² / (2·variance)) over all integers; the true variance is at most `variance`, and equal to it for practical
    purposes above 1. A query of L2-sensitivity Δ with this noise is Δ²/(2·variance)-zCDP.
    Raises ParameterError for a variance that is not a positive Fraction or integer, or is above 2^96.
    """
    sigma2 = _rational(variance, "a variance")
    _check_range(sigma2, 2 * MAX_SCALE_BITS, "a variance")
    a, b = sigma2.numerator, sigma2.denominator
    t = math.isqrt(a // b) + 1
    parts: list[Array] = []
    missing = _count(count)
    while missing:
        Y = _signed(rng, Fraction(t), missing + missing // 3 + 8)
        largest = int(np.abs(Y).max()) * t * b + t * b + a
        wide = Y.astype(object) if 2 * largest.bit_length() > _INT64_BITS else Y
        C = _bernoulli_exp(rng, (np.abs(wide) * (t * b) - a) ** 2, 2 * a * b * t * t)
        parts.append(Y[C][:missing])
        missing -= len(parts[-1])
    return np.concatenate([np.empty(0, dtype=np.int64), *parts]).astype(np.int64)


def _signed(rng: Rng, scale: Fraction, count: int) -> Array:
    """Discrete Laplace: a random sign on a geometric magnitude, minus zero refused (algorithm 2)."""
    parts: list[Array] = []
    missing = count
    while missing:
        Y = _magnitude(rng, scale.numerator, scale.denominator, missing + missing // 8 + 4)
        negative = _words(rng, len(Y), 1) == 1
        Y = np.where(negative, -Y, Y)[~(negative & (Y == 0))]
        parts.append(Y[:missing])
        missing -= len(parts[-1])
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _magnitude(rng: Rng, t: int, s: int, count: int) -> Array:
    """P(y) ∝ exp(−y·s/t) over y = 0, 1, 2, …: ⌊(U + t·V)/s⌋ with U truncated to [0, t) and V geometric."""
    U = _truncated(rng, t, count)
    V = np.zeros(count, dtype=np.int64)
    active = np.arange(count)
    while len(active):
        active = active[_bernoulli_exp(rng, np.ones(len(active), dtype=np.int64), 1)]
        V[active] += 1
    reach = t * (int(V.max(initial=0)) + 1)
    if max(reach, s).bit_length() > _INT64_BITS:
        U, V = U.astype(object), V.astype(object)
    return (U + t * V) // s


def _truncated(rng: Rng, t: int, count: int) -> Array:
    """P(u) ∝ exp(−u/t) over 0 ≤ u < t, by rejection; each try succeeds with probability above 0.63."""
    parts: list[Array] = []
    missing = count
    while missing:
        U = _below(rng, t, missing + missing // 2 + 8)
        parts.append(U[_bernoulli_exp(rng, U, t)][:missing])
        missing -= len(parts[-1])
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _bernoulli_exp(rng: Rng, numerators: Array, denominator: int) -> npt.NDArray[np.bool_]:
    """True with probability exp(−n/d) for each n ≥ 0: ⌊n/d⌋ coins of exp(−1) and one of the rest (algorithm 1)."""
    if denominator.bit_length() > _INT64_BITS:
        numerators = numerators.astype(object)
    whole, rest = numerators // denominator, numerators % denominator
    result = np.ones(len(numerators), dtype=bool)
    active, done = np.flatnonzero(whole > 0), 0
    while len(active):
        heads = _bernoulli_exp_fraction(rng, np.ones(len(active), dtype=np.int64), 1)
        result[active[~heads]] = False
        done += 1
        active = active[heads]
        active = active[whole[active] > done]
    alive = np.flatnonzero(result)
    result[alive] = _bernoulli_exp_fraction(rng, rest[alive], denominator)
    return result


def _bernoulli_exp_fraction(rng: Rng, numerators: Array, denominator: int) -> npt.NDArray[np.bool_]:
    """For n ≤ d: the first K with a failed coin of probability n/(d·K) is odd with probability exp(−n/d)."""
    result = np.empty(len(numerators), dtype=bool)
    active, K = np.arange(len(numerators)), 1
    while len(active):
        A = _bernoulli(rng, numerators[active], denominator * K)
        result[active[~A]] = K % 2 == 1
        active = active[A]
        K += 1
    return result


def _bernoulli(rng: Rng, numerators: Array, denominator: int) -> npt.NDArray[np.bool_]:
    """True with probability n/d for each 0 ≤ n ≤ d: long division of n by d, a word at a time, against uniform words."""
    width = _INT64_BITS - denominator.bit_length()
    if width < _MIN_CHUNK_BITS:
        width, numerators = _WORD_BITS, numerators.astype(object)
    result = np.zeros(len(numerators), dtype=bool)
    remainder, active = numerators, np.arange(len(numerators))
    while len(active):
        shifted = remainder * (1 << width)
        digit, remainder = shifted // denominator, shifted % denominator
        word = _words(rng, len(active), width)
        result[active[word < digit]] = True
        tied = (word == digit) & (remainder > 0)
        active, remainder = active[tied], remainder[tied]
    return result


def _words(rng: Rng, count: int, width: int) -> Array:
    """Uniform integers of `width` bits: int64 below 64 bits, uint64 at 64."""
    words = np.frombuffer(rng.bytes(8 * count), dtype="<u8")
    return words.astype(np.uint64) if width == _WORD_BITS else (words >> np.uint64(_WORD_BITS - width)).astype(np.int64)


def _below(rng: Rng, bound: int, count: int) -> Array:
    """Uniform integers in [0, bound), by rejection."""
    if bound.bit_length() > _INT64_BITS:
        return np.array([below(rng, bound) for _ in range(count)], dtype=object)
    parts: list[Array] = []
    missing = count
    while missing:
        words = _words(rng, 2 * missing + 8, max((bound - 1).bit_length(), 1))
        parts.append(words[words < bound][:missing])
        missing -= len(parts[-1])
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _filled(count: int, value: int) -> Array:
    return np.full(count, value, dtype=np.int64 if value.bit_length() <= _INT64_BITS else object)


def _count(count: int) -> int:
    if not is_integer(count) or count < 0:
        raise ParameterError("the number of samples is an integer of 0 or above")
    return int(count)


def _rational(value: Fraction | int, what: str) -> Fraction:
    if isinstance(value, Fraction) or is_integer(value):
        ratio = Fraction(value)
        if max(ratio.numerator.bit_length(), ratio.denominator.bit_length()) <= MAX_TERM_BITS:
            return ratio
        raise ParameterError(f"{what} has a numerator and a denominator of at most {MAX_TERM_BITS} bits: round it first")
    raise ParameterError(f"{what} is an int or a Fraction, since the noise is exact: write Fraction(1, 2) or Fraction('0.5')")


def _check_range(value: Fraction, bits: int, what: str) -> None:
    if not 0 < value <= 1 << bits:
        raise ParameterError(f"{what} is above 0 and at most 2^{bits}")
