"""Evidence documents: events and their signatures, receipts, commitments, transcripts, product record, and the bundle."""

from __future__ import annotations

import datetime
import hashlib
import re
from typing import Literal as OneOf
from typing import Self

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document, canonical, digest
from sandbox.model.certificate import SignedCertificate
from sandbox.model.decision import Decision
from sandbox.model.grant import Signature, SignedGrant, check_digest, check_utc
from sandbox.model.party import check_distinct, check_name
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.model.signature import PrivateIdentity

EVENT_CONTEXT = "event/1"
TRANSCRIPT_CONTEXT = "transcript/1"
HEX_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
HEX_SESSION = re.compile(r"[0-9a-f]{32,128}", re.ASCII)
MAX_SCHEMA_CHARACTERS = 1 << 20

AuthorisationKind = OneOf["plan.submitted", "grant.issued", "grant.revoked", "request.denied", "task.authorised"]
DataKind = OneOf["input.committed", "session.opened", "product.released", "product.withheld", "task.aborted"]
EventKind = AuthorisationKind | DataKind
SubjectRole = OneOf[
    "plan",
    "grant",
    "approval",
    "revocation",
    "decision",
    "commitment",
    "transcript",
    "product",
    "payload",
    "certificate",
]


class Subject(Document, frozen=True, kw_only=True):
    """What an event speaks of, by digest.

    plan, decision, commitment, product: the document's digest. grant: of the Grant, its identity for counting; approval: of the
    SignedGrant, signatures included. revocation, transcript, certificate: of the signed document. payload: SHA-256 of the
    Arrow file.
    """

    role: SubjectRole
    digest: str

    def __post_init__(self) -> None:
        check_digest(self.digest, field=f"subjects.{self.role}")


class Event(Document, frozen=True, kw_only=True):
    """One thing that happened, as the node says where it happened. Holds names and digests, never a value.

    cites: digests of the events that it relies on. checkpoint: digest of the cosigned checkpoint in which this node saw them,
    before it acted ("log before effect"). time: UTC, by the node's own clock.
    """

    version: OneOf[1]
    kind: EventKind
    time: datetime.datetime
    party: str
    task: str
    cites: tuple[str, ...]
    subjects: tuple[Subject, ...]
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        check_utc(self.time, field="time")
        check_name(self.party, field="party")
        check_name(self.task, field="task")
        for cited in (*self.cites, *(() if self.checkpoint is None else (self.checkpoint,))):
            check_digest(cited, field="cites")
        check_distinct(self.cites, field="cites")
        check_distinct(tuple(f"{item.role} {item.digest}" for item in self.subjects), field="subjects")

    def digest(self) -> str:
        """Return `sha256:<hex>` over the event's canonical bytes: what later events cite."""
        return digest(self)

    def about(self, role: SubjectRole) -> tuple[str, ...]:
        """Return the digests of the subjects in one role."""
        return tuple(item.digest for item in self.subjects if item.role == role)


class SignedEvent(Document, frozen=True, kw_only=True):
    """An event and its node's signature; its canonical bytes are the log's leaf."""

    event: Event
    signature: Signature

    @classmethod
    def sign(cls, event: Event, identity: PrivateIdentity) -> Self:
        """Return the event, signed by the party that it names."""
        raw = identity.sign(EVENT_CONTEXT, canonical(event))
        return cls(event=event, signature=Signature(party=event.party, signature=raw.hex()))

    def leaf(self) -> bytes:
        """Return the exact bytes that stand in the log."""
        return canonical(self)


class Receipt(Document, frozen=True, kw_only=True):
    """The log's answer to an entry: where it stands, and the proof that leads to a cosigned checkpoint. Hashes in hex."""

    index: int
    proof: tuple[str, ...]
    checkpoint: str


class InputCommitment(Document, frozen=True, kw_only=True):
    """A provider's word on the table it stands by: salted Merkle root over its rows, row count, hash of the session's seed.

    The root stays the same for an asset version; seed_hash is fresh per task. Shows which table stood there, not that it was
    used: only a replay of the frames, with rows and seed opened, shows that.
    """

    version: OneOf[1]
    task: str
    provider: str
    asset: str
    asset_version: int
    rows: int
    root: str
    seed_hash: str

    def __post_init__(self) -> None:
        for field in ("task", "provider", "asset"):
            check_name(getattr(self, field), field=field)
        check_hash(self.root, field="root")
        check_hash(self.seed_hash, field="seed_hash")
        if self.rows < 0 or self.asset_version < 0:
            raise DocumentError("rows and asset_version are not negative")


