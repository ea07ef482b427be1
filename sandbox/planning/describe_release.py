"""A release of rows in words: what becomes of each column, and what the gate will check."""

from __future__ import annotations

from sandbox.model.plan import Plan
from sandbox.model.release import KAnonymity, ReleasedColumn, ReleaseSpec
from sandbox.planning.lines import Line

UNDONE = {
    "nobody": "undone by nobody",
    "key holder": "undone by whoever holds the provider's key",
    "not changed": "as it is",
}


def release_lines(plan: Plan, release: ReleaseSpec) -> tuple[Line, ...]:
    """Return the steps of a release, in order, for people."""
    part = plan.inputs[0]
    read = [column.name for column in release.columns if column.used]
    lines = [
        Line(step="read", subject=part.provider, text=f"{part.asset}, version {part.asset_version}: {', '.join(read)}"),
        *(Line(step="rule", subject=part.provider, text=_column(release, column)) for column in release.columns),
    ]
    if release.k_anonymity is not None:
        lines.append(Line(step="rule", subject=part.provider, text=_search(plan, release, release.k_anonymity)))
    told = "sends the rows in no order, a keyed tag of each, and what attacks on the table found, to the gate alone"
    lines.append(Line(step="return", subject=part.provider, text=told))
    lines += [Line(step="gate", subject=plan.gate, text=text) for text in _checks(plan, release)]
    columns = ", ".join(column.name for column in release.released)
    answer = (
        f"a table of rows, one a person: {columns}",
        release.label,
        f"goes to {', '.join(plan.recipients)} for {plan.purpose}",
    )
    return (*lines, *(Line(step="answer", subject=plan.gate, text=text) for text in answer))


def _column(release: ReleaseSpec, column: ReleasedColumn) -> str:
    role = "quasi-identifier" if column.name in release.quasi else "sensitive" if column.name in release.sensitive else ""
    words = [f"{column.name}: {column.rule}", *([role] if role else [])]
    if column.type is None:
        return ", ".join((*words, "not in the table"))
    held = [f"may hold {' and '.join(column.may_hold)}"] if column.may_hold else []
    return ", ".join((*words, column.type, UNDONE[column.undone_by], *held))


def _search(plan: Plan, release: ReleaseSpec, search: KAnonymity) -> str:
    named = [item.column for item in search.hierarchies]
    whole = [name for name in release.quasi if name not in named]
    kept = f"; {', '.join(whole)} as it is or not at all" if whole else ""
    text = f"searches the generalisation of {', '.join(named) or 'no column'} with the least {search.measure} loss{kept}"
    return f"{text}; leaves out at most {search.suppression_limit:.3g} of the rows"


def _checks(plan: Plan, release: ReleaseSpec) -> list[str]:
    risk = plan.rules.risk
    if risk is None:
        return []
    classes = f"at least {risk.k} rows in each class of {', '.join(release.quasi)}"
    if release.sensitive:
        named = ", ".join(release.sensitive)
        classes += f", {risk.l} values of {named} in it, and a distribution within {risk.t} of the whole table's"
    return [
        f"profile {plan.rules.profile}, version {plan.rules.version}",
        f"columns and types as promised; at least {plan.rules.min_list} rows; at most {risk.suppression} of them left out",
        "no direct identifier in any column, free text included",
        classes,
        f"linkage and inference succeed for at most {risk.linkage} of people (upper 95 % end)",
        f"with every earlier release of {release.asset}: classes of all tables, intersected, as above; counts differ by "
        f"{plan.rules.min_difference} people or none",
        "the table passes whole, or nothing of it is released",
    ]
