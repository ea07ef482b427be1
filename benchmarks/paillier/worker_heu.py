"""HEU (sf-heu) as a contender: `worker_heu.py ZPaillier` or `OU`; numpy arrays of int64, its own thread pool."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent))

import serving
from heu import numpy as heu_numpy
from heu import phe as heu_phe

OU_EXPONENT_BITS = "short, by key size"


class Heu(serving.Contender):
    """Encoding and decoding of arrays are part of what is timed, as they are for the others."""

    def __init__(self, schema: str) -> None:
        self.schema = getattr(heu_phe.SchemaType, schema)
        self.is_paillier = schema == "ZPaillier"

    def prepare(self, key_bits: int) -> dict[str, Any]:
        self.kit = heu_numpy.setup(self.schema, key_bits)
        self.evaluator = self.kit.evaluator()
        self.encoder = heu_phe.IntegerEncoder(self.schema, 1)
        numbers = np.array(serving.values(serving.BASE_ROWS))
        self.base = self.kit.encryptor().encrypt(self._encoded(numbers))
        assert np.array_equal(self.kit.decryptor().decrypt(self.base).to_numpy(self.encoder).ravel(), numbers)
        return {"exponent_bits": key_bits // 2 if self.is_paillier else OU_EXPONENT_BITS}

    def _encoded(self, numbers: Any) -> Any:
        return self.kit.array(numbers.reshape(-1, 1), self.encoder)

    def _rows(self, count: int) -> Any:
        return self.base[[row % serving.BASE_ROWS for row in range(count)], :]

    def encrypt(self, count: int) -> Callable[[], object]:
        numbers = np.array(serving.values(count))
        return lambda: self.kit.encryptor().encrypt(self._encoded(numbers))

    def decrypt(self, count: int) -> Callable[[], object]:
        rows = self._rows(count)
        return lambda: self.kit.decryptor().decrypt(rows).to_numpy(self.encoder)

    def add(self, count: int) -> Callable[[], object]:
        left, right = self._rows(count), self._rows(count)
        return lambda: self.evaluator.add(left, right)

    def sum(self, count: int) -> Callable[[], object]:
        rows = self._rows(count)
        return lambda: self.evaluator.sum(rows)

    def multiply(self, count: int) -> Callable[[], object]:
        rows, factors = self._rows(count), np.array(serving.weights(count, serving.SMALL_BITS))
        return lambda: self.evaluator.mul(rows, self._encoded(factors))

    def dot(self, count: int) -> Callable[[], object]:
        rows, factors = self._rows(count), np.array(serving.weights(count, serving.VALUE_BITS))
        return lambda: self.evaluator.sum(self.evaluator.mul(rows, self._encoded(factors)))


if __name__ == "__main__":
    serving.serve(Heu(sys.argv[1]))
