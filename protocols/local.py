"""run_local: plays every role of a protocol in one process, each message through bytes."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from protocols.channel import Endpoint
from protocols.errors import MisuseError
from protocols.message import Message
from protocols.party import Party, Send, Step
from protocols.primitives.rng import OsRng, Rng


def run_local(
    parties: Mapping[str, Party],
    *,
    rng: Rng | None = None,
    on_frame: Callable[[str, str, bytes], None] | None = None,
    endpoints: Mapping[str, Endpoint] | None = None,
    falls_silent: Callable[[str, Message], bool] | None = None,
) -> dict[str, Any]:
    """Run roles to their end and return each one's output.

    on_frame(sender, recipient, frame) sees every frame before it is delivered. endpoints: the parties' ends of the session, if
    the caller wants their transcripts; made here otherwise. falls_silent(sender, message), asked after each message, says
    whether that sender is not heard again; it gives no output then, and once nothing else moves, the others are told by
    `absent`. Lazy sends are drained one message at a time, in turn, so that at most one frame per sender is in memory.
    Raises what the roles raise; MisuseError if they end waiting for each other.
    """
    source = rng or OsRng()
    session = source.bytes(16)
    ends = endpoints or {name: Endpoint(session=session, name=name, rng=source) for name in parties}
    run = _Run(parties, ends, on_frame, falls_silent)
    for name, party in parties.items():
        run.accept(name, party.start())
    run.drain()
    while run.report_silence():
        run.drain()
    waiting = sorted(name for name, party in parties.items() if party.state != "done" and name not in run.silent)
    if waiting:
        raise MisuseError(
            "the run ended with parties still waiting: " + ", ".join(f"{n} ({parties[n].state})" for n in waiting)
        )
    return run.outputs


class _Run:
    """The state of one run: what is still to be sent, who gave an output, who fell silent."""

    def __init__(
        self,
        parties: Mapping[str, Party],
        ends: Mapping[str, Endpoint],
        on_frame: Callable[[str, str, bytes], None] | None,
        falls_silent: Callable[[str, Message], bool] | None,
    ) -> None:
        self._parties = parties
        self._ends = ends
        self._on_frame = on_frame
        self._falls_silent = falls_silent
        self._streams: dict[str, collections.deque[Iterator[Send]]] = {name: collections.deque() for name in parties}
        self.outputs: dict[str, Any] = {}
        self.silent: set[str] = set()

    def accept(self, name: str, step: Step) -> None:
        """Take a role's step: its output, and what it sends."""
        if step.done:
            self.outputs[name] = step.output
        self._streams[name].append(iter(step.sends))

    def drain(self) -> None:
        """Deliver messages until nobody has any."""
        while any(self._streams.values()):
            for name in [name for name, queue in self._streams.items() if queue]:
                send = next(self._streams[name][0], None)
                if send is None:
                    self._streams[name].popleft()
                else:
                    self._deliver(name, send)

    def report_silence(self) -> bool:
        """Tell everyone who still waits of those who fell silent; return whether that moved anything."""
        waiting = [name for name, party in self._parties.items() if party.state != "done" and name not in self.silent]
        if not self.silent or not waiting:
            return False
        before = {name: self._parties[name].state for name in waiting}
        steps = {name: self._parties[name].absent(frozenset(self.silent)) for name in waiting}
        for name, step in steps.items():
            self.accept(name, step)
        return any(self._parties[name].state != before[name] or steps[name].sends != () for name in waiting)

    def _deliver(self, name: str, send: Send) -> None:
        if send.recipient not in self._parties:
            raise MisuseError(f"{name} sends to {send.recipient}, who takes no part")
        frame = self._ends[name].pack(send.recipient, send.message)
        if self._on_frame is not None:
            self._on_frame(name, send.recipient, frame)
        if send.recipient not in self.silent:
            received = self._ends[send.recipient].unpack(name, frame)
            self.accept(send.recipient, self._parties[send.recipient].receive(name, received))
        if self._falls_silent is not None and self._falls_silent(name, send.message):
            self.silent.add(name)
            self.outputs.pop(name, None)
            self._streams[name].clear()
