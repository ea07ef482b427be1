"""Released rows: a plan that releases a table names its columns as they are, and hides who its rows are about."""

from __future__ import annotations

from sandbox.model.asset import Asset, Column
from sandbox.model.decision import Finding
from sandbox.model.plan import Plan
from sandbox.model.release import ReleasedColumn, ReleaseSpec
from sandbox.policy.case import Case, Constraint, finding, unknown

NAME = "released_rows"
PROTOCOL = "release/1"
HIDING = "pseudonymisation"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding: no rows are released, or they are those of one declared table, with every identifier hidden."""
    plan = case.plan
    if plan.release is None:
        fine = plan.protocol != PROTOCOL
        message = "no rows are released" if fine else "the plan releases rows and does not say which"
        return (finding(NAME, passes=fine, subject="plan", message=message),)
    asset = case.history.assets.get(plan.release.asset)
    if asset is None:
        return (
            unknown(NAME, subject=plan.release.asset, message="the catalogue declares no such table, so nothing can be said"),
        )
    problem = _problem(plan, plan.release, asset)
    message = f"rows of {asset.name}, {len(plan.release.released)} of {len(plan.release.columns)} columns, are released"
    return (finding(NAME, passes=problem is None, subject=asset.name, message=problem or message),)


def _problem(plan: Plan, release: ReleaseSpec, asset: Asset) -> str | None:
    if plan.protocol != PROTOCOL or plan.rules.risk is None:
        return f"the plan releases rows by {plan.protocol}, under a profile that does not say how they are judged"
    if [entry.asset for entry in plan.inputs] != [asset.name] or plan.aggregates or plan.groups or plan.select:
        return "the plan releases rows of one table, and has other inputs or cells"
    if [column.name for column in release.columns] != [column.name for column in asset.columns]:
        return f"the plan does not say what becomes of each column of {asset.name}"
    if not asset.unique:
        return f"{asset.name} may have several rows a person, so that classes of rows say nothing of people"
    pairs = zip(asset.columns, release.columns, strict=True)
    found = (_column_problem(asset, release, column, made) for column, made in pairs if made.type is not None)
    return next((problem for problem in found if problem is not None), None)


def _column_problem(asset: Asset, release: ReleaseSpec, column: Column, made: ReleasedColumn) -> str | None:
    if (column.role == "direct_identifier" or column.name in asset.key) and not _hides(made):
        return f"{asset.name}.{column.name} names people, and its rule leaves it readable"
    if column.role == "quasi_identifier" and column.name not in release.quasi:
        return f"{asset.name}.{column.name} is a quasi-identifier by its declaration, and the plan does not count it as one"
    if column.role == "sensitive" and column.name not in release.sensitive:
        return f"{asset.name}.{column.name} is sensitive by its declaration, and the plan does not judge it so"
    return None


def _hides(made: ReleasedColumn) -> bool:
    return made.family == HIDING or made.rule == "suppress"


CONSTRAINT = Constraint(name=NAME, terms=(), check=check)
