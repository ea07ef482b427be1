"""Noise on the totals of a federated table: which numbers get it, how much, and what a noisy cell may look like.

Per cell the vector has rows, and per measure values and sum; people and contributors follow from rows and values, since every
key is unique at its part. One person changes each of these by at most the parts that it may be in, times the measure's bound.
ρ, or ε for Laplace noise, is split evenly over the kinds of numbers. Noise comes before everything that the gate judges, so
that what is withheld, and what HAVING and LIMIT do, tells no more than the noisy numbers do.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from protocols import aggregation
from protocols.errors import ParameterError
from protocols.primitives.rng import Rng
from sandbox.errors import UsageError
from sandbox.model.plan import Plan
from sandbox.model.privacy import cost_of
from sandbox.tasks.totals import Layout, layout_of

Noise = aggregation.NoisePlan | aggregation.LaplacePlan
LARGEST_REACH = 1 << 46
_NOISED = re.compile(r"m|[cs]_\d+")
_DERIVED = re.compile(r"persons|z_\d+")


def noise_of(plan: Plan, *, shares: int) -> Noise:
    """Return the noise on a plan's totals: shares = 1 at the gate, T − c where the parts add it.

    Its vector is the noised numbers, kind by kind, each over all cells. Raises UsageError for a plan without noise, or with
    more of it than the vector's elements can carry.
    """
    rules, layout = plan.rules.noise, layout_of(plan)
    if rules is None or plan.federation is None:
        raise UsageError("only the totals of a federated table take noise, under a profile that asks for it")
    persons = plan.overlap(len(plan.federation.parts))
    blocks = []
    for column in _columns(layout):
        bound = plan.inputs[0].measures[int(column[2:])].bound if column.startswith("s_") else 1
        blocks.append(aggregation.Block(length=layout.cells, sensitivity=persons * bound))
    try:
        noise: Noise
        if rules.kind == "laplace":
            noise = aggregation.plan_laplace(blocks, Fraction(rules.epsilon))
            largest = max(noise.scales) ** 2
        else:
            noise = aggregation.plan_noise(blocks, cost_of(rules), shares=shares)
            largest = max(noise.variances)
        reach = noise.reach
    except ParameterError as error:
        raise UsageError(f"the noise of this plan cannot be drawn: {error}") from None
    if reach > LARGEST_REACH or largest > 1 << 80:
        raise UsageError("the noise of this plan is too large for its numbers: declare narrower bounds, or a coarser scale")
    return noise


def with_noise(plan: Plan, vector: npt.NDArray[np.int64], noise: Noise, rng: Rng) -> npt.NDArray[np.int64]:
    """Return a part's or the sum's vector with a fresh share; what is not noised and follows from noisy numbers becomes 0."""
    layout = layout_of(plan)
    drawn = iter(noise.draw(rng).reshape(-1, layout.cells))
    noisy, at = vector.reshape(layout.cells, layout.width).copy(), 0
    for entry in layout.entries:
        if _NOISED.fullmatch(entry.column):
            # Digits add up like any other element, so the lowest one carries the noise.
            noisy[:, at] += next(drawn)
        else:
            noisy[:, at : at + entry.digits] = 0
        at += entry.digits
    return noisy.reshape(-1)


def _columns(layout: Layout) -> list[str]:
    """The columns that get noise, in the layout's order. Raises UsageError for one that could neither get it nor be derived."""
    for entry in layout.entries:
        if not (_NOISED.fullmatch(entry.column) or _DERIVED.fullmatch(entry.column)):
            raise UsageError("under noise COUNT, SUM and AVG are answered, not spreads or shares of single contributors")
    return [entry.column for entry in layout.entries if _NOISED.fullmatch(entry.column)]
