"""Trust file (`trust.toml`): whom an auditor believes, for what, and when. Owned by the auditor, never inside a bundle."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from sandbox.errors import AuditError, DocumentError, NotFound
from sandbox.model.canonical import Document
from sandbox.model.party import Party, PartyRole, check_name
from sandbox.model.signature import PublicIdentity

MAX_TRUST_BYTES = 1 << 20
MAX_ORIGIN = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTrust:
    """The log: its origin and key, its witnesses by name, and how many of them must have cosigned."""

    origin: str
    key: PublicIdentity
    witnesses: Mapping[str, PublicIdentity]
    quorum: int

    def __post_init__(self) -> None:
        check_origin(self.origin)
        object.__setattr__(self, "witnesses", MappingProxyType(dict(self.witnesses)))
        if not 1 <= self.quorum <= len(self.witnesses):
            raise DocumentError(f"witnesses.quorum: {self.quorum} is outside 1..{len(self.witnesses)}, the number of keys")
        keys = [self.key, *self.witnesses.values()]
        if len(set(keys)) != len(keys):
            raise DocumentError("witnesses.keys: one key stands there twice (or is the log's own); each witness has its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedParty:
    """A party, and the time in which its key is believed: valid_from ≤ t < valid_to."""

    party: Party
    valid_from: datetime.datetime
    valid_to: datetime.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A whole trust file."""

    log: LogTrust
    parties: Mapping[str, TrustedParty]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parties", MappingProxyType(dict(self.parties)))

    @property
    def known(self) -> dict[str, Party]:
        """The parties by name, without their validity."""
        return {name: item.party for name, item in self.parties.items()}

    def require(self, name: str, *, at: datetime.datetime, place: str) -> Party:
        """Return a party whose key is valid at a time. Raises AuditError (untrusted) otherwise."""
        if name not in self.parties:
            raise AuditError(f"the party {name[:40]!a} is not in the trust file", place=place, kind="untrusted")
        item = self.parties[name]
        if not item.valid_from <= at < item.valid_to:
            window = f"{item.valid_from.date()} up to, not including, {item.valid_to.date()}"
            problem = f"the key of {name} is believed from {window}, not at {at.isoformat()}"
            raise AuditError(problem, place=place, kind="untrusted")
        return item.party


class _Log(Document, frozen=True, kw_only=True):
    origin: str
    key: str


class _Witnesses(Document, frozen=True, kw_only=True):
    quorum: int
    keys: dict[str, str]


class _Valid(Document, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    first: datetime.date
    last: datetime.date


class _Party(Document, frozen=True, kw_only=True):
    roles: tuple[PartyRole, ...]
    key: str
    valid: _Valid
    parent: str | None = None


class _Written(Document, frozen=True, kw_only=True):
    log: _Log
    witnesses: _Witnesses
    parties: dict[str, _Party]


def load_trust(path: str | Path) -> Trust:
    """Return the trust file at a path. Raises NotFound, or DocumentError that names the field."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRUST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no trust file {str(path)!a}") from None
    except OSError as error:
        raise DocumentError(f"the trust file {str(path)!a} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentError(f"the trust file {str(path)!a} is not UTF-8 text") from None
    return parse_trust(text, what=path.name)


def parse_trust(text: str, *, what: str = "trust.toml") -> Trust:
    """Return the trust that a TOML text states: strict, unknown fields refused. Raises DocumentError that names the field."""
    if len(text) > MAX_TRUST_BYTES:
        raise DocumentError(f"{what} is longer than {MAX_TRUST_BYTES} bytes")
    try:
        fields = tomllib.loads(text)
    except RecursionError:
        raise DocumentError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"{what}: {str(error)[:200]!a}") from None
    _refuse_quoted_dates(fields, what=what)
    try:
        written = msgspec.convert(fields, _Written)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{what}: {str(error)[:300]}") from None
    try:
        return Trust(log=_log(written), parties={name: _party(name, item) for name, item in written.parties.items()})
    except DocumentError as error:
        raise DocumentError(f"{what}: {error}") from None


def check_origin(value: str) -> None:
    """Return only if value can be a log's origin and key name: printable ASCII, no space, no `+`. Source: C2SP signed-note."""
    printable = value.isascii() and value.isprintable() and " " not in value and "+" not in value
    if not value or len(value) > MAX_ORIGIN or not printable:
        raise DocumentError(f"log.origin: printable ASCII without spaces and `+`, at most {MAX_ORIGIN} characters")


def _refuse_quoted_dates(fields: dict[str, object], *, what: str) -> None:
    """msgspec would read a quoted date or drop a time of day; a validity window is not the place for either."""
    parties = fields.get("parties")
    for name, item in parties.items() if isinstance(parties, dict) else ():
        valid = item.get("valid") if isinstance(item, dict) else None
        for field, value in valid.items() if isinstance(valid, dict) else ():
            if type(value) is not datetime.date:
                raise DocumentError(
                    f"{what}: parties.{name[:40]!a}.valid.{field[:10]!a}: write a TOML date, such as 2027-12-31"
                )


def _log(written: _Written) -> LogTrust:
    for name in written.witnesses.keys:
        check_name(name, field="witnesses.keys")
    return LogTrust(
        origin=written.log.origin,
        key=_key(written.log.key, field="log.key"),
        witnesses={name: _key(text, field=f"witnesses.keys.{name}") for name, text in written.witnesses.keys.items()},
        quorum=written.witnesses.quorum,
    )


def _party(name: str, item: _Party) -> TrustedParty:
    check_name(name, field="parties")
    if not item.roles:
        raise DocumentError(f"parties.{name}.roles: name at least one")
    if item.valid.last <= item.valid.first:
        raise DocumentError(f"parties.{name}.valid: it would end before it begins")
    _key(item.key, field=f"parties.{name}.key")
    return TrustedParty(
        party=Party(name=name, roles=item.roles, key=item.key, parent=item.parent),
        valid_from=_midnight(item.valid.first),
        valid_to=_midnight(item.valid.last),
    )


def _key(text: str, *, field: str) -> PublicIdentity:
    try:
        return PublicIdentity.from_text(text)
    except DocumentError as error:
        raise DocumentError(f"{field}: {error}") from None


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), tzinfo=datetime.UTC)
