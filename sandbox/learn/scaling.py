"""Standard scaling as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.learn.base import SecureEstimator
from sandbox.learn.parts import Part, Scale
from sandbox.learn.rounds import Drops
from sandbox.learn.steps import Fit, ScalerFit
from sandbox.model.fit import ModelRules, Scaler


class SecureStandardScaler(OneToOneFeatureMixin, TransformerMixin, SecureEstimator):
    """Zero mean and unit variance, as `sklearn.preprocessing.StandardScaler`.

    Parameters as SecureLinearRegression. Attributes: mean_, var_, scale_ (features,), n_samples_seen_, record_.
    """

    def __init__(
        self,
        *,
        parties: int = 5,
        bounds: object = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        self.parties = parties
        self.bounds = bounds
        self.clip = clip
        self.rules = rules
        self.threshold = threshold
        self.dropped_after = dropped_after

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return (X − mean) / scale."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scaled: npt.NDArray[np.float64] = (X - self.mean_) / self.scale_
        return scaled

    def inverse_transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return X · scale + mean."""
        check_is_fitted(self)
        original: npt.NDArray[np.float64] = np.asarray(X, dtype=np.float64) * self.scale_ + self.mean_
        return original

    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        return ScalerFit(scale)

    def _document_of(self, width: int) -> Scaler:
        return Scaler()

    def _keep(self, model: Any) -> None:
        self.n_samples_seen_ = model.rows
        self.mean_, self.var_, self.scale_ = model.mean, model.variance, model.scale
