"""Measures against plain definitions, hand-worked cases and populations whose truth is known."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import risk
from protocols.errors import ParameterError
from protocols.risk.population import _digamma, fit_pitman, pitman_uniques, zayatz_uniques

TABLE = pd.DataFrame(
    {
        "age": ["20-29"] * 4 + ["30-39"] * 3 + ["40-49"] + ["*"] * 2,
        "town": ["a"] * 4 + ["b"] * 3 + ["c"] + ["*"] * 2,
        "ill": ["flu", "flu", "cold", "cold", "flu", "flu", "flu", "cold", "flu", "cold"],
    }
)


def test_a_table_worked_by_hand() -> None:
    found = risk.measure(TABLE, quasi=["age", "town"], sensitive=["ill"], tau=0.3)
    assert (found.rows, found.suppressed, found.classes, found.k) == (10, 2, 3, 1)
    assert found.uniqueness == 1 / 8
    assert (found.prosecutor.highest, found.prosecutor.mean) == (1.0, 3 / 8)
    assert found.prosecutor.above == 4 / 8  # 1/3 and 1, not 1/4
    assert found.l == {"ill": 1}
    assert found.t == {"ill": pytest.approx(6 / 10)}  # the class of one: all "cold", 4/10 of all rows
    assert found.journalist is None
    assert "uniqueness" in repr(found)
    assert "<table" in found._repr_html_()


def test_a_population_lowers_the_chances() -> None:
    people = pd.DataFrame({"age": ["20-29"] * 8 + ["30-39"] * 30 + ["40-49"] * 10, "town": ["a"] * 8 + ["b"] * 30 + ["c"] * 10})
    found = risk.measure(TABLE, quasi=["age", "town"], population=people)
    assert found.journalist is not None
    assert found.journalist.highest == 1 / 8
    assert found.marketer == pytest.approx((4 / 8 + 3 / 30 + 1 / 10) / 8)
    assert set(found.population_uniques) == {"pitman", "zayatz"}
    with pytest.raises(ParameterError, match="1 classes of the table are nobody's"):
        risk.measure(TABLE, quasi=["age", "town"], population=people[people["town"] != "c"])


def test_a_table_that_is_suppressed_throughout_is_one_class() -> None:
    found = risk.measure(pd.DataFrame({"q": ["*"] * 7}), quasi=["q"])
    assert (found.k, found.suppressed, found.classes) == (7, 0, 1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_measures_agree_with_their_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number = int(rng.integers(1, 60))
    frame = pd.DataFrame(
        {
            "a": rng.choice(["x", "y", None], number),
            "b": rng.integers(0, 3, number),
            "s": rng.choice(["p", "q", "r"], number),
            "n": rng.integers(0, 5, number),
        }
    )
    found = risk.measure(frame, quasi=["a", "b"], sensitive=["s", "n"])
    classes: dict[tuple[object, object], list[int]] = defaultdict(list)
    for at, (a, b) in enumerate(zip(frame["a"], frame["b"], strict=True)):
        classes[(a if isinstance(a, str) else None, b)].append(at)
    sizes = [len(rows) for rows in classes.values()]
    assert (found.k, found.classes) == (min(sizes), len(sizes))
    assert found.prosecutor.mean == pytest.approx(len(sizes) / number)
    assert found.uniqueness == pytest.approx(sizes.count(1) / number)
    for name in ("s", "n"):
        overall = Counter(frame[name])
        counts = [Counter(frame[name].iloc[rows]) for rows in classes.values()]
        part = found.diversity[name]
        assert part.distinct == min(map(len, counts))
        assert part.most_frequent == pytest.approx(max(max(c.values()) / c.total() for c in counts))
        assert part.entropy == pytest.approx(
            min(math.exp(-sum(v / c.total() * math.log(v / c.total()) for v in c.values())) for c in counts)
        )
        assert part.t == pytest.approx(
            max(sum(abs(c[v] / c.total() - n / number) for v, n in overall.items()) / 2 for c in counts)
        )
    values = sorted(set(frame["n"]))
    if len(values) > 1:
        distances = []
        for rows in classes.values():
            own = Counter(frame["n"].iloc[rows])
            steps = [
                sum(own[v] / len(rows) - (frame["n"] == v).mean() for v in values[: i + 1]) for i in range(len(values) - 1)
            ]
            distances.append(sum(map(abs, steps)) / (len(values) - 1))
        assert found.diversity["n"].t_ordered == pytest.approx(max(distances))
    assert found.diversity["s"].t_ordered is None


def chinese_restaurant(rng: np.random.Generator, theta: float, alpha: float, people: int) -> list[int]:
    """Classes of a population drawn from Pitman's process: the class of each person, in order of arrival."""
    sizes: list[int] = []
    seated = []
    for n in range(people):
        if rng.random() * (n + theta) < theta + alpha * len(sizes):
            sizes.append(0)
            at = len(sizes) - 1
        else:
            while True:  # by rejection: proportional to size − α
                at = seated[int(rng.integers(n))]
                if rng.random() < 1 - alpha / sizes[at]:
                    break
        sizes[at] += 1
        seated.append(at)
    return seated


