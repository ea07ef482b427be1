"""Logistic regression as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError
from sandbox.learn.base import SecureEstimator, stated
from sandbox.learn.parts import Part, Scale
from sandbox.learn.rounds import Drops
from sandbox.learn.steps import Fit, LogisticFit
from sandbox.learn.steps.logistic import softmax
from sandbox.model.fit import Logistic, ModelRules

Floats = npt.NDArray[np.float64]


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
        return self._probabilities(X)[0]

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithm of each class's probability, (rows, classes)."""
        return self._probabilities(X)[1]

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the likeliest class of each row, (rows,)."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def _probabilities(self, X: Any) -> tuple[Floats, Floats]:
        scores = self.decision_function(X)
        return softmax(scores.reshape(len(scores), -1))

    def _prepare_target(self, targets: Sequence[npt.NDArray[Any] | None]) -> None:
        seen = np.unique(np.concatenate([np.asarray(target) for target in targets if target is not None]))
        check_classification_targets(seen)
        self.classes_ = seen if self.classes is None else np.unique(np.asarray(self.classes))
        if not np.isin(seen, self.classes_).all():
            raise UsageError("the target has labels that `classes` does not name")
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present: 1 class")

    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        return LogisticFit(self._document_of(scale.bounds.size), scale, self.classes_)

    def _document_of(self, width: int) -> Logistic:
        return stated(Logistic, C=self.C, tol=self.tol, max_iter=self.max_iter, fit_intercept=self.fit_intercept)

    def _keep(self, model: Any) -> None:
        self.coef_, self.intercept_, self.n_iter_ = model.coef, model.intercept, model.rounds
        if not model.converged:
            message = f"no convergence in {self.max_iter} rounds: raise max_iter or tol"
            warnings.warn(message, ConvergenceWarning, stacklevel=4)
