"""Case: one bundle before an auditor's trust, with what the checks share; and the report that they fill."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sandbox.audit.note import SignedCheckpoint, open_checkpoint
from sandbox.audit.trust import Trust
from sandbox.errors import AuditError
from sandbox.model.canonical import Document
from sandbox.model.evidence import Bundle, Event, EventKind
from sandbox.model.grant import Grant

SKEW = datetime.timedelta(minutes=5)
"""How far a node's clock may run ahead of the witnesses'."""


class Check(Document, frozen=True, kw_only=True):
    """One check that passed, and what it found."""

    name: str
    detail: str


class Report(Document, frozen=True, kw_only=True):
    """What verification established. not_proved: what no bundle can show, in words."""

    task: str
    plan: str
    product: str
    payload: str
    origin: str
    log_size: int
    log_root: str
    witnesses: tuple[str, ...]
    checks: tuple[Check, ...]
    not_proved: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """now: the auditor's clock, or None: then nothing is compared with it."""

    bundle: Bundle
    payload: bytes
    trust: Trust
    now: datetime.datetime | None

    @cached_property
    def checkpoint(self) -> SignedCheckpoint:
        """The bundle's checkpoint, its signatures verified."""
        return open_checkpoint(self.bundle.log.checkpoint, self.trust.log, place="checkpoint")

    @cached_property
    def earlier(self) -> Mapping[str, SignedCheckpoint]:
        """The checkpoints that events relied on, signatures verified, by digest."""
        notes = enumerate(item.note for item in self.bundle.log.earlier)
        opened = [open_checkpoint(note, self.trust.log, place=f"earlier checkpoint {index}") for index, note in notes]
        return {item.checkpoint.digest(): item for item in opened}

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The events, in the bundle's order."""
        return tuple(item.entry.event for item in self.bundle.log.entries)

    @cached_property
    def places(self) -> tuple[str, ...]:
        """How each entry is named in an error."""
        entries = enumerate(self.bundle.log.entries)
        return tuple(f"entry {at} (log index {item.index}, {item.entry.event.kind})" for at, item in entries)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Event digest -> position in the bundle."""
        return {event.digest(): position for position, event in enumerate(self.events)}

    @property
    def grant(self) -> Grant:
        """The grant that was used."""
        return self.bundle.grants[0].grant

    def log_index(self, position: int) -> int:
        """Return the log index of the entry at a position."""
        return self.bundle.log.entries[position].index

    def of_kind(self, kind: EventKind) -> list[int]:
        """Return the positions of the events of a kind."""
        return [position for position, event in enumerate(self.events) if event.kind == kind]

    def only(self, kind: EventKind) -> int:
        """Return the position of the one event of a kind. Raises AuditError for none (incomplete) or several."""
        found = self.of_kind(kind)
        if not found:
            raise AuditError(f"there is no {kind} event", place="entries", kind="incomplete")
        if len(found) > 1:
            raise AuditError(f"there are {len(found)} {kind} events; a bundle has one", place=self.places[found[1]])
        return found[0]

    def require_subjects(self, position: int, role: str, expected: set[str]) -> None:
        """Return only if an event names exactly these digests in a role. Raises AuditError."""
        named = {item.digest for item in self.events[position].subjects if item.role == role}
        if named != expected:
            problem = f"the {role} digests that it names are not those of the documents in the bundle"
            raise AuditError(problem, place=self.places[position])

    def witnessed_at(self, position: int) -> datetime.datetime:
        """Return when the witnesses' quorum first stood behind an entry, as far as the bundle shows."""
        covering = [item for item in self.earlier.values() if item.checkpoint.size > self.log_index(position)]
        first = min(covering, key=lambda item: item.checkpoint.size, default=self.checkpoint)
        return first.quorum_time(self.trust.log.quorum)
