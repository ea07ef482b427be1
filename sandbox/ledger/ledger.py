"""Ledger: transactions over counted use, with a clock that never runs backwards, and the log's outbox."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sandbox.errors import SandboxError
from sandbox.ledger.documents import OutboxRow, microseconds, moment
from sandbox.ledger.store import Store
from sandbox.ledger.tables import CLOCK, OUTBOX, SCHEMA
from sandbox.ledger.transaction import LedgerTransaction

DELIVERY_BATCH = 500


class Ledger:
    """Counted use in a store. Threads and processes may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.install(SCHEMA)

    @contextmanager
    def transaction(self, now: datetime.datetime) -> Iterator[LedgerTransaction]:
        """Yield a transaction: everything done through it, its `connection` included, is kept together or not at all.

        One runs at a time. A refusal (any SandboxError) undoes it but keeps the time that was seen, so that a clock set
        back later does not revive what has expired. Raises UsageError for a time without a zone.
        """
        now_us = microseconds(now)
        refusal: SandboxError | None = None
        with self._store.transaction() as connection:
            latest = moment(_advance(connection, now_us))
            savepoint = connection.begin_nested()
            try:
                yield LedgerTransaction(connection, latest)
            except SandboxError as error:
                refusal = error
                savepoint.rollback()
        if refusal is not None:
            raise refusal

    def now(self, now: datetime.datetime) -> datetime.datetime:
        """Return the latest time ever seen, this one included, and remember it."""
        with self.transaction(now) as transaction:
            return transaction.now

    def usage(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the uses of each subject, reserved ones included; 0 for one never used."""
        with self._store.transaction() as connection:
            return LedgerTransaction(connection, moment(0)).usage(subjects)

    def spent(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return what is spent of each budget, in its units, reserved uses included; 0 for one never touched."""
        with self._store.transaction() as connection:
            return LedgerTransaction(connection, moment(0)).spent(subjects)

    def revoked(self, subjects: Iterable[str]) -> dict[str, str]:
        """Return the reason for each of the subjects that is revoked. A running job asks this between its steps."""
        with self._store.transaction() as connection:
            return LedgerTransaction(connection, moment(0)).revoked(subjects)

    def pending(self, limit: int = DELIVERY_BATCH) -> tuple[OutboxRow, ...]:
        """Return rows that have not reached the log, oldest first."""
        query = sa.select(OUTBOX.c.position, OUTBOX.c.key, OUTBOX.c.payload).where(OUTBOX.c.delivered_us.is_(None))
        with self._store.transaction() as connection:
            rows = connection.execute(query.order_by(OUTBOX.c.position).limit(limit)).all()
        return tuple(OutboxRow(position=row.position, key=row.key, payload=row.payload) for row in rows)

    def deliver(self, append: Callable[[OutboxRow], None], now: datetime.datetime) -> int:
        """Give every waiting row to the log, in order, and return how many. At least once: append drops repeats by key.

        append returns once the row is durable. If it raises, the rows before it are done and the others wait.
        """
        delivered = 0
        while rows := self.pending():
            done: list[int] = []
            try:
                for row in rows:
                    append(row)
                    done.append(row.position)
            finally:
                self._mark_delivered(done, now)
            delivered += len(done)
        return delivered

    def _mark_delivered(self, positions: list[int], now: datetime.datetime) -> None:
        if positions:
            with self._store.transaction() as connection:
                connection.execute(
                    OUTBOX.update().where(OUTBOX.c.position.in_(positions)).values(delivered_us=microseconds(now))
                )


def _advance(connection: sa.Connection, now_us: int) -> int:
    """The later of now and the latest time seen. Its row is the lock that makes ledger transactions take turns."""
    latest: int = connection.scalars(sa.select(CLOCK.c.latest_us).with_for_update()).one()
    if now_us <= latest:
        return latest
    connection.execute(CLOCK.update().values(latest_us=now_us))
    return now_us
