"""What goes into the ledger and comes out of it, as values; and its time, which only moves forward."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal as OneOf

from sandbox.errors import UsageError

State = OneOf["reserved", "committed", "released"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One count that a use goes against: at most `calls` in all, for not_before <= now < expires.

    subject: what is counted, for ever under this name, such as `grant:sha256:…` or `asset:lab.measurements`.
    """

    subject: str
    calls: int
    not_before: datetime.datetime | None = None
    expires: datetime.datetime | None = None

    def __post_init__(self) -> None:
        check_name(self.subject, what="a limit's subject")
        if self.calls < 0:
            raise UsageError(f"the limit on {self.subject} is {self.calls}; write 0 or more")
        for time in (self.not_before, self.expires):
            if time is not None:
                microseconds(time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One use, of one task by one run, against all its subjects at once."""

    key: str
    task: str
    run: str
    state: State
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What became of dead runs' reservations."""

    committed: tuple[Reservation, ...]
    released: tuple[Reservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """Bytes that wait for the log, in the order of their transactions. key: what the log recognises a repeat by."""

    position: int
    key: str
    payload: bytes


def check_name(value: str, *, what: str) -> None:
    """Return only if a text can name a row. Raises UsageError."""
    if not value or len(value) > MAX_NAME or not value.isprintable():
        raise UsageError(f"{what} is a printable text of 1 to {MAX_NAME} characters")


def microseconds(time: datetime.datetime) -> int:
    """Return whole microseconds since 1970. Raises UsageError for a time without a zone."""
    if time.utcoffset() is None:
        raise UsageError("a time without a zone cannot be compared; give it in UTC")
    return (time - EPOCH) // MICROSECOND


def moment(time_us: int) -> datetime.datetime:
    """Return the UTC time of whole microseconds since 1970."""
    return EPOCH + time_us * MICROSECOND
