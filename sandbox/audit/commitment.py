"""Input commitments: a salted Merkle root over a provider's rows, and the opening of single rows to a supervisor."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.audit.merkle import Frontier, inclusion_proof, leaf_hash, node_hash, verify_inclusion
from sandbox.errors import DocumentError
from sandbox.model.evidence import InputCommitment

SALT_KEY_BYTES = 32
CHUNK_ROWS = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRow:
    """Provider -> supervisor: one row with its salt and its proof towards the commitment's root."""

    index: int
    salt: bytes
    row: bytes
    proof: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"OpenedRow(index={self.index}, <redacted>)"


def commit_rows(rows: Iterable[bytes], *, salt_key: bytes) -> tuple[str, int]:
    """Return root (hex) and number of rows. Leaf i is leaf_hash(salt_i ‖ row_i), salt_i = HMAC-SHA-256(salt_key, i as 8 bytes).

    The salts hide rows that could be guessed; the provider keeps the 32-byte key, one per asset version. One pass, O(log n)
    memory. Raises DocumentError for a key of another length.
    """
    _check_key(salt_key)
    frontier, count = Frontier(), 0
    remaining = iter(rows)
    # A subtree of 2^k leaves is a leaf of the tree above it (RFC 9162 section 2.1.1): chunks are hashed level by level.
    while chunk := list(itertools.islice(remaining, CHUNK_ROWS)):
        salted = zip(range(count, count + len(chunk)), chunk, strict=True)
        frontier.add(_root([leaf_hash(row_salt(salt_key, index) + row) for index, row in salted]))
        count += len(chunk)
    return frontier.root().hex(), count


def _root(level: list[bytes]) -> bytes:
    """Return the root over at least one leaf hash; an odd one out moves up a level as it is."""
    while len(level) > 1:
        above = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = above + level[len(level) - len(level) % 2 :]
    return level[0]


def open_row(rows: Sequence[bytes], index: int, *, salt_key: bytes) -> OpenedRow:
    """Return one row with its proof: the other rows stay hidden behind their salts. Raises AuditError out of range."""
    _check_key(salt_key)
    level = [leaf_hash(row_salt(salt_key, at) + row) for at, row in enumerate(rows)]
    levels = [level]
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        levels.append(level)
    proof = inclusion_proof(index, len(rows), lambda height, at: levels[height][at])
    return OpenedRow(index=index, salt=row_salt(salt_key, index), row=rows[index], proof=proof)


def verify_row(opened: OpenedRow, commitment: InputCommitment) -> None:
    """Return only if a row stood in the committed table at its index. Raises AuditError."""
    leaf = leaf_hash(opened.salt + opened.row)
    root, place = bytes.fromhex(commitment.root), f"row {opened.index} of {commitment.asset}"
    verify_inclusion(leaf, opened.index, commitment.rows, opened.proof, root, place=place)


def seed_hash(seed: bytes) -> str:
    """Return the hash of a session's randomness seed, as a commitment holds it (hex)."""
    return hashlib.sha256(b"public-data-sandbox/seed/1\x00" + seed).hexdigest()


def row_salt(salt_key: bytes, index: int) -> bytes:
    """Return the salt of a row."""
    return hmac.digest(salt_key, index.to_bytes(8, "big"), "sha256")


def _check_key(salt_key: bytes) -> None:
    if len(salt_key) != SALT_KEY_BYTES:
        raise DocumentError(f"a salt key has {SALT_KEY_BYTES} bytes, not {len(salt_key)}")
