"""Models as tables: one line per coefficient, as a product carries them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandbox.learn.steps import KMeansModel, LinearModel, LogisticModel, Model, PCAModel, ScalerModel
from sandbox.model.expression import Literal
from sandbox.model.fit import PCA, FitSpec, KMeans, Linear, Logistic, Ridge

INTERCEPT = "(intercept)"
"""The term of an intercept: no column of a table can be called so in a question."""


def model_columns(spec: FitSpec, model: Model) -> dict[str, list[Any]]:
    """Return the columns of `spec.columns`, as plain values. terms are features; clusters and components count from 0."""
    rows: list[tuple[Any, ...]]
    match model:
        case LinearModel():
            rows = [*zip(spec.features, model.coef.tolist(), strict=True), (INTERCEPT, model.intercept)]
        case LogisticModel():
            labels = class_labels(spec)[-len(model.coef) :]
            rows = [
                (label, term, value)
                for label, weights, intercept in zip(labels, model.coef.tolist(), model.intercept.tolist(), strict=True)
                for term, value in zip((*spec.features, INTERCEPT), (*weights, intercept), strict=True)
            ]
        case KMeansModel():
            rows = [
                (cluster, term, value, model.inertia)
                for cluster, centre in enumerate(model.centres.tolist())
                for term, value in zip(spec.features, centre, strict=True)
            ]
        case PCAModel():
            shares = np.stack([model.explained_variance, model.explained_variance_ratio, model.singular_values], axis=1)
            rows = [
                (component, term, loading, mean, *shares[component].tolist())
                for component, loadings in enumerate(model.components.tolist())
                for term, loading, mean in zip(spec.features, loadings, model.mean.tolist(), strict=True)
            ]
        case ScalerModel():
            columns = (model.mean.tolist(), model.variance.tolist(), model.scale.tolist())
            rows = list(zip(spec.features, *columns, strict=True))
    return {name: [row[at] for row in rows] for at, name in enumerate(spec.columns)}


def model_of(spec: FitSpec, columns: dict[str, list[Any]], *, rows: int, rounds: int, converged: bool) -> Model:
    """Return the model that `model_columns` has written. rows, rounds: behind the model, as its record says."""
    width = len(spec.features)

    def numbers(name: str, *shape: int) -> Any:
        return np.array(columns[name], dtype=np.float64).reshape(shape or -1)

    match spec.estimator:
        case Linear() | Ridge():
            values = numbers("coefficient")
            return LinearModel(coef=values[:-1], intercept=float(values[-1]))
        case Logistic():
            weights = numbers("coefficient", -1, width + 1)
            return LogisticModel(coef=weights[:, :-1], intercept=weights[:, -1], rounds=rounds, converged=converged)
        case KMeans():
            inertia = float(columns["inertia"][0])
            return KMeansModel(centres=numbers("centre", -1, width), inertia=inertia, rounds=rounds, converged=converged)
        case PCA():
            each = slice(None, None, width)
            return PCAModel(
                components=numbers("loading", -1, width),
                explained_variance=numbers("explained_variance")[each],
                explained_variance_ratio=numbers("explained_variance_ratio")[each],
                singular_values=numbers("singular_value")[each],
                mean=numbers("mean")[:width],
            )
        case _:
            return ScalerModel(rows=rows, mean=numbers("mean"), variance=numbers("variance"), scale=numbers("scale"))


def class_labels(spec: FitSpec) -> Sequence[Any]:
    """Return the declared classes as plain values, in order."""
    return [_plain(label) for label in spec.classes]


def _plain(label: Literal) -> Any:
    if label.type == "boolean":
        return label.value == "true"
    return int(label.value) if label.type == "integer" else label.value
