"""Logistic regression: Newton's method, each step one secure sum of loss, gradient and Hessian."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError
from sandbox.learn.base import SecureEstimator
from sandbox.learn.parts import Part, Scale
from sandbox.learn.record import ModelRules
from sandbox.learn.rounds import Drops, Rounds, encode

Floats = npt.NDArray[np.float64]
OVERSHOT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    """Sums over rows, at weights V of shape (scores, columns): loss, gradient like V, Hessian over V's entries in order."""

    loss: float
    gradient: Floats
    hessian: Floats


class SecureLogisticRegression(ClassifierMixin, SecureEstimator):
    """Logistic regression with an L2 penalty, as `sklearn.linear_model.LogisticRegression`; multinomial from three classes on.

    C: inverse of the penalty. tol: largest step, in units of the bounds, at which fitting ends. max_iter: most Newton rounds.
    classes: all labels that the target can have, public; taken from the data where not given. The other parameters as
    SecureLinearRegression. Attributes: classes_, coef_ (1 or classes, features), intercept_ (1 or classes,), n_iter_, record_.
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        tol: float = 1e-7,
        max_iter: int = 50,
        fit_intercept: bool = True,
        classes: object = None,
        parties: int = 5,
        bounds: object = None,
        clip: bool = False,
        rules: ModelRules | None = None,
        threshold: int | None = None,
        dropped_after: Drops | None = None,
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.classes = classes
        self.parties = parties
        self.bounds = bounds
        self.clip = clip
        self.rules = rules
        self.threshold = threshold
        self.dropped_after = dropped_after

    def decision_function(self, X: Any) -> Floats:
        """Return scores: (rows,) for two classes, (rows, classes) from three on."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scores: Floats = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> Floats:
        """Return each class's probability, (rows, classes)."""
        scores = self.decision_function(X)
        probabilities, _ = _softmax(scores.reshape(len(scores), -1))
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the likeliest class of each row, (rows,)."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def _prepare_target(self, targets: Sequence[npt.NDArray[Any] | None]) -> None:
        seen = np.unique(np.concatenate([np.asarray(target) for target in targets if target is not None]))
        check_classification_targets(seen)
        self.classes_ = seen if self.classes is None else np.unique(np.asarray(self.classes))
        if not np.isin(seen, self.classes_).all():
            raise UsageError("the target has labels that `classes` does not name")
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present: 1 class")

    def _learn(self, parts: tuple[Part, ...], rounds: Rounds, scale: Scale) -> None:
        rules = self.rules or ModelRules()
        counts = self._count_classes(rounds)
        few = int((counts < rules.min_rows).sum())
        message = f"each of {len(counts)} classes has at least {rules.min_rows} rows"
        rounds.require("model.class_rows", passes=few == 0, subject="fit", message=message)
        scores = 1 if len(self.classes_) == 2 else len(self.classes_)
        width = self.n_features_in_ + int(self.fit_intercept)
        free = rounds.rows - scores * width
        message = f"rows minus coefficients must be at least {rules.min_degrees_of_freedom}"
        rounds.require("model.degrees_of_freedom", passes=free >= rules.min_degrees_of_freedom, subject="fit", message=message)
        exponents = np.append(scale.exponents, 0)[:width]
        penalty = np.ldexp(np.append(np.ones(self.n_features_in_), 0)[:width], -2 * exponents)
        V = self._newton(rounds, scale, np.zeros((scores, width)), penalty)
        weights = np.ldexp(V, -exponents)
        self.coef_ = weights[:, : self.n_features_in_]
        self.intercept_ = weights[:, -1] if self.fit_intercept else np.zeros(scores)

    def _count_classes(self, rounds: Rounds) -> npt.NDArray[np.int64]:
        return rounds.sum("rows by class", lambda part: (np.asarray(part.y)[:, None] == self.classes_).sum(axis=0))

    def _newton(self, rounds: Rounds, scale: Scale, V: Floats, penalty: Floats) -> Floats:
        """Steps of (C·H + P)⁻¹(C·g + P·v); halved where the loss has grown, and judged afresh where a party was lost."""
        best, accepted, behind = np.inf, V, 0
        for number in range(1, self.max_iter + 1):
            self.n_iter_ = number
            total = self._round(rounds, scale, V)
            objective = self.C * total.loss + float((penalty * V**2).sum()) / 2
            if rounds.rows == behind and objective > best + OVERSHOT * abs(best):
                V = (V + accepted) / 2
                continue
            best, accepted, behind = objective, V, rounds.rows
            curvature = self.C * total.hessian + np.diag(np.tile(penalty, len(V)))
            slope = self.C * total.gradient + penalty * V
            step = np.linalg.lstsq(curvature, slope.ravel(), rcond=1e-12)[0].reshape(V.shape)
            V = V - step
            if np.abs(step).max() <= self.tol * max(1.0, float(np.abs(V).max())):
                return V
        warnings.warn(f"no convergence in {self.max_iter} rounds: raise max_iter or tol", ConvergenceWarning, stacklevel=2)
        return accepted

    def _round(self, rounds: Rounds, scale: Scale, V: Floats) -> _Local:
        bits = rounds.scale_bits()
        reach = float(np.abs(V).sum(axis=1).max()) * 2 + np.log(len(V) + 1)
        upper = np.triu_indices(V.size)

        def vector(part: Part) -> npt.NDArray[np.int64]:
            U = scale.unit(part.X)
            U = np.hstack([U, np.ones((len(U), 1))]) if self.fit_intercept else U
            local = _local(U, np.searchsorted(self.classes_, np.asarray(part.y)), V)
            return encode(np.concatenate([[local.loss / reach], local.gradient.ravel(), local.hessian[upper]]), bits)

        numbers = np.ldexp(rounds.sum("loss, gradient, Hessian", vector).astype(np.float64), -bits)
        hessian = np.zeros((V.size, V.size))
        hessian[upper] = numbers[1 + V.size :]
        hessian = hessian + np.triu(hessian, 1).T
        return _Local(loss=float(numbers[0]) * reach, gradient=numbers[1 : 1 + V.size].reshape(V.shape), hessian=hessian)


def _local(U: Floats, labels: npt.NDArray[np.intp], V: Floats) -> _Local:
    """One party's part, in plain."""
    probabilities, logarithms = _softmax(U @ V.T)
    loss = -float(logarithms[np.arange(len(U)), labels].sum())
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(U)), labels] = 1
    if len(V) == 1:
        p = probabilities[:, 1]
        return _Local(loss=loss, gradient=((p - truth[:, 1]) @ U)[np.newaxis], hessian=(U.T * (p * (1 - p))) @ U)
    scores, width = V.shape
    hessian = np.empty((scores, width, scores, width))
    for a in range(scores):
        for b in range(scores):
            weight = probabilities[:, a] * (float(a == b) - probabilities[:, b])
            hessian[a, :, b, :] = (U.T * weight) @ U
    return _Local(loss=loss, gradient=(probabilities - truth).T @ U, hessian=hessian.reshape(V.size, V.size))


def _softmax(scores: Floats) -> tuple[Floats, Floats]:
    """Return probabilities and their logarithms, (rows, classes); one column of scores is the second class's against 0."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    shifted = scores - scores.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.exp(logarithms), logarithms
