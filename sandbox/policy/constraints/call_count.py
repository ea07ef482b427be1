"""Call count: at least one of the calls that the owner allows is left."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, unknown

NAME = "call_count"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. This explains; that the limit holds under parallel runs is the ledger's work."""

    def judge(policy: Policy) -> Finding:
        calls = case.history.calls.get(policy.asset)
        if calls is None or calls < 0:
            message = f"the calls on {policy.asset} so far were not given, so it is unknown whether one is left"
            return unknown(NAME, subject=policy.asset, message=message)
        if calls < policy.max_calls:
            message = f"{calls} of {policy.max_calls} calls on {policy.asset} are used"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        message = f"all {policy.max_calls} calls on {policy.asset} are used ({calls}); its owner can allow more"
        return finding(NAME, passes=False, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("max_calls",), check=check)
