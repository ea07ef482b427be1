"""X25519 of cryptography (OpenSSL) as a contender: one exchange a key, the least that blinding could cost with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))

import serving
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


class X25519(serving.Contender):
    """Points are loaded beforehand; no hashing to the curve, no check of a subgroup."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        left, right = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        assert left.exchange(right.public_key()) == right.exchange(left.public_key())
        self.private = left
        self.public = [X25519PrivateKey.generate().public_key() for _ in range(256)]
        return {}

    def exchange(self, count: int) -> Callable[[], object]:
        points = serving.tiled(self.public, count)
        return lambda: [self.private.exchange(point) for point in points]

    def blind(self, count: int) -> Callable[[], object]:
        return self.exchange(count)


if __name__ == "__main__":
    serving.serve(X25519())
