"""Conduct: how a task is played, whatever its protocol."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from sandbox.node.session import Clockwork

OnFrame = Callable[[str, str, bytes], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """on_frame(sender, recipient, frame) is told of every frame. timeout_s: how long silence is waited out where the
    protocol can go on without a party. told: set once something that follows from rows was told: weights that left the gate,
    or that rows which a question chose are not as declared. From then on the task costs its use however it ends.
    allow_insecure_key: for tests with small keys."""

    clockwork: Clockwork
    timeout_s: float
    told: threading.Event = dataclasses.field(default_factory=threading.Event)
    on_frame: OnFrame | None = None
    allow_insecure_key: bool = False
