"""Separate parties: operator, gate and providers are different parties, of different owners."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.model.decision import Finding
from sandbox.model.party import Party, share_owner
from sandbox.model.plan import Plan
from sandbox.policy.case import Case, Constraint, finding, listed

NAME = "separate_parties"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding: the operator asks about others' tables alone, and the gate belongs to neither.

    Two providers may have one owner. An operator with a table in its own question would hold rows and blinded keys at once.
    """
    plan = case.plan
    shared = _shared(plan, case.history.parties)
    if shared:
        message = f"operator, gate and providers must be parties of different owners; not so are {listed(shared)}"
        return (finding(NAME, passes=False, subject="plan", message=message),)
    message = "operator, gate and every provider are parties of different owners"
    return (finding(NAME, passes=True, subject="plan", message=message),)


def _shared(plan: Plan, parties: Mapping[str, Party]) -> tuple[str, ...]:
    providers = dict.fromkeys(entry.provider for entry in plan.inputs)
    pairs = [(plan.operator, "operator", plan.gate, "gate")]
    pairs += [(plan.operator, "operator", name, "provider") for name in providers]
    pairs += [(plan.gate, "gate", name, "provider") for name in providers]
    return tuple(
        f"{first} ({role}) and {second} ({other})"
        for first, role, second, other in pairs
        if share_owner(first, second, parties)
    )


CONSTRAINT = Constraint(name=NAME, terms=(), check=check)
