"""Hierarchies cover every value, never split a group, and say where they fail."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.desensitise import Date, Hierarchy, Interval, Prefix, Tree
from protocols.errors import ParameterError


def labels(hierarchy: Hierarchy, values: list[object]) -> list[list[object]]:
    levels = hierarchy.bind(values)
    return [list(names[codes]) for names, codes in zip(levels.labels, levels.maps, strict=True)]


def test_a_tree_is_read_as_arx_writes_it() -> None:
    tree = Tree.from_text('\ufeffa;"low; soft";*\r\nb;"low; soft";*\r\n\r\nc;high;*\r\n')
    assert labels(tree, ["c", "a", "b"]) == [["c", "a", "b"], ["high", "low; soft", "low; soft"], ["*", "*", "*"]]
    assert tree.bind(["a", "c"]).shares[1].tolist() == [2 / 3, 1 / 3]
    assert tree.bind(["a"]).shares[0].tolist() == [1 / 3]


def test_numbers_match_a_tree_as_text() -> None:
    tree = Tree([(39, "30s", "*"), (40, "40s", "*")])
    assert labels(tree, [39, np.int64(40)])[1] == ["30s", "40s"]
    assert labels(tree, [39.0, float("nan")])[1:] == [["30s", None], ["*", "*"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one row"),
        ("a", "line 1: a value and at least one level"),
        ("a;x;*\nb;x", "line 2: 2 fields where line 1 has 3"),
        ("a;x;*\nb;y;*\na;y;*", r"line 3: this value already has a row \(line 1\)"),
        ("a;x;1;*\nb;x;2;*", r"line 2: level 2 splits a group of level 1 \(see line 1"),
    ],
)
def test_a_tree_that_does_not_hold_is_refused_at_its_line(text: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Tree.from_text(text)


def test_a_value_without_a_row_is_counted_and_not_shown() -> None:
    with pytest.raises(ParameterError, match=r"1 of 2 distinct values have no row") as raised:
        Tree([("a", "*")]).bind(["a", "secret"], "town")
    assert "secret" not in str(raised.value)


def test_intervals_are_half_open_and_may_be_coded_at_both_ends() -> None:
    found = labels(Interval(widths=(5, 10), bottom=18, top=90), [17.5, 18, 19.999, 20, 89, 90, 1e9])
    assert found[1] == ["< 18", "[18, 20)", "[18, 20)", "[20, 25)", "[85, 90)", ">= 90", ">= 90"]
    assert found[2] == ["< 18", "[18, 20)", "[18, 20)", "[20, 30)", "[80, 90)", ">= 90", ">= 90"]
    assert found[3] == ["*"] * 7
    assert labels(Interval(widths=(10,), origin=5), [-5.5, -5, 4.9])[1] == ["[-15, -5)", "[-5, 5)", "[-5, 5)"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40, unique=True),
    st.sampled_from([0.1, 0.25, 1, 3, 7]),
    st.lists(st.integers(2, 5), max_size=3),
    st.floats(-100, 100),
)
def test_coarser_intervals_never_split_finer_ones(values: list[float], width: float, factors: list[int], origin: float) -> None:
    widths = [width]
    for factor in factors:
        widths.append(widths[-1] * factor)
    levels = Interval(widths=tuple(widths), origin=origin).bind(values)  # bind refuses a level that splits a group
    assert levels.sizes()[-1] == 1
    assert list(levels.sizes()) == sorted(levels.sizes(), reverse=True)


def test_dates_of_several_kinds() -> None:
    values = [datetime.date(2024, 2, 29), "2024-03-31", np.datetime64("2024-04-01"), pd.Timestamp("2019-12-31 23:59")]
    found = labels(Date(levels=("day", "month", "quarter", "year", "decade")), values)
    assert found[1] == ["2024-02-29", "2024-03-31", "2024-04-01", "2019-12-31"]
    assert found[2] == ["2024-02", "2024-03", "2024-04", "2019-12"]
    assert found[3] == ["2024-Q1", "2024-Q1", "2024-Q2", "2019-Q4"]
    assert found[4:] == [["2024", "2024", "2024", "2019"], ["2020s", "2020s", "2020s", "2010s"], ["*"] * 4]


def test_prefixes_keep_the_length() -> None:
    assert labels(Prefix(keep=(3, 1)), ["110101", "1101", "120000"])[1:] == [
        ["110***", "110*", "120***"],
        ["1*****", "1***", "1*****"],
        ["*"] * 3,
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Interval(widths=()), "at least one width"),
        (lambda: Interval(widths=(5, 12)), "no multiple"),
        (lambda: Interval(widths=(-1,)), "above 0"),
        (lambda: Interval(widths=(5,), bottom=9, top=3), "below top"),
        (lambda: Interval(widths=(5,)).bind([1, "x", float("inf")], "age"), "2 of 3"),
        (lambda: Date(levels=("year", "month")), "in this order"),
        (lambda: Date().bind(["31.12.2024"], "day"), "1 of 1"),
        (lambda: Prefix(keep=(2, 2)), "must fall"),
        (lambda: Prefix(keep=(2, 0)), "must fall"),
        (lambda: Prefix(keep=(2,)).apply(pd.Series(["abc"], name="c"), 3), "levels 0 to 2"),
    ],
)
def test_misuse_is_refused(make: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()  # type: ignore[operator]


def test_apply_generalises_a_column_and_keeps_its_index() -> None:
    column = pd.Series(["1101", None, "1202"], index=[7, 8, 9], name="region")
    shown = Prefix(keep=(2,)).apply(column, 1)
    assert shown.tolist() == ["11**", None, "12**"]
    assert shown.index.tolist() == [7, 8, 9]
    assert Prefix(keep=(2,)).apply(column, 0) is column


@pytest.mark.parametrize(
    ("number", "width", "label"),
    [
        (0.3, 0.1, "[0.3, 0.4)"),
        (0.7, 0.1, "[0.7, 0.8)"),
        (-0.3, 0.1, "[-0.3, -0.2)"),
        (12_345_678_901_234, 1, "[12345678901234, 12345678901235)"),
    ],
)
def test_a_number_stands_in_the_interval_that_is_written(number: float, width: float, label: str) -> None:
    assert Interval(widths=(width,)).labels([number], "c")[0] == [label]


def test_numbers_too_large_for_a_width_are_refused() -> None:
    for number, width in ((2**60, 1), (5.0, 1e-320), (1e300, 1e10)):
        with pytest.raises(ParameterError, match="too large for intervals"):
            Interval(widths=(width,)).labels([number], "c")
    for bad in (math.nan, math.inf):
        with pytest.raises(ParameterError, match="finite"):
            Interval(widths=(1,), origin=bad)


@pytest.mark.parametrize(
    ("text", "what"), [("a;\nb;x", "line 1: level 1 is empty"), ("a;x;\n", "level 2 is empty"), ('"a;x\nb;y', "end of data")]
)
def test_a_hierarchy_with_holes_is_refused(text: str, what: str) -> None:
    with pytest.raises(ParameterError, match=what):
        Tree.from_text(text)
