"""A process beside the test: races for uses, or works until it is killed. Started as a program, never imported."""

from __future__ import annotations

import datetime
import sys

import sqlalchemy as sa

from sandbox.errors import Denied
from sandbox.ledger import Expense, Ledger, Limit, open_store

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def say(text: str) -> None:
    print(text, flush=True)


def race(ledger: Ledger, run: str, times: int) -> None:
    say("ready")
    sys.stdin.readline()
    for index in range(times):
        try:
            with ledger.transaction(NOW) as transaction:
                transaction.reserve(f"{run}-{index}", task=run, run=run, limits=(Limit(subject="last", calls=1),))
            say("won")
        except Denied:
            say("denied")


def work(ledger: Ledger, run: str) -> None:
    """Each task: reserve, commit, effect; every third one is given back. Says each step once it is kept."""
    for index in range(10_000):
        key = f"{run}-{index}"
        step(ledger, key, run, "reserved")
        step(ledger, key, run, "released" if index % 3 == 2 else "committed")


def step(ledger: Ledger, key: str, run: str, state: str) -> None:
    with ledger.transaction(NOW) as transaction:
        if state == "reserved":
            expenses = (Expense(subject="p", cost=3, budget=10**9),)
            transaction.reserve(key, task=key, run=run, limits=(Limit(subject="s", calls=10**6),), expenses=expenses)
        elif state == "committed":
            transaction.commit(key)
        else:
            transaction.release(key)
        transaction.connection.execute(sa.text("INSERT INTO steps VALUES (:step)"), {"step": f"{key} {state}"})
        transaction.enqueue(f"{key} {state}", state.encode())
    say(f"{key} {state}")


if __name__ == "__main__":
    what, address, run_name = sys.argv[1:4]
    opened = Ledger(open_store(address))
    if what == "race":
        race(opened, run_name, int(sys.argv[4]))
    else:
        work(opened, run_name)
