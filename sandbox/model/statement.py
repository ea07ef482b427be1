"""TableStatement: a provider's signed word on the table that it hands to the gate, and on what its own attacks on it found."""

from __future__ import annotations

from typing import Literal as OneOf
from typing import Self

from sandbox.model.canonical import Document, canonical
from sandbox.model.decision import Finding
from sandbox.model.grant import Signature, check_digest
from sandbox.model.party import check_name
from sandbox.model.signature import PrivateIdentity, PublicIdentity

STATEMENT_CONTEXT = "table-statement/1"


class TableStatement(Document, frozen=True, kw_only=True):
    """What a provider stands by. table: SHA-256 of the Arrow file. tags: SHA-256 of the rows' tags, which the gate keeps.

    root: of the table as it was committed to. rows: of the desensitised table; left_out: those that the search left out.
    findings: of attacks that need the original; one that does not pass comes with a table without rows.
    """

    version: OneOf[1]
    task: str
    plan: str
    provider: str
    asset: str
    asset_version: int
    root: str
    table: str
    tags: str
    rows: int
    left_out: int
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        for field in ("task", "provider", "asset"):
            check_name(getattr(self, field), field=field)
        for field in ("plan", "table", "tags"):
            check_digest(getattr(self, field), field=field)


class SignedStatement(Document, frozen=True, kw_only=True):
    """A statement with its provider's signature."""

    statement: TableStatement
    signature: Signature

    @classmethod
    def sign(cls, statement: TableStatement, identity: PrivateIdentity) -> Self:
        """Return the statement, signed by the provider that it names."""
        raw = identity.sign(STATEMENT_CONTEXT, canonical(statement))
        return cls(statement=statement, signature=Signature(party=statement.provider, signature=raw.hex()))

    def verify(self, identity: PublicIdentity, *, place: str) -> None:
        """Return only if the provider that the statement names signed it, with this key. Raises AuditError."""
        raw = self.signature.to_bytes(place=place)
        identity.verify(STATEMENT_CONTEXT, canonical(self.statement), raw, place=place)
