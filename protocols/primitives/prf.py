"""Symmetric primitives: key derivation, message authentication, keystreams, and a box sealed to one recipient.

Thin, labelled uses of the `cryptography` package: what a key is for is always part of how it was derived.
"""

from __future__ import annotations

import dataclasses
import hmac
import struct
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocols.errors import ParameterError
from protocols.primitives.lanes import curve_lanes
from protocols.primitives.rng import Rng

HashName = Literal["sha256", "sha512"]

KEY_BYTES = 32
MIN_TAG_BYTES = 16
MAX_KEYSTREAM_BYTES = 64 << 32
BOX_OVERHEAD_BYTES = 48

_LENGTH = struct.Struct(">Q")
_HASHES: dict[HashName, type[hashes.SHA256] | type[hashes.SHA512]] = {"sha256": hashes.SHA256, "sha512": hashes.SHA512}
_BOX_LABEL = "sealed-box/1"
_SMALL_ORDER = "the X25519 public key is a point of small order"
# From here on a vector of exchanges takes less time than each one by itself.
_LANES_FROM_ROWS = 4


def length_prefixed(*parts: bytes) -> bytes:
    """Return the parts joined so that no other parts give the same bytes: each after its length (8 bytes, big-endian)."""
    return b"".join([piece for part in parts for piece in (_LENGTH.pack(len(part)), part)])


def hkdf(secret: bytes, *, salt: bytes, info: bytes, size: int, hash_name: HashName = "sha256") -> bytes:
    """Return `size` bytes of HKDF (RFC 5869). Prefer `derive_key`, which labels its use.

    Raises ParameterError for a size outside 1..255 hash lengths.
    """
    algorithm = _HASHES[hash_name]()
    if not 1 <= size <= 255 * algorithm.digest_size:
        raise ParameterError(f"HKDF with {hash_name} yields 1 to {255 * algorithm.digest_size} bytes, not {size}")
    return HKDF(algorithm=algorithm, length=size, salt=salt, info=info).derive(secret)


def derive_key(
    secret: bytes, label: str, *context: bytes, salt: bytes = b"", size: int = KEY_BYTES, hash_name: HashName = "sha256"
) -> bytes:
    """Return a key for one purpose: HKDF over the label and each part of the context, length-prefixed.

    label: purpose and version, such as `aggregation/1/pair-mask`. context: session, round, parties, direction, ...
    Different labels or contexts give independent keys. Secret.
    """
    return hkdf(secret, salt=salt, info=length_prefixed(label.encode(), *context), size=size, hash_name=hash_name)


def mac(key: bytes, message: bytes, *, size: int = KEY_BYTES) -> bytes:
    """Return HMAC-SHA-256 of the message, cut to `size` bytes. Raises ParameterError for a size outside 16..32."""
    if not MIN_TAG_BYTES <= size <= KEY_BYTES:
        raise ParameterError(f"a tag has {MIN_TAG_BYTES} to {KEY_BYTES} bytes, not {size}")
    return hmac.digest(key, message, "sha256")[:size]


def verify_mac(key: bytes, message: bytes, tag: bytes) -> None:
    """Accept a tag of `mac`, compared in constant time. Raises ParameterError for any other."""
    if not MIN_TAG_BYTES <= len(tag) <= KEY_BYTES or not hmac.compare_digest(mac(key, message, size=len(tag)), tag):
        raise ParameterError("the message's tag does not verify")


def keystream(key: bytes, size: int) -> bytes:
    """Return `size` bytes of raw ChaCha20 keystream under a 32-byte key, zero counter and nonce (RFC 8439, RFC 7539).

    One key gives one stream: derive a key for each use. Raises ParameterError for a wrong key or size.
    """
    if len(key) != KEY_BYTES:
        raise ParameterError(f"a keystream's key has {KEY_BYTES} bytes, not {len(key)}")
    if not 0 <= size <= MAX_KEYSTREAM_BYTES:
        raise ParameterError(f"a keystream has 0 to {MAX_KEYSTREAM_BYTES} bytes, not {size}")
    return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(size))


def keystream_uint32(key: bytes, count: int) -> npt.NDArray[np.uint32]:
    """Return the keystream's first `count` words, little-endian: (count,) uint32. Errors as `keystream`."""
    return np.frombuffer(keystream(key, 4 * count), dtype="<u4").astype(np.uint32)


def keystream_uint64(key: bytes, count: int) -> npt.NDArray[np.uint64]:
    """Return the keystream's first `count` words, little-endian: (count,) uint64. Errors as `keystream`."""
    return np.frombuffer(keystream(key, 8 * count), dtype="<u8").astype(np.uint64)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BoxSecret:
    """A recipient's X25519 secret: opens every box sealed to it. Never sent, never printed."""

    scalar: bytes

    def __repr__(self) -> str:
        return "BoxSecret(<redacted>)"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a box secret is not serialised")


