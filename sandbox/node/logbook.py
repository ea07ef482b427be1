"""Logbook: the manager's log as the nodes use it: signed events in, receipts out, nothing acted upon without one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from sandbox.audit.log import LogKeeper
from sandbox.audit.witness import Witness
from sandbox.ledger import Ledger, OutboxRow
from sandbox.model.canonical import parse
from sandbox.model.evidence import LogEvidence, Receipt, SignedEvent
from sandbox.node.workspace import Clock, Workspace


class Logbook:
    """The log, open for one process, with the providers' witnesses at hand."""

    def __init__(self, workspace: Workspace, ledger: Ledger, witnesses: Sequence[Witness], *, clock: Clock) -> None:
        """Open the log, and deliver what an earlier process left in the outbox. Raises AuditError, StateError."""
        self._ledger = ledger
        self._clock = clock
        self._guard = threading.RLock()
        self.trust = workspace.trust()
        manager = workspace.network.manager
        self._keeper = LogKeeper(
            workspace.node(manager) / "log",
            trust=self.trust,
            identity=workspace.identity(manager, kind="log"),
            witnesses=witnesses,
        )
        try:
            self.deliver()
        except BaseException:
            self._keeper.close()
            raise

    def append(self, *events: SignedEvent) -> tuple[Receipt, ...]:
        """Add events of any node and return their receipts, cosigned by the witnesses."""
        with self._guard:
            return self._keeper.append([event.leaf() for event in events])

    def deliver(self) -> None:
        """Bring the outbox's events into the log, in the order of their transactions; repeats are recognised."""

        def add(row: OutboxRow) -> None:
            self._keeper.append([row.payload])

        with self._guard:
            self._ledger.deliver(add, self._clock())

    def receipt(self, event: SignedEvent) -> Receipt:
        """Return the receipt of an event that is in the log. Raises NotFound."""
        return self._keeper.receipt(self._keeper.index_of(event.leaf()))

    def receipt_since(self, event: SignedEvent, old_size: int) -> tuple[Receipt, tuple[bytes, ...]]:
        """Return an event's receipt, and the proof that its checkpoint continues an earlier size. Raises NotFound."""
        # Another thread's entry between the two would make the proof one for another checkpoint.
        with self._guard:
            return self.receipt(event), self._keeper.consistency(old_size)

    def events(self) -> Iterator[SignedEvent]:
        """Yield every event, oldest first."""
        for index, entry in enumerate(self._keeper.entries()):
            yield parse(entry, SignedEvent, what=f"log entry {index}")

    def evidence(self, events: Sequence[SignedEvent], relied_on: Sequence[str]) -> LogEvidence:
        """Return what a bundle takes from the log."""
        return self._keeper.evidence(events, relied_on=relied_on)

    @property
    def note(self) -> str:
        """The last checkpoint, signed and cosigned."""
        return self._keeper.note

    def close(self) -> None:
        """Close the log."""
        self._keeper.close()
