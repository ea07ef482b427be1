"""k-means: Lloyd's algorithm, each step one secure sum of cluster counts and sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError
from sandbox.learn.base import SecureEstimator
from sandbox.learn.moments import second_moments
from sandbox.learn.parts import Part, Scale
from sandbox.learn.record import ModelRules
from sandbox.learn.rounds import Drops, Rounds, encode

Floats = npt.NDArray[np.float64]

REDRAWS = 10


class SecureKMeans(ClusterMixin, TransformerMixin, SecureEstimator):
    """k-means, as `sklearn.cluster.KMeans` with Lloyd's algorithm and one start. No row's label is kept: use `predict`.

    n_clusters. init: first centres (n_clusters, features), public; else drawn from the normal distribution with the mean and
    covariance of the pooled rows, and again in the first REDRAWS rounds where fewer than `rules.min_rows` rows are near.
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
        return np.sqrt(_squares(X, self.cluster_centers_))

    def _learn(self, parts: tuple[Part, ...], rounds: Rounds, scale: Scale) -> None:
        rows = rounds.count()
        if not 1 <= self.n_clusters <= rows:
            raise UsageError(f"n_samples={rows} should be >= n_clusters={self.n_clusters}, and that at least 1")
        units = np.ldexp(1.0, scale.exponents)
        moments = second_moments(rounds, lambda part: scale.unit(part.X), self.n_features_in_)
        covariance = moments.scatter * np.outer(units, units) / moments.rows
        draw = self._draw(moments.mean * units, covariance)
        centres = self._given(self.n_features_in_) if self.init is not None else draw(self.n_clusters)
        enough = self.tol * float(np.diag(covariance).mean())
        least = (self.rules or ModelRules()).min_rows
        for step in range(1, self.max_iter + 1):
            self.n_iter_ = step
            counts, means, self.inertia_ = self._round(rounds, scale, centres)
            moved = np.where((counts >= least)[:, np.newaxis], means, centres)
            if self.init is None and step <= REDRAWS:
                moved[counts < least] = draw(int((counts < least).sum()))
            shift = float(((moved - centres) ** 2).sum())
            centres = moved
            if shift <= enough:
                break
        self.cluster_centers_ = centres

    def _given(self, width: int) -> Floats:
        centres = np.asarray(self.init, dtype=np.float64)
        if centres.shape != (self.n_clusters, width) or not np.isfinite(centres).all():
            raise UsageError(f"init is an array of {self.n_clusters} centres with {width} finite numbers each")
        return centres

    def _draw(self, mean: Floats, covariance: Floats) -> Callable[[int], Floats]:
        values, vectors = np.linalg.eigh(covariance)
        source = check_random_state(self.random_state)

        def drawn(number: int) -> Floats:
            draws = source.normal(size=(number, len(mean)))
            found: Floats = mean + (draws * np.sqrt(np.maximum(values, 0))) @ vectors.T
            return found

        return drawn

    def _round(self, rounds: Rounds, scale: Scale, centres: Floats) -> tuple[npt.NDArray[np.int64], Floats, float]:
        """Return rows per cluster, their means (where there are none, zeros), and the sum of squared distances."""
        bits, (clusters, width) = rounds.scale_bits(), centres.shape
        reach = float(((np.abs(centres) + scale.bounds) ** 2).sum(axis=1).max())

        def vector(part: Part) -> npt.NDArray[np.int64]:
            X = np.clip(part.X, -scale.bounds, scale.bounds)
            squares = _squares(X, centres)
            member = np.zeros((len(X), clusters), dtype=np.int64)
            member[np.arange(len(X)), squares.argmin(axis=1)] = 1
            sums = member.T @ encode(scale.unit(X), bits)
            inertia = encode(np.array([squares.min(axis=1).sum() / reach]), bits)
            return np.concatenate([member.sum(axis=0), sums.ravel(), inertia])

        total = rounds.sum("cluster counts, sums, inertia", vector)
        counts, sums = total[:clusters], total[clusters:-1].reshape(clusters, width)
        means = np.ldexp(sums / np.maximum(counts, 1)[:, np.newaxis], scale.exponents - bits)
        return counts, means, float(np.ldexp(float(total[-1]), -bits)) * reach


def _squares(X: Floats, centres: Floats) -> Floats:
    """Squared distances (rows, centres), one centre after the other, so that memory stays with the rows."""
    return np.stack([((X - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
