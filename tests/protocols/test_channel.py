"""Endpoints: frames in order, each once, and chains that both ends agree on."""

from __future__ import annotations

import hashlib

import pytest
from support.deterministic import DeterministicRng

from protocols.channel import Chain, Endpoint
from protocols.errors import PeerError
from protocols.join.messages import SealedLabels
from protocols.wire import decode_frame

SESSION = bytes(range(16))


def ends() -> tuple[Endpoint, Endpoint]:
    return Endpoint(session=SESSION, name="a"), Endpoint(session=SESSION, name="b")


def note(number: int) -> SealedLabels:
    return SealedLabels(box=bytes([number]))


def test_frames_are_numbered_per_peer_and_direction() -> None:
    a, b = ends()
    frames = [a.pack("b", note(0)), a.pack("c", note(1)), a.pack("b", note(2))]
    assert [decode_frame(frame)[0].sequence for frame in frames] == [0, 0, 1]
    assert decode_frame(b.pack("a", note(3)))[0].sequence == 0
    assert [b.unpack("a", frames[0]), b.unpack("a", frames[2])] == [note(0), note(2)]


def test_equal_messages_make_different_frames() -> None:
    a, _ = ends()
    twin = Endpoint(session=SESSION, name="a")
    assert a.pack("b", note(0)) != twin.pack("b", note(0))


def test_a_skipped_repeated_or_reordered_frame_is_refused_and_leaves_the_chain_alone() -> None:
    a, b = ends()
    first, second = a.pack("b", note(0)), a.pack("b", note(1))
    with pytest.raises(PeerError, match="frame 1 too early, frame 0 is due"):
        b.unpack("a", second)
    assert b.chain("a", "received") == Chain()
    b.unpack("a", first)
    after = b.chain("a", "received")
    with pytest.raises(PeerError, match="frame 0 again, frame 1 is due"):
        b.unpack("a", first)
    assert b.chain("a", "received") == after
    b.unpack("a", second)
    assert b.chain("a", "received") == a.chain("b", "sent")


def test_a_broken_frame_leaves_the_chain_alone_and_names_the_sender() -> None:
    a, b = ends()
    frame = a.pack("b", note(0))
    with pytest.raises(PeerError) as caught:
        b.unpack("a", frame[:-1])
    assert caught.value.culprit == "a"
    assert b.chains() == {}
    b.unpack("a", frame)


def test_a_frame_reflected_to_its_sender_is_refused() -> None:
    a, _ = ends()
    frame = a.pack("b", note(0))
    with pytest.raises(PeerError, match="another sender or recipient"):
        a.unpack("b", frame)


def test_the_chain_is_the_documented_hash() -> None:
    a, _ = ends()
    head = bytes(32)
    size_bytes = 0
    for number in range(3):
        frame = a.pack("b", note(number))
        head = hashlib.sha256(head + hashlib.sha256(frame).digest()).digest()
        size_bytes += len(frame)
    assert a.chain("b", "sent") == Chain(frames=3, size_bytes=size_bytes, head=head)
    assert a.chain("b", "received") == Chain()
    assert set(a.chains()) == {("b", "sent")}


def test_chains_differ_when_one_byte_of_one_frame_differs() -> None:
    first, second = b"a" * 100, b"a" * 99 + b"b"
    assert Chain().extend(first).head != Chain().extend(second).head
    assert Chain().extend(first).extend(second) != Chain().extend(second).extend(first)


def test_a_seeded_endpoint_repeats_its_frames() -> None:
    frames = [Endpoint(session=SESSION, name="a", rng=DeterministicRng(1)).pack("b", note(0)) for _ in range(2)]
    assert frames[0] == frames[1]
