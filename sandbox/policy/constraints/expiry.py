"""Expiry: the terms still hold today."""

from __future__ import annotations

import datetime

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, unknown

NAME = "expiry"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. The last day counts in full, in UTC."""
    if case.now.utcoffset() is None:
        return (unknown(NAME, subject="plan", message="the time has no zone, so that no expiry can be judged"),)
    today = case.now.astimezone(datetime.UTC).date()

    def judge(policy: Policy) -> Finding:
        if today <= policy.expires:
            message = f"the terms of {policy.asset} hold until {policy.expires.isoformat()}"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        message = f"the terms of {policy.asset} ended on {policy.expires.isoformat()}; its owner must renew them"
        return finding(NAME, passes=False, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("expires",), check=check)
