"""What a provider runs, statement by statement: counts without values, exact integers, and no total that can fail."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from planning_assets import ASSETS, HEALTH, MEASUREMENTS, PATIENTS, column, compiled, integer_codes

from sandbox.errors import SourceError, UsageError
from sandbox.model.asset import Asset
from sandbox.model.expression import ColumnRef, Compare, DateTrunc, FloorDivide, GroupRef, Literal
from sandbox.planning import Fragment, fragment, require_sound, require_types

JOINS = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id"


def played(found: Fragment, create: str, rows: list[tuple[Any, ...]]) -> tuple[dict[str, int], pa.Table]:
    """Run both statements over a table of these rows: the counts, and the rows as Arrow."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE source ({create})")
        if rows:
            connection.executemany(f"INSERT INTO source VALUES ({', '.join('?' * len(rows[0]))})", rows)
        result = connection.execute(found.checks.sql, list(found.checks.parameters))
        names = [item[0] for item in result.description]
        (row,) = result.fetchall()
        counts = dict(zip(names, row, strict=True))
        table = connection.sql(found.rows.sql, params=list(found.rows.parameters)).to_arrow_table()
    return counts, table


def lab(sql: str, asset: Asset = MEASUREMENTS) -> Fragment:
    return fragment(compiled(sql, {**ASSETS, asset.name: asset}), 1, asset=asset)


def with_column(asset: Asset, name: str, **change: object) -> Asset:
    columns = tuple(msgspec.structs.replace(item, **change) if item.name == name else item for item in asset.columns)
    return msgspec.structs.replace(asset, columns=columns)


def test_rows_and_checks_have_the_promised_columns_and_types() -> None:
    found = lab(f"SELECT l.test, COUNT(*), VAR_SAMP(l.value), SUM(l.repeats), COUNT(l.taken) {JOINS} GROUP BY l.test")
    create = "id BIGINT, test VARCHAR, value DOUBLE, repeats INTEGER, taken TIMESTAMP"
    counts, table = played(found, create, [(1, "a", 0.5, 3, None), (1, "a", None, 4, None), (None, "a", 1.0, 1, None)])
    assert counts == {"rows_read": 3, "null_keys": 1, "not_finite_0": 0, "out_of_bounds_0": 0, "out_of_bounds_1": 0}
    wide = pa.decimal128(38, 0)
    assert [(field.name, field.type) for field in table.schema] == [
        ("key_0", pa.int64()),
        ("group_0", pa.string()),
        ("m", pa.int64()),
        ("c_0", pa.int64()),
        ("s_0", wide),
        ("q_0", wide),
        ("c_1", pa.int64()),
        ("s_1", wide),
        ("c_2", pa.int64()),
    ]
    (row,) = table.to_pylist()
    assert (row["m"], row["c_0"], row["s_0"], row["q_0"]) == (2, 1, Decimal(32768), Decimal(32768**2))
    assert (row["c_1"], row["s_1"], row["c_2"]) == (2, Decimal(7), 0)
    assert found.columns == ("id", "test", "value", "repeats", "taken")


def test_empty_table_and_null_keys_only() -> None:
    found = lab(f"SELECT COUNT(*), AVG(l.value) {JOINS}")
    for rows in ([], [(None, 1.0)]):
        counts, table = played(found, "id BIGINT, value DOUBLE", rows)
        assert counts["rows_read"] == len(rows)
        assert counts["null_keys"] == len(rows)
        assert table.num_rows == 0
        require_sound(found, counts)


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (float("nan"), "not_finite_0"),
        (float("inf"), "not_finite_0"),
        (float("-inf"), "not_finite_0"),
        (1e308, "out_of_bounds_0"),
        (-200.00000000000003, "out_of_bounds_0"),
    ],
)
def test_values_that_no_sum_may_hold_are_counted_and_never_break_the_rows(value: float, count: str) -> None:
    found = lab(f"SELECT COUNT(*), VAR_POP(l.value) {JOINS}")
    counts, table = played(found, "id BIGINT, value DOUBLE", [(1, value), (1, 2.0), (2, None)])
    assert counts[count] == 1
    assert {row["key_0"]: row["s_0"] for row in table.to_pylist()} == {1: 2 * 65536, 2: 0}
    with pytest.raises(SourceError, match=r"lab\.measurements, column value: 1 values") as caught:
        require_sound(found, counts)
    assert not any(digit in str(caught.value) for digit in ("308", "200"))


