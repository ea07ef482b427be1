"""Checks on what was computed: input commitments, transcripts from both ends, and the product that was released."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sandbox.audit.case import Case
from sandbox.audit.check_parts import left_out, rounds_of, silent_in
from sandbox.errors import AuditError
from sandbox.model.canonical import canonical, digest
from sandbox.model.evidence import TRANSCRIPT_CONTEXT, SignedTranscript, TranscriptChain, payload_digest
from sandbox.model.plan import Plan


def payload(case: Case) -> str:
    """The Arrow file is the one that the product record names."""
    record = case.bundle.product
    if len(case.payload) != record.payload_bytes:
        problem = f"the file has {len(case.payload)} bytes, the record says {record.payload_bytes}"
        raise AuditError(problem, place="product.arrow")
    if payload_digest(case.payload) != record.payload:
        raise AuditError("the file is not the one that was released", place="product.arrow")
    return record.payload


def commitments(case: Case) -> str:
    """Each input of the plan has a commitment by its provider, in the log before the session was opened.

    A part that is not in the sum may have fallen silent before it committed.
    """
    release, opened = case.only("product.released"), case.only("session.opened")
    found = case.bundle.commitments
    missing = left_out(case.bundle.product.card.absent)
    everyone = [(item.provider, item.asset, item.asset_version) for item in case.bundle.plan.inputs]
    wanted = [item for item in everyone if item[0] not in missing]
    named = [(item.provider, item.asset, item.asset_version) for item in found]
    if absent := [item for item in wanted if item not in named]:
        problem = f"no commitment by {absent[0][0]} to {absent[0][1]} version {absent[0][2]}"
        raise AuditError(problem, place="commitments", kind="incomplete")
    if len(set(named)) != len(named) or not set(named) <= set(everyone):
        raise AuditError("the commitments are not one for each input of the plan", place="commitments")
    case.require_subjects(release, "commitment", {digest(item) for item in found})
    logged = {name: at for at in case.of_kind("input.committed") for name in case.events[at].about("commitment")}
    for index, item in enumerate(found):
        place = f"commitment {index}"
        if item.task != case.bundle.task:
            raise AuditError(f"it is for task {item.task}", place=place)
        position = logged.pop(digest(item), None)
        if position is None:
            raise AuditError("no input.committed event names it", place=place, kind="incomplete")
        if case.events[position].party != item.provider:
            raise AuditError(f"{case.events[position].party} logged a commitment of {item.provider}", place=place)
        if position > opened:
            raise AuditError("it was logged after the session had been opened", place=place)
    if logged:
        raise AuditError("a commitment was logged that is not in the bundle", place=case.places[min(logged.values())])
    return f"{len(found)} tables committed before the first frame"


def transcripts(case: Case) -> str:
    """Every party that stayed signed what it sent and received, and both ends of each direction agree; so in each round."""
    release = case.only("product.released")
    case.require_subjects(release, "transcript", {digest(item) for item in case.bundle.transcripts})
    sessions: dict[str, list[tuple[int, SignedTranscript]]] = {}
    for index, signed in enumerate(case.bundle.transcripts):
        _check_signed(case, index, signed, case.events[release].time)
        sessions.setdefault(signed.transcript.session, []).append((index, signed))
    rounds = rounds_of(case)
    if rounds and set(sessions) != {item.session for item in rounds}:
        raise AuditError("they are not of the rounds that the model's record names", place="transcripts", kind="incomplete")
    if not rounds:
        if len(sessions) > 1:
            second = list(sessions.values())[1][0]
            raise AuditError("it is of another task or session", place=f"transcript {second[0]} ({second[1].transcript.party})")
        silent = {item.provider for item in case.bundle.product.card.absent}
        everyone = {item.provider for item in case.bundle.plan.inputs}
        return f"{_check_session(case, case.bundle.transcripts, everyone - silent, silent)} frames agree from both ends"
    frames = 0
    for item in rounds:
        silent = set(silent_in(case, item.number))
        found = [signed for _, signed in sessions[item.session]]
        frames += _check_session(case, found, set(item.parties) - silent, silent)
    return f"{frames} frames of {len(rounds)} rounds agree from both ends"


def _check_signed(case: Case, index: int, signed: SignedTranscript, at: datetime.datetime) -> None:
    item, place = signed.transcript, f"transcript {index} ({signed.transcript.party})"
    party = case.trust.require(item.party, at=at, place=place)
    if signed.signature.party != item.party:
        raise AuditError(f"it is signed as {signed.signature.party[:40]!a}", place=place)
    party.identity.verify(TRANSCRIPT_CONTEXT, canonical(item), signed.signature.to_bytes(place=place), place=place)
    if item.task != case.bundle.task:
        raise AuditError("it is of another task or session", place=place)


def _check_session(case: Case, found: Sequence[SignedTranscript], providers: set[str], silent: set[str]) -> int:
    """Compare the transcripts of one session; return its frames. providers: those that stayed to its end."""
    parties = {case.bundle.plan.operator, case.bundle.plan.gate, *providers}
    named = [item.transcript.party for item in found]
    if absent := sorted(parties - set(named)):
        raise AuditError(f"the transcript of {absent[0]} is missing", place="transcripts", kind="incomplete")
    if sorted(parties) != named:
        raise AuditError("the transcripts are not one for each party, in the order of their names", place="transcripts")
    return _match(found, parties, silent)


def product(case: Case) -> str:
    """The release names the record; the card tells the plan's story; what did not pass the gate was withheld."""
    release, record, found = case.only("product.released"), case.bundle.product, case.bundle.plan
    case.require_subjects(release, "product", {digest(record)})
    case.require_subjects(release, "payload", {record.payload})
    card = record.card
    sources = tuple((item.provider, item.asset, item.asset_version, item.asset_digest) for item in card.sources)
    told = (
        ("task", record.task == case.bundle.task),
        ("plan_digest", card.plan_digest == found.digest()),
        ("title, purpose or sql", (card.title, card.purpose, card.sql) == (found.title, found.purpose, found.sql)),
        ("recipients", card.recipients == found.recipients),
        ("operator or gate", (card.operator, card.gate) == (found.operator, found.gate)),
        ("rules", card.rules == found.rules),
        ("profile", (card.profile, card.profile_version) == (found.rules.profile, found.rules.version)),
        ("parameters", card.parameters == found.parameters),
        ("columns", tuple(item.name for item in card.columns) == _column_names(found)),
        (
            "sources",
            sources
            == tuple(
                (item.provider, item.asset, item.asset_version, item.asset_digest)
                for item in found.inputs
                if item.provider not in left_out(card.absent)
            ),
        ),
    )
    for name, true in told:
        if not true:
            raise AuditError(f"its {name} is not the plan's", place="product card")
    return _findings(case)


