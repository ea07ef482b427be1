"""The three roles of a handover: the operator opens, the gate asks, the provider sends its table once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.handover.messages import Arrived, Asked, Opened, Statement, TableChunk, Tags
from protocols.message import Message
from protocols.party import Party, Progress, Send, Step

CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 1 << 17
TagArray = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HandoverParams:
    """Who takes part, in which plan. plan: its digest."""

    plan: str
    provider: str
    operator: str
    gate: str
    chunk_bytes: int = CHUNK_BYTES
    chunk_rows: int = CHUNK_ROWS

    def __post_init__(self) -> None:
        if len({self.provider, self.operator, self.gate}) != 3:
            raise ParameterError("provider, operator and gate are three parties")
        if min(self.chunk_bytes, self.chunk_rows) < 1:
            raise ParameterError("a chunk holds something")

    def digest(self) -> bytes:
        """Return SHA-256 over all fields: what the first messages carry, so that everyone runs the same."""
        fields = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(b"release/1\x00" + fields.encode()).digest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """What the gate has at the end. document: the provider's signed statement. table: the file, whole. tags: (rows,) uint64."""

    document: bytes
    table: bytes
    tags: TagArray

    def __repr__(self) -> str:
        return f"HandedOver(table=<{len(self.table)} bytes>, tags=<{len(self.tags)} rows>)"


class Opener(Party):
    """The operator: opens the session, and hears when it is over."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {"opened": {Arrived: "on_arrived"}}

    def __init__(self, name: str, params: HandoverParams, *, progress: Progress | None = None) -> None:
        super().__init__(name, progress=progress)
        self._params = params

    def on_start(self) -> Step:
        """Tell the gate."""
        self.progress.check()
        self.enter("opened")
        return Step(sends=(Send(recipient=self._params.gate, message=Opened(params=self._params.digest())),))

    def on_arrived(self, sender: str, message: Arrived) -> Step:
        """End."""
        if sender != self._params.gate:
            raise PeerError(sender, f"sent what {self._params.gate} sends")
        self.progress.check()
        self.enter("done")
        return Step(done=True)


class TableProvider(Party):
    """The provider: answers the gate's request with its statement, its table and the rows' tags."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {"waiting": {Asked: "on_asked"}}

    def __init__(
        self,
        name: str,
        params: HandoverParams,
        *,
        document: bytes,
        table: bytes,
        tags: TagArray,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(name, progress=progress)
        self._params = params
        self._document, self._table, self._tags = document, table, tags

    def on_start(self) -> Step:
        """Wait for the gate."""
        self.enter("waiting")
        return Step()

    def on_asked(self, sender: str, message: Asked) -> Step:
        """Send everything, chunk by chunk."""
        _require(sender, self._params.gate, message.params, self._params)
        self.enter("done")
        return Step(sends=self._sends(), done=True)

    def _sends(self) -> Iterator[Send]:
        params, gate, size, rows = self._params, self._params.gate, len(self._table), len(self._tags)
        head = Statement(params=params.digest(), document=self._document, size_bytes=size, rows=rows)
        yield Send(recipient=gate, message=head)
        data = np.frombuffer(self._table, dtype=np.uint8)
        step = f"{self.name}: send the table"
        for start in range(0, size, params.chunk_bytes):
            self.progress.advance(step, start, size)
            yield Send(recipient=gate, message=TableChunk(data=data[start : start + params.chunk_bytes]))
        for start in range(0, rows, params.chunk_rows):
            self.progress.check()
            yield Send(recipient=gate, message=Tags(tags=self._tags[start : start + params.chunk_rows]))
        self.progress.advance(step, size, size)


class TableGate(Party):
    """The gate: asks when the operator has opened the session, and puts together what the provider sends."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "closed": {Opened: "on_opened"},
        "asked": {Statement: "on_statement"},
        "reading": {TableChunk: "on_chunk"},
        "tagging": {Tags: "on_tags"},
    }

    def __init__(self, name: str, params: HandoverParams, *, progress: Progress | None = None) -> None:
        super().__init__(name, progress=progress)
        self._params = params
        self._head: Statement | None = None
        self._table = bytearray()
        self._tags: list[TagArray] = []
        self._rows = 0

    def on_start(self) -> Step:
        """Wait for the operator."""
        self.enter("closed")
        return Step()

    def on_opened(self, sender: str, message: Opened) -> Step:
        """Ask the provider."""
        _require(sender, self._params.operator, message.params, self._params)
        self.enter("asked")
        return Step(sends=(Send(recipient=self._params.provider, message=Asked(params=self._params.digest())),))

    def on_statement(self, sender: str, message: Statement) -> Step:
        """Take the statement; the table follows."""
        _require(sender, self._params.provider, message.params, self._params)
        self._head = message
        self.enter("reading")
        return Step()

    def on_chunk(self, sender: str, message: TableChunk) -> Step:
        """Take the next bytes of the table."""
        head = self._begun(sender)
        self.progress.check()
        if len(self._table) + len(message.data) > head.size_bytes:
            raise PeerError(sender, f"sent more than the {head.size_bytes} bytes of its table")
        self._table += message.data.tobytes()
        if len(self._table) < head.size_bytes:
            return Step()
        if not head.rows:
            return self._complete(head)
        self.enter("tagging")
        return Step()

    def on_tags(self, sender: str, message: Tags) -> Step:
        """Take the next rows' tags; with the last ones everything is here."""
        head = self._begun(sender)
        self.progress.check()
        self._rows += len(message.tags)
        if self._rows > head.rows:
            raise PeerError(sender, f"sent tags of more than {head.rows} rows")
        self._tags.append(message.tags)
        return Step() if self._rows < head.rows else self._complete(head)

    def _complete(self, head: Statement) -> Step:
        self.enter("done")
        tags = np.concatenate([np.zeros(0, dtype=np.uint64), *self._tags])
        result = HandedOver(document=head.document, table=bytes(self._table), tags=tags)
        return Step(sends=(Send(recipient=self._params.operator, message=Arrived()),), output=result, done=True)

    def _begun(self, sender: str) -> Statement:
        if self._head is None or sender != self._params.provider:
            raise PeerError(sender, f"sent a part of a table; {self._params.provider} does that")
        return self._head


def _require(sender: str, expected: str, digest: bytes, params: HandoverParams) -> None:
    if sender != expected:
        raise PeerError(sender, f"sent what {expected} sends")
    if digest != params.digest():
        raise PeerError(sender, "runs with other parameters: another plan, other parties or another version")
