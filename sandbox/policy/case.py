"""Case: a plan before the owners' terms, with everything a constraint may look at; and how constraints word findings."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from protocols.disclosure import Disclosure
from sandbox.model.asset import Asset
from sandbox.model.decision import Finding, Verdict
from sandbox.model.party import Party
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.policy.uses import PlanUses, uses_of

MAX_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a judge must know beside plan and terms, as values. What is not given blocks; it never counts as fine.

    assets: the catalogue's current declaration of each asset, by name. calls: uses counted so far under each asset's
    terms, reserved ones included. parties: everyone known, by name. disclosure: what the plan's protocol shows to whom.
    spent: of each privacy budget, in the ledger's units, by `budget_subject`; read only for plans that add noise.
    """

    assets: Mapping[str, Asset]
    calls: Mapping[str, int]
    parties: Mapping[str, Party]
    disclosure: Disclosure | None
    spent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question to judge. policies: by asset; an asset with no terms, or with several, is absent from it."""

    plan: Plan
    policies: Mapping[str, Policy]
    history: History
    now: datetime.datetime

    @cached_property
    def uses(self) -> PlanUses:
        """Every use of every column: those that the plan declares, and those that follow from what it computes."""
        return uses_of(self.plan)

    @property
    def assets(self) -> tuple[str, ...]:
        """Every asset that the plan touches or speaks of, sorted."""
        return self.uses.assets

    @property
    def terms(self) -> tuple[Policy, ...]:
        """The terms of the assets that have them, in the assets' order."""
        return tuple(self.policies[asset] for asset in self.assets if asset in self.policies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One constraint. terms: the fields of Policy that it judges. check yields at least one finding for any case."""

    name: str
    terms: tuple[str, ...]
    check: Callable[[Case], tuple[Finding, ...]]


def finding(check: str, *, passes: bool, subject: str, message: str) -> Finding:
    """Return a finding that passes or fails."""
    verdict: Verdict = "pass" if passes else "fail"
    return Finding(check=check, verdict=verdict, subject=_printable(subject), message=_printable(message))


def unknown(check: str, *, subject: str, message: str) -> Finding:
    """Return a finding that cannot be decided, which blocks like a failure."""
    return Finding(check=check, verdict="inconclusive", subject=_printable(subject), message=_printable(message))


def each_term(case: Case, check: str, judge: Callable[[Policy], Finding]) -> tuple[Finding, ...]:
    """Return one finding per asset that has terms; a failure if there is none at all."""
    if not case.terms:
        return (finding(check, passes=False, subject="plan", message="no asset of the plan has terms; ask their owners"),)
    return tuple(judge(policy) for policy in case.terms)


def listed(names: tuple[str, ...]) -> str:
    """Return names as a person reads them; `nothing` for none."""
    return ", ".join(names) if names else "nothing"


def _printable(text: str) -> str:
    """Names in a plan come from outside: no line breaks, escapes or direction marks, and no end of text."""
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT])
