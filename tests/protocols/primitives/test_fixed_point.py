"""Fixed point against fractions: exact, half to even, and silent about values."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives import fixed_point

_SCALES = st.one_of(
    st.integers(min_value=0, max_value=80).map(lambda f: 1 << f),
    st.integers(min_value=0, max_value=12).map(lambda d: 10**d),
    st.integers(min_value=1, max_value=10**6),
)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)), _SCALES)
def test_floats_count_as_the_fraction_that_they_are(values: list[float], scale: int) -> None:
    # round() of a Fraction is half to even, and exact.
    expected = [round(Fraction(value) * scale) for value in values]
    assert fixed_point.encode(np.array(values, dtype=np.float64), scale) == expected
    assert fixed_point.encode(values, scale) == expected


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)), _SCALES)
def test_decimals_are_exact(values: list[Decimal], scale: int) -> None:
    assert fixed_point.encode(values, scale) == [round(Fraction(value) * scale) for value in values]


@given(st.lists(st.one_of(st.integers(), st.fractions())), _SCALES)
def test_integers_and_fractions(values: list[int | Fraction], scale: int) -> None:
    assert fixed_point.encode(values, scale) == [round(Fraction(value) * scale) for value in values]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "float32", "float64"])
def test_arrays_of_every_width(dtype: str) -> None:
    largest = np.array([0, 1, 100], dtype=dtype)
    assert fixed_point.encode(largest, 10) == [0, 10, 1000]


def test_extreme_integers() -> None:
    values = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
    assert fixed_point.encode(values, 16) == [-(2**67), (2**63 - 1) * 16]
    assert fixed_point.encode(np.array([2**64 - 1], dtype=np.uint64)) == [2**64 - 1]


def test_halves_go_to_the_even_neighbour() -> None:
    assert fixed_point.encode([0.5, 1.5, 2.5, -0.5, -1.5, Decimal("0.5")]) == [0, 2, 2, 0, -2, 0]
    assert fixed_point.encode(np.array([0.5, 1.5, 2.5, -0.5, -1.5])) == [0, 2, 2, 0, -2]
    assert fixed_point.encode(np.array([0.25, 0.75]), 2) == [0, 2]


def test_pandas_series_are_arrays() -> None:
    assert fixed_point.encode(pd.Series([1.5, 2.0]), 4) == [6, 8]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, np.nan, np.inf]),
        [1.0, float("nan"), float("-inf")],
        [1, Decimal("NaN"), Decimal("Infinity")],
        [1, None, "2"],
        [1, True, np.bool_(False)],
        pd.Series([1, None, "x"], dtype=object),
    ],
)
def test_what_is_not_a_number_is_named_by_row(values: object) -> None:
    with pytest.raises(ParameterError, match=r"2 rows \(1, 2\)"):
        fixed_point.encode(values, 100)


@pytest.mark.parametrize(
    "values", [np.array([True]), np.array(["1"]), np.array(["2020-01-01"], dtype="datetime64[D]"), np.zeros((2, 2)), "12", 3.5]
)
def test_other_arrays_are_refused(values: object) -> None:
    with pytest.raises(ParameterError):
        fixed_point.encode(values)


@pytest.mark.parametrize("scale", [0, -1, 1.5, True, "2"])
def test_scales_that_are_refused(scale: object) -> None:
    with pytest.raises(ParameterError, match="scale"):
        fixed_point.encode([1], scale)  # type: ignore[arg-type]


def test_bounds_are_exact_and_errors_show_no_value() -> None:
    assert fixed_point.encode_bounded([-10, 10], 4, 40) == [-40, 40]
    with pytest.raises(EncodingOverflow, match="7 rows") as caught:
        fixed_point.encode_bounded([987654321] * 7, 1, 987654320)
    assert "98765432" not in str(caught.value)


@given(st.lists(st.integers()), _SCALES)
def test_decoding_is_exact(integers: list[int], scale: int) -> None:
    assert fixed_point.decode(integers, scale, "fraction").tolist() == [Fraction(x, scale) for x in integers]
    assert fixed_point.decode(integers, scale, "integer").tolist() == integers
    floats = fixed_point.decode(integers, scale, "float")
    assert floats.dtype == np.float64
    assert floats.tolist() == [float(Fraction(x, scale)) for x in integers]


@given(st.lists(st.integers()), st.integers(0, 60), st.integers(0, 20))
def test_decimals_of_scales_with_an_end(integers: list[int], twos: int, fives: int) -> None:
    scale = 2**twos * 5**fives
    assert [Fraction(x) for x in fixed_point.decode(integers, scale, "decimal")] == [Fraction(x, scale) for x in integers]


def test_decoding_that_cannot_be_done() -> None:
    with pytest.raises(ParameterError, match="no end"):
        fixed_point.decode([1], 3, "decimal")
    with pytest.raises(ParameterError, match="too large"):
        fixed_point.decode([10**400], 10, "float")
    with pytest.raises(ParameterError, match="decode as"):
        fixed_point.decode([1], 10, "double")  # type: ignore[arg-type]
    assert fixed_point.decode([1]).dtype == np.int64
    assert fixed_point.decode([2**63]).dtype == object
    assert fixed_point.decode([3], 2).tolist() == [1.5]
