"""The native group against libsodium and an independent curve in plain Python, on every instruction path of this processor."""

from __future__ import annotations

import functools
import hashlib
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ristretto_oracle as oracle
from support.deterministic import DeterministicRng
from support.vectors import load_vectors

from protocols.errors import ParameterError
from protocols.primitives import ristretto255
from protocols.primitives.ristretto255 import PortableGroup, get_group

pytest.importorskip("protocols.primitives._native_group")

from protocols.primitives.native_group import NativeGroup, available_paths

PATHS = available_paths()
SODIUM = PortableGroup()
BATCHES = (0, 1, 2, 7, 8, 9, 16, 17, 31, 255, 257, 1000)
EDGE_SCALARS = (
    *(1, 2, 3, 7, 8, 9, 15, 16, 17, 2**128 - 1, 2**252 - 1, 2**252),
    *(oracle.ORDER - 1, oracle.ORDER - 2, (oracle.ORDER - 1) // 2, (oracle.ORDER + 1) // 2),
    *(int("8" * 63, 16) % oracle.ORDER, int("7" * 63, 16), int("9" * 62, 16), int("f" * 62, 16)),
)
# Refused above the seam; both libraries take them modulo 2^255.
WIDE_SCALARS = (0, oracle.ORDER, oracle.ORDER + 1, 2**253 - 1, 2**254, 2**255 - 1, 2**255, 2**256 - 1)
EDGE_BYTES = (bytes(32), bytes([255]) * 32, bytes([1]) + bytes(31), bytes(31) + bytes([128]), oracle.P.to_bytes(32, "little"))

each_path = pytest.mark.parametrize("path", PATHS)


def rows_of(*rows: bytes, width: int = 32) -> np.ndarray:
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, width)


def scalars_of(*values: int) -> np.ndarray:
    return rows_of(*(value.to_bytes(32, "little") for value in values))


@functools.cache
def random_points(count: int, seed: int = 0) -> np.ndarray:
    return SODIUM.from_uniform(rows_of(DeterministicRng(seed).bytes(64 * count), width=64))


def random_scalars(count: int, seed: int = 0) -> np.ndarray:
    return ristretto255.random_scalars(DeterministicRng(seed), count)


@functools.cache
def invalid_encodings() -> np.ndarray:
    """Every kind of refusal of RFC 9496, section 4.3.1, found by trial: a quarter of random even rows are of the group."""
    rows = np.array(rows_of(DeterministicRng(3).bytes(32 * 200)))
    rows[:, 31] &= 127
    rows[::2, 0] &= 254
    rows[::5, 31] |= 128
    tops = [(2**255 - offset).to_bytes(32, "little") for offset in range(1, 40)]
    return np.concatenate([rows, rows_of(*tops), rows_of(*EDGE_BYTES)])


@each_path
def test_published_vectors(path: str) -> None:
    group, vectors = NativeGroup(path), load_vectors("ristretto255.json")
    expected = [bytes.fromhex(item) for item in vectors["small_multiples_of_generator"]]
    assert ristretto255.point_rows(group.multiply_base(scalars_of(*range(len(expected))))) == expected
    bad = rows_of(*(bytes.fromhex(item) for item in vectors["invalid_encodings"]))
    assert not group.is_valid(bad).any()
    assert not group.multiply(bytes([2]) + bytes(31), bad).any()
    cases = [(hashlib.sha512(v["label_hashed_with_sha512"].encode()).digest(), v["element"]) for v in vectors["hash_to_group"]]
    equal = vectors["uniform_bytes_with_equal_element"]
    cases += [(bytes.fromhex(item), equal["element"]) for item in equal["inputs"]]
    mapped = group.from_uniform(rows_of(*(case[0] for case in cases), width=64))
    assert ristretto255.point_rows(mapped) == [bytes.fromhex(element) for _, element in cases]


