"""check_grant: a plan before the grant that is said to allow it. Pure and total: reasons, never exceptions."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sandbox.errors import AuditError
from sandbox.model.decision import Decision, Finding
from sandbox.model.grant import (
    Grant,
    GrantedAsset,
    Revocation,
    SignedGrant,
    SignedRevocation,
    template_digest,
    verify_grant,
    verify_revocation,
)
from sandbox.model.party import Party, share_owner
from sandbox.model.plan import Plan
from sandbox.policy.case import finding, listed, unknown
from sandbox.policy.uses import uses_of

Uses = dict[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class _GrantCase:
    """chain: the grant, its parent, the parent's parent and so on, as far as they were given."""

    plan: Plan
    signed: SignedGrant
    chain: tuple[SignedGrant, ...]
    revocations: tuple[SignedRevocation, ...]
    parties: Mapping[str, Party]
    now: datetime.datetime
    usage: Mapping[str, int]

    @property
    def grant(self) -> Grant:
        return self.signed.grant

    @cached_property
    def subject(self) -> str:
        return f"grant {self.grant.id}"

    @cached_property
    def digests(self) -> tuple[str, ...]:
        return tuple(item.grant.digest() for item in self.chain)


def check_grant(
    plan: Plan,
    grant: SignedGrant,
    *,
    revocations: Iterable[SignedRevocation],
    parties: Mapping[str, Party],
    now: datetime.datetime,
    usage: Mapping[str, int],
    ancestors: Sequence[SignedGrant] = (),
) -> Decision:
    """Return whether the grant allows this plan now, with a finding from each check, passes included.

    ancestors: the grants that this one narrows, in any order. usage: uses counted so far by grant digest, reserved ones
    included; a grant of the chain that is missing there blocks. The ledger, not this, holds limits under parallel runs.
    """
    case = _GrantCase(
        plan=plan,
        signed=grant,
        chain=_chain(grant, ancestors),
        revocations=tuple(revocations),
        parties=parties,
        now=now,
        usage=usage,
    )
    return Decision(findings=tuple(item for check in CHECKS for item in check(case)))


def check_revocation(revocation: SignedRevocation, grant: SignedGrant, parties: Mapping[str, Party]) -> Decision:
    """Return whether a revocation ends this grant: it names it, and one of its signers or its requester signed it."""
    subject, by = f"grant {grant.grant.id}", revocation.revocation.by
    if revocation.revocation.grant != grant.grant.digest():
        message = f"the revocation is of another grant than {subject}"
        return Decision(findings=(finding("grant.revocation", passes=False, subject=subject, message=message),))
    counts = _may_revoke(revocation, grant.grant, parties)
    allowed = listed(tuple(dict.fromkeys((*grant.grant.signers, grant.grant.requester))))
    message = f"{by} ends {subject}" if counts else f"{by} cannot end {subject}, or did not sign; {allowed} can"
    return Decision(findings=(finding("grant.revocation", passes=counts, subject=subject, message=message),))


def _chain(grant: SignedGrant, ancestors: Sequence[SignedGrant]) -> tuple[SignedGrant, ...]:
    """A digest cannot name itself through others, so a chain never runs in a circle."""
    known = {item.grant.digest(): item for item in ancestors}
    chain = [grant]
    while (parent := known.get(chain[-1].grant.parent or "")) is not None:
        chain.append(parent)
    return tuple(chain)


def _signatures(case: _GrantCase) -> tuple[Finding, ...]:
    return tuple(_signed(item, case.parties) for item in case.chain)


def _signed(signed: SignedGrant, parties: Mapping[str, Party]) -> Finding:
    subject = f"grant {signed.grant.id}"
    try:
        verify_grant(signed, parties)
    except AuditError as error:
        return finding("grant.signatures", passes=False, subject=subject, message=f"{error.place}: {error.problem}")
    message = f"{subject} is signed by {listed(signed.grant.signers)}"
    return finding("grant.signatures", passes=True, subject=subject, message=message)


def _separation(case: _GrantCase) -> tuple[Finding, ...]:
    return tuple(_parties_of(item.grant, case.parties) for item in case.chain)