@pytest.mark.parametrize(("theta", "alpha"), [(30.0, 0.3), (5.0, 0.6)])
def test_pitman_finds_the_parameters_and_the_uniques_of_a_population_that_it_describes(theta: float, alpha: float) -> None:
    seated = np.array(chinese_restaurant(np.random.default_rng(7), theta, alpha, 30_000))
    sample = np.random.default_rng(8).permutation(seated)[:6_000]
    sizes = np.array(list(Counter(sample).values()))
    fitted = fit_pitman(sizes)
    assert fitted is not None
    assert fitted[1] == pytest.approx(alpha, abs=0.08)
    assert fitted[0] == pytest.approx(theta, rel=0.6)
    truth = list(Counter(seated).values()).count(1)
    assert pitman_uniques(sizes, len(seated)) == pytest.approx(truth, rel=0.2)


def test_digamma_is_scipys() -> None:
    special = pytest.importorskip("scipy.special")
    for x in (1e-3, 0.4, 1.0, 7.3, 1e5):
        assert _digamma(x) == pytest.approx(special.digamma(x), rel=1e-12)


def test_zayatz_on_a_sample_of_everybody_and_of_few() -> None:
    sizes = np.array([1] * 30 + [2] * 20 + [5] * 4)
    assert zayatz_uniques(sizes, int(sizes.sum())) == pytest.approx(30)
    # By hand for n = 2 of N = 4, one class of 1 ... the sample [1, 1]: both classes show one member, so all are unique: 2 ·
    # 4/2.
    assert zayatz_uniques(np.array([1, 1]), 4) == pytest.approx(4)
    hypergeometric = pytest.importorskip("scipy.stats").hypergeom
    one = [hypergeometric.pmf(1, 1000, size, 90) for size in (1, 2, 5)]
    expected = 30 * (30 * one[0]) / (30 * one[0] + 20 * one[1] + 4 * one[2]) * 1000 / 90
    assert zayatz_uniques(sizes, 1000) == pytest.approx(expected)
    assert zayatz_uniques(np.array([2, 3]), 100) == pitman_uniques(np.array([2, 3]), 100) == 0


def test_grades() -> None:
    report = risk.measure(pd.DataFrame({"q": ["a"] * 25 + ["b"] * 30}), quasi=["q"])
    assert risk.grade(report, direct_identifiers=True).grade == 1
    assert risk.grade(report, direct_identifiers=False).grade == 3  # 1/25 is not above 0.05
    assert risk.grade(report, direct_identifiers=False, accepted=0.03).grade == 2
    assert risk.grade(None, direct_identifiers=False).grade == 4
    assert "no conformity" in risk.grade(None, direct_identifiers=False).label


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quasi": ["nothing"]}, "no column"),
        ({"quasi": []}, "at least one"),
        ({"population": 3}, "cannot hold"),
        ({"tau": 1.0}, "between 0 and 1"),
        ({"frame": [1, 2]}, "a pandas frame"),
        ({"frame": pd.DataFrame({"age": [[1], [2]]}), "quasi": ["age"]}, "cannot be compared"),
    ],
)
def test_unusable_input_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        risk.measure(**({"frame": TABLE, "quasi": ["age", "town"]} | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_t_starts_from_the_whole_table_as_the_search_does(seed: int) -> None:
    """Suppressed rows keep their sensitive values: an attacker knows the distribution with them."""
    draw = np.random.default_rng(seed)
    rows = 90
    table = pd.DataFrame({"a": draw.integers(0, 3, rows), "s": draw.choice(list("pqr"), rows), "n": draw.integers(0, 4, rows)})
    table["a"] = table["a"].astype(object)
    table.loc[: 20 + seed, ["a", "s", "n"]] = ["*", "p", 3]
    report = risk.measure(table, ["a"], ["s"])
    assert report.suppressed == 21 + seed
    equal = ordered = 0.0
    for _, part in table[table["a"] != "*"].groupby("a"):
        apart = [(part["s"] == value).mean() - (table["s"] == value).mean() for value in "pqr"]
        equal = max(equal, sum(map(abs, apart)) / 2)
        below = [(part["n"] <= value).mean() - (table["n"] <= value).mean() for value in range(3)]
        ordered = max(ordered, sum(map(abs, below)) / 3)
    assert report.diversity["s"].t == pytest.approx(equal)
    table["n"] = table["n"].astype(int)
    assert risk.measure(table, ["a"], ["n"]).diversity["n"].t_ordered == pytest.approx(ordered)
