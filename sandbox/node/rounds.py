"""Rounds over a link on which parties may fall silent: every provider in a thread of its own, the desk in the caller's.

The desk (operator and gate) hears the providers through one inbox. Where nothing arrives for `timeout_s`, whoever the operator
waits for is declared absent, by name; a provider whose line is known to be cut is declared absent at once. What a
silent provider sends later is ignored. A thread that hangs in its own work cannot be stopped, and holds nobody up.
"""

from __future__ import annotations

import collections
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from protocols import aggregation
from protocols.channel import Endpoint
from protocols.errors import Cancelled, MisuseError, PeerError
from protocols.message import Message
from protocols.party import Party, Send
from sandbox.node.session import SessionResult

POLL_S = 0.05
INBOX_FRAMES = 64
Cut = Callable[[str, Message], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class _Frame:
    """A frame from a provider. The last item of a provider is one of the two below."""

    sender: str
    recipient: str
    frame: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    """A provider has finished, with its output; or its line was cut."""

    sender: str
    output: Any
    is_cut: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Fault:
    """A provider's role refused what it was sent."""

    sender: str
    error: BaseException


class _Provider(threading.Thread):
    """One provider at its end of the line. It touches its role and its endpoint alone, and the two queues."""

    def __init__(self, role: Party, end: Endpoint, inbox: queue.Queue[Any], is_over: threading.Event, cut: Cut) -> None:
        super().__init__(name=f"provider-{role.name}", daemon=True)
        self.mailbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._role = role
        self._end = end
        self._inbox = inbox
        self._is_over = is_over
        self._cut = cut

    def run(self) -> None:
        """Play the role until it is done, the line is cut, or the session is over."""
        try:
            step = self._role.start()
            while True:
                for send in step.sends:
                    if not self._send(send):
                        return
                if step.done:
                    self._put(_End(self._role.name, step.output, is_cut=False))
                    return
                sender, frame = self.mailbox.get()
                step = self._role.receive(sender, self._end.unpack(sender, frame))
        except BaseException as error:  # the desk must hear of it, whatever it is
            self._put(_Fault(self._role.name, error))

    def _send(self, send: Send) -> bool:
        frame = self._end.pack(send.recipient, send.message)
        if not self._put(_Frame(self._role.name, send.recipient, frame)):
            return False
        if self._cut(self._role.name, send.message):
            self._put(_End(self._role.name, None, is_cut=True))
            return False
        return True

    def _put(self, item: object) -> bool:
        """Wait for room in the inbox; return False once the session is over."""
        while not self._is_over.is_set():
            try:
                self._inbox.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False


class _Session:
    """The desk's view of one session: who is at work, who is cut off, what is still to be delivered."""

    def __init__(
        self,
        session: bytes,
        operator: aggregation.SumOperator,
        gate: Party,
        providers: Mapping[str, Party],
        *,
        on_frame: Callable[[str, str, bytes], None] | None,
        cut: Cut,
    ) -> None:
        names = (operator.name, gate.name, *providers)
        self.endpoints = {name: Endpoint(session=session, name=name) for name in names}
        self.outputs: dict[str, Any] = {}
        self.frame_bytes = 0
        self._operator = operator
        self._desk: dict[str, Party] = {operator.name: operator, gate.name: gate}
        self._on_frame = on_frame
        self._inbox: queue.Queue[Any] = queue.Queue(maxsize=INBOX_FRAMES)
        self._is_over = threading.Event()
        self._cut_off: set[str] = set()
        self._field = {
            name: _Provider(role, self.endpoints[name], self._inbox, self._is_over, cut) for name, role in providers.items()
        }

    def play(self, *, timeout_s: float, is_cancelled: Callable[[], bool]) -> None:
        """Play until the gate has the sum and everyone who is still there is done."""
        try:
            for role in self._desk.values():
                self._handle(role, role.start())
            for provider in self._field.values():
                provider.start()
            heard = time.monotonic()
            while not self._is_done():
                if is_cancelled():
                    raise Cancelled("stopped at the caller's request")
                if self._take():
                    heard = time.monotonic()
                elif time.monotonic() - heard >= timeout_s:
                    self._give_up(self._operator.awaiting or self._unfinished())
                    heard = time.monotonic()
                self._give_up(self._operator.awaiting & self._cut_off)
        finally:
            self._is_over.set()

    def _is_done(self) -> bool:
        return all(role.state == "done" for role in self._desk.values()) and not self._unfinished()

    def _unfinished(self) -> frozenset[str]:
        """Providers whose last word has not arrived; those that were given up are not waited for."""
        return frozenset(self._field) - set(self.outputs) - self._cut_off

    def _take(self) -> bool:
        """Take one item of the inbox, waiting a moment; return whether there was one."""
        try:
            item = self._inbox.get(timeout=POLL_S)
        except queue.Empty:
            return False
        if isinstance(item, _Fault):
            if item.sender in self._cut_off:
                return True
            raise item.error
        if isinstance(item, _End):
            if item.is_cut:
                self._cut_off.add(item.sender)
            elif item.sender not in self._cut_off:
                self.outputs[item.sender] = item.output
            return True
        self._deliver(item.sender, item.recipient, item.frame)
        return True

    def _give_up(self, names: frozenset[str]) -> None:
        """Declare parties absent: the operator goes on without them, or raises PartiesLost."""
        if not names:
            return
        if self._operator.name in names or not names <= set(self._field):
            raise MisuseError("a role of the desk waits for another one of it")
        self._cut_off |= names
        if self._operator.state != "done":
            self._handle(self._operator, self._operator.absent(names))

    def _handle(self, role: Party, step: Any) -> None:
        """Deliver what a role of the desk sends, and all that follows between the two of them."""
        waiting = collections.deque([(role, step)])
        while waiting:
            speaker, said = waiting.popleft()
            if said.done:
                self.outputs[speaker.name] = said.output
            for send in said.sends:
                frame = self.endpoints[speaker.name].pack(send.recipient, send.message)
                self._watch(speaker.name, send.recipient, frame)
                if send.recipient in self._desk:
                    listener = self._desk[send.recipient]
                    message = self.endpoints[send.recipient].unpack(speaker.name, frame)
                    waiting.append((listener, listener.receive(speaker.name, message)))
                elif send.recipient in self._field:
                    self._field[send.recipient].mailbox.put((speaker.name, frame))
                else:
                    raise MisuseError(f"{speaker.name} sends to {send.recipient}, who takes no part")

    def _deliver(self, sender: str, recipient: str, frame: bytes) -> None:
        if recipient not in self._desk:
            raise PeerError(sender, f"sends to {recipient}, whom no provider talks to")
        self._watch(sender, recipient, frame)
        role = self._desk[recipient]
        message = self.endpoints[recipient].unpack(sender, frame)
        if role.state != "done":
            self._handle(role, role.receive(sender, message))

    def _watch(self, sender: str, recipient: str, frame: bytes) -> None:
        self.frame_bytes += len(frame)
        if self._on_frame is not None:
            self._on_frame(sender, recipient, frame)


def run_rounds(
    session: bytes,
    operator: aggregation.SumOperator,
    gate: Party,
    providers: Mapping[str, Party],
    *,
    timeout_s: float,
    is_cancelled: Callable[[], bool],
    on_frame: Callable[[str, str, bytes], None] | None = None,
    cut: Cut = lambda sender, message: False,
) -> SessionResult:
    """Run a session in which providers may fall silent, every message through bytes; return all that can be kept of it.

    timeout_s: how long nothing may arrive before whoever is waited for counts as absent. cut(sender, message), asked after
    each message, says whether that sender's line is cut from then on. Raises PartiesLost, which names the silent, where too
    few remain; Cancelled; what the roles raise. Endpoints and outputs are those of parties that stayed to the end.
    """
    run = _Session(session, operator, gate, providers, on_frame=on_frame, cut=cut)
    run.play(timeout_s=timeout_s, is_cancelled=is_cancelled)
    stayed = {name: end for name, end in run.endpoints.items() if name in run.outputs}
    return SessionResult(session=session, outputs=run.outputs, endpoints=stayed, frame_bytes=run.frame_bytes)
