"""Functions of two columns over random tables, at one provider and across them, equal DuckDB on the pooled tables."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import random
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support import agencies, questions

import sandbox
from sandbox.gate.cells import PairMoments
from sandbox.gate.labels import to_literal
from sandbox.gate.release import Release, release
from sandbox.model.plan import GateRules, Plan
from sandbox.tasks.protocol import cell_table

CASES = int(os.environ.get("SANDBOX_ORACLE_CASES", "40"))
FUNCTIONS = ("CORR", "COVAR_POP", "COVAR_SAMP", "REGR_SLOPE", "REGR_INTERCEPT", "REGR_R2")
Column = tuple[int, str]
Asked = tuple[str, Column, Column]


def make_case(seed: int) -> tuple[questions.Case, list[Asked]]:
    """A random case with pairs of columns; inputs in which some columns are asked to have a value."""
    random_ = random.Random(seed)
    case = questions.make_case(random_)
    rules = GateRules(
        profile="test",
        version=1,
        min_keys=case.rules.min_keys,
        min_contributors=1,
        min_pattern=1,
        min_list=0,
        min_difference=1,
        min_freedom=0,
        **({} if seed % 2 else {"dominance_1": None, "dominance_2": None, "p_percent": None}),  # type: ignore[arg-type]
    )
    columns = list(itertools.product(range(len(case.assets)), "xy"))
    asked: list[Asked] = [
        (random_.choice(FUNCTIONS), *pair) for pair in random_.sample(list(itertools.permutations(columns, 2)), 2)
    ]
    conditions = [case.where] if case.where else []
    for at, name in {place for _, *pair in asked for place in pair}:
        if random_.random() < 0.5:
            conditions.append(f"t{at}.{name} IS NOT NULL")
    items = [f"{expression} AS c{number}" for number, (_, expression) in enumerate(case.groups)]
    items += [f"{function}({shown(y)}, {shown(x)}) AS a{number}" for number, (function, y, x) in enumerate(asked)]
    if random_.random() < 0.5:
        items.append(f"AVG({shown(asked[0][1])}) AS mean")
    where = " AND ".join(conditions)
    sql = f"SELECT {', '.join(items)} {tail(case, where)}"
    return dataclasses.replace(case, sql=sql, where=where, rules=rules), asked


def shown(place: Column) -> str:
    return f"t{place[0]}.{place[1]}"


def tail(case: questions.Case, where: str) -> str:
    joins = " ".join(f"JOIN p{at}.t t{at} ON t{at}.id = t0.id" for at in range(1, len(case.assets)))
    grouped = f" GROUP BY {', '.join(expression for _, expression in case.groups)}" if case.groups else ""
    return f"FROM p0.t t0 {joins}" + (f" WHERE {where}" if where else "") + grouped


def integer(case: questions.Case, place: Column) -> str:
    scale = questions.scale_of(case, *place)
    return (
        f"CAST({shown(place)} AS HUGEINT)" if place[1] == "x" else f"CAST(round_even({shown(place)} * {scale}, 0) AS HUGEINT)"
    )


def pooled(case: questions.Case, y: Column, x: Column, function: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Labels -> keys, exact moments of (y, x) where both have a value, and DuckDB's own answer."""
    connection = duckdb.connect()
    for name, table in case.tables.items():
        connection.execute(f"CREATE SCHEMA {name.split('.', maxsplit=1)[0]}")
        connection.register("incoming", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    labels = [f"{expression} AS c{number}" for number, (_, expression) in enumerate(case.groups)]
    listed = "".join(f"c{number}, " for number in range(len(labels)))
    both = f"{shown(y)} IS NOT NULL AND {shown(x)} IS NOT NULL"
    inner = [*labels, "t0.id AS id", f"CASE WHEN {both} THEN {integer(case, y)} END AS v"]
    inner += [f"CASE WHEN {both} THEN {integer(case, x)} END AS u", f"{shown(y)} AS raw_y", f"{shown(x)} AS raw_x"]
    ungrouped = tail(dataclasses.replace(case, groups=[]), case.where)
    rows = f"SELECT {', '.join(inner)} {ungrouped}"
    parts = "COUNT(DISTINCT id), COUNT(v), COUNT(DISTINCT CASE WHEN v IS NOT NULL THEN id END), "
    parts += f"SUM(v), SUM(u), SUM(v * v), SUM(u * u), SUM(v * u), {function}(raw_y, raw_x)"
    by = f" GROUP BY {listed[:-2]}" if labels else ""
    found = {}
    for row in connection.execute(f"SELECT {listed}{parts} FROM ({rows}){by}").fetchall():
        numbers = row[len(labels) :]
        found[tuple(row[: len(labels)])] = {
            "keys": numbers[0],
            "count": numbers[1],
            "contributors": numbers[2],
            **dict(zip(("y", "x", "yy", "xx", "xy"), (int(value or 0) for value in numbers[3:8]), strict=True)),
            "duckdb": numbers[8],
        }
    shares = f"SELECT {listed}id, SUM(v) AS a, SUM(u) AS b FROM ({rows}) WHERE v IS NOT NULL GROUP BY {listed}id"
    totals = (
        "SUM(CAST(a AS HUGEINT) * CAST(a AS HUGEINT)), SUM(abs(a)), SUM(CAST(b AS HUGEINT) * CAST(b AS HUGEINT)), SUM(abs(b))"
    )
    for row in connection.execute(f"SELECT {listed}{totals} FROM ({shares}){by}").fetchall():
        if tuple(row[: len(labels)]) in found:
            found[tuple(row[: len(labels)])]["shares"] = [int(value or 0) for value in row[len(labels) :]]
    return found


def exact(function: str, cell: dict[str, Any], scale_y: int, scale_x: int) -> float | None:
    """The function's value by the textbook formulas, roots by decimals of 60 digits; None for NULL or NaN."""
    n, y, x = cell["count"], Fraction(cell["y"], scale_y), Fraction(cell["x"], scale_x)
    if n == 0:
        return None
    yy, xx = Fraction(cell["yy"], scale_y**2) - y * y / n, Fraction(cell["xx"], scale_x**2) - x * x / n
    xy = Fraction(cell["xy"], scale_y * scale_x) - x * y / n
    if function.startswith("COVAR"):
        divisor = n if function == "COVAR_POP" else n - 1
        return float(xy / divisor) if divisor else None
    if xx == 0 or (function == "CORR" and yy == 0):
        return None
    if function == "REGR_R2":
        return float(xy**2 / (xx * yy)) if yy else 1.0
    if function == "CORR":
        with localcontext() as context:
            context.prec = 60
            square = xy**2 / (xx * yy)
            return math.copysign(float((Decimal(square.numerator) / Decimal(square.denominator)).sqrt()), xy)
    return float(xy / xx) if function == "REGR_SLOPE" else float((y - xy / xx * x) / n)


def check_moments(moments: PairMoments, cell: dict[str, Any], *, judged: bool) -> None:
    both = (moments.first, moments.second)
    assert [(part.count, part.contributors) for part in both] == [(cell["count"], cell["contributors"])] * 2
    assert (moments.first.sum, moments.second.sum, moments.product) == (cell["y"], cell["x"], cell["xy"])
    assert (moments.first.squares, moments.second.squares) == (cell["yy"], cell["xx"])
    if judged and "shares" in cell:
        first, second = both
        assert [first.contribution_squares, first.absolute_sum] == cell["shares"][:2]
        assert [second.contribution_squares, second.absolute_sum] == cell["shares"][2:]


@pytest.mark.parametrize("seed", range(CASES))
def test_moments_and_values_equal_the_pooled_tables(seed: int) -> None:
    case, asked = make_case(seed)
    plan = questions.compiled(case)
    table = cell_table(plan, questions.run(plan, case))
    judged = case.rules.dominance_1 is not None
    answer = release(plan, table)
    for number, (function, y, x) in enumerate(asked):
        expected = pooled(case, y, x, function)
        aggregate = plan.aggregates[number]
        pair = ((aggregate.input, aggregate.measure), (aggregate.other_input, aggregate.other_measure))
        large = {labels for labels, cell in expected.items() if cell["keys"] >= case.rules.min_keys}
        assert {cell.labels for cell in table.cells} == large
        for cell in table.cells:
            check_moments(cell.pairs[pair], expected[cell.labels], judged=judged)  # type: ignore[index]
        released = released_values(plan, answer, number)
        scales = questions.scale_of(case, *y), questions.scale_of(case, *x)
        for labels in released.keys() & expected.keys():
            check_value(*released[labels], exact(function, expected[labels], *scales), expected[labels]["duckdb"])


def released_values(plan: Plan, answer: Release, number: int) -> dict[tuple[Any, ...], tuple[Any, str | None]]:
    """Labels -> an aggregate's value, and why it is NULL."""
    width = len(plan.groups)
    nulls = {(item.labels, item.column): item.reason for item in (*answer.withheld, *answer.no_values)}
    return {
        tuple(row[:width]): (row[width + number], nulls.get((tuple(map(to_literal, row[:width])), f"a{number}")))
        for row in answer.rows
    }


def check_value(value: Any, reason: str | None, truth: float | None, duckdb_says: float | None) -> None:
    if reason not in (None, "NO_VALUES"):
        assert value is None
        return
    assert value == truth
    assert (value is None) == (reason == "NO_VALUES")
    if value is None:
        assert duckdb_says is None or math.isnan(duckdb_says)


def test_a_correlation_from_tables_to_verified_evidence(tmp_path: Path) -> None:
    people, tests = agencies.people(), agencies.measurements()
    tests["value"] = [None if row % 9 == 0 else 400 + age + row % 40 for row, age in enumerate(people["age"])]
    people["age"] = [None if row % 11 == 0 else age for row, age in enumerate(people["age"])]
    tables = {
        "registry": {"people": agencies.people_table(people)},
        "lab": {"tests": agencies.lab_table(tests, types={"value": "integer"})},
    }
    sql = """SELECT p.sex, CORR(t.value, p.age) AS r, REGR_SLOPE(t.value, p.age) AS b, COUNT(*) AS n
             FROM registry.people p JOIN lab.tests t ON t.id = p.id GROUP BY p.sex ORDER BY p.sex"""
    connection = duckdb.connect()
    for name, frame in (("registry.people", people), ("lab.tests", tests)):
        connection.execute(f"CREATE SCHEMA {name.split('.', maxsplit=1)[0]}")
        connection.register("incoming", frame)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    with agencies.make(tmp_path / "w", tables) as network:
        explanation = agencies.ask(network, sql)
        text = explanation.text()
        assert "sends, masked, numbers of each joined row for CORR(t.value, p.age), REGR_SLOPE(t.value, p.age)" in text
        assert "each under a mask of its own" in text
        assert "bytes a joined row" in text
        product = network.run(explanation, grant=network.approve(explanation))
        theirs = connection.execute(sql).fetchall()
        assert [tuple(row.values()) for row in product.to_arrow().to_pylist()] == [
            pytest.approx(row, rel=1e-9) for row in theirs
        ]
        assert {finding.check: finding.verdict for finding in product.findings}["fit"] == "pass"
        sandbox.verify(product.bundle(tmp_path / "bundle"), trust=network.write_trust(tmp_path / "trust.toml"))