def generate_box_keypair(rng: Rng) -> tuple[bytes, BoxSecret]:
    """Return a public key (32 bytes, X25519, for everyone) and its secret."""
    scalar = rng.bytes(KEY_BYTES)
    return _public_bytes(X25519PrivateKey.from_private_bytes(scalar)), BoxSecret(scalar=scalar)


def exchange(secret: bytes, public: bytes) -> bytes:
    """Return the X25519 shared secret: 32 bytes, to be fed to `derive_key` and nothing else (RFC 7748).

    Raises ParameterError for keys of a wrong length and for a public point of small order, which gives no secret.
    """
    return KeyAgreement(secret).exchange(public)


class KeyAgreement:
    """One X25519 secret for many exchanges: half the work of `exchange` for each. Secret, never printed or serialised."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ParameterError(f"X25519 keys have {KEY_BYTES} bytes")
        self._key = X25519PrivateKey.from_private_bytes(secret)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return _public_bytes(self._key)

    def exchange(self, public: bytes) -> bytes:
        """Return the shared secret with the holder of a public key. Errors as the function `exchange`."""
        if len(public) != KEY_BYTES:
            raise ParameterError(f"X25519 keys have {KEY_BYTES} bytes")
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise ParameterError(_SMALL_ORDER) from None

    def exchange_each(self, publics: Sequence[bytes]) -> list[bytes]:
        """Return the shared secret with each holder, in order: `exchange` on the lanes of a vector. Errors as `exchange`."""
        lanes = curve_lanes()
        if lanes is None or len(publics) < _LANES_FROM_ROWS:
            return [self.exchange(public) for public in publics]
        if any(len(public) != KEY_BYTES for public in publics):
            raise ParameterError(f"X25519 keys have {KEY_BYTES} bytes")
        rows = np.frombuffer(b"".join(publics), dtype=np.uint8).reshape(-1, KEY_BYTES)
        shared = lanes.agree(self._key.private_bytes_raw(), rows)
        if not shared.any(axis=1).all():
            raise ParameterError(_SMALL_ORDER)
        return [row.tobytes() for row in shared]

    def __repr__(self) -> str:
        return "KeyAgreement(<redacted>)"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret key is not serialised")


def seal(recipient_public: bytes, plaintext: bytes, context: bytes, rng: Rng) -> bytes:
    """Encrypt a small payload to one recipient: ephemeral public key, ciphertext, tag; 48 bytes longer than the plaintext.

    context: what the box is for (session, sender, recipient, message), bound as associated data, not sent. Nobody learns
    more than the length. The sender is not authenticated: sign the box where that matters. Raises ParameterError.
    Built like HPKE's base mode (RFC 9180): X25519, HKDF-SHA-256, ChaCha20-Poly1305, one message for each ephemeral key.
    """
    ephemeral = rng.bytes(KEY_BYTES)
    ephemeral_public = _public_bytes(X25519PrivateKey.from_private_bytes(ephemeral))
    key, nonce = _box_key(exchange(ephemeral, recipient_public), ephemeral_public, recipient_public)
    return ephemeral_public + ChaCha20Poly1305(key).encrypt(nonce, plaintext, context)


def open_box(secret: BoxSecret, sealed: bytes, context: bytes) -> bytes:
    """Return the plaintext of a box sealed to this secret under the same context.

    Raises ParameterError for a box that is truncated, changed, sealed to another key or under another context.
    """
    if len(sealed) < BOX_OVERHEAD_BYTES:
        raise ParameterError(f"a sealed box has at least {BOX_OVERHEAD_BYTES} bytes; this has {len(sealed)}")
    public = _public_bytes(X25519PrivateKey.from_private_bytes(secret.scalar))
    key, nonce = _box_key(exchange(secret.scalar, sealed[:KEY_BYTES]), sealed[:KEY_BYTES], public)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[KEY_BYTES:], context)
    except InvalidTag:
        raise ParameterError("the sealed box does not open: changed, for another recipient, or of another context") from None


def _box_key(shared: bytes, ephemeral_public: bytes, recipient_public: bytes) -> tuple[bytes, bytes]:
    okm = derive_key(shared, _BOX_LABEL, ephemeral_public, recipient_public, size=KEY_BYTES + 12)
    return okm[:KEY_BYTES], okm[KEY_BYTES:]


def _public_bytes(secret: X25519PrivateKey) -> bytes:
    return secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
