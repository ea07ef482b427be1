"""Logistic regression: Newton's method, each step one secure sum of loss, gradient and Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.learn.parts import Part, Scale
from sandbox.learn.request import Integers, Request, encode
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps.fit import Fit, unknown
from sandbox.learn.steps.normal import solve_normal
from sandbox.model.fit import Logistic

Floats = npt.NDArray[np.float64]
CLASS_ROWS = "rows by class"
DERIVATIVES = "loss, gradient, Hessian"
OVERSHOT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticModel:
    """coef: (1 or classes, features), intercept: (1 or classes,). converged: the last step was within the tolerance."""

    coef: Floats
    intercept: Floats
    rounds: int
    converged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivatives:
    """Sums over rows, at weights V of shape (scores, columns): loss, gradient like V, Hessian over V's entries in order."""

    loss: float
    gradient: Floats
    hessian: Floats


class LogisticFit(Fit):
    """L2-penalised logistic regression over declared classes; multinomial from three on. classes: (K,), sorted."""

    def __init__(self, estimator: Logistic, scale: Scale, classes: npt.NDArray[Any]) -> None:
        super().__init__(scale)
        self._estimator = estimator
        self._classes = classes

    def run(self, rounds: Rounds) -> LogisticModel:
        """The rows of each class, then Newton's steps."""
        counts = rounds.sum(Request(statistic=CLASS_ROWS, length=len(self._classes)))
        few = int((counts < rounds.least_rows).sum())
        message = f"each of {len(counts)} classes has at least {rounds.least_rows} rows"
        rounds.require("model.class_rows", passes=few == 0, subject="fit", message=message)
        scores = 1 if len(self._classes) == 2 else len(self._classes)
        width = self.width + int(self._estimator.fit_intercept)
        rounds.require_freedom(scores * width)
        exponents = np.append(self.scale.exponents, 0)[:width]
        penalty = np.ldexp(np.append(np.ones(self.width), 0)[:width], -2 * exponents)
        V, steps, converged = self._newton(rounds, np.zeros((scores, width)), penalty)
        weights = np.ldexp(V, -exponents)
        intercept = weights[:, -1] if self._estimator.fit_intercept else np.zeros(scores)
        return LogisticModel(coef=weights[:, : self.width], intercept=intercept, rounds=steps, converged=converged)

    def vector(self, part: Part, request: Request) -> Integers:
        """Return rows by class, or loss, gradient and Hessian at the request's weights."""
        if request.statistic == CLASS_ROWS:
            counts: Integers = (np.asarray(part.y)[:, None] == self._classes).sum(axis=0)
            return counts
        V = request.array()
        if request.statistic != DERIVATIVES or V.shape[-1:] != (self.width + int(self._estimator.fit_intercept),):
            raise unknown(request)
        U = self.scale.unit(part.X)
        U = np.hstack([U, np.ones((len(U), 1))]) if self._estimator.fit_intercept else U
        local = derivatives(U, np.searchsorted(self._classes, np.asarray(part.y)), V)
        numbers = [np.array([local.loss / _reach(V)]), local.gradient.ravel(), local.hessian[np.triu_indices(V.size)]]
        return encode(np.concatenate(numbers), request.bits)

    def _newton(self, rounds: Rounds, V: Floats, penalty: Floats) -> tuple[Floats, int, bool]:
        """Steps of (C·H + P)⁻¹(C·g + P·v); halved where the loss has grown, and judged afresh where a party was lost."""
        C, tol = self._estimator.C, self._estimator.tol
        best, accepted, behind = np.inf, V, 0
        for number in range(1, self._estimator.max_iter + 1):
            total = self.round(rounds, V)
            objective = C * total.loss + float((penalty * V**2).sum()) / 2
            if rounds.rows == behind and objective > best + OVERSHOT * abs(best):
                V = (V + accepted) / 2
                continue
            best, accepted, behind = objective, V, rounds.rows
            curvature = C * total.hessian + np.diag(np.tile(penalty, len(V)))
            slope = C * total.gradient + penalty * V
            step = solve_normal(curvature, slope.ravel())[0].reshape(V.shape)
            if len(V) > 1 and self._estimator.fit_intercept:
                step[:, -1] -= step[:, -1].mean()  # intercepts count up to a common shift: their mean stays 0
            V = V - step
            if np.abs(step).max() <= tol * max(1.0, float(np.abs(V).max())):
                return V, number, True
        return accepted, self._estimator.max_iter, False

    def round(self, rounds: Rounds, V: Floats) -> Derivatives:
        """Return the sums over all parties' rows at weights V."""
        bits, upper = rounds.scale_bits(), np.triu_indices(V.size)
        length = 1 + V.size + len(upper[0])
        total = rounds.sum(Request.of(DERIVATIVES, length=length, bits=bits, state=V))
        numbers = np.ldexp(total.astype(np.float64), -bits)
        hessian = np.zeros((V.size, V.size))
        hessian[upper] = numbers[1 + V.size :]
        hessian = hessian + np.triu(hessian, 1).T
        return Derivatives(
            loss=float(numbers[0]) * _reach(V), gradient=numbers[1 : 1 + V.size].reshape(V.shape), hessian=hessian
        )


def _reach(V: Floats) -> float:
    """The largest loss that one row can have at weights V."""
    return float(np.abs(V).sum(axis=1).max()) * 2 + float(np.log(len(V) + 1))


def derivatives(U: Floats, labels: npt.NDArray[np.intp], V: Floats) -> Derivatives:
    """Return one party's part, in plain."""
    probabilities, logarithms = softmax(U @ V.T)
    loss = -float(logarithms[np.arange(len(U)), labels].sum())
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(U)), labels] = 1
    if len(V) == 1:
        p = probabilities[:, 1]
        return Derivatives(loss=loss, gradient=((p - truth[:, 1]) @ U)[np.newaxis], hessian=(U.T * (p * (1 - p))) @ U)
    scores, width = V.shape
    hessian = np.empty((scores, width, scores, width))
    for a in range(scores):
        for b in range(scores):
            weight = probabilities[:, a] * (float(a == b) - probabilities[:, b])
            hessian[a, :, b, :] = (U.T * weight) @ U
    return Derivatives(loss=loss, gradient=(probabilities - truth).T @ U, hessian=hessian.reshape(V.size, V.size))


def softmax(scores: Floats) -> tuple[Floats, Floats]:
    """Return probabilities and their logarithms, (rows, classes); one column of scores is the second class's against 0."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    shifted = scores - scores.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.exp(logarithms), logarithms
