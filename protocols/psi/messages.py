"""What the two parties of an intersection, a count or an oblivious evaluation send each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.message import Message, column, register
from protocols.party import Send
from protocols.primitives.ristretto255 import POINT_BYTES, Points
from protocols.psi.rows import chunk_slices

DIGEST_BYTES = 32
TOKEN_BYTES = 16
NO_POINTS: Points = np.empty((0, POINT_BYTES), dtype=np.uint8)


@register(tag="psi/1/list-offer")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListOffer(Message):
    """Party -> peer, first: what we are about to run, and how long my list is.

    parameters: 32 bytes, digest of everything that both must agree on. rows: distinct keys that I will send; revealed.
    """

    parameters: bytes
    rows: int

    def validate(self) -> None:
        """Check the digest's length and the count's sign."""
        if len(self.parameters) != DIGEST_BYTES or self.rows < 0:
            raise ParameterError("a list offer has a 32-byte digest and a count of rows")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _PointChunk(Message):
    """Rows first_row, first_row + 1, … of a list that was offered. points: (n, 32) uint8, ristretto255 encodings."""

    first_row: int
    points: npt.NDArray[np.uint8] = column("uint8", POINT_BYTES)


@register(tag="psi/1/blinded-points")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BlindedPoints(_PointChunk):
    """Party -> peer: my keys as H(key)^s, shuffled, without duplicates. The peer learns their number."""


@register(tag="psi/1/raised-points")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RaisedPoints(_PointChunk):
    """Party -> peer: your points raised to my scalar, in your order (rows, oblivious evaluation) or shuffled (count)."""


@register(tag="psi/1/tokens")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tokens(Message):
    """Server -> client: rows first_row, … of a prepared list: (n, 16) uint8, ascending, pseudorandom to the client."""

    first_row: int
    tokens: npt.NDArray[np.uint8] = column("uint8", TOKEN_BYTES)


class Intake:
    """A list that arrives in chunks: complete after exactly the declared rows, in order, each once."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.received = 0
        self._parts: list[Points] = []

    @property
    def is_complete(self) -> bool:
        """True once every declared row is here."""
        return self.received == self.rows

    def add(self, chunk: _PointChunk) -> None:
        """Take the next chunk. Raises ParameterError if it is empty, out of order, repeated or beyond the declared rows."""
        if chunk.first_row != self.received:
            raise ParameterError(f"sent rows from {chunk.first_row} on where row {self.received} is due")
        if not len(chunk.points) or self.received + len(chunk.points) > self.rows:
            raise ParameterError(f"sent {len(chunk.points)} rows more after {self.received} of {self.rows} declared rows")
        self.received += len(chunk.points)
        self._parts.append(chunk.points)

    def points(self) -> Points:
        """Return the list so far: (received, 32)."""
        return np.concatenate([NO_POINTS, *self._parts])


def point_sends(
    kind: type[BlindedPoints] | type[RaisedPoints], recipient: str, points: Points, chunk_rows: int
) -> Iterator[Send]:
    """Yield the list as messages of `chunk_rows` rows, lazily."""
    for rows in chunk_slices(len(points), chunk_rows):
        yield Send(recipient=recipient, message=kind(first_row=rows.start, points=points[rows]))


def opaque(rows: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """View rows of bytes, points or tokens, as one item each: (n,), so that numpy sorts and compares them whole."""
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").reshape(-1)
