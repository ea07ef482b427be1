"""Checks of a public key that somebody else made, and the proof that its modulus is sound.

A trapdoored key could show plaintexts (h of tiny order), mark rows (h with a factor) or make decryption ambiguous. Each
condition is one function that raises ParameterError naming it. Source: Goldberg, Reyzin, Sagga, Baldimtsi 2019 (the proof).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import gmpy2

from protocols.errors import ParameterError

NoiseMode = Literal["full", "djn", "subgroup"]
NOISE_MODES: tuple[NoiseMode, ...] = ("full", "djn", "subgroup")
KEY_BITS = (2048, 3072, 4096)
SMALLEST_KEY_BITS = 64
PROOF_POINTS = 8
_SMALL_FACTOR_LIMIT = 1 << 16
_HASH_DOMAIN = b"public-data-sandbox/paillier/1/hash-to-zn"


def is_probable_prime(candidate: int) -> bool:
    """Return whether a number is prime: trial division, Baillie-PSW and 16 rounds of Miller-Rabin (GMP 6.2 or later).

    No composite is known to pass Baillie-PSW; negative numbers, 0 and 1 are not prime.
    """
    return candidate > 1 and bool(gmpy2.is_prime(candidate, 40))


def hash_to_zn(n: int, label: str) -> int:
    """Return a point x of [2, n − 2] that nobody chose, with gcd(x(x² − 1), n) = 1: SHAKE-256, 128 bits wider than n."""
    size_bytes = (n.bit_length() + 7) // 8
    prefix = _HASH_DOMAIN + size_bytes.to_bytes(4, "big") + n.to_bytes(size_bytes, "big") + label.encode() + b"\0"
    counter = 0
    while True:
        digest = hashlib.shake_256(prefix + counter.to_bytes(4, "big")).digest(size_bytes + 16)
        point = int.from_bytes(digest, "big") % n
        if 1 < point < n - 1 and gmpy2.gcd(point * (point * point - 1), n) == 1:
            return point
        counter += 1


def derived_h(n: int) -> int:
    """Return h = −x² mod n with x = HashToZn(n, "h"): the only h that a djn key may have."""
    return n - pow(hash_to_zn(n, "h"), 2, n)


@functools.cache
def _small_primes() -> Any:
    return gmpy2.primorial(_SMALL_FACTOR_LIMIT)


def check_modulus(n: int, noise: NoiseMode, *, allow_insecure: bool) -> None:
    """Raise ParameterError unless n could be a product of two large primes of an accepted length.

    n ≡ 1 (mod 4) is asked of djn and subgroup keys; `full` keys come from other software too, which does not ensure it.
    """
    bits = n.bit_length()
    if bits not in KEY_BITS:
        if not SMALLEST_KEY_BITS <= bits < KEY_BITS[0]:
            raise ParameterError(f"key length: n has {bits} bits; accepted are 2048, 3072 and 4096")
        if not allow_insecure:
            raise ParameterError(
                f"key length: n has {bits} bits and is insecure; accepted are 2048, 3072 and 4096 "
                "(tests may say allow_insecure=True)"
            )
    if n % 2 == 0:
        raise ParameterError("modulus: n is even")
    if gmpy2.gcd(n, _small_primes()) != 1:
        raise ParameterError("modulus: n has a factor below 2^16")
    if noise != "full" and n % 4 != 1:
        raise ParameterError("modulus: n is not 1 modulo 4")
    if is_probable_prime(n):
        raise ParameterError("modulus: n is prime")
    if gmpy2.is_power(n):
        raise ParameterError("modulus: n is a perfect power")


def check_base(n: int, h: int | None, noise: NoiseMode) -> None:
    """Raise ParameterError unless h is a possible base of noise for n. A subgroup's h can only be checked this far."""
    if noise == "full":
        if h is not None:
            raise ParameterError("base: a key with full noise has no h")
        return
    if h is None or not 1 < h < n - 1:
        raise ParameterError("base: h is not between 1 and n − 1")
    if gmpy2.gcd(h * (h * h - 1), n) != 1:
        raise ParameterError("base: h or h² − 1 shares a factor with n")
    if gmpy2.jacobi(h, n) != 1:
        raise ParameterError("base: h has Jacobi symbol −1")
    if noise == "djn" and h != derived_h(n):
        raise ParameterError("base: h is not the hash of n that a djn key has")


def _proof_point(n: int, index: int) -> int:
    return hash_to_zn(n, f"root/{index}")


def prove_modulus(n: int, prime_p: int, prime_q: int) -> tuple[int, ...]:
    """Return 8 n-th roots of hashed points; all points have roots only if gcd(n, φ(n)) = 1. Public."""
    order = (prime_p - 1) * (prime_q - 1)
    try:
        exponent = gmpy2.invert(n, order)
    except ZeroDivisionError:
        raise ParameterError("modulus: gcd(n, φ(n)) is not 1") from None
    return tuple(int(gmpy2.powmod_sec(_proof_point(n, i), exponent, n)) for i in range(PROOF_POINTS))


def verify_modulus(n: int, roots: Sequence[int]) -> None:
    """Raise ParameterError unless the roots prove gcd(n, φ(n)) = 1. Sound to 2^-128 once n has no factor below 2^16."""
    if len(roots) != PROOF_POINTS:
        raise ParameterError(f"proof: {len(roots)} roots where {PROOF_POINTS} are needed")
    if n % 2 == 0 or gmpy2.gcd(n, _small_primes()) != 1:
        raise ParameterError("proof: n has a factor below 2^16, so that roots prove nothing")
    for index, root in enumerate(roots):
        if not 0 < root < n or gmpy2.powmod(root, n, n) != _proof_point(n, index):
            raise ParameterError(f"proof: root {index} is not the n-th root of its point")
