"""What every constraint keeps: at least one finding for any case, in words, and a denial of what it does not know."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.policy_cases import Question, question

from sandbox.model.fit import KINDS, FitSpec, ModelRules
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.privacy import NoiseRules
from sandbox.policy import constraints
from sandbox.policy.case import Case, Constraint
from sandbox.policy.constraints import CONSTRAINTS

NUMBERS = st.sampled_from(["0.1", "1", "64"])
NOISE = st.builds(NoiseRules, epsilon=NUMBERS, epsilon_total=NUMBERS, delta=st.sampled_from(["0.01", "0.000001"]))
st.register_type_strategy(NoiseRules, NOISE)
SMALL = st.integers(3, 1000)
st.register_type_strategy(ModelRules, st.builds(ModelRules, min_rows=SMALL, min_parties=SMALL, min_degrees_of_freedom=SMALL))
st.register_type_strategy(FitSpec, st.builds(FitSpec, estimator=st.sampled_from([kind() for kind in KINDS.values()])))

EACH = pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.name)


def case_of(asked: Question) -> Case:
    terms = {policy.asset: policy for policy in asked.policies}
    return Case(plan=asked.plan, policies=terms, history=asked.history, now=asked.now)


def with_plan(**changes: object) -> Question:
    return dataclasses.replace(question(), plan=msgspec.structs.replace(question().plan, **changes))


def test_each_file_is_one_registered_constraint() -> None:
    files = {path.stem for path in Path(constraints.__file__).parent.glob("*.py")} - {"__init__"}
    names = [constraint.name for constraint in CONSTRAINTS]
    assert files == set(names)
    assert len(names) == len(files)


def test_each_term_is_judged_by_one_constraint() -> None:
    judged = sorted(term for constraint in CONSTRAINTS for term in constraint.terms)
    assert judged == sorted(Policy.__struct_fields__)


def test_each_constraint_is_explained_in_the_readme() -> None:
    readme = Path(constraints.__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    assert [constraint.name for constraint in CONSTRAINTS if f"`{constraint.name}`" not in readme] == []


@EACH
def test_what_is_allowed_passes_with_a_reason(constraint: Constraint) -> None:
    findings = constraint.check(case_of(question()))
    assert findings
    assert {finding.verdict for finding in findings} == {"pass"}


@EACH
@pytest.mark.parametrize(
    "asked",
    [
        lambda: dataclasses.replace(question(), policies=()),
        lambda: with_plan(inputs=(), uses=()),
        lambda: with_plan(inputs=(), uses=(), aggregates=(), groups=(), recipients=(), protocol="?", purpose=""),
        lambda: dataclasses.replace(question(), now=question().now.replace(tzinfo=None)),
    ],
)
def test_a_constraint_is_never_silent(constraint: Constraint, asked: Callable[[], Question]) -> None:
    findings = constraint.check(case_of(asked()))
    assert findings
    for finding in findings:
        assert finding.check == constraint.name
        assert finding.message.strip()
        assert finding.message.isprintable()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=st.from_type(Plan))
def test_no_plan_makes_a_constraint_fall_over(plan: Plan) -> None:
    case = case_of(dataclasses.replace(question(), plan=plan))
    for constraint in CONSTRAINTS:
        findings = constraint.check(case)
        assert findings
        assert all(finding.message.isprintable() and finding.subject.isprintable() for finding in findings)
