"""Log before effect: what a node demands before it acts on an entry, and what passes between a log and its witnesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox.audit.merkle import HASH_BYTES, leaf_hash, verify_consistency, verify_inclusion
from sandbox.audit.note import Checkpoint, SignedCheckpoint, open_checkpoint, require_quorum
from sandbox.audit.trust import LogTrust
from sandbox.errors import AuditError
from sandbox.model.evidence import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignRequest:
    """Log -> witness: a checkpoint signed by the log, and the proof that it continues the `old_size` that the witness saw.

    Source: C2SP tlog-witness, add-checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str


class WitnessLink(Protocol):
    """A witness as the log reaches it: in the same process, or over a link (LinkError where it cannot be reached)."""

    @property
    def name(self) -> str:
        """Its name in the trust file."""

    def last_size(self) -> int:
        """Return the size of the last checkpoint that it cosigned, 0 for none."""

    def cosign(self, request: CosignRequest) -> str:
        """Return its cosignature line, after verifying and persisting. Raises AuditError for a fork or a rollback."""


def require_receipt(
    entry: bytes,
    receipt: Receipt,
    trust: LogTrust,
    *,
    seen: Checkpoint | None = None,
    consistency: Sequence[bytes] = (),
    place: str = "receipt",
) -> SignedCheckpoint:
    """Return the checkpoint of a receipt that shows the entry in the log, before a quorum of witnesses.

    seen: the last checkpoint that this node saw; consistency: the proof between it and the receipt's, in order of size.
    Raises AuditError: invalid, untrusted (keys, origin), or incomplete (no quorum, no consistency proof).
    """
    signed = open_checkpoint(receipt.checkpoint, trust, place=f"{place}, checkpoint")
    require_quorum(signed, trust, place=f"{place}, checkpoint")
    checkpoint = signed.checkpoint
    proof = decode_hashes(receipt.proof, place=f"{place}, proof")
    verify_inclusion(leaf_hash(entry), receipt.index, checkpoint.size, proof, checkpoint.root, place=f"{place}, proof")
    if seen is not None and seen.size:
        require_continuation(seen, checkpoint, consistency, place=f"{place}, consistency")
    return signed


def require_continuation(one: Checkpoint, other: Checkpoint, proof: Sequence[bytes], *, place: str) -> None:
    """Return only if two checkpoints of one log are of one history, whichever is older. Raises AuditError."""
    older, newer = sorted((one, other), key=lambda item: item.size)
    if older.size < newer.size and not proof:
        problem = f"the proof between sizes {older.size} and {newer.size} is missing; ask the log for it"
        raise AuditError(problem, place=place, kind="incomplete")
    verify_consistency(older.size, older.root, newer.size, newer.root, proof, place=place)


def decode_hashes(texts: Sequence[str], *, place: str) -> tuple[bytes, ...]:
    """Return hashes from lower-case hex. Raises AuditError that names the position of one that is not 32 bytes."""
    hashes = []
    for position, text in enumerate(texts):
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = b""
        if len(value) != HASH_BYTES or value.hex() != text:
            raise AuditError(f"a hash is {HASH_BYTES} bytes in lower-case hex", place=f"{place}, hash {position}")
        hashes.append(value)
    return tuple(hashes)


def encode_hashes(hashes: Sequence[bytes]) -> tuple[str, ...]:
    """Return hashes as documents hold them."""
    return tuple(value.hex() for value in hashes)
