"""Private keys: decryption and the owner's faster encryption, both modulo the squares of the primes."""

from __future__ import annotations

import functools
import json
from typing import Any

import gmpy2
import msgspec
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.paillier import checks
from protocols.paillier.array import EncryptedArray, one_dimensional
from protocols.paillier.checks import NoiseMode
from protocols.paillier.keys import PublicKey, encrypt_rows, subgroup_prime_bits
from protocols.paillier.layout import Numbers, Packed
from protocols.paillier.noise import CHUNK_ROWS
from protocols.paillier.owner import OwnerNoise
from protocols.party import Mapper
from protocols.primitives.bigint import limbs_for, read_mpz, to_limbs
from protocols.primitives.engine import Limbs, get_engine
from protocols.primitives.fixed_point import Kind, encode_bounded, rows_text
from protocols.primitives.rng import Rng


class _Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    factors: tuple[str, str]
    h: str
    kind: str
    noise: NoiseMode
    primes: tuple[str, str]
    version: int


class _Half:
    """Decryption modulo one prime P of n, P² as the ring: m mod P = ((c^e mod P²) − 1)/P · (e·n/P)⁻¹ mod P."""

    def __init__(self, prime: int, other: int, exponent: int) -> None:
        self.prime = gmpy2.mpz(prime)
        self.square = self.prime**2
        self.ring = get_engine().modulus(prime * prime, root=prime)
        self.exponent = to_limbs([exponent], limbs_for(exponent))
        self.factor = gmpy2.invert(exponent * other, prime)

    def residues(self, numbers: list[Any], first: int) -> list[Any]:
        """Return m mod P of each ciphertext. Raises ParameterError with rows where c^e is not 1 mod P."""
        reduced = to_limbs([number % self.square for number in numbers], self.ring.limbs)
        powers = read_mpz(self.ring.power(reduced, self.exponent, secret=True))
        pairs = [divmod(power - 1, self.prime) for power in powers]
        bad = [first + row for row, (_, remainder) in enumerate(pairs) if remainder]
        if bad:
            raise ParameterError(f"{rows_text(bad)} cannot be decrypted: not a ciphertext of this key")
        return [quotient * self.factor % self.prime for quotient, _ in pairs]


