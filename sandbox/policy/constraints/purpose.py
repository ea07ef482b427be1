"""Purpose: the plan's purpose is one that the owner names."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, listed

NAME = "purpose"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset."""
    purpose = case.plan.purpose

    def judge(policy: Policy) -> Finding:
        if purpose in policy.purposes:
            return finding(NAME, passes=True, subject=policy.asset, message=f"{policy.asset} may serve {purpose}")
        message = f"{policy.asset} may not serve {purpose or 'an unnamed purpose'}; its owner allows {listed(policy.purposes)}"
        return finding(NAME, passes=False, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("purposes",), check=check)