def _column_names(plan: Plan) -> tuple[str, ...]:
    return tuple(item.name for item in plan.select) if plan.fit is None else plan.fit.columns


def _findings(case: Case) -> str:
    card = case.bundle.product.card
    if not card.findings:
        raise AuditError("the gate made no finding", place="product card", kind="incomplete")
    failed = set()
    for index, finding in enumerate(card.findings):
        if finding.verdict != "pass" and finding.reason is None:
            problem = f"the gate's check {finding.check[:60]!a} did not pass and withheld nothing"
            raise AuditError(problem, place=f"product card, finding {index}")
        if finding.verdict != "pass":
            failed.add(finding.reason)
    for index, cell in enumerate(card.withheld):
        if cell.reason not in failed:
            raise AuditError(f"no finding explains {cell.reason}", place=f"product card, withheld cell {index}")
    return f"{card.rows} rows, {len(card.withheld)} cells withheld, {len(card.findings)} findings of the gate"


def _match(found: Sequence[SignedTranscript], parties: set[str], silent: set[str]) -> int:
    """Compare each direction's two ends; return the frames of all directions. Of who fell silent there is no other end."""
    ends: dict[tuple[str, str, str], TranscriptChain] = {}
    for signed in found:
        for chain in signed.transcript.chains:
            if chain.peer in silent:
                continue
            if chain.peer not in parties or chain.peer == signed.transcript.party:
                place = f"transcript of {signed.transcript.party}"
                raise AuditError(f"the peer {chain.peer} takes no part in this task", place=place)
            pair = (signed.transcript.party, chain.peer)
            ends[(*(pair if chain.direction == "sent" else pair[::-1]), chain.direction)] = chain
    frames = 0
    for sender, recipient in sorted({key[:2] for key in ends}):
        frames += _match_direction(
            ends.get((sender, recipient, "sent")),
            ends.get((sender, recipient, "received")),
            place=f"frames from {sender} to {recipient}",
        )
    if not frames:
        raise AuditError("no frame was exchanged", place="transcripts", kind="incomplete")
    return frames


def _match_direction(sent: TranscriptChain | None, received: TranscriptChain | None, *, place: str) -> int:
    if sent is None or received is None:
        raise AuditError("only one end shows these frames", place=place, kind="incomplete")
    if sent.frames == received.frames + 1:
        problem = f"the last of {sent.frames} frames has not arrived: inconclusive, not guilt"
        raise AuditError(problem, place=place, kind="incomplete")
    if (sent.frames, sent.size_bytes, sent.head) != (received.frames, received.size_bytes, received.head):
        raise AuditError(f"the ends disagree ({sent.frames} frames sent, {received.frames} received)", place=place)
    return sent.frames
