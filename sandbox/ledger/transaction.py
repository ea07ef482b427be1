"""One ledger transaction: reserve, commit, release, revoke, recover, enqueue."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NoReturn

import sqlalchemy as sa

from sandbox.errors import Denied, NotFound, StateError, UsageError
from sandbox.ledger.documents import Expense, Limit, Recovery, Reservation, State, check_name, microseconds, moment
from sandbox.ledger.tables import EXPENSES, OUTBOX, RESERVATIONS, REVOCATIONS, USES
from sandbox.model.decision import Decision, Finding

MAX_REASON = 500


class LedgerTransaction:
    """Valid inside `with ledger.transaction(now)`.

    connection: for a sibling's change of state in the same transaction. now: never earlier than any time seen before.
    """

    def __init__(self, connection: sa.Connection, now: datetime.datetime) -> None:
        self.connection = connection
        self.now = now

    def reserve(
        self, key: str, *, task: str, run: str, limits: Sequence[Limit], expenses: Sequence[Expense] = ()
    ) -> Reservation:
        """Take one use from every limit and the cost from every budget, or nothing from any.

        key: names this use for ever; asked again by the same run, the same reservation comes back and nothing is counted
        twice. run: one execution of a process, so that its reservations are known as dead when it is. Raises Denied with a
        finding per limit and budget if one has not enough left, StateError if the key stands for another use, belongs to
        another run, or was given back.
        """
        for value, what in ((key, "a reservation's key"), (task, "a task's name"), (run, "a run's name")):
            check_name(value, what=what)
        subjects = tuple(sorted(limit.subject for limit in limits))
        if not subjects or len(set(subjects)) != len(subjects):
            raise UsageError("a use is counted against at least one limit, and against each subject once")
        costs = tuple(sorted((expense.subject, expense.cost) for expense in expenses))
        if len({expense.subject for expense in expenses}) != len(costs):
            raise UsageError("a use spends of each budget once")
        earlier = self._find(key)
        if earlier is not None:
            return _same_use(earlier, task=task, run=run, subjects=subjects, costs=costs)
        decision = self._judge(limits, expenses)
        if not decision.allowed:
            raise Denied(decision)
        self._insert(key, task=task, run=run, limits=limits)
        if costs:
            rows = [{"key": key, "subject": subject, "cost": cost} for subject, cost in costs]
            self.connection.execute(EXPENSES.insert(), rows)
        return self.get(key)

    def commit(self, key: str) -> Reservation:
        """Make a reserved use final: the last act before its first effect. A repeat changes nothing.

        Raises Denied if a subject has been revoked or has expired since, StateError if the use was given back.
        """
        found = self.get(key)
        if found.state == "released":
            raise StateError(f"the use {key} was given back; reserve another with a new key")
        if found.state == "reserved":
            self._deny_ended(found)
            self._finish(key, "committed")
        return self.get(key)

    def charge(self, key: str) -> Reservation:
        """Make a reserved use final because its effect has happened: as commit, but nothing can deny what is a fact."""
        found = self.get(key)
        if found.state == "released":
            raise StateError(f"the use {key} was given back before its effect; reserve another with a new key")
        if found.state == "reserved":
            self._finish(key, "committed")
        return self.get(key)

    def release(self, key: str) -> Reservation:
        """Give a reserved use back, for a task without any effect. A repeat changes nothing. StateError if it is final."""
        found = self.get(key)
        if found.state == "committed":
            raise StateError(f"the use {key} is final and cannot be given back")
        if found.state == "reserved":
            self._finish(key, "released")
        return self.get(key)

    def revoke(self, subject: str, *, reason: str) -> None:
        """End a subject for ever: no new use, and no commit of a reserved one. The first reason stays."""
        check_name(subject, what="a subject")
        if not reason.isprintable() or len(reason) > MAX_REASON:
            raise UsageError(f"a reason is printable and has at most {MAX_REASON} characters")
        if subject not in self.revoked((subject,)):
            values = {"subject": subject, "revoked_us": microseconds(self.now), "reason": reason}
            self.connection.execute(REVOCATIONS.insert().values(**values))

    def recover(self, *, live_runs: Collection[str], with_effects: Collection[str]) -> Recovery:
        """Finish the reservations of dead runs: final for tasks known to have effects, given back for all others.

        A run that is not live must be unable to go on (its process is gone, or its commit will fail). Effects are facts:
        such a use becomes final even if its grant has ended since.
        """
        query = sa.select(RESERVATIONS.c.key).where(RESERVATIONS.c.state == "reserved").order_by(RESERVATIONS.c.key)
        committed: list[Reservation] = []
        released: list[Reservation] = []
        for found in [self.get(key) for key in self.connection.scalars(query).all()]:
            if found.run in live_runs:
                continue
            has_effect = found.task in with_effects
            self._finish(found.key, "committed" if has_effect else "released")
            (committed if has_effect else released).append(self.get(found.key))
        return Recovery(committed=tuple(committed), released=tuple(released))

    def enqueue(self, key: str, payload: bytes) -> None:
        """Put bytes into the log's outbox. The same key and bytes again change nothing; StateError for other bytes."""
        check_name(key, what="an outbox key")
        there = self.connection.scalar(sa.select(OUTBOX.c.payload).where(OUTBOX.c.key == key))
        if there is None:
            self.connection.execute(OUTBOX.insert().values(key=key, payload=payload))
        elif there != payload:
            raise StateError(f"the outbox holds other bytes under the key {key}; an event is never rewritten")

    def get(self, key: str) -> Reservation:
        """Return a reservation. Raises NotFound."""
        found = self._find(key)
        if found is None:
            raise NotFound(f"the ledger knows no use {key[:80]!a}")
        return found

    def usage(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the uses of each subject, reserved ones included; 0 for one never used."""
        return {subject: self._count(subject) for subject in subjects}

    def spent(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return what is spent of each budget, in its units, reserved uses included; 0 for one never touched."""
        return {subject: self._spent(subject) for subject in subjects}

    def revoked(self, subjects: Iterable[str]) -> dict[str, str]:
        """Return the reason for each of the subjects that is revoked."""
        query = sa.select(REVOCATIONS.c.subject, REVOCATIONS.c.reason).where(REVOCATIONS.c.subject.in_(list(subjects)))
        return {row.subject: row.reason for row in self.connection.execute(query)}

    def _find(self, key: str) -> Reservation | None:
        row = self.connection.execute(sa.select(RESERVATIONS).where(RESERVATIONS.c.key == key)).one_or_none()
        if row is None:
            return None
        subjects = self.connection.scalars(sa.select(USES.c.subject).where(USES.c.key == key))
        query = sa.select(EXPENSES.c.subject, EXPENSES.c.cost).where(EXPENSES.c.key == key)
        return Reservation(
            key=row.key,
            task=row.task,
            run=row.run,
            state=row.state,
            subjects=tuple(sorted(subjects)),
            costs=tuple(sorted((found.subject, found.cost) for found in self.connection.execute(query))),
        )

    def _count(self, subject: str) -> int:
        query = (
            sa.select(sa.func.count())
            .select_from(USES.join(RESERVATIONS))
            .where(USES.c.subject == subject, RESERVATIONS.c.state != "released")
        )
        return self.connection.scalars(query).one()

    def _spent(self, subject: str) -> int:
        query = (
            sa.select(sa.func.coalesce(sa.func.sum(EXPENSES.c.cost), 0))
            .select_from(EXPENSES.join(RESERVATIONS))
            .where(EXPENSES.c.subject == subject, RESERVATIONS.c.state != "released")
        )
        return int(self.connection.scalars(query).one())

    def _judge(self, limits: Sequence[Limit], expenses: Sequence[Expense]) -> Decision:
        ended = self.revoked([*(limit.subject for limit in limits), *(expense.subject for expense in expenses)])
        counted = (self._judge_one(limit, ended.get(limit.subject)) for limit in limits)
        weighed = (self._judge_expense(expense, ended.get(expense.subject)) for expense in expenses)
        return Decision(findings=(*counted, *weighed))

    def _judge_expense(self, expense: Expense, revoked: str | None) -> Finding:
        if revoked is not None:
            return _refusal("ledger.revoked", expense.subject, f"{expense.subject} is revoked: {revoked}")
        spent = self._spent(expense.subject)
        text = f"{spent} of {expense.budget} units of {expense.subject} are spent or reserved"
        if spent + expense.cost > expense.budget:
            return _refusal("ledger.budget", expense.subject, f"{text}, and this use costs {expense.cost}")
        message = f"{text} before this use of {expense.cost}"
        return Finding(check="ledger.budget", verdict="pass", subject=expense.subject, message=message)

    def _judge_one(self, limit: Limit, revoked: str | None) -> Finding:
        used = self._count(limit.subject)
        if revoked is not None:
            return _refusal("ledger.revoked", limit.subject, f"{limit.subject} is revoked: {revoked}")
        if limit.not_before is not None and self.now < limit.not_before:
            return _refusal("ledger.period", limit.subject, f"{limit.subject} begins at {limit.not_before.isoformat()}")
        if limit.expires is not None and self.now >= limit.expires:
            return _refusal("ledger.period", limit.subject, f"{limit.subject} expired at {limit.expires.isoformat()}")
        if used >= limit.calls:
            message = f"{used} of {limit.calls} calls of {limit.subject} are used or reserved; none is left"
            return _refusal("ledger.calls", limit.subject, message)
        message = f"{used} of {limit.calls} calls of {limit.subject} were used before this one"
        return Finding(check="ledger.calls", verdict="pass", subject=limit.subject, message=message)

    def _deny_ended(self, found: Reservation) -> None:
        revoked = self.revoked([*found.subjects, *(subject for subject, _ in found.costs)])
        findings = [_refusal("ledger.revoked", name, f"{name} was revoked: {reason}") for name, reason in revoked.items()]
        expires_us = self.connection.scalar(sa.select(RESERVATIONS.c.expires_us).where(RESERVATIONS.c.key == found.key))
        if expires_us is not None and microseconds(self.now) >= expires_us:
            message = f"the time for {found.key} ended at {moment(expires_us).isoformat()}"
            findings.append(_refusal("ledger.period", found.key, message))
        if findings:
            raise Denied(Decision(findings=tuple(findings)))

    def _insert(self, key: str, *, task: str, run: str, limits: Sequence[Limit]) -> None:
        ends = [microseconds(limit.expires) for limit in limits if limit.expires is not None]
        values: dict[str, Any] = {"key": key, "task": task, "run": run, "state": "reserved"}
        values |= {"reserved_us": microseconds(self.now), "expires_us": min(ends, default=None)}
        self.connection.execute(RESERVATIONS.insert().values(**values))
        self.connection.execute(USES.insert(), [{"key": key, "subject": limit.subject} for limit in limits])

    def _finish(self, key: str, state: State) -> None:
        values = {"state": state, "finished_us": microseconds(self.now)}
        self.connection.execute(RESERVATIONS.update().where(RESERVATIONS.c.key == key).values(**values))


def _same_use(
    found: Reservation, *, task: str, run: str, subjects: tuple[str, ...], costs: tuple[tuple[str, int], ...]
) -> Reservation:
    if (found.task, found.subjects, found.costs) != (task, subjects, costs):
        _refuse_key(found, "stands for another use")
    if found.run != run:
        _refuse_key(found, f"belongs to the run {found.run}")
    if found.state == "released":
        _refuse_key(found, "was given back")
    return found


def _refuse_key(found: Reservation, why: str) -> NoReturn:
    raise StateError(f"the key {found.key} {why}; a new use needs a new key")


def _refusal(check: str, subject: str, message: str) -> Finding:
    return Finding(check=check, verdict="fail", subject=subject, message=message)
