"""The store: settings that make a commit durable, versions of tables, failures as one typed error without values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.errors import StateError, UsageError
from sandbox.ledger import Ledger, Schema, Store, open_store
from sandbox.ledger.tables import OUTBOX


def things(version: int, **migrations: Callable[[sa.Connection], None]) -> Schema:
    metadata = sa.MetaData()
    sa.Table("things", metadata, sa.Column("name", sa.String(20), primary_key=True))
    return Schema(
        name="things",
        version=version,
        tables=metadata,
        migrations={int(k.removeprefix("from_")): m for k, m in migrations.items()},
    )


def add_colour(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE things ADD COLUMN colour VARCHAR(20)")


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db")
    with store.transaction() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert found == {"journal_mode": "delete", "synchronous": 3}


def test_an_exception_undoes_everything(opened: Callable[[], Store]) -> None:
    store = opened()
    store.install(things(1))

    def insert_and_fail() -> None:
        with store.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO things VALUES ('a')")
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_fail()
    with store.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM things").scalar() == 0


def test_a_transaction_inside_a_transaction_is_refused_at_once(opened: Callable[[], Store]) -> None:
    store = opened()
    with store.transaction(), pytest.raises(StateError, match="use its connection"), store.transaction():
        pass
    with store.transaction() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_tables_are_made_once_and_migrated_in_order(opened: Callable[[], Store]) -> None:
    opened().install(things(1))
    opened().install(things(1))
    steps: list[int] = []

    def second(connection: sa.Connection) -> None:
        steps.append(2)

    def first(connection: sa.Connection) -> None:
        steps.append(1)
        add_colour(connection)

    opened().install(things(3, from_1=first, from_2=second))
    opened().install(things(3, from_1=first, from_2=second))
    assert steps == [1, 2]
    with opened().transaction() as connection:
        connection.exec_driver_sql("INSERT INTO things VALUES ('a', 'red')")


def test_a_failed_migration_leaves_the_old_version(opened: Callable[[], Store]) -> None:
    opened().install(things(1))

    def fail(connection: sa.Connection) -> None:
        add_colour(connection)
        raise KeyError

    with pytest.raises(KeyError):
        opened().install(things(2, from_1=fail))
    opened().install(things(2, from_1=add_colour))


def test_unknown_versions_are_refused(opened: Callable[[], Store]) -> None:
    opened().install(things(2))
    with pytest.raises(StateError, match="version 2 of 'things'"):
        opened().install(things(1))
    with pytest.raises(StateError, match="no way leads from version 2"):
        opened().install(things(3))


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "what", "postgresql+nothing://x/y"])
def test_addresses_that_cannot_hold_state_are_refused(address: str) -> None:
    with pytest.raises(UsageError):
        open_store(address)


def test_failures_are_state_errors(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="unable to open"):
        Ledger(open_store(tmp_path / "absent" / "a.db"))
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StateError, match="not a database"):
        Ledger(open_store(broken))
    with pytest.raises(StateError, match="unable to open"):
        Ledger(open_store(tmp_path))
    with pytest.raises(StateError) as caught:
        Ledger(open_store("postgresql://someone:secret-word@127.0.0.1:1/none"))
    assert "secret-word" not in str(caught.value)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db")
    Ledger(store)

    def fill() -> None:
        with store.transaction() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(OUTBOX.insert().values(key="k", payload=b"canary" * 10_000))

    with pytest.raises(StateError, match="full") as caught:
        fill()
    assert "canary" not in str(caught.value)
    assert Ledger(store).pending() == ()