def _parties_of(grant: Grant, parties: Mapping[str, Party]) -> Finding:
    name, subject = "grant.parties", f"grant {grant.id}"
    involved = tuple(dict.fromkeys((grant.requester, *grant.signers)))
    absent = tuple(party for party in involved if party not in parties or parties[party].status != "admitted")
    if absent:
        message = f"{listed(absent)} is not an admitted party, so {subject} does not hold"
        return finding(name, passes=False, subject=subject, message=message)
    if "authoriser" not in parties[grant.authoriser].roles:
        message = f"{grant.authoriser} signed {subject} as authoriser and has no such role"
        return finding(name, passes=False, subject=subject, message=message)
    own = tuple(party for party in (grant.authoriser, *grant.providers) if share_owner(party, grant.requester, parties))
    if own:
        message = f"{listed(own)} may not approve a request of {grant.requester}: they are one party, or have one owner"
        return finding(name, passes=False, subject=subject, message=message)
    return finding(name, passes=True, subject=subject, message=f"{subject} is approved by others than {grant.requester}")


def _foreign(case: _GrantCase) -> tuple[Finding, ...]:
    grant, plan = case.grant, case.plan
    asked = plan.digest() if grant.by == "plan" else template_digest(plan)
    same_plan = asked == grant.plan
    words = "this plan" if grant.by == "plan" else "this plan's template"
    plan_message = (
        f"{case.subject} is for {words}" if same_plan else f"{case.subject} is for another plan; request one for this"
    )
    same_party = plan.operator == grant.requester
    party_message = f"{case.subject} belongs to {grant.requester}" + (
        "" if same_party else f", and {plan.operator} runs the plan"
    )
    return (
        finding("grant.plan", passes=same_plan, subject=case.subject, message=plan_message),
        finding("grant.requester", passes=same_party, subject=case.subject, message=party_message),
    )


def _scope(case: _GrantCase) -> tuple[Finding, ...]:
    grant, plan = case.grant, case.plan
    planned = uses_of(plan)
    wanted: Uses = {place: frozenset(uses) for place, uses in planned.uses.items()}
    problems = [f"the plan makes no sense: {problem}" for problem in planned.problems]
    if plan.purpose != grant.purpose:
        problems.append(f"the plan's purpose is {plan.purpose}, the grant's {grant.purpose}")
    if plan.rules.profile != grant.profile:
        problems.append(f"the plan's profile is {plan.rules.profile}, the grant's {grant.profile}")
    more = tuple(name for name in plan.recipients if name not in grant.recipients)
    if more or not plan.recipients:
        problems.append(f"the plan's product goes to {listed(plan.recipients)}, the grant's to {listed(grant.recipients)}")
    if {source.provider for source in plan.inputs} != set(grant.providers):
        problems.append("the plan's providers are not those that the grant names")
    if {source.asset: source.asset_version for source in plan.inputs} != {item.asset: item.version for item in grant.assets}:
        problems.append("the plan's assets or their versions are not those that the grant names")
    problems += [f"the plan uses {text}, which the grant does not name" for text in _beyond(wanted, _granted(grant.assets))]
    problems += [f"the grant names {text}, which the plan does not use" for text in _beyond(_granted(grant.assets), wanted)]
    if problems:
        return tuple(finding("grant.scope", passes=False, subject=case.subject, message=problem) for problem in problems)
    message = f"{case.subject} names exactly the assets, columns and uses of the plan"
    return (finding("grant.scope", passes=True, subject=case.subject, message=message),)


def _granted(assets: Iterable[GrantedAsset]) -> Uses:
    return {(item.asset, column.column): frozenset(column.uses) for item in assets for column in item.columns}


def _beyond(wanted: Uses, allowed: Uses) -> list[str]:
    """Uses that are in the first and not in the second, in words."""
    found = ((place, tuple(sorted(uses - allowed.get(place, frozenset())))) for place, uses in wanted.items())
    return [f"{asset}.{column} for {listed(more)}" for (asset, column), more in found if more]


def _period(case: _GrantCase) -> tuple[Finding, ...]:
    name, grant = "grant.period", case.grant
    if case.now.utcoffset() is None:
        return (unknown(name, subject=case.subject, message="the time has no zone, so that no period can be judged"),)
    if case.now < grant.not_before:
        message = f"{case.subject} is not valid yet: it begins at {grant.not_before.isoformat()}"
        return (finding(name, passes=False, subject=case.subject, message=message),)
    if case.now >= grant.expires:
        message = f"{case.subject} expired at {grant.expires.isoformat()}; request another"
        return (finding(name, passes=False, subject=case.subject, message=message),)
    return (
        finding(name, passes=True, subject=case.subject, message=f"{case.subject} holds until {grant.expires.isoformat()}"),
    )


