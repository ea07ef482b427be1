"""Input commitments: a provider's word on the table that it stands by, without showing a row."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

from sandbox.audit.commitment import commit_rows
from sandbox.sources import Source

# Hashing inside the worker keeps raw rows out of the node's own process.
ROW_HASHES = "SELECT unhex(sha256(CAST(to_json(source) AS VARCHAR))) AS digest FROM source"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableCommitment:
    """Rows and salted Merkle root (hex) of a table's content."""

    rows: int
    root: str


def commit_table(source: Source, salt_key: bytes, *, is_cancelled: Callable[[], bool] | None = None) -> TableCommitment:
    """Return the commitment to a source's rows, in the source's order; a leaf stands for the SHA-256 of the row as JSON.

    salt_key: 32 uniform bytes, kept by the provider as long as the commitment stands: with it one row can be opened to a
    supervisor, and without it a guess at a row cannot be tested.
    """
    with contextlib.closing(source.batches([ROW_HASHES], is_cancelled=is_cancelled)) as batches:
        digests = (digest for _, batch in batches for digest in batch.column("digest").to_pylist())
        root, rows = commit_rows(digests, salt_key=salt_key)
    return TableCommitment(rows=rows, root=root)
