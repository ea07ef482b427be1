"""Input commitments: a provider's word on the table that it stands by, without showing a row."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Callable

from sandbox.audit.merkle import Frontier, leaf_hash
from sandbox.sources import Source

SALT_BYTES = 16
# Hashing inside the worker keeps raw rows out of the node's own process.
ROW_HASHES = "SELECT sha256(CAST(to_json(source) AS VARCHAR)) AS digest FROM source"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableCommitment:
    """Rows and salted Merkle root (hex) of a table's content."""

    rows: int
    root: str


def commit_table(source: Source, secret: bytes, *, is_cancelled: Callable[[], bool] | None = None) -> TableCommitment:
    """Return the commitment to a source's rows, in the source's order.

    Leaf i is SHA-256(0x00 ‖ salt_i ‖ h_i), h_i the SHA-256 of the row as JSON and salt_i = HMAC-SHA-256(secret, i) cut to 16
    bytes: one row can be opened to a supervisor by its salt, and a guess at any other row cannot be tested. secret: 32
    uniform bytes, kept by the provider for as long as the commitment stands.
    """
    (table,) = source.query([ROW_HASHES], is_cancelled=is_cancelled)
    tree = Frontier()
    keyed = hmac.new(secret, digestmod=hashlib.sha256)
    for index, digest in enumerate(table.column("digest").to_pylist()):
        salt = keyed.copy()
        salt.update(index.to_bytes(8, "big"))
        tree.add(leaf_hash(salt.digest()[:SALT_BYTES] + bytes.fromhex(digest)))
    return TableCommitment(rows=tree.size, root=tree.root().hex())
