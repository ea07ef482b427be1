"""Arrays of ciphertexts against plain integers: operations, exact overflow boundaries, shapes, mappers."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols import paillier
from protocols.errors import EncodingOverflow, ParameterError
from protocols.paillier import Numbers, PrivateKey, PublicKey

Pair = tuple[PublicKey, PrivateKey]
_KEYS = {
    noise: paillier.generate_insecure_keypair(256, noise, DeterministicRng(noise))  # type: ignore[arg-type]
    for noise in ("full", "djn", "subgroup")
}
_INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
_ROWS = st.lists(st.tuples(_INT64, _INT64, st.integers(-(2**31), 2**31)), min_size=1, max_size=6)


@pytest.mark.parametrize("noise", list(_KEYS))
@given(rows=_ROWS)
@settings(max_examples=25, deadline=None)
def test_operations_agree_with_integers(noise: str, rows: list[tuple[int, int, int]]) -> None:
    public_key, private_key = _KEYS[noise]
    left, right, weights = (list(column) for column in zip(*rows, strict=True))
    a, b = public_key.encrypt(left), private_key.encrypt(right)

    def same(result: paillier.EncryptedArray, expected: list[int]) -> bool:
        return bool(private_key.decrypt(result).tolist() == expected)

    pairs = list(zip(left, right, strict=True))
    assert same(a + b, [x + y for x, y in pairs])
    assert same(a - b, [x - y for x, y in pairs])
    assert same(-a, [-x for x in left])
    assert same(a + right, [x + y for x, y in pairs])
    assert same(np.array(right) - a, [y - x for x, y in pairs])
    assert same(3 - a, [3 - x for x in left])
    assert same(a * weights, [x * w for x, w in zip(left, weights, strict=True)])
    assert same(np.int64(-5) * a, [-5 * x for x in left])
    assert same(a * 0, [0] * len(left))
    assert same(a.sum(), [sum(left)])
    dot = sum(x * w for x, w in zip(left, weights, strict=True))
    assert same(a @ weights, [dot])
    assert same(np.array([weights, [1] * len(left)]) @ a, [dot, sum(left)])
    assert same(a @ np.array([weights, weights]).T, [dot, dot])
    assert same(paillier.concatenate([a, b]), left + right)
    assert same(a.rerandomise(), left)
    assert same(a.rerandomise(towards_owner=True), left)


def test_the_formulas_by_hand(keypair: Pair) -> None:
    public_key, private_key = keypair
    n, (p, q) = public_key.n, private_key.primes
    rows = public_key.encrypt([42, -42]).to_wire()
    order = (p - 1) * (q - 1)
    for row, expected in zip(rows, (42, n - 42), strict=True):
        c = int.from_bytes(row.tobytes(), "little")
        assert (pow(c, order, n * n) - 1) // n * pow(order, -1, n) % n == expected
    row = public_key.encrypt([0]).limbs
    assert row.shape == (1, 16)
    assert sum(int(limb) << 64 * i for i, limb in enumerate(row[0])) % n != 1


@pytest.mark.parametrize("scale", [1, 2**16, 10**2, 3])
def test_numbers_of_every_kind(djn: Pair, scale: int) -> None:
    public_key, private_key = djn
    for values in (
        [1, -2, 3],
        [1.5, -2.25, 1e6],
        [Decimal("1.25"), Decimal("-0.5")],
        [Fraction(1, 3)],
        np.array([1, 2], dtype=np.int32),
        np.array([0.1, -0.1]),
        7,
        -2.5,
    ):
        array = public_key.encrypt(values, scale=scale, bound=10**7)
        listed = values if isinstance(values, list | np.ndarray) else [values]
        expected = [Fraction(round(Fraction(x) * scale), scale) for x in np.array(listed, dtype=object).tolist()]
        assert private_key.decrypt(array, kind="fraction").tolist() == expected
        assert (array.scale, array.encoded_bound, array.bound) == (scale, 10**7 * scale, 10**7)
        if scale != 1:
            assert private_key.decrypt(array).dtype == np.float64


def test_scales_must_agree(djn: Pair) -> None:
    public_key, private_key = djn
    a = public_key.encrypt([1.5], scale=4)
    assert private_key.decrypt(a + 0.25).tolist() == [1.75]
    assert private_key.decrypt(2 - a).tolist() == [0.5]
    with pytest.raises(ParameterError, match="scales differ: 4 and 8"):
        a + public_key.encrypt([1.5], scale=8)
    with pytest.raises(ParameterError, match="cannot be joined"):
        paillier.concatenate([a, public_key.encrypt([1])])
    with pytest.raises(ParameterError, match="nothing"):
        paillier.concatenate([])
    with pytest.raises(ParameterError, match="integers"):
        a * 0.5
    with pytest.raises(ParameterError, match="integers"):
        a @ [Fraction(1, 2)]
    with pytest.raises(ParameterError, match="two ciphertexts"):
        a * a
    with pytest.raises(ParameterError, match="two ciphertexts"):
        a @ a


def test_bounds_grow_with_what_is_computed(djn: Pair) -> None:
    public_key, _ = djn
    a, b = public_key.encrypt([1, 2, 3], bound=10), public_key.encrypt([1, 2, 3], bound=100)
    assert (a + b).bound == (a - b).bound == (b - a).bound == 110
    assert (a + 5).bound == (a - [1, -7, 2]).bound - 2 == 15
    assert (-a).bound == 10
    assert (a * -3).bound == (a * [1, -3, 2]).bound == 30
    assert a.sum().bound == 30
    assert a.segment_sum([0, 1, 3]).bound == 20
    assert (a @ [1, -2, 3]).bound == (a @ np.array([[1, 0], [-2, 1], [3, 1]])).bound == 60
    assert a.weighted_segment_sum([0, 1], [2, 3], [0, 1, 2]).bound == 30
    assert a[1:].bound == a.rerandomise().bound == 10
    assert paillier.concatenate([a, b]).bound == 100
    assert public_key.encrypt([1]).encoded_bound == 2**255


def test_overflow_is_refused_exactly_where_it_could_happen(djn: Pair) -> None:
    public_key, private_key = djn
    largest = (public_key.n - 1) // 2
    for value in (largest, -largest):
        a = public_key.encrypt([value], bound=largest)
        assert private_key.decrypt(a).tolist() == [value]
        for compute in (lambda a=a: a + 1, lambda a=a: a + a, lambda a=a: a * 2, lambda a=a: a @ [2], lambda a=a: 1 - a):
            with pytest.raises(EncodingOverflow, match="could need"):
                compute()
        assert private_key.decrypt(a * -1).tolist() == [-value]
        assert private_key.decrypt(a + 0).tolist() == [value]
    with pytest.raises(EncodingOverflow, match="could need"):
        public_key.encrypt([1], bound=largest + 1)
    third = largest // 3
    a = public_key.encrypt([third, third, third], bound=third)
    assert private_key.decrypt(a.sum()).tolist() == [3 * third]
    assert private_key.decrypt(a @ [1, -2, 0]).tolist() == [-third]
    assert private_key.decrypt(a[:1] + 2 * third).tolist() == [3 * third]
    for compute in (lambda: a @ [1, -2, 1], lambda: paillier.concatenate([a, a]).sum(), lambda: a + (largest - third + 1)):
        with pytest.raises(EncodingOverflow):
            compute()
    assert private_key.decrypt(a[:1] + (largest - third)).tolist() == [largest]


def test_values_beyond_a_declared_bound_are_refused_with_rows_only(djn: Pair) -> None:
    public_key, _ = djn
    with pytest.raises(EncodingOverflow, match=r"2 rows \(0, 2\)") as caught:
        public_key.encrypt([123456, 1, -123456], bound=123455)
    assert "12345" not in str(caught.value)
    with pytest.raises(EncodingOverflow):
        public_key.encrypt([1e308], scale=2**16)
    with pytest.raises(ParameterError, match="row 1"):
        public_key.encrypt([1.0, float("nan")], scale=2**16)
    with pytest.raises(ParameterError, match="negative"):
        public_key.encrypt([0], bound=-1)


def test_a_broken_bound_is_noticed_at_decryption(djn: Pair) -> None:
    public_key, private_key = djn
    matrix = public_key.encrypt([5, 1000]).to_wire()
    with pytest.raises(ParameterError, match="row 1"):
        private_key.decrypt(paillier.EncryptedArray.from_wire(matrix, public_key, bound=10))


def test_it_behaves_as_an_array_and_hides_its_rows(djn: Pair) -> None:
    public_key, private_key = djn
    a = public_key.encrypt(range(10))
    assert (len(a), a.shape, a.ndim) == (10, (10,), 1)
    assert private_key.decrypt(a[2:5]).tolist() == [2, 3, 4]
    assert private_key.decrypt(a[-1]).tolist() == [9]
    assert private_key.decrypt(a[::-3]).tolist() == [9, 6, 3, 0]
    assert private_key.decrypt(a[[3, 3, 1]]).tolist() == [3, 3, 1]
    assert private_key.decrypt(a[np.arange(10) > 7]).tolist() == [8, 9]
    for index in (10, -11, (1, 2)):
        with pytest.raises(IndexError):
            a[index]
    for refused in (iter, list, np.asarray, bool):
        with pytest.raises(TypeError):
            refused(a)  # type: ignore[operator]
    with pytest.raises(ValueError, match="read-only"):
        a.limbs[0, 0] = 1
    assert repr(a) == "<EncryptedArray: 10 rows, 512 bits, fresh>"


def test_shapes_that_do_not_fit(djn: Pair) -> None:
    public_key, private_key = djn
    a = public_key.encrypt([1, 2, 3])
    for compute in (
        lambda: a + np.array([1, 2]),
        lambda: a + public_key.encrypt([1, 2]),
        lambda: a * [1, 2],
        lambda: a @ [1, 2],
        lambda: a @ [[1, 2, 3]],
        lambda: a @ [[1], [1, 2], [3]],
        lambda: a @ [True, False, True],
        lambda: a @ [1.0, 2.0, 3.0],
        lambda: a * None,
        lambda: a @ np.zeros((1, 1, 3), dtype=int),
        lambda: a.segment_sum([0, 2]),
        lambda: a.segment_sum([0, 2, 1, 3]),
        lambda: a.segment_sum([0.0, 3.0]),
        lambda: a.weighted_segment_sum([0, 3], [1, 1], [0, 2]),
        lambda: a.weighted_segment_sum([-1, 1], [1, 1], [0, 2]),
        lambda: a.weighted_segment_sum([0, 1], [1, 0], [0, 2]),
        lambda: a.weighted_segment_sum([0, 1], [1, -1], [0, 2]),
        lambda: a.weighted_segment_sum([0, 1], [1], [0, 2]),
    ):
        with pytest.raises(ParameterError):
            compute()
    assert private_key.decrypt(a + public_key.encrypt([10])).tolist() == [11, 12, 13]
    assert private_key.decrypt(public_key.encrypt([10]) - a).tolist() == [9, 8, 7]


def test_empty_arrays(keypair: Pair) -> None:
    public_key, private_key = keypair
    a = public_key.encrypt([])
    assert private_key.decrypt(a).tolist() == []
    assert private_key.decrypt(a.sum()).tolist() == [0]
    assert private_key.decrypt(a @ []).tolist() == [0]
    assert len(a + a) == len(a * 3) == len(-a) == len(a.rerandomise()) == 0
    assert private_key.decrypt(a.weighted_segment_sum([], [], [0, 0, 0])).tolist() == [0, 0]
    assert len(paillier.EncryptedArray.from_bytes(a.to_bytes(), public_key)) == 0


def test_other_keys_are_refused(djn: Pair, other: Pair) -> None:
    a, b = djn[0].encrypt([1]), other[0].encrypt([1])
    for compute in (lambda: a + b, lambda: a - b, lambda: paillier.concatenate([a, b])):
        with pytest.raises(ParameterError, match="different keys"):
            compute()
    with pytest.raises(ParameterError, match="another key"):
        other[1].decrypt(a)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_weighted_segment_sums_across_chunks(data: st.DataObject) -> None:
    public_key, private_key = _KEYS["djn"]
    seed = data.draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    values = generator.integers(-1000, 1000, 50)
    array = public_key.encrypt(values, bound=1000, rng=DeterministicRng(seed))
    rows = int(data.draw(st.integers(0, 9000)))
    indices, weights = generator.integers(0, 50, rows), generator.integers(1, data.draw(st.integers(2, 5)), rows)
    cuts = np.sort(generator.integers(0, rows + 1, data.draw(st.integers(0, 12))))
    starts = np.concatenate([[0], cuts, [rows]])
    with ThreadPoolExecutor(2) as pool:
        result = array.weighted_segment_sum(indices, weights, starts, mapper=pool.map)
    expected = [int((values[indices[i:j]] * weights[i:j]).sum()) for i, j in itertools.pairwise(starts.tolist())]
    assert private_key.decrypt(result).tolist() == expected
    plain = array.weighted_segment_sum(indices, None, starts)
    expected = [int(values[indices[i:j]].sum()) for i, j in itertools.pairwise(starts.tolist())]
    assert private_key.decrypt(plain).tolist() == expected


def test_weights_wider_than_a_limb(djn: Pair) -> None:
    public_key, private_key = djn
    a = public_key.encrypt([3, -4], bound=4)
    mixed = [2**63 + 1, -1]
    assert private_key.decrypt(a @ mixed).tolist() == private_key.decrypt((a * mixed).sum()).tolist() == [3 * mixed[0] + 4]
    weights = [2**130 + 1, 2**65]
    assert private_key.decrypt(a @ weights).tolist() == [3 * weights[0] - 4 * weights[1]]
    assert private_key.decrypt(a * weights).tolist() == [3 * weights[0], -4 * weights[1]]
    result = a.weighted_segment_sum([0, 1, 0], [*weights, weights[0]], [0, 3])
    assert private_key.decrypt(result).tolist() == [6 * weights[0] - 4 * weights[1]]


def test_threads_give_what_one_thread_gives(keypair: Pair) -> None:
    public_key, private_key = keypair
    values = list(range(-300, 300))
    with ThreadPoolExecutor(2) as pool:
        threaded = public_key.encrypt(values, rng=DeterministicRng(1), mapper=pool.map)
        assert private_key.decrypt(threaded, mapper=pool.map).tolist() == values
        assert private_key.decrypt(threaded.sum(mapper=pool.map)).tolist() == [-300]
        assert private_key.decrypt(threaded.dot([2] * 600, mapper=pool.map)).tolist() == [-600]
        again = threaded.rerandomise(rng=DeterministicRng(2), mapper=pool.map, towards_owner=True)
        weights = [(row % 7) - 3 for row in range(600)]
        for found, expected in (
            (threaded.add(threaded, mapper=pool.map), [2 * value for value in values]),
            (threaded.add(5, mapper=pool.map), [value + 5 for value in values]),
            (threaded.subtract(threaded[::-1], mapper=pool.map), [2 * value + 1 for value in values]),
            (threaded.subtract(5, mapper=pool.map), [value - 5 for value in values]),
            (threaded.negate(mapper=pool.map), [-value for value in values]),
            (threaded.multiply(weights, mapper=pool.map), [w * v for w, v in zip(weights, values, strict=True)]),
            (threaded.multiply(-3, mapper=pool.map), [-3 * value for value in values]),
            (threaded[:1].add(threaded, mapper=pool.map), [values[0] + value for value in values]),
        ):
            assert private_key.decrypt(found).tolist() == expected
    alone = public_key.encrypt(values, rng=DeterministicRng(1))
    assert np.array_equal(threaded.limbs, alone.limbs)
    assert np.array_equal(again.limbs, alone.rerandomise(rng=DeterministicRng(2), towards_owner=True).limbs)


def test_a_layout_that_is_refused() -> None:
    for bad in ({"scale": 1, "bound": -1}, {"scale": 1, "bound": True}, {"scale": 0, "bound": 1}):
        with pytest.raises(ParameterError):
            Numbers(**bad)