@each_path
@pytest.mark.parametrize("count", BATCHES)
def test_every_batch_size_equals_libsodium(path: str, count: int) -> None:
    group, rng = NativeGroup(path), DeterministicRng(count)
    uniform = rows_of(rng.bytes(64 * count), width=64)
    points, others, scalars = random_points(count), random_points(count, 1), random_scalars(count, 2)
    assert np.array_equal(group.from_uniform(uniform), SODIUM.from_uniform(uniform))
    assert np.array_equal(group.multiply(rng_scalar(count), points), SODIUM.multiply(rng_scalar(count), points))
    assert np.array_equal(group.multiply_rows(scalars, points), SODIUM.multiply_rows(scalars, points))
    point = random_points(1, 4).tobytes()
    assert np.array_equal(group.multiply_each(scalars, point), SODIUM.multiply_each(scalars, point))
    assert np.array_equal(group.multiply_base(scalars), SODIUM.multiply_base(scalars))
    assert np.array_equal(group.add(points, others), SODIUM.add(points, others))
    assert np.array_equal(group.subtract(points, others), SODIUM.subtract(points, others))
    valid = group.is_valid(points)
    assert valid.dtype == np.bool_
    assert valid.shape == (count,)
    assert valid.all()


def rng_scalar(seed: int) -> bytes:
    return random_scalars(1, seed).tobytes()


@each_path
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_arithmetic_equals_the_oracle(path: str, data: st.DataObject) -> None:
    group = NativeGroup(path)
    uniform = data.draw(st.lists(st.binary(min_size=64, max_size=64), min_size=2, max_size=2))
    s, t = (data.draw(st.one_of(st.integers(1, oracle.ORDER - 1), st.sampled_from(EDGE_SCALARS))) for _ in range(2))
    p, q = (oracle.one_way_map(item) for item in uniform)
    points, scalars = group.from_uniform(rows_of(*uniform, width=64)), scalars_of(s, t)

    def check(result: np.ndarray, *expected: oracle.Element) -> None:
        assert result.flags.c_contiguous
        assert ristretto255.point_rows(result) == [oracle.encode(element) for element in expected]

    check(points, p, q)
    check(group.multiply(scalars[0].tobytes(), points), s * p, s * q)
    check(group.multiply_rows(scalars, points), s * p, t * q)
    check(group.multiply_each(scalars, points[0].tobytes()), s * p, t * p)
    check(group.multiply_each(np.tile(scalars, (20, 1)), points[0].tobytes()), *[s * p, t * p] * 20)
    check(group.multiply_base(scalars), s * oracle.BASE, t * oracle.BASE)
    check(group.add(points, points[::-1]), p + q, q + p)
    check(group.subtract(points, points[::-1]), p - q, q - p)


@each_path
def test_edge_scalars_times_edge_points(path: str) -> None:
    group = NativeGroup(path)
    scalars = scalars_of(*EDGE_SCALARS, *WIDE_SCALARS)
    points = np.concatenate([random_points(3), invalid_encodings()[-8:], SODIUM.multiply_base(scalars_of(1, oracle.ORDER - 1))])
    assert np.array_equal(group.multiply_base(scalars), SODIUM.multiply_base(scalars))
    for point in ristretto255.point_rows(points):
        assert np.array_equal(group.multiply_each(scalars, point), SODIUM.multiply_each(scalars, point))
        assert np.array_equal(group.multiply_each(scalars[-9:], point), SODIUM.multiply_each(scalars[-9:], point))
    for scalar in ristretto255.point_rows(scalars):
        assert np.array_equal(group.multiply(scalar, points), SODIUM.multiply(scalar, points))


