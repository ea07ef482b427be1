"""Counted use: reserve, commit or release, in one transaction with a change of state and the log's outbox."""

from __future__ import annotations

from sandbox.ledger.documents import Expense, Limit, OutboxRow, Recovery, Reservation, State
from sandbox.ledger.ledger import Ledger
from sandbox.ledger.store import Schema, Store, open_store
from sandbox.ledger.transaction import LedgerTransaction

__all__ = [
    "Expense",
    "Ledger",
    "LedgerTransaction",
    "Limit",
    "OutboxRow",
    "Recovery",
    "Reservation",
    "Schema",
    "State",
    "Store",
    "open_store",
]
