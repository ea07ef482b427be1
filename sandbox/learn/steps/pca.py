"""Principal components, from the exact covariance of the pooled rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError
from sandbox.learn.parts import Part, Scale
from sandbox.learn.request import Integers, Request
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps.fit import Fit, unknown
from sandbox.learn.steps.moments import PRODUCTS, products_of, second_moments
from sandbox.model.fit import PCA

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PCAModel:
    """components: (n_components, features), each with its largest loading positive; the variances (n_components,)."""

    components: Floats
    explained_variance: Floats
    explained_variance_ratio: Floats
    singular_values: Floats
    mean: Floats


class PCAFit(Fit):
    """Eigenvectors of the covariance of the features."""

    def __init__(self, estimator: PCA, scale: Scale) -> None:
        super().__init__(scale)
        self._wanted = self.width if estimator.n_components is None else estimator.n_components
        if self._wanted > self.width:
            raise UsageError(f"n_components is 1 to {self.width}, the number of features")

    def run(self, rounds: Rounds) -> PCAModel:
        """One round after the count of rows."""
        rounds.count()
        moments = second_moments(rounds, self.width)
        units = np.ldexp(1.0, self.scale.exponents)
        covariance = moments.scatter * np.outer(units, units) / (moments.rows - 1)
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0), vectors.T[::-1]
        largest = vectors[np.arange(self.width), np.abs(vectors).argmax(axis=1)]
        total, kept = values.sum(), values[: self._wanted]
        return PCAModel(
            components=(vectors * np.where(largest < 0, -1.0, 1.0)[:, np.newaxis])[: self._wanted],
            explained_variance=kept,
            explained_variance_ratio=kept / total if total else np.zeros(self._wanted),
            singular_values=np.sqrt(kept * (moments.rows - 1)),
            mean=np.ldexp(moments.mean, self.scale.exponents),
        )

    def vector(self, part: Part, request: Request) -> Integers:
        """Return sums and products of the features."""
        if request.statistic != PRODUCTS:
            raise unknown(request)
        return products_of(self.scale.unit(part.X), request)
