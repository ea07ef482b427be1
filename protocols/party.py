"""Party: one role of a protocol as a single-use state machine without input or output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from protocols.errors import Cancelled, MisuseError, ParameterError, PeerError
from protocols.message import Message

R = TypeVar("R")


class Mapper(Protocol):
    """Runs a function over independent chunks and yields the results in order; `map` is one, a thread pool another."""

    def __call__(self, function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterable[Any]: ...


class Scratch(Protocol):
    """Space for rows of bytes, in memory or mapped to a node's disk.

    Only public values, ciphertexts and sealed points are ever written there.
    """

    def __call__(self, rows: int, width: int, /) -> npt.NDArray[np.uint8]:
        """Return writable space, (rows, width), contents undefined. Raises MemoryError where there is no room."""
        ...

    def release(self) -> None:
        """Give pages of mapped space that are in memory back to the system; contents stay. Called every few chunks."""
        ...


class InMemory:
    """Scratch space in memory."""

    def __call__(self, rows: int, width: int, /) -> npt.NDArray[np.uint8]:
        """Return (rows, width) uint8."""
        return np.empty((rows, width), dtype=np.uint8)

    def release(self) -> None:
        """Nothing is mapped."""


in_memory = InMemory()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message for one peer."""

    recipient: str
    message: Message


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a role does next: messages to send, then perhaps a result.

    sends: consumed once, in order, by the driver. It may be lazy, so that a list of any length passes in bounded memory;
    the driver may deliver other messages to the role while it drains it. output: the role's result, when `done`.
    """

    sends: Iterable[Send] = ()
    output: Any = None
    done: bool = False


@dataclasses.dataclass(slots=True)
class Progress:
    """Steps done of steps known, and a cancellation that is asked between chunks.

    on_update(step, done, total) is told of every advance. is_cancelled() is asked before each one.
    """

    on_update: Callable[[str, int, int], None] | None = None
    is_cancelled: Callable[[], bool] | None = None

    def check(self) -> None:
        """Raise Cancelled if the caller wants the step to stop."""
        if self.is_cancelled is not None and self.is_cancelled():
            raise Cancelled("stopped at the caller's request")

    def announce(self, steps: Mapping[str, int]) -> None:
        """Tell of steps to come and their units, none done: with the speed of those that run, enough for an estimate."""
        for step, total in steps.items():
            self.advance(step, 0, total)

    def advance(self, step: str, done: int, total: int) -> None:
        """Report `done` of `total` units (rows, mostly) of a step."""
        self.check()
        if self.on_update is not None:
            self.on_update(step, done, total)


class Party:
    """Base of all roles.

    ROUNDS holds every legal transition: {state: {message class: handler name}}. A handler is called as
    `handler(sender, message)` and returns a Step; it moves on by `self.enter(state)`. `sender` is the name that the
    authenticated link vouches for. Any error kills the role: it answers everything afterwards with MisuseError.
    """

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {}

    def __init__(self, name: str, *, progress: Progress | None = None) -> None:
        self.name = name
        self.progress = progress or Progress()
        self._state = "new"

    @property
    def state(self) -> str:
        """The current state: `new`, one of ROUNDS, `done` or `failed`."""
        return self._state

    def enter(self, state: str) -> None:
        """Move to a state of ROUNDS, or to `done`."""
        if state != "done" and state not in self.ROUNDS:
            raise MisuseError(f"{type(self).__name__} has no state {state!r}")
        self._state = state

    def start(self) -> Step:
        """Begin; called once, before anything is received."""
        if self._state != "new":
            raise MisuseError(f"{self.name} was already started: roles are single-use, make a new one")
        return self._guarded(self.on_start)

    def receive(self, sender: str, message: Message) -> Step:
        """Take one message from an authenticated sender.

        Raises PeerError (naming the sender) for what the protocol does not allow here, MisuseError for wrong local use.
        """
        if self._state in ("new", "done", "failed"):
            raise MisuseError(f"{self.name} is {self._state} and takes no message")
        handler = self.ROUNDS[self._state].get(type(message))
        if handler is None:
            expected = ", ".join(sorted(kind.__name__ for kind in self.ROUNDS[self._state])) or "nothing"
            state, self._state = self._state, "failed"
            raise PeerError(sender, f"sent {type(message).__name__} where {self.name} ({state}) expects {expected}")
        return self._guarded(lambda: getattr(self, handler)(sender, message))

    def absent(self, names: Collection[str]) -> Step:
        """Take note that the driver has given up waiting for these peers: roles keep no clock.

        A role that can do without them goes on and drops them; the others, and this base, raise PeerError that names one.
        """
        if self._state in ("new", "done", "failed"):
            raise MisuseError(f"{self.name} is {self._state} and waits for nobody")
        return self._guarded(lambda: self.on_absent(names))

    def on_absent(self, names: Collection[str]) -> Step:
        """Return what follows from the silence of these peers."""
        raise PeerError(min(names), f"fell silent while {self.name} waited ({self._state})")

    def on_start(self) -> Step:
        """Return the first step; roles that only wait return an empty one."""
        raise MisuseError(f"{type(self).__name__} does not say how it starts")

    def _guarded(self, action: Callable[[], Step]) -> Step:
        try:
            step = action()
        except BaseException:
            self._state = "failed"
            raise
        if isinstance(step.sends, tuple | list):
            return step
        return dataclasses.replace(step, sends=self._watched(step.sends))

    def _watched(self, sends: Iterable[Send]) -> Iterator[Send]:
        try:
            yield from sends
        except BaseException:
            self._state = "failed"
            raise

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self._state}>"


def blame(sender: str, check: Callable[[], R]) -> R:
    """Run a check of received data; a ParameterError in it becomes a PeerError that names the sender."""
    try:
        return check()
    except PeerError:
        raise
    except (ParameterError, MisuseError) as error:
        raise PeerError(sender, str(error)) from None
