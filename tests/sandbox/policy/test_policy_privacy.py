"""Privacy terms: read strictly, judged per release and in all, and blocking wherever something is not known."""

from __future__ import annotations

import dataclasses
import sys
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.policy_cases import question

from protocols.primitives.accounting import rho_within, units_down, units_up
from sandbox.errors import DocumentError, UsageError
from sandbox.model.canonical import canonical, parse
from sandbox.model.decision import Finding
from sandbox.model.policy import Policy, policy_from_toml
from sandbox.model.privacy import (
    NoiseRules,
    PrivacyTerms,
    budget_subject,
    budget_subjects,
    budget_units,
    cost_of,
    cost_units,
    decimal_text,
)
from sandbox.policy.case import Case
from sandbox.policy.constraints.privacy_budget import check

pytest.importorskip("dp_accounting", reason="the extra `privacy` is not installed")
NOISE = NoiseRules(where="gate", epsilon="1", epsilon_total="4", delta="0.000001")
TERMS = PrivacyTerms(epsilon_per_release="1", epsilon_total="2", delta="0.000001")
LAB, REGISTRY = "lab.measurements", "registry.patients"
TEXT = """
asset = "lab.measurements"
purposes = ["research"]
recipients = ["operator"]
profiles = ["statistics-noised"]
min_cell = 10
min_list = 100
max_calls = 5
expires = 2026-06-30
[columns]
id = ["count"]
"""


def judged(
    noise: NoiseRules | None,
    terms: PrivacyTerms | None,
    spent: dict[str, int] | None = None,
    recipients: tuple[str, ...] = ("operator",),
) -> dict[str, Finding]:
    """Findings by asset; terms stand on the laboratory's alone."""
    asked = question()
    rules = msgspec.structs.replace(asked.plan.rules, noise=noise)
    plan = msgspec.structs.replace(asked.plan, rules=rules, recipients=recipients)
    policies = {
        policy.asset: msgspec.structs.replace(policy, privacy=terms if policy.asset == LAB else None)
        for policy in asked.policies
    }
    nothing = dict.fromkeys(budget_subjects((LAB, REGISTRY), recipients), 0)
    history = dataclasses.replace(asked.history, spent=nothing if spent is None else spent)
    found = check(Case(plan=plan, policies=policies, history=history, now=asked.now))
    return {finding.subject: finding for finding in found}


def test_without_a_budget_and_without_noise_nothing_is_asked() -> None:
    assert {finding.verdict for finding in judged(None, None).values()} == {"pass"}


def test_a_budget_asks_for_noise() -> None:
    found = judged(None, TERMS)
    assert (found[LAB].verdict, found[REGISTRY].verdict) == ("fail", "pass")
    assert "with noise only" in found[LAB].message


def test_the_smaller_total_holds_and_ends_with_the_last_release_that_fits() -> None:
    fits = int(rho_within(Fraction(2), Fraction(1, 10**6)) // cost_of(NOISE))
    assert f"holds {fits} such releases" in judged(NOISE, TERMS)[LAB].message
    spent = {budget_subject(LAB, "operator"): (fits - 1) * cost_units(NOISE), budget_subject(REGISTRY, "operator"): 0}
    assert judged(NOISE, TERMS, spent)[LAB].verdict == "pass"
    spent[budget_subject(LAB, "operator")] += cost_units(NOISE)
    found = judged(NOISE, TERMS, spent)
    assert (found[LAB].verdict, found[REGISTRY].verdict) == ("fail", "pass")
    assert budget_units(NOISE, TERMS) == units_down(rho_within(Fraction(2), Fraction(1, 10**6)))
    assert budget_units(NOISE, None) == units_down(rho_within(Fraction(4), Fraction(1, 10**6)))
    wider = msgspec.structs.replace(TERMS, epsilon_total="9")
    assert budget_units(NOISE, wider) == budget_units(NOISE, None)
    assert cost_units(NOISE) == units_up(cost_of(NOISE))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"epsilon_per_release": "0.99"}, "spends ε = 1;"), ({"delta": "0.0000009"}, "has δ = 0.000001;")],
)
def test_one_release_beyond_its_own_limits_is_denied(changes: dict[str, str], words: str) -> None:
    assert words in judged(NOISE, msgspec.structs.replace(TERMS, **changes))[LAB].message


