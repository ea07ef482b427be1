"""Fitted through secure sums, equal to scikit-learn on the pooled rows; parties that drop out leave the fit of the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import optimize

pytest.importorskip("sklearn", reason="the extra `learn` is not installed")
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sandbox
from sandbox.learn.parts import CoarseNumbersWarning, DataBoundsWarning
from sandbox.learn.steps import LogisticFit

pytestmark = pytest.mark.filterwarnings("ignore::sandbox.learn.parts.DataBoundsWarning")
learn = sandbox.learn
TOLERANCE = 1e-6
"""Of the largest coefficient: numbers are rounded to about 2^-25 of their bound before they are summed."""

LENIENT = learn.ModelRules(min_rows=1, min_degrees_of_freedom=0)
LATE: dict[int, dict[str, Any]] = {1: {"p2": "share"}, 2: {"p5": "masked_input"}}
"""p2 is lost before its numbers count in round 1; p5 after round 2, in which they still do."""

Array = npt.NDArray[np.float64]


def data(load: Callable[..., tuple[Array, Array]]) -> tuple[Array, Array]:
    """A data set of scikit-learn in a fixed random order, so that parts hold every class."""
    X, y = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(X))
    return X[order], y[order]


def close(ours: Any, theirs: Any, tolerance: float = TOLERANCE) -> None:
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1e-12, float(np.abs(theirs).max())))


def without(X: Array, y: Array, *lost: int, parties: int = 6) -> tuple[Array, Array]:
    """The pooled rows of the parties that are left."""
    kept = [rows for index, rows in enumerate(np.array_split(np.arange(len(X)), parties), start=1) if index not in lost]
    return X[np.concatenate(kept)], y[np.concatenate(kept)]


@pytest.mark.parametrize("load", [load_diabetes, load_wine, load_breast_cancer], ids=["diabetes", "wine", "cancer"])
@pytest.mark.parametrize("intercept", [True, False])
def test_ridge_and_least_squares(load: Any, intercept: bool) -> None:
    X, y = data(load)
    for alpha in (0.1, 10.0):
        ours = learn.SecureRidge(alpha=alpha, fit_intercept=intercept).fit(X, y)
        theirs = Ridge(alpha=alpha, fit_intercept=intercept, solver="cholesky").fit(X, y)
        close(ours.coef_, theirs.coef_, 1e-5)
        close(ours.predict(X), theirs.predict(X))
    ours = learn.SecureLinearRegression(fit_intercept=intercept).fit(X, y)
    # scikit-learn 1.8 and later leaves out one direction of the cancer data (tol=1e-6), so numpy is the oracle there.
    design = np.column_stack([X, np.ones(len(X))]) if intercept else X
    solved = np.linalg.lstsq(design, y, rcond=None)[0]
    close(ours.coef_, solved[: X.shape[1]], 1e-5)
    close(ours.predict(X), design @ solved, 1e-5)
    if load is not load_breast_cancer:
        close(ours.predict(X), LinearRegression(fit_intercept=intercept).fit(X, y).predict(X), 1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(40, 120),
    width=st.integers(1, 6),
    parties=st.integers(3, 5),
    shift=st.sampled_from([0.0, 1e3, -1e6]),
    seed=st.integers(0, 10**6),
)
def test_least_squares_far_from_zero_loses_nothing(rows: int, width: int, parties: int, shift: float, seed: int) -> None:
    """Centred in integers: a mean of a million spreads costs the rounding of the inputs, not the difference of sums."""
    source = np.random.default_rng(seed)
    X = source.normal(size=(rows, width)) + shift
    y = X @ source.normal(size=width) + source.normal(size=rows)
    ours = learn.SecureRidge(alpha=1.0, parties=parties, rules=LENIENT).fit(X, y)
    theirs = Ridge(alpha=1.0).fit(X, y)
    rounding = 2.0**-24 * max(1.0, abs(shift)) * 20
    close(ours.coef_, theirs.coef_, TOLERANCE + rounding)


@pytest.mark.parametrize("rows", [300, 200_000])
@pytest.mark.parametrize("intercept", [True, False])
def test_columns_that_follow_from_others_get_the_coefficients_of_least_norm(rows: int, intercept: bool) -> None:
    """As scikit-learn; the more rows, the fewer bits, so that rounding alone tells dependent columns apart."""
    source = np.random.default_rng(rows)
    free = source.normal(size=(rows, 3))
    X = np.column_stack([free, free[:, 0] * 3 + free[:, 1] / 7, free[:, 2] / 3, np.full(rows, 7.0)])
    y = free @ [1.0, -2.0, 3.0] + 5 + source.normal(size=rows)
    ours = learn.SecureLinearRegression(fit_intercept=intercept).fit(X, y)
    theirs = LinearRegression(fit_intercept=intercept).fit(X, y)
    close(ours.coef_, theirs.coef_)
    close(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
def test_ridge_divides_an_effect_among_columns_that_are_one(alpha: float) -> None:
    """The same column in other units: the penalty alone decides between them, and is not weighed against rounding."""
    source = np.random.default_rng(2)
    a, b = source.normal(50, 10, 320).round(3), source.normal(size=320)
    X = np.column_stack([a, a * 1000, b])
    y = 2 * a + b + source.normal(size=320)
    ours = learn.SecureRidge(alpha=alpha).fit(X, y)
    theirs = Ridge(alpha=alpha, solver="svd").fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-4 * theirs.coef_[1])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    powers=st.lists(st.integers(-10, 10), min_size=1, max_size=4),
    alpha=st.sampled_from([1e-3, 1.0, 1e6]),
    seed=st.integers(0, 10**6),
)
def test_penalties_of_very_different_weight_keep_every_column(powers: list[int], alpha: float, seed: int) -> None:
    """Columns from 1e-10 to 1e10: a penalty that is huge for one is nothing for another, and neither may hide it."""
    source = np.random.default_rng(seed)
    size = 10.0 ** np.array(powers)
    X = source.normal(size=(60, len(powers))) * size
    y = source.normal(size=60) + (X / size).sum(axis=1)
    ours = learn.SecureRidge(alpha=alpha, parties=3, rules=LENIENT).fit(X, y)
    # In columns of size 1 the penalty of each is alpha / size², and the system can be solved by anyone.
    Z = (X - X.mean(axis=0)) / size
    root = np.sqrt(np.diag(Z.T @ Z) + alpha / size**2)
    solved = np.linalg.solve((Z.T @ Z + np.diag(alpha / size**2)) / np.outer(root, root), Z.T @ (y - y.mean()) / root) / root
    np.testing.assert_allclose(ours.coef_ * size, solved, rtol=1e-4, atol=1e-6 * np.abs(solved).max())


def test_an_intercept_beside_tiny_columns_is_that_of_the_shares() -> None:
    """Coefficients of tiny columns are held at zero by the penalty; the intercepts are free, and tell the classes' shares."""
    X = np.random.default_rng(0).normal(size=(300, 2)) * 1e-9
    counts = np.array([60, 90, 150])
    labels = np.repeat([0, 1, 2], counts)[np.random.default_rng(1).permutation(300)]
    one = learn.SecureLogisticRegression().fit(X, labels > 0)
    close(one.intercept_, [np.log(240 / 60)])
    three = learn.SecureLogisticRegression().fit(X, labels)
    close(three.intercept_, np.log(counts) - np.log(counts).mean())


