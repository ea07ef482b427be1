"""Modular arithmetic of every engine, against Python's own integers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols.errors import ParameterError
from protocols.primitives import bigint
from protocols.primitives.bigint import from_limbs, to_limbs
from protocols.primitives.engine import Engine, get_engine, native_unavailable

_WIDTHS = [(64, 1), (128, 2), (512, 3), (1024, 5)]


@pytest.fixture(scope="module", params=["portable", "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "native" and native_unavailable():
        pytest.skip(f"native engine: {native_unavailable()}")
    return get_engine(request.param)


def _odd(bits: int, seed: int) -> int:
    number = int.from_bytes(DeterministicRng(seed).bytes(bits // 8), "little")
    return number | 1 | 1 << (bits - 1)


def _residues(modulus: int, count: int, seed: int) -> list[int]:
    rng, size = DeterministicRng(f"residues {seed}"), modulus.bit_length() // 8 + 16
    edges = [0, 1, modulus - 1][:count]
    return edges + [int.from_bytes(rng.bytes(size), "little") % modulus for _ in range(count - len(edges))]


def _units(modulus: int, count: int, seed: int) -> list[int]:
    return [x for x in _residues(modulus, 4 * count, seed) if math.gcd(x, modulus) == 1][:count]


@given(st.lists(st.integers(min_value=0, max_value=2**192 - 1)))
@settings(max_examples=50)
def test_limbs_round_trip(numbers: list[int]) -> None:
    array = to_limbs(numbers, 3)
    assert array.shape == (len(numbers), 3)
    assert array.dtype == np.uint64
    assert from_limbs(array) == numbers
    assert [int(row[0]) + (int(row[1]) << 64) + (int(row[2]) << 128) for row in array] == numbers
    rows = bigint.to_byte_rows(array)
    assert [int.from_bytes(row.tobytes(), "little") for row in rows] == numbers
    assert np.array_equal(bigint.from_byte_rows(rows), array)


@pytest.mark.parametrize("number", [-1, 1 << 128])
def test_limbs_refuse_what_does_not_fit(number: int) -> None:
    with pytest.raises(ParameterError, match="row 1"):
        to_limbs([0, number], 2)


def test_byte_rows_refuse_other_shapes() -> None:
    with pytest.raises(ParameterError):
        bigint.from_byte_rows(np.zeros((2, 7), dtype=np.uint8))
    with pytest.raises(ParameterError):
        bigint.from_byte_rows(np.zeros(8, dtype=np.uint8))


@given(st.integers(min_value=0, max_value=2**130 - 1), st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=9))
@settings(max_examples=100)
def test_digits_are_the_windows_of_the_exponent(exponent: int, widths: list[int]) -> None:
    (row,) = bigint.digits(to_limbs([exponent], 3), widths).tolist()
    for digit, width in zip(row, widths, strict=True):
        assert digit == exponent & ((1 << width) - 1)
        exponent >>= width


@pytest.mark.parametrize("budget", [1, 10_000, 1 << 20, 1 << 26])
@pytest.mark.parametrize("bits", [1, 7, 64, 1024])
def test_windows_cover_the_exponent_within_the_budget(bits: int, budget: int) -> None:
    widths = bigint.window_widths(bits, 640, budget)
    assert sum(widths) == bits
    assert max(widths) - min(widths) <= 1
    assert sum(640 << width for width in widths) <= budget or max(widths) == 1


@pytest.mark.parametrize(("bits", "seed"), _WIDTHS)
def test_multiply(engine: Engine, bits: int, seed: int) -> None:
    m = _odd(bits, seed)
    ring = engine.modulus(m)
    assert (ring.value, ring.limbs) == (m, bits // 64)
    a, b = _residues(m, 9, 1), _residues(m, 9, 2)[::-1]
    assert from_limbs(ring.multiply(to_limbs(a, ring.limbs), to_limbs(b, ring.limbs))) == [
        x * y % m for x, y in zip(a, b, strict=True)
    ]
    assert from_limbs(ring.multiply(to_limbs(a, ring.limbs), to_limbs(b[-1:], ring.limbs))) == [x * b[-1] % m for x in a]
    with pytest.raises(ParameterError):
        ring.multiply(to_limbs(a, ring.limbs), to_limbs(b[:2], ring.limbs))


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize(("bits", "seed"), _WIDTHS)
def test_power(engine: Engine, bits: int, seed: int, secret: bool) -> None:
    m = _odd(bits, seed)
    ring = engine.modulus(m)
    bases, exponents = _residues(m, 6, 3), [0, 1, 2, 2**100 + 7, 3, 2**127]
    result = ring.power(to_limbs(bases, ring.limbs), to_limbs(exponents, 2), secret=secret)
    assert from_limbs(result) == [pow(x, e, m) for x, e in zip(bases, exponents, strict=True)]
    for shared in (0, 1, 65537):
        result = ring.power(to_limbs(bases, ring.limbs), to_limbs([shared], 1), secret=secret)
        assert from_limbs(result) == [pow(x, shared, m) for x in bases]


@pytest.mark.parametrize(("bits", "seed"), _WIDTHS)
def test_product_of_segments(engine: Engine, bits: int, seed: int) -> None:
    m = _odd(bits, seed)
    ring = engine.modulus(m)
    rows, starts = _residues(m, 10, 4)[1:], [0, 0, 1, 4, 4, 9]
    result = ring.product(to_limbs(rows, ring.limbs), np.array(starts, dtype=np.int64))
    assert from_limbs(result) == [math.prod(rows[i:j]) % m for i, j in itertools.pairwise(starts)]
    for bad in ([0, 5], [1, 9], [0, 5, 4, 9], [0, 10]):
        with pytest.raises(ParameterError):
            ring.product(to_limbs(rows, ring.limbs), np.array(bad, dtype=np.int64))


@pytest.mark.parametrize(("bits", "seed"), _WIDTHS)
def test_invert(engine: Engine, bits: int, seed: int) -> None:
    m = _odd(bits, seed)
    ring = engine.modulus(m)
    units = _units(m, 7, 5)
    assert from_limbs(ring.invert(to_limbs(units, ring.limbs))) == [pow(x, -1, m) for x in units]
    with pytest.raises(ParameterError, match="row 2"):
        ring.invert(to_limbs([*units[:2], 0, *units[2:]], ring.limbs))
    assert len(ring.invert(to_limbs([], ring.limbs))) == 0


@given(
    weights=st.lists(st.lists(st.integers(min_value=-(2**70), max_value=2**70), min_size=5, max_size=5), min_size=1, max_size=3)
)
@settings(max_examples=30, deadline=None)
def test_multi_power(engine: Engine, weights: list[list[int]]) -> None:
    m = _odd(256, 8)
    ring, bases = engine.modulus(m), _units(m, 5, 6)
    magnitudes = to_limbs([abs(w) for row in weights for w in row], 2).reshape(len(weights), 5, 2)
    negative = np.array([[w < 0 for w in row] for row in weights])
    result = ring.multi_power(to_limbs(bases, ring.limbs), magnitudes, negative)
    assert from_limbs(result) == [math.prod(pow(x, w, m) for x, w in zip(bases, row, strict=True)) % m for row in weights]


def test_multi_power_of_many_rows(engine: Engine) -> None:
    m = _odd(256, 9)
    ring, bases = engine.modulus(m), _units(m, 300, 7)
    weights = np.frombuffer(DeterministicRng(3).bytes(300 * 4), dtype="<i4").astype(np.int64)
    result = ring.multi_power(
        to_limbs(bases, ring.limbs), np.abs(weights).astype(np.uint64)[None, :, None], (weights < 0)[None, :]
    )
    assert from_limbs(result) == [math.prod(pow(x, w, m) for x, w in zip(bases, weights.tolist(), strict=True)) % m]


@pytest.mark.parametrize("budget", [1, 1 << 14, 1 << 20])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(("bits", "seed"), _WIDTHS)
def test_fixed_base(engine: Engine, bits: int, seed: int, squared: bool, budget: int) -> None:
    root = _odd(bits, seed)
    m = root * root if squared else root
    ring = engine.modulus(m, root=root if squared else None)
    (base,) = _units(m, 1, 10)
    tables = ring.fixed_base(base, 130, budget)
    assert tables.window_bits >= 1
    assert tables.size_bytes > 0
    exponents = [0, 1, 2, 2**64, 2**130 - 1, 2**129 + 12345]
    assert from_limbs(tables.power(to_limbs(exponents, 3))) == [pow(base, e, m) for e in exponents]
    with pytest.raises(ParameterError, match="row 1"):
        tables.power(to_limbs([0, 2**130], 3))


def test_moduli_that_are_refused(engine: Engine) -> None:
    for value in (0, 1, 2**64):
        with pytest.raises(ParameterError):
            engine.modulus(value)
    with pytest.raises(ParameterError):
        engine.modulus(77, root=7)


def test_a_base_that_shares_a_factor_with_the_root_is_refused() -> None:
    with pytest.raises(ParameterError, match="factor"):
        get_engine("portable").modulus(15**2, root=15).fixed_base(5, 10, 1 << 12)


def test_the_portable_engine_describes_itself() -> None:
    engine = get_engine("portable")
    assert engine.name == "portable"
    assert "powm_sec" in engine.description
    ring = engine.modulus(15**2, root=15)
    assert "15" not in repr(ring)
    assert "PortableFixedBase" in repr(ring.fixed_base(2, 10, 1 << 12))