@each_path
def test_bad_rows_become_zero_and_leave_their_neighbours_alone(path: str) -> None:
    group, bad = NativeGroup(path), invalid_encodings()
    valid = SODIUM.is_valid(bad)
    assert 20 < valid.sum() < len(bad) - 20
    assert not valid[bad[:, 31] >= 128].any()
    assert np.array_equal(group.is_valid(bad), valid)
    good = random_points(len(bad))
    mixed = np.where((np.arange(len(bad)) % 3 == 0)[:, None], good, bad)
    scalars = random_scalars(len(bad))
    assert np.array_equal(group.multiply(rng_scalar(1), mixed), SODIUM.multiply(rng_scalar(1), mixed))
    assert np.array_equal(group.multiply_rows(scalars, mixed), SODIUM.multiply_rows(scalars, mixed))
    for a, b in ((good, bad), (bad, good), (mixed, bad)):
        either_bad = ~(SODIUM.is_valid(a) & SODIUM.is_valid(b))
        for result, expected in ((group.add(a, b), SODIUM.add(a, b)), (group.subtract(a, b), SODIUM.subtract(a, b))):
            assert not result[either_bad].any()
            assert np.array_equal(result[~either_bad], expected[~either_bad])


@each_path
def test_identity_goes_in_and_comes_out(path: str) -> None:
    group, points, nothing = NativeGroup(path), random_points(9), np.zeros((9, 32), dtype=np.uint8)
    assert group.is_valid(nothing).all()
    assert not group.multiply(rng_scalar(1), nothing).any()
    assert not group.multiply_each(random_scalars(20), bytes(32)).any()
    assert not group.subtract(points, points).any()
    assert not group.multiply_base(scalars_of(0, oracle.ORDER)).any()
    assert np.array_equal(group.add(points, nothing), points)
    assert np.array_equal(group.subtract(points, nothing), points)
    assert np.array_equal(group.add(points, points), SODIUM.multiply(bytes([2]) + bytes(31), points))


@each_path
def test_edge_uniform_bytes(path: str) -> None:
    uniform = rows_of(*(a + b for a in EDGE_BYTES for b in EDGE_BYTES), width=64)
    assert np.array_equal(NativeGroup(path).from_uniform(uniform), SODIUM.from_uniform(uniform))


@each_path
def test_other_layouts_and_threads(path: str) -> None:
    group, points = NativeGroup(path), random_points(300)
    expected = SODIUM.multiply(rng_scalar(5), points)
    assert np.array_equal(group.multiply(rng_scalar(5), points[::-1]), expected[::-1])
    results: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i: results.update({i: group.multiply(rng_scalar(5), points)})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(threads)
    assert all(np.array_equal(result, expected) for result in results.values())


def test_wrong_shapes_are_refused_by_the_extension() -> None:
    from protocols.primitives import _native_group

    group, points = _native_group.Group(PATHS[0]), np.array(random_points(3))
    for refused in (
        lambda: group.multiply(points[:2], points),
        lambda: group.multiply(points[:1], points[:, :31].copy()),
        lambda: group.multiply_fixed(points, points),
        lambda: group.add(points, points[:1], False),
        lambda: group.is_valid(points.reshape(-1)),
        lambda: group.from_uniform(points),
    ):
        with pytest.raises(ValueError, match=r"array|point"):
            refused()
    with pytest.raises(TypeError):
        group.is_valid(points.astype(np.int64))


def test_choice_of_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_ENGINE", raising=False)
    assert isinstance(get_group(), NativeGroup)
    assert PATHS[0] in get_group().description
    monkeypatch.setenv("SANDBOX_ENGINE", "native")
    assert get_group().description.startswith("C++ path")
    monkeypatch.setenv("SANDBOX_ENGINE", "portable")
    assert isinstance(get_group(), PortableGroup)
    monkeypatch.setenv("SANDBOX_ENGINE", "gpu")
    with pytest.raises(ParameterError, match="gpu"):
        get_group()


def test_unknown_paths_are_refused() -> None:
    with pytest.raises(ParameterError, match="quantum"):
        NativeGroup("quantum")
    assert NativeGroup("portable").path == "portable"