class PrivateKey:
    """A Paillier private key. Never printed, pickled or copied; the node's key store uses `to_secret_bytes`.

    primes: P and Q with n = PQ. factors: for subgroup keys the hidden primes p | P − 1 and q | Q − 1, else (1, 1).
    Decryption exponents are P − 1 and Q − 1, or 2p and 2q.
    """

    def __init__(self, public_key: PublicKey, primes: tuple[int, int], factors: tuple[int, int] = (1, 1)) -> None:
        self._public_key = public_key
        self._primes = (int(primes[0]), int(primes[1]))
        self._factors = (int(factors[0]), int(factors[1]))
        self._check()

    def _check(self) -> None:
        (prime_p, prime_q), (p, q) = self._primes, self._factors
        if prime_p * prime_q != self._public_key.n or prime_p == prime_q:
            raise ParameterError("private key: the primes do not belong to the public key")
        if not (checks.is_probable_prime(prime_p) and checks.is_probable_prime(prime_q)):
            raise ParameterError("private key: a factor of n is not prime")
        if self._public_key.noise != "subgroup":
            if (p, q) != (1, 1):
                raise ParameterError("private key: only subgroup keys have hidden primes")
            return
        bits = subgroup_prime_bits(self._public_key.key_bits)
        if any(not checks.is_probable_prime(x) or x.bit_length() != bits for x in (p, q)):
            raise ParameterError(f"private key: the hidden factors are not primes of {bits} bits")
        if (prime_p - 1) % (2 * p) or (prime_q - 1) % (2 * q):
            raise ParameterError("private key: the hidden primes do not divide P − 1 and Q − 1")

    @property
    def public_key(self) -> PublicKey:
        """The key to encrypt under."""
        return self._public_key

    @property
    def primes(self) -> tuple[int, int]:
        """P and Q. Secret."""
        return self._primes

    @functools.cached_property
    def _halves(self) -> tuple[_Half, _Half]:
        (prime_p, prime_q), (p, q) = self._primes, self._factors
        is_subgroup = self._public_key.noise == "subgroup"
        exponents = (2 * p, 2 * q) if is_subgroup else (prime_p - 1, prime_q - 1)
        return _Half(prime_p, prime_q, exponents[0]), _Half(prime_q, prime_p, exponents[1])

    def decrypt(self, array: EncryptedArray, *, kind: Kind = "auto", mapper: Mapper = map) -> npt.NDArray[Any]:
        """Decrypt n numbers to an (n,) array.

        kind: `auto` gives integers for scale 1 (int64 where all fit, else Python ints) and float64 otherwise; `float`,
        `fraction`, `decimal` and `integer` (encoded, not divided) as named. Raises ParameterError: another key, a packed
        array, rows beyond the declared bound.
        """
        if not isinstance(array.layout, Numbers):
            raise ParameterError("this array is packed: use decrypt_packed")
        return array.layout.decode(self.decrypt_integers(array, mapper=mapper), kind)

    def decrypt_packed(self, array: EncryptedArray, mapper: Mapper = map) -> dict[str, list[int]]:
        """Decrypt n packed rows to n encoded integers for each slot name.

        Raises ParameterError: another key, an array that is not packed, rows whose slots do not add up (a bound was broken).
        """
        if not isinstance(array.layout, Packed):
            raise ParameterError("this array is not packed: use decrypt")
        return array.layout.packing.decode(self.decrypt_integers(array, mapper=mapper))

    def decrypt_integers(self, array: EncryptedArray, *, mapper: Mapper = map) -> list[int]:
        """Return the centred plaintexts, in (−n/2, n/2), not decoded."""
        if array.public_key != self._public_key:
            raise ParameterError("the array is encrypted under another key")
        chunks = ((first, array.limbs[first : first + CHUNK_ROWS]) for first in range(0, len(array), CHUNK_ROWS))
        _ = self._halves  # built once, before threads ask for it
        return [number for chunk in mapper(self._decrypt_chunk, chunks) for number in chunk]

    def _decrypt_chunk(self, chunk: tuple[int, Limbs]) -> list[int]:
        first, rows = chunk
        numbers = read_mpz(rows)
        half_p, half_q = self._halves
        q_inverse = gmpy2.invert(half_q.prime, half_p.prime)
        n, middle = self._public_key.n, self._public_key.n // 2
        results = []
        for m_p, m_q in zip(half_p.residues(numbers, first), half_q.residues(numbers, first), strict=True):
            number = int(m_q + half_q.prime * ((m_p - m_q) * q_inverse % half_p.prime))
            results.append(number - n if number > middle else number)
        return results

    def encrypt(
        self, values: Any, *, scale: int = 1, bound: Any = None, rng: Rng | None = None, mapper: Mapper = map
    ) -> EncryptedArray:
        """Encrypt as `PublicKey.encrypt` does, with the same distribution, modulo P² and Q²: faster, for the owner alone.

        Raises what `PublicKey.encrypt` raises.
        """
        key = self._public_key
        layout = Numbers.declared(scale, bound, key.default_bound())
        layout.check_fits(key.n)
        integers = encode_bounded(one_dimensional(values), layout.scale, layout.bound)
        return EncryptedArray(encrypt_rows(key, self._noise, integers, rng=rng, mapper=mapper), key, layout, fresh=True)

    @functools.cached_property
    def _noise(self) -> OwnerNoise:
        return OwnerNoise(self._public_key, self._primes)

    def prove(self) -> tuple[int, ...]:
        """Return 8 n-th roots of hashed points, for receivers who distrust this key's maker (`PublicKey.verify`). Public."""
        return checks.prove_modulus(self._public_key.n, *self._primes)

    def to_secret_bytes(self) -> bytes:
        """Return the whole private key as canonical JSON, for an encrypted key store only."""
        document = {
            "factors": [f"{x:x}" for x in self._factors],
            "h": "" if self._public_key.h is None else f"{self._public_key.h:x}",
            "kind": "paillier-private-key",
            "noise": self._public_key.noise,
            "primes": [f"{x:x}" for x in self._primes],
            "version": 1,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_secret_bytes(cls, data: bytes) -> PrivateKey:
        """Read what `to_secret_bytes` made. Raises ParameterError, without any of the data."""
        try:
            document = msgspec.json.decode(data, type=_Document)
            primes = (int(document.primes[0], 16), int(document.primes[1], 16))
            factors = (int(document.factors[0], 16), int(document.factors[1], 16))
            h = int(document.h, 16) if document.h else None
        except (msgspec.DecodeError, ValueError):
            raise ParameterError("not a private key: the document is malformed") from None
        key = cls(PublicKey(n=primes[0] * primes[1], h=h, noise=document.noise), primes, factors)
        if key.to_secret_bytes() != bytes(data):
            raise ParameterError("not the canonical encoding of a private key")
        return key

    def __reduce__(self) -> Any:
        raise ParameterError("a private key is not pickled or copied: use to_secret_bytes for the key store")

    def __repr__(self) -> str:
        return f"<PrivateKey for {self._public_key.fingerprint[:16]}: redacted>"
