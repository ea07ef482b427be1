"""Profile: the scenario profile that will judge the product is one that the owner names."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, listed

NAME = "profile"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset."""
    profile = case.plan.rules.profile

    def judge(policy: Policy) -> Finding:
        if profile in policy.profiles:
            message = f"{policy.asset} may be released under the profile {profile}"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        message = f"{policy.asset} may not be released under the profile {profile}; its owner allows {listed(policy.profiles)}"
        return finding(NAME, passes=False, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("profiles",), check=check)
