"""Product documents: the card that travels with a product, what was withheld, and what the gate remembers of a release."""

from __future__ import annotations

from typing import Literal as OneOf

from msgspec import UNSET, UnsetType

from sandbox.model.canonical import Document
from sandbox.model.decision import Finding, Reason
from sandbox.model.expression import Literal
from sandbox.model.fit import ModelRecord
from sandbox.model.plan import Aggregate, GateRules, Group, Parameters, PlanInput
from sandbox.model.release import ReleasedColumn
from sandbox.model.statement import SignedStatement


class WithheldCell(Document, frozen=True, kw_only=True):
    """One NULL of a product that is not a value's: which cell, which column, why. labels: one per group of the question."""

    labels: tuple[Literal, ...]
    column: str
    reason: Reason


class NullMark(Document, frozen=True, kw_only=True):
    """Why one place of the released table is NULL. row and column count from 0."""

    row: int
    column: int
    reason: Reason


class ProductColumn(Document, frozen=True, kw_only=True):
    """One column of a product's payload. digits: decimals of a `decimal` column."""

    name: str
    type: str
    digits: int = 0


class SourceNote(Document, frozen=True, kw_only=True):
    """One source of a product, by its declaration. clipped: columns whose values beyond the bounds were moved to them."""

    provider: str
    asset: str
    asset_version: int
    asset_digest: str
    clipped: tuple[str, ...] = ()


class DropCount(Document, frozen=True, kw_only=True):
    """What the pattern rule removed at one provider. Counts below the gate's k read `fewer than <k>`, never a figure."""

    provider: str
    asset: str
    keys: str
    rows: str
    groups: str


AbsentStep = OneOf["input", "advertise", "open", "share", "masked_input", "consistency", "unmask"]


class AbsentPart(Document, frozen=True, kw_only=True):
    """A part of a federated table whose provider fell silent. step: the one in which nothing more came from it.

    counted: its totals are in the product all the same, since it fell silent after they had arrived; of a model, its rows are
    in the last sum. round: in which it fell silent, where there are several.
    """

    provider: str
    asset: str
    step: AbsentStep
    counted: bool
    round: int = 0


class RiskFigure(Document, frozen=True, kw_only=True):
    """One measure of a released table of rows. of: the column, or nothing for the whole table. value: decimal text."""

    measure: str
    of: str
    value: str


class ReleaseNote(Document, frozen=True, kw_only=True):
    """What a reader of released rows must know: what became of each column, who can undo it, what was measured.

    label: what the table may be called. figures: as the gate counted them. statement: its provider's signed word on the table,
    with what attacks on it found.
    """

    label: str
    columns: tuple[ReleasedColumn, ...]
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    figures: tuple[RiskFigure, ...]
    statement: SignedStatement


class ProductCard(Document, frozen=True, kw_only=True):
    """What a reader of a product must know. Fixed with the product; printed and signed with it.

    method: the protocol and its parameters. rules: the profile's rules that judged it ("checks inspired by" their sources, no
    claim of conformity). lineage: digests of the products and releases that it was judged against. certificate: digest of the
    risk certificate, where there is one. absent: parts of a federated table that fell silent; its other parts are the sources.
    model: how a fitted model came about.
    release: of rows.
    """

    version: OneOf[1]
    title: str
    purpose: str
    recipients: tuple[str, ...]
    operator: str
    gate: str
    sql: str
    plan_digest: str
    sources: tuple[SourceNote, ...]
    method: str
    parameters: Parameters
    profile: str
    profile_version: int
    rules: GateRules
    columns: tuple[ProductColumn, ...]
    rows: int
    findings: tuple[Finding, ...]
    withheld: tuple[WithheldCell, ...]
    no_values: tuple[WithheldCell, ...]
    marks: tuple[NullMark, ...]
    dropped: tuple[DropCount, ...]
    lineage: tuple[str, ...]
    licence: str = ""
    certificate: str | None = None
    absent: tuple[AbsentPart, ...] = ()
    model: ModelRecord | None = None
    release: ReleaseNote | None = None


class ReleasedCount(Document, frozen=True, kw_only=True):
    """The population behind one released aggregate: rows counted (for an aggregate of x, those with a value), contributors."""

    aggregate: int
    rows: int
    keys: int


class RecordedCell(Document, frozen=True, kw_only=True):
    """One cell of an earlier release. counts: one per aggregate that was released; none for a cell that was withheld."""

    labels: tuple[Literal, ...]
    counts: tuple[ReleasedCount, ...]


class RecordedInput(Document, frozen=True, kw_only=True):
    """One input of an earlier release. trimmed: its pattern rule removed rows, so its population is only `what was kept`."""

    input: PlanInput
    trimmed: bool
    min_pattern: int


class RecordedParts(Document, frozen=True, kw_only=True):
    """What a release of a federated table added up: the parts that were left, as assets.

    min_parties: the fewest parts that any combination of releases may speak of. overlap: parts in which one person may be.
    """

    assets: tuple[str, ...]
    min_parties: int
    overlap: int


class WithheldCount(Document, frozen=True, kw_only=True):
    """An aggregate of a recorded cell that was withheld, with the reason that was published."""

    aggregate: int
    reason: Reason


class Suppression(Document, frozen=True, kw_only=True):
    """Why numbers of a release were withheld, as everyone saw it. rules: what judged it.

    whole: for each recorded cell, the reason why all of it was, before any of its numbers was looked at. withheld: for each
    recorded cell, the numbers that were withheld one by one.
    """

    rules: GateRules
    whole: tuple[Reason | None, ...]
    withheld: tuple[tuple[WithheldCount, ...], ...]


class RecordedRows(Document, frozen=True, kw_only=True):
    """What a release of rows leaves in the history: whose row was in which class. Private to the gate.

    root: of the table at its provider. rules: their digest. draws: columns whose rules draw at random. tags: base64 of 64-bit
    little-endian numbers, one a row, a person's in all releases; classes: of 32-bit ones, beside them.
    """

    asset: str
    root: str
    rules: str
    draws: tuple[str, ...]
    tags: str
    classes: str


class ReleaseRecord(Document, frozen=True, kw_only=True):
    """What the gate's history keeps of a release: populations, not amounts. Private to the gate.

    Counts are those of released aggregates only; a withheld cell is known by its labels and its reason. A release of a
    federated table has one input, the table as a whole, and its parts. Version 1 has no suppression: nothing but the labels is
    known of what it withheld.
    A release of rows has a cell for each class, and rows.
    """

    version: OneOf[1, 2]
    plan_digest: str
    key_domain: str
    inputs: tuple[RecordedInput, ...]
    groups: tuple[Group, ...]
    aggregates: tuple[Aggregate, ...]
    cells: tuple[RecordedCell, ...]
    parts: RecordedParts | None = None
    suppression: Suppression | UnsetType = UNSET
    rows: RecordedRows | None = None
