"""Standard scaling: means and variances of the pooled rows, from one secure sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.learn.base import SecureEstimator
from sandbox.learn.moments import warn_if_coarse
from sandbox.learn.parts import Part, Scale
from sandbox.learn.record import ModelRules
from sandbox.learn.rounds import Drops, Rounds, encode


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

    def _learn(self, parts: tuple[Part, ...], rounds: Rounds, scale: Scale) -> None:
        rounds.count()
        bits = rounds.scale_bits(products=2)

        def vector(part: Part) -> npt.NDArray[np.int64]:
            integers = encode(scale.unit(part.X), bits)
            return np.concatenate([integers.sum(axis=0), (integers**2).sum(axis=0)])

        total = [int(number) for number in rounds.sum("sums and squares", vector)]
        rows, width = rounds.rows, self.n_features_in_
        sums, squares = total[:width], total[width:]
        warn_if_coarse(sums, squares, rows)
        variances = [(rows * q - s * s) / (rows * rows << 2 * bits) for s, q in zip(sums, squares, strict=True)]
        self.n_samples_seen_ = rows
        self.mean_ = np.ldexp([number / (rows << bits) for number in sums], scale.exponents)
        self.var_ = np.ldexp(variances, 2 * scale.exponents)
        self.scale_ = np.where(self.var_ == 0, 1.0, np.sqrt(self.var_))
