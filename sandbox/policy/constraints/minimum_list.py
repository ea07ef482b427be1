"""Minimum list: no list shorter than the owner asks for will be joined, and no table shorter than that released."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding

NAME = "minimum_list"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. Each provider compares its real list with `min_list` when the job runs."""
    rows = case.plan.rules.min_list

    def judge(policy: Policy) -> Finding:
        if case.plan.protocol in ("aggregation/1", "fit/1"):
            message = f"no list of {policy.asset} leaves: its provider sends masked totals"
            return finding(NAME, passes=True, subject=policy.asset, message=message)
        passes = rows >= policy.min_list
        if case.plan.protocol == "release/1":
            message = f"a released table of {policy.asset} has at least {rows} rows; its owner asks for {policy.min_list}"
            return finding(NAME, passes=passes, subject=policy.asset, message=message)
        words = "as its owner asks" if passes else f"and the owner of {policy.asset} asks for {policy.min_list}"
        message = f"lists joined with {policy.asset} have at least {rows} rows, {words}"
        return finding(NAME, passes=passes, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("min_list",), check=check)
