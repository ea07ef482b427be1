"""ristretto255 against RFC 9496, RFC 9380 and an independent curve in plain Python."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ristretto_oracle as oracle
from support.deterministic import DeterministicRng
from support.vectors import load_vectors

from protocols.errors import ParameterError
from protocols.primitives import ristretto255

DST = b"test/ristretto255"
ORDER_BYTES = oracle.ORDER.to_bytes(32, "little")


def points_of(*encodings: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(encodings), dtype=np.uint8).reshape(-1, 32)


def scalars_of(*values: int) -> np.ndarray:
    return points_of(*(value.to_bytes(32, "little") for value in values))


def value_of(scalar: bytes) -> int:
    return int.from_bytes(scalar, "little")


def test_small_multiples_of_the_generator() -> None:
    expected = [bytes.fromhex(item) for item in load_vectors("ristretto255.json")["small_multiples_of_generator"]]
    multiples = ristretto255.multiply_base(scalars_of(*range(1, len(expected))))
    assert ristretto255.point_rows(multiples) == expected[1:]
    assert [oracle.encode(k * oracle.BASE) for k in range(len(expected))] == expected
    ristretto255.validate(multiples)


def test_every_invalid_encoding_is_refused_with_its_row() -> None:
    for item in load_vectors("ristretto255.json")["invalid_encodings"]:
        points = points_of(oracle.encode(oracle.BASE), bytes.fromhex(item))
        with pytest.raises(ValueError, match="not"):
            oracle.decode(bytes.fromhex(item))
        for refuse in (
            lambda points=points: ristretto255.validate(points),
            lambda points=points: ristretto255.multiply(bytes([2]) + bytes(31), points),
            lambda points=points: ristretto255.multiply_rows(scalars_of(2, 3), points),
            lambda points=points: ristretto255.add(points, points),
            lambda points=points: ristretto255.subtract(points[:1].repeat(2, axis=0), points),
        ):
            with pytest.raises(ParameterError, match="row 1 is not the canonical encoding"):
                refuse()


@pytest.mark.parametrize("engine", ["portable", "auto"])
def test_bit_255_is_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    base = oracle.encode(oracle.BASE)
    points = points_of(base, base[:31] + bytes([base[31] | 128]))
    for refuse in (
        lambda: ristretto255.validate(points),
        lambda: ristretto255.multiply(bytes([2]) + bytes(31), points),
        lambda: ristretto255.multiply_rows(scalars_of(2, 3), points),
        lambda: ristretto255.add(points, points),
        lambda: ristretto255.subtract(points[:1].repeat(2, axis=0), points),
    ):
        with pytest.raises(ParameterError, match="row 1 is not the canonical encoding"):
            refuse()
    group = ristretto255.get_group()
    assert not group.multiply_each(scalars_of(2), points[1].tobytes()).any()
    assert group.is_valid(points).tolist() == [True, False]


def test_one_way_map_vectors() -> None:
    vectors = load_vectors("ristretto255.json")
    cases = [(hashlib.sha512(v["label_hashed_with_sha512"].encode()).digest(), v["element"]) for v in vectors["hash_to_group"]]
    equal = vectors["uniform_bytes_with_equal_element"]
    cases += [(bytes.fromhex(item), equal["element"]) for item in equal["inputs"]]
    uniform = np.frombuffer(b"".join(case[0] for case in cases), dtype=np.uint8).reshape(-1, 64)
    expected = [bytes.fromhex(element) for _, element in cases]
    assert ristretto255.point_rows(ristretto255.get_group().from_uniform(uniform)) == expected
    assert [oracle.encode(oracle.one_way_map(item)) for item, _ in cases] == expected


def test_expand_message_vectors() -> None:
    vectors = load_vectors("hash_to_curve/expand_message_xmd_SHA512_38.json")
    for case in vectors["tests"]:
        size = int(case["len_in_bytes"], 16)
        message, dst, expected = case["msg"].encode(), vectors["DST"].encode(), bytes.fromhex(case["uniform_bytes"])
        assert ristretto255.expand_messages([message], dst, size) == [expected]
        assert oracle.expand_message_xmd(message, dst, size) == expected


@pytest.mark.parametrize("dst_size", [1, 255, 256, 1000])
@pytest.mark.parametrize("message", [b"", b"\0", b"x" * 10_000])
def test_hash_to_group_against_the_oracle(message: bytes, dst_size: int) -> None:
    dst = b"d" * dst_size
    (point,) = ristretto255.point_rows(ristretto255.hash_to_group([message], dst))
    assert point == oracle.encode(oracle.hash_to_group(message, dst))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_arithmetic_against_the_oracle(seed: int) -> None:
    rng = DeterministicRng(seed)
    points = ristretto255.hash_to_group([rng.bytes(8), rng.bytes(8)], DST)
    p, q = (oracle.decode(row) for row in ristretto255.point_rows(points))
    scalars = ristretto255.random_scalars(rng, 2)
    s, t = (value_of(row.tobytes()) for row in scalars)

    def check(result: np.ndarray, *expected: oracle.Element) -> None:
        assert result.flags.c_contiguous
        assert ristretto255.point_rows(result) == [oracle.encode(element) for element in expected]

    check(ristretto255.multiply(scalars[0].tobytes(), points), s * p, s * q)
    check(ristretto255.multiply_each(scalars, points[0].tobytes()), s * p, t * p)
    check(ristretto255.multiply_rows(scalars, points), s * p, t * q)
    check(ristretto255.multiply_base(scalars), s * oracle.BASE, t * oracle.BASE)
    check(ristretto255.add(points, points[::-1]), p + q, q + p)
    check(ristretto255.subtract(points, points[::-1]), p - q, q - p)
    inverse = ristretto255.invert_scalars(scalars)
    assert value_of(inverse[0].tobytes()) * s % oracle.ORDER == 1


def test_sums_may_be_the_identity() -> None:
    points = ristretto255.hash_to_group([b"a", b"b"], DST)
    nothing = ristretto255.subtract(points, points)
    assert not nothing.any()
    assert (ristretto255.add(points, nothing) == points).all()


def test_largest_and_smallest_scalars() -> None:
    extremes = ristretto255.multiply_base(scalars_of(1, oracle.ORDER - 1))
    assert not ristretto255.add(extremes[:1], extremes[1:]).any()


@pytest.mark.parametrize("value", [0, oracle.ORDER, oracle.ORDER + 1, 2**255 - 1, 2**256 - 1])
def test_scalars_outside_the_order_are_refused(value: int) -> None:
    point = oracle.encode(oracle.BASE)
    scalars = scalars_of(1, value)
    for refuse in (
        lambda: ristretto255.multiply_base(scalars),
        lambda: ristretto255.multiply_each(scalars, point),
        lambda: ristretto255.multiply_rows(scalars, points_of(point, point)),
        lambda: ristretto255.invert_scalars(scalars),
    ):
        with pytest.raises(ParameterError, match="scalars: row 1 "):
            refuse()
    with pytest.raises(ParameterError, match="the scalar"):
        ristretto255.multiply(scalars[1].tobytes(), points_of(point))


def test_identity_is_refused_with_its_row() -> None:
    points = points_of(oracle.encode(oracle.BASE), bytes(32))
    scalar = bytes([5]) + bytes(31)
    with pytest.raises(ParameterError, match="row 1 is the identity"):
        ristretto255.validate(points)
    with pytest.raises(ParameterError, match="row 8 is the identity"):
        ristretto255.multiply(scalar, points, first_row=7)
    with pytest.raises(ParameterError, match="the point: row 0 is the identity"):
        ristretto255.multiply_each(scalars_of(5), bytes(32))


@pytest.mark.parametrize("width", [31, 33])
def test_other_widths_are_refused(width: int) -> None:
    with pytest.raises(ParameterError, match=r"\(n, 32\)"):
        ristretto255.validate(np.ones((2, width), dtype=np.uint8))
    with pytest.raises(ParameterError, match="32 bytes"):
        ristretto255.multiply(bytes(width), np.ones((2, 32), dtype=np.uint8))
    with pytest.raises(ParameterError, match="32 bytes"):
        ristretto255.multiply_each(scalars_of(1), bytes(width))


def test_unequal_lengths_and_empty_tags_are_refused() -> None:
    points = ristretto255.hash_to_group([b"a", b"b"], DST)
    with pytest.raises(ParameterError, match="2 and 1 rows"):
        ristretto255.add(points, points[:1])
    with pytest.raises(ParameterError, match="domain separation tag is empty"):
        ristretto255.hash_to_group([b"a"], b"")
    with pytest.raises(ParameterError, match="16320"):
        ristretto255.expand_messages([b"a"], DST, 16321)


def test_empty_batches_stay_empty() -> None:
    none = ristretto255.hash_to_group([], DST)
    rng = DeterministicRng(0)
    assert none.shape == (0, 32)
    assert ristretto255.multiply(ristretto255.random_scalar(rng), none).shape == (0, 32)
    assert ristretto255.add(none, none).shape == (0, 32)
    assert ristretto255.multiply_base(ristretto255.random_scalars(rng, 0)).shape == (0, 32)
    ristretto255.validate(none)


def test_random_scalars_reduce_64_bytes_and_skip_zero() -> None:
    class Scripted:
        def __init__(self) -> None:
            self.script = [bytes(64) + b"\1" + bytes(63), ORDER_BYTES + bytes(32), b"\2" * 64]

        def bytes(self, count: int) -> bytes:
            part = self.script.pop(0)
            assert len(part) == count
            return part

    scalars = ristretto255.random_scalars(Scripted(), 2)
    assert value_of(scalars[0].tobytes()) == int.from_bytes(b"\2" * 64, "little") % oracle.ORDER
    assert value_of(scalars[1].tobytes()) == 1


def test_domains_give_unrelated_points() -> None:
    a, b = (ristretto255.hash_to_group([b"key"], dst) for dst in (b"domain/a", b"domain/b"))
    assert (a != b).any()
