"""Public keys: what everybody may hold, checked on receipt, and encryption under them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import gmpy2
import msgspec
import numpy as np

from protocols.errors import EncodingOverflow, ParameterError
from protocols.paillier import checks
from protocols.paillier.array import EncryptedArray, one_dimensional
from protocols.paillier.checks import NoiseMode
from protocols.paillier.layout import Layout, Numbers, Packed
from protocols.paillier.noise import (
    EXTRA_BITS,
    FullNoise,
    Noise,
    NoisePool,
    ShortNoise,
    chunked,
    gather,
)
from protocols.paillier.packing import Packing
from protocols.party import Mapper
from protocols.primitives import fixed_point
from protocols.primitives.bigint import to_limbs
from protocols.primitives.engine import Limbs, Modulus, get_engine
from protocols.primitives.rng import OsRng, Rng, SeededRng

_MAX_KEY_BYTES = 1 << 14
_KAPPA = {2048: 112, 3072: 128, 4096: 152}


class _Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    h: str
    kind: str
    n: str
    noise: NoiseMode
    version: int


def subgroup_prime_bits(key_bits: int) -> int:
    """Return 2κ, the length of the hidden primes of a subgroup key; insecure test keys take an eighth of the key."""
    kappa = _KAPPA.get(key_bits)
    return 2 * kappa if kappa else max(16, key_bits // 8)


class PublicKey:
    """A Paillier public key. Immutable, compared by value, safe to share between threads.

    n: the modulus. h: base of the noise, None for full noise. noise: `full`, `djn` or `subgroup`. Receivers derive
    h_s = h^n mod n² themselves, and `check` the rest; `from_bytes` does both.
    """

    def __init__(self, *, n: int, h: int | None, noise: NoiseMode) -> None:
        if noise not in checks.NOISE_MODES:
            raise ParameterError(f"unknown noise {noise!r}: use full, djn or subgroup")
        if n < 3 or n % 2 == 0:
            raise ParameterError("modulus: n is even or too small")
        self._n = int(n)
        self._h = None if h is None else int(h)
        self._noise: NoiseMode = noise

    @property
    def n(self) -> int:
        """The modulus."""
        return self._n

    @property
    def h(self) -> int | None:
        """Base of the noise, modulo n; None for full noise."""
        return self._h

    @property
    def noise(self) -> NoiseMode:
        """`full`, `djn` or `subgroup`."""
        return self._noise

    @property
    def key_bits(self) -> int:
        """Length of n in bits."""
        return self._n.bit_length()

    @property
    def is_insecure(self) -> bool:
        """Whether the key is shorter than 2048 bits: for tests only, refused by receivers unless they allow it by name."""
        return self.key_bits < checks.KEY_BITS[0]

    @property
    def exponent_bits(self) -> int:
        """Length of a noise exponent: half the key (djn), 4κ (subgroup), the whole key (full)."""
        if self._noise == "subgroup":
            return 2 * subgroup_prime_bits(self.key_bits)
        return (self.key_bits + 1) // 2 if self._noise == "djn" else self.key_bits

    @property
    def owner_exponent_bits(self) -> int:
        """Length of a noise exponent towards the key's owner, who can strip noise: ℓ + 64, ℓ = key_bits or 4κ + 2."""
        return (self.exponent_bits + 2 if self._noise == "subgroup" else self.key_bits) + EXTRA_BITS

    @property
    def ciphertext_bytes(self) -> int:
        """Size of one ciphertext on the wire: whole 64-bit limbs of n²."""
        return self.ring.limbs * 8

    @functools.cached_property
    def ring(self) -> Modulus:
        """Arithmetic modulo n², by the engine that this process uses."""
        return get_engine().modulus(self._n * self._n, root=self._n)

    @functools.cached_property
    def noise_source(self) -> Noise:
        """The noise that this key's mode asks for, with its tables."""
        if self._h is None:
            return FullNoise(self.ring, self._n)
        base = int(gmpy2.powmod(self._h, self._n, self._n * self._n))
        return ShortNoise(self.ring, base, self.exponent_bits, self.owner_exponent_bits - self.exponent_bits)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical encoding, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def default_bound(self) -> int:
        """Return 2^(key_bits/2 − 1): the encoded bound where none is declared. It depends on nothing but the key.

        Half the key is for the number, the other half for what is computed on it.
        """
        return 1 << (self.key_bits // 2 - 1)

    def check(self, *, allow_insecure: bool = False) -> None:
        """Raise ParameterError, naming the condition, unless this key is safe to encrypt under (see the README)."""
        checks.check_modulus(self._n, self._noise, allow_insecure=allow_insecure)
        checks.check_base(self._n, self._h, self._noise)

    def verify(self, roots: Sequence[int]) -> None:
        """Check the owner's proof that gcd(n, φ(n)) = 1 (`PrivateKey.prove`). Raises ParameterError."""
        checks.verify_modulus(self._n, roots)

    def prepare(self, rows: int, *, towards_owner: bool = False) -> dict[str, int]:
        """Build the tables for `rows` encryptions now, and report window_bits and size_bytes of all tables of this key."""
        self.noise_source.prepare(rows, towards_owner=towards_owner)
        return self.noise_source.report()

    def encrypt(
        self,
        values: Any,
        *,
        scale: int = 1,
        bound: Any = None,
        rng: Rng | None = None,
        mapper: Mapper = map,
        pool: NoisePool | None = None,
    ) -> EncryptedArray:
        """Encrypt n numbers, one a ciphertext; the result is fresh.

        values: one-dimensional int, float64, Decimal or Fraction; a single number counts as one row. scale: public fixed
        point. bound: largest magnitude of a value, in units of values; None takes `default_bound`. A bound is public, and never
        derived from the data. pool: noise that was prepared ahead; rows that it lacks are made now.
        Raises ParameterError (not a number, with rows), EncodingOverflow (beyond the bound, or the bound beyond the key).
        """
        layout = Numbers.declared(scale, bound, self.default_bound())
        layout.check_fits(self._n)
        integers = fixed_point.encode_bounded(one_dimensional(values), layout.scale, layout.bound)
        return self.encrypt_integers(integers, layout, rng=rng, mapper=mapper, pool=pool)

    def encrypt_packed(
        self,
        columns: Sequence[Any],
        packing: Packing,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        pool: NoisePool | None = None,
    ) -> EncryptedArray:
        """Encrypt n rows of encoded integers, one column a slot, one ciphertext a row; the result is fresh.

        Raises EncodingOverflow (slots beyond the key, values beyond a slot), ParameterError (columns that do not match).
        """
        packing.check_fits(self._n)
        return self.encrypt_integers(packing.encode(columns), Packed(packing=packing), rng=rng, mapper=mapper, pool=pool)

    def encrypt_integers(
        self,
        integers: list[int],
        layout: Layout,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        pool: NoisePool | None = None,
    ) -> EncryptedArray:
        """Encrypt plaintexts that are encoded already, in (−n/2, n/2), as `layout` says; the result is fresh."""
        if any(not -self._n < 2 * number < self._n for number in integers):
            raise EncodingOverflow("a plaintext does not fit the key")
        if pool is not None and pool.public_key != self:
            raise ParameterError("the noise pool belongs to another key")
        parts: list[Limbs] = []
        if pool is not None:
            pooled = pool.take(len(integers))
            ready, integers = integers[: len(pooled)], integers[len(pooled) :]
            parts.append(self.ring.multiply(pooled, _plain_limbs(self, ready)))
        parts.append(encrypt_rows(self, self.noise_source, integers, rng=rng, mapper=mapper))
        # Concatenating one part would copy it, and double the peak of a long encryption.
        return EncryptedArray(parts[0] if len(parts) == 1 else np.concatenate(parts), self, layout, fresh=True)

    def to_bytes(self) -> bytes:
        """Return the canonical encoding: JSON with sorted names, no blanks, numbers in lower-case hex."""
        document = {
            "h": "" if self._h is None else f"{self._h:x}",
            "kind": "paillier-public-key",
            "n": f"{self._n:x}",
            "noise": self._noise,
            "version": 1,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, allow_insecure: bool = False) -> PublicKey:
        """Read and check a received key. Raises ParameterError for anything but the canonical encoding of a safe key."""
        if len(data) > _MAX_KEY_BYTES:
            raise ParameterError("a public key is at most 16 KiB")
        try:
            document = msgspec.json.decode(data, type=_Document)
            key = cls(n=int(document.n, 16), h=int(document.h, 16) if document.h else None, noise=document.noise)
        except (msgspec.DecodeError, ValueError):
            raise ParameterError("not a public key: the JSON document is malformed") from None
        if key.to_bytes() != bytes(data):
            raise ParameterError("not the canonical encoding of a public key")
        key.check(allow_insecure=allow_insecure)
        return key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return (self._n, self._h, self._noise) == (other._n, other._h, other._noise)

    def __hash__(self) -> int:
        return hash((self._n, self._h, self._noise))

    def __reduce__(self) -> Any:
        return _public_key, (self._n, self._h, self._noise)

    def __repr__(self) -> str:
        insecure = ", INSECURE" if self.is_insecure else ""
        return f"<PublicKey {self.key_bits} bits, {self._noise}, {self.fingerprint[:16]}{insecure}>"


def _public_key(n: int, h: int | None, noise: NoiseMode) -> PublicKey:
    return PublicKey(n=n, h=h, noise=noise)


def encrypt_rows(public_key: PublicKey, noise: Noise, integers: list[int], *, rng: Rng | None, mapper: Mapper) -> Limbs:
    """Return (n, limbs) ciphertexts of plaintexts in (−n/2, n/2), with noise from `noise`."""
    noise.prepare(len(integers))
    tasks = ((integers[first:last], seed) for first, last, seed in chunked(len(integers), rng or OsRng()))
    chunks = mapper(functools.partial(_encrypt_chunk, public_key, noise), tasks)
    return gather(len(integers), public_key.ring.limbs, chunks)


def _encrypt_chunk(public_key: PublicKey, noise: Noise, task: tuple[list[int], bytes]) -> Limbs:
    integers, seed = task
    return public_key.ring.multiply(noise.draw(SeededRng(seed), len(integers)), _plain_limbs(public_key, integers))


def _plain_limbs(public_key: PublicKey, integers: Sequence[int]) -> Limbs:
    """Return (1 + m·n) mod n² for each plaintext: an encryption without noise."""
    n = gmpy2.mpz(public_key.n)
    return to_limbs([number % n * n + 1 for number in integers], public_key.ring.limbs)
