"""Noise on a sum: discrete Gaussian, by the gate or in shares by the parties before they mask; discrete Laplace by the gate.

With shares no role ever sees the sum without noise, the gate included. Each party adds discrete Gaussian noise of variance v to
each number; parties that drop out take their share with them, so the variance is set for the fewest that the guarantee may
count on: the threshold T, without the c that may collude (they know their own shares). If more stay, there is more noise
than asked for, up to n/(T − c) times the variance. The sum of shares is no discrete Gaussian, only close to one, and the cost
that is charged includes the distance: Kairouz, Liu, Steinke, *The Distributed Discrete Gaussian Mechanism for Federated
Learning with Secure Aggregation* (ICML 2021), theorem 1. Semi-honest parties: leaving a share out is colluding.

Discrete Laplace noise is for the gate alone, since sums of it are none: pure ε-differential privacy, without a δ (Ghosh,
Roughgarden, Sundararajan, STOC 2009; sampler of Canonne, Kamath, Steinke).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives.accounting import distributed_cost, laplace_cost
from protocols.primitives.rng import Rng
from protocols.primitives.samplers import discrete_gaussian, discrete_laplace

REACH_SIGMAS = 12
"""No share is larger, but with probability below 2^-100 per number: that much room a bound must leave."""

REACH_SCALES = 70
"""The same for discrete Laplace: e^-70 is below 2^-100."""

_FINEST = 2**20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A run of numbers of a vector that one person changes by at most `sensitivity`, as integers.

    In the Euclidean norm for Gaussian noise, in the sum of absolute values for Laplace noise.
    """

    length: int
    sensitivity: int

    def __post_init__(self) -> None:
        if self.length < 1 or self.sensitivity < 0:
            raise ParameterError("a block has at least one number, and a sensitivity of 0 or above")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NoisePlan:
    """Which noise goes onto a vector. Public. variances: of one share, by block; 0 where nobody changes anything.

    shares: how many independent shares the guarantee counts; 1 where the gate adds all noise itself.
    """

    blocks: tuple[Block, ...]
    variances: tuple[Fraction, ...]
    shares: int

    @property
    def length(self) -> int:
        """Numbers of the vector."""
        return sum(block.length for block in self.blocks)

    @property
    def cost(self) -> Fraction:
        """ρ of one sum in which at least `shares` shares stand (zCDP); a release of it is charged this much."""
        costs = (
            distributed_cost(block.sensitivity, variance, shares=self.shares, length=block.length)
            for block, variance in zip(self.blocks, self.variances, strict=True)
            if variance
        )
        return sum(costs, Fraction(0))

    @property
    def reach(self) -> int:
        """Largest share that `draw` gives: what a bound of the noisy vector must add to that of the exact one."""
        return REACH_SIGMAS * (math.isqrt(math.ceil(max(self.variances))) + 1)

    def draw(self, rng: Rng) -> npt.NDArray[np.int64]:
        """Return one fresh share, (length,) int64. Secret to the party, or the gate, that draws it.

        Raises EncodingOverflow where a share exceeds `reach`; start the round anew.
        """
        parts = [
            discrete_gaussian(rng, variance, block.length) if variance else np.zeros(block.length, dtype=np.int64)
            for block, variance in zip(self.blocks, self.variances, strict=True)
        ]
        share = np.concatenate(parts)
        if np.abs(share).max() > self.reach:
            raise EncodingOverflow("a share of noise is beyond its reach; start the round anew")
        return share


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaplacePlan:
    """Discrete Laplace noise that the gate puts onto a vector. Public. scales: by block; 0 where nobody changes anything."""

    blocks: tuple[Block, ...]
    scales: tuple[Fraction, ...]

    @property
    def length(self) -> int:
        """Numbers of the vector."""
        return sum(block.length for block in self.blocks)

    @property
    def epsilon(self) -> Fraction:
        """ε of one sum: the blocks' Δ/scale, added up (basic composition), with δ = 0."""
        pairs = zip(self.blocks, self.scales, strict=True)
        return sum((block.sensitivity / scale for block, scale in pairs if scale), Fraction(0))

    @property
    def cost(self) -> Fraction:
        """ρ of one sum, ε²/2 (zCDP); a release of it is charged this much."""
        return laplace_cost(self.epsilon)

    @property
    def reach(self) -> int:
        """Largest number that `draw` gives: what a bound of the noisy vector must add to that of the exact one."""
        return REACH_SCALES * math.ceil(max(self.scales))

    def draw(self, rng: Rng) -> npt.NDArray[np.int64]:
        """Return fresh noise, (length,) int64. Secret to the gate. Raises EncodingOverflow beyond `reach`; start anew."""
        parts = [
            discrete_laplace(rng, scale, block.length) if scale else np.zeros(block.length, dtype=np.int64)
            for block, scale in zip(self.blocks, self.scales, strict=True)
        ]
        noise = np.concatenate(parts)
        if np.abs(noise).max() > self.reach:
            raise EncodingOverflow("the noise is beyond its reach; start the round anew")
        return noise


def plan_laplace(blocks: Sequence[Block], epsilon: Fraction) -> LaplacePlan:
    """Return the noise with which one sum is ε-differentially private, ε split evenly over the blocks, in the vector's order.

    Raises ParameterError for no budget, or a vector that nobody changes.
    """
    spending = _spending(blocks)
    if not spending or epsilon <= 0:
        raise ParameterError("noise needs a number that somebody changes, and an ε above 0")
    scales = tuple(block.sensitivity * spending / epsilon for block in blocks)
    return LaplacePlan(blocks=tuple(blocks), scales=scales)


def plan_noise(blocks: Sequence[Block], rho: Fraction, *, shares: int = 1) -> NoisePlan:
    """Return the least noise, to a thousandth, with which one sum costs at most `rho`, split evenly over the blocks.

    blocks: in the vector's order. shares: T − c where parties add it (`SumParams.threshold`, `.colluding`), 1 where the gate
    does. Raises ParameterError for no budget, no share, or a vector that nobody changes.
    """
    spending = _spending(blocks)
    if not spending or shares < 1 or rho <= 0:
        raise ParameterError("noise needs a number that somebody changes, at least one share, and a budget above 0")
    variances = [_variance(block, rho / spending, shares) if block.sensitivity else Fraction(0) for block in blocks]
    return NoisePlan(blocks=tuple(blocks), variances=tuple(variances), shares=shares)


def _spending(blocks: Sequence[Block]) -> int:
    return sum(1 for block in blocks if block.sensitivity)


def _variance(block: Block, rho: Fraction, shares: int) -> Fraction:
    """The smallest of Δ²/(2·shares·ρ)·1.001^i that keeps to ρ with the distance between sums of shares and one Gaussian."""
    alone = Fraction(block.sensitivity) ** 2 / (2 * shares * rho)
    variance = Fraction(math.ceil(alone * _FINEST), _FINEST)
    while distributed_cost(block.sensitivity, variance, shares=shares, length=block.length) > rho:
        variance = Fraction(math.ceil(variance * _FINEST * Fraction(1001, 1000)), _FINEST)
    return variance