@pytest.mark.parametrize(("load", "C"), [(load_breast_cancer, 1.0), (load_iris, 1.0), (load_iris, 100.0)])
@pytest.mark.parametrize("intercept", [True, False])
def test_logistic_regression(load: Any, C: float, intercept: bool) -> None:
    X, y = data(load)
    ours = learn.SecureLogisticRegression(C=C, fit_intercept=intercept).fit(X, y)
    theirs = LogisticRegression(C=C, fit_intercept=intercept, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X, y)
    close(ours.coef_, theirs.coef_)
    close(ours.intercept_ - ours.intercept_.mean(), theirs.intercept_ - theirs.intercept_.mean())
    close(ours.predict_proba(X), theirs.predict_proba(X))
    close(ours.predict_log_proba(X), theirs.predict_log_proba(X))
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.n_iter_ <= 15


def test_logistic_regression_of_words_and_declared_classes() -> None:
    X, y = data(load_iris)
    words = np.array(["a", "b", "c"])[y.astype(int)]
    ours = learn.SecureLogisticRegression(classes=["c", "a", "b"]).fit(X, words)
    assert list(ours.classes_) == ["a", "b", "c"]
    assert ours.score(X, words) == LogisticRegression(tol=1e-10, max_iter=1000).fit(X, words).score(X, words)
    with pytest.raises(sandbox.errors.UsageError, match="does not name"):
        learn.SecureLogisticRegression(classes=["a", "b"]).fit(X, words)
    with pytest.raises(sandbox.Withheld, match="each of 4 classes has at least 10 rows"):
        learn.SecureLogisticRegression(classes=["a", "b", "c", "d"]).fit(X, words)


