"""Key generation: primes with the side conditions of each noise mode.

Sources: Damgård, Jurik, Nielsen 2010 (djn); Ma et al., "Optimized Paillier's Cryptosystem with Fast Encryption and
Decryption", ACSAC 2021 (subgroup). Legend: P, Q primes of n; p, q hidden primes; half = key_bits / 2.
"""

from __future__ import annotations

import warnings

import gmpy2

from protocols.errors import ParameterError
from protocols.paillier import checks
from protocols.paillier.checks import NoiseMode, is_probable_prime
from protocols.paillier.keys import PublicKey, subgroup_prime_bits
from protocols.paillier.private import PrivateKey
from protocols.primitives.rng import OsRng, Rng, below

_CLOSE_BITS = 100  # FIPS 186-5, A.1.3: |P − Q| > 2^(half − 100)


class ShortKeyWarning(UserWarning):
    """A key of 2048 bits gives 112-bit security: enough for data that matters until about 2030."""


def generate_keypair(key_bits: int = 3072, noise: NoiseMode = "djn", rng: Rng | None = None) -> tuple[PublicKey, PrivateKey]:
    """Generate a key pair. key_bits: 2048 (with ShortKeyWarning), 3072 or 4096. noise: `full`, `djn` or `subgroup`.

    Raises ParameterError for anything else.
    """
    if key_bits not in checks.KEY_BITS:
        raise ParameterError(f"key_bits is {key_bits}; use 2048, 3072 or 4096")
    if key_bits == checks.KEY_BITS[0]:
        warnings.warn("a 2048-bit Paillier key gives 112-bit security; 3072 is the default", ShortKeyWarning, stacklevel=2)
    return _generate(key_bits, noise, rng or OsRng())


def generate_insecure_keypair(
    key_bits: int = 512, noise: NoiseMode = "djn", rng: Rng | None = None
) -> tuple[PublicKey, PrivateKey]:
    """Generate a key pair that protects nothing, for tests: an even number of bits from 64 to below 2048.

    The public key says `is_insecure`, and `PublicKey.from_bytes` refuses it unless told allow_insecure=True.
    Raises ParameterError for other sizes.
    """
    if not checks.SMALLEST_KEY_BITS <= key_bits < checks.KEY_BITS[0] or key_bits % 2:
        raise ParameterError(f"key_bits is {key_bits}; an insecure key has an even number of bits from 64 to 2046")
    return _generate(key_bits, noise, rng or OsRng())


def _generate(key_bits: int, noise: NoiseMode, rng: Rng) -> tuple[PublicKey, PrivateKey]:
    if noise not in checks.NOISE_MODES:
        raise ParameterError(f"unknown noise {noise!r}: use full, djn or subgroup")
    if noise == "subgroup":
        return _generate_subgroup(key_bits, rng)
    half = key_bits // 2
    while True:
        P, Q = _prime(half, rng), _prime(half, rng)
        if _is_good_pair(P, Q):
            break
    public_key = PublicKey(n=P * Q, h=None if noise == "full" else checks.derived_h(P * Q), noise=noise)
    return _checked(public_key, PrivateKey(public_key, (P, Q)))


def _generate_subgroup(key_bits: int, rng: Rng) -> tuple[PublicKey, PrivateKey]:
    half, prime_bits = key_bits // 2, subgroup_prime_bits(key_bits)
    while True:
        p, q = _odd_prime(prime_bits, rng), _odd_prime(prime_bits, rng)
        P, Q = _prime_over(p, half, rng), _prime_over(q, half, rng)
        beta = ((P - 1) // (2 * p)) * ((Q - 1) // (2 * q))
        if len({p, q, P, Q}) == 4 and _is_good_pair(P, Q) and gmpy2.gcd(p * q, beta) == 1:
            break
    n = P * Q
    while True:
        y = below(rng, n)
        square = int(gmpy2.powmod_sec(y, 2 * beta, n)) if y > 1 and gmpy2.gcd(y, n) == 1 else 1
        # p and q are prime, so that a residue other than 1 has exactly their order.
        if square % P != 1 and square % Q != 1:
            break
    public_key = PublicKey(n=n, h=n - square, noise="subgroup")
    return _checked(public_key, PrivateKey(public_key, (P, Q), (p, q)))


def _is_good_pair(P: int, Q: int) -> bool:
    return (
        P != Q
        and abs(P - Q).bit_length() > P.bit_length() - _CLOSE_BITS
        and gmpy2.gcd(P - 1, Q - 1) == 2
        and gmpy2.gcd(P * Q, (P - 1) * (Q - 1)) == 1
    )


def _checked(public_key: PublicKey, private_key: PrivateKey) -> tuple[PublicKey, PrivateKey]:
    public_key.check(allow_insecure=True)
    return public_key, private_key


def _prime(bits: int, rng: Rng) -> int:
    """Return a uniform prime ≡ 3 (mod 4) with its two highest bits set, so that two of them make exactly 2·bits bits."""
    lowest = 3 << (bits - 2)
    while True:
        candidate = (lowest + below(rng, 1 << (bits - 2))) | 3
        if is_probable_prime(candidate):
            return candidate


def _odd_prime(bits: int, rng: Rng) -> int:
    """Return a uniform prime with its highest bit set."""
    while True:
        candidate = ((1 << (bits - 1)) + below(rng, 1 << (bits - 1))) | 1
        if is_probable_prime(candidate):
            return candidate


def _prime_over(p: int, bits: int, rng: Rng) -> int:
    """Return a prime P = 2·p·c + 1 with c odd (so that P ≡ 3 mod 4) and its two highest bits set."""
    step = 4 * p
    lowest = (3 << (bits - 2)) // step + 1
    count = ((1 << bits) - 1) // step - lowest
    while True:
        candidate = (lowest + below(rng, count)) * step + 2 * p + 1
        if is_probable_prime(candidate):
            return candidate
