"""k-means as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError
from sandbox.learn.base import SecureEstimator, stated
from sandbox.learn.parts import Part, Scale
from sandbox.learn.rounds import Drops
from sandbox.learn.steps import Fit, KMeansFit
from sandbox.learn.steps.kmeans import squares
from sandbox.model.fit import KMeans, ModelRules

Floats = npt.NDArray[np.float64]


class SecureKMeans(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, SecureEstimator):
    """k-means, as `sklearn.cluster.KMeans` with Lloyd's algorithm and one start. No row's label is kept: use `predict`.

    n_clusters. init: first centres (n_clusters, features), public; else drawn from the normal distribution with the mean and
    covariance of the pooled rows, and again in the first ten rounds where fewer than `rules.min_rows` rows are near.
    tol: as scikit-learn's, times the mean variance. max_iter: most rounds. random_state.
    The other parameters as SecureLinearRegression. A centre moves only on `rules.min_rows` rows or more.
    Attributes: cluster_centers_ (n_clusters, features), inertia_ (of the last round's centres), n_iter_, record_.
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: object = None,
        tol: float = 1e-4,
        max_iter: int = 100,
        random_state: int | None = None,
        parties: int = 5,
        bounds: object = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.parties = parties
        self.bounds = bounds
        self.clip = clip
        self.rules = rules
        self.threshold = threshold
        self.dropped_after = dropped_after

    def fit_predict(self, X: Any, y: Any = None) -> npt.NDArray[np.intp]:
        """Fit, then return the cluster of each row."""
        return self.fit(X).predict(X)

    def predict(self, X: Any) -> npt.NDArray[np.intp]:
        """Return the nearest centre of each row, (rows,)."""
        nearest: npt.NDArray[np.intp] = self.transform(X).argmin(axis=1)
        return nearest

    def transform(self, X: Any) -> Floats:
        """Return each row's distance to each centre, (rows, n_clusters)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return np.sqrt(squares(X, self.cluster_centers_))

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the sum of squared distances of rows to their nearest centres, as scikit-learn's."""
        return -float((self.transform(X).min(axis=1) ** 2).sum())

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        normal = check_random_state(self.random_state).normal
        return KMeansFit(self._document_of(parts[0].X.shape[1]), scale, lambda shape: np.asarray(normal(size=shape)))

    def _document_of(self, width: int) -> KMeans:
        seed = self.random_state if isinstance(self.random_state, int | np.integer) else 0
        return stated(
            KMeans,
            n_clusters=self.n_clusters,
            init=self._given(width),
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=seed,
        )

    def _given(self, width: int) -> tuple[tuple[float, ...], ...] | None:
        if self.init is None:
            return None
        try:
            centres = np.asarray(self.init, dtype=np.float64)
        except (TypeError, ValueError):
            centres = np.empty(0)
        if centres.shape != (self.n_clusters, width) or not np.isfinite(centres).all():
            raise UsageError(f"init is an array of {self.n_clusters} centres with {width} finite numbers each, public, or None")
        return tuple(map(tuple, centres.tolist()))

    def _keep(self, model: Any) -> None:
        self.cluster_centers_, self.inertia_, self.n_iter_ = model.centres, model.inertia, model.rounds
