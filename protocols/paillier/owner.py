"""Noise by the key's owner: modulo P² and Q², put together by the Chinese remainder theorem."""

from __future__ import annotations

from typing import Any

import gmpy2

from protocols.paillier.keys import PublicKey
from protocols.paillier.noise import SEED_BYTES, TABLE_BUDGET_BYTES, ShortNoise
from protocols.primitives.bigint import limbs_for, read_mpz, to_limbs
from protocols.primitives.engine import Limbs, Modulus, get_engine
from protocols.primitives.rng import Rng, SeededRng, below

# A prime: longer windows save little more than what their cache misses cost.
_BUDGET_BYTES = TABLE_BUDGET_BYTES // 4


class _UniformNoise:
    """n-th residues modulo P², uniformly: y^P for y uniform in Z*_P."""

    def __init__(self, ring: Modulus, prime: int) -> None:
        self._ring = ring
        self._prime = prime

    def prepare(self, rows: int, *, towards_owner: bool = False) -> None:
        """Nothing to prepare."""

    def draw(self, rng: Rng, rows: int, *, towards_owner: bool = False) -> Limbs:
        """Return (rows, limbs) noise modulo P²."""
        units = [1 + below(rng, self._prime - 1) for _ in range(rows)]
        exponent = to_limbs([self._prime], limbs_for(self._prime))
        return self._ring.power(to_limbs(units, self._ring.limbs), exponent, secret=True)

    def report(self) -> dict[str, int]:
        """No tables."""
        return {"window_bits": 0, "size_bytes": 0}


class OwnerNoise:
    """The noise of a public key, computed with its primes; same distribution. Holds secrets; never printed."""

    def __init__(self, public_key: PublicKey, primes: tuple[int, int]) -> None:
        self._public_key = public_key
        self._p_square, self._q_square = gmpy2.mpz(primes[0]) ** 2, gmpy2.mpz(primes[1]) ** 2
        self._inverse = gmpy2.invert(self._q_square, self._p_square)
        self._is_uniform = public_key.h is None
        self._parts = tuple(self._part(prime) for prime in primes)

    def _part(self, prime: int) -> ShortNoise | _UniformNoise:
        ring = get_engine().modulus(prime * prime, root=prime)
        key = self._public_key
        if key.h is None:
            return _UniformNoise(ring, prime)
        base = int(gmpy2.powmod(key.h, key.n, prime * prime))
        tail_bits = key.owner_exponent_bits - key.exponent_bits
        return ShortNoise(ring, base, key.exponent_bits, tail_bits, budget_bytes=_BUDGET_BYTES)

    def prepare(self, rows: int, *, towards_owner: bool = False) -> None:
        """Build the tables that pay off for `rows` more rows."""
        for part in self._parts:
            part.prepare(rows, towards_owner=towards_owner)

    def draw(self, rng: Rng, rows: int, *, towards_owner: bool = False) -> Limbs:
        """Return (rows, limbs) noise modulo n²."""
        # One seed for both primes: the short exponents must be the same. Uniform residues must be independent instead.
        seed = rng.bytes(SEED_BYTES)
        seeds = (seed, rng.bytes(SEED_BYTES) if self._is_uniform else seed)
        halves: list[list[Any]] = [
            read_mpz(part.draw(SeededRng(half_seed), rows, towards_owner=towards_owner))
            for part, half_seed in zip(self._parts, seeds, strict=True)
        ]
        combined = [q + self._q_square * ((p - q) * self._inverse % self._p_square) for p, q in zip(*halves, strict=True)]
        return to_limbs(combined, self._public_key.ring.limbs)

    def report(self) -> dict[str, int]:
        """Return window_bits and size_bytes of the tables in use."""
        reports = [part.report() for part in self._parts]
        return {
            "window_bits": max(report["window_bits"] for report in reports),
            "size_bytes": sum(report["size_bytes"] for report in reports),
        }

    def __repr__(self) -> str:
        return "OwnerNoise(<redacted>)"
