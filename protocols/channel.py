"""Endpoint: one party's end of a session: frames in order, each once, and a hash chain per peer and direction."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Literal

from protocols.errors import PeerError
from protocols.message import Message
from protocols.party import blame
from protocols.primitives.rng import OsRng, Rng
from protocols.wire import decode_frame, encode_frame

Direction = Literal["sent", "received"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Running hash over the frames of one direction: h_i = SHA-256(h_(i-1) ‖ SHA-256(frame_i)), h_0 = 32 zero bytes."""

    frames: int = 0
    size_bytes: int = 0
    head: bytes = bytes(32)

    def extend(self, frame: bytes) -> Chain:
        """Return the chain with one frame more."""
        head = hashlib.sha256(self.head + hashlib.sha256(frame).digest()).digest()
        return Chain(frames=self.frames + 1, size_bytes=self.size_bytes + len(frame), head=head)


class Endpoint:
    """Packs and unpacks the frames of one party in one session.

    Both ends of a direction compute the same chain, so that a transcript can be matched from both (the last frame may be in
    flight). A frame of another session, for someone else, replayed or out of order is refused as PeerError.
    """

    def __init__(self, *, session: bytes, name: str, rng: Rng | None = None) -> None:
        self.session = session.hex()
        self.name = name
        self._rng = rng or OsRng()
        self._chains: dict[tuple[str, Direction], Chain] = {}

    def chain(self, peer: str, direction: Direction) -> Chain:
        """Return the chain so far of one direction towards one peer."""
        return self._chains.get((peer, direction), Chain())

    def chains(self) -> dict[tuple[str, Direction], Chain]:
        """Return all chains that hold a frame."""
        return dict(self._chains)

    def pack(self, recipient: str, message: Message) -> bytes:
        """Return the next frame for a peer and add it to the transcript."""
        chain = self.chain(recipient, "sent")
        frame = encode_frame(
            message,
            session=self.session,
            sender=self.name,
            recipient=recipient,
            sequence=chain.frames,
            nonce=self._rng.bytes(16).hex(),
        )
        self._chains[recipient, "sent"] = chain.extend(frame)
        return frame

    def unpack(self, sender: str, frame: bytes) -> Message:
        """Return the message of a frame that arrived from the authenticated `sender`, and add it to the transcript."""
        envelope, message = blame(sender, lambda: decode_frame(frame))
        chain = self.chain(sender, "received")
        if envelope.session != self.session:
            raise PeerError(sender, "sent a frame of another session")
        if envelope.sender != sender or envelope.recipient != self.name:
            raise PeerError(sender, "sent a frame that names another sender or recipient")
        if envelope.sequence != chain.frames:
            kind = "again" if envelope.sequence < chain.frames else "too early"
            raise PeerError(sender, f"sent frame {envelope.sequence} {kind}, frame {chain.frames} is due")
        self._chains[sender, "received"] = chain.extend(frame)
        return message
