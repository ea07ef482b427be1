"""Checks on the log part of a bundle: checkpoints, inclusion, signatures, citations, and log before effect."""

from __future__ import annotations

from sandbox.audit.case import SKEW, Case
from sandbox.audit.events import AUTHORISATION, RULES, check_cited_kinds, check_shape
from sandbox.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from sandbox.audit.note import require_quorum
from sandbox.audit.receipt import decode_hashes
from sandbox.errors import AuditError, DocumentError
from sandbox.model.canonical import canonical
from sandbox.model.evidence import EVENT_CONTEXT


def checkpoint(case: Case) -> str:
    """The log of the trust file signed the checkpoint, and a quorum of its witnesses cosigned it, not in the future."""
    signed, log = case.checkpoint, case.trust.log
    require_quorum(signed, log)
    if case.now is not None and max(signed.cosigned.values()) > (case.now + SKEW).timestamp():
        raise AuditError("a witness's cosignature is dated in the future", place="checkpoint")
    return f"size {signed.checkpoint.size} of {log.origin}, cosigned by {', '.join(sorted(signed.cosigned))}"


def continuity(case: Case) -> str:
    """Each earlier checkpoint has its quorum, and the last checkpoint continues it: one history, not two."""
    final, previous = case.checkpoint.checkpoint, 0
    for index, item in enumerate(case.bundle.log.earlier):
        place = f"earlier checkpoint {index}"
        if len(case.earlier) != len(case.bundle.log.earlier):
            raise AuditError("two earlier checkpoints are one", place=place)
        signed = list(case.earlier.values())[index]
        require_quorum(signed, case.trust.log, place=place)
        found = signed.checkpoint
        if not previous < found.size < final.size:
            problem = f"size {found.size} does not stand between {previous} and {final.size}: sizes only grow"
            raise AuditError(problem, place=place)
        proof = decode_hashes(item.proof, place=place)
        verify_consistency(found.size, found.root, final.size, final.root, proof, place=place)
        previous = found.size
    named = {event.checkpoint for event in case.events}
    unused = [index for index, name in enumerate(case.earlier) if name not in named]
    if unused:
        raise AuditError("no event relied on it", place=f"earlier checkpoint {unused[0]}")
    return f"{len(case.earlier)} earlier checkpoints are continued by the last one"


def inclusion(case: Case) -> str:
    """Every entry stands in the log at its index, in the log's order, once."""
    final, previous = case.checkpoint.checkpoint, -1
    for item, place in zip(case.bundle.log.entries, case.places, strict=True):
        if item.index <= previous:
            raise AuditError(f"it stands after log index {previous}: reordered or twice", place=place)
        previous = item.index
        proof = decode_hashes(item.proof, place=place)
        verify_inclusion(leaf_hash(item.entry.leaf()), item.index, final.size, proof, final.root, place=place)
    return f"{len(case.events)} entries with proofs towards size {final.size}"


def signatures(case: Case) -> str:
    """Every event is signed by the party that it names, which the trust file believes at that time, in a role that may."""
    latest = case.checkpoint.quorum_time(case.trust.log.quorum) + SKEW
    for item, event, place in zip(case.bundle.log.entries, case.events, case.places, strict=True):
        signature = item.entry.signature
        party = case.trust.require(event.party, at=event.time, place=place)
        if signature.party != event.party:
            raise AuditError(f"the event names {event.party} and is signed as {signature.party[:40]!a}", place=place)
        party.identity.verify(EVENT_CONTEXT, canonical(event), signature.to_bytes(place=place), place=place)
        roles = RULES[event.kind].roles
        if not roles & set(party.roles):
            words = " or ".join(sorted(roles))
            raise AuditError(f"{event.party} is no {words} in the trust file", place=place, kind="untrusted")
        if event.time > latest:
            raise AuditError("it is dated after the witnesses cosigned the log that holds it", place=place)
        try:
            check_shape(event)
        except DocumentError as error:
            raise AuditError(str(error), place=place) from None
    return f"{len(case.events)} events by {', '.join(sorted({event.party for event in case.events}))}"


def citations(case: Case) -> str:
    """Every citation leads to an earlier entry of the right kind, and the release relies on every entry."""
    if len(case.positions) != len(case.events):
        raise AuditError("an event stands there twice", place="entries")
    for position, event in enumerate(case.events):
        cited = [_resolved(case, position, name) for name in event.cites]
        try:
            check_cited_kinds(event, (case.events[at].kind for at in cited))
        except DocumentError as error:
            raise AuditError(str(error), place=case.places[position]) from None
        if any(event.time + SKEW < case.events[at].time for at in cited):
            raise AuditError("it is dated before an event that it cites", place=case.places[position])
        _check_task(case, position)
    release = case.only("product.released")
    reached, waiting = {release}, [release]
    while waiting:
        found = {case.positions[name] for name in case.events[waiting.pop()].cites} - reached
        reached |= found
        waiting += found
    for position, event in enumerate(case.events):
        if position not in reached and event.kind != "grant.revoked":
            raise AuditError("the release does not rely on it; nothing ties it to this product", place=case.places[position])
    data = sum(event.kind not in AUTHORISATION for event in case.events)
    return f"{len(case.events) - data} authorisation events, {data} data events, all tied to the release"


def log_before_effect(case: Case) -> str:
    """Whoever acted had seen, cosigned by a quorum, what it relied on, and is not dated before that."""
    acted = [position for position, event in enumerate(case.events) if event.checkpoint is not None]
    for position in acted:
        event, place = case.events[position], case.places[position]
        seen = case.earlier.get(event.checkpoint or "")
        if seen is None:
            raise AuditError("the checkpoint that it relied on is not in the bundle", place=place, kind="incomplete")
        size = seen.checkpoint.size
        if size > case.log_index(position):
            raise AuditError(f"it relied on size {size}, which already holds it", place=place)
        if event.time + SKEW < seen.quorum_time(case.trust.log.quorum):
            raise AuditError("it is dated before the witnesses cosigned what it relied on", place=place)
        for name in event.cites:
            if case.log_index(case.positions[name]) >= size:
                cited = case.places[case.positions[name]]
                raise AuditError(f"it relied on size {size}, which does not hold {cited} yet", place=place)
    return f"{len(acted)} events name a cosigned checkpoint that holds what they relied on"


def _resolved(case: Case, position: int, name: str) -> int:
    cited = case.positions.get(name)
    if cited is None:
        raise AuditError(f"it cites {name}, which is not in the bundle", place=case.places[position], kind="incomplete")
    if cited >= position:
        raise AuditError(f"it cites {case.places[cited]}, which does not precede it", place=case.places[position])
    return cited


def _check_task(case: Case, position: int) -> None:
    event = case.events[position]
    if (event.kind == "task.authorised" or event.kind not in AUTHORISATION) and event.task != case.bundle.task:
        raise AuditError(f"it belongs to task {event.task}, not to {case.bundle.task[:40]!a}", place=case.places[position])
