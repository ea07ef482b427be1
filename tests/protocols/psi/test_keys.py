"""Join keys: one encoding for each value, no casts, nothing of a key in an error."""

from __future__ import annotations

import datetime as dt
import decimal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from protocols.psi import KeyDomain, encode_keys

DAY = dt.date(2020, 1, 2)
MOMENT = dt.datetime(2020, 1, 2, 3, 4, 5, 678)
CANARY = "canary-7391"


def domain(*types: str, **rules: object) -> KeyDomain:
    return KeyDomain(name="people", types=types, **rules)


def encoded(column: object, kind: str, **rules: object) -> list[bytes]:
    return encode_keys([column], domain(kind, **rules)).keys


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (
            "integer",
            [
                [1, -2],
                np.array([1, -2], np.int8),
                np.array([1, -2], np.int64),
                pa.array([1, -2], pa.int32()),
                pa.chunked_array([[1], [-2]], pa.int64()),
                pd.Series([1, -2]),
                pd.Series([1, -2], dtype="Int32"),
                [np.int16(1), -2],
                np.array([1, -2], object),
            ],
        ),
        ("integer", [[2**63, 7], np.array([2**63, 7], np.uint64), pa.array([2**63, 7], pa.uint64())]),
        (
            "text",
            [
                ["a", "é\0"],
                pa.array(["a", "é\0"]),
                pa.array(["a", "é\0"], pa.large_string()),
                pa.array(["a", "é\0"]).dictionary_encode(),
                pd.Series(["a", "é\0"]),
                pd.Series(["a", "é\0"]).astype("category"),
            ],
        ),
        ("date", [[DAY], np.array([DAY], "M8[D]"), pa.array([DAY]), pa.array([DAY], pa.date64()), np.array([DAY], object)]),
        (
            "timestamp",
            [
                [MOMENT],
                np.array([MOMENT], "M8[us]"),
                np.array([MOMENT], "M8[ns]"),
                pa.array([MOMENT], pa.timestamp("ns")),
                pd.Series([MOMENT]),
                [pd.Timestamp(MOMENT)],
            ],
        ),
        ("boolean", [[True, False], np.array([True, False]), pa.array([True, False]), [np.True_, False]]),
        (
            "decimal",
            [
                [decimal.Decimal("1.50"), decimal.Decimal("-0.0"), decimal.Decimal("100")],
                [decimal.Decimal("1.5"), decimal.Decimal("0"), decimal.Decimal("1E+2")],
                pa.array([decimal.Decimal("1.500"), decimal.Decimal("0.000"), decimal.Decimal("100.000")]),
            ],
        ),
    ],
)
def test_a_value_has_one_encoding_in_every_container(kind: str, columns: list[object]) -> None:
    keys = encoded(columns[0], kind)
    assert all(encoded(column, kind) == keys for column in columns)
    assert len(set(keys)) == len(keys) == len(columns[0])


def test_types_never_meet() -> None:
    keys = [
        *encoded([1, 0], "integer"),
        *encoded(["1", "01", "", "true"], "text"),
        *encoded([True, False], "boolean"),
        *encoded([dt.date(1970, 1, 2)], "date"),
        *encoded([dt.datetime(1970, 1, 1, 0, 0, 0, 1)], "timestamp"),
        *encoded([decimal.Decimal(1)], "decimal"),
    ]
    assert len(set(keys)) == len(keys)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(-(2**70), 2**70)))
def test_integers_are_distinct(values: set[int]) -> None:
    assert len(set(encoded(list(values), "integer"))) == len(values)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.text(max_size=4), st.text(max_size=4))))
def test_composites_keep_their_borders(pairs: set[tuple[str, str]]) -> None:
    columns = [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    assert len(set(encode_keys(columns, domain("text", "text")).keys)) == len(pairs)


@settings(max_examples=60, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_equal_as_numbers(a: decimal.Decimal, b: decimal.Decimal) -> None:
    first, second = encoded([a, b], "decimal")
    assert (first == second) == (a == b)


@pytest.mark.parametrize(
    "column",
    [
        ["a", None, "b", float("nan"), pd.NA, pd.NaT],
        pd.Series(["a", None, "b", float("nan"), pd.NA, pd.NaT], dtype=object),
        pa.array(["a", None, "b", None, None, None]),
    ],
)
def test_null_is_dropped_and_counted(column: object) -> None:
    keys = encode_keys([column], domain("text"))
    assert keys.rows.tolist() == [0, 2]
    assert keys.dropped == 4
    assert keys.keys == encoded(["a", "b"], "text")


def test_null_in_any_component_drops_the_row() -> None:
    keys = encode_keys([[1, None, 3, None], pa.array(["a", "b", None, None])], domain("integer", "text"))
    assert keys.rows.tolist() == [0]
    assert keys.dropped == 3


@pytest.mark.parametrize("column", [[None, None], pa.nulls(2), np.array(["NaT", "NaT"], "M8[us]"), pd.Series([None, None])])
def test_all_null(column: object) -> None:
    keys = encode_keys([column], domain("timestamp"))
    assert list(keys.keys) == []
    assert keys.dropped == 2


@pytest.mark.parametrize("column", [[], np.array([]), pa.nulls(0), pd.Series([], dtype=float)])
def test_empty_columns(column: object) -> None:
    keys = encode_keys([column], domain("integer"))
    assert (list(keys.keys), keys.dropped) == ([], 0)


@pytest.mark.parametrize(
    ("column", "kind", "problem"),
    [
        ([1, "1"], "integer", "row 1 is text"),
        (["1", 1], "text", "row 1 is integer"),
        ([1, 1.0], "integer", "row 1 is of type float"),
        ([1.5], "integer", "never floats"),
        (np.array([1.0]), "integer", "never floats"),
        (np.array([np.nan]), "integer", "never floats"),
        (pa.array([1.0]), "integer", "never floats"),
        (pd.Series([1.0, None]), "integer", "never floats"),
        ([True], "integer", "boolean"),
        ([1], "boolean", "integer"),
        ([b"x"], "text", "bytes"),
        (np.array([b"x"]), "text", "cannot be a key"),
        ([1 + 2j], "integer", "complex"),
        ([[1]], "integer", "list"),
        ([MOMENT], "date", "timestamp"),
        ([DAY], "timestamp", "date"),
        ([MOMENT.replace(tzinfo=dt.UTC)], "timestamp", "time zone"),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), "timestamp", "time zone"),
        ([pd.Timestamp(1, unit="ns")], "timestamp", "microseconds"),
        (np.array([1], "M8[ns]"), "timestamp", "microseconds"),
        (pa.array([1], pa.timestamp("ns")), "timestamp", "microseconds"),
        (np.array([1], "M8[Y]"), "date", "cannot be a key"),
        ([decimal.Decimal("nan")], "decimal", "not a finite number"),
        (["\ud800"], "text", "row 0 is not valid Unicode"),
        ("text", "text", "array or a sequence"),
        ({1, 2}, "integer", "array or a sequence"),
        (7, "integer", "array or a sequence"),
        (np.zeros((2, 2), int), "integer", "2 dimensions"),
        (np.zeros((), int), "integer", "0 dimensions"),
    ],
)
def test_other_types_are_refused(column: object, kind: str, problem: str) -> None:
    with pytest.raises(ParameterError, match=problem) as caught:
        encoded(column, kind)
    assert "key column 0" in str(caught.value)


