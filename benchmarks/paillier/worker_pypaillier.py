"""pypaillier (imported as `paillier`) as a contender: lists of Python integers and of bytes, its own thread pool."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Appended: the folder has a `paillier` of its own, which must not hide the library.
sys.path.append(str(Path(__file__).parent.parent))

import paillier
import serving


class PyPaillier(serving.Contender):
    """Weights are declared public, as they are here; the secret-weight call is about ten times slower."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        self.public, self.private = paillier.generate_keypair(key_bits)
        numbers = serving.values(serving.BASE_ROWS)
        self.base = paillier.encrypt_integers(self.public, numbers)
        assert [int(number) for number in paillier.decrypt_many(self.private, self.base)] == numbers
        return {"exponent_bits": self.public.exponent_bits}

    def encrypt(self, count: int) -> Callable[[], object]:
        numbers = serving.values(count)
        return lambda: paillier.encrypt_integers(self.public, numbers)

    def decrypt(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: paillier.decrypt_many(self.private, rows)

    def add(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count) * 2
        pairs = [[row, row + count] for row in range(count)]
        return lambda: paillier.add_blocks(self.public, rows, pairs)

    def sum(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: paillier.add_many(self.public, rows)

    def multiply(self, count: int) -> Callable[[], object]:
        rows, factors = serving.tiled(self.base, count), serving.weights(count, serving.SMALL_BITS)
        return lambda: paillier.multiply_integers_public(self.public, rows, factors)

    def dot(self, count: int) -> Callable[[], object]:
        rows, factors = serving.tiled(self.base, count), serving.weights(count, serving.VALUE_BITS)
        return lambda: paillier.add_many(self.public, paillier.multiply_integers_public(self.public, rows, factors))

    def rerandomise(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: paillier.rerandomize(self.public, rows)


if __name__ == "__main__":
    serving.serve(PyPaillier())
