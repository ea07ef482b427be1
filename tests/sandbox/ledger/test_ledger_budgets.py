"""Budgets: spent with the use, given back with it, never overdrawn, and there after an older store was opened."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from sandbox.errors import Denied, StateError, UsageError
from sandbox.ledger import Expense, Ledger, Limit, Reservation, Store
from sandbox.ledger.tables import EXPENSES

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
CALLS = Limit(subject="grant:g", calls=10)
LAB, REGISTRY = "privacy:lab.values:operator", "privacy:registry.people:operator"


def reserve(ledger: Ledger, key: str, *expenses: Expense) -> Reservation:
    with ledger.transaction(NOW) as transaction:
        return transaction.reserve(key, task=key, run="run", limits=(CALLS,), expenses=expenses)


def finish(ledger: Ledger, key: str, how: str) -> None:
    with ledger.transaction(NOW) as transaction:
        getattr(transaction, how)(key)


def test_a_use_spends_of_all_its_budgets_or_of_none(ledger: Ledger) -> None:
    kept = reserve(ledger, "a", Expense(subject=LAB, cost=60, budget=100), Expense(subject=REGISTRY, cost=5, budget=5))
    assert kept.costs == ((LAB, 60), (REGISTRY, 5))
    with pytest.raises(Denied) as caught:
        reserve(ledger, "b", Expense(subject=LAB, cost=40, budget=100), Expense(subject=REGISTRY, cost=1, budget=5))
    verdicts = {item.subject: (item.check, item.verdict) for item in caught.value.decision.findings}
    assert verdicts == {
        "grant:g": ("ledger.calls", "pass"),
        LAB: ("ledger.budget", "pass"),
        REGISTRY: ("ledger.budget", "fail"),
    }
    assert ledger.spent([LAB, REGISTRY, "privacy:none"]) == {LAB: 60, REGISTRY: 5, "privacy:none": 0}
    assert ledger.usage(["grant:g"]) == {"grant:g": 1}


def test_the_last_unit_can_be_spent_and_a_released_use_gives_its_cost_back(ledger: Ledger) -> None:
    reserve(ledger, "a", Expense(subject=LAB, cost=99, budget=100))
    reserve(ledger, "b", Expense(subject=LAB, cost=1, budget=100))
    finish(ledger, "a", "commit")
    finish(ledger, "b", "release")
    with pytest.raises(Denied, match="99 of 100 units"):
        reserve(ledger, "c", Expense(subject=LAB, cost=2, budget=100))
    with pytest.raises(StateError, match="final"):
        finish(ledger, "a", "release")
    assert ledger.spent([LAB]) == {LAB: 99}


def test_a_smaller_budget_holds_from_the_next_use_on_and_a_larger_one_too(ledger: Ledger) -> None:
    reserve(ledger, "a", Expense(subject=LAB, cost=50, budget=100))
    with pytest.raises(Denied):
        reserve(ledger, "b", Expense(subject=LAB, cost=1, budget=40))
    reserve(ledger, "c", Expense(subject=LAB, cost=60, budget=110))


def test_the_same_key_with_another_cost_is_another_use(ledger: Ledger) -> None:
    first = reserve(ledger, "a", Expense(subject=LAB, cost=5, budget=100))
    assert reserve(ledger, "a", Expense(subject=LAB, cost=5, budget=100)) == first
    assert ledger.spent([LAB]) == {LAB: 5}
    for other in ((), (Expense(subject=LAB, cost=4, budget=100),)):
        with pytest.raises(StateError, match="another use"):
            reserve(ledger, "a", *other)


def test_a_revoked_budget_ends_reserving_and_committing(ledger: Ledger) -> None:
    reserve(ledger, "a", Expense(subject=LAB, cost=5, budget=100))
    with ledger.transaction(NOW) as transaction:
        transaction.revoke(LAB, reason="the owner stopped it")
    with pytest.raises(Denied, match="the owner stopped it"):
        reserve(ledger, "b", Expense(subject=LAB, cost=5, budget=100))
    with pytest.raises(Denied, match="the owner stopped it"):
        finish(ledger, "a", "commit")


@pytest.mark.parametrize(("cost", "budget"), [(0, 10), (-1, 10), (1, -1), (2**62 + 1, 2**62), (1, 2**63)])
def test_costs_and_budgets_have_a_range(cost: int, budget: int) -> None:
    with pytest.raises(UsageError):
        Expense(subject=LAB, cost=cost, budget=budget)


def test_one_use_names_each_budget_once(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="once"):
        reserve(ledger, "a", Expense(subject=LAB, cost=1, budget=9), Expense(subject=LAB, cost=1, budget=9))


def test_a_store_of_the_first_version_gets_the_table(ledger: Ledger, opened: Callable[[], Store]) -> None:
    store = opened()
    reserve(ledger, "a")
    with store.transaction() as connection:
        EXPENSES.drop(connection)
        connection.exec_driver_sql("UPDATE schema_versions SET version = 1 WHERE name = 'ledger'")
    again = Ledger(opened())
    assert again.usage(["grant:g"]) == {"grant:g": 1}
    reserve(again, "b", Expense(subject=LAB, cost=1, budget=9))
    assert again.spent([LAB]) == {LAB: 1}
