"""Granting: where each grant stands, and which one covers a plan."""

from __future__ import annotations

import dataclasses
import secrets
from typing import Literal

from sandbox.model.grant import SignedGrant, template_digest
from sandbox.model.plan import Plan
from sandbox.node.manager import ManagerNode, grant_subject, refusal
from sandbox.tasks.casefile import KeptGrant

GrantState = Literal["requested", "valid", "not yet valid", "used up", "expired", "revoked"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A grant, where it stands now, how often it was used, and whose signatures are missing."""

    kept: KeptGrant
    state: GrantState
    used: int
    missing: tuple[str, ...]


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
