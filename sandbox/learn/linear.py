"""Linear and ridge regression: exact XᵀX and Xᵀy in one secure sum, then the normal equations at the gate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.learn.base import SecureEstimator
from sandbox.learn.moments import Moments, second_moments
from sandbox.learn.parts import Part, Scale, scale_of
from sandbox.learn.record import ModelRules
from sandbox.learn.rounds import Drops, Rounds


class SecureLinearRegression(RegressorMixin, SecureEstimator):
    """Ordinary least squares, as `sklearn.linear_model.LinearRegression`.

    parties: parts that `fit` cuts the rows into. fit_intercept. bounds: largest |x|, one number or one per column;
    target_bound: largest |y|; taken from the data, with a warning, where not declared. clip: cut values beyond declared
    bounds instead of refusing them. rules: ModelRules. threshold, dropped_after: of each round's `secure_sum`, the latter
    by round.
    Attributes: coef_ (features,), intercept_, record_.
    """

    def __init__(
        self,
        *,
        parties: int = 5,
        fit_intercept: bool = True,
        bounds: object = None,
        target_bound: float | None = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        self.parties = parties
        self.fit_intercept = fit_intercept
        self.bounds = bounds
        self.target_bound = target_bound
        self.clip = clip
        self.rules = rules
        self.threshold = threshold
        self.dropped_after = dropped_after

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return predictions, (rows,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        predictions: npt.NDArray[np.float64] = X @ self.coef_ + self.intercept_
        return predictions

    def _learn(self, parts: tuple[Part, ...], rounds: Rounds, scale: Scale) -> None:
        targets = scale_of(self.target_bound, [_column(part) for part in parts], clip=self.clip, what="y")
        rows, width = rounds.count(), self.n_features_in_
        rules = self.rules or ModelRules()
        free = rows - width - int(self.fit_intercept)
        message = f"rows minus coefficients must be at least {rules.min_degrees_of_freedom}"
        rounds.require("model.degrees_of_freedom", passes=free >= rules.min_degrees_of_freedom, subject="fit", message=message)
        moments = second_moments(rounds, lambda part: np.hstack([scale.unit(part.X), targets.unit(_column(part))]), width + 1)
        self._solve(moments, scale.exponents, int(targets.exponents[0]))

    def _penalty(self) -> float:
        return 0.0

    def _solve(self, moments: Moments, exponents: npt.NDArray[np.int64], target: int) -> None:
        """(XᵀX + α·I)·β = Xᵀy in units of 2^e; directions within the rounding of the inputs count as absent."""
        products = moments.scatter if self.fit_intercept else moments.raw
        penalty = np.ldexp(np.full(len(exponents), self._penalty()), -2 * exponents)
        solved = np.linalg.lstsq(products[:-1, :-1] + np.diag(penalty), products[:-1, -1], rcond=1e-13)[0]
        self.coef_ = np.ldexp(solved, target - exponents)
        means = np.ldexp(moments.mean, np.append(exponents, target))
        self.intercept_ = float(means[-1] - means[:-1] @ self.coef_) if self.fit_intercept else 0.0

    def _numeric_target(self) -> bool:
        return True


class SecureRidge(SecureLinearRegression):
    """Ridge regression, as `sklearn.linear_model.Ridge`.

    alpha: the penalty. The other parameters and attributes as SecureLinearRegression.
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        parties: int = 5,
        fit_intercept: bool = True,
        bounds: object = None,
        target_bound: float | None = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        super().__init__(
            parties=parties,
            fit_intercept=fit_intercept,
            bounds=bounds,
            target_bound=target_bound,
            clip=clip,
            rules=rules,
            threshold=threshold,
            dropped_after=dropped_after,
        )
        self.alpha = alpha

    def _penalty(self) -> float:
        return self.alpha


def _column(part: Part) -> npt.NDArray[np.float64]:
    return np.asarray(part.y, dtype=np.float64)[:, np.newaxis]