def test_malformed_arrow_text_is_refused() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")])
    with pytest.raises(ParameterError, match="not valid"):
        encoded(bad, "text")


@pytest.mark.parametrize("column", [[CANARY, 7], [7, CANARY], [CANARY, "\ud800"], [CANARY, 0.5], [CANARY, CANARY.encode()]])
def test_errors_show_no_key(column: list[object]) -> None:
    for kind in ("text", "integer"):
        with pytest.raises(ParameterError) as caught:
            encoded(column, kind)
        assert CANARY not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_repr_shows_counts_only() -> None:
    assert repr(encode_keys([[CANARY, None]], domain("text"))) == "EncodedKeys(1 keys, 1 rows dropped)"


@pytest.mark.parametrize("text", ["a\0b", "\0", "x" * 10_240, "e\u0301", "１２", " a ", "", "😀", "ﷺ"])
def test_odd_text_is_compared_exactly(text: str) -> None:
    assert encoded([text], "text")[0].endswith(text.encode())
    assert len(set(encoded([text, text + "\0", text + " "], "text"))) == 3


@pytest.mark.parametrize(
    ("rules", "equal", "different"),
    [
        ({"trim": True}, (" a\u3000", "a"), ("a\t", "a")),
        ({"case": "fold"}, ("STRASSE", "straße"), ("a ", "a")),
        ({"unicode": "NFKC"}, ("１２ｅ\u0301", "12é"), ("A", "a")),
        ({"unicode": "NFKC", "case": "fold", "trim": True}, ("\u00a0ＡＢ\u3000", "ab"), ("a b", "ab")),
    ],
)
def test_declared_rules(rules: dict, equal: tuple[str, str], different: tuple[str, str]) -> None:
    a, b = encoded(list(equal), "text", **rules)
    assert a == b
    assert len(set(encoded(list(equal), "text"))) == 2
    assert len(set(encoded(list(different), "text", **rules))) == 2


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=8), st.booleans(), st.sampled_from([None, "fold"]), st.sampled_from([None, "NFKC"]))
def test_normalising_twice_changes_nothing(text: str, trim: bool, case: str | None, unicode: str | None) -> None:
    rule = domain("text", trim=trim, case=case, unicode=unicode)
    assert rule.normalise(rule.normalise(text)) == rule.normalise(text)


def test_trim_is_that_of_duckdb() -> None:
    texts = [chr(code) + "a" + chr(code) for code in range(1, 0x3100)]
    trimmed = duckdb.from_arrow(pa.table({"x": texts})).project("trim(x) AS x").fetchall()
    rule = domain("text", trim=True)
    assert [rule.normalise(text) for text in texts] == [row[0] for row in trimmed]


def test_domains_are_told_apart() -> None:
    domains = [
        domain("text"),
        domain("text", "text"),
        domain("integer"),
        domain("text", trim=True),
        domain("text", case="fold"),
        domain("text", unicode="NFKC"),
        KeyDomain(name="cars", types=("text",)),
    ]
    assert len({item.digest() for item in domains}) == len(domains)
    assert domains[0].dst == b"public-data-sandbox/join/1/people"


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"types": ()},
        {"types": ("float",)},
        {"case": "lower"},
        {"unicode": "NFC"},
        {"trim": "yes"},
    ],
)
def test_unusable_domains_are_refused(fields: dict) -> None:
    with pytest.raises(ParameterError, match="key domain"):
        KeyDomain(**{"name": "people", "types": ("text",), **fields})


def test_columns_must_fit_the_domain() -> None:
    with pytest.raises(ParameterError, match="2 components; 1 columns"):
        encode_keys([[1]], domain("integer", "integer"))
    with pytest.raises(ParameterError, match="1, 2 rows"):
        encode_keys([[1], [1, 2]], domain("integer", "integer"))
