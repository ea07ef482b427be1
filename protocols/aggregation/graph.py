"""Who shares with whom: everyone with everyone, or a Harary graph on a permutation that no party chooses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from protocols.aggregation.params import SumParams
from protocols.primitives.prf import length_prefixed
from protocols.primitives.rng import SeededRng, permutation


class Graph:
    """The graph of one round, over all n parties of the parameters; who never spoke is a vertex that dropped.

    With k = n − 1 it is complete. Else it is Harary's graph of even degree k: every party and the k/2 next to it on either
    side of a ring. The ring's order is a permutation from the nonces of all parties, each committed to before any was opened:
    one honest nonce makes it uniform, so that each neighbourhood is a uniform k-subset, as the bounds in `thresholds` want.
    """

    def __init__(self, params: SumParams, nonces: Mapping[int, bytes]) -> None:
        self._size = len(params.parties)
        self._degree = params.neighbours
        self._is_complete = params.is_complete
        self._order = _order(params, nonces)
        self._places = np.argsort(self._order)

    def neighbours(self, index: int) -> frozenset[int]:
        """Return the neighbours of one party, by roster index."""
        if self._is_complete:
            return frozenset(range(self._size)) - {index}
        half = self._degree // 2
        offsets = np.concatenate((np.arange(-half, 0), np.arange(1, half + 1)))
        return frozenset(self._order[(self._places[index] + offsets) % self._size].tolist())


def _order(params: SumParams, nonces: Mapping[int, bytes]) -> npt.NDArray[np.int64]:
    entries = b"".join([index.to_bytes(4, "big") + nonces[index] for index in sorted(nonces)])
    seed = hashlib.sha256(length_prefixed(b"aggregation/1/graph", params.digest(), entries)).digest()
    return permutation(SeededRng(seed), len(params.parties))
