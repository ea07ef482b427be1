"""Matching mode: keys are matched in a way that the owner allows."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import MatchingMode, Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, listed

NAME = "matching_mode"
MODES: dict[str, MatchingMode] = {"join/1": "blinded", "keyed-join/1": "keyed"}
WITHOUT_MATCHING = frozenset({"aggregation/1", "fit/1", "release/1"})


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. A protocol whose way of matching is not listed here is denied."""
    protocol = case.plan.protocol
    mode = MODES.get(protocol)

    def judge(policy: Policy) -> Finding:
        if protocol in WITHOUT_MATCHING:
            message = f"keys of {policy.asset} are matched with nobody's ({protocol})"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        if mode is None:
            message = f"the protocol {protocol} matches keys in no known way"
            return finding(NAME, passes=False, subject=policy.asset, message=message)
        if mode in policy.matching:
            message = f"keys of {policy.asset} may be matched {mode}"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        message = f"keys of {policy.asset} may not be matched {mode} ({protocol}); its owner allows {listed(policy.matching)}"
        return finding(NAME, passes=False, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("matching",), check=check)
