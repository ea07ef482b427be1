"""Store: one database for a node's state. SQLite in a file by default, PostgreSQL by URL; every change a transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from sandbox.errors import StateError, UsageError

LOCK_TIMEOUT_S = 60
POSTGRES_DRIVER = "postgresql+psycopg"
SCHEMA_LOCK = 0x5EED_5A4D
SQLITE_SETTINGS = (
    "PRAGMA journal_mode = DELETE",
    "PRAGMA synchronous = EXTRA",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)
Migration = Callable[[sa.Connection], None]

_VERSIONS = sa.Table(
    "schema_versions",
    sa.MetaData(),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One owner's tables. version counts changes; migrations[v] turns version v into v + 1, inside the transaction."""

    name: str
    version: int
    tables: sa.MetaData
    migrations: Mapping[int, Migration] = field(default_factory=lambda: MappingProxyType({}))


class Store:
    """An open database. Threads and processes may share it: each transaction has a connection of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._thread = threading.local()

    @property
    def name(self) -> str:
        """The database's address, without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection inside a transaction that may write: kept as a whole at the end, or undone by any exception.

        On SQLite writers queue up (BEGIN IMMEDIATE); on PostgreSQL they queue where they change the same row.
        Raises StateError where the database fails (full disk, no permission, lock not granted in 60 s), and at once for a
        second transaction inside a first one of the same thread, which would wait for itself.
        """
        if getattr(self._thread, "busy", False):
            raise StateError("this thread has a transaction open; use its connection")
        self._thread.busy = True
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StateError(f"the store {self.name} cannot be used: {_reason(error)}") from None
        finally:
            self._thread.busy = False

    def install(self, schema: Schema) -> None:
        """Create a schema's tables, or bring older ones up to date. Raises StateError for tables of a newer version."""
        with self.transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
            _VERSIONS.create(connection, checkfirst=True)
            found = connection.scalar(sa.select(_VERSIONS.c.version).where(_VERSIONS.c.name == schema.name))
            if found is None:
                schema.tables.create_all(connection)
                connection.execute(_VERSIONS.insert().values(name=schema.name, version=schema.version))
            elif found != schema.version:
                self._migrate(connection, schema, found)

    def _migrate(self, connection: sa.Connection, schema: Schema, found: int) -> None:
        if found > schema.version:
            raise StateError(
                f"the store {self.name} holds version {found} of {schema.name!r} and this program knows {schema.version}; "
                "use the newer program"
            )
        for version in range(found, schema.version):
            step = schema.migrations.get(version)
            if step is None:
                raise StateError(
                    f"no way leads from version {version} of {schema.name!r} to {schema.version}; start a new store"
                )
            step(connection)
        connection.execute(_VERSIONS.update().where(_VERSIONS.c.name == schema.name).values(version=schema.version))

    def close(self) -> None:
        """Give idle connections back."""
        self._engine.dispose()


def open_store(address: str | Path) -> Store:
    """Return the store at a path (SQLite) or a URL (`sqlite:///…`, `postgresql://…`). Raises UsageError for any other.

    A URL without a driver gets ours. Parameters of statements never appear in errors.
    """
    text = f"sqlite:///{address}" if isinstance(address, Path) else address
    try:
        url = make_url(text)
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername=POSTGRES_DRIVER)
        return Store(_engine(url))
    except (ArgumentError, NoSuchModuleError):
        raise UsageError("a store's address is a path, sqlite:///path or postgresql://user@host/database") from None
    except ModuleNotFoundError as error:
        raise UsageError(f"this store needs the package {error.name}; install the extra `postgres`") from None


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise UsageError("state must outlive the process: give SQLite a file")
        engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": LOCK_TIMEOUT_S})
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_immediate)
        return engine
    if url.drivername != POSTGRES_DRIVER:
        raise UsageError(f"a store is SQLite or PostgreSQL, not {url.drivername}")
    options = f"-c lock_timeout={LOCK_TIMEOUT_S}s -c timezone=UTC"
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=LOCK_TIMEOUT_S,
        isolation_level="READ COMMITTED",
        connect_args={"options": options, "connect_timeout": 10},
    )


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for setting in SQLITE_SETTINGS:
        connection.execute(setting)


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _reason(error: DBAPIError) -> str:
    """What the database says about itself; never its DETAIL, which would quote values."""
    first = str(error.orig).splitlines()[:1]
    return first[0][:200] if first else type(error.orig).__name__