def test_clipping_where_it_is_declared() -> None:
    asset = with_column(with_column(with_column(MEASUREMENTS, "value", clip=True), "price", clip=True), "repeats", clip=True)
    found = lab(f"SELECT SUM(l.value), SUM(l.price), SUM(l.repeats) {JOINS}", asset)
    rows = [(1, 1e308, Decimal("99999999.9999"), 32767), (2, -1e308, Decimal("-1000.01"), -51), (3, None, None, None)]
    counts, table = played(found, "id BIGINT, value DOUBLE, price DECIMAL(12,4), repeats SMALLINT", rows)
    assert [counts[f"out_of_bounds_{index}"] for index in range(3)] == [2, 2, 2]
    require_sound(found, counts)
    sums = {row["key_0"]: (row["s_0"], row["s_1"], row["s_2"]) for row in table.to_pylist()}
    assert sums == {1: (200 * 65536, 100_000, 50), 2: (-200 * 65536, -100_000, -50), 3: (0, 0, 0)}


def test_rounding_is_half_to_even_and_exact() -> None:
    bounds = ("-9000000000000000000", "9000000000000000000")
    asset = with_column(with_column(MEASUREMENTS, "price", bounds=("-1000", "1000")), "repeats", bounds=bounds)
    found = lab(f"SELECT SUM(l.value), SUM(l.price), SUM(l.repeats) {JOINS}", asset)
    rows = [
        (1, 0.5 / 65536, Decimal("0.0050"), 8999999999999999999),
        (2, 1.5 / 65536, Decimal("0.0150"), -8999999999999999999),
        (3, -2.5 / 65536, Decimal("-0.0251"), 9007199254740993),
    ]
    counts, table = played(found, "id BIGINT, value DOUBLE, price DECIMAL(12,4), repeats BIGINT", rows)
    require_sound(found, counts)
    sums = {row["key_0"]: tuple(int(row[f"s_{index}"]) for index in range(3)) for row in table.to_pylist()}
    assert sums == {1: (0, 0, 8999999999999999999), 2: (2, 2, -8999999999999999999), 3: (-2, -3, 9007199254740993)}


