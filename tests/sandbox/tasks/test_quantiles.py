"""Quantiles of released histograms: the bin holds what DuckDB's quantile_disc finds in the raw rows."""

from __future__ import annotations

import random

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support import federated

from sandbox.errors import UsageError
from sandbox.gate.release import release
from sandbox.model.plan import GateRules
from sandbox.tasks.quantiles import quantile_rows
from sandbox.tasks.totals import totals_table

SQL = f"SELECT sex, income // 300 AS bin, COUNT(income) AS n FROM {federated.NAME} t GROUP BY sex, bin"
FRACTIONS = [0.01, 0.1, 0.25, 0.5, 0.9, 1.0]


def released(seed: int, rules: GateRules = federated.LOOSE, sql: str = SQL):  # type: ignore[no-untyped-def]
    chance = random.Random(seed)
    assets = federated.assets_of(3)
    tables = {name: federated.people(chance, 30, range(100 * at, 100 * at + 30)) for at, name in enumerate(assets)}
    case = federated.Case(tables, assets, federated.federated(assets, disjoint=True), sql, 2)
    plan = case.plan(rules)
    found = release(plan, totals_table(plan, np.sum(case.vectors(plan), axis=0), [0, 1, 2]))
    names = [column.name for column in found.columns]
    return case, plan, [dict(zip(names, row, strict=True)) for row in found.rows]


@pytest.mark.parametrize("seed", range(6))
def test_the_bin_holds_the_quantile_of_the_raw_rows(seed: int) -> None:
    case, plan, rows = released(seed)
    connection = duckdb.connect()
    connection.register("people", pa.concat_tables(list(case.tables.values())))
    for by, group in (((), ""), (("sex",), "sex, ")):
        found = list(quantile_rows(plan, rows, FRACTIONS, None, by))
        asked = ", ".join(f"quantile_disc(income, {fraction})" for fraction in FRACTIONS)
        true = connection.execute(f"SELECT {group}{asked} FROM people {'GROUP BY sex' if by else ''}").fetchall()
        expected = {(row[: len(by)], fraction): row[len(by) + at] for row in true for at, fraction in enumerate(FRACTIONS)}
        assert len(found) == len(expected)
        for item in found:
            value = expected[tuple(item[name] for name in by), item["quantile"]]
            assert item["low"] <= value < item["high"]
            assert item["high"] - item["low"] == 300
            assert item["lacking"] == 0


UPWARD = "CASE WHEN {x} < {a} THEN 'low' WHEN {x} < {b} THEN 'middle' WHEN {x} < {c} THEN 'more' ELSE 'high' END"
DOWNWARD = "CASE WHEN {x} >= {c} THEN 'high' WHEN {x} >= {b} THEN 'more' WHEN {x} >= {a} THEN 'middle' ELSE 'low' END"


@pytest.mark.parametrize("bands", [UPWARD, DOWNWARD])
@pytest.mark.parametrize(("column", "limits"), [("paid", (12.5, 40, 77.77)), ("score", (-0.5, 0, 0.25)), ("age", (0, 18, 65))])
@pytest.mark.parametrize("counted", ["COUNT({x})", "COUNT(*)"])
def test_bands_of_any_ordered_column_hold_the_quantile(
    bands: str, column: str, limits: tuple[float, float, float], counted: str
) -> None:
    """Rows without a value fall under ELSE in SQL, and in no band here."""
    label = bands.format(x=column, **dict(zip("abc", limits, strict=True)))
    where = "" if counted == "COUNT({x})" else f"WHERE {column} IS NOT NULL "
    sql = f"SELECT sex, {label} AS band, {counted.format(x=column)} AS n FROM {federated.NAME} t {where}GROUP BY sex, band"
    case, plan, rows = released(4, sql=sql)
    connection = duckdb.connect()
    connection.register("people", pa.concat_tables(list(case.tables.values())))
    asked = ", ".join(f"quantile_disc({column}, {fraction})" for fraction in FRACTIONS)
    true = {row[0]: row[1:] for row in connection.execute(f"SELECT sex, {asked} FROM people GROUP BY sex").fetchall()}
    found = list(quantile_rows(plan, rows, FRACTIONS, None, ("sex",)))
    assert len(found) == len(true) * len(FRACTIONS)
    for item in found:
        value = true[item["sex"]][FRACTIONS.index(item["quantile"])]
        assert item["low"] is None or item["low"] <= value
        assert item["high"] is None or value < item["high"]
        ends = tuple(None if item[end] is None else float(item[end]) for end in ("low", "high"))
        assert ends in list(zip((None, *limits), (*limits, None), strict=True))


@pytest.mark.parametrize(
    ("label", "counted", "problem"),
    [
        ("CASE WHEN paid < 10 THEN 1 WHEN paid < 20 THEN 2 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid < 20 THEN 1 WHEN paid < 10 THEN 2 ELSE 3 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid < 10 THEN 1 WHEN paid >= 20 THEN 2 ELSE 3 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid < 10 THEN 1 WHEN age < 20 THEN 2 ELSE 3 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid < 10 THEN 1 WHEN paid < 20 THEN 2 ELSE 1 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid BETWEEN 1 AND 3 THEN 1 ELSE 3 END", "COUNT(paid)", "not in a row"),
        ("CASE WHEN paid < 10 THEN 1 ELSE 2 END", "COUNT(*)", "rows without a value of paid too: ask COUNT"),
        ("CASE WHEN paid < 10 THEN 1 ELSE 2 END", "COUNT(age)", "rows without a value of paid too: ask COUNT"),
    ],
)
def test_bands_that_do_not_say_where_a_value_lies_are_refused(label: str, counted: str, problem: str) -> None:
    _, plan, rows = released(4, sql=f"SELECT {label} AS band, {counted} AS n FROM {federated.NAME} t GROUP BY band")
    with pytest.raises(UsageError, match=problem):
        list(quantile_rows(plan, rows, [0.5], None, ()))


def test_withheld_bins_are_counted_as_lacking() -> None:
    strict = GateRules(
        profile="t",
        version=1,
        min_keys=4,
        min_contributors=4,
        min_pattern=1,
        min_list=0,
        dominance_1=None,
        dominance_2=None,
        p_percent=None,
    )
    _, plan, rows = released(1, strict)
    withheld = sum(row["n"] is None for row in rows)
    assert withheld
    (found,) = quantile_rows(plan, rows, [0.5], "bin", ())
    assert found["lacking"] == withheld
    nothing = [row | {"n": None} for row in rows]
    (empty,) = quantile_rows(plan, nothing, [0.5], "bin", ())
    assert (empty["low"], empty["high"], empty["lacking"]) == (None, None, len(rows))


def test_what_has_no_quantile_is_refused() -> None:
    _, plan, rows = released(2)
    for problem, fractions, of, by in (
        ("above 0 and at most 1", [0.0], None, ()),
        ("above 0 and at most 1", [1.5], None, ()),
        ("this product has bin", [0.5], "sex", ()),
        ("no other group", [0.5], None, ("bin",)),
        ("no other group", [0.5], None, ("age",)),
    ):
        with pytest.raises(UsageError, match=problem):
            list(quantile_rows(plan, rows, fractions, of, by))
    _, plan, rows = released(2, sql=SQL.replace("COUNT(income)", "SUM(income)"))
    with pytest.raises(UsageError, match="need COUNT"):
        list(quantile_rows(plan, rows, [0.5], None, ()))
