"""decide: a plan before all owners' terms. Pure and total: no clock, no store, no exception, and a reason for everything."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable

from sandbox.model.decision import Decision, Finding
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, History, finding
from sandbox.policy.constraints import CONSTRAINTS

JUDGED = frozenset(term for constraint in CONSTRAINTS for term in constraint.terms)


def decide(plan: Plan, policies: Iterable[Policy], history: History, now: datetime.datetime) -> Decision:
    """Return whether every owner allows the plan, with a finding from each constraint, passes included.

    An asset without terms, or with two sets of them, is denied; so is a term that no constraint judges.
    """
    given = tuple(policies)
    times = Counter(policy.asset for policy in given)
    alone = {policy.asset: policy for policy in given if times[policy.asset] == 1}
    case = Case(plan=plan, policies=alone, history=history, now=now)
    findings = [item for constraint in CONSTRAINTS for item in constraint.check(case)]
    findings += [item for policy in case.terms for item in _unjudged(policy)]
    return Decision(findings=tuple(findings))


def _unjudged(policy: Policy) -> tuple[Finding, ...]:
    return tuple(
        finding("terms", passes=False, subject=policy.asset, message=f"no constraint judges the term {name} of {policy.asset}")
        for name in policy.__struct_fields__
        if name not in JUDGED
    )
