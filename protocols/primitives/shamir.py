"""Shamir's secret sharing of 256-bit secrets over GF(p), p = 2^256 + 297, the smallest prime above 2^256.

Every 256-bit secret is a field element as it stands, so nothing is reduced and no bit of a seed is lost. Source: A. Shamir,
How to share a secret, 1979. Python integers are not constant-time; shares are made once, on the dealer's own machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.errors import ParameterError
from protocols.primitives.rng import Rng, below

PRIME = (1 << 256) + 297
SECRET_BYTES = 32
SHARE_BYTES = 33


def share(secret: bytes, threshold: int, points: Sequence[int], rng: Rng) -> list[bytes]:
    """Return one share for each point: the value there of a random polynomial of degree threshold − 1 with f(0) = secret.

    secret: 32 bytes. points: distinct, 1 ≤ x < p. Shares: 33 bytes each, big-endian, secret. Any `threshold` of them give
    the secret, fewer tell nothing. Raises ParameterError for a wrong secret, threshold or point.
    """
    if len(secret) != SECRET_BYTES:
        raise ParameterError(f"a secret to be shared has {SECRET_BYTES} bytes, not {len(secret)}")
    if not 1 <= threshold <= len(points):
        raise ParameterError(f"{len(points)} shares cannot have threshold {threshold}")
    _check_points(points)
    falling = [below(rng, PRIME) for _ in range(threshold - 1)] + [int.from_bytes(secret, "big")]
    return [_value(falling, x).to_bytes(SHARE_BYTES, "big") for x in points]


def reconstruct(shares: Mapping[int, bytes]) -> bytes:
    """Return the secret from exactly the threshold's number of shares: {point: 33 bytes}. Secret.

    Wrong shares give another secret or none, so compare the result with something public. Raises ParameterError for
    malformed shares and where the value at 0 is no 256-bit secret.
    """
    _check_points(list(shares))
    total = 0
    for (x, data), weight in zip(shares.items(), lagrange_at_zero(list(shares)), strict=True):
        value = int.from_bytes(data, "big")
        if len(data) != SHARE_BYTES or value >= PRIME:
            raise ParameterError(f"the share at {x} is not {SHARE_BYTES} bytes below the field's prime")
        total = (total + value * weight) % PRIME
    if total >> 256:
        raise ParameterError("the shares do not meet in a 256-bit secret")
    return total.to_bytes(SECRET_BYTES, "big")


def lagrange_at_zero(points: Sequence[int]) -> list[int]:
    """Return the weights w_i = Π_{j≠i} x_j / (x_j − x_i) with Σ w_i f(x_i) = f(0); public."""
    weights = []
    for x in points:
        numerator = denominator = 1
        for other in points:
            if other != x:
                numerator = numerator * other % PRIME
                denominator = denominator * (other - x) % PRIME
        weights.append(numerator * pow(denominator, -1, PRIME) % PRIME)
    return weights


def _value(falling: Sequence[int], x: int) -> int:
    value = 0
    for coefficient in falling:
        value = (value * x + coefficient) % PRIME
    return value


def _check_points(points: Sequence[int]) -> None:
    if len(set(points)) != len(points) or not all(1 <= x < PRIME for x in points):
        raise ParameterError("share points must be distinct and from 1 to p − 1: the value at 0 is the secret")
