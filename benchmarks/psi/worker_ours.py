"""This project's blinding and intersection as a contender; the engine by SANDBOX_ENGINE."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parent.parent))

import serving

from protocols import psi
from protocols.primitives import ristretto255
from protocols.primitives.rng import OsRng
from protocols.psi.blinding import blind, raise_to

DOMAIN = psi.KeyDomain(name="benchmark", types=("text",))


def _keys(first: int, count: int) -> list[str]:
    return [f"item {number}" for number in range(first, first + count)]


class Ours(serving.Contender):
    """Text keys in, rows in common out; every message through bytes."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        found = psi.intersect(_keys(0, 100), _keys(50, 100))
        assert sorted(found.tolist()) == sorted(_keys(50, 50))
        self.scalar = ristretto255.random_scalar(OsRng())
        return {"engine": ristretto255.get_group().description}

    def blind(self, count: int) -> Callable[[], object]:
        keys = psi.encode_keys([_keys(0, count)], DOMAIN).keys
        return lambda: blind(keys, DOMAIN.dst, self.scalar)

    def exchange(self, count: int) -> Callable[[], object]:
        points = blind(psi.encode_keys([_keys(0, 256)], DOMAIN).keys, DOMAIN.dst, self.scalar)
        rows = np.ascontiguousarray(points[np.arange(count) % len(points)])
        return lambda: raise_to(rows, self.scalar)

    def intersect(self, count: int) -> Callable[[], object]:
        left, right = _keys(0, count), _keys(count // 2, count)
        return lambda: psi.intersect(left, right)


if __name__ == "__main__":
    serving.serve(Ours())
