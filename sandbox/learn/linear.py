"""Linear and ridge regression as scikit-learn estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.learn.base import SecureEstimator, stated
from sandbox.learn.parts import Part, Scale, scale_of
from sandbox.learn.rounds import Drops
from sandbox.learn.steps import Fit, LinearFit
from sandbox.model.fit import Linear, ModelRules, Ridge


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

    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        targets = [np.asarray(part.y, dtype=np.float64)[:, np.newaxis] for part in parts]
        return LinearFit(
            self._document_of(scale.bounds.size), scale, scale_of(self.target_bound, targets, clip=self.clip, what="y")
        )

    def _document_of(self, width: int) -> Linear | Ridge:
        return stated(Linear, fit_intercept=self.fit_intercept)

    def _keep(self, model: Any) -> None:
        self.coef_, self.intercept_ = model.coef, model.intercept

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

    def _document_of(self, width: int) -> Linear | Ridge:
        return stated(Ridge, alpha=self.alpha, fit_intercept=self.fit_intercept)