def test_a_step_that_overshoots_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight rows with heavy tails, on which plain Newton steps take the loss from 0.25 to 4.3 (found by search)."""
    source = np.random.default_rng(363)
    rows, width = source.integers(6, 40), source.integers(1, 4)
    X = source.standard_cauchy(size=(rows, width)) * 10.0 ** source.integers(0, 3)
    y = source.integers(0, 2, rows)
    losses: list[float] = []
    real = LogisticFit.round

    def spy(self: Any, *arguments: Any) -> Any:
        total = real(self, *arguments)
        losses.append(total.loss)
        return total

    monkeypatch.setattr(LogisticFit, "round", spy)
    ours = learn.SecureLogisticRegression(C=1e4, max_iter=200, parties=3, rules=LENIENT).fit(X, y)
    assert (np.diff(losses) > 0.1).any(), "no step overshot, so that this test shows nothing"

    def objective(w: Array) -> float:
        scores = X @ w[:-1] + w[-1]
        return float(1e4 * (np.logaddexp(0, scores).sum() - y @ scores) + w[:-1] @ w[:-1] / 2)

    fitted = np.append(ours.coef_[0], ours.intercept_)
    best = optimize.minimize(objective, fitted, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 5000})
    assert objective(fitted) <= best.fun * (1 + 1e-6)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_k_means_from_the_same_centres(load: Any) -> None:
    X, _ = data(load)
    init = X[[3, 70, 120]]
    ours = learn.SecureKMeans(3, init=init, rules=LENIENT).fit(X)
    theirs = KMeans(3, init=init, n_init=1, tol=1e-4).fit(X)
    close(ours.cluster_centers_, theirs.cluster_centers_)
    assert (ours.predict(X) == theirs.labels_).all()
    assert ours.n_iter_ == theirs.n_iter_
    assert not hasattr(ours, "labels_")


def test_k_means_draws_its_first_centres_from_the_moments() -> None:
    X, _ = data(load_iris)
    fits = [learn.SecureKMeans(3, random_state=seed).fit(X) for seed in (0, 0, 1)]
    assert np.array_equal(fits[0].cluster_centers_, fits[1].cluster_centers_)
    assert not np.array_equal(fits[0].cluster_centers_, fits[2].cluster_centers_)
    assert min(fit.inertia_ for fit in fits) < 160 < learn.SecureKMeans(1).fit(X).inertia_


@pytest.mark.parametrize("seed", range(3))
def test_k_means_leaves_no_drawn_centre_without_rows(seed: int) -> None:
    """These seeds draw a centre that no flower is nearest to: left there, it would cost a cluster."""
    X, _ = data(load_iris)
    fit = learn.SecureKMeans(3, random_state=seed).fit(X)
    assert np.bincount(fit.predict(X), minlength=3).min() >= 10
    assert fit.inertia_ == pytest.approx(KMeans(3, n_init=10, random_state=0).fit(X).inertia_, rel=1e-3)


def test_more_clusters_than_the_rows_bear_end_all_the_same() -> None:
    fit = learn.SecureKMeans(20, random_state=0, bounds=8).fit(data(load_iris)[0])
    assert fit.n_iter_ < 100


def test_a_centre_moves_only_on_enough_rows() -> None:
    """Nine rows far away: with a threshold of ten their centre stays where the start was, which no data moved."""
    source = np.random.default_rng(2)
    X = np.concatenate([source.normal(0, 1, size=(91, 2)), source.normal(50, 1, size=(9, 2))])[source.permutation(100)]
    start = np.array([[0.0, 0.0], [40.0, 40.0]])
    assert (learn.SecureKMeans(2, init=start).fit(X).cluster_centers_[1] == start[1]).all()
    moved = learn.SecureKMeans(2, init=start, rules=learn.ModelRules(min_rows=9)).fit(X).cluster_centers_[1]
    close(moved, X[X[:, 0] > 25].mean(axis=0))


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_pca_and_scaling(load: Any) -> None:
    X, _ = data(load)
    ours, theirs = learn.SecurePCA(3).fit(X), PCA(3, svd_solver="full").fit(X)
    close(np.abs(ours.components_ @ theirs.components_.T), np.eye(3), 1e-5)
    for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
        close(getattr(ours, name), getattr(theirs, name))
    close(ours.inverse_transform(ours.transform(X)), theirs.inverse_transform(theirs.transform(X)), 1e-5)
    scaler, other = learn.SecureStandardScaler().fit(X), StandardScaler().fit(X)
    for name in ("mean_", "var_", "scale_"):
        close(getattr(scaler, name), getattr(other, name))
    close(scaler.inverse_transform(scaler.transform(X)), X)
    assert scaler.n_samples_seen_ == len(X)


def test_a_constant_column_scales_by_one() -> None:
    X = np.column_stack([np.full(60, 0.1), np.arange(60)])
    scaler = learn.SecureStandardScaler(parties=3).fit(X)
    assert scaler.scale_[0] == 1
    assert scaler.var_[0] == 0


def test_parties_that_drop_out_leave_the_fit_of_the_others() -> None:
    """The statistic of round 1 stands without p2; p5 counts in round 2 for the last time."""
    X, y = data(load_diabetes)
    ours = learn.SecureRidge(parties=6, dropped_after=LATE).fit(X, y)
    close(ours.coef_, Ridge().fit(*without(X, y, 2)).coef_, 1e-5)
    assert [len(item.survivors) for item in ours.record_.rounds] == [6, 5]
    assert ours.record_.rounds[1].rows == len(without(X, y, 2)[0])
    scaler = learn.SecureStandardScaler(parties=6, dropped_after={1: {"p1": "advertise"}}).fit(X)
    close(scaler.mean_ * 1e3, StandardScaler().fit(without(X, y, 1)[0]).mean_ * 1e3)


def test_parties_that_drop_out_of_an_iteration_leave_the_optimum_of_the_others() -> None:
    X, y = data(load_breast_cancer)
    ours = learn.SecureLogisticRegression(parties=6, dropped_after=LATE).fit(X, y)
    theirs = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=500).fit(*without(X, y, 2, 5))
    close(ours.coef_, theirs.coef_)
    assert [len(item.survivors) for item in ours.record_.rounds[:5]] == [6, 5, 5, 4, 4]
    X, y = data(load_iris)
    init = X[[3, 70, 120]]
    clusters = learn.SecureKMeans(3, init=init, parties=6, dropped_after=LATE, tol=0).fit(X)
    left = without(X, y, 2, 5)[0]
    close(clusters.cluster_centers_, KMeans(3, init=clusters.cluster_centers_, n_init=1).fit(left).cluster_centers_)


def test_parts_of_their_own_give_what_the_pooled_rows_give() -> None:
    X, y = data(load_diabetes)
    cuts = [50, 75, 200, 300]
    parts = list(zip(np.split(X, cuts), np.split(y, cuts), strict=True))
    close(learn.SecureRidge().fit_parts(parts).coef_, Ridge().fit(X, y).coef_)
    pca = learn.SecurePCA(2).fit_parts(np.split(X, cuts))
    close(pca.explained_variance_, PCA(2).fit(X).explained_variance_)
    frames = [(pytest.importorskip("pandas").DataFrame(part, columns=list("abcdefghij")), target) for part, target in parts]
    named = learn.SecureRidge().fit_parts(frames)
    assert list(named.feature_names_in_) == list("abcdefghij")
    close(named.predict(frames[0][0]), Ridge().fit(X, y).predict(X[:50]))


def test_estimators_stand_in_a_pipeline() -> None:
    X, y = data(load_breast_cancer)
    ours = make_pipeline(learn.SecureStandardScaler(), learn.SecurePCA(5), learn.SecureLogisticRegression()).fit(X, y)
    theirs = make_pipeline(StandardScaler(), PCA(5), LogisticRegression(tol=1e-8)).fit(X, y)
    close(ours.predict_proba(X), theirs.predict_proba(X), 1e-4)


ESTIMATORS = [
    learn.SecureLinearRegression,
    learn.SecureRidge,
    learn.SecureLogisticRegression,
    learn.SecureKMeans,
    learn.SecurePCA,
    learn.SecureStandardScaler,
]


def test_clusters_are_scored_named_and_searched_as_scikit_learn_s() -> None:
    X, _ = data(load_iris)
    ours = learn.SecureKMeans(3, init=X[[0, 60, 120]]).fit(X)
    theirs = KMeans(3, init=X[[0, 60, 120]], n_init=1).fit(X)
    close(ours.score(X), theirs.score(X))
    frame = pd.DataFrame(X, columns=[*"abcd"])
    named = clone(ours).set_output(transform="pandas").fit(frame)
    assert (
        list(named.transform(frame).columns) == list(named.get_feature_names_out()) == [f"securekmeans{at}" for at in range(3)]
    )
    search = GridSearchCV(learn.SecureKMeans(random_state=0, parties=3), {"n_clusters": [1, 3]}, cv=2).fit(X)
    assert search.best_params_ == {"n_clusters": 3}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_scikit_learn_s_own_contract(estimator: type[BaseEstimator], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that scikit-learn asks of estimators, with sums in plain, since it fits a few hundred times."""
    monkeypatch.setattr("sandbox.learn.rounds.secure_sum", lambda vectors, *_: (sum(vectors.values()), tuple(vectors)))
    expected = {"check_clustering": "no label of a row is kept"} if estimator is learn.SecureKMeans else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            estimator(parties=3, rules=LENIENT), on_fail="raise", on_skip=None, expected_failed_checks=expected
        )
    assert sum(result["status"] == "passed" for result in results) >= 40
    assert {result["status"] for result in results} <= {"passed", "skipped", "xfail"}
    assert clone(estimator(parties=4)).get_params()["parties"] == 4


