"""Column use: each column only for the uses that its owner names."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import USES
from sandbox.policy.case import Case, Constraint, finding, listed

NAME = "column_use"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per column of the plan, and one per part of the plan that points nowhere."""
    problems = tuple(
        finding(NAME, passes=False, subject="plan", message=f"the plan makes no sense: {problem}")
        for problem in case.uses.problems
    )
    judged = tuple(_judge(case, asset, column, uses) for (asset, column), uses in case.uses.uses.items())
    if not judged and not problems:
        return (finding(NAME, passes=False, subject="plan", message="the plan uses no column"),)
    return problems + judged


def _judge(case: Case, asset: str, column: str, uses: tuple[str, ...]) -> Finding:
    subject = f"{asset}.{column}"
    policy = case.policies.get(asset)
    allowed: tuple[str, ...] = policy.uses_of(column) if policy is not None else ()
    strange = tuple(use for use in uses if use not in USES)
    if strange:
        message = f"{subject}: {listed(strange)} is no known use; the uses are {listed(USES)}"
        return finding(NAME, passes=False, subject=subject, message=message)
    refused = tuple(use for use in uses if use not in allowed)
    if refused:
        message = f"{subject} may not be used for {listed(refused)}; its owner allows {listed(allowed)}"
        return finding(NAME, passes=False, subject=subject, message=message)
    return finding(NAME, passes=True, subject=subject, message=f"{subject} may be used for {listed(uses)}")


CONSTRAINT = Constraint(name=NAME, terms=("columns",), check=check)
