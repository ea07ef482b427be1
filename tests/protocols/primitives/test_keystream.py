"""Sums of keystreams of both ciphers against whole streams, word by word, in pieces, by several keys, in both rings."""

from __future__ import annotations

import hashlib
import sys
from typing import Any, get_args

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from protocols.primitives import keystream, prf
from protocols.primitives.keystream import CipherName


def engines(cipher: str) -> list[Any]:
    try:
        from protocols.primitives import _native_stream

        missing = "" if getattr(_native_stream, cipher).is_available() else f"this processor has no kernel for {cipher}"
    except ImportError as error:
        missing = str(error)
    return [(cipher, "portable"), pytest.param(cipher, "native", marks=pytest.mark.skipif(bool(missing), reason=missing))]


CIPHERS: tuple[CipherName, ...] = get_args(CipherName)
each_engine = pytest.mark.parametrize(("cipher", "engine"), [case for cipher in CIPHERS for case in engines(cipher)])


def keys_of(count: int, what: str) -> list[bytes]:
    return [hashlib.sha256(f"{what}{index}".encode()).digest() for index in range(count)]


def whole_stream(cipher: str, key: bytes, size: int, block: int = 0) -> bytes:
    """ChaCha20, or AES encrypting the numbers of its blocks one by one; block: of 64 bytes, the first."""
    if cipher == "chacha20":
        counter = block.to_bytes(8, "little") + bytes(8)
        return Cipher(algorithms.ChaCha20(key, counter), mode=None).encryptor().update(bytes(size))
    numbers = b"".join((4 * block + at).to_bytes(16, "big") for at in range(-(-size // 16)))
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(numbers)[:size]  # noqa: S305  (block by block, to check CTR)


def expected(cipher: str, values: list[int], bits: int, plus: list[bytes], minus: list[bytes]) -> list[int]:
    """Python integers and whole streams from the start."""
    size, total = bits // 8, list(values)
    for sign, keys in ((1, plus), (-1, minus)):
        for key in keys:
            stream = whole_stream(cipher, key, size * len(values))
            for at in range(len(values)):
                total[at] += sign * int.from_bytes(stream[at * size : (at + 1) * size], "little")
    return [value % 2**bits for value in total]


@given(
    bits=st.sampled_from([32, 64]),
    length=st.integers(1, 500),
    cut=st.integers(0, 30),
    added=st.integers(0, 3),
    taken=st.integers(0, 3),
)
@each_engine
@settings(max_examples=60, deadline=None)
def test_keystreams_are_added_in_the_ring_from_any_block(
    cipher: CipherName, engine: str, *, bits: int, length: int, cut: int, added: int, taken: int
) -> None:
    dtype = keystream.ring_dtype(bits)
    vector = (np.arange(length, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(dtype)
    plus, minus = keys_of(added, "plus"), keys_of(taken, "minus")
    want = expected(cipher, vector.tolist(), bits, plus, minus)
    border = min(length, cut * 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_ENGINE", engine)
        for first, end in ((0, border), (border, length)):
            if end > first:
                keystream.apply_keystreams(vector[first:end], first, plus=plus, minus=minus, cipher=cipher)
    assert vector.tolist() == want


@each_engine
@pytest.mark.parametrize("bits", [32, 64])
def test_many_keys_and_tiles(bits: int, cipher: CipherName, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    words = 3 * keystream.TILE_BYTES // (bits // 8) + 5
    vector = np.zeros(words, dtype=keystream.ring_dtype(bits))
    keys = keys_of(keystream.OPEN_KEYS + 3, "many")
    keystream.apply_keystreams(vector, 0, plus=keys, minus=keys[1:], cipher=cipher)
    assert vector.tobytes() == whole_stream(cipher, keys[0], vector.nbytes)


def test_chacha20_is_the_keystream_of_prf() -> None:
    assert whole_stream("chacha20", keys_of(1, "same")[0], 1000) == prf.keystream(keys_of(1, "same")[0], 1000)


@each_engine
def test_published_keystreams(cipher: CipherName, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ChaCha20: RFC 8439, A.1, vectors 1 to 3. AES: CAVP's ECBKeySbox256 and ECBVarKey256, which encrypt the zero block."""
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    published = {
        "chacha20": {
            (bytes(32), 0): "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7",
            (bytes(32), 1): "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed",
            (bytes(31) + b"\1", 1): "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a",
        },
        "aes256ctr": {
            (
                bytes.fromhex("c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558"),
                0,
            ): "46f2fb342d6f0ab477476fc501242c5f",
            (
                bytes.fromhex("28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64"),
                0,
            ): "4bf3b0a69aeb6657794f2901b1440ad4",
            (b"\x80" + bytes(31), 0): "e35a6dcb19b201a01ebcfa8aa22b5759",
        },
    }
    for (key, block), start in published[cipher].items():
        vector = np.zeros(16, dtype=np.uint32)
        keystream.apply_keystreams(vector, 16 * block, plus=[key], cipher=cipher)
        assert vector.tobytes().hex().startswith(start)


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


@each_engine
def test_a_stream_ends_where_its_counter_or_its_bound_does(
    cipher: CipherName, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    blocks = keystream.max_stream_bytes(cipher) // 64
    assert blocks == {"chacha20": 2**32, "aes256ctr": 2**26}[cipher]
    key, first = keys_of(1, "far")[0], (blocks - 40) * 16
    vector = np.zeros(40 * 16, dtype=np.uint32)
    keystream.apply_keystreams(vector, first, plus=[key], cipher=cipher)
    assert vector.tobytes() == whole_stream(cipher, key, vector.nbytes, blocks - 40)
    with pytest.raises(ParameterError, match="ends after"):
        keystream.apply_keystreams(vector, first + 16, plus=[key], cipher=cipher)


def test_other_ciphers_are_refused() -> None:
    with pytest.raises(ParameterError, match="chacha20 or aes256ctr, not 'rc4'"):
        keystream.apply_keystreams(np.zeros(16, dtype=np.uint32), 0, plus=[bytes(32)], cipher="rc4")  # type: ignore[arg-type]


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
