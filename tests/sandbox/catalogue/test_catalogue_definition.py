"""Declarations: what follows from them, and which are refused, with what to do."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.catalogue import TableDefinition, declare, table
from sandbox.catalogue.values import bound_texts, default_scale
from sandbox.errors import UsageError
from sandbox.model.asset import KeyDomain
from sandbox.model.source import SourceSpec

FRAME = pd.DataFrame({"id": [1]})
SCHEMA: tuple[tuple[str, Any], ...] = (
    ("id", "integer"),
    ("age", "integer"),
    ("bmi", "float"),
    ("fee", "decimal"),
    ("male", "integer"),
    ("event", "text"),
    ("day", "date"),
    ("seen", "timestamp"),
    ("ok", "boolean"),
)


def test_roles_grades_scales_and_bounds_follow() -> None:
    definition = table(
        FRAME,
        key="id",
        unique=True,
        bounds={"age": (0, 120), "bmi": (10.5, np.float64(60)), "fee": ("0", Decimal("9.90"))},
        codes={"male": [0, 1], "event": ["a", "中"], "day": [datetime.date(2024, 1, 1)], "ok": [True, False]},
        clip=["bmi"],
        roles={"event": "sensitive"},
        grades={"event": "important"},
        title="病人 patients",
    )
    asset = declare("registry", "patients", definition, SCHEMA)
    columns = {column.name: column for column in asset.columns}
    assert {name: column.role for name, column in columns.items()} == {
        "id": "key",
        "age": "measure",
        "bmi": "measure",
        "fee": "measure",
        "male": "quasi_identifier",
        "event": "sensitive",
        "day": "quasi_identifier",
        "seen": "unclassified",
        "ok": "quasi_identifier",
    }
    assert [columns[name].grade for name in ("id", "event", "seen")] == ["general", "important", "unclassified"]
    assert [(columns[name].bounds, columns[name].scale, columns[name].clip) for name in ("age", "bmi", "fee", "male")] == [
        (("0", "120"), 1, False),
        (("10.5", "60"), 65536, True),
        (("0", "9.9"), 10_000, False),
        (None, 1, False),
    ]
    assert [code.value for code in columns["ok"].codes or ()] == ["true", "false"]
    assert [code.value for code in columns["day"].codes or ()] == ["2024-01-01"]
    assert asset.key_domain == KeyDomain(name="id", types=("integer",))
    assert (asset.name, asset.version, asset.lifecycle, asset.unique) == ("registry.patients", 1, "draft", True)


def test_key_domains() -> None:
    assert declare("a", "t", table(FRAME, key=["id", "event"]), SCHEMA).key_domain.name == "id_event"
    assert declare("a", "t", table(FRAME, key="id", key_domain="person"), SCHEMA).key_domain.name == "person"
    folded = KeyDomain(name="place", types=("text",), trim=True)
    assert declare("a", "t", table(FRAME, key="event", key_domain=folded), SCHEMA).key_domain == folded


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"key": []}, "key names one column"),
    "key twice": ({"key": ["id", "id"]}, "several different ones"),
    "unknown key": ({"key": "idd"}, "key names 'idd', which is not a column; did you mean: id"),
    "float key": ({"key": "bmi"}, "keys are integer, text or date: declare types="),
    "timestamp key": ({"key": "seen"}, "keys are integer, text or date"),
    "domain of other types": ({"key_domain": KeyDomain(name="p", types=("text",))}, "over \\(text\\), the key columns are"),
    "domain with a line end": ({"key_domain": "a\r\nb"}, "a key domain cannot be called"),
    "unknown bounds": ({"bounds": {"agee": (0, 1)}}, "bounds names 'agee', which is not a column; did you mean: age"),
    "unknown codes": ({"codes": {"mal": [0]}}, "codes names 'mal'"),
    "inverted": ({"bounds": {"age": (120, 0)}}, "the wrong way round"),
    "not a pair": ({"bounds": {"age": 120}}, "are a pair"),
    "infinite": ({"bounds": {"bmi": (0, math.inf)}}, "not a finite number"),
    "nan": ({"bounds": {"bmi": (math.nan, 1)}}, "not a finite number"),
    "boolean bound": ({"bounds": {"age": (False, 1)}}, "of type bool"),
    "fraction of an integer": ({"bounds": {"age": (0, 0.5)}}, "whole numbers"),
    "too many digits": ({"bounds": {"bmi": (0, 1e30)}}, "more than 19 digits"),
    "bounds of text": ({"bounds": {"event": (0, 1)}}, "only numbers have bounds"),
    "codes of a float": ({"codes": {"bmi": [1.0]}}, "which is float; declare types="),
    "codes of another type": ({"codes": {"male": ["0"]}}, "of type str; the column is integer, give int"),
    "codes as booleans": ({"codes": {"male": [False, True]}}, "of type bool"),
    "datetime as date": ({"codes": {"day": [datetime.datetime(2024, 1, 1)]}}, "of type datetime"),
    "no codes": ({"codes": {"male": []}}, "has 0 entries"),
    "code twice": ({"codes": {"male": [1, 1]}}, "an entry twice"),
    "code with escape": ({"codes": {"event": ["\x1b[31m"]}}, "unprintable"),
    "clip without bounds": ({"clip": ["age"]}, "clip names 'age', which has no bounds"),
    "scale without bounds": ({"scales": {"age": 2}}, "scales names 'age'"),
    "scale of zero": ({"bounds": {"age": (0, 1)}, "scales": {"age": 0}}, "at least 1"),
    "fractional scale": ({"bounds": {"age": (0, 1)}, "scales": {"age": 1.5}}, "whole number"),
    "unknown role": ({"roles": {"age": "secret"}}, "use one of direct_identifier"),
    "other role for the key": ({"roles": {"id": "measure"}}, "is in the key"),
    "unknown grade": ({"grades": {"age": "low"}}, "use one of general"),
    "unknown type": ({"types": {"age": "int"}}, "use one of integer"),
    "title with mark-up": ({"title": "<b>x"}, "a title is"),
    "title of two lines": ({"title": "a\nb"}, "a title is"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_declarations_are_named(name: str) -> None:
    arguments, message = WRONG[name]
    with pytest.raises(UsageError, match=message):
        declare("registry", "patients", table(FRAME, **({"key": "id"} | arguments)), SCHEMA)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a.b", "a\r\nb", "\x1b[31m", "<b>", "pаtients", "a" * 65, "患者", 'a"b'])
def test_identifiers_are_ascii(name: str) -> None:
    definition = table(FRAME, key="id")
    for provider, asset in ((name, "t"), ("p", name)):
        with pytest.raises(UsageError, match="cannot be called") as caught:
            declare(provider, asset, definition, SCHEMA)
        assert str(caught.value).isprintable()
        assert str(caught.value).isascii()


@pytest.mark.parametrize("columns", [("id", ""), ("id", "a\nb"), ("id", "ID"), ("id", "a\u202eb"), ("id", "x" * 129)])
def test_columns_of_a_source_are_checked(columns: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="rename"):
        declare("p", "t", table(FRAME, key="id"), [(name, "integer") for name in columns])


def test_column_names_may_be_any_printable_text() -> None:
    definition = table(FRAME, key='编号 "1"', key_domain="person")
    assert declare("p", "t", definition, [('编号 "1"', "text")]).key == ('编号 "1"',)


def test_specs() -> None:
    csv = table("a/b.csv", key="id", types={"id": "text"}, encoding="gb18030", delimiter=";").spec
    assert csv == SourceSpec(kind="csv", path="a/b.csv", types=(("id", "text"),), encoding="gb18030", delimiter=";")
    assert table("a.db", key="id", table="t").spec == SourceSpec(kind="duckdb", path="a.db", table="t")
    assert table(FRAME, key="id").spec.kind == "frame"
    with pytest.raises(UsageError, match="not known"):
        _ = table("a.xlsx", key="id").spec
    with pytest.raises(UsageError, match="not list"):
        table([1], key="id")
    assert "DataFrame" not in repr(table(FRAME, key="id"))
    assert isinstance(table(FRAME, key="id"), TableDefinition)


@given(low=st.decimals(-(10**18), 10**18, places=6), high=st.decimals(-(10**18), 10**18, places=6))
def test_bounds_keep_their_value(low: Decimal, high: Decimal) -> None:
    low, high = sorted((low, high))
    texts = bound_texts("'x'", "float", (low, high))
    assert [Decimal(text) for text in texts] == [low, high]
    assert "-0" not in texts


@given(st.floats(1e-9, 1e15))
def test_default_scale_keeps_sixteen_bits_and_stays_small(bound: float) -> None:
    scale = default_scale("float", bound_texts("'x'", "float", (0, round(bound, 12) or 1)))
    reach = Fraction(bound) * scale
    assert scale & (scale - 1) == 0
    assert reach <= 2**31 or scale == 1
    assert reach >= 2**14 or scale == 2**40
