"""Draws for attacks, from the injected generator."""

from __future__ import annotations

import numpy as np

from protocols.errors import ParameterError
from protocols.primitives.rng import Rng, permutation
from protocols.risk.encoding import IntArray


def choose(rng: Rng, rows: int, number: int) -> IntArray:
    """Return `number` different rows out of `rows`, or all of them, shape (≤ number,)."""
    if number < 1:
        raise ParameterError("at least one attempt is needed")
    return permutation(rng, rows)[:number]


def draw(rng: Rng, rows: int, number: int) -> IntArray:
    """Return `number` rows out of `rows` with repetition. Bias below 2^-32 for up to 2^31 rows."""
    return (np.frombuffer(rng.bytes(8 * number), dtype=np.uint64) % np.uint64(rows)).astype(np.int64)
