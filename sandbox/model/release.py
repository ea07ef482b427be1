"""Release: a provider's table, desensitised column by column by agreed rules: how a job asks for it, how a plan states it."""

from __future__ import annotations

from typing import Literal as OneOf

import msgspec

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document, digest
from sandbox.model.expression import ColumnType
from sandbox.model.party import check_distinct

Undo = OneOf["nobody", "key holder", "not changed"]
Measure = OneOf["entropy", "loss", "discernibility", "average_class_size"]
DateLevel = OneOf["day", "month", "quarter", "year", "decade"]
SHARE_DIGITS = 9


class RiskRules(Document, frozen=True, kw_only=True):
    """What a released table of rows must satisfy, fixed by a profile. Shares are decimal text.

    k: rows of the smallest class. l: distinct values of each sensitive column in each class. t: how far a class's distribution
    of a sensitive column may lie from the whole table's. linkage: the most that the upper 95 % end of an attack's success may
    be. suppression: the largest part of the rows that may be left out. source: where the figures come from.
    """

    k: int
    l: int  # noqa: E741  (the field's letter)
    t: str
    linkage: str
    suppression: str
    source: str


class HierarchySpec(Document, frozen=True, kw_only=True):
    """How a search may generalise one quasi-identifier. One of widths, levels, keep, tree.

    widths: of intervals, each a multiple of the one before, with origin, bottom and top as the rule `interval` has them.
    levels: of dates. keep: characters of a code that stay. tree: name of a file with a row for each value and its labels.
    """

    widths: tuple[float, ...] = ()
    origin: float = 0
    bottom: float | None = None
    top: float | None = None
    levels: tuple[DateLevel, ...] = ()
    keep: tuple[int, ...] = ()
    tree: str = ""

    def check(self) -> None:
        """Return only if it is one hierarchy. Raises DocumentError."""
        if sum(map(bool, (self.widths, self.levels, self.keep, self.tree))) != 1:
            raise DocumentError("a hierarchy is made of one of widths, levels, keep, tree")
        if not self.widths and (self.origin, self.bottom, self.top) != (0, None, None):
            raise DocumentError("origin, bottom and top belong to widths")


class NamedHierarchy(Document, frozen=True, kw_only=True):
    """A quasi-identifier and its hierarchy."""

    column: str
    hierarchy: HierarchySpec


class KAnonymity(Document, frozen=True, kw_only=True):
    """A search, after the rules, for the full-domain generalisation of least loss that satisfies the profile's k, l and t.

    A quasi-identifier without a hierarchy is kept or replaced as a whole. Rows that no class takes in leave the table.
    """

    measure: Measure = "entropy"
    suppression_limit: float = 0.0
    hierarchies: tuple[NamedHierarchy, ...] = ()


class JobKAnonymity(Document, frozen=True, kw_only=True):
    """`[release.k_anonymity]` as people write it: hierarchies by column."""

    measure: Measure = "entropy"
    suppression_limit: float = 0.0
    hierarchies: dict[str, HierarchySpec] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.suppression_limit <= 1 or self.suppression_limit != round(self.suppression_limit, SHARE_DIGITS):
            raise DocumentError(f"suppression_limit: a part of the rows, 0 to 1, with at most {SHARE_DIGITS} decimals")
        for hierarchy in self.hierarchies.values():
            hierarchy.check()

    def settled(self) -> KAnonymity:
        """Return it as a plan states it."""
        named = tuple(NamedHierarchy(column=name, hierarchy=item) for name, item in sorted(self.hierarchies.items()))
        return KAnonymity(measure=self.measure, suppression_limit=self.suppression_limit, hierarchies=named)


class JobRelease(Document, frozen=True, kw_only=True):
    """`[release]` of a job. rules: the path of a rule file. quasi: what an attacker may know; sensitive: what they want."""

    asset: str
    rules: str
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    k_anonymity: JobKAnonymity | None = None

    def __post_init__(self) -> None:
        if not self.quasi:
            raise DocumentError("release.quasi: name at least one column")
        check_distinct((*self.quasi, *self.sensitive), field="release.quasi and release.sensitive")


class NamedText(Document, frozen=True, kw_only=True):
    """A file's text, by the name that the rules give it."""

    name: str
    text: str


class ReleaseRequest(Document, frozen=True, kw_only=True):
    """What a job asks to have released, its files read: a rule file's text, and the hierarchies that it and the search name."""

    asset: str
    rules: str
    trees: tuple[NamedText, ...] = ()
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    k_anonymity: KAnonymity | None = None


class ReleasedColumn(Document, frozen=True, kw_only=True):
    """What becomes of one column of the table.

    source: the type in the table. rule: in words, with its parameters. type: of the released column, None if it is left out.
    used: it is in the released table, or another column's rule reads it, or it is of the key, of which the gate gets a keyed
    tag. draws: its rule draws at random. keeps_form: encrypted to values of the same form. may_hold: kinds of identifiers that
    it may hold, by the rules.
    """

    name: str
    source: ColumnType
    rule: str
    family: str
    undone_by: Undo
    type: ColumnType | None
    used: bool
    draws: bool = False
    keeps_form: bool = False
    may_hold: tuple[str, ...] = ()


class ReleaseSpec(Document, frozen=True, kw_only=True):
    """A table's release as a plan states it: the rules as written, and what follows from them.

    columns: every column of the table, in its order. label: what the released table may be called.
    """

    asset: str
    rules: str
    trees: tuple[NamedText, ...]
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    columns: tuple[ReleasedColumn, ...]
    k_anonymity: KAnonymity | None
    label: str

    def rules_digest(self) -> str:
        """Return the digest of what decides how a table is changed: on one table, equal digests give equal rows."""
        return digest([self.asset, self.rules, self.trees, self.k_anonymity, self.quasi, self.sensitive])

    @property
    def released(self) -> tuple[ReleasedColumn, ...]:
        """The columns of the released table, in order."""
        return tuple(column for column in self.columns if column.type is not None)
