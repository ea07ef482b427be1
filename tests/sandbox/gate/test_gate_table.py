"""HAVING, ORDER BY and LIMIT: as DuckDB where nothing is withheld, and blind to withheld values where something is."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from scipy.optimize import linprog
from support.gate_cases import AGE, RULES, SEX, ZONE, Question, number, plan_of, selected, table_of

from sandbox.gate import CellTable, release
from sandbox.model.expression import AggregateRef, Compare, Expression, GroupRef, In, IsNull, Literal, Logic, Not
from sandbox.model.plan import Order, Plan

FUNCTIONS = ("count_rows", "sum", "avg")
COUNT, SUM, MEAN = (AggregateRef(index=index) for index in range(3))
K = 5


def having_cases() -> list[tuple[Expression | None, str]]:
    half = Literal(type="decimal", value="14.5")
    return [
        (None, ""),
        (Compare(op=">=", left=COUNT, right=number(7)), "HAVING COUNT(*) >= 7"),
        (Compare(op="<", left=MEAN, right=half), "HAVING AVG(value) < 14.5"),
        (
            Logic(op="or", terms=(IsNull(operand=SUM), Compare(op=">", left=number(200), right=SUM))),
            "HAVING SUM(value) IS NULL OR 200 > SUM(value)",
        ),
        (
            Not(operand=In(operand=GroupRef(index=0), options=(Literal(type="text", value="f"),))),
            "HAVING NOT (sex IN ('f'))",
        ),
    ]


ORDERS = [
    ((), ""),
    ((Order(by=COUNT, descending=True), Order(by=GroupRef(index=1))), "ORDER BY COUNT(*) DESC, age, sex"),
    ((Order(by=GroupRef(index=0)), Order(by=MEAN)), "ORDER BY sex, AVG(value), age"),
    ((Order(by=SUM, nulls_first=True, descending=True),), "ORDER BY SUM(value) DESC NULLS FIRST, sex, age"),
]

rows_strategy = st.lists(
    st.builds(
        lambda sex, age, value: {"sex": sex, "age": age, "zone": "x", "value": value},
        st.sampled_from(["f", "m", None]),
        st.integers(0, 2),
        st.one_of(st.none(), st.integers(0, 30)),
    ),
    max_size=50,
)


@settings(max_examples=60, deadline=None)
@given(rows_strategy, st.sampled_from(having_cases()), st.sampled_from(ORDERS), st.sampled_from([None, 0, 2, 100]))
def test_as_duckdb_where_nothing_is_withheld(drawn, having, order, limit) -> None:
    rows = [dict(row, id=number) for number, row in enumerate(drawn)]
    open_rules = structs.replace(RULES, min_keys=1, min_contributors=1, dominance_1=None, dominance_2=None, p_percent=None)
    question = Question(
        groups=(SEX, AGE), functions=FUNCTIONS, more={"having": having[0], "order_by": order[0], "limit": limit}
    )
    answer = release(plan_of(question, open_rules), table_of(question, rows, 1))
    assert answer.withheld == ()
    schema = pa.schema([("sex", pa.string()), ("age", pa.int64()), ("value", pa.int64())])
    pooled = pa.table({name: [row[name] for row in rows] for name in schema.names}, schema=schema)
    with duckdb.connect() as connection:
        connection.register("pooled", pooled)
        tail = f"LIMIT {limit}" if limit is not None else ""
        sorting = order[1] or "ORDER BY sex, age"
        sql = f"SELECT sex, age, COUNT(*), SUM(value), AVG(value) FROM pooled GROUP BY sex, age {having[1]} {sorting} {tail}"
        expected = connection.execute(sql).fetchall()
    assert [tuple(line) for line in answer.rows] == expected


def crowd(*sizes: tuple[str, int, int]) -> list[dict]:
    """People by (sex, how many, value)."""
    kinds = [(sex, value) for sex, count, value in sizes for _ in range(count)]
    return [{"id": n, "sex": sex, "age": 1, "zone": "x", "value": value + n % 3} for n, (sex, value) in enumerate(kinds)]


def asked(rows: list[dict], rules=RULES, **more) -> tuple[Plan, list[tuple]]:
    plan = plan_of(Question(groups=(SEX,), functions=FUNCTIONS, more=more), rules)
    answer = release(plan, table_of(Question(groups=(SEX,), functions=FUNCTIONS), rows, K))
    return answer, [line[:2] for line in answer.rows]


@pytest.mark.parametrize("having", [case for case, _ in having_cases()])
def test_having_never_drops_a_withheld_cell(having) -> None:
    _, shown = asked(crowd(("f", 3, 10), ("m", 2, 10)), having=having)
    assert shown == [("f", None), ("m", None)]


def test_having_that_reads_a_withheld_value_leaves_the_cell() -> None:
    rows = [*crowd(("f", 10, 10), ("m", 10, 10))]
    rows[0]["value"] = 900
    over = Compare(op=">", left=SUM, right=number(100_000))
    answer, shown = asked(rows, having=over)
    assert shown == [("f", 10)]
    assert {(entry.column, entry.reason) for entry in answer.withheld} == {("sum", "DOMINANCE"), ("avg", "DOMINANCE")}
    _, shown = asked(rows, having=Compare(op=">", left=COUNT, right=number(100)))
    assert shown == []


@pytest.mark.parametrize("hidden", [1, 4])
def test_rank_and_presence_do_not_depend_on_a_withheld_value(hidden: int) -> None:
    rows = crowd(("f", 30, 10), ("m", 20, 10), ("a", hidden, 1000 * hidden))
    for by in (COUNT, SUM):
        for descending in (False, True):
            answer, shown = asked(rows, order_by=(Order(by=by, descending=descending),))
            assert shown[-1] == ("a", None)
            assert len(shown) == 3
            cut, shown = asked(rows, order_by=(Order(by=by, descending=descending),), limit=2)
            assert {sex for sex, _ in shown} == {"f", "m"}
            assert cut.withheld == answer.withheld


def test_the_order_of_arrival_changes_nothing() -> None:
    question = Question(groups=(SEX, ZONE), functions=FUNCTIONS)
    rows = [{"id": n, "sex": "fm"[n % 2], "age": 1, "zone": "xyz"[n % 3], "value": n % 9} for n in range(70)]
    table = table_of(question, rows, K)
    turned = CellTable(cells=table.cells[::-1], below=table.below[::-1])
    assert release(plan_of(question), table) == release(plan_of(question), turned)


def test_arrow_types() -> None:
    answer, _ = asked(crowd(("f", 30, 10), ("m", 2, 10)))
    table = answer.to_arrow()
    assert table.schema.types == [pa.string(), pa.int64(), pa.decimal128(38, 0), pa.float64()]
    assert table.column("sum").to_pylist() == [Decimal(330), None]
    assert table.column("count_rows").to_pylist() == [30, None]


@settings(max_examples=40, deadline=None)
@given(rows_strategy)
def test_no_withheld_number_follows_from_the_released_ones_by_linear_programming(drawn) -> None:
    """Unknown per cell: rows with and without a value (n, m) and their sum s. No withheld one of them is a single point.

    COUNT(*) = n + m, COUNT(x) = n, SUM = s, AVG: s = mean·n; amounts within their bounds. Cells below k: 1..k−1 rows.
    """
    rows = [dict(row, id=number, value=row["value"] and row["value"] + 1) for number, row in enumerate(drawn)]
    functions = ("count_rows", "count", "sum", "avg")
    question = Question(groups=(SEX,), functions=functions)
    answer = release(plan_of(question, RULES), table_of(question, rows, K))
    parts = selected(question, rows)
    reasons = {(entry.labels[0].value, entry.column): entry.reason for entry in answer.withheld}
    for label, count, values, total, mean in answer.rows:
        keys = {name: reasons.get((label or "", name)) for name in functions}
        equalities, right = [], []
        for vector, value in (([1, 1, 0], count), ([1, 0, 0], values), ([0, 0, 1], total)):
            if value is not None:
                equalities.append(vector)
                right.append(float(value))
        if mean is not None:
            equalities.append([-mean, 0, 1])
            right.append(0.0)
        limits = {"A_eq": np.array(equalities), "b_eq": right} if equalities else {}
        box = [(0, None), (0, None), (0, None)]
        part = parts[(label,)]
        truth = {"count_rows": len(part), "count": sum(row["value"] is not None for row in part)}
        targets = {"count_rows": [1, 1, 0], "count": [1, 0, 0], "sum": [0, 0, 1]}
        for name, reason in keys.items():
            if reason is None or name == "avg" or (name in truth and truth[name] == 0):
                continue
            inside = {"A_ub": [[-31, 0, 1]], "b_ub": [0.0]}
            low = linprog(np.array(targets[name]), bounds=box, **inside, **limits)
            high = linprog(-np.array(targets[name]), bounds=box, **inside, **limits)
            assert low.status in {0, 3}
            assert high.status == 3 or -high.fun - low.fun > 0.5, (name, reason)
