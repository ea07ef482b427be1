"""k-means: Lloyd's algorithm, each step one secure sum of cluster counts and sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError
from sandbox.learn.parts import Part, Scale
from sandbox.learn.request import Integers, Request, encode
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps.fit import Fit, unknown
from sandbox.learn.steps.moments import PRODUCTS, products_of, second_moments
from sandbox.model.fit import KMeans

Floats = npt.NDArray[np.float64]
Draw = Callable[[tuple[int, int]], Floats]

CLUSTERS = "cluster counts, sums, inertia"
REDRAWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KMeansModel:
    """centres: (clusters, features). inertia: of the last round's centres. converged: they moved within the tolerance."""

    centres: Floats
    inertia: float
    rounds: int
    converged: bool


class KMeansFit(Fit):
    """Lloyd's algorithm. normal: draws (rows, columns) from the standard normal distribution, for the first centres.

    A centre moves only on the rounds' least_rows rows or more. One that was drawn, and has fewer, is drawn again in the first
    REDRAWS rounds.
    """

    def __init__(self, estimator: KMeans, scale: Scale, normal: Draw | None) -> None:
        super().__init__(scale)
        self._estimator = estimator
        self._normal = normal

    def run(self, rounds: Rounds) -> KMeansModel:
        """The moments of the columns, for the draw and the tolerance, then Lloyd's steps."""
        rounds.count()
        wanted = self._estimator.n_clusters
        rounds.require_freedom(wanted)
        units = np.ldexp(1.0, self.scale.exponents)
        moments = second_moments(rounds, self.width)
        covariance = moments.scatter * np.outer(units, units) / moments.rows
        given = self._estimator.init
        draw = self._drawing(moments.mean * units, covariance)
        centres = draw(wanted) if given is None else np.array(given, dtype=np.float64)
        enough = self._estimator.tol * float(np.diag(covariance).mean())
        least, converged, inertia = rounds.least_rows, False, 0.0
        for step in range(1, self._estimator.max_iter + 1):
            counts, means, inertia = self._round(rounds, centres)
            moved = np.where((counts >= least)[:, np.newaxis], means, centres)
            if given is None and step <= REDRAWS:
                moved[counts < least] = draw(int((counts < least).sum()))
            shift = float(((moved - centres) ** 2).sum())
            centres, converged = moved, shift <= enough
            if converged:
                break
        return KMeansModel(centres=centres, inertia=inertia, rounds=step, converged=converged)

    def vector(self, part: Part, request: Request) -> Integers:
        """Return the moments of the features, or counts, sums and inertia of the request's clusters."""
        if request.statistic == PRODUCTS:
            return products_of(self.scale.unit(part.X), request)
        centres = request.array()
        if request.statistic != CLUSTERS or centres.shape != (self._estimator.n_clusters, self.width):
            raise unknown(request)
        X = np.clip(part.X, -self.scale.bounds, self.scale.bounds)
        distances = squares(X, centres)
        member = np.zeros((len(X), len(centres)), dtype=np.int64)
        member[np.arange(len(X)), distances.argmin(axis=1)] = 1
        sums = member.T @ encode(self.scale.unit(X), request.bits)
        inertia = encode(np.array([distances.min(axis=1).sum() / self._reach(centres)]), request.bits)
        return np.concatenate([member.sum(axis=0), sums.ravel(), inertia])

    def _drawing(self, mean: Floats, covariance: Floats) -> Callable[[int], Floats]:
        values, vectors = np.linalg.eigh(covariance)

        def drawn(number: int) -> Floats:
            if self._normal is None:
                raise UsageError("the first centres are neither given nor to be drawn")
            draws = self._normal((number, len(mean)))
            found: Floats = mean + (draws * np.sqrt(np.maximum(values, 0))) @ vectors.T
            return found

        return drawn

    def _reach(self, centres: Floats) -> float:
        """The largest squared distance that one row can have."""
        return float(((np.abs(centres) + self.scale.bounds) ** 2).sum(axis=1).max())

    def _round(self, rounds: Rounds, centres: Floats) -> tuple[Integers, Floats, float]:
        """Return rows per cluster, their means (where there are none, zeros), and the sum of squared distances."""
        bits, (clusters, width) = rounds.scale_bits(), centres.shape
        total = rounds.sum(Request.of(CLUSTERS, length=clusters * (width + 1) + 1, bits=bits, state=centres))
        counts, sums = total[:clusters], total[clusters:-1].reshape(clusters, width)
        means = np.ldexp(sums / np.maximum(counts, 1)[:, np.newaxis], self.scale.exponents - bits)
        return counts, means, float(np.ldexp(float(total[-1]), -bits)) * self._reach(centres)


def squares(X: Floats, centres: Floats) -> Floats:
    """Return squared distances (rows, centres), one centre after the other, so that memory stays with the rows."""
    return np.stack([((X - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
