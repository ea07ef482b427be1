"""Crossed inference against plain counting, and on tables whose risk is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.deterministic import DeterministicRng

from protocols import risk
from protocols.errors import ParameterError
from protocols.risk.crossing import _median_hits, _mode_hits

ROWS = 4000


def test_a_class_of_its_own_tells_whoever_is_in_it() -> None:
    """Each row is a class: the half that has a person tells the secret, the other half its most frequent value."""
    chance = np.random.default_rng(1)
    table = pd.DataFrame({"key": range(ROWS), "secret": chance.integers(0, 4, ROWS)})
    found = risk.cross_inference(table, ["key"], "secret", rng=DeterministicRng("own"))
    assert found.verdict == "FAIL"
    assert found.risk is not None
    assert found.risk.value > 0.98


def test_large_classes_tell_only_what_they_tell_of_everybody() -> None:
    chance = np.random.default_rng(2)
    age = chance.integers(0, 4, ROWS)
    table = pd.DataFrame({"age": age, "secret": (chance.random(ROWS) < 0.1 + 0.08 * age).astype(int)})
    found = risk.cross_inference(table, ["age"], "secret", rng=DeterministicRng("large"))
    assert found.verdict == "PASS"
    assert found.risk is not None
    assert found.risk.value < 0.02


def test_few_people_decide_nothing() -> None:
    table = pd.DataFrame({"age": [0, 1] * 20, "secret": [0, 0, 1, 0] * 10})
    assert risk.cross_inference(table, ["age"], "secret", rng=DeterministicRng("few")).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("values", [3, 400])
def test_hits_are_those_of_counting_row_by_row(values: int) -> None:
    chance = np.random.default_rng(values)
    classes = np.unique(chance.integers(0, 12, 300), return_inverse=True)[1].astype(np.int64)
    secret = pd.Series(chance.integers(1, values + 1, 300), name="secret").astype(float)
    secret[chance.random(300) < 0.05] = np.nan
    half = chance.random(300) < 0.5
    number = int(classes.max()) + 1
    if values > 20:
        found = _median_hits(secret, classes, number, half, 0.05)
        for row in range(300):
            inside = secret[half & (classes == classes[row])].dropna()
            guess = inside.median() if len(inside) else secret[half].dropna().median()
            true = secret[row]
            assert found[row] == bool(abs(guess - true) <= 0.05 * abs(true)), row
        return
    found = _mode_hits(secret, classes, number, half, 0.05)
    text = secret.astype(object).where(secret.notna(), "missing")
    for row in range(300):
        counts = text[half & (classes == classes[row])].value_counts()
        best = set(counts[counts == counts.max()].index)
        if len(best) == 1:
            assert found[row] == (text[row] in best), row


def test_misuse() -> None:
    table = pd.DataFrame({"a": [1, 2, 3, 4], "b": [1, 1, 2, 2]})
    for quasi, secret in (([], "b"), (["a", "b"], "b")):
        with pytest.raises(ParameterError):
            risk.cross_inference(table, quasi, secret)
    with pytest.raises(ParameterError, match="4 rows"):
        risk.cross_inference(table.iloc[:2], ["a"], "b")
