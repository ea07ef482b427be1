"""Principal components as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.learn.base import SecureEstimator, stated
from sandbox.learn.parts import Part, Scale
from sandbox.learn.rounds import Drops
from sandbox.learn.steps import Fit, PCAFit
from sandbox.model.fit import PCA, ModelRules


class SecurePCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SecureEstimator):
    """Principal component analysis, as `sklearn.decomposition.PCA`.

    n_components: how many, all unless given; the other parameters as SecureLinearRegression. Attributes: components_
    (n_components, features), each with its largest loading positive; explained_variance_, explained_variance_ratio_,
    singular_values_ (n_components,), mean_ (features,), n_components_, record_.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        parties: int = 5,
        bounds: object = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        self.n_components = n_components
        self.parties = parties
        self.bounds = bounds
        self.clip = clip
        self.rules = rules
        self.threshold = threshold
        self.dropped_after = dropped_after

    def transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the rows' coordinates, (rows, n_components)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        projected: npt.NDArray[np.float64] = (X - self.mean_) @ self.components_.T
        return projected

    def inverse_transform(self, X: Any) -> npt.NDArray[np.float64]:
        """Return rows from their coordinates, (rows, features)."""
        check_is_fitted(self)
        restored: npt.NDArray[np.float64] = np.asarray(X, dtype=np.float64) @ self.components_ + self.mean_
        return restored

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        return PCAFit(self._document_of(scale.bounds.size), scale)

    def _document_of(self, width: int) -> PCA:
        return stated(PCA, n_components=self.n_components)

    def _keep(self, model: Any) -> None:
        self.components_, self.mean_ = model.components, model.mean
        self.explained_variance_ = model.explained_variance
        self.explained_variance_ratio_ = model.explained_variance_ratio
        self.singular_values_ = model.singular_values
        self.n_components_ = len(model.components)
