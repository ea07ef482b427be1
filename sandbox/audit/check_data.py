"""Checks on what was computed: input commitments, transcripts from both ends, and the product that was released."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

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
    release, found = case.only("product.released"), case.bundle.transcripts
    sessions = _sessions(case)
    for one in sessions:
        _check_named(one)
    case.require_subjects(release, "transcript", {digest(item) for item in found})
    first = {one.transcripts[0].transcript.session for one in sessions}
    for index, signed in enumerate(found):
        _check_signed(case, index, signed, case.events[release].time, first)
    frames = sum(_match(one.transcripts, one.parties, one.silent) for one in sessions)
    return f"{frames} frames{f' of {len(sessions)} rounds' if rounds_of(case) else ''} agree from both ends"


@dataclass(frozen=True, slots=True)
class _Session:
    """One session's transcripts; who stayed to its end, operator and gate included; who had fallen silent by then."""

    transcripts: Sequence[SignedTranscript]
    parties: set[str]
    silent: set[str]


def _sessions(case: Case) -> list[_Session]:
    """The one session of a task; of a fitted model one for each round that its record names."""
    plan, found, rounds = case.bundle.plan, case.bundle.transcripts, rounds_of(case)
    desk = {plan.operator, plan.gate}
    if not rounds:
        silent = {item.provider for item in case.bundle.product.card.absent}
        return [_Session(found, desk | {item.provider for item in plan.inputs} - silent, silent)]
    if {item.transcript.session for item in found} - {item.session for item in rounds}:
        raise AuditError("they are not all of rounds that the model's record names", place="transcripts")
    sessions = []
    for item in rounds:
        silent = set(silent_in(case, item.number))
        own = [signed for signed in found if signed.transcript.session == item.session]
        sessions.append(_Session(own, desk | set(item.parties) - silent, silent))
    return sessions


def _check_named(session: _Session) -> None:
    named = [item.transcript.party for item in session.transcripts]
    if absent := sorted(session.parties - set(named)):
        raise AuditError(f"the transcript of {absent[0]} is missing", place="transcripts", kind="incomplete")
    if sorted(session.parties) != named:
        raise AuditError("the transcripts are not one for each party, in the order of their names", place="transcripts")


def _check_signed(case: Case, index: int, signed: SignedTranscript, at: datetime.datetime, sessions: set[str]) -> None:
    item, place = signed.transcript, f"transcript {index} ({signed.transcript.party})"
    party = case.trust.require(item.party, at=at, place=place)
    if signed.signature.party != item.party:
        raise AuditError(f"it is signed as {signed.signature.party[:40]!a}", place=place)
    party.identity.verify(TRANSCRIPT_CONTEXT, canonical(item), signed.signature.to_bytes(place=place), place=place)
    if item.task != case.bundle.task or item.session not in sessions:
        raise AuditError("it is of another task or session", place=place)


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
        ("columns", tuple((item.name, item.type) if found.release else item.name for item in card.columns) == _columns(found)),
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


def _columns(plan: Plan) -> tuple[object, ...]:
    """What a plan says of its product's columns: names and, of rows, types."""
    if plan.release is not None:
        return tuple((column.name, column.type) for column in plan.release.released)
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
