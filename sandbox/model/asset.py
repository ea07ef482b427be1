"""Asset: a provider's table as the catalogue knows it. Declarations only: no row, no value beyond code lists and bounds."""

from __future__ import annotations

from typing import Literal as OneOf

from sandbox.model.canonical import Document
from sandbox.model.expression import ColumnType, Literal

Role = OneOf["direct_identifier", "quasi_identifier", "sensitive", "measure", "key", "other", "unclassified"]
Grade = OneOf["general", "important", "core", "secret", "unclassified"]
Lifecycle = OneOf["draft", "submitted", "checked", "published", "coded", "changed", "cancelled"]


class KeyDomain(Document, frozen=True, kw_only=True):
    """What keys of one kind mean, so that two providers' keys can match: types and the normalisation both apply.

    types: one per component, `integer`, `text`, `date`. Default comparison is exact.
    """

    name: str
    types: tuple[OneOf["integer", "text", "date"], ...]
    trim: bool = False
    fold_case: bool = False
    nfkc: bool = False


class Column(Document, frozen=True, kw_only=True):
    """One column.

    codes: the complete list of values, where one is declared. bounds: inclusive, in the column's own unit, as decimal text.
    scale: value -> integer round-half-even(value · scale), for measures; 1 for integers.
    """

    name: str
    type: ColumnType
    role: Role = "unclassified"
    grade: Grade = "unclassified"
    codes: tuple[Literal, ...] | None = None
    bounds: tuple[str, str] | None = None
    scale: int = 1
    clip: bool = False


class Asset(Document, frozen=True, kw_only=True):
    """A table of one provider. `name` is `provider.table`; version counts changes of the declaration.

    key: the columns of the join key, in the key domain's order. unique: the provider declares that no key repeats
    (checked when a job runs). padded_rows: joined lists are filled up with dummy rows to this size, which alone shows; 0: not.
    """

    provider: str
    table: str
    version: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    key_domain: KeyDomain
    unique: bool = False
    padded_rows: int = 0
    lifecycle: Lifecycle = "published"
    title: str = ""

    @property
    def name(self) -> str:
        """`provider.table`."""
        return f"{self.provider}.{self.table}"

    def column(self, name: str) -> Column | None:
        """Return a column by its exact name, or None."""
        return next((column for column in self.columns if column.name == name), None)
