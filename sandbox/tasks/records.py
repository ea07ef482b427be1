"""Records: what the manager's node keeps of tasks, grants, terms and releases, beside the ledger in the same database."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from sandbox.errors import NotFound, StateError
from sandbox.ledger import Schema, Store
from sandbox.model.canonical import canonical, digest, parse
from sandbox.model.evidence import SignedEvent
from sandbox.model.grant import SignedGrant, SignedRevocation
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.product import ReleaseRecord
from sandbox.tasks.casefile import CaseFile, KeptGrant, ReleasedProduct, Task
from sandbox.tasks.lifecycle import TaskState, move

_TABLES = sa.MetaData()
TASKS = sa.Table(
    "tasks",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
    sa.Column("grant", sa.String(80), nullable=False),
    sa.Column("authorised", sa.LargeBinary, nullable=False),
)
GRANTS = sa.Table(
    "grants",
    _TABLES,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("digest", sa.String(80), nullable=False, unique=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("plan", sa.LargeBinary, nullable=False),
    sa.Column("submitted", sa.LargeBinary, nullable=False),
    sa.Column("issued", sa.LargeBinary, nullable=True),
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
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
RELEASES = sa.Table(
    "releases",
    _TABLES,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task", sa.String(64), nullable=False, unique=True),
    sa.Column("product", sa.String(80), nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Column("case_file", sa.LargeBinary, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)
SUMS = sa.Table(
    "sums",
    _TABLES,
    sa.Column("inputs", sa.String(80), primary_key=True),
    sa.Column("survivors", sa.LargeBinary, nullable=False),
)
TELLINGS = sa.Table(
    "tellings",
    _TABLES,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("task", sa.String(64), nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
)


def _add_tellings(connection: sa.Connection) -> None:
    TELLINGS.create(connection)


SCHEMA = Schema(name="tasks", version=3, tables=_TABLES, migrations={2: _add_tellings})
"""Version 1 kept releases without certificates; nothing can certify them afterwards, so no way leads from it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHistory:
    """Every release of some assets, oldest first. head: the number of the newest release of any asset, 0 for none.

    records: what the gate keeps of each, private to it, and of weights that were told in fits. products: digests of the
    releases' product records, as the log names them. tellings: the number of the newest of those fits, 0 for none.
    """

    head: int
    tellings: int
    records: tuple[ReleaseRecord, ...]
    products: tuple[str, ...]


