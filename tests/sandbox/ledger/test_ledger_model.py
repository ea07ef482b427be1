"""Random sequences of operations against a naive model in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sandbox.errors import Denied, NotFound, SandboxError, StateError
from sandbox.ledger import Expense, Ledger, Limit, OutboxRow, open_store

EXAMPLES = int(os.environ.get("SANDBOX_LEDGER_EXAMPLES", "20"))
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
KEYS = st.sampled_from([f"k{index}" for index in range(6)])
RUNS = st.sampled_from(["r1", "r2"])
SUBJECTS = st.sampled_from(["g1", "g2", "a"])
BUDGETS = st.sampled_from(["p1", "p2"])
ENDS = st.none() | st.integers(-2, 6)
EXAMPLE = count()


@dataclass
class Naive:
    """What a careful person would keep in a notebook."""

    clock: datetime.datetime
    uses: dict[str, dict[str, object]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    outbox: list[tuple[str, bytes]] = field(default_factory=list)

    def count(self, subject: str) -> int:
        return sum(1 for use in self.uses.values() if subject in use["limits"] and use["state"] != "released")  # type: ignore[operator]

    def spent(self, subject: str) -> int:
        return sum(use["costs"].get(subject, 0) for use in self.uses.values() if use["state"] != "released")  # type: ignore[attr-defined]

    def reserve(
        self, key: str, run: str, limits: dict[str, Limit], costs: dict[str, int], budget: int
    ) -> type[SandboxError] | None:
        use = self.uses.get(key)
        if use is not None:
            same = set(use["limits"]) == set(limits) and use["run"] == run and use["costs"] == costs  # type: ignore[call-overload]
            return None if same and use["state"] != "released" else StateError
        for subject, limit in limits.items():
            if subject in self.revoked or self.count(subject) >= limit.calls:
                return Denied
            if limit.expires is not None and limit.expires <= self.clock:
                return Denied
        if any(subject in self.revoked or self.spent(subject) + cost > budget for subject, cost in costs.items()):
            return Denied
        ends = [limit.expires for limit in limits.values() if limit.expires is not None]
        self.uses[key] = {
            "run": run,
            "limits": limits,
            "state": "reserved",
            "ends": min(ends, default=None),
            "costs": costs,
        }
        return None

    def commit(self, key: str) -> type[SandboxError] | None:
        use = self.uses.get(key)
        if use is None:
            return NotFound
        if use["state"] == "released":
            return StateError
        if use["state"] == "reserved":
            if self.revoked & {*use["limits"], *use["costs"]}:  # type: ignore[misc]
                return Denied
            if use["ends"] is not None and use["ends"] <= self.clock:  # type: ignore[operator]
                return Denied
            use["state"] = "committed"
        return None

    def release(self, key: str) -> type[SandboxError] | None:
        use = self.uses.get(key)
        if use is None:
            return NotFound
        if use["state"] == "committed":
            return StateError
        use["state"] = "released"
        return None


def machine(ledger: Ledger) -> Callable[[], RuleBasedStateMachine]:
    class LedgerMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.prefix = f"{next(EXAMPLE)}:"
            self.log: list[tuple[str, bytes]] = []

        @initialize()
        def begin(self) -> None:
            self.model = Naive(clock=ledger.now(START))
            self.wall = self.model.clock

        def do(self, expected: type[SandboxError] | None, act: Callable[[], object]) -> None:
            if expected is None:
                act()
                return
            with pytest.raises(expected) as caught:
                act()
            assert caught.type is expected

        @rule(hours=st.integers(-5, 5))
        def time_passes(self, hours: int) -> None:
            self.wall += hours * HOUR

        @rule(
            key=KEYS,
            run=RUNS,
            subjects=st.sets(SUBJECTS, min_size=1),
            calls=st.integers(0, 3),
            ends=st.none() | st.integers(-2, 6),
            costs=st.dictionaries(BUDGETS, st.integers(1, 4), max_size=2),
            budget=st.integers(0, 9),
        )
        def reserve(  # noqa: PLR0917  (hypothesis passes them by name)
            self, key: str, run: str, subjects: set[str], calls: int, ends: int | None, costs: dict[str, int], budget: int
        ) -> None:
            self.tick()
            expires = None if ends is None else self.model.clock + ends * HOUR
            limits = {name: Limit(subject=self.prefix + name, calls=calls, expires=expires) for name in subjects}

            expenses = [Expense(subject=self.prefix + name, cost=cost, budget=budget) for name, cost in costs.items()]

            def act() -> None:
                with ledger.transaction(self.wall) as transaction:
                    names = {"task": key, "run": self.prefix + run}
                    transaction.reserve(self.prefix + key, **names, limits=list(limits.values()), expenses=expenses)

            self.do(self.model.reserve(key, run, limits, costs, budget), act)

        @rule(key=KEYS)
        def commit(self, key: str) -> None:
            self.tick()

            def act() -> None:
                with ledger.transaction(self.wall) as transaction:
                    transaction.commit(self.prefix + key)

            self.do(self.model.commit(key), act)

        @rule(key=KEYS)
        def release(self, key: str) -> None:
            self.tick()

            def act() -> None:
                with ledger.transaction(self.wall) as transaction:
                    transaction.release(self.prefix + key)

            self.do(self.model.release(key), act)

        @rule(subject=SUBJECTS | BUDGETS)
        def revoke(self, subject: str) -> None:
            self.tick()
            with ledger.transaction(self.wall) as transaction:
                transaction.revoke(self.prefix + subject, reason="enough")
            self.model.revoked.add(subject)

        @rule(dead=RUNS, with_effects=st.sets(KEYS))
        def recover(self, dead: str, with_effects: set[str]) -> None:
            self.tick()
            for key, use in self.model.uses.items():
                if use["run"] == dead and use["state"] == "reserved":
                    use["state"] = "committed" if key in with_effects else "released"
            with ledger.transaction(self.wall) as transaction:
                transaction.recover(live_runs=self.live_except(dead), with_effects=with_effects)

        def live_except(self, dead: str) -> set[str]:
            return {f"{example}:{run}" for example in range(10**3) for run in ("r1", "r2")} - {self.prefix + dead}

        @rule(key=KEYS)
        def crash_before_the_end(self, key: str) -> None:
            def act() -> None:
                with ledger.transaction(self.model.clock) as transaction:
                    transaction.revoke(self.prefix + "a", reason="never kept")
                    transaction.enqueue(self.prefix + "never" + key, b"")
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                act()

        @rule(key=KEYS)
        def enqueue(self, key: str) -> None:
            self.tick()
            with ledger.transaction(self.wall) as transaction:
                transaction.enqueue(self.prefix + key, key.encode())
            if (key, key.encode()) not in self.model.outbox:
                self.model.outbox.append((key, key.encode()))

        @rule(fails_after=st.integers(0, 3))
        def deliver(self, fails_after: int) -> None:
            taken = 0

            def append(row: OutboxRow) -> None:
                nonlocal taken
                if taken == fails_after:
                    raise OSError
                taken += 1
                self.log.append((row.key.removeprefix(self.prefix), row.payload))

            try:
                ledger.deliver(append, self.wall)
            except OSError:
                return

        def tick(self) -> None:
            self.model.clock = max(self.model.clock, self.wall)

        @invariant()
        def counts_agree(self) -> None:
            if hasattr(self, "model"):
                names = ["g1", "g2", "a"]
                counted = ledger.usage(self.prefix + name for name in names)
                assert list(counted.values()) == [self.model.count(name) for name in names]
                budgets = [self.prefix + name for name in ("p1", "p2")]
                assert list(ledger.spent(budgets).values()) == [self.model.spent(name) for name in ("p1", "p2")]
                revoked = ledger.revoked([*counted, *budgets])
                assert {name.removeprefix(self.prefix) for name in revoked} == self.model.revoked
                waiting = [(row.key.removeprefix(self.prefix), row.payload) for row in ledger.pending()]
                assert self.log + waiting == self.model.outbox

        def teardown(self) -> None:
            ledger.deliver(lambda row: None, START)

    return LedgerMachine


def test_ledger_agrees_with_a_notebook(ledger: Ledger) -> None:
    checks = settings(
        max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False
    )
    run_state_machine_as_test(machine(ledger), settings=checks)


def test_time_only_moves_forward_over_restarts() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "l.db"
        seen = [Ledger(open_store(path)).now(START + hours * HOUR) for hours in (0, 5, 2, -100, 6, 5)]
    assert seen == [START + hours * HOUR for hours in (0, 5, 5, 5, 6, 6)]
