"""Policy: an owner's standing terms on one asset, read strictly from `policy.toml`. What is not named is denied."""

from __future__ import annotations

import datetime
import re
import tomllib
from typing import Any, get_args
from typing import Literal as OneOf

import msgspec

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document, digest
from sandbox.model.federation import MIN_PARTIES
from sandbox.model.party import check_distinct, check_name
from sandbox.model.plan import Use
from sandbox.model.privacy import PrivacyTerms, decimal_text

MatchingMode = OneOf["blinded", "keyed"]

USES: tuple[str, ...] = get_args(Use)
SMALLEST_CELL = 2
LARGEST_NUMBER = 10**9
MAX_TOML_BYTES = 1 << 20


class ColumnUses(Document, frozen=True, kw_only=True):
    """A column and what may be done with it."""

    column: str
    uses: tuple[Use, ...]


class Policy(Document, frozen=True, kw_only=True):
    """Terms on one asset. version counts the owner's changes of them.

    recipients: parties, or `role:<role>` for every admitted party of a role. profiles: scenario profiles.
    min_cell: distinct keys, and contributors with a value, behind each cell. min_list: rows of a list that is joined.
    max_calls: uses in all, over every version of these terms. expires: the last day (UTC) on which they hold.
    matching: how keys may be matched. min_parties: parts of a federated table in every sum. columns: by name, each with its
    uses. privacy: the budget that noise is charged to; with one, nothing is released without noise.
    """

    asset: str
    version: int
    purposes: tuple[str, ...]
    recipients: tuple[str, ...]
    profiles: tuple[str, ...]
    min_cell: int
    min_list: int
    max_calls: int
    expires: datetime.date
    columns: tuple[ColumnUses, ...]
    matching: tuple[MatchingMode, ...] = ("blinded",)
    min_parties: int = MIN_PARTIES
    privacy: PrivacyTerms | None = None

    def __post_init__(self) -> None:
        check_name(self.asset, field="asset")
        for field in ("purposes", "recipients", "profiles"):
            check_names(getattr(self, field), field=field)
        check_distinct(self.matching, field="matching")
        check_columns(self.columns, field="columns")
        _check_number(self.version, field="version", lowest=1)
        _check_number(self.min_cell, field="min_cell", lowest=SMALLEST_CELL)
        _check_number(self.min_list, field="min_list", lowest=1)
        _check_number(self.max_calls, field="max_calls", lowest=0)
        _check_number(self.min_parties, field="min_parties", lowest=2)

    def uses_of(self, column: str) -> tuple[Use, ...]:
        """Return what may be done with a column: nothing, if it is not named."""
        return next((item.uses for item in self.columns if item.column == column), ())

    def digest(self) -> str:
        """Return `sha256:<hex>` over the terms' canonical bytes."""
        return digest(self)


class _Written(Document, frozen=True, kw_only=True):
    """policy.toml as people write it: columns as a table, no version."""

    asset: str
    purposes: tuple[str, ...]
    recipients: tuple[str, ...]
    profiles: tuple[str, ...]
    min_cell: int
    min_list: int
    max_calls: int
    expires: datetime.date
    columns: dict[str, Any]
    matching: tuple[MatchingMode, ...] = ("blinded",)
    min_parties: int = MIN_PARTIES
    privacy: dict[str, Any] | None = None


def policy_from_toml(text: str, *, version: int, what: str = "policy.toml") -> Policy:
    """Return the terms that a TOML text states. Raises DocumentError that names the field, or the line."""
    if len(text) > MAX_TOML_BYTES:
        raise DocumentError(f"{what} has {len(text)} characters; the limit is {MAX_TOML_BYTES}")
    try:
        fields = tomllib.loads(text)
    except RecursionError:
        raise DocumentError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"{what}: {_syntax_problem(str(error), text)}") from None
    if not isinstance(fields.get("expires", datetime.date.min), datetime.date):
        raise DocumentError(f"{what}: expires: write a TOML date without quotes, such as 2027-12-31")
    try:
        written = msgspec.convert(fields, _Written)
    except msgspec.ValidationError as error:
        choices = f"; each is {' or '.join(get_args(MatchingMode))}" if "`$.matching" in str(error) else ""
        raise DocumentError(f"{what}: {error}{choices}") from None
    try:
        columns = tuple(_column(name, uses) for name, uses in sorted(written.columns.items()))
        terms = {name: getattr(written, name) for name in written.__struct_fields__ if name not in ("columns", "privacy")}
        return Policy(version=version, columns=columns, privacy=_privacy(written.privacy), **terms)
    except DocumentError as error:
        raise DocumentError(f"{what}: {error}") from None


def check_names(values: tuple[str, ...], *, field: str) -> None:
    """Return only if values are distinct names, at least one. Raises DocumentError that names the field."""
    if not values:
        raise DocumentError(f"{field}: name at least one")
    for index, value in enumerate(values):
        check_name(value, field=f"{field}[{index}]")
    check_distinct(values, field=field)


def check_columns(columns: tuple[ColumnUses, ...], *, field: str) -> None:
    """Return only if columns are distinct, printable, and each use known and named once. Raises DocumentError."""
    check_distinct(tuple(item.column for item in columns), field=field)
    for item in columns:
        if not item.column.isprintable() or not item.column.strip() or len(item.column) > 128:
            raise DocumentError(f"{field}: {item.column[:40]!r} is no column's name (printable, at most 128 characters)")
        check_distinct(item.uses, field=f"{field}.{item.column}")
        for use in item.uses:
            if use not in USES:
                raise DocumentError(f"{field}.{item.column}: {use[:40]!r} is not a use; the uses are {', '.join(USES)}")


def _privacy(written: dict[str, Any] | None) -> PrivacyTerms | None:
    if written is None:
        return None
    numbers = {name: decimal_text(value, field=f"privacy.{name}") for name, value in written.items()}
    try:
        return msgspec.convert(numbers, PrivacyTerms)
    except msgspec.ValidationError as error:
        raise DocumentError(f"privacy: {error}") from None


def _column(name: str, uses: object) -> ColumnUses:
    try:
        return ColumnUses(column=name, uses=msgspec.convert(uses, tuple[Use, ...]))
    except msgspec.ValidationError as error:
        place = f"columns.{name}" if name.isprintable() else f"columns.{name!r}"
        raise DocumentError(f"{place}: {error}; the uses are {', '.join(USES)}") from None


def _check_number(value: int, *, field: str, lowest: int) -> None:
    if not lowest <= value <= LARGEST_NUMBER:
        raise DocumentError(f"{field}: {value} is outside {lowest}..{LARGEST_NUMBER}")


def _syntax_problem(message: str, text: str) -> str:
    """tomllib names a line; the key that stands on it tells a person more."""
    found = re.search(r"\(at line (\d+)", message)
    if found is None:
        return _printable(message)
    line = text.splitlines()[int(found[1]) - 1 :][:1]
    key = line[0].partition("=")[0].strip()[:60] if line else ""
    hint = "" if key.isascii() else "; a name beyond ASCII letters stands in double quotes"
    return f"{_printable(message)}, near {key!r}{hint}"


def _printable(message: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in message[:200])
