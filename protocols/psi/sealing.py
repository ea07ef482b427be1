"""Sealing: points hidden from everyone but one holder by ElGamal, while others raise and re-randomise them.

A sealed point is (A, C) = (r·B, P + r·Y) with the holder's public point Y = y·B and a fresh r: (n, 64) uint8, A first.
Whoever lacks y cannot tell a sealed point from any other, nor link it to its re-randomised form, while decisional
Diffie-Hellman is hard in ristretto255 (ElGamal 1985; re-randomisation as in universal mix-nets, Golle et al. 2004).
It is malleable by design: it hides, and proves nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.party import Mapper
from protocols.primitives import ristretto255
from protocols.primitives.ristretto255 import POINT_BYTES, Points, Scalars
from protocols.primitives.rng import Rng
from protocols.psi.rows import CHUNK_ROWS, chunk_slices, map_rows

SEALED_BYTES = 2 * POINT_BYTES

Sealed: TypeAlias = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SealSecret:
    """The holder's secret y: opens everything sealed to the matching public point. Never sent, never printed."""

    scalar: bytes

    def __repr__(self) -> str:
        return "SealSecret(<redacted>)"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a seal secret is not serialised")


def generate_seal_keypair(rng: Rng) -> tuple[bytes, SealSecret]:
    """Return a fresh public point Y (32 bytes, for everyone) and its secret. One pair serves one session."""
    scalar = ristretto255.random_scalars(rng, 1)
    public = ristretto255.multiply_base(scalar).tobytes()
    return public, SealSecret(scalar=scalar.tobytes())


def seal(points: Points, public: bytes, rng: Rng, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Sealed:
    """Seal each point to the holder of `public`: (n, 32) -> (n, 64), in the same order.

    Raises ParameterError for a public point or, with its row, a point that is the identity or not canonical.
    """

    def seal_chunk(chunk: _Chunk) -> Sealed:
        first_row, plain, randomness = chunk
        ristretto255.refuse_identity(plain, "points", first_row=first_row)
        return _joined(
            ristretto255.multiply_base(randomness),
            ristretto255.add(plain, ristretto255.multiply_each(randomness, public), first_row=first_row),
        )

    return _over_chunks(seal_chunk, points, rng, width=POINT_BYTES, mapper=mapper, chunk_rows=chunk_rows)


def reseal(sealed: Sealed, public: bytes, rng: Rng, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Sealed:
    """Re-randomise sealed points, which stay what they were: (n, 64) -> (n, 64), unlinkable to the input.

    Errors as `seal`, for either half.
    """

    def reseal_chunk(chunk: _Chunk) -> Sealed:
        first_row, before, randomness = chunk
        first, second = _halves(before, first_row)
        return _rerandomised(first, second, randomness, public, first_row)

    return _over_chunks(reseal_chunk, sealed, rng, width=SEALED_BYTES, mapper=mapper, chunk_rows=chunk_rows)


def raise_and_reseal(
    sealed: Sealed,
    scalar: bytes,
    public: bytes,
    rng: Rng,
    *,
    mapper: Mapper = map,
    chunk_rows: int = CHUNK_ROWS,
) -> Sealed:
    """Raise the sealed points to the scalar without opening them, then re-randomise: (n, 64) -> (n, 64).

    Both halves are multiplied: (s·A + r·B, s·C + r·Y) holds s·P. Errors as `seal`, for either half and for the scalar.
    """

    def raise_chunk(chunk: _Chunk) -> Sealed:
        first_row, before, randomness = chunk
        first, second = (ristretto255.multiply(scalar, half, first_row=first_row) for half in _halves(before, first_row))
        return _rerandomised(first, second, randomness, public, first_row)

    return _over_chunks(raise_chunk, sealed, rng, width=SEALED_BYTES, mapper=mapper, chunk_rows=chunk_rows)


def open_sealed(sealed: Sealed, secret: SealSecret, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Points:
    """Open sealed points as their holder: P = C − y·A, (n, 64) -> (n, 32), in the same order.

    Raises ParameterError, with the row, for halves that are not canonical or the identity, and if P is the identity.
    """
    _require_width(sealed, SEALED_BYTES)

    def open_chunk(rows: slice) -> Points:
        first, second = _halves(sealed[rows], rows.start)
        mask = ristretto255.multiply(secret.scalar, first, first_row=rows.start)
        points = ristretto255.subtract(second, mask, first_row=rows.start)
        ristretto255.refuse_identity(points, "opened points", first_row=rows.start)
        return points

    return map_rows(open_chunk, chunk_slices(len(sealed), chunk_rows), rows=len(sealed), width=POINT_BYTES, mapper=mapper)


_Chunk: TypeAlias = tuple[int, npt.NDArray[np.uint8], Scalars]


def _over_chunks(
    function: Callable[[_Chunk], Sealed],
    array: npt.NDArray[np.uint8],
    rng: Rng,
    *,
    width: int,
    mapper: Mapper,
    chunk_rows: int,
) -> Sealed:
    """Give each chunk its first row's number, its rows and as many fresh scalars, drawn here in the order of rows."""
    _require_width(array, width)

    def chunks() -> Iterator[_Chunk]:
        for rows in chunk_slices(len(array), chunk_rows):
            yield rows.start, array[rows], ristretto255.random_scalars(rng, rows.stop - rows.start)

    return map_rows(function, chunks(), rows=len(array), width=SEALED_BYTES, mapper=mapper)


def _rerandomised(first: Points, second: Points, randomness: Scalars, public: bytes, first_row: int) -> Sealed:
    return _joined(
        ristretto255.add(first, ristretto255.multiply_base(randomness), first_row=first_row),
        ristretto255.add(second, ristretto255.multiply_each(randomness, public), first_row=first_row),
    )


def _halves(sealed: Sealed, first_row: int) -> tuple[Points, Points]:
    halves = (
        np.ascontiguousarray(sealed[:, :POINT_BYTES]),
        np.ascontiguousarray(sealed[:, POINT_BYTES:]),
    )
    for half, what in zip(halves, ("first half of sealed points", "second half of sealed points"), strict=True):
        ristretto255.refuse_identity(half, what, first_row=first_row)
    return halves


def _joined(first: Points, second: Points) -> Sealed:
    return np.concatenate((first, second), axis=1)


def _require_width(array: npt.NDArray[np.uint8], width: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != width:
        raise ParameterError(f"expected an (n, {width}) uint8 array")
