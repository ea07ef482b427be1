"""A table from its provider to the gate, in a session that the operator opens and sees nothing of. Start with README.md."""

from __future__ import annotations

from protocols.handover.disclosure import disclosure
from protocols.handover.messages import MAX_TABLE_BYTES, Arrived, Asked, Opened, Statement, TableChunk, Tags
from protocols.handover.roles import HandedOver, HandoverParams, Opener, TableGate, TableProvider

__all__ = [
    "MAX_TABLE_BYTES",
    "Arrived",
    "Asked",
    "HandedOver",
    "HandoverParams",
    "Opened",
    "Opener",
    "Statement",
    "TableChunk",
    "TableGate",
    "TableProvider",
    "Tags",
    "disclosure",
]
