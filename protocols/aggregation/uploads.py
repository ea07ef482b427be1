"""Masked inputs at the operator: added as they come, so that its memory does not grow with the number of parties."""

from __future__ import annotations

import numpy as np

from protocols.aggregation.messages import MaskedInput
from protocols.aggregation.params import SumParams
from protocols.errors import ParameterError
from protocols.primitives.keystream import Ring, ring_dtype

# Room for vectors that have begun to arrive: only whole ones may enter the sum.
BUFFER_BYTES = 1 << 28


class Uploads:
    """Sum of the masked inputs that arrived whole, and those that are on their way.

    Parties are admitted so many at a time that unfinished vectors fit `buffer_bytes`; who drops in the middle leaves no trace.
    """

    def __init__(self, params: SumParams, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._params = params
        self._dtype = ring_dtype(params.ring_bits)
        self._is_single_chunk = params.length <= params.chunk_words
        vector_bytes = params.length * params.ring_bits // 8
        self.places = len(params.parties) if self._is_single_chunk else max(1, buffer_bytes // vector_bytes)
        self.total: Ring = np.zeros(params.length, dtype=self._dtype)
        self.whole: set[int] = set()
        self._partial: dict[int, tuple[Ring, int]] = {}

    def take(self, index: int, message: MaskedInput) -> bool:
        """Take a chunk of one party; return whether its vector is whole. Raises ParameterError for a chunk out of place."""
        length, words = self._params.length, message.words
        buffer, arrived = self._partial.get(index, (None, 0))
        expected = min(self._params.chunk_words, length - arrived)
        if message.first != arrived or len(words) != expected or 8 * words.shape[1] != self._params.ring_bits:
            raise ParameterError(f"sent {len(words)} elements at {message.first} where {expected} at {arrived} are due")
        elements = words.view(self._dtype)[:, 0]
        if self._is_single_chunk:
            buffer = elements
        else:
            buffer = np.empty(length, dtype=self._dtype) if buffer is None else buffer
            buffer[arrived : arrived + expected] = elements
        if arrived + expected < length:
            self._partial[index] = (buffer, arrived + expected)
            return False
        self._partial.pop(index, None)
        np.add(self.total, buffer, out=self.total)
        self.whole.add(index)
        return True

    def forget(self, index: int) -> None:
        """Drop what has arrived of a party that fell silent."""
        self._partial.pop(index, None)
