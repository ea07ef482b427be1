"""Ledgers on every database that is at hand: SQLite always, PostgreSQL where SANDBOX_DATABASE_URL names one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sandbox.ledger import Ledger, Store, open_store

URL = os.environ.get("SANDBOX_DATABASE_URL")


def _administer(statement: str) -> None:
    url = sa.engine.make_url(URL or "").set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of its own for one test; its URL, so that other processes can open it too."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    if not URL or not URL.startswith("postgres"):
        pytest.skip("SANDBOX_DATABASE_URL names no PostgreSQL database")
    name = f"sandbox_test_{secrets.token_hex(6)}"
    _administer(f"CREATE DATABASE {name}")
    yield sa.engine.make_url(URL).set(database=name).render_as_string(hide_password=False)
    _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def opened(address: str) -> Iterator[Callable[[], Store]]:
    """Open the test's database as often as wanted; everything is closed in the end."""
    stores: list[Store] = []

    def open_again() -> Store:
        stores.append(open_store(address))
        return stores[-1]

    yield open_again
    for store in stores:
        store.close()


@pytest.fixture
def ledger(opened: Callable[[], Store]) -> Ledger:
    return Ledger(opened())
