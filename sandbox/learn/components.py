"""Principal components, from the exact covariance of the pooled rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError
from sandbox.learn.base import SecureEstimator
from sandbox.learn.moments import second_moments
from sandbox.learn.parts import Part, Scale
from sandbox.learn.record import ModelRules
from sandbox.learn.rounds import Drops, Rounds


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

    def _learn(self, parts: tuple[Part, ...], rounds: Rounds, scale: Scale) -> None:
        width = self.n_features_in_
        wanted = width if self.n_components is None else self.n_components
        if not 1 <= wanted <= width:
            raise UsageError(f"n_components is 1 to {width}, the number of features")
        rounds.count()
        moments = second_moments(rounds, lambda part: scale.unit(part.X), width)
        units = np.ldexp(1.0, scale.exponents)
        covariance = moments.scatter * np.outer(units, units) / (moments.rows - 1)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0), vectors.T[::-1]
        largest = vectors[np.arange(width), np.abs(vectors).argmax(axis=1)]
        self.components_ = (vectors * np.where(largest < 0, -1.0, 1.0)[:, np.newaxis])[:wanted]
        self.explained_variance_ = values[:wanted]
        total = values.sum()
        self.explained_variance_ratio_ = self.explained_variance_ / total if total else np.zeros(wanted)
        self.singular_values_ = np.sqrt(self.explained_variance_ * (moments.rows - 1))
        self.mean_ = np.ldexp(moments.mean, scale.exponents)
        self.n_components_ = wanted
