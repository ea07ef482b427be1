"""Generated fragments against DuckDB: run per provider and joined, they equal the question on the pooled tables."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning_assets import ASSETS, compiled

from sandbox.model.plan import Plan
from sandbox.planning import Fragment, fragment, require_sound, require_types

TABLES = {
    "registry.patients": "id BIGINT, age INTEGER, male TINYINT, insured BOOLEAN, born DATE, name VARCHAR, note VARCHAR, "
    'secret_score INTEGER, ungraded INTEGER, "City" VARCHAR',
    "lab.measurements": "id INTEGER, days INTEGER, test VARCHAR, value DOUBLE, price DECIMAL(12,4), repeats SMALLINT, "
    "unbounded DOUBLE, taken TIMESTAMP",
    "hospital.events": "id BIGINT, days INTEGER, event VARCHAR",
}
KEYS = st.one_of(st.none(), st.integers(1, 6))
SMALL = st.one_of(st.none(), st.integers(-12, 12))
TEXTS = st.sampled_from([None, "hdl", "chol", "", "o'k"])
DAYS = st.one_of(st.none(), st.dates(datetime.date(2019, 12, 28), datetime.date(2020, 3, 2)))
PATIENT_ROWS = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.one_of(st.none(), st.integers(0, 120)),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, True, False]),
        DAYS,
        *(st.none(),) * 4,
        TEXTS,
    ),
    max_size=6,
    unique_by=lambda row: row[0],
)
MEASUREMENT_ROWS = st.lists(
    st.tuples(
        KEYS,
        SMALL,
        TEXTS,
        st.one_of(st.none(), st.floats(-200, 200), st.integers(-400, 400).map(lambda n: n / 131072)),
        st.one_of(st.none(), st.integers(-4000, 4000).map(lambda n: Decimal(n) / 800)),
        st.one_of(st.none(), st.integers(-50, 50)),
        st.one_of(st.none(), st.floats(allow_nan=False)),
        st.one_of(st.none(), st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 3))),
    ),
    max_size=10,
)
EVENT_ROWS = st.lists(st.tuples(KEYS, SMALL, st.sampled_from([None, "stroke", "diabetes"])), max_size=8)

JOINS = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id JOIN hospital.events e ON p.id = e.id"
# group expressions (with aliases), aggregates, the rest of the question
QUESTIONS = [
    (["p.male AS sex", "e.event"], "COUNT(*) AS n, AVG(l.value)", f"{JOINS} WHERE l.test = 'hdl' GROUP BY p.male, e.event"),
    ([], "COUNT(*) AS n, SUM(l.repeats) AS s, COUNT(l.value) AS c, COUNT(DISTINCT e.id) AS k", JOINS),
    (["p.age // 10 AS band"], "VAR_SAMP(l.value), STDDEV_POP(l.price), AVG(l.price)", f"{JOINS} GROUP BY band"),
    (["e.days // 5 AS w", "l.days // 7"], "COUNT(*) AS n, VAR_POP(l.repeats)", f"{JOINS} GROUP BY 1, l.days // 7"),
    (
        ["date_trunc('month', p.born) AS month", "date_trunc('hour', l.taken) AS h"],
        "COUNT(p.age) AS n",
        f"{JOINS} GROUP BY 1, 2",
    ),
    (
        [
            "CASE WHEN p.age < 40 THEN 'young' WHEN NOT p.age < 80 OR p.insured THEN 'o''ld' END AS band",
            "CASE l.test WHEN 'hdl' THEN 1 WHEN '' THEN -2 ELSE 0 END AS t",
        ],
        "SUM(l.value) AS s",
        f"{JOINS} GROUP BY band, t",
    ),
    (
        ["p.insured"],
        "COUNT(l.test) AS n, SUM(l.price)",
        f"""{JOINS} WHERE NOT (p.age BETWEEN 20 AND 60) AND l.test NOT IN ('chol', 'x') AND (e.days > -3 OR e.event IS NULL)
        AND p.born >= DATE '2020-01-01' AND l.taken < TIMESTAMP '2020-01-02 12:00:00.5' AND l.value <> 0.5 AND NOT p.insured
        GROUP BY p.insured""",
    ),
    (
        ["city"],
        "COUNT(*) AS n, AVG(l.value)",
        f"{JOINS} WHERE l.repeats = l.days OR l.days IS NULL AND l.price > -0.125 GROUP BY p.city",
    ),
    (
        ["l.test"],
        "COUNT(*) AS n, SUM(l.repeats) AS s",
        "FROM lab.measurements l JOIN hospital.events e USING (id) WHERE l.days >= -4.5 GROUP BY l.test",
    ),
]


def fill(connection: duckdb.DuckDBPyConnection, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for name, columns in TABLES.items():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
        connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
        if rows[name]:
            marks = ", ".join("?" * len(rows[name][0]))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows[name])


def run_fragment(connection: duckdb.DuckDBPyConnection, found: Fragment, index: int) -> None:
    """Run checks and rows over the table, and keep the rows as part_<index>."""
    read = ", ".join(f'"{name}"' for name in found.columns)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS SELECT {read} FROM {found.asset}")
    types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE source").fetchall()}
    require_types(found, ASSETS[found.asset], types)
    result = connection.execute(found.checks.sql, list(found.checks.parameters))
    names = [item[0] for item in result.description]
    assert names == [check.name for check in found.counts]
    require_sound(found, dict(zip(names, result.fetchone(), strict=True)))
    result = connection.execute(found.rows.sql, list(found.rows.parameters))
    described = [(item[0], str(item[1])) for item in result.description]
    assert [name for name, _ in described] == [output.name for output in found.outputs]
    for (_, kind), output in zip(described, found.outputs, strict=True):
        assert kind.split("(")[0] == output.sql_type
    rows = result.fetchall()
    columns = ", ".join(f"{name} {kind}" for name, kind in described)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE part_{index} ({columns})")
    if rows:
        connection.executemany(f"INSERT INTO part_{index} VALUES ({', '.join('?' * len(described))})", rows)


def cells_of_fragments(connection: duckdb.DuckDBPyConnection, plan: Plan) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Join the parts and return, per cell, exact integers: rows, keys, and of each measure count, sum and squares."""
    for index, part in enumerate(plan.inputs):
        run_fragment(connection, fragment(plan, index, asset=ASSETS[part.asset]), index)
    parts = range(len(plan.inputs))
    weight = " * ".join(f"CAST(part_{index}.m AS HUGEINT)" for index in parts)
    totals = [f"SUM({weight})", "COUNT(DISTINCT part_0.key_0)"]
    for index, part in enumerate(plan.inputs):
        others = " * ".join(["CAST(1 AS HUGEINT)", *(f"part_{other}.m" for other in parts if other != index)])
        for number, measure in enumerate(part.measures):
            names = ["c"] + ["s"] * measure.needs_sum + ["q"] * measure.needs_squares
            totals += [f"SUM({others} * part_{index}.{name}_{number})" for name in names]
    groups = [f"part_{group.input}.group_{group.local}" for group in plan.groups]
    tables = "part_0" + "".join(f" JOIN part_{index} ON part_{index}.key_0 = part_0.key_0" for index in parts[1:])
    by = f" GROUP BY {', '.join(groups)}" if groups else ""
    rows = connection.execute(f"SELECT {', '.join((*groups, *totals))} FROM {tables}{by}").fetchall()
    return {row[: len(groups)]: tuple(value or 0 for value in row[len(groups) :]) for row in rows}


