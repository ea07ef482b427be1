"""Blinding: a key becomes the point H(key)^s, which nobody can link to the key without the scalar s."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.party import Mapper
from protocols.primitives import ristretto255
from protocols.primitives.ristretto255 import POINT_BYTES, Points
from protocols.psi.rows import CHUNK_ROWS, chunk_slices, map_rows


def blind(keys: Sequence[bytes], dst: bytes, scalar: bytes, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Points:
    """Hash each encoded key to the group and raise it to the scalar: (n, 32) uint8, in the order of `keys`.

    dst: names the key domain (`KeyDomain.dst`). scalar: 32 bytes in [1, ℓ), fresh for each session and party, never sent.
    Equal keys give equal points: remove duplicates and shuffle before the points leave. Raises ParameterError.
    """

    def blind_chunk(rows: slice) -> Points:
        return ristretto255.multiply(scalar, ristretto255.hash_to_group(keys[rows], dst))

    return map_rows(blind_chunk, chunk_slices(len(keys), chunk_rows), rows=len(keys), width=POINT_BYTES, mapper=mapper)


def raise_to(points: Points, scalar: bytes, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Points:
    """Raise each point to the scalar: (n, 32) uint8, in the same order.

    Raises ParameterError, with the row, for points that are the identity or not canonical: what a peer sent is checked here.
    """

    def raise_chunk(rows: slice) -> Points:
        return ristretto255.multiply(scalar, points[rows], first_row=rows.start)

    return map_rows(raise_chunk, chunk_slices(len(points), chunk_rows), rows=len(points), width=POINT_BYTES, mapper=mapper)


def tag_points(identifiers: Sequence[bytes], dst: bytes, *, mapper: Mapper = map, chunk_rows: int = CHUNK_ROWS) -> Points:
    """Hash group tags to points, to be sealed to the operator: (n, 32) uint8. `dst` differs from every key domain's."""

    def hash_chunk(rows: slice) -> Points:
        return ristretto255.hash_to_group(identifiers[rows], dst)

    return map_rows(
        hash_chunk, chunk_slices(len(identifiers), chunk_rows), rows=len(identifiers), width=POINT_BYTES, mapper=mapper
    )