def test_int64_extremes_do_not_break_the_statements() -> None:
    found = lab(f"SELECT l.days // 7 AS w, VAR_SAMP(l.repeats) {JOINS} GROUP BY w")
    counts, table = played(
        found, "id BIGINT, days BIGINT, repeats BIGINT", [(1, -(2**63), -(2**63)), (2, 2**63 - 1, 2**63 - 1)]
    )
    assert counts["out_of_bounds_0"] == 2
    labels = {row["key_0"]: row["group_0"] for row in table.to_pylist()}
    assert labels == {1: -(2**63) // 7, 2: (2**63 - 1) // 7}


def test_declared_uniqueness_and_code_lists() -> None:
    plan = compiled(f"SELECT p.male, COUNT(*) {JOINS} GROUP BY p.male")
    found = fragment(plan, 0, asset=PATIENTS)
    counts, _ = played(found, "id BIGINT, male TINYINT", [(1, 0), (1, 2), (2, None), (None, 1), (None, 1), (1, 1)])
    assert counts == {"rows_read": 6, "null_keys": 2, "repeated_keys": 2, "uncoded_0": 1}
    with pytest.raises(SourceError, match="2 rows repeat a key"):
        require_sound(found, counts)
    with pytest.raises(SourceError, match="column male: 1 values are not in the declared code list"):
        require_sound(found, {**counts, "repeated_keys": 0})
    require_sound(found, {**counts, "repeated_keys": 0, "uncoded_0": 0})
    composite = fragment(compiled("SELECT COUNT(*) FROM airline.flights f JOIN met.weather w USING (origin, day)"), 1)
    rows = [("a", "2020-01-01"), ("a", "2020-01-02"), ("a", "2020-01-01"), (None, "2020-01-01"), ("a", None)]
    counts, _ = played(composite, "origin VARCHAR, day DATE", rows)
    assert counts == {"rows_read": 5, "null_keys": 2, "repeated_keys": 1}


def test_too_many_rows_for_an_exact_total() -> None:
    found = lab(f"SELECT VAR_SAMP(l.value) {JOINS}")
    require_sound(found, {check.name: 0 for check in found.counts} | {"rows_read": found.max_rows})
    with pytest.raises(SourceError, match="38 digits"):
        require_sound(found, {check.name: 0 for check in found.counts} | {"rows_read": found.max_rows + 1})


def test_stored_types_must_fit_the_declared_ones() -> None:
    found = fragment(compiled(HEALTH), 1)
    good = {"id": "BIGINT", "test": "ENUM('a', 'b')", "value": "DOUBLE"}
    require_types(found, MEASUREMENTS, good)
    for name, kind in (("id", "VARCHAR"), ("id", "DOUBLE"), ("test", "INTEGER"), ("value", "DECIMAL(18,3)"), ("id", "HUGEINT")):
        with pytest.raises(SourceError, match=f"column {name} of lab.measurements is declared"):
            require_types(found, MEASUREMENTS, {**good, name: kind})
    with pytest.raises(SourceError, match="no column test"):
        require_types(found, MEASUREMENTS, {"id": "BIGINT", "value": "DOUBLE"})


def test_hostile_names_and_literals_stay_data() -> None:
    evil = 'x"; DROP TABLE source; --'
    asset = msgspec.structs.replace(MEASUREMENTS, columns=(*MEASUREMENTS.columns, column(evil, "text")))
    quoted = evil.replace('"', '""')
    found = lab(
        f"""SELECT l."{quoted}" AS g, COUNT(*) {JOINS} WHERE l."{quoted}" <> '''; DROP TABLE source; --' GROUP BY 1""", asset
    )
    assert evil not in found.rows.sql.replace('""', "")
    assert "DROP TABLE source" not in found.rows.sql.replace(f'"{quoted}"', "")
    _, table = played(found, f'id BIGINT, "{quoted}" VARCHAR', [(1, "a"), (2, "'; DROP TABLE source; --")])
    assert table.num_rows == 1


def test_printed_sql_lists_its_parameters() -> None:
    text = fragment(compiled(HEALTH), 1).sql
    assert '-- $4 = "hdl"' in text.splitlines()
    assert "FROM source" in text


def test_plans_of_others_are_not_trusted() -> None:
    plan = compiled(HEALTH)
    with pytest.raises(UsageError, match="another version"):
        fragment(plan, 1, asset=msgspec.structs.replace(MEASUREMENTS, version=9))
    with pytest.raises(UsageError, match="3 inputs"):
        fragment(plan, 3)
    test = ColumnRef(name="test")
    for expression in (
        GroupRef(index=0),
        Compare(op="=", left=test, right=Literal(type="integer", value="1 OR 1=1")),
        Compare(op="=", left=test, right=Literal(type="decimal", value="NaN")),
        Compare(op="=", left=test, right=Literal(type="date", value="tomorrow")),
        Compare(op="=", left=FloorDivide(operand=test, divisor=0), right=Literal(type="integer", value="1")),
        Compare(op="=", left=DateTrunc(unit="day", operand=GroupRef(index=0)), right=test),
    ):
        part = msgspec.structs.replace(plan.inputs[1], filters=(expression,))
        with pytest.raises(UsageError):
            fragment(msgspec.structs.replace(plan, inputs=(plan.inputs[0], part, plan.inputs[2])), 1)


def test_bounds_that_cannot_be_summed_exactly_are_refused() -> None:
    for change in (
        {"bounds": ("5", "1")},
        {"bounds": ("0", "NaN")},
        {"bounds": ("0", "1e9")},
        {"bounds": ("0", "9000000000000000000"), "scale": 65536},
        {"scale": 0},
    ):
        asset = with_column(MEASUREMENTS, "value", **change)
        with pytest.raises(UsageError):
            lab(f"SELECT VAR_SAMP(l.value) {JOINS}", asset)


def test_code_lists_of_text_and_none() -> None:
    coded = with_column(MEASUREMENTS, "test", codes=(Literal(type="text", value="hdl"),))
    found = lab(f"SELECT l.test, COUNT(*) {JOINS} GROUP BY 1", coded)
    assert [check.kind for check in found.counts][-1] == "uncoded"
    counts, _ = played(found, "id BIGINT, test VARCHAR", [(1, "hdl"), (2, "x"), (3, None)])
    assert counts["uncoded_0"] == 1
    empty = with_column(MEASUREMENTS, "days", codes=integer_codes())
    found = lab(f"SELECT l.days // 7 AS w, COUNT(*) {JOINS} GROUP BY 1", empty)
    assert played(found, "id BIGINT, days INTEGER", [(1, 4), (2, None)])[0]["uncoded_0"] == 1
