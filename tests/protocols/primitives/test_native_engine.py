"""The native engine against Python's integers, on every instruction path of this processor."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from protocols.primitives.bigint import PortableEngine, from_limbs, limbs_for, to_limbs
from protocols.primitives.engine import Limbs

_native = pytest.importorskip("protocols.primitives._native")

from protocols.primitives.native_engine import NativeEngine, NativeModulus, available_paths  # noqa: E402

PATHS = available_paths()
SIZES = (2, 3, 31, 52, 63, 64, 65, 104, 200, 512, 521, 1000, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
DIGIT_BITS = (52, 64)


def product(values: Sequence[int], modulus: int) -> int:
    result = 1
    for value in values:
        result = result * value % modulus
    return result


def edges(value: int, root: int | None) -> list[int]:
    """Operands at which carries, borrows and reductions have their limits."""
    bits = value.bit_length()
    numbers = {0, 1, 2, value - 1, value - 2, value // 2, (1 << (bits - 1)) - 1}
    for digit in DIGIT_BITS:
        for boundary in range(digit, bits, digit):
            numbers |= {(1 << boundary) - 1, 1 << boundary, value - (1 << boundary)}
    if root is not None:
        numbers |= {root, root - 1, root + 1, value - root, root * (root - 1), (root - 1) * (root + 1)}
    return sorted(x for x in numbers if 0 <= x < value)


@st.composite
def moduli(draw: st.DrawFn, max_bits: int = 1100) -> tuple[int, int | None]:
    """An odd number of any size, dense or with long runs of equal bits, as it is or squared."""
    bits = draw(st.one_of(st.sampled_from([b for b in SIZES if b <= max_bits]), st.integers(2, max_bits)))
    root = draw(
        st.one_of(
            st.integers(1 << (bits - 1), (1 << bits) - 1),
            st.just((1 << bits) - 1),
            st.just((1 << (bits - 1)) + 1),
        )
    )
    root = max(root | 1, 3)
    return (root * root, root) if draw(st.booleans()) else (root, None)


def residues(value: int, root: int | None) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, value - 1), st.sampled_from(edges(value, root)))


def native(path: str, value: int, root: int | None) -> NativeModulus:
    return NativeEngine(path).modulus(value, root=root)


each_path = pytest.mark.parametrize("path", PATHS)


@each_path
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_multiply_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli())
    modulus = native(path, value, root)
    count = data.draw(st.integers(0, 19))
    numbers = st.lists(residues(value, root), min_size=count, max_size=count)
    a, b = data.draw(numbers), data.draw(numbers)
    x, y = to_limbs(a, modulus.limbs), to_limbs(b, modulus.limbs)
    assert from_limbs(modulus.multiply(x, y)) == [p * q % value for p, q in zip(a, b, strict=True)]
    shared = data.draw(residues(value, root))
    assert from_limbs(modulus.multiply(x, to_limbs([shared], modulus.limbs))) == [p * shared % value for p in a]


@each_path
@pytest.mark.parametrize("bits", SIZES)
@pytest.mark.parametrize("split", [False, True])
def test_edge_operands_at_every_size(path: str, bits: int, split: bool) -> None:
    rng = np.random.default_rng(bits)
    dense = int.from_bytes(rng.bytes(bits // 8 + 1), "little") % (1 << bits) | 1 | 1 << (bits - 1)
    for root in {(1 << bits) - 1, max(dense, 3), (1 << (bits - 1)) + 1 if bits > 1 else 3}:
        value = root * root if split else root
        modulus = native(path, value, root if split else None)
        numbers = edges(value, root if split else None)
        if len(numbers) > 160:  # all boundaries up to 2048 bits; a sample beyond, for time
            numbers = [numbers[int(i)] for i in rng.integers(0, len(numbers), 160)]
        a = numbers * 2
        b = [numbers[int(i)] for i in rng.integers(0, len(numbers), len(a))]
        result = modulus.multiply(to_limbs(a, modulus.limbs), to_limbs(b, modulus.limbs))
        assert from_limbs(result) == [x * y % value for x, y in zip(a, b, strict=True)]
        few = numbers[:: max(len(numbers) // 40, 1)]
        powers = modulus.power(to_limbs(few, modulus.limbs), to_limbs([5], 1))
        assert from_limbs(powers) == [pow(x, 5, value) for x in few]


@each_path
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_power_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli(700))
    modulus = native(path, value, root)
    bases = data.draw(st.lists(residues(value, root), max_size=11))
    limbs = data.draw(st.integers(1, 4))
    top = (1 << (64 * limbs)) - 1
    exponent = st.one_of(st.integers(0, top), st.sampled_from([0, 1, 2, top, top >> 1, 1 << 63]))
    secret = data.draw(st.booleans())
    exponents = data.draw(st.lists(exponent, min_size=len(bases), max_size=len(bases)))
    rows = to_limbs(bases, modulus.limbs)
    result = modulus.power(rows, to_limbs(exponents, limbs), secret=secret)
    assert from_limbs(result) == [pow(x, e, value) for x, e in zip(bases, exponents, strict=True)]
    shared = data.draw(exponent)
    result = modulus.power(rows, to_limbs([shared], limbs), secret=secret)
    assert from_limbs(result) == [pow(x, shared, value) for x in bases]


@each_path
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_product_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli(300))
    modulus = native(path, value, root)
    lengths = data.draw(st.lists(st.one_of(st.integers(0, 5), st.integers(0, 60)), max_size=12))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    total = int(starts[-1])
    a = data.draw(st.lists(residues(value, root), min_size=total, max_size=total))
    result = modulus.product(to_limbs(a, modulus.limbs), starts)
    assert from_limbs(result) == [product(a[i:j], value) for i, j in itertools.pairwise(starts.tolist())]


@each_path
@pytest.mark.parametrize("lengths", [[5000], [1] * 1000, [0, 3000, 0, 1, 7], list(range(90))])
def test_product_of_long_and_of_many_segments(path: str, lengths: list[int]) -> None:
    root = (1 << 127) - 1
    value = root * root
    modulus = native(path, value, root)
    rng = np.random.default_rng(1)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    a = [int.from_bytes(rng.bytes(32), "little") % value for _ in range(int(starts[-1]))]
    result = modulus.product(to_limbs(a, modulus.limbs), starts)
    assert from_limbs(result) == [product(a[i:j], value) for i, j in itertools.pairwise(starts.tolist())]


@each_path
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_invert_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli(300))
    modulus = native(path, value, root)
    a = [x for x in data.draw(st.lists(residues(value, root), max_size=20)) if math.gcd(x, value) == 1]
    assert from_limbs(modulus.invert(to_limbs(a, modulus.limbs))) == [pow(x, -1, value) for x in a]


@each_path
def test_invert_names_the_row_of_a_non_unit(path: str) -> None:
    modulus = native(path, 15 * 15, 15)
    with pytest.raises(ParameterError, match="row 2 "):
        modulus.invert(to_limbs([1, 2, 5, 4, 3], modulus.limbs))


@each_path
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_multi_power_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli(200))
    modulus = native(path, value, root)
    a = [x for x in data.draw(st.lists(residues(value, root), max_size=30)) if math.gcd(x, value) == 1]
    limbs = data.draw(st.integers(1, 2))
    bits = data.draw(st.integers(0, 64 * limbs))
    weight = st.one_of(st.integers(0, (1 << bits) - 1), st.sampled_from([0, (1 << bits) - 1]))
    rows = data.draw(st.integers(0, 4))
    size = rows * len(a)
    weights = data.draw(st.lists(weight, min_size=size, max_size=size))
    signs = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool).reshape(rows, len(a))
    result = modulus.multi_power(to_limbs(a, modulus.limbs), to_limbs(weights, limbs).reshape(rows, len(a), limbs), signs)
    expected = []
    for row in range(rows):
        signed = [(-w if s else w) for w, s in zip(weights[row * len(a) :], signs[row], strict=False)]
        expected.append(product([pow(x, w, value) for x, w in zip(a, signed, strict=True)], value))
    assert from_limbs(result) == expected


@each_path
@pytest.mark.parametrize("terms", [1, 9, 700, 3000])
def test_dot_products_of_many_terms(path: str, terms: int) -> None:
    root = (1 << 89) - 1
    value = root * root
    modulus = native(path, value, root)
    rng = np.random.default_rng(terms)
    a = [int.from_bytes(rng.bytes(22), "little") % value or 1 for _ in range(terms)]
    weights = rng.integers(0, 1 << 32, (2, terms), dtype=np.uint64)
    weights[1] = 77  # one bucket takes all
    signs = rng.integers(0, 2, (2, terms)).astype(bool)
    result = modulus.multi_power(to_limbs(a, modulus.limbs), weights[:, :, None], signs)
    for row in range(2):
        signed = np.where(signs[row], -weights[row].astype(np.int64), weights[row].astype(np.int64)).tolist()
        assert from_limbs(result)[row] == product([pow(x, w, value) for x, w in zip(a, signed, strict=True)], value)


@each_path
@pytest.mark.parametrize(("terms", "rows"), [(1, 1), (3, 40), (30, 9), (200, 3)])
@pytest.mark.parametrize("signed", [False, True])
def test_matrix_products_of_few_bases(path: str, terms: int, rows: int, signed: bool) -> None:
    root = (1 << 107) - 1
    value = root * root
    modulus = native(path, value, root)
    rng = np.random.default_rng(terms)
    a = [int.from_bytes(rng.bytes(26), "little") % value or 1 for _ in range(terms)]
    weights = rng.integers(0, 1 << 20, (rows, terms))
    signs = rng.integers(0, 2 if signed else 1, (rows, terms)).astype(bool)
    result = modulus.multi_power(to_limbs(a, modulus.limbs), weights.astype(np.uint64)[:, :, None], signs)
    expected = np.where(signs, -weights, weights).tolist()
    assert from_limbs(result) == [product([pow(x, w, value) for x, w in zip(a, row, strict=True)], value) for row in expected]


@each_path
def test_a_base_without_inverse_is_refused_where_its_weight_is_negative(path: str) -> None:
    modulus = native(path, 15 * 15, 15)
    bases, weights = to_limbs([2, 3], modulus.limbs), np.ones((1, 2, 1), dtype=np.uint64)
    assert from_limbs(modulus.multi_power(bases, weights, np.array([[True, False]]))) == [3 * pow(2, -1, 225) % 225]
    with pytest.raises(ParameterError, match="row 1 has a negative weight and no inverse"):
        modulus.multi_power(bases, weights, np.array([[False, True]]))


@each_path
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_fixed_base_equals_integers(path: str, data: st.DataObject) -> None:
    value, root = data.draw(moduli(300))
    modulus = native(path, value, root)
    bits = data.draw(st.integers(1, 200))
    base = data.draw(residues(value, root))
    table = modulus.fixed_base(base, bits, data.draw(st.sampled_from([0, 10_000, 300_000])))
    top = (1 << bits) - 1
    exponents = data.draw(st.lists(st.one_of(st.integers(0, top), st.sampled_from([0, 1, top])), max_size=11))
    limbs = limbs_for(top)
    assert from_limbs(table.power(to_limbs(exponents, limbs))) == [pow(base, e, value) for e in exponents]


@each_path
def test_fixed_base_keeps_its_budget_and_refuses_long_exponents(path: str) -> None:
    value = ((1 << 127) - 1) ** 2
    modulus = native(path, value, (1 << 127) - 1)
    wide = modulus.fixed_base(3, 100, 1 << 20)
    assert wide.size_bytes <= 1 << 20
    assert wide.window_bits > modulus.fixed_base(3, 100, 1 << 14).window_bits
    assert from_limbs(wide.power(to_limbs([(1 << 100) - 1], 2))) == [pow(3, (1 << 100) - 1, value)]
    with pytest.raises(ParameterError, match="row 1 is longer than 100 bits"):
        wide.power(to_limbs([1, 1 << 100], 2))
    with pytest.raises(ParameterError):
        modulus.fixed_base(value, 100, 1 << 20)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_paths_agree_at_real_sizes(bits: int) -> None:
    rng = np.random.default_rng(bits)
    root = int.from_bytes(rng.bytes(bits // 8), "little") | 1 | 1 << (bits - 1)
    value = root * root
    a = [int.from_bytes(rng.bytes(bits // 4), "little") % value for _ in range(9)]
    e = [int.from_bytes(rng.bytes(32), "little") for _ in range(9)]
    portable = PortableEngine().modulus(value, root=root)
    rows, exponents = to_limbs(a, portable.limbs), to_limbs(e, 4)
    expected = portable.power(rows, exponents)
    for name in PATHS:
        for known in (root, None):
            modulus = native(name, value, known)
            np.testing.assert_array_equal(modulus.power(rows, exponents, secret=True), expected)
            np.testing.assert_array_equal(modulus.multiply(rows, expected), portable.multiply(rows, expected))
            table = modulus.fixed_base(a[0], 256, 1 << 22)
            np.testing.assert_array_equal(table.power(exponents), portable.power(np.repeat(rows[:1], 9, 0), exponents))


@each_path
def test_threads_share_a_modulus_and_its_tables(path: str) -> None:
    root = (1 << 521) - 1
    modulus = native(path, root * root, root)
    table = modulus.fixed_base(3, 128, 1 << 20)
    exponents = to_limbs(list(range(1 << 100, (1 << 100) + 40)), 2)
    expected = [pow(3, e, modulus.value) for e in from_limbs(exponents)]
    results: dict[int, Limbs] = {}

    def work(i: int) -> None:
        results[i] = table.power(exponents)
        results[i + 4] = modulus.power(results[i], to_limbs([1], 1))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(from_limbs(result) == expected for result in results.values())


ROW = np.zeros((2, 4), dtype=np.uint64)


@each_path
@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.multiply(ROW[:, :3], ROW),
        lambda m: m.multiply(ROW.astype(np.int64), ROW),
        lambda m: m.multiply(ROW, np.zeros((3, 4), dtype=np.uint64)),
        lambda m: m.multiply(ROW, to_limbs([m.value, 1], 4)),
        lambda m: m.multiply(to_limbs([1, (1 << 256) - 1], 4), ROW),
        lambda m: m.power(ROW, np.zeros((3, 1), dtype=np.uint64)),
        lambda m: m.power(ROW, np.zeros((2, 1), dtype=np.float64)),
        lambda m: m.power(ROW[0], ROW),
        lambda m: m.product(ROW, np.array([0, 1])),
        lambda m: m.product(ROW, np.array([1, 2])),
        lambda m: m.product(ROW, np.array([0, 2, 1, 2])),
        lambda m: m.product(ROW, np.array([], dtype=np.int64)),
        lambda m: m.multi_power(ROW, np.zeros((1, 3, 1), dtype=np.uint64), np.zeros((1, 3), dtype=bool)),
        lambda m: m.multi_power(ROW, np.zeros((1, 2, 1), dtype=np.uint64), np.zeros((2, 2), dtype=bool)),
        lambda m: m.multi_power(ROW, np.zeros((1, 2, 1), dtype=np.uint64), np.zeros((1, 2), dtype=np.int8)),
        lambda m: m.fixed_base(-1, 10, 1000),
        lambda m: m.fixed_base(2, 0, 1000),
    ],
)
def test_unusable_arrays_are_refused(path: str, call: Any) -> None:
    with pytest.raises(ParameterError):
        call(native(path, ((1 << 127) - 1) ** 2, (1 << 127) - 1))


@each_path
def test_arrays_that_are_not_contiguous_are_taken(path: str) -> None:
    modulus = native(path, (1 << 127) - 1, None)
    wide = to_limbs(list(range(1, 21)), 2)
    assert from_limbs(modulus.multiply(wide[::2], wide[1::2])) == [x * (x + 1) for x in range(1, 20, 2)]


@pytest.mark.parametrize(("value", "root"), [(1, None), (16, None), (-3, None), (25, 3), (25, -5)])
def test_unusable_moduli_are_refused(value: int, root: int | None) -> None:
    with pytest.raises(ParameterError):
        NativeEngine().modulus(value, root=root)


def test_a_modulus_beyond_the_kernels_is_refused() -> None:
    with pytest.raises(ParameterError, match="at most"):
        NativeEngine().modulus((1 << 40000) + 1)


def test_the_description_says_which_path_runs_and_why() -> None:
    fastest = NativeEngine()
    assert fastest.name == "native"
    assert fastest.path == PATHS[0]
    assert f"path {PATHS[0]} " in fastest.description
    assert "fastest" in fastest.description
    assert "by name" in NativeEngine("portable").description
    with pytest.raises(ParameterError, match="not available"):
        NativeEngine("abacus")
