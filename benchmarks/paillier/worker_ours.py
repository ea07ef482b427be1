"""This project's Paillier as a contender: `worker_ours.py NOISE`, the engine by SANDBOX_ENGINE."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent))

import serving

from protocols import paillier
from protocols.primitives.engine import get_engine

FULL_TABLES_ROWS = 512


class Ours(serving.Contender):
    """Arrays of int64 in, arrays of int64 out."""

    def __init__(self, noise: str) -> None:
        self.noise = noise
        self.mapper: Any = map
        self.pools: dict[int, ThreadPoolExecutor] = {}

    def prepare(self, key_bits: int) -> dict[str, Any]:
        warnings.simplefilter("ignore", paillier.ShortKeyWarning)
        make = paillier.generate_keypair if key_bits >= 2048 else paillier.generate_insecure_keypair
        self.public, self.private = make(key_bits, self.noise)
        start = time.perf_counter()
        tables = self.public.prepare(FULL_TABLES_ROWS)
        seconds = time.perf_counter() - start
        numbers = np.array(serving.values(serving.BASE_ROWS))
        self.base = self.public.encrypt(numbers)
        assert np.array_equal(self.private.decrypt(self.base), numbers)
        factors = np.array(serving.weights(len(numbers), serving.VALUE_BITS))
        assert self.private.decrypt(self.base @ factors)[0] == numbers.astype(object) @ factors.astype(object)
        return {
            "engine": get_engine().description,
            "exponent_bits": self.public.exponent_bits,
            "table_bytes": tables["size_bytes"],
            "window_bits": tables["window_bits"],
            "table_seconds": seconds,
        }

    def use_cores(self, count: int) -> None:
        self.mapper = map if count == 1 else self.pools.setdefault(count, ThreadPoolExecutor(count)).map

    def _rows(self, count: int) -> Any:
        return self.base[np.arange(count) % len(self.base)]

    def encrypt(self, count: int) -> Callable[[], object]:
        numbers = np.array(serving.values(count))
        return lambda: self.public.encrypt(numbers, mapper=self.mapper)

    def encrypt_owner(self, count: int) -> Callable[[], object]:
        numbers = np.array(serving.values(count))
        return lambda: self.private.encrypt(numbers, mapper=self.mapper)

    def decrypt(self, count: int) -> Callable[[], object]:
        rows = self._rows(count)
        return lambda: self.private.decrypt(rows, mapper=self.mapper)

    def add(self, count: int) -> Callable[[], object]:
        left, right = self._rows(count), self._rows(count)
        return lambda: left.add(right, mapper=self.mapper)

    def sum(self, count: int) -> Callable[[], object]:
        rows = self._rows(count)
        return lambda: rows.sum(mapper=self.mapper)

    def multiply(self, count: int) -> Callable[[], object]:
        rows, factors = self._rows(count), np.array(serving.weights(count, serving.SMALL_BITS))
        return lambda: rows.multiply(factors, mapper=self.mapper)

    def dot(self, count: int) -> Callable[[], object]:
        rows, factors = self._rows(count), np.array(serving.weights(count, serving.VALUE_BITS))
        return lambda: rows.dot(factors, mapper=self.mapper)

    def rerandomise(self, count: int) -> Callable[[], object]:
        rows = self._rows(count)
        return lambda: rows.rerandomise(mapper=self.mapper)


if __name__ == "__main__":
    serving.serve(Ours(sys.argv[1]))
