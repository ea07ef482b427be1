"""Catalogue: declared assets by name and version, in a database; and, at the provider's own node, where their data lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from sandbox.catalogue.definition import Schema, TableDefinition, declare, near, shown
from sandbox.catalogue.lifecycle import WAY_TO_PUBLISHED, after_change, check_move
from sandbox.errors import NotFound, StateError, UsageError
from sandbox.model.asset import Asset, Lifecycle
from sandbox.model.canonical import canonical, parse
from sandbox.model.federation import Federation
from sandbox.model.source import SourceSpec

LOCK_TIMEOUT_S = 60
NAME_LENGTH = 160
SQLITE_SETTINGS = ("PRAGMA journal_mode = DELETE", "PRAGMA synchronous = FULL", "PRAGMA trusted_schema = OFF")

METADATA = sa.MetaData()
ASSETS = sa.Table(
    "catalogue_assets",
    METADATA,
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
SOURCES = sa.Table(
    "catalogue_sources",
    METADATA,
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
FEDERATIONS = sa.Table(
    "catalogue_federations",
    METADATA,
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)


class Catalogue:
    """A node's catalogue. Assets may be shown to anyone the node serves; source specs stay here.

    Threads and processes may share it: every change is one transaction, and writers queue.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        with self._transaction() as connection:
            METADATA.create_all(connection)

    def add(
        self, provider: str, table: str, definition: TableDefinition, schema: Schema, *, spec: SourceSpec | None = None
    ) -> Asset:
        """Declare a table and return its asset: version 1 and `draft`, or the next version where the declaration changed.

        schema: (name, type) per column of the source. spec: where the data lies; kept for `spec`. The same declaration again
        changes nothing but the spec. A published asset becomes `changed`. Raises UsageError, StateError for a cancelled one.
        """
        first = declare(provider, table, definition, schema)
        with self._transaction() as connection:
            known = self._latest(connection, first.name)
            asset = first if known is None else _next_version(known, first)
            if known is None or asset.version != known.version:
                connection.execute(ASSETS.insert().values(name=asset.name, version=asset.version, document=canonical(asset)))
            if spec is not None:
                connection.execute(SOURCES.delete().where(SOURCES.c.name == asset.name))
                connection.execute(SOURCES.insert().values(name=asset.name, document=canonical(spec)))
        return asset

    def receive(self, asset: Asset) -> None:
        """Keep another node's asset as it was announced; the same version again replaces it only by its lifecycle.

        Raises StateError where a known version would say something else.
        """
        with self._transaction() as connection:
            known = self._version(connection, asset.name, asset.version)
            if known is None:
                connection.execute(ASSETS.insert().values(name=asset.name, version=asset.version, document=canonical(asset)))
            elif msgspec.structs.replace(known, lifecycle=asset.lifecycle) != asset:
                raise StateError(f"version {asset.version} of {asset.name} is known with another declaration; ask its provider")
            else:
                self._write(connection, asset)

    def get(self, name: str, *, version: int | None = None) -> Asset:
        """Return an asset by `provider.table`, its latest version unless one is named. Raises NotFound with near names."""
        with self._transaction() as connection:
            return self._get(connection, name, version)

    def list(self, *, provider: str | None = None) -> tuple[Asset, ...]:
        """Return the latest version of every asset, or of one provider's, by name."""
        latest = sa.select(ASSETS.c.name, sa.func.max(ASSETS.c.version).label("version")).group_by(ASSETS.c.name).subquery()
        query = (
            sa.select(ASSETS.c.document)
            .join(latest, (ASSETS.c.name == latest.c.name) & (ASSETS.c.version == latest.c.version))
            .order_by(ASSETS.c.name)
        )
        with self._transaction() as connection:
            found = [_asset(document) for document in connection.scalars(query)]
        return tuple(asset for asset in found if provider in (None, asset.provider))

    def spec(self, name: str) -> SourceSpec:
        """Return where an asset's data lies. Raises NotFound where this node does not hold it."""
        with self._transaction() as connection:
            self._get(connection, name, None)
            document = connection.scalar(sa.select(SOURCES.c.document).where(SOURCES.c.name == name))
        if document is None:
            raise NotFound(f"the data of {name} is not at this node; ask its provider")
        return parse(bytes(document), SourceSpec, what=f"the source of {name}")

    def move(self, name: str, to: Lifecycle) -> Asset:
        """Move an asset's latest version along its lifecycle and return it. Raises StateError for an illegal move, NotFound."""
        return self._move(name, (to,))

    def publish(self, name: str) -> Asset:
        """Move an asset through all steps that are left to `published`, as the provider of an embedded network does."""
        with self._transaction() as connection:
            now = self._get(connection, name, None).lifecycle
        if now not in WAY_TO_PUBLISHED:
            check_move(name, now, "published")
        return self._move(name, WAY_TO_PUBLISHED[now])

    def cancel(self, name: str) -> Asset:
        """Cancel an asset for ever."""
        return self._move(name, ("cancelled",))

    def federate(self, declared: Federation) -> Federation:
        """Keep a federated table: as declared, or as the next version where the declaration changed."""
        with self._transaction() as connection:
            here = FEDERATIONS.c.name == declared.name
            document = connection.scalar(sa.select(FEDERATIONS.c.document).where(here))
            if document is not None:
                known = parse(bytes(document), Federation, what=f"the federated table {declared.name}")
                if msgspec.structs.replace(declared, version=known.version) == known:
                    return known
                declared = msgspec.structs.replace(declared, version=known.version + 1)
                connection.execute(FEDERATIONS.delete().where(here))
            connection.execute(FEDERATIONS.insert().values(name=declared.name, document=canonical(declared)))
        return declared

    def federations(self) -> dict[str, Federation]:
        """Return every federated table by its name."""
        with self._transaction() as connection:
            documents = connection.scalars(sa.select(FEDERATIONS.c.document).order_by(FEDERATIONS.c.name)).all()
        found = [parse(bytes(document), Federation, what="a federated table of the catalogue") for document in documents]
        return {item.name: item for item in found}

    def close(self) -> None:
        """Give idle connections back."""
        self._engine.dispose()

    def _move(self, name: str, way: tuple[Lifecycle, ...]) -> Asset:
        with self._transaction() as connection:
            asset = self._get(connection, name, None)
            for to in way:
                check_move(name, asset.lifecycle, to)
                asset = msgspec.structs.replace(asset, lifecycle=to)
            self._write(connection, asset)
        return asset

    def _write(self, connection: sa.Connection, asset: Asset) -> None:
        here = (ASSETS.c.name == asset.name) & (ASSETS.c.version == asset.version)
        connection.execute(ASSETS.update().where(here).values(document=canonical(asset)))

    def _get(self, connection: sa.Connection, name: str, version: int | None) -> Asset:
        found = self._latest(connection, name) if version is None else self._version(connection, name, version)
        if found is None:
            names = connection.scalars(sa.select(ASSETS.c.name).distinct())
            what = shown(name) if version is None else f"version {version} of {shown(name)}"
            raise NotFound(f"the catalogue has no {what}; near it: {near(name, names)}")
        return found

    def _latest(self, connection: sa.Connection, name: str) -> Asset | None:
        query = sa.select(ASSETS.c.document).where(ASSETS.c.name == name).order_by(ASSETS.c.version.desc()).limit(1)
        document = connection.scalar(query)
        return None if document is None else _asset(document)

    def _version(self, connection: sa.Connection, name: str, version: int) -> Asset | None:
        query = sa.select(ASSETS.c.document).where((ASSETS.c.name == name) & (ASSETS.c.version == version))
        document = connection.scalar(query)
        return None if document is None else _asset(document)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        failed = False
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError:
            failed = True
        if failed:
            address = self._engine.url.render_as_string(hide_password=True)
            raise StateError(f"the catalogue {address} cannot be used (locked, read-only or full); check the file and its disk")


