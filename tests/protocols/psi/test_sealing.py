"""Blinding and sealing against the independent curve, and refused inputs."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import ristretto_oracle as oracle
from support.deterministic import DeterministicRng

from protocols.errors import ParameterError
from protocols.primitives import ristretto255
from protocols.psi import blinding, sealing

DST = b"test/sealing"
RNG = DeterministicRng("sealing")
KEYS = [b"key-%d" % index for index in range(7)]
SCALAR = ristretto255.random_scalar(RNG)
POINTS = blinding.blind(KEYS, DST, SCALAR)
PUBLIC, SECRET = sealing.generate_seal_keypair(RNG)
SEALED = sealing.seal(POINTS, PUBLIC, RNG)

BAD_HALVES = {"identity": bytes(32), "not canonical": b"\xff" * 32, "off group": bytes([2]) + bytes(31)}


def test_blinding_is_the_hash_raised_to_the_scalar() -> None:
    s = int.from_bytes(SCALAR, "little")
    expected = [oracle.encode(s * oracle.hash_to_group(key, DST)) for key in KEYS]
    assert ristretto255.point_rows(POINTS) == expected


def test_raising_commutes_and_inverts() -> None:
    other = ristretto255.random_scalar(RNG)
    twice = blinding.raise_to(POINTS, other)
    assert (twice == blinding.raise_to(blinding.blind(KEYS, DST, other), SCALAR)).all()
    inverse = ristretto255.invert_scalars(np.frombuffer(other, dtype=np.uint8).reshape(1, 32)).tobytes()
    assert (blinding.raise_to(twice, inverse) == POINTS).all()


def test_tags_and_keys_of_equal_bytes_are_unrelated() -> None:
    tags = blinding.tag_points(KEYS, b"test/tags")
    assert tags.shape == (7, 32)
    assert not (tags == ristretto255.hash_to_group(KEYS, DST)).all(axis=1).any()


def test_a_seal_is_elgamal() -> None:
    y = int.from_bytes(SECRET.scalar, "little")
    assert oracle.encode(y * oracle.BASE) == PUBLIC
    for sealed, point in zip(SEALED, ristretto255.point_rows(POINTS), strict=True):
        first, second = oracle.decode(sealed[:32].tobytes()), oracle.decode(sealed[32:].tobytes())
        assert oracle.encode(second - y * first) == point


def test_opening_undoes_sealing_and_resealing() -> None:
    again = sealing.reseal(SEALED, PUBLIC, RNG)
    assert (again != SEALED).any(axis=1).all()
    assert (sealing.open_sealed(SEALED, SECRET) == POINTS).all()
    assert (sealing.open_sealed(again, SECRET) == POINTS).all()


def test_raising_under_the_seal() -> None:
    scalar = ristretto255.random_scalar(RNG)
    raised = sealing.raise_and_reseal(SEALED, scalar, PUBLIC, RNG)
    assert (sealing.open_sealed(raised, SECRET) == blinding.raise_to(POINTS, scalar)).all()
    # Re-randomised: neither half is just the old half raised.
    for half in (slice(0, 32), slice(32, 64)):
        old = ristretto255.multiply(scalar, np.ascontiguousarray(SEALED[:, half]))
        assert not (raised[:, half] == old).all(axis=1).any()


def test_each_row_gets_its_own_randomness() -> None:
    sealed = sealing.seal(np.repeat(POINTS[:1], 50, axis=0), PUBLIC, RNG, chunk_rows=7)
    assert len(np.unique(sealed, axis=0)) == 50
    assert len(np.unique(sealed[:, :32], axis=0)) == 50


@pytest.mark.parametrize("chunk_rows", [1, 3, 7, 100])
def test_chunks_and_threads_change_nothing(chunk_rows: int) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert (blinding.blind(KEYS, DST, SCALAR, mapper=pool.map, chunk_rows=chunk_rows) == POINTS).all()
        sealed = sealing.seal(POINTS, PUBLIC, RNG, mapper=pool.map, chunk_rows=chunk_rows)
        raised = sealing.raise_and_reseal(sealed, SCALAR, PUBLIC, RNG, mapper=pool.map, chunk_rows=chunk_rows)
        opened = sealing.open_sealed(raised, SECRET, mapper=pool.map, chunk_rows=chunk_rows)
    assert (opened == blinding.raise_to(POINTS, SCALAR)).all()


def test_the_same_seed_gives_the_same_seals_whatever_the_mapper() -> None:
    with ThreadPoolExecutor(2) as pool:
        one = sealing.seal(POINTS, PUBLIC, DeterministicRng(1), chunk_rows=2)
        two = sealing.seal(POINTS, PUBLIC, DeterministicRng(1), mapper=pool.map, chunk_rows=2)
    assert (one == two).all()


def test_empty_lists() -> None:
    none = np.empty((0, 32), dtype=np.uint8)
    sealed = sealing.seal(none, PUBLIC, RNG)
    assert sealed.shape == (0, 64)
    assert sealing.raise_and_reseal(sealed, SCALAR, PUBLIC, RNG).shape == (0, 64)
    assert sealing.open_sealed(sealed, SECRET).shape == (0, 32)
    assert blinding.blind([], DST, SCALAR).shape == (0, 32)


@pytest.mark.parametrize("kind", BAD_HALVES)
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("step", ["reseal", "raise", "open"])
def test_bad_halves_are_refused_with_their_row(kind: str, half: int, step: str) -> None:
    sealed = SEALED.copy()
    sealed[5, 32 * half : 32 * half + 32] = np.frombuffer(BAD_HALVES[kind], dtype=np.uint8)
    steps = {
        "reseal": lambda: sealing.reseal(sealed, PUBLIC, RNG, chunk_rows=2),
        "raise": lambda: sealing.raise_and_reseal(sealed, SCALAR, PUBLIC, RNG, chunk_rows=2),
        "open": lambda: sealing.open_sealed(sealed, SECRET, chunk_rows=2),
    }
    with pytest.raises(ParameterError, match="row 5 is"):
        steps[step]()


@pytest.mark.parametrize("kind", BAD_HALVES)
def test_bad_points_and_bad_holders_are_refused(kind: str) -> None:
    points = POINTS.copy()
    points[3] = np.frombuffer(BAD_HALVES[kind], dtype=np.uint8)
    with pytest.raises(ParameterError, match="row 3 is"):
        sealing.seal(points, PUBLIC, RNG, chunk_rows=2)
    with pytest.raises(ParameterError, match="row 3 is"):
        blinding.raise_to(points, SCALAR, chunk_rows=2)
    for refuse in (sealing.seal, sealing.reseal):
        with pytest.raises(ParameterError, match="the point"):
            refuse(POINTS if refuse is sealing.seal else SEALED, BAD_HALVES[kind], RNG)


def test_a_seal_that_opens_to_the_identity_is_refused() -> None:
    first = ristretto255.multiply_base(ristretto255.random_scalars(RNG, 1))
    second = ristretto255.multiply(SECRET.scalar, first)
    with pytest.raises(ParameterError, match="opened points: row 0 is the identity"):
        sealing.open_sealed(np.concatenate((first, second), axis=1), SECRET)


@pytest.mark.parametrize("width", [31, 32, 33, 63, 65])
def test_other_widths_are_refused(width: int) -> None:
    array = np.ones((2, width), dtype=np.uint8)
    with pytest.raises(ParameterError, match="64"):
        sealing.open_sealed(array, SECRET)
    with pytest.raises(ParameterError, match="64"):
        sealing.raise_and_reseal(array, SCALAR, PUBLIC, RNG)
    if width != 32:
        with pytest.raises(ParameterError, match="32"):
            sealing.seal(array, PUBLIC, RNG)


def test_chunks_of_no_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match="chunk_rows is 0"):
        sealing.seal(POINTS, PUBLIC, RNG, chunk_rows=0)


def test_secrets_are_not_shown_or_serialised() -> None:
    assert "redacted" in repr(SECRET)
    assert SECRET.scalar.hex() not in repr(SECRET)
    for serialise in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not serialised"):
            serialise(SECRET)
