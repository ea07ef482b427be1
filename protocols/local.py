"""run_local: plays every role of a protocol in one process, each message through bytes."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from protocols.channel import Endpoint
from protocols.errors import MisuseError
from protocols.party import Party, Send, Step
from protocols.primitives.rng import OsRng, Rng


def run_local(
    parties: Mapping[str, Party],
    *,
    rng: Rng | None = None,
    on_frame: Callable[[str, str, bytes], None] | None = None,
    endpoints: Mapping[str, Endpoint] | None = None,
) -> dict[str, Any]:
    """Run roles to their end and return each one's output.

    on_frame(sender, recipient, frame) sees every frame before it is delivered. endpoints: the parties' ends of the session, if
    the caller wants their transcripts; made here otherwise. Lazy sends are drained one message at a time, in turn, so that
    at most one frame per sender is in memory. Raises what the roles raise; MisuseError if they end waiting for each other.
    """
    source = rng or OsRng()
    session = source.bytes(16)
    ends = endpoints or {name: Endpoint(session=session, name=name, rng=source) for name in parties}
    outputs: dict[str, Any] = {}
    streams: dict[str, collections.deque[Iterator[Send]]] = {name: collections.deque() for name in parties}

    def accept(name: str, step: Step) -> None:
        if step.done:
            outputs[name] = step.output
        streams[name].append(iter(step.sends))

    for name, party in parties.items():
        accept(name, party.start())
    while any(streams.values()):
        for name in [name for name, queue in streams.items() if queue]:
            send = next(streams[name][0], None)
            if send is None:
                streams[name].popleft()
                continue
            if send.recipient not in parties:
                raise MisuseError(f"{name} sends to {send.recipient}, who takes no part")
            frame = ends[name].pack(send.recipient, send.message)
            if on_frame is not None:
                on_frame(name, send.recipient, frame)
            accept(send.recipient, parties[send.recipient].receive(name, ends[send.recipient].unpack(name, frame)))
    waiting = sorted(name for name, party in parties.items() if party.state != "done")
    if waiting:
        raise MisuseError(
            "the run ended with parties still waiting: " + ", ".join(f"{n} ({parties[n].state})" for n in waiting)
        )
    return outputs
