"""Records: what the manager's node keeps of tasks, grants, terms and releases, beside the ledger in the same database."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

import sqlalchemy as sa

from sandbox.errors import NotFound, StateError
from sandbox.ledger import Schema, Store
from sandbox.model.canonical import canonical, parse
from sandbox.model.grant import SignedGrant, SignedRevocation
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.product import ProductCard, ReleaseRecord
from sandbox.tasks.lifecycle import TaskState, move

D = TypeVar("D")

_TABLES = sa.MetaData()
TASKS = sa.Table(
    "tasks",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
    sa.Column("grant", sa.String(80), nullable=False),
)
GRANTS = sa.Table(
    "grants",
    _TABLES,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("digest", sa.String(80), nullable=False, unique=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
)
REVOCATIONS = sa.Table(
    "grant_revocations",
    _TABLES,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
POLICIES = sa.Table(
    "policies",
    _TABLES,
    sa.Column("asset", sa.String(260), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
RELEASES = sa.Table(
    "releases",
    _TABLES,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task", sa.String(64), nullable=False, unique=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("card", sa.LargeBinary, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
SCHEMA = Schema(name="tasks", version=1, tables=_TABLES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of a plan under a grant."""

    id: str
    state: TaskState
    plan: Plan
    grant: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedProduct:
    """A released product as the manager keeps it: card and Arrow file, in the transaction that released it."""

    task: str
    card: ProductCard
    payload: bytes


class Records:
    """Reads and writes of the manager's records; every write takes the caller's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.install(SCHEMA)

    def add_task(self, connection: sa.Connection, task: Task) -> None:
        """Record a new task."""
        connection.execute(TASKS.insert().values(id=task.id, state=task.state, plan=canonical(task.plan), grant=task.grant))

    def move_task(self, connection: sa.Connection, task: str, following: TaskState) -> None:
        """Move a task on. Raises StateError for a move that its life does not have."""
        current: TaskState | None = connection.scalar(sa.select(TASKS.c.state).where(TASKS.c.id == task))
        if current is None:
            raise NotFound(f"there is no task {task}")
        changed = connection.execute(
            TASKS.update().where(TASKS.c.id == task, TASKS.c.state == current).values(state=move(task, current, following))
        )
        if changed.rowcount != 1:
            raise StateError(f"task {task} was moved by another process meanwhile")

    def tasks(self, *states: TaskState) -> tuple[Task, ...]:
        """Return all tasks, or those in the given states."""
        query = sa.select(TASKS).order_by(TASKS.c.id)
        if states:
            query = query.where(TASKS.c.state.in_(states))
        with self._store.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Task(id=row.id, state=row.state, plan=parse(row.plan, Plan, what="a stored plan"), grant=row.grant) for row in rows
        )

    def put_grant(self, connection: sa.Connection, signed: SignedGrant, plan: Plan) -> None:
        """Keep a grant, or its version with more signatures; `plan` is the question that it was asked for."""
        row = {"document": canonical(signed), "digest": signed.grant.digest(), "plan": canonical(plan)}
        known = connection.scalar(sa.select(GRANTS.c.digest).where(GRANTS.c.id == signed.grant.id))
        if known is None:
            connection.execute(GRANTS.insert().values(id=signed.grant.id, **row))
        elif known == row["digest"]:
            connection.execute(GRANTS.update().where(GRANTS.c.id == signed.grant.id).values(**row))
        else:
            raise StateError(f"another grant has the id {signed.grant.id}")

    def grants(self) -> tuple[tuple[SignedGrant, Plan], ...]:
        """Return every grant with the plan that it was asked for, by id."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(GRANTS.c.document, GRANTS.c.plan).order_by(GRANTS.c.id)).all()
        return tuple(
            (parse(row.document, SignedGrant, what="a stored grant"), parse(row.plan, Plan, what="a stored plan"))
            for row in rows
        )

    def grant(self, id: str) -> tuple[SignedGrant, Plan]:
        """Return a grant by its id or digest. Raises NotFound with the ids that exist."""
        everything = self.grants()
        for signed, plan in everything:
            if id in (signed.grant.id, signed.grant.digest()):
                return signed, plan
        known = ", ".join(signed.grant.id for signed, _ in everything) or "none yet"
        raise NotFound(f"there is no grant {id!r}; grants are: {known}")

    def add_revocation(self, connection: sa.Connection, signed: SignedRevocation) -> None:
        """Keep a revocation."""
        connection.execute(REVOCATIONS.insert().values(document=canonical(signed)))

    def revocations(self) -> tuple[SignedRevocation, ...]:
        """Return every revocation, oldest first."""
        with self._store.transaction() as connection:
            rows = connection.scalars(sa.select(REVOCATIONS.c.document).order_by(REVOCATIONS.c.position)).all()
        return tuple(parse(row, SignedRevocation, what="a stored revocation") for row in rows)

    def put_policy(self, connection: sa.Connection, policy: Policy) -> None:
        """Keep a version of an owner's terms."""
        connection.execute(POLICIES.insert().values(asset=policy.asset, version=policy.version, document=canonical(policy)))

    def policy(self, asset: str) -> Policy | None:
        """Return the newest terms on an asset, or None."""
        query = sa.select(POLICIES.c.document).where(POLICIES.c.asset == asset).order_by(POLICIES.c.version.desc()).limit(1)
        with self._store.transaction() as connection:
            document = connection.scalar(query)
        return None if document is None else parse(document, Policy, what="stored terms")

    def add_release(
        self, connection: sa.Connection, task: str, record: ReleaseRecord, card: ProductCard, payload: bytes
    ) -> None:
        """Keep a release: what history needs of it, and the product itself."""
        connection.execute(RELEASES.insert().values(task=task, record=canonical(record), card=canonical(card), payload=payload))

    def history_head(self, connection: sa.Connection) -> int:
        """Return the number of the newest release, 0 for none."""
        return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(RELEASES.c.position), 0))) or 0

    def history(self, assets: Iterable[str]) -> tuple[int, tuple[ReleaseRecord, ...]]:
        """Return the history's head and the records of every release of any of these assets, oldest first."""
        wanted = set(assets)
        with self._store.transaction() as connection:
            head = self.history_head(connection)
            rows = connection.scalars(sa.select(RELEASES.c.record).order_by(RELEASES.c.position)).all()
        records = [parse(row, ReleaseRecord, what="a stored release") for row in rows]
        return head, tuple(item for item in records if wanted & {part.input.asset for part in item.inputs})

    def products(self) -> tuple[ReleasedProduct, ...]:
        """Return every released product, oldest first."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(RELEASES).order_by(RELEASES.c.position)).all()
        return tuple(
            ReleasedProduct(task=row.task, card=parse(row.card, ProductCard, what="a stored card"), payload=row.payload)
            for row in rows
        )
