"""Counted use, step by step: limits, keys, time, revocation, recovery, the outbox."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from sandbox.errors import Denied, NotFound, StateError, UsageError
from sandbox.ledger import Ledger, Limit, OutboxRow, Reservation, Store

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
GRANT = Limit(subject="grant:1", calls=2, not_before=NOW, expires=NOW + 30 * DAY)
ASSET = Limit(subject="asset:lab.measurements", calls=5)


def reserve(ledger: Ledger, key: str, *limits: Limit, run: str = "run-1", now: datetime.datetime = NOW) -> Reservation:
    with ledger.transaction(now) as transaction:
        return transaction.reserve(key, task=f"task of {key}", run=run, limits=limits or (GRANT, ASSET))


def commit(ledger: Ledger, key: str, now: datetime.datetime = NOW) -> Reservation:
    with ledger.transaction(now) as transaction:
        return transaction.commit(key)


def release(ledger: Ledger, key: str, now: datetime.datetime = NOW) -> Reservation:
    with ledger.transaction(now) as transaction:
        return transaction.release(key)


def revoke(ledger: Ledger, subject: str) -> None:
    with ledger.transaction(NOW) as transaction:
        transaction.revoke(subject, reason="withdrawn")


def test_a_use_goes_against_every_limit_or_none(ledger: Ledger) -> None:
    assert reserve(ledger, "a").state == "reserved"
    assert reserve(ledger, "b").subjects == ("asset:lab.measurements", "grant:1")
    with pytest.raises(Denied, match="2 of 2 calls of grant:1 are used or reserved") as caught:
        reserve(ledger, "c")
    assert [finding.verdict for finding in caught.value.decision.findings] == ["fail", "pass"]
    assert ledger.usage(["grant:1", "asset:lab.measurements", "other"]) == {
        "grant:1": 2,
        "asset:lab.measurements": 2,
        "other": 0,
    }


def test_released_uses_come_back_and_committed_ones_do_not(ledger: Ledger) -> None:
    reserve(ledger, "a")
    reserve(ledger, "b")
    assert release(ledger, "a").state == release(ledger, "a").state == "released"
    assert commit(ledger, "b").state == commit(ledger, "b").state == "committed"
    assert ledger.usage(["grant:1"]) == {"grant:1": 1}
    with pytest.raises(StateError, match="given back"):
        commit(ledger, "a")
    with pytest.raises(StateError, match="final"):
        release(ledger, "b")
    with pytest.raises(NotFound):
        commit(ledger, "never")


def test_a_key_names_one_use_of_one_run(ledger: Ledger) -> None:
    assert reserve(ledger, "a") == reserve(ledger, "a")
    assert ledger.usage(["grant:1"]) == {"grant:1": 1}
    with pytest.raises(StateError, match="another use"):
        reserve(ledger, "a", GRANT)
    with pytest.raises(StateError, match="belongs to the run run-1"):
        reserve(ledger, "a", run="run-2")
    release(ledger, "a")
    with pytest.raises(StateError, match="given back"):
        reserve(ledger, "a")


def test_limits_come_with_every_use(ledger: Ledger) -> None:
    reserve(ledger, "a")
    with pytest.raises(Denied):
        reserve(ledger, "b", Limit(subject="grant:1", calls=1))
    with pytest.raises(Denied):
        reserve(ledger, "b", Limit(subject="new", calls=0))
    assert reserve(ledger, "b", Limit(subject="grant:1", calls=3)).state == "reserved"


def test_a_use_without_a_limit_is_refused(ledger: Ledger) -> None:
    with ledger.transaction(NOW) as transaction, pytest.raises(UsageError):
        transaction.reserve("a", task="t", run="r", limits=())
    with pytest.raises(UsageError):
        reserve(ledger, "a", ASSET, ASSET)
    with pytest.raises(UsageError):
        reserve(ledger, "", ASSET)
    with pytest.raises(UsageError):
        reserve(ledger, "a\x00b", ASSET)
    with pytest.raises(UsageError):
        Limit(subject="x", calls=-1)
    with pytest.raises(UsageError):
        Limit(subject="x", calls=1, expires=datetime.datetime(2026, 1, 1))


def test_periods(ledger: Ledger) -> None:
    with pytest.raises(Denied, match="begins at"):
        reserve(ledger, "a", now=NOW - DAY)
    reserve(ledger, "b", now=NOW + 29 * DAY)
    with pytest.raises(Denied, match="expired at"):
        reserve(ledger, "c", now=NOW + 30 * DAY)


def test_expiry_holds_when_the_clock_is_set_back(opened: Callable[[], Store]) -> None:
    first = Ledger(opened())
    reserve(first, "a")
    with pytest.raises(Denied, match="expired"):
        reserve(first, "b", now=NOW + 40 * DAY)
    after_restart = Ledger(opened())
    with pytest.raises(Denied, match="expired"):
        reserve(after_restart, "b", now=NOW)
    with pytest.raises(Denied, match="the time for a ended"):
        commit(after_restart, "a", now=NOW)
    assert after_restart.now(NOW) == NOW + 40 * DAY
    with pytest.raises(UsageError, match="zone"):
        after_restart.now(NOW.replace(tzinfo=None))


def test_revocation_stops_new_uses_and_reserved_ones(ledger: Ledger) -> None:
    reserve(ledger, "a")
    reserve(ledger, "b")
    commit(ledger, "a")
    revoke(ledger, "grant:1")
    revoke(ledger, "grant:1")
    assert ledger.revoked(["grant:1", "grant:2"]) == {"grant:1": "withdrawn"}
    with pytest.raises(Denied, match="grant:1 is revoked: withdrawn"):
        reserve(ledger, "c")
    with pytest.raises(Denied, match="was revoked"):
        commit(ledger, "b")
    assert commit(ledger, "a").state == "committed"
    assert release(ledger, "b").state == "released"


def test_an_effect_that_happened_is_charged_whatever_came_since(ledger: Ledger) -> None:
    reserve(ledger, "a")
    reserve(ledger, "b")
    revoke(ledger, "grant:1")
    release(ledger, "b")
    with ledger.transaction(NOW + 60 * DAY) as transaction:
        assert transaction.charge("a").state == transaction.charge("a").state == "committed"
        with pytest.raises(StateError, match="given back"):
            transaction.charge("b")


def test_recover_finishes_only_dead_runs(ledger: Ledger) -> None:
    limit = Limit(subject="s", calls=9, expires=NOW + DAY)
    for key, run in (("a", "dead"), ("b", "dead"), ("c", "alive")):
        reserve(ledger, key, limit, run=run)
    revoke(ledger, "s")
    with ledger.transaction(NOW + 2 * DAY) as transaction:
        recovery = transaction.recover(live_runs={"alive"}, with_effects={"task of a", "task of c"})
        transaction.enqueue("recovered", b"a, b")
    assert [item.key for item in recovery.committed] == ["a"]
    assert [item.key for item in recovery.released] == ["b"]
    assert ledger.usage(["s"]) == {"s": 2}
    with ledger.transaction(NOW) as transaction:
        again = transaction.recover(live_runs={"alive"}, with_effects=())
    assert again.committed == again.released == ()
    with pytest.raises(StateError):
        commit(ledger, "b")


def test_a_refusal_undoes_the_whole_transaction(ledger: Ledger) -> None:
    reserve(ledger, "a")
    reserve(ledger, "b")

    def attempt() -> None:
        with ledger.transaction(NOW) as transaction:
            transaction.enqueue("event", b"c begins")
            transaction.reserve("c", task="t", run="r", limits=(GRANT,))

    with pytest.raises(Denied):
        attempt()
    assert ledger.pending() == ()


def test_a_siblings_state_changes_in_the_same_transaction(ledger: Ledger, opened: Callable[[], Store]) -> None:
    with opened().transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE tasks (name VARCHAR(20) PRIMARY KEY)")

    def attempt(key: str) -> None:
        with ledger.transaction(NOW) as transaction:
            transaction.connection.execute(sa.text("INSERT INTO tasks VALUES (:name)"), {"name": key})
            transaction.reserve(key, task=key, run="r", limits=(Limit(subject="s", calls=1),))

    attempt("a")
    with pytest.raises(Denied):
        attempt("b")
    with opened().transaction() as connection:
        assert connection.exec_driver_sql("SELECT name FROM tasks").scalars().all() == ["a"]


def test_the_outbox_delivers_in_order_at_least_once(ledger: Ledger) -> None:
    with ledger.transaction(NOW) as transaction:
        for index in range(5):
            transaction.enqueue(f"k{index}", bytes([index]))
        transaction.enqueue("k0", b"\x00")
        with pytest.raises(StateError, match="never rewritten"):
            transaction.enqueue("k0", b"other")
    log: list[str] = []

    def fails_at_third(row: OutboxRow) -> None:
        if row.key == "k2" and log.count("k2") == 0:
            log.append(row.key)
            raise OSError
        log.append(row.key)

    with pytest.raises(OSError):  # noqa: PT011
        ledger.deliver(fails_at_third, NOW)
    assert ledger.deliver(fails_at_third, NOW) == 3
    assert log == ["k0", "k1", "k2", "k2", "k3", "k4"]
    assert ledger.deliver(fails_at_third, NOW) == 0
    with ledger.transaction(NOW) as transaction:
        transaction.enqueue("k1", b"\x01")
    assert ledger.pending() == ()


def test_reasons_and_names_stay_printable(ledger: Ledger) -> None:
    with ledger.transaction(NOW) as transaction:
        with pytest.raises(UsageError):
            transaction.revoke("s", reason="line\nbreak")
        with pytest.raises(UsageError):
            transaction.enqueue("", b"")
