"""phe (python-paillier) as a contender: lists of Python integers, one EncryptedNumber each, one thread."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))

import phe
import serving


class Phe(serving.Contender):
    """Integers have exponent 0; adding is told not to re-randomise, as everywhere else here."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        self.public, self.private = phe.generate_paillier_keypair(n_length=key_bits)
        numbers = serving.values(serving.BASE_ROWS // 4)
        self.base = [self.public.encrypt(number) for number in numbers]
        assert [self.private.decrypt(row) for row in self.base] == numbers
        return {"exponent_bits": key_bits}

    def encrypt(self, count: int) -> Callable[[], object]:
        numbers = serving.values(count)
        return lambda: [self.public.encrypt(number) for number in numbers]

    def decrypt(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: [self.private.decrypt(row) for row in rows]

    def add(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: [left + right for left, right in zip(rows, rows, strict=True)]

    def sum(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: sum(rows[1:], rows[0])

    def multiply(self, count: int) -> Callable[[], object]:
        rows, factors = serving.tiled(self.base, count), serving.weights(count, serving.SMALL_BITS)
        return lambda: [row * factor for row, factor in zip(rows, factors, strict=True)]

    def dot(self, count: int) -> Callable[[], object]:
        rows, factors = serving.tiled(self.base, count), serving.weights(count, serving.VALUE_BITS)

        def multiply_then_add() -> object:
            products = [row * factor for row, factor in zip(rows, factors, strict=True)]
            return sum(products[1:], products[0])

        return multiply_then_add

    def rerandomise(self, count: int) -> Callable[[], object]:
        rows = serving.tiled(self.base, count)
        return lambda: [row.obfuscate() for row in rows]


if __name__ == "__main__":
    serving.serve(Phe())
