"""Disclosure: the protocol shows nobody a kind of fact that no terms can allow."""

from __future__ import annotations

from protocols.disclosure import Learned
from sandbox.model.decision import Finding
from sandbox.policy.case import Case, Constraint, finding, unknown
from sandbox.policy.constraints.matching_mode import MODES

NAME = "disclosure"
NODES = frozenset({"provider", "operator", "gate", "recipient"})
BY_DESIGN = frozenset(
    {
        "participants",
        "list_size",
        "intersection_size",
        "group_histogram",
        "blinded_pattern",
        "cell_count",
        "group_label",
        "released_aggregate",
        "intermediate_model",
        "masked_value",
        "session_length",
        "vector_length",
    }
)
UNDER_COLLUSION = BY_DESIGN | {"membership", "row_value"}
OF_ROWS = frozenset({"released_rows", "row_tag"})
"""What a release of rows shows, which `released_rows`, every column's use `desensitise` and the gate judge."""


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per fact that somebody learns; an unknown node, fact or visibility is denied.

    Nobody learns a key, a row's value or membership by design. That colluders may, is the protocol's stated assumption; a
    key is refused even then, except with keyed matching, which `matching_mode` asks every owner's terms about.
    """
    disclosure = case.history.disclosure
    if disclosure is None:
        return (unknown(NAME, subject="plan", message="what the protocol discloses was not given, so it cannot be allowed"),)
    if disclosure.protocol != case.plan.protocol or not disclosure.learned:
        message = f"the disclosure is that of {disclosure.protocol}, or empty; the plan runs {case.plan.protocol}"
        return (finding(NAME, passes=False, subject="plan", message=message),)
    colluders = UNDER_COLLUSION | {"key"} if MODES.get(case.plan.protocol) == "keyed" else UNDER_COLLUSION
    designed = BY_DESIGN | OF_ROWS if case.plan.protocol == "release/1" else BY_DESIGN
    return tuple(_judge(item, designed, colluders) for item in disclosure.learned)


def _judge(item: Learned, designed: frozenset[str], colluders: frozenset[str]) -> Finding:
    nodes = item.who.split(" + ")
    how = {"by_design": "by design", "under_collusion": "if they collude"}.get(item.visibility)
    if how is None or not NODES.issuperset(nodes):
        message = f"{item.who} ({item.visibility}) is nobody that terms know: {item.about}"
        return finding(NAME, passes=False, subject=item.who, message=message)
    permitted = designed if item.visibility == "by_design" else colluders
    if item.fact not in permitted:
        message = f"{item.who} would learn {item.fact} {how} ({item.about}); no terms allow that"
        return finding(NAME, passes=False, subject=item.who, message=message)
    return finding(NAME, passes=True, subject=item.who, message=f"{item.who} learns {item.fact} {how}: {item.about}")


CONSTRAINT = Constraint(name=NAME, terms=(), check=check)
