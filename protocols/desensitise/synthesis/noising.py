"""Noise on counts, and what it costs: discrete Laplace, exact, with every part of ε accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from protocols.desensitise.synthesis.fields import IntArray
from protocols.errors import ParameterError
from protocols.primitives import accounting
from protocols.primitives.rng import Rng, permutation
from protocols.primitives.samplers import discrete_laplace

MAX_CONTRIBUTION = 1000


class Noise:
    """Spends ε: a third on one-way counts, a third on choosing pairs, a third on two-way counts; unspent thirds are not used.

    One person's rows, at most `contribution`, change each table's counts by at most as much in sum (L1), and each pair's
    score too. Neighbouring tables have one person's rows more or fewer.
    """

    def __init__(self, epsilon: Fraction | int, contribution: int, rng: Rng) -> None:
        if not isinstance(epsilon, Fraction | int) or isinstance(epsilon, bool) or not 0 < epsilon <= accounting.MAX_EPSILON:
            raise ParameterError(f"epsilon is a Fraction or a whole number, above 0 and at most {accounting.MAX_EPSILON}")
        if isinstance(contribution, bool) or not isinstance(contribution, int) or not 1 <= contribution <= MAX_CONTRIBUTION:
            raise ParameterError(f"contribution is a whole number from 1 to {MAX_CONTRIBUTION}")
        self.third = Fraction(epsilon) / 3
        self.contribution = contribution
        self.spent = Fraction(0)
        self.rho = Fraction(0)
        self._rng = rng

    def scale(self, epsilon: Fraction) -> Fraction:
        """The noise's scale at a part of ε."""
        return self.contribution / epsilon

    def counts(self, counts: IntArray, epsilon: Fraction) -> IntArray:
        """Return counts with noise, any shape; some may be below 0, so that sums of them stay right on average."""
        self._spend(epsilon)
        return counts + discrete_laplace(self._rng, self.scale(epsilon), counts.size).reshape(counts.shape)

    def largest(self, scores: Sequence[int], epsilon: Fraction) -> int:
        """Return the place of the largest whole score after noise of twice the scale (report noisy max, Dwork, Roth 2014)."""
        self._spend(epsilon)
        noise = discrete_laplace(self._rng, 2 * self.scale(epsilon), len(scores))
        return int(np.argmax(np.asarray(scores, dtype=np.int64) + noise))

    def limited(self, people: IntArray) -> IntArray:
        """Return rows, at most `contribution` of each person, drawn at random, in order."""
        order = permutation(self._rng, len(people))
        sorted_ = order[np.argsort(people[order], kind="stable")]
        mine = people[sorted_]
        starts = np.flatnonzero(np.diff(mine, prepend=-1))
        place = np.arange(len(mine)) - np.repeat(starts, np.diff(np.append(starts, len(mine))))
        return np.sort(sorted_[place < self.contribution])

    def _spend(self, epsilon: Fraction) -> None:
        self.spent += epsilon
        self.rho += accounting.laplace_cost(epsilon)
