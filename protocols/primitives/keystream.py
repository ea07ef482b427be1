"""Sums of keystreams on a vector of ring elements: what additive masks are made of.

Z_2^32 and Z_2^64 are numpy's wrapping uint32 and uint64. One key of one cipher gives one stream, used once, at zero nonce; word
i of the stream masks element i, so that a long vector can be masked and unmasked in pieces and by several threads. On
processors with AVX-512F (for AES, with VAES too) a C++ kernel runs it (native/stream/README.md), elsewhere `cryptography` and
numpy do, with equal results.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.errors import ParameterError
from protocols.primitives.engine import requested_engine
from protocols.primitives.prf import KEY_BYTES, MAX_KEYSTREAM_BYTES

# ChaCha20 as in `prf.keystream` (RFC 8439); AES-256 in counter mode from a counter of zero (SP 800-38A).
CipherName = Literal["chacha20", "aes256ctr"]
Ring = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
BLOCK_BYTES = 64
AES_BLOCK_BYTES = 16
# Keystream and target lie in the second-level cache while every key passes over them.
TILE_BYTES = 1 << 17
# AES permutes blocks of 16 bytes, so that its stream never repeats one: after 2^28 of them an adversary tells it from random
# bytes with advantage 2^-73 for each key. ChaCha20 has no such end before its counter's.
MAX_AES_BYTES = 1 << 32
# Contexts that are open at one time; each takes about a kilobyte.
OPEN_KEYS = 256


def ring_dtype(ring_bits: int) -> Any:
    """Return the little-endian dtype of Z_2^ring_bits: 32 or 64."""
    if ring_bits not in (32, 64):
        raise ParameterError(f"the ring has 32 or 64 bits, not {ring_bits}")
    return np.dtype("<u4" if ring_bits == 32 else "<u8")


def engine_description() -> str:
    """Return one line for people: what makes the keystreams here."""
    cpp = {"chacha20": "ChaCha20 by AVX-512F", "aes256ctr": "AES-256-CTR by VAES"}
    names = {"chacha20": "ChaCha20", "aes256ctr": "AES-256-CTR"}
    here = [cpp[each] for each in get_args(CipherName) if _kernel(requested_engine(), each)]
    rest = [names[each] for each in get_args(CipherName) if not _kernel(requested_engine(), each)]
    parts = [f"{' and '.join(here)} in C++, added in registers"] if here else []
    parts += [f"{' and '.join(rest)} of cryptography (OpenSSL), added by numpy"] if rest else []
    return "; ".join(parts)


def max_stream_bytes(cipher: CipherName) -> int:
    """Return how long a stream may be. Raises ParameterError for an unknown cipher."""
    if cipher not in get_args(CipherName):
        raise ParameterError(f"masks are made by {' or '.join(get_args(CipherName))}, not {cipher!r}")
    return MAX_KEYSTREAM_BYTES if cipher == "chacha20" else MAX_AES_BYTES


def apply_keystreams(
    target: Ring, first: int, *, plus: Sequence[bytes] = (), minus: Sequence[bytes] = (), cipher: CipherName = "chacha20"
) -> None:
    """Add to `target`, in place and modulo its ring, each key's keystream in `plus`, and subtract those in `minus`.

    target: (m,) uint32 or uint64, contiguous; words first … first + m − 1 of the whole vector. first: a multiple of 64 bytes
    in words, since a stream is entered at whole blocks. Keys: 32 bytes each. Raises ParameterError.
    """
    if target.ndim != 1 or target.dtype not in (np.dtype("<u4"), np.dtype("<u8")) or not target.flags.c_contiguous:
        raise ParameterError("keystreams are added to a contiguous vector of uint32 or uint64")
    start, end = first * target.itemsize, max_stream_bytes(cipher)
    if first < 0 or start % BLOCK_BYTES or start + target.nbytes > end:
        raise ParameterError(f"a keystream is entered at a multiple of 64 bytes, and ends after {end} bytes")
    if any(len(key) != KEY_BYTES for key in (*plus, *minus)):
        raise ParameterError(f"a keystream's key has {KEY_BYTES} bytes")
    kernel = _kernel(requested_engine(), cipher)
    if kernel is not None:
        keys = np.frombuffer(b"".join((*plus, *minus)), dtype=np.uint8).reshape(-1, KEY_BYTES)
        kernel.apply(target, start // BLOCK_BYTES, keys, len(plus))
        return
    signed = [(key, np.add) for key in plus] + [(key, np.subtract) for key in minus]
    for at in range(0, len(signed), OPEN_KEYS):
        streams = [(_stream(cipher, key, start), combine) for key, combine in signed[at : at + OPEN_KEYS]]
        _apply_group(target, streams)


def _stream(cipher: CipherName, key: bytes, start: int) -> Any:
    """Return the cipher of `cryptography`, from byte `start` of its stream on."""
    if cipher == "chacha20":
        counter = (start // BLOCK_BYTES).to_bytes(8, "little") + bytes(8)
        return Cipher(algorithms.ChaCha20(key, counter), mode=None).encryptor()
    return Cipher(algorithms.AES(key), modes.CTR((start // AES_BLOCK_BYTES).to_bytes(AES_BLOCK_BYTES, "big"))).encryptor()


@functools.cache
def _kernel(name: str, cipher: CipherName) -> Any | None:
    """Return the compiled kernel of a cipher where it is wanted and this processor runs it."""
    if name == "portable":
        return None
    try:
        module = importlib.import_module("protocols.primitives._native_stream")
    except ImportError as error:
        if name == "native":
            raise ParameterError(f"SANDBOX_ENGINE=native, but keystreams in C++ cannot be used: {error}") from error
        return None
    # An extension that was built from older sources has no kernels by name.
    kernel = getattr(module, cipher, None)
    return kernel if kernel is not None and kernel.is_available() else None


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
