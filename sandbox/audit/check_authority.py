"""Checks on who allowed what: plan, grants and their scope, period and revocation, and the decision."""

from __future__ import annotations

from sandbox.audit.case import Case
from sandbox.errors import AuditError
from sandbox.model.canonical import digest
from sandbox.model.grant import Grant, SignedGrant, template_digest, verify_grant
from sandbox.model.party import share_owner

Uses = frozenset[tuple[str, str, str]]


def plan(case: Case) -> str:
    """The plan that ran is the one that was submitted, authorised, opened and released, each by the party whose part it is."""
    found, name = case.bundle.plan, case.bundle.plan.digest()
    for position in (case.only("task.authorised"), case.only("session.opened"), case.only("product.released")):
        case.require_subjects(position, "plan", {name})
    if case.grant.by == "plan" and not any(name in case.events[at].about("plan") for at in case.of_kind("plan.submitted")):
        raise AuditError("no plan.submitted event names the plan", place="plan", kind="incomplete")
    _require_party(case, case.only("session.opened"), found.operator, "the plan's operator")
    _require_party(case, case.only("product.released"), found.gate, "the plan's gate")
    _require_party(case, case.only("task.authorised"), case.grant.authoriser, "the grant's authoriser")
    _check_separation(case)
    return name


def grants(case: Case) -> str:
    """The grant, and each one that it narrows, is signed by its authoriser, every provider and the delegator, and logged."""
    issued = {case.events[at].about("grant"): at for at in case.of_kind("grant.issued")}
    if len(issued) != len(case.bundle.grants) or len(case.of_kind("grant.issued")) != len(case.bundle.grants):
        raise AuditError("the grant.issued events are not one per grant", place="grants")
    case.require_subjects(case.only("task.authorised"), "grant", {case.grant.digest()})
    case.require_subjects(case.only("product.released"), "approval", {digest(item) for item in case.bundle.grants})
    for index, signed in enumerate(case.bundle.grants):
        position = issued.get((signed.grant.digest(),))
        if position is None:
            raise AuditError("no grant.issued event names it", place=f"grant {index}", kind="incomplete")
        _check_grant(case, index, signed, position)
    for index, (child, parent) in enumerate(zip(case.bundle.grants, case.bundle.grants[1:], strict=False)):
        _check_narrowing(case, index, child.grant, parent.grant)
    if case.bundle.grants[-1].grant.parent is not None:
        raise AuditError(
            "the grant that it narrows is missing", place=f"grant {len(case.bundle.grants) - 1}", kind="incomplete"
        )
    signers = dict.fromkeys(name for item in case.bundle.grants for name in item.grant.signers)
    return f"signed by {', '.join(signers)}"


def scope(case: Case) -> str:
    """The plan stays within the grant in every axis: purpose, profile, recipients, providers, assets, columns, uses."""
    found, grant, place = case.bundle.plan, case.grant, "grant 0"
    planned = {item.asset: item.asset_version for item in found.inputs}
    uses = frozenset((item.asset, item.column, use) for item in found.uses for use in item.uses)
    axes = (
        ("requester", found.operator == grant.requester),
        ("purpose", found.purpose == grant.purpose),
        ("profile", found.rules.profile == grant.profile),
        ("recipients", bool(found.recipients) and set(found.recipients) <= set(grant.recipients)),
        ("providers", {item.provider for item in found.inputs} == set(grant.providers)),
        ("assets or their versions", planned == {item.asset: item.version for item in grant.assets}),
        ("columns and uses", bool(uses) and uses <= _uses(grant)),
        ("plan", grant.plan == (found.digest() if grant.by == "plan" else template_digest(found))),
    )
    for name, within in axes:
        if not within:
            raise AuditError(f"the plan's {name} are not within the grant's", place=place)
    return f"purpose {grant.purpose}, {len(uses)} uses of columns, for {', '.join(found.recipients)}"


def period(case: Case) -> str:
    """The grant, and each one it narrows, held when the task was authorised and when it began, by the witnesses' clocks too."""
    authorised, opened = case.only("task.authorised"), case.only("session.opened")
    moments = (
        ("authorised", case.events[authorised].time),
        ("authorised, by the witnesses' clocks,", case.witnessed_at(authorised)),
        ("begun", case.events[opened].time),
    )
    for index, signed in enumerate(case.bundle.grants):
        grant = signed.grant
        for words, moment in moments:
            if not grant.not_before <= moment < grant.expires:
                problem = f"the task was {words} at {moment.isoformat()}; the grant holds from "
                problem += f"{grant.not_before.isoformat()} until {grant.expires.isoformat()}"
                raise AuditError(problem, place=f"grant {index}")
    return f"authorised at {moments[0][1].isoformat()}, before {case.grant.expires.isoformat()}"


