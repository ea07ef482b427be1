"""Intervals against Anonymeter's own output, scipy and simulation; verdicts against what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.errors import ParameterError
from protocols.risk import Finding, Rate, excess, holm, judge, together, wilson

# Printed by anonymeter 1.1.0: EvaluationResults(n_attacks, n_success, n_baseline=1, n_control, confidence_level=0.95).risk()
ANONYMETER = [
    ((50, 100), (10, 100), (0.4351575564792831, 0.32006005200945753, 0.5502550609491087)),
    ((0, 200), (3, 200), (0.0, 0.0, 0.006938931323193511)),
    ((200, 200), (17, 150), (0.9892559411941318, 0.9784937212107411, 1.0)),
    ((37, 500), (35, 500), (0.004283382326001482, 0.0, 0.039011386502904276)),
    ((5, 2000), (0, 2000), (0.0024976013917757463, 0.0, 0.005069974344974624)),
    ((90, 1000), (20, 700), (0.0623669392526776, 0.04035365140000685, 0.08438022710534834)),
]


@pytest.mark.parametrize(("attack", "control", "expected"), ANONYMETER)
def test_risk_is_anonymeters(attack: tuple[int, int], control: tuple[int, int], expected: tuple[float, float, float]) -> None:
    found = excess(Rate(*attack), Rate(*control))
    assert (found.value, found.low, found.high) == pytest.approx(expected, rel=1e-12)


def test_wilsons_interval_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for successes, trials in ((0, 10), (3, 10), (10, 10), (41, 977)):
        theirs = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        ours = wilson(Rate(successes, trials))
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert (wilson(Rate(0, 0)).low, wilson(Rate(0, 0)).high) == (0, 1)


def test_the_interval_of_the_excess_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    tau_control, truth = 0.3, 0.12
    tau_attack = truth * (1 - tau_control) + tau_control
    covered = 0
    for _ in range(1500):
        found = excess(Rate(int(rng.binomial(400, tau_attack)), 400), Rate(int(rng.binomial(400, tau_control)), 400))
        covered += found.low <= truth <= found.high
    assert 0.93 < covered / 1500 < 0.97


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


BASE = Rate(1, 1000)


@pytest.mark.parametrize(
    ("rate", "control", "baseline", "verdict"),
    [
        (Rate(60, 1000), Rate(58, 1000), BASE, "PASS"),
        (Rate(400, 1000), Rate(60, 1000), BASE, "FAIL"),
        (Rate(100, 1000), Rate(10, 1000), BASE, "INCONCLUSIVE"),  # the bound is above 0.09, but not beyond chance
        (Rate(3, 10), Rate(0, 10), BASE, "INCONCLUSIVE"),
        (Rate(0, 1000), Rate(0, 1000), Rate(30, 1000), "INCONCLUSIVE"),  # worse than guessing
        (Rate(0, 0), Rate(0, 0), Rate(0, 0), "INCONCLUSIVE"),
    ],
)
def test_verdicts(rate: Rate, control: Rate, baseline: Rate, verdict: str) -> None:
    found = judge("a", rate, control=control, baseline=baseline, threshold=0.09)
    assert found.verdict == verdict
    assert found.blocks is (verdict != "PASS")


def test_a_clean_release_passes_as_often_as_the_interval_allows_and_a_leak_is_found() -> None:
    rng = np.random.default_rng(2)
    verdicts = {0.0: [], 0.25: []}
    for truth, found in verdicts.items():
        for _ in range(400):
            hits = rng.binomial(500, 0.2 + truth * 0.8)
            item = judge(
                "a", Rate(int(hits), 500), control=Rate(int(rng.binomial(500, 0.2)), 500), baseline=BASE, threshold=0.09
            )
            found.append(item.verdict)
    assert verdicts[0.0].count("FAIL") <= 400 * 0.01
    assert verdicts[0.0].count("PASS") >= 400 * 0.8
    assert verdicts[0.25].count("FAIL") >= 400 * 0.95
    assert "PASS" not in verdicts[0.25]


def test_at_the_threshold_itself_at_most_one_in_twenty_fails_or_passes() -> None:
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(1000):
        hits = rng.binomial(800, 0.1 + 0.09 * 0.9)
        control = Rate(int(rng.binomial(800, 0.1)), 800)
        verdicts.append(judge("a", Rate(int(hits), 800), control=control, baseline=BASE, threshold=0.09).verdict)
    assert verdicts.count("PASS") <= 50
    assert verdicts.count("FAIL") <= 70


def test_many_attacks_on_a_clean_release_rarely_fail_together() -> None:
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        items = [
            judge(
                "a",
                Rate(int(rng.binomial(400, 0.19)), 400),
                control=Rate(int(rng.binomial(400, 0.11)), 400),
                baseline=BASE,
                threshold=0.09,
            )
            for _ in range(10)
        ]
        wrong += together(items).verdict == "FAIL"
    assert wrong <= 200 * 0.08


def test_together_takes_the_worst_and_shows_nobody() -> None:
    passing = judge("a", Rate(60, 1000), control=Rate(58, 1000), baseline=BASE, threshold=0.09)
    certain = Finding(attack="b", verdict="FAIL", message="1 row", exposed=("Sara Gray",))
    found = together([passing, certain])
    assert found.verdict == "FAIL"
    assert together([passing]).verdict == "PASS"
    assert together([]).verdict == "INCONCLUSIVE"
    for text in (repr(found), found.to_frame().to_string(), found._repr_html_()):
        assert "Sara" not in text
    assert found.items[1].exposed == ("Sara Gray",)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ParameterError):
        Rate(3, 2)
    with pytest.raises(ParameterError):
        wilson(Rate(1, 2), confidence=1)
