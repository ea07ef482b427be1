"""Request: what a party is asked to add up in one round, and all that it needs to know for it: public weights or centres."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError
from sandbox.learn.parts import Part

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One round's request. statistic: what is summed. length: numbers asked for, beside the number of rows.

    bits: binary digits after the point of what is added up. state: weights or centres, row by row; public to all parties.
    """

    statistic: str
    length: int = 0
    bits: int = 0
    state: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, statistic: str, *, length: int, bits: int, state: Floats) -> Request:
        """Return a request with an array (rows, columns) as its state."""
        return cls(statistic=statistic, length=length, bits=bits, state=tuple(map(tuple, state.tolist())))

    def array(self) -> Floats:
        """Return the state as an array."""
        return np.array(self.state, dtype=np.float64)

    def encode(self) -> bytes:
        """Return the request as JSON; numbers are written so that they are read back to the last bit."""
        return msgspec.json.encode(self)


def decode_request(data: bytes) -> Request:
    """Return the request of `Request.encode`. Raises UsageError for anything else."""
    try:
        found = msgspec.json.decode(data, type=Request)
    except (msgspec.DecodeError, ValueError):
        raise UsageError("a round's public state cannot be read") from None
    if len({len(row) for row in found.state}) > 1 or not all(math.isfinite(number) for row in found.state for number in row):
        raise UsageError("a round's public state is a table of finite numbers")
    if not (0 <= found.bits < 64 and found.length >= 0):
        raise UsageError("a round asks for 0 or more numbers of 0 to 63 bits")
    return found


class PartySide(Protocol):
    """What a party of a fit computes on its own rows."""

    def vector(self, part: Part, request: Request) -> Integers:
        """Return what a part adds to the sum, (request.length,) int64. Raises UsageError for a round that the fit has not."""


def party_vector(side: PartySide, part: Part, request: Request) -> Integers:
    """Return a party's whole vector: its number of rows, then what is asked for. Private to it."""
    wanted = np.empty(0, dtype=np.int64) if request.statistic == "rows" else side.vector(part, request)
    if len(wanted) != request.length:
        raise UsageError(f"a round asks for {request.length} numbers where {len(wanted)} are computed")
    return np.concatenate([np.array([len(part.X)], dtype=np.int64), wanted])


def encode(values: Floats, bits: int) -> Integers:
    """Return round-half-even(value · 2^bits); scaling is exact, so that this is the only rounding."""
    return np.rint(np.ldexp(values, bits)).astype(np.int64)