def revocation(case: Case) -> str:
    """No revocation in the bundle precedes the release. One that was left out shows only in the whole log (`reconcile`)."""
    released = case.only("product.released")
    names = {signed.grant.digest(): index for index, signed in enumerate(case.bundle.grants)}
    for position in case.of_kind("grant.revoked"):
        event = case.events[position]
        found = [names[name] for name in event.about("grant") if name in names]
        if not found:
            raise AuditError("it revokes a grant that is not in the bundle", place=case.places[position])
        grant = case.bundle.grants[found[0]].grant
        if event.party not in (*grant.signers, grant.requester):
            raise AuditError(f"{event.party} cannot revoke grant {grant.id}", place=case.places[position])
        if position < released:
            raise AuditError(f"grant {grant.id} was revoked before the release", place=case.places[position])
    return "no revocation before the release is in the bundle"


def decision(case: Case) -> str:
    """The decision that allowed the task is the logged one, and every finding in it passes."""
    name = digest(case.bundle.decision)
    case.require_subjects(case.only("task.authorised"), "decision", {name})
    case.require_subjects(case.only("product.released"), "decision", {name})
    for index, finding in enumerate(case.bundle.decision.findings):
        if finding.verdict != "pass":
            problem = f"the check {finding.check[:60]!a} did not pass, and the task ran"
            raise AuditError(problem, place=f"decision, finding {index}")
    if not case.bundle.decision.allowed:
        raise AuditError("no check was made", place="decision")
    return f"{len(case.bundle.decision.findings)} findings, all pass"


def _check_grant(case: Case, index: int, signed: SignedGrant, position: int) -> None:
    grant, place = signed.grant, f"grant {index}"
    verify_grant(signed, case.trust.known, place=place)
    case.require_subjects(position, "approval", {digest(signed)})
    _require_party(case, position, grant.authoriser, "the grant's authoriser")
    at = case.events[position].time
    for name in grant.signers:
        party = case.trust.require(name, at=at, place=place)
        role = "authoriser" if name == grant.authoriser else "provider"
        if name != grant.delegated_by and role not in party.roles:
            raise AuditError(f"{name} signed as {role} and is none in the trust file", place=place, kind="untrusted")
        if name != grant.delegated_by and share_owner(name, grant.requester, case.trust.known):
            raise AuditError(f"{name} and the requester {grant.requester} are one party, or have one owner", place=place)


def _check_narrowing(case: Case, index: int, child: Grant, parent: Grant) -> None:
    axes = (
        ("parent", child.parent == parent.digest()),
        ("delegator", child.delegated_by == parent.requester),
        ("authoriser", child.authoriser == parent.authoriser),
        ("purpose", child.purpose == parent.purpose),
        ("profile", child.profile == parent.profile),
        ("recipients", set(child.recipients) <= set(parent.recipients)),
        ("providers", set(child.providers) == set(parent.providers)),
        ("calls", child.calls <= parent.calls),
        ("period", parent.not_before <= child.not_before and child.expires <= parent.expires),
        ("assets", {(a.asset, a.version) for a in child.assets} <= {(a.asset, a.version) for a in parent.assets}),
        ("columns and uses", _uses(child) <= _uses(parent)),
        ("plan", parent.plan in (child.plan, template_digest(case.bundle.plan))),
    )
    for name, narrower in axes:
        if not narrower:
            raise AuditError(f"its {name} is not within grant {index + 1}, which it narrows", place=f"grant {index}")


def _check_separation(case: Case) -> None:
    found, known = case.bundle.plan, case.trust.known
    for name in (found.operator, *(item.provider for item in found.inputs)):
        if share_owner(name, found.gate, known):
            raise AuditError(f"{name} and the gate {found.gate} are one party, or have one owner", place="plan")


def _require_party(case: Case, position: int, name: str, words: str) -> None:
    if case.events[position].party != name:
        raise AuditError(f"it is by {case.events[position].party}; {words} is {name[:40]!a}", place=case.places[position])


def _uses(grant: Grant) -> Uses:
    return frozenset(
        (item.asset, column.column, use) for item in grant.assets for column in item.columns for use in column.uses
    )
