"""Recipient: everyone who gets the product is an admitted party that the owner names, by name or by role."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.model.decision import Finding
from sandbox.model.party import Party
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding, listed

NAME = "recipient"
BY_ROLE = "role:"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per recipient about the party, and one per asset about its terms."""
    recipients = case.plan.recipients
    if not recipients:
        return (finding(NAME, passes=False, subject="plan", message="the plan names no recipient; say who gets the product"),)
    parties = case.history.parties

    def judge(policy: Policy) -> Finding:
        refused = tuple(name for name in recipients if not _named(name, policy, parties))
        if refused:
            message = f"{policy.asset} may not reach {listed(refused)}; its owner allows {listed(policy.recipients)}"
            return finding(NAME, passes=False, subject=policy.asset, message=message)
        return finding(NAME, passes=True, subject=policy.asset, message=f"{policy.asset} may reach {listed(recipients)}")

    return tuple(_admitted(name, parties) for name in recipients) + each_term(case, NAME, judge)


def _admitted(name: str, parties: Mapping[str, Party]) -> Finding:
    party = parties.get(name)
    if party is None:
        return finding(NAME, passes=False, subject=name, message=f"{name} is no known party; have it admitted first")
    if party.status != "admitted":
        message = f"{name} is {party.status}; only an admitted party receives products"
        return finding(NAME, passes=False, subject=name, message=message)
    return finding(NAME, passes=True, subject=name, message=f"{name} is an admitted party")


def _named(name: str, policy: Policy, parties: Mapping[str, Party]) -> bool:
    roles = parties[name].roles if name in parties else ()
    return name in policy.recipients or any(BY_ROLE + role in policy.recipients for role in roles)


CONSTRAINT = Constraint(name=NAME, terms=("recipients",), check=check)