def open_catalogue(address: str | Path) -> Catalogue:
    """Return the catalogue at a path (SQLite, rollback journal, synchronous=FULL) or any SQLAlchemy URL. Raises UsageError."""
    url = f"sqlite:///{address}" if isinstance(address, Path) or "://" not in address else address
    problem = ""
    try:
        made = sa.make_url(url)
        if made.get_backend_name() == "sqlite":
            if made.database in (None, "", ":memory:"):
                raise UsageError("a catalogue must outlive the process: give SQLite a file")
            engine = sa.create_engine(made, poolclass=NullPool, hide_parameters=True, connect_args={"timeout": LOCK_TIMEOUT_S})
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _begin_immediate)
        else:
            engine = sa.create_engine(made, hide_parameters=True, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError):
        problem = "a catalogue's address is a path, sqlite:///path or a database URL"
    except ModuleNotFoundError as error:
        problem = f"this address needs the package {error.name}; install the extra `postgres`"
    if problem:
        raise UsageError(problem)
    return Catalogue(engine)


def _next_version(known: Asset, declared: Asset) -> Asset:
    same = msgspec.structs.replace(declared, version=known.version, lifecycle=known.lifecycle)
    if same == known and known.lifecycle != "cancelled":
        return known
    return msgspec.structs.replace(declared, version=known.version + 1, lifecycle=after_change(known.name, known.lifecycle))


def _asset(document: bytes) -> Asset:
    return parse(bytes(document), Asset, what="an asset of the catalogue")


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for setting in SQLITE_SETTINGS:
        connection.execute(setting)


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
