"""Randomness, always injected: the operating system's in use, a deterministic one in `tests/` only."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Rng(Protocol):
    """Source of uniform bytes. Roles and keys receive one; nothing in `protocols` makes randomness of its own."""

    def bytes(self, count: int) -> bytes:
        """Return `count` uniform bytes."""
        ...


class OsRng:
    """The operating system's generator (`getrandom`). Safe across fork and threads, since it keeps no state here."""

    def bytes(self, count: int) -> bytes:
        """Return `count` uniform bytes from the operating system."""
        return secrets.token_bytes(count)

    def __repr__(self) -> str:
        return "OsRng()"


class SeededRng:
    """Expands one secret seed by SHAKE-256 in counter mode: the same seed and calls give the same bytes.

    For a chunk of rows, and for a whole session that a supervisor may have replayed. The seed must be at least 32 uniform
    bytes, from the operating system, and serve one of them only. Not for use by several threads.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._calls = 0

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self._calls += 1
        return hashlib.shake_256(self._seed + self._calls.to_bytes(8, "little")).digest(count)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a seeded generator is secret and is not serialised")

    def __repr__(self) -> str:
        return "SeededRng(<redacted>)"


def below(rng: Rng, bound: int) -> int:
    """Return a uniform integer in [0, bound), by rejection: no modulo bias.

    Raises ValueError if bound < 1.
    """
    if bound < 1:
        raise ValueError("bound must be at least 1")
    bits = (bound - 1).bit_length()
    size = (bits + 7) // 8
    excess = size * 8 - bits
    while True:
        candidate = int.from_bytes(rng.bytes(size), "little") >> excess
        if candidate < bound:
            return candidate


def bits(rng: Rng, count: int) -> int:
    """Return a uniform integer in [0, 2^count)."""
    size = (count + 7) // 8
    return int.from_bytes(rng.bytes(size), "little") >> (size * 8 - count)


def permutation(rng: Rng, count: int) -> npt.NDArray[np.int64]:
    """Return a uniform permutation of range(count), shape (count,).

    Sorts by 128-bit random keys; for 10^7 rows the chance of a tie, the only bias, is below 2^-82.
    """
    keys = np.frombuffer(rng.bytes(16 * count), dtype=np.uint64).reshape(count, 2)
    return np.lexsort((keys[:, 0], keys[:, 1])).astype(np.int64, copy=False)
