"""Noise: what makes a ciphertext random, by fixed-base tables, ahead of time, or uniform.

A caller's generator gives one 32-byte seed a chunk, in order and in the calling thread; the chunk expands it by SHAKE-256. Thus
the same generator gives the same ciphertexts under any mapper, and a worker thread never touches the generator.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import gmpy2
import numpy as np

from protocols.errors import ParameterError
from protocols.party import Mapper
from protocols.primitives.bigint import to_limbs
from protocols.primitives.engine import FixedBase, Limbs, Modulus
from protocols.primitives.rng import OsRng, Rng, SeededRng, below

if TYPE_CHECKING:
    from protocols.paillier.keys import PublicKey

CHUNK_ROWS = 256
SEED_BYTES = 32
EXTRA_BITS = 64
TABLE_BUDGET_BYTES = 64 << 20
_FULL_TABLES_FROM_ROWS = 512


def chunked(rows: int, rng: Rng, chunk_rows: int = CHUNK_ROWS) -> Iterator[tuple[int, int, bytes]]:
    """Yield (first row, past last row, seed) for each chunk."""
    for first in range(0, rows, chunk_rows):
        yield first, min(first + chunk_rows, rows), rng.bytes(SEED_BYTES)


def random_exponents(rng: Rng, rows: int, exponent_bits: int) -> Limbs:
    """Return (rows, limbs) uniform exponents of at most `exponent_bits` bits."""
    limbs = -(-exponent_bits // 64)
    exponents = np.frombuffer(rng.bytes(rows * limbs * 8), dtype="<u8").reshape(rows, limbs).astype(np.uint64)
    exponents[:, -1] >>= np.uint64(limbs * 64 - exponent_bits)
    return exponents


class Noise(Protocol):
    """Makes noise for one key: of whoever encrypts, or faster by the key's owner."""

    def prepare(self, rows: int, *, towards_owner: bool = False) -> None:
        """Build the tables that pay off for `rows` more rows; call it in one thread, before the chunks run."""
        ...

    def draw(self, rng: Rng, rows: int, *, towards_owner: bool = False) -> Limbs:
        """Return (rows, limbs) noise, modulo n²."""
        ...

    def report(self) -> dict[str, int]:
        """Return window_bits and size_bytes of the tables in use (0 before the first)."""
        ...


