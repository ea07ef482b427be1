"""Mondrian: every partition is private, and against a plain recursive one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import desensitise
from protocols.desensitise import models as privacy
from protocols.errors import ParameterError


def recursive(rows: list[tuple[int, ...]], spans: list[int], k: int) -> list[list[tuple[int, ...]]]:
    """The textbook's procedure, with the same choices: the widest column first, the most equal halves, the first of equal
    cuts."""
    columns = range(len(spans))
    widths = [(max(row[at] for row in rows) - min(row[at] for row in rows)) / spans[at] for at in columns]
    for at in sorted(columns, key=lambda at: (-widths[at], at)):
        cuts = []
        for value in sorted({row[at] for row in rows}):
            left = [row for row in rows if row[at] <= value]
            if k <= len(left) <= len(rows) - k:
                cuts.append((abs(2 * len(left) - len(rows)), value))
        if widths[at] > 0 and cuts:
            border = min(cuts)[1]
            halves = [[row for row in rows if bool(row[at] <= border) == side] for side in (True, False)]
            return [part for half in halves for part in recursive(half, spans, k)]
    return [rows]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 9))
def test_partitions_are_those_of_the_plain_procedure(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    number, width = int(rng.integers(k, 70)), int(rng.integers(1, 4))
    frame = pd.DataFrame({f"q{at}": rng.integers(0, rng.integers(1, 12), number) for at in range(width)})
    ranks = [pd.factorize(frame[name], sort=True)[0] for name in frame]
    spans = [max(1, int(rank.max())) for rank in ranks]
    expected = recursive(list(zip(*ranks, strict=True)), spans, k)
    found = desensitise.mondrian(frame, quasi=list(frame), k=k)
    classes = found.frame.groupby(list(frame), sort=False).size()
    assert sorted(classes) == sorted(map(len, expected))
    assert found.classes == len(expected)
    assert found.smallest == min(map(len, expected)) >= k
    for name in frame:
        for value, label in zip(frame[name], found.frame[name], strict=True):
            if isinstance(label, str):
                low, high = map(int, label.strip("[]").split(", "))
                assert low <= value <= high
            else:
                assert value == label


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 5))
def test_models_hold_in_every_partition(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    number = int(rng.integers(10, 80))
    frame = pd.DataFrame(
        {"q": rng.integers(0, 30, number), "r": rng.choice(list("abc"), number), "s": rng.choice(list("xyz"), number)}
    )
    diverse = int(frame["s"].nunique())
    models = [privacy.DistinctDiversity(column="s", l=min(2, diverse)), privacy.EqualCloseness(column="s", t=0.4)]
    found = desensitise.mondrian(frame, quasi=["q", "r"], k=k, models=models)
    overall = Counter(frame["s"])
    for _, part in found.frame.groupby(["q", "r"])["s"]:
        own = Counter(part)
        assert len(part) >= k
        assert len(own) >= min(2, diverse)
        assert sum(abs(own[v] / len(part) - n / number) for v, n in overall.items()) / 2 <= 0.4 + 1e-9


def test_labels_are_the_finest_that_cover_a_partition() -> None:
    tree = [("a1", "a", "*"), ("a2", "a", "*"), ("b1", "b", "*"), ("b2", "b", "*")]
    frame = pd.DataFrame({"town": ["b1", "a1", "a2", "b2"] * 3, "age": [1.5, 2, 3, 4] * 3})
    found = desensitise.mondrian(frame, quasi=["town"], hierarchies={"town": tree}, k=6)
    assert found.frame["town"].tolist() == ["b", "a", "a", "b"] * 3
    assert (
        desensitise.mondrian(frame, quasi=["town"], hierarchies={"town": tree}, k=3).frame["town"].tolist()
        == frame["town"].tolist()
    )
    assert (
        desensitise.mondrian(frame, quasi=["town"], k=6).frame["town"].tolist()
        == ["{b1, b2}", "{a1, a2}", "{a1, a2}", "{b1, b2}"] * 3
    )
    assert desensitise.mondrian(frame, quasi=["age"], k=6).frame["age"].tolist()[:3] == ["[1.5, 2]", "[1.5, 2]", "[3, 4]"]
    whole = desensitise.mondrian(frame, quasi=["town", "age"], hierarchies={"town": tree}, k=12)
    assert (whole.classes, whole.loss) == (1, 1.0)


def test_missing_values_come_last_and_are_said() -> None:
    frame = pd.DataFrame({"age": [1.0, 2.0, None, None, 1.0, 2.0]})
    assert desensitise.mondrian(frame, quasi=["age"], k=2).frame["age"].tolist() == [1.0, 2.0, None, None, 1.0, 2.0]
    assert desensitise.mondrian(frame, quasi=["age"], k=6).frame["age"].tolist() == ["[1, 2] or missing"] * 6
    days = pd.DataFrame({"day": pd.to_datetime(["2024-01-01", "2024-01-05", "2024-03-01", "2024-03-02"])})
    assert (
        desensitise.mondrian(days, quasi=["day"], k=2).frame["day"].tolist()[0] == "[2024-01-01 00:00:00, 2024-01-05 00:00:00]"
    )


def test_what_cannot_be_private_is_refused() -> None:
    frame = pd.DataFrame({"q": [1, 2, 3], "s": list("xxx")})
    with pytest.raises(ParameterError, match="as a whole"):
        desensitise.mondrian(frame, quasi=["q"], k=4)
    with pytest.raises(ParameterError, match="as a whole"):
        desensitise.mondrian(frame, quasi=["q"], k=1, models=[privacy.DistinctDiversity(column="s", l=2)])
    with pytest.raises(ParameterError, match="use k_anonymise"):
        desensitise.mondrian(frame, quasi=["q"], k=1, models=[privacy.KMap(k=1, population=frame)])
    with pytest.raises(ParameterError, match="at least one"):
        desensitise.mondrian(frame, quasi=[], k=1)
