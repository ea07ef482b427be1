"""The ledger's tables. Times are whole microseconds since 1970 in UTC, so that both databases compare them alike."""

from __future__ import annotations

import sqlalchemy as sa

from sandbox.ledger.store import Schema

METADATA = sa.MetaData()
NAME_LENGTH = 200

CLOCK = sa.Table(
    "ledger_clock",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("latest_us", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_clock"),
)

RESERVATIONS = sa.Table(
    "ledger_reservations",
    METADATA,
    sa.Column("key", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("task", sa.String(NAME_LENGTH), nullable=False, index=True),
    sa.Column("run", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reserved_us", sa.BigInteger, nullable=False),
    sa.Column("expires_us", sa.BigInteger),
    sa.Column("finished_us", sa.BigInteger),
    sa.CheckConstraint("state IN ('reserved', 'committed', 'released')", name="known_state"),
)

USES = sa.Table(
    "ledger_uses",
    METADATA,
    sa.Column("key", sa.ForeignKey(RESERVATIONS.c.key), primary_key=True),
    sa.Column("subject", sa.String(NAME_LENGTH), primary_key=True, index=True),
)

EXPENSES = sa.Table(
    "ledger_expenses",
    METADATA,
    sa.Column("key", sa.ForeignKey(RESERVATIONS.c.key), primary_key=True),
    sa.Column("subject", sa.String(NAME_LENGTH), primary_key=True, index=True),
    sa.Column("cost", sa.BigInteger, nullable=False),
    sa.CheckConstraint("cost > 0", name="some_cost"),
)

REVOCATIONS = sa.Table(
    "ledger_revocations",
    METADATA,
    sa.Column("subject", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("revoked_us", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(500), nullable=False),
)

OUTBOX = sa.Table(
    "ledger_outbox",
    METADATA,
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(NAME_LENGTH), nullable=False, unique=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("delivered_us", sa.BigInteger, index=True),
    sqlite_autoincrement=True,
)

SCHEMA = Schema(name="ledger", version=2, tables=METADATA, migrations={1: EXPENSES.create})


def _first_row(_table: sa.Table, connection: sa.Connection, **_options: object) -> None:
    connection.execute(CLOCK.insert().values(id=1, latest_us=0))


sa.event.listen(CLOCK, "after_create", _first_row)
