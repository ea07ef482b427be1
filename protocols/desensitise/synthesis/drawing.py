"""Draws from the injected generator, for whole columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.primitives.rng import Rng

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def uniform(rng: Rng, count: int) -> FloatArray:
    """Return numbers from [0, 1) in steps of 2^-53, shape (count,)."""
    words = np.frombuffer(rng.bytes(8 * count), dtype="<u8") >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53


def below(rng: Rng, bounds: int | IntArray, count: int) -> IntArray:
    """Return whole numbers from 0 to below `bounds` each; up to 2^52, nearly uniform, which is enough for made-up data."""
    drawn: IntArray = (uniform(rng, count) * bounds).astype(np.int64)
    return np.minimum(drawn, np.asarray(bounds, dtype=np.int64) - 1)


def choose(rng: Rng, weights: npt.ArrayLike, count: int) -> IntArray:
    """Return places drawn in proportion to weights, shape (count,)."""
    total = np.cumsum(np.asarray(weights, dtype=np.float64))
    found: IntArray = np.searchsorted(total, uniform(rng, count) * total[-1], side="right").astype(np.int64)
    return np.minimum(found, len(total) - 1)