def _calls(case: _GrantCase) -> tuple[Finding, ...]:
    pairs = zip(case.chain, case.digests, strict=True)
    return tuple(_calls_left(signed.grant, case.usage.get(digest)) for signed, digest in pairs)


def _calls_left(grant: Grant, used: int | None) -> Finding:
    name, subject = "grant.calls", f"grant {grant.id}"
    if used is None or used < 0:
        return unknown(name, subject=subject, message=f"the uses of {subject} so far were not given")
    if used >= grant.calls:
        message = f"{subject} is used up: {used} of {grant.calls} calls; request another"
        return finding(name, passes=False, subject=subject, message=message)
    return finding(name, passes=True, subject=subject, message=f"{used} of {grant.calls} calls of {subject} are used")


def _revoked(case: _GrantCase) -> tuple[Finding, ...]:
    names = {digest: signed.grant for signed, digest in zip(case.chain, case.digests, strict=True)}
    found = [
        (names[item.revocation.grant], item.revocation)
        for item in case.revocations
        if item.revocation.grant in names and _may_revoke(item, names[item.revocation.grant], case.parties)
    ]
    if not found:
        return (finding("grant.revoked", passes=True, subject=case.subject, message=f"{case.subject} is not revoked"),)
    return tuple(_revoked_by(grant, revocation) for grant, revocation in found)


def _revoked_by(grant: Grant, revocation: Revocation) -> Finding:
    message = f"grant {grant.id} was revoked by {revocation.by} ({revocation.at.isoformat()}): {revocation.reason}"
    return finding("grant.revoked", passes=False, subject=f"grant {grant.id}", message=message)


def _may_revoke(signed: SignedRevocation, grant: Grant, parties: Mapping[str, Party]) -> bool:
    """Whoever signs a grant may revoke it, and its requester may give it up. Others' words, and forged ones, do not count."""
    if signed.revocation.by not in (*grant.signers, grant.requester):
        return False
    try:
        verify_revocation(signed, parties)
    except AuditError:
        return False
    return True


def _delegation(case: _GrantCase) -> tuple[Finding, ...]:
    name, top = "grant.delegation", case.chain[-1].grant
    if top.parent is not None:
        message = f"the grant that grant {top.id} narrows was not given, so that it cannot be judged"
        return (unknown(name, subject=case.subject, message=message),)
    if len(case.chain) == 1:
        return (finding(name, passes=True, subject=case.subject, message=f"{case.subject} is not delegated"),)
    links = zip(case.chain, case.chain[1:], strict=False)
    return tuple(_narrows(case.plan, child.grant, parent.grant) for child, parent in links)


def _narrows(plan: Plan, child: Grant, parent: Grant) -> Finding:
    wider = [
        axis
        for axis, narrower in (
            ("delegator", child.delegated_by == parent.requester),
            ("authoriser", child.authoriser == parent.authoriser),
            ("purpose", child.purpose == parent.purpose),
            ("profile", child.profile == parent.profile),
            ("recipients", set(child.recipients) <= set(parent.recipients)),
            ("providers", set(child.providers) == set(parent.providers)),
            ("calls", child.calls <= parent.calls),
            ("period", parent.not_before <= child.not_before and child.expires <= parent.expires),
            ("assets", {(a.asset, a.version) for a in child.assets} <= {(a.asset, a.version) for a in parent.assets}),
            ("columns", not _beyond(_granted(child.assets), _granted(parent.assets))),
            ("plan", _same_question(plan, child, parent)),
        )
        if not narrower
    ]
    subject = f"grant {child.id}"
    if wider:
        message = f"{subject} is wider than grant {parent.id}, which it should narrow, in {listed(tuple(wider))}"
        return finding("grant.delegation", passes=False, subject=subject, message=message)
    return finding("grant.delegation", passes=True, subject=subject, message=f"{subject} narrows grant {parent.id}")


def _same_question(plan: Plan, child: Grant, parent: Grant) -> bool:
    """One question: the same plan, the same template, or one plan of the parent's template."""
    if child.by == parent.by:
        return child.plan == parent.plan
    return child.by == "plan" and parent.plan == template_digest(plan)


CHECKS: tuple[Callable[[_GrantCase], tuple[Finding, ...]], ...] = (
    _signatures,
    _separation,
    _foreign,
    _scope,
    _period,
    _calls,
    _revoked,
    _delegation,
)
