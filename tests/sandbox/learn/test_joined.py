"""Least squares over an encrypted join equals least squares on the pooled rows: coefficients, errors, fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from support import agencies

import sandbox
from sandbox.embedded import Embedded
from sandbox.errors import QuestionError, UsageError, Withheld
from sandbox.learn import JoinedLinearRegression

TABLES = "registry.people p JOIN lab.tests t ON t.id = p.id"
ROWS = 160


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    """People with age and weight; tests with a dose and a value, some missing, one in five people tested twice."""
    draw = np.random.default_rng(11)
    people = pd.DataFrame({"id": range(ROWS), "age": draw.integers(20, 80, ROWS), "weight": draw.normal(70, 9, ROWS).round(1)})
    people.loc[draw.choice(ROWS, 12, replace=False), "weight"] = None
    ids = [*range(5, ROWS), *range(5, ROWS, 5)]
    dose = draw.uniform(0, 4, len(ids)).round(2)
    of = people.set_index("id").loc[ids]
    value = 5 + 0.3 * of["age"].to_numpy() + 0.5 * of["weight"].fillna(70).to_numpy() - 2 * dose + draw.normal(0, 4, len(ids))
    tests = pd.DataFrame({"id": ids, "dose": dose, "value": value.round(3)})
    tests.loc[draw.choice(len(ids), 15, replace=False), "value"] = None
    return people, tests


def pooled() -> pd.DataFrame:
    """The joined rows in which every column has a value, at the declared scales: multiples of 1/10, 1/100 and 1/1000."""
    people, tests = frames()
    return people.merge(tests, on="id").dropna()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    people, tests = frames()
    tables = {
        "registry": {
            "people": agencies.people_table(
                people, bounds={"age": (0, 120), "weight": (0, 200)}, scales={"weight": 10}, codes={}
            )
        },
        "lab": {
            "tests": agencies.lab_table(tests, bounds={"dose": (0, 5), "value": (0, 200)}, scales={"dose": 100, "value": 1000})
        },
    }
    with agencies.make(tmp_path_factory.mktemp("joined") / "w", tables) as made:
        yield made


def model(network: Embedded, **changes: Any) -> JoinedLinearRegression:
    fields: dict[str, Any] = {
        "tables": TABLES,
        "features": ["p.age", "p.weight", "t.dose"],
        "target": "t.value",
        "purpose": agencies.PURPOSE,
        "options": {"key_bits": 512},
    }
    return JoinedLinearRegression(network, **(fields | changes))


def design() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rows = pooled()
    return rows[["age", "weight", "dose"]].to_numpy(dtype=float), rows["value"].to_numpy()


def test_least_squares_with_standard_errors(network: Embedded, tmp_path: Path) -> None:
    fitted = model(network).fit()
    X, y = design()
    full = np.column_stack((np.ones(len(X)), X))
    inverse = np.linalg.inv(full.T @ full)
    beta = inverse @ full.T @ y
    residual = y - full @ beta
    variance = residual @ residual / (len(y) - 4)
    errors = np.sqrt(np.diag(inverse) * variance)
    assert fitted.n_rows_ == len(y)
    assert fitted.degrees_of_freedom_ == pytest.approx(len(y) - 4, rel=1e-12)
    assert [fitted.intercept_, *fitted.coef_] == pytest.approx(beta, rel=1e-9)
    assert [fitted.intercept_standard_error_, *fitted.coef_standard_errors_] == pytest.approx(errors, rel=1e-9)
    assert fitted.residual_variance_ == pytest.approx(variance, rel=1e-9)
    assert fitted.r2_ == pytest.approx(LinearRegression().fit(X, y).score(X, y), rel=1e-9)
    assert fitted.predict(X) == pytest.approx(full @ beta, rel=1e-9)
    assert fitted.score(X, y) == pytest.approx(fitted.r2_, rel=1e-9)
    assert fitted.product_.withheld == ()
    sandbox.verify(fitted.product_.bundle(tmp_path / "bundle"), trust=network.write_trust(tmp_path / "trust.toml"))


def test_ridge_is_scikit_learns(network: Embedded) -> None:
    fitted = model(network, alpha=250.0).fit()
    X, y = design()
    reference = Ridge(alpha=250.0, solver="cholesky").fit(X, y)
    assert fitted.coef_ == pytest.approx(reference.coef_, rel=1e-9)
    assert fitted.intercept_ == pytest.approx(reference.intercept_, rel=1e-9)
    centred = X - X.mean(axis=0)
    gram = centred.T @ centred
    inverse = np.linalg.inv(gram + 250.0 * np.eye(3))
    residual = y - reference.predict(X)
    variance = residual @ residual / (len(y) - 1 - np.trace(inverse @ gram))
    assert fitted.coef_standard_errors_ == pytest.approx(np.sqrt(variance * np.diag(inverse @ gram @ inverse)), rel=1e-9)


def test_a_fit_on_a_few_people_less_is_withheld_by_the_history(network: Embedded) -> None:
    model(network).fit()
    with pytest.raises(Withheld, match="could be released"):
        model(network, where="p.age >= 21").fit()


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"features": []}, UsageError, "table.column"),
        ({"features": ["t.value"]}, UsageError, "different columns"),
        ({"features": ["p.age) AS x, (p.weight"]}, UsageError, "table.column"),
        ({"features": ["p.id"]}, QuestionError, "key"),
        ({"alpha": -1.0}, UsageError, "alpha"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    network: Embedded, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        model(network, **changes).fit()


def test_rows_are_never_taken_here(network: Embedded) -> None:
    with pytest.raises(UsageError, match="lie at their providers"):
        model(network).fit(np.zeros((3, 3)), np.zeros(3))
