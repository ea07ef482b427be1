"""Ed25519 identities (RFC 8032): one key per node, a context in front of everything it signs, verification that raises."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sandbox.errors import AuditError, DocumentError

PREFIX = "ed25519:"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
SMALL_ORDER = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""y of the eight points of small order, with the non-canonical forms, sign bit cleared (libsodium's list)."""
DOMAIN = b"public-data-sandbox/signature/1\x00"


class PublicIdentity:
    """A node's public key. Text form: `ed25519:` and the padded base64 (RFC 4648 section 4) of the 32 bytes of RFC 8032.

    Points of small order are refused: one signature under such a key verifies for many messages.
    """

    __slots__ = ("_key", "_raw")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise DocumentError(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(raw)}")
        if raw[:31] + bytes([raw[31] & 0x7F]) in SMALL_ORDER:
            raise DocumentError("an Ed25519 public key of small order proves nothing; generate another key")
        self._raw = bytes(raw)
        self._key = Ed25519PublicKey.from_public_bytes(self._raw)

    @classmethod
    def from_text(cls, text: str) -> PublicIdentity:
        """Return the key of a text `ed25519:<base64>`. Only the one canonical base64 form is accepted. Raises DocumentError."""
        body = text.removeprefix(PREFIX)
        try:
            raw = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if body == text or len(raw) != KEY_BYTES or base64.b64encode(raw).decode() != body:
            raise DocumentError(f"a public key is written `{PREFIX}` and the base64 of {KEY_BYTES} bytes (44 characters)")
        return cls(raw)

    def verify(self, context: str, data: bytes, signature: bytes, *, place: str = "signature") -> None:
        """Return only if signature is this key's over data in context. Raises AuditError (invalid) that names the place."""
        self.verify_raw(_framed(context, data), signature, place=place)

    def verify_raw(self, data: bytes, signature: bytes, *, place: str = "signature") -> None:
        """As verify, over exactly these bytes: for formats that have a domain of their own (C2SP signed notes)."""
        if len(signature) != SIGNATURE_BYTES:
            raise AuditError(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}", place=place)
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise AuditError(f"the signature is not by {self} over these bytes", place=place) from None

    def to_bytes(self) -> bytes:
        """Return the 32 bytes of RFC 8032."""
        return self._raw

    def __str__(self) -> str:
        return PREFIX + base64.b64encode(self._raw).decode()

    def __repr__(self) -> str:
        return f"PublicIdentity({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicIdentity) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)


class PrivateIdentity:
    """A node's private key. Prints as its public half; leaves only through `to_secret_bytes`, for a file of mode 0600."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicIdentity(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> PrivateIdentity:
        """Return a fresh key from the operating system's generator."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_secret_bytes(cls, secret: bytes) -> PrivateIdentity:
        """Return the key of a 32-byte seed. Raises DocumentError for any other length."""
        if len(secret) != KEY_BYTES:
            raise DocumentError(f"an Ed25519 private key has {KEY_BYTES} bytes, not {len(secret)}")
        return cls(Ed25519PrivateKey.from_private_bytes(secret))

    def to_secret_bytes(self) -> bytes:
        """Return the 32-byte seed. The caller keeps it in a file that only its owner reads (0600)."""
        return self._key.private_bytes_raw()

    def sign(self, context: str, data: bytes) -> bytes:
        """Return the 64-byte signature over data in context. The same bytes signed in another context do not verify."""
        return self._key.sign(_framed(context, data))

    def sign_raw(self, data: bytes) -> bytes:
        """Return the signature over exactly these bytes: for formats that have a domain of their own (C2SP signed notes)."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"PrivateIdentity(public={str(self.public)!r}, secret=<redacted>)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a private key is never serialised with the objects around it; use to_secret_bytes")


def _framed(context: str, data: bytes) -> bytes:
    """`DOMAIN ‖ context ‖ 0x00 ‖ data`: the context is printable ASCII, so that the NUL ends it unambiguously."""
    if not context or not context.isascii() or not context.isprintable():
        raise DocumentError("a signature's context is a non-empty printable ASCII text")
    return DOMAIN + context.encode() + b"\x00" + data
