"""A session: the roles of one join on their nodes, over the in-memory link, with progress, timing and a stop that works."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from protocols.channel import Endpoint
from protocols.local import run_local
from protocols.party import Party, Progress
from sandbox.model.evidence import SignedTranscript, Transcript, TranscriptChain
from sandbox.node.workspace import Workspace

CANCEL_INTERVAL_S = 0.2
OnProgress = Callable[[str, int, int], None]


@dataclasses.dataclass(slots=True)
class Clockwork:
    """Progress for people and for the account of a run: seconds per step, and a stop that is asked a few times a second."""

    on_progress: OnProgress | None = None
    is_stopped: Callable[[], bool] | None = None
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    _last: float = dataclasses.field(default_factory=time.monotonic)
    _asked: float = -math.inf
    _stopped: bool = False

    def update(self, step: str, done: int, total: int) -> None:
        """Account the time since the last update to `step`, and tell the listener."""
        now = time.monotonic()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now
        if self.on_progress is not None:
            self.on_progress(step, done, total)

    def is_cancelled(self) -> bool:
        """Return whether the run must stop; the answer is looked up again after CANCEL_INTERVAL_S."""
        now = time.monotonic()
        if self.is_stopped is not None and not self._stopped and now - self._asked >= CANCEL_INTERVAL_S:
            self._asked = now
            self._stopped = self.is_stopped()
        return self._stopped

    def require_wanted(self) -> None:
        """Raise Cancelled if the run must stop, as it is now: asked before what cannot be taken back."""
        self._asked = -math.inf
        self.progress().check()

    def progress(self) -> Progress:
        """Return the protocol's view of this."""
        return Progress(on_update=self.update, is_cancelled=self.is_cancelled)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """Outputs by party, and everyone's end of the transcript. frame_bytes: what travelled."""

    session: bytes
    outputs: dict[str, Any]
    endpoints: dict[str, Endpoint]
    frame_bytes: int


def run_session(
    session: bytes, roles: Mapping[str, Party], *, on_frame: Callable[[str, str, bytes], None] | None = None
) -> SessionResult:
    """Run one session over the in-memory link: every message through bytes, in each party's order."""
    endpoints = {name: Endpoint(session=session, name=name) for name in roles}
    carried = [0]

    def watch(sender: str, recipient: str, frame: bytes) -> None:
        carried[0] += len(frame)
        if on_frame is not None:
            on_frame(sender, recipient, frame)

    outputs = run_local(roles, endpoints=endpoints, on_frame=watch)
    return SessionResult(session=session, outputs=outputs, endpoints=endpoints, frame_bytes=carried[0])


def signed_transcripts(task: str, session: SessionResult, workspace: Workspace) -> tuple[SignedTranscript, ...]:
    """Return every party's chains of a session, each signed by its own node."""
    signed = []
    for name, endpoint in session.endpoints.items():
        chains = tuple(
            TranscriptChain(
                peer=peer, direction=direction, frames=chain.frames, size_bytes=chain.size_bytes, head=chain.head.hex()
            )
            for (peer, direction), chain in sorted(endpoint.chains().items())
        )
        transcript = Transcript(
            version=1,
            task=task,
            session=session.session.hex(),
            party=name,
            chains=chains,
            survivors=tuple(getattr(session.outputs.get(name), "survivors", ())),
        )
        signed.append(SignedTranscript.sign(transcript, workspace.identity(name)))
    return tuple(signed)
