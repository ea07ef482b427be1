"""Classification: a column takes part only if classified and graded below core; nobody's identifier is computed on."""

from __future__ import annotations

from sandbox.model.asset import Asset
from sandbox.model.decision import Finding
from sandbox.policy.case import Case, Constraint, finding, unknown

NAME = "classification"
GRADES = ("general", "important")
IDENTIFIER_USES = ("join_key", "desensitise")


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per column that the plan uses."""
    if not case.uses.uses:
        return (finding(NAME, passes=False, subject="plan", message="the plan uses no column"),)
    return tuple(
        _judge(case.history.assets.get(asset), asset, column, uses) for (asset, column), uses in case.uses.uses.items()
    )


def _judge(asset: Asset | None, name: str, column_name: str, uses: tuple[str, ...]) -> Finding:
    subject = f"{name}.{column_name}"
    column = asset.column(column_name) if asset is not None else None
    if column is None:
        return unknown(NAME, subject=subject, message=f"the catalogue declares no {subject}, so its grade is unknown")
    if column.grade not in GRADES:
        message = f"{subject} is graded {column.grade}; only {' and '.join(GRADES)} columns take part: leave it out"
        return finding(NAME, passes=False, subject=subject, message=message)
    if column.role == "unclassified":
        message = f"{subject} has no confirmed role; its owner must classify it"
        return finding(NAME, passes=False, subject=subject, message=message)
    beyond = tuple(use for use in uses if use not in IDENTIFIER_USES)
    if column.role == "direct_identifier" and beyond:
        message = f"{subject} is a direct identifier: it may be matched or desensitised, never used for {', '.join(beyond)}"
        return finding(NAME, passes=False, subject=subject, message=message)
    return finding(NAME, passes=True, subject=subject, message=f"{subject} is classified ({column.role}, {column.grade})")


CONSTRAINT = Constraint(name=NAME, terms=(), check=check)
