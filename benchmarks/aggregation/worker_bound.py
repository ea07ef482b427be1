"""The bound: keystreams of `cryptography` added with numpy, tile by tile, and nothing of a protocol."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

sys.path.append(str(Path(__file__).parent.parent))

import serving

MASKS = 50
IS_AES = sys.argv[1:] == ["aes256ctr"]
TILE_BYTES = 1 << 17


def keystream() -> Any:
    key, start = os.urandom(32), bytes(16)
    cipher = Cipher(algorithms.AES(key), modes.CTR(start)) if IS_AES else Cipher(algorithms.ChaCha20(key, start), mode=None)
    return cipher.encryptor()


class Bound(serving.Contender):
    """Fifty masks of 32-bit words."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        return {}

    def mask(self, count: int) -> Callable[[], object]:
        target, zeros, buffer = np.zeros(count, dtype=np.uint32), bytes(TILE_BYTES), bytearray(TILE_BYTES)
        words, step = np.frombuffer(buffer, dtype=np.uint32), TILE_BYTES // 4

        def work() -> None:
            streams = [keystream() for _ in range(MASKS)]
            for first in range(0, count, step):
                tile = target[first : first + step]
                source, sink = memoryview(zeros)[: tile.nbytes], memoryview(buffer)[: tile.nbytes]
                for stream in streams:
                    stream.update_into(source, sink)
                    np.add(tile, words[: len(tile)], out=tile)

        return work

    def client(self, count: int) -> Callable[[], object]:
        return self.mask(count)


if __name__ == "__main__":
    serving.serve(Bound())
