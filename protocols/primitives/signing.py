"""Ed25519 signatures (RFC 8032) as protocols use them: keys come from outside, verification raises."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.errors import ParameterError

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


# Signs with a long-term key that stays outside: returns 64 bytes. `sign` of `cryptography`'s Ed25519PrivateKey does.
Sign = Callable[[bytes], bytes]


def verify(public: bytes, statement: bytes, signature: bytes) -> None:
    """Accept a signature. Raises ParameterError for any other, and for a malformed key."""
    if not _holds(public, statement, signature):
        raise ParameterError("the signature does not verify")


@functools.lru_cache(maxsize=1 << 14)
def _holds(public: bytes, statement: bytes, signature: bytes) -> bool:
    # Public data, and the same answer every time: where many roles share a process, each signature is verified once.
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
