"""SourceSpec: where a provider's raw data lies and how it is read. Kept at the provider's own node, never sent."""

from __future__ import annotations

from typing import Literal as OneOf

from sandbox.model.canonical import Document
from sandbox.model.expression import ColumnType

SourceKind = OneOf["csv", "parquet", "duckdb", "frame"]

KINDS: dict[str, SourceKind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
}


class SourceSpec(Document, frozen=True, kw_only=True):
    """How to open one table in place.

    path: the file, absolute; empty for a frame in memory. table: the table inside a DuckDB file, `table` or `schema.table`.
    encoding, delimiter: of a CSV file; None is found by looking at the file.
    types: (column, type) that the provider declares; the others are read from the file, or inferred from all of a CSV's values.
    fingerprint: `sha256:<hex>` of the content that is expected; None accepts what is there.
    """

    kind: SourceKind
    path: str = ""
    table: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    types: tuple[tuple[str, ColumnType], ...] = ()
    fingerprint: str | None = None
