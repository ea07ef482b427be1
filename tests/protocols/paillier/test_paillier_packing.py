"""Packing: exact at every boundary, refused beyond."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import EncodingOverflow, ParameterError
from protocols.paillier import Packing, PrivateKey, PublicKey, Slot

Pair = tuple[PublicKey, PrivateKey]


def _packing(bounds: list[int], max_weight: int) -> Packing:
    return Packing(slots=tuple(Slot(name=f"s{i}", bound=b) for i, b in enumerate(bounds)), max_weight=max_weight)


@given(st.data())
def test_weighted_sums_of_packed_rows_decode_exactly(data: st.DataObject) -> None:
    bounds = data.draw(st.lists(st.integers(min_value=1, max_value=2**40), min_size=1, max_size=6))
    max_weight = data.draw(st.integers(min_value=1, max_value=1000))
    packing = _packing(bounds, max_weight)
    columns = [data.draw(st.lists(st.integers(-b, b), min_size=3, max_size=3)) for b in bounds]
    weights = data.draw(st.lists(st.integers(-(max_weight // 3), max_weight // 3), min_size=3, max_size=3))
    total = sum(w * m for w, m in zip(weights, packing.encode(columns), strict=True))
    expected = {f"s{i}": [sum(w * v for w, v in zip(weights, c, strict=True))] for i, c in enumerate(columns)}
    assert packing.decode([total]) == expected


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, -1), (1, -1, 1), (-1, 1, -1)])
def test_all_slots_at_their_bounds_with_the_largest_weight(signs: tuple[int, ...]) -> None:
    bounds = [1, 2**20 - 1, 2**20]
    packing = _packing(bounds, 1023)
    row = [[sign * bound] for sign, bound in zip(signs, bounds, strict=True)]
    (plaintext,) = packing.encode(row)
    assert list(packing.decode([1023 * plaintext]).values()) == [[1023 * value[0]] for value in row]
    assert packing.widths == tuple(1 + (bound * 1023).bit_length() for bound in bounds)
    assert abs(1023 * plaintext) < 1 << packing.bits


def test_more_than_the_slots_hold_is_noticed() -> None:
    packing = _packing([3], 1)
    assert packing.widths == (3,)
    assert packing.decode([3, -4]) == {"s0": [3, -4]}
    for plaintext in (4, -5, 1000):
        with pytest.raises(ParameterError, match="row 1"):
            packing.decode([0, plaintext])


def test_columns_that_are_refused() -> None:
    packing = _packing([10, 10], 1)
    with pytest.raises(EncodingOverflow, match=r"'s1'.*2 rows \(0, 2\)"):
        packing.encode([[1, 2, 3], [11, 10, -11]])
    for columns in ([[1]], [[1], [2], [3]], [[1], [1, 2]], [[1.0], [1]], [[None], [1]], [[True], [1]], [np.zeros((1, 1)), [1]]):
        with pytest.raises(ParameterError):
            packing.encode(columns)
    assert packing.encode([[], []]) == []
    assert packing.decode(packing.encode([np.array([-10], dtype=np.int8), [7]])) == {"s0": [-10], "s1": [7]}


def test_integers_that_numpy_would_turn_into_floats() -> None:
    packing = _packing([2**64], 1)
    column = [2**63 + 1, -1, 2**64]
    assert packing.decode(packing.encode([column])) == {"s0": column}
    for fraction in (np.array([0.5]), [np.float32(1)], [Fraction(1, 2)], [[1]], 7):
        with pytest.raises(ParameterError, match="'s0'"):
            packing.encode([fraction])


def test_declarations_that_are_refused() -> None:
    for bad in (
        {"name": "", "bound": 1},
        {"name": "a", "bound": 0},
        {"name": "a", "bound": 1.5},
        {"name": "a", "bound": 1, "scale": 0},
    ):
        with pytest.raises(ParameterError):
            Slot(**bad)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="at least one"):
        Packing(slots=())
    with pytest.raises(ParameterError, match="differ"):
        Packing(slots=(Slot(name="a", bound=1), Slot(name="a", bound=2)))
    with pytest.raises(ParameterError, match="max_weight"):
        _packing([1], 0)


def test_slots_fill_the_key_exactly(djn: Pair) -> None:
    public_key, private_key = djn
    room = public_key.n.bit_length() - 1
    largest = _packing([(1 << (room - 1)) - 1], 1)
    assert largest.bits == room
    for value in ((1 << (room - 1)) - 1, -(1 << (room - 1)) + 1):
        assert private_key.decrypt_packed(public_key.encrypt_packed([[value]], largest)) == {"s0": [value]}
    with pytest.raises(EncodingOverflow, match="bits"):
        public_key.encrypt_packed([[1]], _packing([1 << (room - 1)], 1))


def test_the_weight_is_refused_exactly_beyond_the_plan(djn: Pair) -> None:
    public_key, private_key = djn
    packing = _packing([100, 5], 7)
    array = public_key.encrypt_packed([[100, -100, 1], [-5, 5, 0]], packing)
    assert private_key.decrypt_packed(array * 7) == {"s0": [700, -700, 7], "s1": [-35, 35, 0]}
    assert private_key.decrypt_packed(array * -7)["s1"] == [35, -35, 0]
    assert private_key.decrypt_packed(array @ [3, -3, 1]) == {"s0": [601], "s1": [-30]}
    doubled = array + array
    assert private_key.decrypt_packed(doubled * 3)["s0"] == [600, -600, 6]
    for compute in (lambda: array * 8, lambda: array * [1, -8, 1], lambda: array @ [3, -4, 1], lambda: doubled * 4):
        with pytest.raises(EncodingOverflow, match="weight"):
            compute()
    indices, starts = [0, 1, 2, 2, 0], [0, 2, 5]
    result = array.weighted_segment_sum(indices, [3, 4, 2, 2, 3], starts)
    assert private_key.decrypt_packed(result) == {"s0": [-100, 304], "s1": [5, -15]}
    with pytest.raises(EncodingOverflow, match="weight 8"):
        array.weighted_segment_sum(indices, [3, 4, 2, 2, 4], starts)


def test_plain_columns_are_added_within_their_weight(djn: Pair) -> None:
    public_key, private_key = djn
    packing = _packing([100, 5], 9)
    array = public_key.encrypt_packed([[100, -100], [-5, 5]], packing)
    raised = array.plus_packed([[800, -800], [-40, 40]], weight=8)
    assert not raised.is_fresh
    assert private_key.decrypt_packed(raised) == {"s0": [900, -900], "s1": [-45, 45]}
    with pytest.raises(EncodingOverflow, match="weight 10"):
        array.plus_packed([[0, 0], [0, 0]], weight=9)
    with pytest.raises(EncodingOverflow, match="'s1'"):
        array.plus_packed([[0, 0], [0, 41]], weight=8)
    with pytest.raises(ParameterError, match="1 plain rows for 2"):
        array.plus_packed([[0], [0]], weight=1)
    with pytest.raises(ParameterError, match="not packed"):
        public_key.encrypt([1]).plus_packed([[1]], weight=1)


def test_packed_arrays_mix_with_nothing_else(djn: Pair) -> None:
    public_key, private_key = djn
    array = public_key.encrypt_packed([[1]], _packing([100], 7))
    others = [public_key.encrypt_packed([[1]], _packing([101], 7)), public_key.encrypt([1])]
    for different in others:
        for compute in (lambda d: array + d, lambda d: d + array, lambda d: array - d):
            with pytest.raises(ParameterError, match="packed"):
                compute(different)
    with pytest.raises(ParameterError, match="plain"):
        array + 1
    with pytest.raises(ParameterError, match="packed"):
        private_key.decrypt(array)
    with pytest.raises(ParameterError, match="not packed"):
        private_key.decrypt_packed(others[1])
    with pytest.raises(ParameterError, match="packing"):
        _ = array.scale
