"""Ed25519 signatures (RFC 8032) as protocols use them: keys come from outside, verification raises.

Many signatures at once are verified in C++, each by itself in a lane of a vector (native/group/README.md); without the
extension, or one alone, by `cryptography`. Both judge every input alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.errors import ParameterError
from protocols.primitives.lanes import curve_lanes

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
_HASH_BYTES = 64
# From here on a vector of signatures takes less time than each one by itself.
_LANES_FROM_ROWS = 2
_REMEMBERED = 1 << 14


# Signs with a long-term key that stays outside: returns 64 bytes. `sign` of `cryptography`'s Ed25519PrivateKey does.
Sign = Callable[[bytes], bytes]


class Signed(NamedTuple):
    """A statement under a signature, and the key that it is said to be of. Public."""

    public: bytes
    statement: bytes
    signature: bytes


class BadSignatureError(ParameterError):
    """A signature that does not verify, or a malformed key; `row` says which of those that were given, from 0."""

    def __init__(self, row: int) -> None:
        super().__init__("the signature does not verify")
        self.row = row


def verify(public: bytes, statement: bytes, signature: bytes) -> None:
    """Accept a signature. Raises BadSignatureError for any other, and for a malformed key."""
    verify_each([Signed(public, statement, signature)])


def verify_each(signed: Sequence[Signed]) -> None:
    """Accept all signatures. Raises BadSignatureError with the row of the first one that does not verify."""
    fresh: dict[int, bytes] = {}
    for row, (public, statement, signature) in enumerate(signed):
        if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
            raise BadSignatureError(row)
        # All that the verdict depends on: what is hashed with the key and half the signature, and the other half.
        judged = hashlib.sha512(signature[:32] + public + statement).digest() + signature[32:]
        if judged not in _accepted:
            fresh[row] = judged
    verdicts = _hold([signed[row] for row in fresh], list(fresh.values()))
    if len(_accepted) + len(fresh) > _REMEMBERED:
        _accepted.clear()
    for (row, judged), holds in zip(fresh.items(), verdicts, strict=True):
        if not holds:
            raise BadSignatureError(row)
        _accepted.add(judged)


# Public data, and the same answer every time: where many roles share a process, each signature is verified once.
_accepted: set[bytes] = set()


def _hold(signed: Sequence[Signed], judged: Sequence[bytes]) -> Sequence[bool]:
    lanes = curve_lanes() if len(signed) >= _LANES_FROM_ROWS else None
    if lanes is None:
        return [_holds(*each) for each in signed]
    keys, signatures = _rows([each.public for each in signed]), _rows([each.signature for each in signed])
    found: list[bool] = lanes.verify(keys, _rows(judged)[:, :_HASH_BYTES], signatures).tolist()
    return found


def _rows(items: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), -1)


def _holds(public: bytes, statement: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
