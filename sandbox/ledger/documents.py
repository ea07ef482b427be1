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
MAX_UNITS = 1 << 62


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
class Expense:
    """What a use spends of one budget: `cost` now, at most `budget` in all, in whole units of whoever counts (ρ in 2^-40).

    subject: whose budget, for ever under this name, such as `privacy:lab.measurements:city-health-operator`.
    """

    subject: str
    cost: int
    budget: int

    def __post_init__(self) -> None:
        check_name(self.subject, what="a budget's subject")
        if not 0 < self.cost <= MAX_UNITS or not 0 <= self.budget <= MAX_UNITS:
            raise UsageError(f"what {self.subject} spends is 1 to 2^62 units, of a budget of 0 to 2^62")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One use, of one task by one run, against all its subjects at once. costs: what it spends, by budget."""

    key: str
    task: str
    run: str
    state: State
    subjects: tuple[str, ...]
    costs: tuple[tuple[str, int], ...] = ()


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
