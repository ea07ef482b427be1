"""Granting: requests and signatures, where each grant stands, and which one covers a plan."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
from typing import Literal

from sandbox.model.grant import SignedGrant, request_grant, template_digest
from sandbox.model.plan import Plan
from sandbox.node.manager import ManagerNode, grant_subject, refusal
from sandbox.policy import RequestResource, authorise
from sandbox.tasks.casefile import KeptGrant

GrantState = Literal["requested", "valid", "not yet valid", "used up", "expired", "revoked"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A grant, where it stands now, how often it was used, and whose signatures are missing."""

    kept: KeptGrant
    state: GrantState
    used: int
    missing: tuple[str, ...]


def request(
    manager: ManagerNode, plan: Plan, *, calls: int, days: int, by: Literal["plan", "template"] = "plan"
) -> SignedGrant:
    """Log a plan's submission and return the grant that it needs, unsigned. Raises Denied, logged, for a wrong role."""
    # Witnesses' clocks count whole seconds: a grant that began within one would seem to be used before.
    now = manager.now().replace(microsecond=0)
    signed = request_grant(
        plan,
        id=f"grant-{secrets.token_hex(6)}",
        authoriser=manager.name,
        calls=calls,
        not_before=now,
        expires=now + datetime.timedelta(days=days),
        by=by,
    )
    _require_role(manager, plan.operator, "request", plan, signed)
    submitted = manager.event(
        "plan.submitted", task=signed.grant.id, subjects={"plan": plan.digest()}, cites=[], party=plan.operator
    )
    manager.keep_grant(KeptGrant(signed=signed, plan=plan, submitted=submitted, issued=None))
    return signed


def sign(manager: ManagerNode, grant: str, party: str) -> SignedGrant:
    """Add one signer's signature to a kept grant; role and all owners' terms decide first. Raises Denied, NotFound."""
    kept = manager.records.grant(grant)
    _require_role(manager, party, "approve", kept.plan, kept.signed)
    decision = manager.judge(kept.plan)
    if not decision.allowed:
        raise manager.deny(kept.plan, decision, task=kept.signed.grant.id, cites=[kept.submitted])
    signed = kept.signed.sign(party, manager.workspace.identity(party))
    return manager.keep_grant(dataclasses.replace(kept, signed=signed)).signed


def _require_role(
    manager: ManagerNode, party: str, action: Literal["request", "approve"], plan: Plan, signed: SignedGrant
) -> None:
    grant = signed.grant
    resource = RequestResource(name=grant.id, requester=grant.requester, providers=grant.providers)
    decision = authorise(party, action, resource, manager.workspace.parties)
    if not decision.allowed:
        raise manager.deny(plan, decision, task=grant.id)


def standing(manager: ManagerNode, kept: KeptGrant) -> Standing:
    """Return where a grant stands now."""
    grant = kept.signed.grant
    subject = grant_subject(grant.digest())
    used = manager.ledger.usage([subject])[subject]
    signed = {item.party for item in kept.signed.signatures}
    missing = tuple(name for name in grant.signers if name not in signed)
    now = manager.now()
    state: GrantState = "valid"
    if manager.is_revoked(kept.signed):
        state = "revoked"
    elif now >= grant.expires:
        state = "expired"
    elif missing:
        state = "requested"
    elif used >= grant.calls:
        state = "used up"
    elif now < grant.not_before:
        state = "not yet valid"
    return Standing(kept=kept, state=state, used=used, missing=missing)


def standings(manager: ManagerNode) -> tuple[Standing, ...]:
    """Return where every grant stands, oldest first."""
    found = sorted(manager.records.grants(), key=lambda kept: (kept.signed.grant.not_before, kept.signed.grant.id))
    return tuple(standing(manager, kept) for kept in found)


def grant_for(manager: ManagerNode, plan: Plan) -> SignedGrant:
    """Return the newest valid grant for a plan or its template; if none is valid, the newest one, whose run says why not.

    Raises Denied, logged, if there is no grant for this plan at all.
    """
    wanted = {("plan", plan.digest()), ("template", template_digest(plan))}
    found = [
        item
        for item in standings(manager)
        if (item.kept.signed.grant.by, item.kept.signed.grant.plan) in wanted
        and item.kept.signed.grant.requester == plan.operator
    ]
    if not found:
        message = "no grant covers this plan; ask for one with `sandbox grant request`"
        decision = refusal("grant.plan", f"plan {plan.digest()}", message)
        raise manager.deny(plan, decision, task=f"task-{secrets.token_hex(8)}")
    valid = [item for item in found if item.state == "valid"]
    return (valid or found)[-1].kept.signed
