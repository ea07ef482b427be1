"""Linear and ridge regression: exact XᵀX and Xᵀy in one secure sum, then the normal equations at the gate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.learn.parts import Part, Scale
from sandbox.learn.request import Integers, Request
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps.fit import Fit, unknown
from sandbox.learn.steps.moments import PRODUCTS, Moments, products_of, second_moments
from sandbox.learn.steps.normal import shortest, solve_normal, solve_penalised
from sandbox.model.fit import Linear, Ridge

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """coef: (features,)."""

    coef: Floats
    intercept: float


class LinearFit(Fit):
    """(XᵀX + α·I)·β = Xᵀy. target: the scale of y."""

    def __init__(self, estimator: Linear | Ridge, scale: Scale, target: Scale) -> None:
        super().__init__(scale)
        self._target = target
        self._alpha = estimator.alpha if isinstance(estimator, Ridge) else 0.0
        self._intercept = estimator.fit_intercept

    def run(self, rounds: Rounds) -> LinearModel:
        """One round after the count of rows."""
        rounds.count()
        rounds.require_freedom(self.width + int(self._intercept))
        return self._solve(second_moments(rounds, self.width + 1))

    def vector(self, part: Part, request: Request) -> Integers:
        """Return sums and products of the features and the target."""
        if request.statistic != PRODUCTS:
            raise unknown(request)
        y = np.asarray(part.y, dtype=np.float64)[:, np.newaxis]
        return products_of(np.hstack([self.scale.unit(part.X), self._target.unit(y)]), request)

    def _solve(self, moments: Moments) -> LinearModel:
        """Solve in units of 2^e; of several solutions, the one whose coefficients have the least norm, as scikit-learn's."""
        exponents, target = self.scale.exponents, int(self._target.exponents[0])
        products = moments.scatter if self._intercept else moments.raw
        matrix, right = products[:-1, :-1], products[:-1, -1]
        if self._alpha:
            penalty = np.ldexp(np.full(len(exponents), self._alpha), -2 * exponents)
            coef = np.ldexp(solve_penalised(matrix, right, penalty, noise=moments.noise), target - exponents)
        else:
            solved, free = solve_normal(matrix, right, noise=moments.noise)
            coef = shortest(np.ldexp(solved, target - exponents), np.ldexp(free, -exponents[:, np.newaxis]))
        means = np.ldexp(moments.mean, np.append(exponents, target))
        return LinearModel(coef=coef, intercept=float(means[-1] - means[:-1] @ coef) if self._intercept else 0.0)