def test_bounds_from_the_data_are_said_and_declared_ones_hold() -> None:
    X, y = data(load_diabetes)
    with pytest.warns(DataBoundsWarning, match="no bounds were declared for X"):
        fitted = learn.SecureRidge().fit(X, y)
    assert fitted.record_.bounds == "from the data"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = learn.SecureRidge(bounds=0.25, target_bound=400).fit(X, y)
    assert fitted.record_.bounds == "declared"
    close(fitted.coef_, Ridge().fit(X, y).coef_)


@pytest.mark.parametrize(("wide", "columns"), [(1e5, "0 "), (1e12, "0 ")])
def test_bounds_far_wider_than_the_data_are_said(wide: float, columns: str) -> None:
    X, y = data(load_diabetes)
    for estimator in (learn.SecureRidge(bounds=wide, target_bound=400), learn.SecureStandardScaler(bounds=wide)):
        with pytest.warns(CoarseNumbersWarning, match=f"few units of the encoding: {columns}"):
            estimator.fit(X, y)


def test_a_constant_column_under_tight_bounds_is_nothing_to_say() -> None:
    X = np.column_stack([np.full(60, 3.0), np.linspace(-1, 1, 60)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", CoarseNumbersWarning)
        learn.SecureStandardScaler(bounds=[3.0, 1.0]).fit(X)


def test_rows_beyond_declared_bounds_are_refused_or_clipped() -> None:
    X, y = data(load_diabetes)
    bounds = np.full(10, 0.11)
    with pytest.raises(sandbox.errors.UsageError, match=f"{int((abs(X) > 0.11).any(axis=1).sum())} rows exceed"):
        learn.SecureRidge(bounds=bounds, target_bound=400).fit(X, y)
    ours = learn.SecureRidge(bounds=bounds, target_bound=400, clip=True).fit(X, y)
    close(ours.coef_, Ridge().fit(X.clip(-0.11, 0.11), y).coef_)
    for bad in (0, -1, np.inf, np.nan, "wide", [1, 2]):
        with pytest.raises(sandbox.errors.UsageError, match="positive numbers"):
            learn.SecureRidge(bounds=bad).fit(X, y)
