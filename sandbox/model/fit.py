"""Fit: which model is fitted on which columns of a federated table, by which rules, and the record of how it came about."""

from __future__ import annotations

import math
from typing import get_args

from sandbox.errors import DocumentError, UsageError
from sandbox.model.canonical import Document, digest
from sandbox.model.decision import Finding
from sandbox.model.expression import Literal

SMALLEST_PARTIES = 3
MAX_ROUNDS = 200
MAX_CLUSTERS = 1000


class Linear(Document, frozen=True, kw_only=True, tag_field="kind", tag="linear"):
    """Ordinary least squares, as `sklearn.linear_model.LinearRegression`."""

    fit_intercept: bool = True


class Ridge(Document, frozen=True, kw_only=True, tag_field="kind", tag="ridge"):
    """Ridge regression, as `sklearn.linear_model.Ridge`. alpha: the penalty."""

    alpha: float = 1.0
    fit_intercept: bool = True

    def __post_init__(self) -> None:
        _require(0 <= self.alpha < math.inf, "alpha", "a number of 0 or more")


class Logistic(Document, frozen=True, kw_only=True, tag_field="kind", tag="logistic"):
    """Logistic regression with an L2 penalty. C: its inverse. tol: largest last step, in units of the bounds."""

    C: float = 1.0
    tol: float = 1e-7
    max_iter: int = 50
    fit_intercept: bool = True

    def __post_init__(self) -> None:
        _require(0 < self.C < math.inf, "C", "a number above 0")
        _require(0 <= self.tol < math.inf, "tol", "a number of 0 or more")
        _require(1 <= self.max_iter <= MAX_ROUNDS, "max_iter", f"1 to {MAX_ROUNDS} rounds")


class KMeans(Document, frozen=True, kw_only=True, tag_field="kind", tag="kmeans"):
    """k-means by Lloyd's algorithm. init: public first centres; else drawn by random_state from mean and covariance."""

    n_clusters: int = 8
    init: tuple[tuple[float, ...], ...] | None = None
    tol: float = 1e-4
    max_iter: int = 100
    random_state: int = 0

    def __post_init__(self) -> None:
        _require(1 <= self.n_clusters <= MAX_CLUSTERS, "n_clusters", f"1 to {MAX_CLUSTERS}")
        _require(0 <= self.tol < math.inf, "tol", "a number of 0 or more")
        _require(1 <= self.max_iter <= MAX_ROUNDS, "max_iter", f"1 to {MAX_ROUNDS} rounds")
        _require(0 <= self.random_state < 1 << 32, "random_state", "a whole number from 0 to 2^32 − 1")
        if self.init is not None:
            alike = len(self.init) == self.n_clusters and len({len(centre) for centre in self.init}) == 1
            finite = all(math.isfinite(number) for centre in self.init for number in centre)
            _require(alike and finite, "init", f"{self.n_clusters} centres, each of one finite number per feature")


class PCA(Document, frozen=True, kw_only=True, tag_field="kind", tag="pca"):
    """Principal components. n_components: how many; all unless given."""

    n_components: int | None = None

    def __post_init__(self) -> None:
        _require(self.n_components is None or self.n_components >= 1, "n_components", "1 or more")


class Scaler(Document, frozen=True, kw_only=True, tag_field="kind", tag="scaler"):
    """Means and variances, as `sklearn.preprocessing.StandardScaler`."""


Estimator = Linear | Ridge | Logistic | KMeans | PCA | Scaler
KINDS: dict[str, type[Estimator]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Estimator)}
WITH_TARGET = (Linear, Ridge, Logistic)


class FitQuestion(Document, frozen=True, kw_only=True):
    """A model as it is asked for. table: a federated one. where: conditions as in SQL, local to each row; empty for none."""

    estimator: Estimator
    table: str
    features: tuple[str, ...]
    target: str | None = None
    where: str = ""


class FitSpec(Document, frozen=True, kw_only=True):
    """A model of a plan. classes: every label that the target of a classifier can have, public, in order; none for others.

    The plan's inputs hold the columns: measures are the features, then a number that is the target; a target of classes
    is the one local group.
    """

    estimator: Estimator
    features: tuple[str, ...]
    target: str | None = None
    classes: tuple[Literal, ...] = ()

    @property
    def kind(self) -> str:
        """`linear`, `ridge`, `logistic`, `kmeans`, `pca` or `scaler`."""
        return str(self.estimator.__struct_config__.tag)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the fitted model as a table: one line per coefficient."""
        return _COLUMNS[type(self.estimator)]


_COLUMNS: dict[type[Estimator], tuple[str, ...]] = {
    Linear: ("term", "coefficient"),
    Ridge: ("term", "coefficient"),
    Logistic: ("class", "term", "coefficient"),
    KMeans: ("cluster", "term", "centre", "inertia"),
    PCA: ("component", "term", "loading", "mean", "explained_variance", "explained_variance_ratio", "singular_value"),
    Scaler: ("term", "mean", "variance", "scale"),
}


class ModelRules(Document, frozen=True, kw_only=True):
    """When a model may be fitted and leave.

    min_rows: rows of each party, behind each round and behind each cluster or class. min_parties: parties left in every
    round, at least 3, since n − 1 parties can subtract themselves. min_degrees_of_freedom: rows minus fitted coefficients.
    """

    min_rows: int = 10
    min_parties: int = SMALLEST_PARTIES
    min_degrees_of_freedom: int = 10

    def __post_init__(self) -> None:
        if self.min_parties < SMALLEST_PARTIES:
            raise UsageError(f"min_parties: at least {SMALLEST_PARTIES}; with two, each sees the other's statistics")
        if self.min_rows < 1 or self.min_degrees_of_freedom < 0:
            raise UsageError("min_rows is 1 or more, min_degrees_of_freedom 0 or more")


class Round(Document, frozen=True, kw_only=True):
    """One secure sum. statistic: what was summed. length: numbers in the vector.

    rows: behind the sum; None where that number beside another round's would tell how many rows few parties have.
    session: of its frames, hex, where nodes played it.
    """

    number: int
    statistic: str
    length: int
    parties: tuple[str, ...]
    survivors: tuple[str, ...]
    rows: int | None
    session: str = ""


class ModelRecord(Document, frozen=True, kw_only=True):
    """How a model came about: what was asked for, every round, every finding. Holds no statistic and no coefficient.

    converged: the last round met the tolerance, where there is one. notes: what a reader of the numbers should know.
    """

    estimator: str
    parameters: str
    rules: ModelRules
    bounds: str
    rounds: tuple[Round, ...]
    findings: tuple[Finding, ...]
    converged: bool = True
    notes: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return `sha256:<hex>` over the record's canonical bytes."""
        return digest(self)


def _require(holds: bool, field: str, what: str) -> None:
    if not holds:
        raise DocumentError(f"{field} is {what}")
