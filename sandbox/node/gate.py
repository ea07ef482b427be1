"""The gate at the manager's node: judge what was decrypted, release it once with its evidence, or withhold it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from sandbox.audit.bundle import build_bundle, product_record, write_bundle
from sandbox.audit.note import SignedCheckpoint
from sandbox.errors import Withheld
from sandbox.gate.model import judge_model
from sandbox.ledger import LedgerTransaction
from sandbox.model.canonical import digest
from sandbox.model.certificate import AttackResult, HistoryPosition, Measurement, SignedCertificate
from sandbox.model.decision import Decision, Finding
from sandbox.model.evidence import InputCommitment, SignedEvent, SignedTranscript
from sandbox.model.product import ReleaseRecord
from sandbox.node.manager import ManagerNode, use_key
from sandbox.tasks.casefile import CaseFile, KeptGrant, ReleasedProduct, Task
from sandbox.tasks.judging import Judge, Judged
from sandbox.tasks.measured import certify
from sandbox.tasks.records import ReleaseHistory


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proceedings:
    """What happened between a task's authorisation and its answer, as its nodes signed it."""

    task: Task
    decision: Decision
    grants: tuple[KeptGrant, ...]
    commitments: tuple[InputCommitment, ...]
    transcripts: tuple[SignedTranscript, ...]
    events: tuple[SignedEvent, ...]
    opened: SignedEvent
    checkpoints: tuple[SignedCheckpoint, ...]


def publish(manager: ManagerNode, proceedings: Proceedings, judge: Judge) -> ReleasedProduct:
    """Judge what was computed and release what passes, in one transaction with the use that it costs and its log entry.

    Releases take turns: if another one came first, the checks against history run again. The product leaves this node only
    when its release is in the log and its bundle is written. Raises Withheld if nothing passes, or if any verdict
    of the certificate is not PASS; that costs the use too, since a refusal tells something.
    """
    plan = proceedings.task.plan
    while True:
        history = manager.records.history([entry.asset for entry in plan.inputs], apart_from=proceedings.task.id)
        judged = judge(history.records)
        certificate = _certificate(manager, proceedings.task, judged, history)
        if judged.nothing_released or certificate.certificate.blocking:
            withhold(manager, proceedings.task, proceedings.decision, proceedings.opened)
            raise Withheld((*judged.card.findings, *map(_blocked, certificate.certificate.blocking)))
        product = _product(manager, proceedings, judged, certificate)
        with manager.ledger.transaction(manager.clock()) as transaction:
            if not manager.records.is_newest(transaction.connection, history):
                continue
            _keep(manager, transaction, judged.record, product)
        manager.logbook.deliver()
        write_evidence(manager, product)
        return product


def tell(manager: ManagerNode, task: Task, record: ReleaseRecord) -> Finding:
    """Return what the history says of weights over the rows and parts of `record`; if it passes, they are kept as told.

    To be called before weights leave the gate: who stops a fit has seen them, though no model was judged.
    """
    while True:
        history = manager.records.history([entry.asset for entry in task.plan.inputs], apart_from=task.id)
        found = judge_model(task.plan, record, history.records)
        if found.verdict != "pass":
            return found
        with manager.ledger.transaction(manager.clock()) as transaction:
            if not manager.records.is_newest(transaction.connection, history):
                continue
            manager.records.add_telling(transaction.connection, task.id, record)
        return found


def write_evidence(manager: ManagerNode, product: ReleasedProduct) -> Path:
    """Write a released product's bundle where it is missing, and return its directory."""
    directory = manager.workspace.node(manager.name) / "products" / product.task
    with manager.writing_evidence:
        return directory if directory.exists() else _write_bundle(manager, product, directory)


def _write_bundle(manager: ManagerNode, product: ReleasedProduct, directory: Path) -> Path:
    case = product.case_file
    manifest = build_bundle(
        task=case.task,
        plan=case.plan,
        grants=case.grants,
        decision=case.decision,
        commitments=case.commitments,
        transcripts=case.transcripts,
        product=case.product,
        certificate=case.certificate,
        log=manager.logbook.evidence(case.events, case.relied_on),
    )
    return write_bundle(directory, manifest, product.payload)


def _keep(manager: ManagerNode, transaction: LedgerTransaction, record: ReleaseRecord, product: ReleasedProduct) -> None:
    transaction.commit(use_key(product.task))
    manager.records.move_task(transaction.connection, product.task, "released")
    manager.records.add_release(transaction.connection, record, product)
    event = product.case_file.events[-1]
    transaction.enqueue(event.event.digest(), event.leaf())


def withhold(manager: ManagerNode, task: Task, decision: Decision, opened: SignedEvent) -> None:
    """End a task without an answer. It costs the use, and the log says so: a refusal tells something too."""
    event = manager.event(
        "product.withheld",
        task=task.id,
        subjects={"plan": task.plan.digest(), "decision": decision},
        cites=[task.authorised, opened],
    )
    with manager.ledger.transaction(manager.clock()) as transaction:
        transaction.charge(use_key(task.id))
        manager.records.move_task(transaction.connection, task.id, "withheld")
        transaction.enqueue(event.event.digest(), event.leaf())
    manager.logbook.deliver()


def _certificate(manager: ManagerNode, task: Task, judged: Judged, history: ReleaseHistory) -> SignedCertificate:
    position = HistoryPosition(position=history.head, products=history.products)
    found = certify(task.id, task.plan, judged.payload, judged.measured, position)
    return SignedCertificate.sign(found, manager.identity)


def _blocked(item: Measurement | AttackResult) -> Finding:
    """What a verdict that blocks reads like to whoever asked: which one, and no figure."""
    return Finding(
        check=f"certificate.{item.name}",
        verdict="fail" if item.verdict == "FAIL" else "inconclusive",
        subject=item.subject,
        message=f"{item.name} of {item.subject} is {item.verdict}",
    )


def _product(manager: ManagerNode, proceedings: Proceedings, judged: Judged, certificate: SignedCertificate) -> ReleasedProduct:
    task = proceedings.task
    card = msgspec.structs.replace(
        judged.card, certificate=digest(certificate), lineage=certificate.certificate.history.products
    )
    record = product_record(task=task.id, payload=judged.payload, arrow_schema=judged.arrow_schema, card=card)
    transcripts = tuple(sorted(proceedings.transcripts, key=lambda item: item.transcript.party))
    grants = tuple(kept.signed for kept in proceedings.grants)
    event = manager.event(
        "product.released",
        task=task.id,
        subjects={
            "plan": task.plan.digest(),
            "approval": grants,
            "decision": proceedings.decision,
            "commitment": proceedings.commitments,
            "transcript": transcripts,
            "product": record,
            "payload": record.payload,
            "certificate": certificate,
        },
        cites=[task.authorised, proceedings.opened],
    )
    case_file = CaseFile(
        task=task.id,
        plan=task.plan,
        grants=grants,
        decision=proceedings.decision,
        commitments=proceedings.commitments,
        transcripts=transcripts,
        product=record,
        certificate=certificate,
        events=(*_before(proceedings.grants), *proceedings.events, event),
        relied_on=tuple(dict.fromkeys(item.note for item in proceedings.checkpoints)),
    )
    return ReleasedProduct(case_file=case_file, payload=judged.payload)


def _before(grants: tuple[KeptGrant, ...]) -> tuple[SignedEvent, ...]:
    """Return the events that led to the grants, oldest grant first."""
    found = [event for kept in reversed(grants) for event in (kept.submitted, kept.issued) if event is not None]
    return tuple({event.event.digest(): event for event in found}.values())
