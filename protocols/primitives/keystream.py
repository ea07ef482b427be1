"""Sums of ChaCha20 keystreams on a vector of ring elements: what additive masks are made of.

Z_2^32 and Z_2^64 are numpy's wrapping uint32 and uint64. One key gives one stream, used once, at zero nonce; word i of the
stream masks element i, so that a long vector can be masked and unmasked in pieces and by several threads. On processors
with AVX-512F a C++ kernel runs it (native/stream/README.md), elsewhere `cryptography` and numpy do, with equal results.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from protocols.errors import ParameterError
from protocols.primitives.engine import requested_engine
from protocols.primitives.prf import KEY_BYTES, MAX_KEYSTREAM_BYTES

Ring = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
BLOCK_BYTES = 64
# Keystream and target lie in the second-level cache while every key passes over them.
TILE_BYTES = 1 << 17
# Contexts that are open at one time; each takes about a kilobyte.
OPEN_KEYS = 256


def ring_dtype(ring_bits: int) -> Any:
    """Return the little-endian dtype of Z_2^ring_bits: 32 or 64."""
    if ring_bits not in (32, 64):
        raise ParameterError(f"the ring has 32 or 64 bits, not {ring_bits}")
    return np.dtype("<u4" if ring_bits == 32 else "<u8")


def engine_description() -> str:
    """Return one line for people: what makes the keystreams here."""
    if _kernel(requested_engine()) is None:
        return "ChaCha20 of cryptography (OpenSSL), added by numpy"
    return "ChaCha20 in C++ by AVX-512F, 32 blocks at a time, added in registers"


def apply_keystreams(target: Ring, first: int, *, plus: Sequence[bytes] = (), minus: Sequence[bytes] = ()) -> None:
    """Add to `target`, in place and modulo its ring, each key's keystream in `plus`, and subtract those in `minus`.

    target: (m,) uint32 or uint64, contiguous; words first … first + m − 1 of the whole vector. first: a multiple of 64 bytes
    in words, since a stream is entered at whole blocks. Keys: 32 bytes each. Raises ParameterError.
    """
    if target.ndim != 1 or target.dtype not in (np.dtype("<u4"), np.dtype("<u8")) or not target.flags.c_contiguous:
        raise ParameterError("keystreams are added to a contiguous vector of uint32 or uint64")
    start = first * target.itemsize
    if first < 0 or start % BLOCK_BYTES or start + target.nbytes > MAX_KEYSTREAM_BYTES:
        raise ParameterError("a keystream is entered at a multiple of 64 bytes, and ends after 2^32 blocks")
    if any(len(key) != KEY_BYTES for key in (*plus, *minus)):
        raise ParameterError(f"a keystream's key has {KEY_BYTES} bytes")
    kernel = _kernel(requested_engine())
    if kernel is not None:
        keys = np.frombuffer(b"".join((*plus, *minus)), dtype=np.uint8).reshape(-1, KEY_BYTES)
        kernel.apply(target, start // BLOCK_BYTES, keys, len(plus))
        return
    signed = [(key, np.add) for key in plus] + [(key, np.subtract) for key in minus]
    counter = (start // BLOCK_BYTES).to_bytes(8, "little") + bytes(8)
    for at in range(0, len(signed), OPEN_KEYS):
        streams = [
            (Cipher(algorithms.ChaCha20(key, counter), mode=None).encryptor(), combine)
            for key, combine in signed[at : at + OPEN_KEYS]
        ]
        _apply_group(target, streams)


@functools.cache
def _kernel(name: str) -> Any | None:
    """Return the compiled module where it is wanted and this processor runs it."""
    if name == "portable":
        return None
    try:
        module = importlib.import_module("protocols.primitives._native_stream")
    except ImportError as error:
        if name == "native":
            raise ParameterError(f"SANDBOX_ENGINE=native, but keystreams in C++ cannot be used: {error}") from error
        return None
    return module if module.is_available() else None


def _apply_group(target: Ring, streams: Sequence[tuple[Any, Any]]) -> None:
    size = min(TILE_BYTES, target.nbytes)
    zeros, buffer = bytes(size), bytearray(size)
    words = np.frombuffer(buffer, dtype=target.dtype)
    step = size // target.itemsize
    for begin in range(0, len(target), step):
        tile = target[begin : begin + step]
        source, drawn, sink = memoryview(zeros)[: tile.nbytes], words[: len(tile)], memoryview(buffer)[: tile.nbytes]
        for stream, combine in streams:
            stream.update_into(source, sink)
            combine(tile, drawn, out=tile)