class TranscriptChain(Document, frozen=True, kw_only=True):
    """The running hash over one direction of a session towards one peer: h_i = SHA-256(h_(i−1) ‖ SHA-256(frame_i)), h_0 = 0."""

    peer: str
    direction: OneOf["sent", "received"]
    frames: int
    size_bytes: int
    head: str

    def __post_init__(self) -> None:
        check_name(self.peer, field="peer")
        check_hash(self.head, field="head")
        if self.frames < 0 or self.size_bytes < 0:
            raise DocumentError("frames and size_bytes are not negative")


class Transcript(Document, frozen=True, kw_only=True):
    """All chains of one party in one session. session: hex, as in the frames.

    survivors: of a secure sum, whose totals are in it, as this party checked it against the signatures of T parties.
    """

    version: OneOf[1]
    task: str
    session: str
    party: str
    chains: tuple[TranscriptChain, ...]
    survivors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.task, field="task")
        check_name(self.party, field="party")
        if not HEX_SESSION.fullmatch(self.session):
            raise DocumentError("session: 16 to 64 bytes as lower-case hex")
        check_distinct(tuple(f"{chain.direction} {chain.peer}" for chain in self.chains), field="chains")


class SignedTranscript(Document, frozen=True, kw_only=True):
    """A transcript with its party's signature."""

    transcript: Transcript
    signature: Signature

    @classmethod
    def sign(cls, transcript: Transcript, identity: PrivateIdentity) -> Self:
        """Return the transcript, signed by the party that it names."""
        raw = identity.sign(TRANSCRIPT_CONTEXT, canonical(transcript))
        return cls(transcript=transcript, signature=Signature(party=transcript.party, signature=raw.hex()))


class ProductRecord(Document, frozen=True, kw_only=True):
    """What was released: the Arrow file's digest, size and schema (as text), and the card that travels with it."""

    version: OneOf[1]
    task: str
    payload: str
    payload_bytes: int
    arrow_schema: str
    card: ProductCard

    def __post_init__(self) -> None:
        check_name(self.task, field="task")
        check_digest(self.payload, field="payload")
        if len(self.arrow_schema) > MAX_SCHEMA_CHARACTERS:
            raise DocumentError(f"arrow_schema: at most {MAX_SCHEMA_CHARACTERS} characters")


class LogEntry(Document, frozen=True, kw_only=True):
    """An entry of the log with its inclusion proof towards the bundle's checkpoint."""

    index: int
    entry: SignedEvent
    proof: tuple[str, ...]


class EarlierCheckpoint(Document, frozen=True, kw_only=True):
    """A cosigned checkpoint that an event relied on, and the proof that the bundle's checkpoint continues it."""

    note: str
    proof: tuple[str, ...]


class LogEvidence(Document, frozen=True, kw_only=True):
    """All that a bundle takes from the log: entries in order of their index, checkpoints in order of their size."""

    entries: tuple[LogEntry, ...]
    earlier: tuple[EarlierCheckpoint, ...]
    checkpoint: str


class Bundle(Document, frozen=True, kw_only=True):
    """One released product and all that verifying it needs, except the trust file. grants: the one used, then its parents."""

    format: OneOf["public-data-sandbox/bundle/2"]
    task: str
    plan: Plan
    grants: tuple[SignedGrant, ...]
    decision: Decision
    commitments: tuple[InputCommitment, ...]
    transcripts: tuple[SignedTranscript, ...]
    product: ProductRecord
    certificate: SignedCertificate
    log: LogEvidence


def payload_digest(payload: bytes) -> str:
    """Return `sha256:<hex>` over a product's Arrow file."""
    return "sha256:" + hashlib.sha256(payload).hexdigest()


def check_hash(value: str, *, field: str) -> None:
    """Return only if a text is 64 lower-case hex digits. Raises DocumentError that names the field."""
    if not HEX_HASH.fullmatch(value):
        raise DocumentError(f"{field}: {value[:80]!a} is not a SHA-256 hash (64 lower-case hex digits)")
