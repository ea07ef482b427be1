"""Documents that the manager's node keeps of tasks, grants and releases."""

from __future__ import annotations

import dataclasses

from sandbox.model.canonical import Document
from sandbox.model.certificate import SignedCertificate
from sandbox.model.decision import Decision
from sandbox.model.evidence import InputCommitment, ProductRecord, SignedEvent, SignedTranscript
from sandbox.model.grant import SignedGrant
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.lifecycle import TaskState


class CaseFile(Document, frozen=True, kw_only=True):
    """All that a product's bundle holds beside the log's proofs, kept from the transaction that released it.

    events: from the plan's submission to the release, in order. relied_on: cosigned checkpoints that they relied on.
    """

    task: str
    plan: Plan
    grants: tuple[SignedGrant, ...]
    decision: Decision
    commitments: tuple[InputCommitment, ...]
    transcripts: tuple[SignedTranscript, ...]
    product: ProductRecord
    certificate: SignedCertificate
    events: tuple[SignedEvent, ...]
    relied_on: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of a plan under a grant. authorised: the event that let it begin."""

    id: str
    state: TaskState
    plan: Plan
    grant: str
    authorised: SignedEvent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeptGrant:
    """A grant, the plan that it was asked for, and the events of its request and, once everyone signed, of its issue."""

    signed: SignedGrant
    plan: Plan
    submitted: SignedEvent
    issued: SignedEvent | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedProduct:
    """A released product as the manager keeps it, from the transaction that released it."""

    case_file: CaseFile
    payload: bytes

    @property
    def task(self) -> str:
        """The task's id, which is the product's."""
        return self.case_file.task

    @property
    def card(self) -> ProductCard:
        """The card."""
        return self.case_file.product.card
