"""Key derivation, authentication, keystreams and sealed boxes against published vectors and under tampering."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from support.deterministic import DeterministicRng
from support.vectors import load_vectors

from protocols.errors import ParameterError
from protocols.primitives import prf

RNG = DeterministicRng("prf")


def wycheproof(name: str) -> list[tuple[dict, dict]]:
    groups = load_vectors(f"wycheproof/{name}_test.json")["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def test_hkdf_vectors() -> None:
    for _, case in wycheproof("hkdf_sha256"):
        secret, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            assert prf.hkdf(secret, salt=salt, info=info, size=case["size"]).hex() == case["okm"]
        else:
            with pytest.raises(ParameterError, match="HKDF"):
                prf.hkdf(secret, salt=salt, info=info, size=case["size"])


def test_hmac_vectors() -> None:
    for group, case in wycheproof("hmac_sha256"):
        key, message, tag = (bytes.fromhex(case[name]) for name in ("key", "msg", "tag"))
        size = group["tagSize"] // 8
        if case["result"] == "valid":
            assert prf.mac(key, message, size=size) == tag
            prf.verify_mac(key, message, tag)
        else:
            with pytest.raises(ParameterError, match="does not verify"):
                prf.verify_mac(key, message, tag)


def test_x25519_vectors() -> None:
    for _, case in wycheproof("x25519"):
        public, private = bytes.fromhex(case["public"]), bytes.fromhex(case["private"])
        if case["shared"] == "00" * 32:
            with pytest.raises(ParameterError, match="small order"):
                prf.exchange(private, public)
        else:
            assert prf.exchange(private, public).hex() == case["shared"]


def test_the_aead_in_use_passes_its_vectors() -> None:
    for group, case in wycheproof("chacha20_poly1305"):
        key, iv, aad, message, tag = (bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "tag"))
        if group["ivSize"] != 96:
            continue
        sealed = bytes.fromhex(case["ct"]) + tag
        if case["result"] == "valid":
            assert ChaCha20Poly1305(key).encrypt(iv, message, aad) == sealed
        else:
            with pytest.raises(InvalidTag):
                ChaCha20Poly1305(key).decrypt(iv, sealed, aad)


def test_hkdf_sha512_by_hand() -> None:
    prk = hmac.digest(b"salt", b"secret", "sha512")
    expected = hmac.digest(prk, b"info\x01", "sha512")
    assert prf.hkdf(b"secret", salt=b"salt", info=b"info", size=64, hash_name="sha512") == expected


def test_derived_keys_depend_on_every_part_and_its_borders() -> None:
    keys = [
        prf.derive_key(b"secret", "a", b"bc"),
        prf.derive_key(b"secret", "a", b"b", b"c"),
        prf.derive_key(b"secret", "ab", b"c"),
        prf.derive_key(b"secret", "a", b"bc", b""),
        prf.derive_key(b"secret", "a", b"bc", salt=b"salt"),
        prf.derive_key(b"secret", "a", b"bc", hash_name="sha512"),
        prf.derive_key(b"other", "a", b"bc"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == prf.KEY_BYTES for key in keys)


@pytest.mark.parametrize("size", [0, 255 * 32 + 1])
def test_sizes_that_hkdf_cannot_give(size: int) -> None:
    with pytest.raises(ParameterError, match="HKDF"):
        prf.derive_key(b"secret", "a", size=size)


@pytest.mark.parametrize("size", [0, 15, 33])
def test_short_tags_are_refused(size: int) -> None:
    with pytest.raises(ParameterError, match="16 to 32"):
        prf.mac(b"key", b"message", size=size)
    with pytest.raises(ParameterError, match="does not verify"):
        prf.verify_mac(b"key", b"message", hmac.digest(b"key", b"message", "sha256")[:size] + bytes(max(0, size - 32)))


def test_keystream_is_chacha20() -> None:
    # RFC 8439, appendix A.1, test vectors 1 and 2: zero key and nonce, blocks 0 and 1.
    stream = prf.keystream(bytes(32), 128)
    assert stream[:64].hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    assert stream[64:96].hex() == "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"


def test_keystream_words_are_little_endian_bytes() -> None:
    key = hashlib.sha256(b"key").digest()
    stream = prf.keystream(key, 40)
    assert prf.keystream_uint32(key, 10).tolist() == [int.from_bytes(stream[i : i + 4], "little") for i in range(0, 40, 4)]
    assert prf.keystream_uint64(key, 5).tolist() == [int.from_bytes(stream[i : i + 8], "little") for i in range(0, 40, 8)]
    assert prf.keystream_uint32(key, 0).shape == (0,)
    assert prf.keystream_uint64(key, 3).dtype == np.uint64


def test_keystream_refuses_other_keys_and_sizes() -> None:
    with pytest.raises(ParameterError, match="32 bytes"):
        prf.keystream(bytes(31), 1)
    with pytest.raises(ParameterError, match="0 to"):
        prf.keystream(bytes(32), -1)


@pytest.mark.parametrize("plaintext", [b"", b"x", b"y" * 5000])
def test_box_opens_for_its_recipient(plaintext: bytes) -> None:
    public, secret = prf.generate_box_keypair(RNG)
    sealed = prf.seal(public, plaintext, b"context", RNG)
    assert len(sealed) == len(plaintext) + prf.BOX_OVERHEAD_BYTES
    assert prf.open_box(secret, sealed, b"context") == plaintext
    assert prf.seal(public, plaintext, b"context", RNG) != sealed


def test_every_changed_byte_closes_the_box() -> None:
    public, secret = prf.generate_box_keypair(RNG)
    sealed = prf.seal(public, b"payload", b"context", RNG)
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 0x40
        with pytest.raises(ParameterError, match=r"does not open|small order"):
            prf.open_box(secret, bytes(changed), b"context")
    for other in (sealed[:-1], sealed + b"\0", sealed[:47], b""):
        with pytest.raises(ParameterError, match=r"does not open|at least"):
            prf.open_box(secret, other, b"context")
    with pytest.raises(ParameterError, match="does not open"):
        prf.open_box(secret, sealed, b"another context")
    with pytest.raises(ParameterError, match="does not open"):
        prf.open_box(prf.generate_box_keypair(RNG)[1], sealed, b"context")


def test_flipping_the_ignored_bit_of_the_ephemeral_key_closes_the_box() -> None:
    # X25519 ignores the top bit of a public key (RFC 7748), so the key derivation has to bind the bytes themselves.
    public, secret = prf.generate_box_keypair(RNG)
    sealed = bytearray(prf.seal(public, b"payload", b"", RNG))
    sealed[31] ^= 0x80
    with pytest.raises(ParameterError, match="does not open"):
        prf.open_box(secret, bytes(sealed), b"")


def test_boxes_refuse_bad_recipients() -> None:
    with pytest.raises(ParameterError, match="small order"):
        prf.seal(bytes(32), b"payload", b"", RNG)
    with pytest.raises(ParameterError, match="32 bytes"):
        prf.seal(bytes(31), b"payload", b"", RNG)


def test_box_secrets_are_not_shown() -> None:
    _, secret = prf.generate_box_keypair(RNG)
    assert "redacted" in repr(secret)
    assert secret.scalar.hex() not in repr(secret)
    with pytest.raises(TypeError, match="not serialised"):
        secret.__reduce__()
