"""Oblivious pseudorandom function, RFC 9497 mode 0 (OPRF) over ristretto255 with SHA-512: the pure functions.

The server holds a key, the client inputs; the client learns F(key, input) and nothing of the key, the server nothing at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives import ristretto255
from protocols.primitives.ristretto255 import POINT_BYTES, Points, Scalars

OUTPUT_BYTES = 64
MAX_INPUT_BYTES = 2**16 - 1

_CONTEXT = b"OPRFV1-\x00-ristretto255-SHA512"
_GROUP_DST = b"HashToGroup-" + _CONTEXT
_DERIVE_DST = b"DeriveKeyPair" + _CONTEXT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OprfKey:
    """The server's secret key: 32 bytes, a scalar in [1, ℓ). Never sent, never printed."""

    scalar: bytes

    def __repr__(self) -> str:
        return "OprfKey(<redacted>)"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("an OPRF key is not serialised")


def derive_key(seed: bytes, info: bytes) -> OprfKey:
    """Derive the server's key from a 32-byte seed and public information (RFC 9497, section 3.2.1). Raises ParameterError."""
    if len(seed) != ristretto255.SCALAR_BYTES or len(info) > MAX_INPUT_BYTES:
        raise ParameterError(f"a key's seed has {ristretto255.SCALAR_BYTES} bytes, its info at most {MAX_INPUT_BYTES}")
    for counter in range(256):
        message = seed + _prefixed(info) + bytes([counter])
        scalar = ristretto255.hash_to_scalar(message, _DERIVE_DST)
        if any(scalar):
            return OprfKey(scalar=scalar)
    raise ParameterError("the seed gives no key; use another")


def domain_inputs(domain: bytes, keys: Sequence[bytes]) -> list[bytes]:
    """Return one OPRF input for each key, with the key domain in front (length-prefixed): RFC 9497 fixes the DST."""
    return [_prefixed(domain) + key for key in keys]


def blind(inputs: Sequence[bytes], scalars: Scalars) -> Points:
    """Return the blinded elements blind·H(input): (n, 32) uint8, for the server. One fresh scalar for each input.

    Raises ParameterError, with the row, for an input of more than 65,535 bytes.
    """
    for row, item in enumerate(inputs):
        if len(item) > MAX_INPUT_BYTES:
            raise ParameterError(f"input {row} has {len(item)} bytes; an OPRF takes at most {MAX_INPUT_BYTES}")
    return ristretto255.multiply_rows(scalars, ristretto255.hash_to_group(inputs, _GROUP_DST))


def evaluate(key: OprfKey, blinded: Points, *, first_row: int = 0) -> Points:
    """Return key·B for each blinded element: (n, 32). Raises ParameterError with the row of a bad or identity element."""
    return ristretto255.multiply(key.scalar, blinded, first_row=first_row)


def finalise(inputs: Sequence[bytes], scalars: Scalars, evaluated: Points, *, first_row: int = 0) -> npt.NDArray[np.uint8]:
    """Unblind and hash: (n, 64) uint8, the function's values. Secret to the client.

    Raises ParameterError with the row of an evaluated element that is the identity or not canonical.
    """
    unblinded = ristretto255.multiply_rows(ristretto255.invert_scalars(scalars), evaluated, first_row=first_row)
    points = ristretto255.point_rows(unblinded)
    outputs = b"".join(_output(item, point) for item, point in zip(inputs, points, strict=True))
    return np.frombuffer(outputs, dtype=np.uint8).reshape(-1, OUTPUT_BYTES)


def evaluate_directly(key: OprfKey, inputs: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Return the function's values for the server's own inputs: (n, 64) uint8 (RFC 9497, Evaluate)."""
    points = ristretto255.point_rows(evaluate(key, ristretto255.hash_to_group(inputs, _GROUP_DST)))
    outputs = b"".join(_output(item, point) for item, point in zip(inputs, points, strict=True))
    return np.frombuffer(outputs, dtype=np.uint8).reshape(-1, OUTPUT_BYTES)


def _output(item: bytes, point: bytes) -> bytes:
    return hashlib.sha512(_prefixed(item) + POINT_BYTES.to_bytes(2, "big") + point + b"Finalize").digest()


def _prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part