class Records:
    """Reads and writes of the manager's records; every write takes the caller's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.install(SCHEMA)

    def add_task(self, connection: sa.Connection, task: Task) -> None:
        """Record a new task."""
        row = {"id": task.id, "state": task.state, "plan": canonical(task.plan), "grant": task.grant}
        connection.execute(TASKS.insert().values(**row, authorised=canonical(task.authorised)))

    def move_task(self, connection: sa.Connection, task: str, following: TaskState) -> None:
        """Move a task on. Raises StateError for a move that its life does not have."""
        current = self.state(connection, task)
        changed = connection.execute(
            TASKS.update().where(TASKS.c.id == task, TASKS.c.state == current).values(state=move(task, current, following))
        )
        if changed.rowcount != 1:
            raise StateError(f"task {task} was moved by another process meanwhile")

    def state(self, connection: sa.Connection, task: str) -> TaskState:
        """Return where a task stands. Raises NotFound."""
        current: TaskState | None = connection.scalar(sa.select(TASKS.c.state).where(TASKS.c.id == task))
        if current is None:
            raise NotFound(f"there is no task {task}")
        return current

    def tasks(self, *states: TaskState) -> tuple[Task, ...]:
        """Return all tasks, or those in the given states."""
        query = sa.select(TASKS).order_by(TASKS.c.id)
        if states:
            query = query.where(TASKS.c.state.in_(states))
        with self._store.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Task(
                id=row.id,
                state=row.state,
                plan=parse(row.plan, Plan, what="a stored plan"),
                grant=row.grant,
                authorised=parse(row.authorised, SignedEvent, what="a stored event"),
            )
            for row in rows
        )

    def put_grant(self, connection: sa.Connection, kept: KeptGrant) -> None:
        """Keep a grant, or its version with more signatures."""
        grant = kept.signed.grant
        row = {
            "document": canonical(kept.signed),
            "digest": grant.digest(),
            "plan": canonical(kept.plan),
            "submitted": canonical(kept.submitted),
            "issued": None if kept.issued is None else canonical(kept.issued),
        }
        known = connection.scalar(sa.select(GRANTS.c.digest).where(GRANTS.c.id == grant.id))
        if known is None:
            connection.execute(GRANTS.insert().values(id=grant.id, **row))
        elif known == row["digest"]:
            connection.execute(GRANTS.update().where(GRANTS.c.id == grant.id).values(**row))
        else:
            raise StateError(f"another grant has the id {grant.id}")

    def grants(self) -> tuple[KeptGrant, ...]:
        """Return every grant, by id."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(GRANTS).order_by(GRANTS.c.id)).all()
        return tuple(
            KeptGrant(
                signed=parse(row.document, SignedGrant, what="a stored grant"),
                plan=parse(row.plan, Plan, what="a stored plan"),
                submitted=parse(row.submitted, SignedEvent, what="a stored event"),
                issued=None if row.issued is None else parse(row.issued, SignedEvent, what="a stored event"),
            )
            for row in rows
        )

    def grant(self, id: str) -> KeptGrant:
        """Return a grant by its id or digest. Raises NotFound with the ids that exist."""
        everything = self.grants()
        for kept in everything:
            if id in (kept.signed.grant.id, kept.signed.grant.digest()):
                return kept
        known = ", ".join(kept.signed.grant.id for kept in everything) or "none yet"
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

    def add_release(self, connection: sa.Connection, record: ReleaseRecord, product: ReleasedProduct) -> None:
        """Keep a release: what history needs of it, and the product with its case file."""
        row = {"record": canonical(record), "case_file": canonical(product.case_file), "payload": product.payload}
        name = digest(product.case_file.product)
        connection.execute(RELEASES.insert().values(task=product.task, product=name, **row))

    def add_sum(self, connection: sa.Connection, inputs: str, survivors: Sequence[str]) -> None:
        """Keep over whom the gate has summed these inputs: it never sums them over others. Raises StateError if it has."""
        found, told = connection.scalar(sa.select(SUMS.c.survivors).where(SUMS.c.inputs == inputs)), sorted(survivors)
        if found is None:
            connection.execute(SUMS.insert().values(inputs=inputs, survivors=msgspec.json.encode(told)))
        elif msgspec.json.decode(found, type=list[str]) != told:
            raise StateError("another run has summed the same inputs over other parts meanwhile; this sum is not used")

    def sums(self, inputs: str) -> dict[str, tuple[str, ...]]:
        """Return over whom the gate has summed these inputs before, by their name; nothing if it has not."""
        with self._store.transaction() as connection:
            found = connection.scalar(sa.select(SUMS.c.survivors).where(SUMS.c.inputs == inputs))
        return {} if found is None else {inputs: msgspec.json.decode(found, type=tuple[str, ...])}

    def is_newest(self, connection: sa.Connection, history: ReleaseHistory) -> bool:
        """Return whether nothing was released or told since a history was read."""
        return (_newest(connection, RELEASES), _newest(connection, TELLINGS)) == (history.head, history.tellings)

    def history(self, assets: Iterable[str], *, apart_from: str = "") -> ReleaseHistory:
        """Return every release of any of these assets, and whatever weights of other fits than that task's have told."""
        wanted = set(assets)
        with self._store.transaction() as connection:
            head, tellings = _newest(connection, RELEASES), _newest(connection, TELLINGS)
            rows = connection.execute(sa.select(RELEASES.c.product, RELEASES.c.record).order_by(RELEASES.c.position)).all()
            told = connection.execute(sa.select(TELLINGS).order_by(TELLINGS.c.position)).all()
        everything = [(row.product, parse(row.record, ReleaseRecord, what="a stored release")) for row in rows]
        shared = [(product, record) for product, record in everything if wanted & _assets_of(record)]
        known = {row.record for row in rows}
        others = dict.fromkeys(row.record for row in told if row.task != apart_from and row.record not in known)
        more = [record for data in others if wanted & _assets_of(record := parse(data, ReleaseRecord, what="a stored telling"))]
        return ReleaseHistory(
            head=head,
            tellings=tellings,
            records=(*(record for _, record in shared), *more),
            products=tuple(product for product, _ in shared),
        )

    def add_telling(self, connection: sa.Connection, task: str, record: ReleaseRecord) -> None:
        """Keep of whom a fit's weights tell, before they leave the gate: whether or not a model follows, they were seen."""
        connection.execute(TELLINGS.insert().values(task=task, record=canonical(record)))

    def tellers(self) -> frozenset[str]:
        """Return the tasks whose weights have left the gate."""
        with self._store.transaction() as connection:
            return frozenset(connection.scalars(sa.select(TELLINGS.c.task)))

    def products(self) -> tuple[ReleasedProduct, ...]:
        """Return every released product, oldest first."""
        with self._store.transaction() as connection:
            rows = connection.execute(sa.select(RELEASES).order_by(RELEASES.c.position)).all()
        return tuple(
            ReleasedProduct(case_file=parse(row.case_file, CaseFile, what="a stored case file"), payload=row.payload)
            for row in rows
        )


def _newest(connection: sa.Connection, table: sa.Table) -> int:
    """Return the number of a table's newest row, 0 for none."""
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(table.c.position), 0))) or 0


def _assets_of(record: ReleaseRecord) -> frozenset[str]:
    """The assets whose rows a release counted: its inputs, or the parts of its federated table."""
    return frozenset(part.input.asset for part in record.inputs) if record.parts is None else frozenset(record.parts.assets)
