"""Sums of keystreams against `prf.keystream`, word by word, in pieces, by several keys, in both rings."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from protocols.primitives import keystream, prf


def engines() -> list[Any]:
    try:
        from protocols.primitives import _native_stream

        missing = "" if _native_stream.is_available() else "this processor has no AVX-512F"
    except ImportError as error:
        missing = str(error)
    return ["portable", pytest.param("native", marks=pytest.mark.skipif(bool(missing), reason=missing))]


ENGINES = engines()


def keys_of(count: int, what: str) -> list[bytes]:
    return [hashlib.sha256(f"{what}{index}".encode()).digest() for index in range(count)]


def expected(values: list[int], bits: int, plus: list[bytes], minus: list[bytes]) -> list[int]:
    """Python integers and whole streams from the start."""
    size, total = bits // 8, list(values)
    for sign, keys in ((1, plus), (-1, minus)):
        for key in keys:
            stream = prf.keystream(key, size * len(values))
            for at in range(len(values)):
                total[at] += sign * int.from_bytes(stream[at * size : (at + 1) * size], "little")
    return [value % 2**bits for value in total]


@given(
    bits=st.sampled_from([32, 64]),
    length=st.integers(1, 200),
    cut=st.integers(0, 12),
    added=st.integers(0, 3),
    taken=st.integers(0, 3),
)
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=60, deadline=None)
def test_keystreams_are_added_in_the_ring_from_any_block(
    engine: str, *, bits: int, length: int, cut: int, added: int, taken: int
) -> None:
    dtype = keystream.ring_dtype(bits)
    vector = (np.arange(length, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(dtype)
    plus, minus = keys_of(added, "plus"), keys_of(taken, "minus")
    want = expected(vector.tolist(), bits, plus, minus)
    border = min(length, cut * 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_ENGINE", engine)
        for first, end in ((0, border), (border, length)):
            if end > first:
                keystream.apply_keystreams(vector[first:end], first, plus=plus, minus=minus)
    assert vector.tolist() == want


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [32, 64])
def test_many_keys_and_tiles(bits: int, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    words = 3 * keystream.TILE_BYTES // (bits // 8) + 5
    vector = np.zeros(words, dtype=keystream.ring_dtype(bits))
    keys = keys_of(keystream.OPEN_KEYS + 3, "many")
    keystream.apply_keystreams(vector, 0, plus=keys, minus=keys[1:])
    assert vector.tobytes() == prf.keystream(keys[0], vector.nbytes)


@pytest.mark.parametrize(
    ("vector", "first", "key", "problem"),
    [
        (np.zeros(16, dtype=np.int32), 0, bytes(32), "uint32 or uint64"),
        (np.zeros((4, 4), dtype=np.uint32), 0, bytes(32), "contiguous vector"),
        (np.zeros(32, dtype=np.uint32)[::2], 0, bytes(32), "contiguous vector"),
        (np.zeros(16, dtype=np.uint32), 8, bytes(32), "multiple of 64 bytes"),
        (np.zeros(16, dtype=np.uint64), -8, bytes(32), "multiple of 64 bytes"),
        (np.zeros(16, dtype=np.uint32), 0, bytes(31), "32 bytes"),
    ],
)
def test_misuse_is_refused(vector: Any, first: int, key: bytes, problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        keystream.apply_keystreams(vector, first, plus=[key])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_ends_where_its_counter_of_32_bits_does(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    key, first = keys_of(1, "far")[0], (2**32 - 40) * 16
    vector = np.zeros(40 * 16, dtype=np.uint32)
    keystream.apply_keystreams(vector, first, plus=[key])
    counter = (2**32 - 40).to_bytes(8, "little") + bytes(8)
    stream = Cipher(algorithms.ChaCha20(key, counter), mode=None).encryptor().update(bytes(vector.nbytes))
    assert vector.tobytes() == stream
    with pytest.raises(ParameterError, match="ends after"):
        keystream.apply_keystreams(vector, first + 16, plus=[key])


def test_the_engine_that_was_asked_for_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", "portable")
    assert "OpenSSL" in keystream.engine_description()
    monkeypatch.setitem(sys.modules, "protocols.primitives._native_stream", None)
    keystream._kernel.cache_clear()
    monkeypatch.setenv("SANDBOX_ENGINE", "native")
    with pytest.raises(ParameterError, match="keystreams in C"):
        keystream.engine_description()
    monkeypatch.setenv("SANDBOX_ENGINE", "auto")
    assert "OpenSSL" in keystream.engine_description()
    keystream._kernel.cache_clear()


def test_rings_have_two_sizes() -> None:
    with pytest.raises(ParameterError, match="32 or 64 bits"):
        keystream.ring_dtype(16)