def floored(sql: str) -> str:
    """Return a question with // as this sandbox defines it: DuckDB's truncates towards zero."""
    return re.sub(r"(\w\.\w+) // (\d+)", r"CAST(floor(\1 / \2) AS BIGINT)", sql)


def exact_totals(plan: Plan) -> str:
    """Return the aggregates of the exact test: rows, keys, and of each measure count, sum and squares of its integers."""
    totals = ["COUNT(*)", f"COUNT(DISTINCT {plan.inputs[0].alias}.id)"]
    for part in plan.inputs:
        for measure in part.measures:
            name = f"{part.alias}.{measure.column}"
            integer = f"CAST(round_even({name} * {measure.scale}, 0) AS HUGEINT)"
            totals.append(f"COUNT({name})")
            totals += [f"SUM({integer})"] * measure.needs_sum + [f"SUM({integer} * {integer})"] * measure.needs_squares
    return ", ".join(totals)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(patients=PATIENT_ROWS, measurements=MEASUREMENT_ROWS, events=EVENT_ROWS)
@pytest.mark.parametrize(("groups", "aggregates", "tail"), QUESTIONS)
def test_joined_fragments_equal_the_question_on_pooled_tables(  # noqa: PLR0917
    groups: list[str], aggregates: str, tail: str, patients: list[Any], measurements: list[Any], events: list[Any]
) -> None:
    plan = compiled(f"SELECT {', '.join((*groups, aggregates))} {tail}")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        fill(connection, {"registry.patients": patients, "lab.measurements": measurements, "hospital.events": events})
        cells = cells_of_fragments(connection, plan)
        exact = floored(f"SELECT {', '.join((*groups, exact_totals(plan)))} {tail}")
        rows = connection.execute(exact).fetchall()
    assert cells == {row[: len(groups)]: tuple(value or 0 for value in row[len(groups) :]) for row in rows}