def test_every_recipient_has_a_budget_and_what_is_not_known_blocks() -> None:
    both = ("operator", "buyer")
    spent = dict.fromkeys(budget_subjects((LAB, REGISTRY), both), 0)
    assert judged(NOISE, TERMS, spent, both)[LAB].verdict == "pass"
    spent[budget_subject(LAB, "buyer")] = 10**13
    assert "towards buyer" in judged(NOISE, TERMS, spent, both)[LAB].message
    del spent[budget_subject(LAB, "buyer")]
    assert judged(NOISE, TERMS, spent, both)[LAB].verdict == "inconclusive"
    assert judged(NOISE, TERMS, {})[LAB].verdict == "inconclusive"
    assert judged(NOISE, TERMS, recipients=())[LAB].verdict == "fail"


def test_without_the_extra_nothing_with_noise_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    rho_within.cache_clear()
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    found = judged(NOISE, TERMS)[LAB]
    assert found.verdict == "inconclusive"
    assert "extra `privacy`" in found.message
    with pytest.raises(UsageError, match="extra `privacy`"):
        cost_units(NOISE)


def test_terms_are_read_from_toml_as_decimal_text() -> None:
    policy = policy_from_toml(TEXT + "[privacy]\nepsilon_per_release = 0.5\nepsilon_total = 4\ndelta = 1e-6\n", version=1)
    assert policy.privacy == PrivacyTerms(epsilon_per_release="0.5", epsilon_total="4", delta="0.000001")
    assert parse(canonical(policy), Policy, what="terms") == policy
    assert policy_from_toml(TEXT, version=1).privacy is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("epsilon_per_release = 0.5\nepsilon_total = 4", "delta"),
        ("epsilon_per_release = 0.5\nepsilon_total = 4\ndelta = 1e-6\nepsilon = 1", "epsilon"),
        ('epsilon_per_release = "0.5"\nepsilon_total = 4\ndelta = 1e-6', "epsilon_per_release: write a number"),
        ("epsilon_per_release = true\nepsilon_total = 4\ndelta = 1e-6", "write a number"),
        ("epsilon_per_release = 0\nepsilon_total = 4\ndelta = 1e-6", "above 0"),
        ("epsilon_per_release = -1\nepsilon_total = 4\ndelta = 1e-6", "above 0"),
        ("epsilon_per_release = 1\nepsilon_total = 65\ndelta = 1e-6", "at most 64"),
        ("epsilon_per_release = 1\nepsilon_total = inf\ndelta = 1e-6", "no decimal number"),
        ("epsilon_per_release = 1\nepsilon_total = nan\ndelta = 1e-6", "no decimal number"),
        ("epsilon_per_release = 1\nepsilon_total = 4\ndelta = 0", "δ"),
        ("epsilon_per_release = 1\nepsilon_total = 4\ndelta = 0.02", "at most 0.01"),
    ],
)
def test_terms_that_say_nothing_clear_are_refused(lines: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        policy_from_toml(f"{TEXT}[privacy]\n{lines}\n", version=1)


@given(st.floats(min_value=1e-12, max_value=64))
def test_decimal_text_is_the_number_that_was_written(number: float) -> None:
    text = decimal_text(number, field="x")
    assert float(text) == number
    assert "e" not in text.lower()


@pytest.mark.parametrize("text", ["1e-6", "0,5", " 1", "１", "", "1" * 41, "+1", "Infinity"])
def test_other_texts_are_no_numbers(text: str) -> None:
    with pytest.raises(DocumentError, match="no decimal number"):
        msgspec.structs.replace(NOISE, epsilon=text)


def test_laplace_noise_is_charged_by_its_epsilon_and_never_comes_in_shares() -> None:
    laplace = NoiseRules(where="gate", kind="laplace", epsilon="0.5", epsilon_total="4", delta="0.000001")
    assert cost_of(laplace) == Fraction(1, 8)
    assert laplace.guarantee() == "ε = 0.5, without a δ,"
    with pytest.raises(DocumentError, match="the gate adds it"):
        NoiseRules(where="shares", kind="laplace", epsilon="0.5", epsilon_total="4", delta="0.000001")
