"""Many at once, and killed at any moment: no use is lost, none is doubled, no effect is without its record."""

from __future__ import annotations

import datetime
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.errors import Denied, StateError
from sandbox.ledger import Expense, Ledger, Limit, Store

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
KILLS = int(os.environ.get("SANDBOX_LEDGER_KILLS", "10"))
WORKER = [sys.executable, str(Path(__file__).with_name("ledger_worker.py"))]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*WORKER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def race_threads(ledger: Ledger, key_of: Callable[[int], str]) -> Counter[str]:
    barrier = threading.Barrier(100)

    def one(index: int) -> str:
        barrier.wait()
        try:
            with ledger.transaction(NOW) as transaction:
                transaction.reserve(key_of(index), task="t", run=f"run-{index}", limits=(Limit(subject="last", calls=1),))
        except Denied:
            return "denied"
        except StateError:
            return "taken"
        return "won"

    with ThreadPoolExecutor(100) as pool:
        return Counter(pool.map(one, range(100)))


def test_of_100_threads_one_gets_the_last_use(ledger: Ledger) -> None:
    assert race_threads(ledger, lambda index: f"key-{index}") == {"won": 1, "denied": 99}
    assert ledger.usage(["last"]) == {"last": 1}


def test_of_100_threads_with_one_key_one_gets_it(ledger: Ledger) -> None:
    assert race_threads(ledger, lambda index: "key") == {"won": 1, "taken": 99}
    assert ledger.usage(["last"]) == {"last": 1}


def test_100_threads_never_overdraw_a_budget(ledger: Ledger) -> None:
    """Seven units each of a hundred: fourteen fit, and what is left over stays."""

    def one(index: int) -> bool:
        limits = (Limit(subject="many", calls=1000),)
        expenses = (Expense(subject="privacy:a:o", cost=7, budget=100),)
        try:
            with ledger.transaction(NOW) as transaction:
                transaction.reserve(f"key-{index}", task="t", run=f"run-{index}", limits=limits, expenses=expenses)
        except Denied:
            return False
        return True

    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(one, range(100))) == 14
    assert ledger.spent(["privacy:a:o"]) == {"privacy:a:o": 98}
    assert ledger.usage(["many"]) == {"many": 14}


def test_of_100_attempts_in_processes_one_gets_the_last_use(ledger: Ledger, address: str) -> None:
    processes = [start("race", address, f"run-{index}", "25") for index in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [line for process in processes for line in process.communicate(timeout=120)[0].split()]
    assert Counter(said) == {"won": 1, "denied": 99}
    assert ledger.usage(["last"]) == {"last": 1}


def test_kill_9_at_any_moment(ledger: Ledger, address: str, opened: Callable[[], Store]) -> None:
    store = opened()
    with store.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE steps (step VARCHAR(60) PRIMARY KEY)")
    acknowledged: set[str] = set()
    final = 0
    for kill in range(KILLS):
        run = f"run-{kill}"
        process = start("work", address, run)
        assert process.stdout is not None
        acknowledged.add(process.stdout.readline().strip())
        time.sleep(random.uniform(0, 0.06))
        process.kill()
        acknowledged |= {line for line in process.communicate()[0].split("\n") if len(line.split()) == 2}
        final = check_after_restart(Ledger(store), acknowledged)
    assert final > 0


def check_after_restart(ledger: Ledger, acknowledged: set[str]) -> int:
    with ledger.transaction(NOW) as transaction:
        connection = transaction.connection
        steps = set(connection.exec_driver_sql("SELECT step FROM steps").scalars())
        recorded = set(connection.exec_driver_sql("SELECT key FROM ledger_outbox").scalars())
        states = {row.key: row.state for row in connection.exec_driver_sql("SELECT key, state FROM ledger_reservations")}
    assert acknowledged <= steps
    last = {step.split()[0]: step.split()[1] for step in sorted(steps, key=lambda step: not step.endswith("reserved"))}
    with_recovered = {key: states[key] if state == "reserved" else state for key, state in last.items()}
    assert steps == recorded
    assert states == with_recovered
    open_keys = {key for key, state in states.items() if state == "reserved"}
    assert len(open_keys) <= 1
    effects = {key for key in open_keys if int(key.rpartition("-")[2]) % 2}
    with ledger.transaction(NOW) as transaction:
        recovery = transaction.recover(live_runs=(), with_effects=effects)
    assert {item.key for item in recovery.committed} == effects
    assert {item.key for item in recovery.released} == open_keys - effects
    used = [key for key, state in states.items() if state == "committed" or key in effects]
    assert ledger.usage(["s"]) == {"s": len(used)}
    assert ledger.spent(["p"]) == {"p": 3 * len(used)}
    return len(used)
