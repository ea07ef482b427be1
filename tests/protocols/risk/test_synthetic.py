"""Attacks on synthetic tables: what leaks fails, what does not passes, and an attack that does not work shows nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from support.deterministic import DeterministicRng

from protocols import risk
from protocols.errors import ParameterError
from protocols.risk import synthetic
from protocols.risk.statistics import Rate
from protocols.risk.verdict import judge

COLUMNS = ["age", "height", "town", "job", "income"]
ROWS = 3000


def people(number: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    town = rng.integers(0, 6, number)
    job = (town + (rng.random(number) < 0.3) * rng.integers(0, 6, number)) % 6
    return pd.DataFrame(
        {
            "age": np.clip(rng.normal(40 + 3 * job, 12, number).round(), 18, 95),
            "height": rng.normal(170, 10, number).round(1),
            "town": [f"t{at}" for at in town],
            "job": [f"j{at}" for at in job],
            "income": [f"band {at}" for at in (job + (rng.random(number) < 0.7) * rng.integers(0, 6, number)) % 6],
        }
    )


MEMBERS, CONTROL = people(ROWS, 1), people(ROWS, 2)


def leaky(share: float, seed: int, *, blur: float = 0.0) -> pd.DataFrame:
    """Other people of the same population, but for a share of rows that are copied, with numbers moved by `blur`."""
    rng = np.random.default_rng(seed)
    fresh = people(ROWS, seed)
    copied = rng.random(ROWS) < share
    fresh.loc[copied] = MEMBERS.loc[copied]
    fresh.loc[copied, "height"] += rng.normal(0, blur, int(copied.sum())) if blur else 0.0
    return fresh


def attacked(release: pd.DataFrame, seed: int = 0) -> risk.Findings:
    found, _ = risk.attack_synthetic(
        release, MEMBERS, CONTROL, COLUMNS, secrets=["income"], attempts=1200, rng=DeterministicRng(seed)
    )
    return found


@pytest.mark.parametrize("seed", [10, 11])
def test_other_people_of_the_same_kind_pass(seed: int) -> None:
    found = attacked(people(ROWS, seed), seed)
    assert found.verdict == "PASS", found.to_frame().to_string()
    assert sum("would have found them" in item.message for item in found.items) >= 2


@pytest.mark.parametrize(("share", "blur"), [(1.0, 0.0), (0.3, 0.0), (0.15, 0.0), (0.5, 0.2)])
def test_copied_rows_fail_also_a_part_of_them_also_blurred(share: float, blur: float) -> None:
    found = attacked(leaky(share, 20, blur=blur))
    assert found.verdict == "FAIL"
    assert not any("band" in item.message for item in found.items)


def test_columns_in_which_nobody_differs_have_nothing_to_find() -> None:
    """Even the table itself tells no more than is accepted; that the attacks work is shown on marked copies."""
    narrow = ["town", "job"]
    found, closeness = risk.attack_synthetic(MEMBERS, MEMBERS, CONTROL, narrow, attempts=3000, rng=DeterministicRng(3))
    assert found.verdict == "PASS"
    assert all("copies with a mark" in item.message or "nothing to say" in item.message for item in found.items)
    assert (closeness.members, closeness.equal_members) == (0.0, 1.0)


def test_one_column_is_attacked_too() -> None:
    found, _ = risk.attack_synthetic(MEMBERS, MEMBERS, CONTROL, ["height"], attempts=800, rng=DeterministicRng(4))
    assert [item.attack.split()[0] for item in found.items] == ["singling", "membership"]
    with pytest.raises(ParameterError, match="a secret is one of the columns"):
        risk.attack_synthetic(MEMBERS, MEMBERS, CONTROL, ["height"], secrets=["town"])


def finding(hits: int, control: int, trials: int = 4000) -> risk.Finding:
    return judge("trial", Rate(hits, trials), control=Rate(control, trials), baseline=Rate(control, trials), threshold=0.09)


def test_a_verdict_rests_on_the_positive_control() -> None:
    """The house rule, an attack no better than guessing is no evidence, with one more way to show that it works."""
    safe, leak, nothing = finding(100, 100), finding(3000, 100), finding(100, 100)
    assert (safe.verdict, leak.verdict) == ("INCONCLUSIVE", "FAIL")

    def never() -> risk.Finding:
        raise AssertionError("marks are not needed")

    assert synthetic.calibrated(safe, leak, never).verdict == "PASS"
    assert synthetic.calibrated(safe, nothing, lambda: leak).verdict == "PASS"
    broken = synthetic.calibrated(safe, nothing, lambda: nothing)
    assert (broken.verdict, broken.message.endswith("so it shows nothing")) == ("INCONCLUSIVE", True)
    assert synthetic.calibrated(leak, leak, never).verdict == "FAIL"
    few = finding(2, 2, 20)
    assert synthetic.calibrated(few, leak, never).verdict == "INCONCLUSIVE"
    assert synthetic.calibrated(safe, few, lambda: few).verdict == "INCONCLUSIVE"
    beats_guessing = dataclasses.replace(safe, verdict="PASS")
    assert synthetic.calibrated(beats_guessing, nothing, lambda: nothing).verdict == "INCONCLUSIVE"
