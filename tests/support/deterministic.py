"""Randomness that repeats, for tests only."""

from __future__ import annotations

import hashlib


class DeterministicRng:
    """Bytes from a SHAKE-256 keystream over (seed, position): the same seed and calls give the same bytes."""

    def __init__(self, seed: int | str | bytes) -> None:
        self._seed = seed if isinstance(seed, bytes) else str(seed).encode()
        self._calls = 0

    def bytes(self, count: int) -> bytes:
        """Return `count` bytes, different from those of every earlier call."""
        self._calls += 1
        prefix = len(self._seed).to_bytes(8, "big") + self._seed + self._calls.to_bytes(8, "big")
        return hashlib.shake_256(prefix).digest(count)
