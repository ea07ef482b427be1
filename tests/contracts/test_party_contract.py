"""What every role of every protocol must do: one suite, run over all of them.

A family adds itself to FAMILIES with a function that makes fresh roles of a small, complete run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from support import families

from protocols.channel import Endpoint
from protocols.errors import Cancelled, MisuseError, PeerError, ProtocolError
from protocols.local import run_local
from protocols.message import registered_tags
from protocols.party import Party

Roles = dict[str, Party]
Factory = Callable[[], Roles]
CASES = [pytest.param(make, id=name) for name, make in families.FAMILIES.items()]


@dataclasses.dataclass
class Recording:
    """One honest run, frame by frame, and who had which state when."""

    frames: list[tuple[str, str, bytes]]
    outputs: dict[str, Any]


def record(make: Factory) -> Recording:
    frames: list[tuple[str, str, bytes]] = []
    outputs = run_local(make(), on_frame=lambda sender, recipient, frame: frames.append((sender, recipient, frame)))
    return Recording(frames=frames, outputs=outputs)


def started(roles: Roles) -> Roles:
    for role in roles.values():
        list(role.start().sends)
    return roles


def message_of(frame: bytes) -> Any:
    from protocols.wire import decode_frame

    return decode_frame(frame)[1]


@pytest.mark.parametrize("make", CASES)
def test_completes_and_everyone_is_done(make: Factory) -> None:
    roles = make()
    outputs = run_local(roles)
    assert set(outputs) == set(roles)
    assert all(role.state == "done" for role in roles.values())


@pytest.mark.parametrize("make", CASES)
def test_is_single_use(make: Factory) -> None:
    recording = record(make)
    roles = make()
    for role in roles.values():
        role.start()
        with pytest.raises(MisuseError, match="single-use"):
            role.start()
    roles = make()
    run_local(roles)
    sender, recipient, frame = recording.frames[-1]
    with pytest.raises(MisuseError, match="takes no message"):
        roles[recipient].receive(sender, message_of(frame))


@pytest.mark.parametrize("make", CASES)
def test_takes_nothing_before_start(make: Factory) -> None:
    sender, recipient, frame = record(make).frames[0]
    with pytest.raises(MisuseError, match="takes no message"):
        make()[recipient].receive(sender, message_of(frame))


@pytest.mark.parametrize("make", CASES)
def test_a_stranger_or_wrong_sender_is_refused_by_name(make: Factory) -> None:
    for _, recipient, frame in record(make).frames[:6]:
        roles = started(make())
        with pytest.raises(PeerError) as caught:
            roles[recipient].receive("mallory", message_of(frame))
        assert caught.value.culprit == "mallory"
        assert roles[recipient].state == "failed"
        with pytest.raises(MisuseError):
            roles[recipient].receive("mallory", message_of(frame))


@pytest.mark.parametrize("make", CASES)
def test_a_first_message_sent_again_is_refused(make: Factory) -> None:
    sender, recipient, frame = record(make).frames[0]
    roles = started(make())
    list(roles[recipient].receive(sender, message_of(frame)).sends)
    with pytest.raises((PeerError, MisuseError)):
        roles[recipient].receive(sender, message_of(frame))


@pytest.mark.parametrize("make", CASES)
def test_last_messages_first_never_complete_a_run(make: Factory) -> None:
    """Out of order: a role that gets its frames backwards refuses or waits, and gives no output."""
    recording = record(make)
    for name in make():
        role = started(make())[name]
        received = [(sender, frame) for sender, recipient, frame in recording.frames if recipient == name]
        for sender, frame in reversed(received[1:]):
            try:
                step = role.receive(sender, message_of(frame))
                assert not step.done
                list(step.sends)
            except ProtocolError:
                break
        assert role.state != "done" or not received


@pytest.mark.parametrize("make", CASES)
def test_every_state_and_handler_of_the_table_exists(make: Factory) -> None:
    for role in make().values():
        assert role.ROUNDS
        for handlers in role.ROUNDS.values():
            for kind, handler in handlers.items():
                assert kind.TAG in registered_tags()
                assert callable(getattr(role, handler))


@pytest.mark.parametrize("make", CASES)
def test_truncated_padded_and_changed_frames_are_refused_by_name(make: Factory) -> None:
    recording = record(make)
    seen: set[str] = set()
    for sender, recipient, frame in recording.frames:
        kind = type(message_of(frame)).__name__
        if kind in seen:
            continue
        seen.add(kind)
        end = Endpoint(session=bytes(16), name=recipient)
        for broken in (frame[:-1], frame + b"\0", frame[:20], b"", b"XXXX" + frame[4:], frame[:16] + b"{" + frame[17:]):
            with pytest.raises(PeerError) as caught:
                end.unpack(sender, broken)
            assert caught.value.culprit == sender


@pytest.mark.parametrize("make", CASES)
def test_replay_other_session_sender_and_recipient_are_refused(make: Factory) -> None:
    sender, recipient, frame = record(make).frames[0]
    message = message_of(frame)
    session = bytes(range(16))
    out = Endpoint(session=session, name=sender)
    first, second = out.pack(recipient, message), out.pack(recipient, message)
    end = Endpoint(session=session, name=recipient)
    with pytest.raises(PeerError, match="too early"):
        end.unpack(sender, second)
    assert end.unpack(sender, first) is not None
    with pytest.raises(PeerError, match="again"):
        end.unpack(sender, first)
    with pytest.raises(PeerError, match="another session"):
        Endpoint(session=bytes(16), name=recipient).unpack(sender, first)
    with pytest.raises(PeerError, match="another sender"):
        Endpoint(session=session, name=recipient).unpack("mallory", first)
    with pytest.raises(PeerError, match="another sender or recipient"):
        Endpoint(session=session, name="mallory").unpack(sender, first)


@pytest.mark.parametrize("make", CASES)
def test_cancellation_stops_a_run_and_kills_the_role(make: Factory) -> None:
    roles = make()
    calls = [0]

    def cancelled() -> bool:
        calls[0] += 1
        return calls[0] > 1

    reports = [role for role in roles.values() if role.progress is not None]
    for role in reports:
        role.progress.is_cancelled = cancelled
    try:
        run_local(roles)
    except Cancelled:
        assert any(role.state == "failed" for role in roles.values())
    else:
        assert calls[0] <= 1, "a role asked for cancellation and went on"


@pytest.mark.parametrize("make", CASES)
def test_repr_shows_no_secret(make: Factory) -> None:
    for role in make().values():
        assert repr(role) == f"<{type(role).__name__} {role.name}: new>"


@pytest.mark.parametrize("make", CASES)
def test_both_ends_hold_the_same_transcript(make: Factory) -> None:
    roles = make()
    ends = {name: Endpoint(session=bytes(16), name=name) for name in roles}
    run_local(roles, endpoints=ends)
    for name, end in ends.items():
        for (peer, direction), chain in end.chains().items():
            other = ends[peer].chain(name, "received" if direction == "sent" else "sent")
            assert chain == other