class ShortNoise:
    """h_s^a for short random a, modulo one ring: tables grow with use, so that few rows do not pay for big tables.

    exponent_bits: length of a. tail_bits: how much longer it is for a ciphertext that goes to the key's owner.
    budget_bytes: memory of all tables together; an eighth of it is kept for the tail; few rows take less.
    """

    def __init__(
        self, ring: Modulus, base: int, exponent_bits: int, tail_bits: int, *, budget_bytes: int = TABLE_BUDGET_BYTES
    ) -> None:
        self._ring = ring
        self._budget_bytes = budget_bytes
        self._base = base
        self._exponent_bits = exponent_bits
        self._tail_bits = tail_bits
        self._rows = 0
        self._table: FixedBase | None = None
        self._is_full = False
        self._tail: FixedBase | None = None

    def prepare(self, rows: int, *, towards_owner: bool = False) -> None:
        """Build the tables that pay off for `rows` more rows; call it in one thread, before the chunks run."""
        self._rows += rows
        wants_full = self._rows >= _FULL_TABLES_FROM_ROWS
        if rows and (self._table is None or (wants_full and not self._is_full)):
            budget_bytes = self._budget_bytes * 7 // 8
            self._table = self._build(self._base, self._exponent_bits, budget_bytes, full=wants_full)
            self._is_full = wants_full
        if rows and towards_owner and self._tail is None:
            base = int(gmpy2.powmod(self._base, gmpy2.mpz(1) << self._exponent_bits, self._ring.value))
            self._tail = self._build(base, self._tail_bits, self._budget_bytes // 8, full=wants_full)

    def _build(self, base: int, exponent_bits: int, budget_bytes: int, *, full: bool) -> FixedBase:
        if not full:
            # About six entries a bit, which makes windows of four or five bits: cheap to build, and near half the full speed.
            budget_bytes = min(budget_bytes, 6 * exponent_bits * self._ring.limbs * 8)
        return self._ring.fixed_base(base, exponent_bits, budget_bytes)

    def draw(self, rng: Rng, rows: int, *, towards_owner: bool = False) -> Limbs:
        """Return (rows, limbs) noise. `prepare` comes first."""
        if self._table is None or (towards_owner and self._tail is None):
            self.prepare(rows, towards_owner=towards_owner)
        noise = self._power(self._table, rng, rows, self._exponent_bits)
        if towards_owner:
            noise = self._ring.multiply(noise, self._power(self._tail, rng, rows, self._tail_bits))
        return noise

    def _power(self, table: FixedBase | None, rng: Rng, rows: int, exponent_bits: int) -> Limbs:
        if table is None:
            return np.zeros((0, self._ring.limbs), dtype=np.uint64)
        return table.power(random_exponents(rng, rows, exponent_bits))

    def report(self) -> dict[str, int]:
        """Return window_bits and size_bytes of the tables in use (0 before the first)."""
        tables = [table for table in (self._table, self._tail) if table is not None]
        return {
            "window_bits": max((table.window_bits for table in tables), default=0),
            "size_bytes": sum(table.size_bytes for table in tables),
        }


class FullNoise:
    """r^n for uniform units r: the textbook's noise, and the slowest."""

    def __init__(self, ring: Modulus, n: int) -> None:
        self._ring = ring
        self._n = n

    def prepare(self, rows: int, *, towards_owner: bool = False) -> None:
        """Nothing to prepare."""

    def draw(self, rng: Rng, rows: int, *, towards_owner: bool = False) -> Limbs:
        """Return (rows, limbs) noise; it is uniform already, whoever it goes to."""
        units: list[int] = []
        while len(units) < rows:
            candidate = below(rng, self._n)
            if gmpy2.gcd(candidate, self._n) == 1:
                units.append(candidate)
        exponent = to_limbs([self._n], -(-self._n.bit_length() // 64))
        return self._ring.power(to_limbs(units, self._ring.limbs), exponent)

    def report(self) -> dict[str, int]:
        """No tables."""
        return {"window_bits": 0, "size_bytes": 0}


def gather(rows: int, limbs: int, chunks: Any) -> Limbs:
    """Put chunks of limb rows, in order, into one (rows, limbs) array."""
    result = np.empty((rows, limbs), dtype=np.uint64)
    first = 0
    for chunk in chunks:
        result[first : first + len(chunk)] = chunk
        first += len(chunk)
    if first != rows:
        raise ParameterError(f"the mapper returned {first} of {rows} rows")
    return result


class NoisePool:
    """Noise prepared ahead for one public key; each row is handed out once.

    Taking is safe from several threads: each row leaves by one atomic pop. Rows are as secret as the plaintexts they will
    hide; they are never printed or stored.
    """

    def __init__(self, public_key: PublicKey) -> None:
        self._public_key = public_key
        self._rows: deque[Limbs] = deque()

    @property
    def public_key(self) -> PublicKey:
        """The key that this noise is for."""
        return self._public_key

    def __len__(self) -> int:
        return len(self._rows)

    def prepare(self, rows: int, *, rng: Rng | None = None, mapper: Mapper = map) -> None:
        """Make `rows` more rows of noise."""
        noise = self._public_key.noise_source
        noise.prepare(rows)
        chunks = chunked(rows, rng or OsRng())
        for chunk in mapper(functools.partial(_draw_chunk, noise), chunks):
            self._rows.extend(chunk[:, None, :] if len(chunk) else ())

    def take(self, rows: int) -> Limbs:
        """Remove and return up to `rows` rows of noise: (k, limbs), k ≤ rows."""
        taken: list[Limbs] = []
        while len(taken) < rows:
            try:
                taken.append(self._rows.popleft())
            except IndexError:
                break
        if not taken:
            return np.zeros((0, self._public_key.ring.limbs), dtype=np.uint64)
        return np.concatenate(taken)

    def __reduce__(self) -> Any:
        raise ParameterError("prepared noise is secret and used once: it cannot be copied or serialised")

    def __repr__(self) -> str:
        return f"<NoisePool: {len(self)} rows>"


def _draw_chunk(noise: Noise, chunk: tuple[int, int, bytes]) -> Limbs:
    first, last, seed = chunk
    return noise.draw(SeededRng(seed), last - first)
