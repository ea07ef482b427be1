"""Least squares over an encrypted join: each provider holds some of the columns of the same people, and none shows a row.

What is fitted from is one released product: COUNT(*), AVG, VAR_POP of every column and COVAR_POP of every two, over the joined
rows in which all columns have a value. The owners' terms, the grant and the gate judge it as they judge any question.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sandbox.errors import UsageError, Withheld

Floats = npt.NDArray[np.float64]
MIN_FREEDOM = 10
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*")


class Network(Protocol):
    """What asks a question, has it approved and runs it: `sandbox.Embedded`."""

    def explain(self, question: Any, /, *, purpose: str, **options: Any) -> Any:
        """Return the question's plan with what every owner's terms say of it."""

    def approve(self, plan: Any) -> Any:
        """Return a grant, signed by everyone concerned."""

    def run(self, plan: Any, *, grant: Any, **options: Any) -> Any:
        """Return the product that the gate released."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JoinedMoments:
    """Released moments of the columns, the target last: means (p + 1,), covariances (p + 1, p + 1) over n = rows."""

    rows: int
    means: Floats
    covariances: Floats


class JoinedLinearRegression(RegressorMixin, BaseEstimator):
    """Ordinary least squares, or ridge with `alpha` > 0 (as `sklearn.linear_model.Ridge`), over an encrypted join.

    network: `sandbox.Embedded`. tables: the FROM clause, as in `registry.people p JOIN lab.tests t ON t.id = p.id`. features,
    target: columns as `p.age`. where: further conditions of the question. purpose, profile, options: as `network.explain`.
    Rows that lack a value in any of the columns take no part (listwise deletion, by `IS NOT NULL` in WHERE).

    Attributes: coef_ (features,), intercept_, coef_standard_errors_, intercept_standard_error_, r2_, residual_variance_,
    degrees_of_freedom_, n_rows_, moments_, product_ (what the gate released, with its findings and evidence).
    """

    def __init__(
        self,
        network: Network,
        *,
        tables: str,
        features: Sequence[str],
        target: str,
        purpose: str,
        where: str | None = None,
        profile: str = "statistics-controlled",
        alpha: float = 0.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network
        self.tables = tables
        self.features = features
        self.target = target
        self.purpose = purpose
        self.where = where
        self.profile = profile
        self.alpha = alpha
        self.options = options

    def sql(self) -> str:
        """Return the question that `fit` asks. Raises UsageError for columns that are not named as `table.column`."""
        columns = self._columns()
        items = ["COUNT(*) AS n"]
        for number, name in enumerate(columns):
            items += [f"AVG({name}) AS mean_{number}", f"VAR_POP({name}) AS covariance_{number}_{number}"]
        for (first, one), (second, other) in itertools.combinations(enumerate(columns), 2):
            items.append(f"COVAR_POP({one}, {other}) AS covariance_{first}_{second}")
        conditions = [*([f"({self.where})"] if self.where else []), *(f"{name} IS NOT NULL" for name in columns)]
        # Not run anywhere: the text is a question, and the planner compiles it or refuses it.
        return f"SELECT {', '.join(items)} FROM {self.tables} WHERE {' AND '.join(conditions)}"  # noqa: S608

    def explain(self) -> Any:
        """Return the question's plan: who reads what, who learns what, what it costs, what the owners' terms say."""
        return self.network.explain(self.sql(), purpose=self.purpose, profile=self.profile, **(self.options or {}))

    def fit(self, X: None = None, y: None = None, *, grant: Any = None) -> Self:
        """Ask the question and solve the normal equations. X and y stay with their providers, so none is taken here.

        grant: an approval that stands already; otherwise everyone concerned is asked. Raises Denied, Withheld (a
        moment was withheld), UsageError (fewer than 10 rows beyond the coefficients), and what `network.run` raises.
        """
        if X is not None or y is not None:
            raise UsageError("the rows lie at their providers: name columns in features and target, and call fit()")
        if not self.alpha >= 0:
            raise UsageError("alpha must be 0 or more")
        plan = self.explain()
        self.product_ = self.network.run(plan, grant=self.network.approve(plan) if grant is None else grant)
        self.moments_ = _moments(self.product_, len(self._columns()))
        self._solve(self.moments_)
        self.n_features_in_ = len(self.features)
        return self

    def predict(self, X: Any) -> Floats:
        """Return predictions, (rows,), for X of (rows, features) in the order of `features`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        predictions: Floats = X @ self.coef_ + self.intercept_
        return predictions

    def _columns(self) -> list[str]:
        columns = [*self.features, self.target]
        wrong = [name for name in columns if not _COLUMN.fullmatch(name)]
        if wrong or not self.features or len({name.lower() for name in columns}) < len(columns):
            raise UsageError("features and target are different columns, each named as table.column: p.age")
        return columns

    def _solve(self, moments: JoinedMoments) -> None:
        """β = (n·S + α·I)⁻¹·n·s, in units of the columns' spreads.

        Cov β = σ²·M⁻¹·nS·M⁻¹ with M = n·S + α·I, σ² = RSS over n − 1 − tr(M⁻¹·nS); for α = 0 the textbook's.
        Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning (2009), sections 3.2 and 3.4.1.
        """
        rows, spreads = moments.rows, np.sqrt(np.diag(moments.covariances))
        if rows - len(spreads) < MIN_FREEDOM:
            raise UsageError(f"fewer than {MIN_FREEDOM} rows beyond the {len(spreads)} coefficients: ask of fewer columns")
        scaled = rows * moments.covariances / np.outer(spreads, spreads)
        products, against = scaled[:-1, :-1], scaled[:-1, -1]
        inverse = np.linalg.inv(products + np.diag(self.alpha / spreads[:-1] ** 2))
        solved = inverse @ against
        residual = max(0.0, float(rows - 2 * solved @ against + solved @ products @ solved))
        free = rows - 1 - float(np.trace(inverse @ products))
        variance = residual / free
        unit = spreads[-1] / spreads[:-1]
        self.coef_ = solved * unit
        self.coef_covariance_ = variance * (inverse @ products @ inverse) * np.outer(unit, unit)
        self.coef_standard_errors_ = np.sqrt(np.diag(self.coef_covariance_))
        means = moments.means[:-1]
        self.residual_variance_ = variance * float(spreads[-1]) ** 2
        self.intercept_ = float(moments.means[-1] - means @ self.coef_)
        self.intercept_standard_error_ = float(np.sqrt(self.residual_variance_ / rows + means @ self.coef_covariance_ @ means))
        self.r2_ = 1.0 - residual / rows
        self.degrees_of_freedom_ = free
        self.n_rows_ = rows


def _moments(product: Any, columns: int) -> JoinedMoments:
    """Read a product of one row. Raises Withheld if any of its numbers is."""
    (row,) = product.to_arrow().to_pylist()
    if any(value is None for value in row.values()):
        raise Withheld(tuple(product.findings))
    covariances = np.array(
        [[row[f"covariance_{min(i, j)}_{max(i, j)}"] for j in range(columns)] for i in range(columns)], dtype=np.float64
    )
    means = np.array([row[f"mean_{number}"] for number in range(columns)], dtype=np.float64)
    return JoinedMoments(rows=int(row["n"]), means=means, covariances=covariances)
