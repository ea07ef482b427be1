"""What the gate asks of a model, what a fit records, and that nothing is used before it was judged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the extra `learn` is not installed")
from sklearn.datasets import load_diabetes

import sandbox
from protocols.errors import ProtocolError
from sandbox.errors import UsageError
from sandbox.learn import rounds as module
from sandbox.model.canonical import canonical, parse
from sandbox.model.fit import ModelRecord

pytestmark = pytest.mark.filterwarnings("ignore::sandbox.learn.parts.DataBoundsWarning")
learn = sandbox.learn
X, Y = load_diabetes(return_X_y=True)
CANARY = 123456.789


def parts(*sizes: int) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    ends = np.cumsum(sizes)
    return [(X[end - size : end], Y[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of all vectors that a secure sum was asked for."""
    seen: list[int] = []
    real = module.secure_sum

    def spy(vectors: dict[str, Any], *rest: Any) -> Any:
        seen.append(len(next(iter(vectors.values()))))
        return real(vectors, *rest)

    monkeypatch.setattr(module, "secure_sum", spy)
    return seen


@pytest.mark.parametrize(
    ("rules", "sizes", "failing", "sums"),
    [
        ({}, (30, 30, 9), "model.party_rows", 0),
        ({"min_rows": 100}, (90, 110, 120), "model.party_rows", 0),
        ({"min_parties": 4}, (30, 30, 30), "model.minimum_parties", 1),
        ({"min_degrees_of_freedom": 80}, (30, 30, 30), "model.degrees_of_freedom", 1),
    ],
)
def test_a_model_that_breaks_a_rule_is_withheld_before_more_is_summed(
    rules: dict[str, int], sizes: tuple[int, ...], failing: str, sums: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied(monkeypatch)
    estimator = learn.SecureRidge(rules=learn.ModelRules(**rules))
    with pytest.raises(sandbox.Withheld) as caught:
        estimator.fit_parts(parts(*sizes))
    assert [finding.check for finding in caught.value.findings if finding.verdict == "fail"] == [failing]
    assert len(seen) == sums
    assert not hasattr(estimator, "coef_")


def test_the_smallest_that_is_allowed_passes() -> None:
    rules = learn.ModelRules(min_rows=30, min_parties=3, min_degrees_of_freedom=79)
    assert learn.SecureRidge(rules=rules).fit_parts(parts(30, 30, 30)).record_.rounds[1].rows == 90


def test_losing_parties_below_the_minimum_withholds_the_round() -> None:
    """Four of six left pass the protocol's own threshold, and fail the rule of five."""
    drops: dict[int, dict[str, Any]] = {1: {"p1": "advertise"}, 2: {"p2": "advertise"}}
    ours = learn.SecureKMeans(3, parties=6, rules=learn.ModelRules(min_parties=5), dropped_after=drops)
    with pytest.raises(sandbox.Withheld, match=r"round 2 .*|4 parties"):
        ours.fit(X)
    assert not hasattr(ours, "cluster_centers_")
    with pytest.raises(ProtocolError):
        learn.SecureRidge(parties=3, dropped_after={1: {"p1": "share"}}).fit(X, Y)


@pytest.mark.parametrize(
    ("drops", "problem"),
    [
        ({1: {"party_2": "share"}}, "names 'party_2'; the parties are p1, p2, p3, p4, p5"),
        ({1: {"p2": "unmask"}}, "knows the steps advertise"),
        ({"p2": "share"}, "is {round: {party: step}}"),
        ([{"p2": "share"}], "is {round: {party: step}}"),
        ({-1: {"p2": "share"}}, "is {round: {party: step}}"),
    ],
)
def test_a_loss_that_could_not_happen_is_refused(drops: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        learn.SecureRidge(dropped_after=drops).fit(X, Y)


@pytest.mark.parametrize("parties", [0, -1, 2.5, "5", True])
def test_parties_are_a_whole_number(parties: Any) -> None:
    with pytest.raises(UsageError, match="parties is the whole number"):
        learn.SecureRidge(parties=parties).fit(X, Y)


def test_rules_below_three_parties_or_one_row_do_not_exist() -> None:
    for bad in ({"min_parties": 2}, {"min_rows": 0}, {"min_degrees_of_freedom": -1}):
        with pytest.raises(UsageError):
            learn.ModelRules(**bad)


def test_the_record_tells_every_round_and_is_a_canonical_document() -> None:
    record = learn.SecureLogisticRegression(parties=4).fit(X, (Y > 140).astype(int)).record_
    assert [item.number for item in record.rounds] == list(range(len(record.rounds)))
    assert record.rounds[0].statistic == "rows by class"
    assert {item.statistic for item in record.rounds[1:]} == {"loss, gradient, Hessian"}
    assert {item.length for item in record.rounds[1:]} == {1 + 1 + 11 + 11 * 12 // 2}
    assert {finding.verdict for finding in record.findings} == {"pass"}
    assert parse(canonical(record), ModelRecord, what="record") == record
    assert record.digest().startswith("sha256:")


def test_no_cell_stands_in_an_error_a_record_or_a_repr() -> None:
    """A value that a person could recognise: out of bounds in one run, in range in the other."""
    marked = X.copy()
    marked[7, 3] = CANARY
    with pytest.raises(UsageError) as caught:
        learn.SecurePCA(bounds=1).fit(marked)
    fitted = learn.SecureStandardScaler(bounds=2**20).fit(marked)
    for text in (str(caught.value), repr(fitted), repr(fitted.record_), canonical(fitted.record_).decode()):
        assert "123456" not in text


def test_what_the_gate_receives_is_the_sum_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every vector goes through the protocol, and the only numbers that come back are the sum and the names."""
    seen: list[tuple[dict[str, Any], Any]] = []
    real = module.secure_sum

    def spy(vectors: dict[str, Any], *rest: Any) -> Any:
        answer = real(vectors, *rest)
        seen.append((vectors, answer))
        return answer

    monkeypatch.setattr(module, "secure_sum", spy)
    learn.SecureRidge(parties=4).fit(X, Y)
    assert len(seen) == 2
    for vectors, (values, survivors) in seen:
        assert set(survivors) == set(vectors) == {"p1", "p2", "p3", "p4"}
        assert all(vector.dtype == np.int64 for vector in vectors.values())
        assert np.array_equal(values, sum(vectors.values()))


@pytest.mark.parametrize(
    "given",
    [
        [],
        [(X[:50], Y[:50]), (X[50:90, :9], Y[50:90]), (X[90:], Y[90:])],
        [X[:50], X[50:100], X[100:]],
        [(X[:50], None), (X[50:100], None), (X[100:], None)],
    ],
    ids=["none", "widths", "no targets", "empty targets"],
)
def test_parts_that_do_not_fit_together_are_refused(given: list[Any]) -> None:
    with pytest.raises(UsageError, match=r"parts have one set of columns|has no target"):
        learn.SecureRidge().fit_parts(given)


def test_frames_whose_columns_differ_or_stand_in_another_order_are_refused() -> None:
    names = [f"x{at}" for at in range(X.shape[1])]
    frames = [pd.DataFrame(rows, columns=names) for rows in (X[:50], X[50:100], X[100:])]
    fitted = learn.SecurePCA().fit_parts(frames)
    assert fitted.feature_names_in_.tolist() == names
    turned = frames[1][names[::-1]]
    renamed = frames[1].rename(columns={"x0": "z"})
    for other in (turned, renamed):
        with pytest.raises(UsageError, match="part 2 has other columns than part 1"):
            learn.SecurePCA().fit_parts([frames[0], other, frames[2]])
        with pytest.raises(UsageError, match="part 3 has other columns than part 2"):
            learn.SecureRidge().fit_parts([(X[:50], Y[:50]), (frames[1], Y[50:100]), (other, Y[50:100])])


def test_a_part_without_rows_is_named_by_the_rules() -> None:
    for estimator, nothing in ((learn.SecureRidge(), (X[:0], Y[:0])), (learn.SecurePCA(), X[:0])):
        given = [(X[:50], Y[:50]), nothing, (X[50:], Y[50:])] if isinstance(nothing, tuple) else [X[:50], nothing, X[50:]]
        with pytest.raises(sandbox.Withheld, match="too few at p2"):
            estimator.fit_parts(given)


@pytest.mark.parametrize(
    ("estimator", "problem"),
    [
        (learn.SecureKMeans(2.5), "n_clusters: Expected `int`"),
        (learn.SecureKMeans("3"), "n_clusters: Expected `int`"),
        (learn.SecureKMeans(3, max_iter=True), "max_iter: Expected `int`"),
        (learn.SecureKMeans(3, init="k-means++"), "init is an array of 3 centres"),
        (learn.SecurePCA(0.9), "n_components: Expected `int"),
        (learn.SecureRidge(alpha="1"), "alpha: Expected `float`"),
        (learn.SecureRidge(fit_intercept="no"), "fit_intercept: Expected `bool`"),
        (learn.SecureLogisticRegression(C=None), "C: Expected `float`"),
    ],
)
def test_parameters_of_another_kind_are_refused_by_name(estimator: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        estimator.fit(X, (Y > 100).astype(int))


def test_missing_values_are_refused_with_the_part_that_has_them() -> None:
    holes = X[50:100].copy()
    holes[3, 3] = np.nan
    with pytest.raises(ValueError, match=r"part 2 contains NaN"):
        learn.SecurePCA().fit_parts([X[:50], holes, X[100:]])


def test_more_rows_leave_fewer_bits_and_never_overflow() -> None:
    """At the edge: every value on its bound, so that each product is as large as the encoding allows."""
    ones = np.ones((4000, 2))
    ones[::2, 1] = -1
    fitted = learn.SecureStandardScaler(bounds=1, parties=4).fit(ones)
    assert fitted.mean_.tolist() == [1, 0]
    assert fitted.var_.tolist() == [0, 1]


def test_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(learn.__file__).with_name("README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102  (the project's own document)
    assert capsys.readouterr().out.strip() in text


def test_names_load_on_first_use_and_others_do_not_exist() -> None:
    assert set(learn.__all__) == set(dir(learn))
    for name in learn.__all__:
        assert getattr(learn, name).__name__ == name
    with pytest.raises(AttributeError):
        learn.Insecure  # noqa: B018
