"""Functions of two columns at the gate: values as DuckDB gives them, contributors, fit, dominance, neighbours and history."""

from __future__ import annotations

import math
import random
from typing import Any

import duckdb
import pytest
from msgspec import structs
from support.gate_cases import RULES, THRESHOLDS_ONLY, Question, contributions, plan_of

from sandbox.errors import UsageError
from sandbox.gate import Cell, CellTable, Moments, PairMoments, Release, release
from sandbox.gate.two_columns import value
from sandbox.model.expression import AggregateRef
from sandbox.model.plan import PAIR_FUNCTIONS, Aggregate, GateRules, Measure, Plan, SelectItem
from sandbox.model.product import ReleaseRecord

PAIR = ((1, 0), (0, 0))
Row = dict[str, Any]


def plan_with(functions: tuple[str, ...], rules: GateRules) -> Plan:
    """`value` at the laboratory is y, `weight` at the registry is x; other functions are of `value`."""
    plan = plan_of(Question(), rules)
    weight = Measure(
        column="weight", type="integer", needs_sum=True, needs_squares=True, bound=10**6, lowest="0", highest="1000"
    )
    aggregates = tuple(
        Aggregate(function=name, input=1, measure=0, other_input=0, other_measure=0)
        if name in PAIR_FUNCTIONS
        else Aggregate(function=name, input=None if name == "count_rows" else 1, measure=None if name == "count_rows" else 0)
        for name in functions
    )
    select = tuple(SelectItem(name=name, source=AggregateRef(index=index)) for index, name in enumerate(functions))
    inputs = (structs.replace(plan.inputs[0], measures=(weight,)), plan.inputs[1])
    return structs.replace(plan, inputs=inputs, aggregates=aggregates, select=select)


def moments_of(rows: list[Row], column: str) -> Moments:
    values = [row[column] for row in rows if row[column] is not None]
    amounts = contributions([row | {"value": row[column]} for row in rows])
    return Moments(
        contributors=len(amounts),
        count=len(values),
        sum=sum(values),
        squares=sum(one * one for one in values),
        contribution_squares=sum(amount * amount for amount in amounts.values()),
    )


def pair_of_rows(rows: list[Row]) -> PairMoments:
    both = [row for row in rows if row["value"] is not None and row["weight"] is not None]
    product = sum(row["value"] * row["weight"] for row in both)
    return PairMoments(first=moments_of(both, "value"), second=moments_of(both, "weight"), product=product)


def table_with(rows: list[Row]) -> CellTable:
    moments = {(1, 0): moments_of(rows, "value"), (0, 0): moments_of(rows, "weight")}
    cell = Cell(
        labels=(), keys=len({row["id"] for row in rows}), rows=len(rows), moments=moments, pairs={PAIR: pair_of_rows(rows)}
    )
    return CellTable(cells=(cell,))


def ask(
    rows: list[Row], *functions: str, rules: GateRules = THRESHOLDS_ONLY, history: tuple[ReleaseRecord, ...] = ()
) -> Release:
    return release(plan_with(functions, rules), table_with(rows), history)


def reasons(answer: Release) -> dict[str, str]:
    return {entry.column: entry.reason for entry in answer.withheld}


def people(count: int, **changes: Any) -> list[Row]:
    return [{"id": n, "value": 20 + n * 37 % 41, "weight": 50 + n * 53 % 29, **changes} for n in range(count)]


@pytest.mark.parametrize("seed", range(60))
def test_values_are_those_of_duckdb_and_null_where_it_has_nan(seed: int) -> None:
    draw = random.Random(seed)
    size, spread = draw.choice((0, 1, 2, 3, 8, 30)), draw.choice((0, 1, 5, 10**6))
    rows = [
        {
            "id": n,
            "value": None if draw.random() < 0.2 else draw.randint(-spread, spread),
            "weight": None if draw.random() < 0.2 else draw.choice((7, draw.randint(-spread, spread))),
        }
        for n in range(size)
    ]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (y DOUBLE, x DOUBLE)")
    for row in rows:
        # Scales of 4 and 10: what DuckDB sees is what the integers stand for.
        y, x = (None if row[name] is None else row[name] / scale for name, scale in (("value", 4), ("weight", 10)))
        connection.execute("INSERT INTO t VALUES (?, ?)", [y, x])
    for function in sorted(PAIR_FUNCTIONS):
        ours = value(function, pair_of_rows(rows), 4, 10)
        (theirs,) = connection.execute(f"SELECT {function}(y, x) FROM t").fetchone()
        if theirs is None or math.isnan(theirs):
            assert ours is None
        elif ours is None:
            # Its doubles see a spread of rounding errors where the integers have none.
            assert len({row["weight"] for row in rows if None not in (row["weight"], row["value"])}) == 1
        else:
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_both_values_of_k_keys_are_needed() -> None:
    rows = [row | ({"weight": None} if row["id"] % 8 else {}) for row in people(32)]
    assert pair_of_rows(rows).first.contributors == 4
    assert reasons(ask(rows, "count_rows", "covar_pop", "corr")) == {"covar_pop": "BELOW_K", "corr": "BELOW_K"}


def test_a_fit_needs_freedom_and_may_not_be_perfect() -> None:
    fits = ("corr", "regr_slope", "regr_intercept", "regr_r2", "covar_pop")
    assert reasons(ask(people(11), *fits)) == dict.fromkeys(fits, "BELOW_K")
    assert reasons(ask(people(12), *fits)) == {}
    line = [row | {"weight": 3 * row["value"] + 1} for row in people(30)]
    assert reasons(ask(line, *fits)) == dict.fromkeys(fits, "DOMINANCE")
    assert reasons(ask(people(30, weight=5), *fits)) == dict.fromkeys(fits, "DOMINANCE")
    assert ask(people(30, weight=None), *fits).rows == ((None,) * 5,)


@pytest.mark.parametrize("column", ["value", "weight"])
def test_one_contributor_that_prevails_in_either_column_withholds(column: str) -> None:
    assert reasons(ask(people(30), "covar_pop", "corr", rules=RULES)) == {}
    rows = [row | ({column: 900_000} if row["id"] == 3 else {}) for row in people(30)]
    assert reasons(ask(rows, "covar_pop", "corr", rules=RULES)) == {"covar_pop": "DOMINANCE", "corr": "DOMINANCE"}


def test_the_later_one_goes_where_few_rows_lie_between_a_pair_and_one_of_its_columns() -> None:
    rows = [row | ({"weight": None} if row["id"] < 2 else {}) for row in people(40)]
    assert reasons(ask(rows, "avg", "corr")) == {"corr": "SECONDARY"}
    assert reasons(ask(rows, "corr", "avg")) == {"avg": "SECONDARY"}
    assert reasons(ask(rows, "count", "corr")) == {}
    many = [row | ({"weight": None} if row["id"] < 5 else {}) for row in people(40)]
    assert reasons(ask(many, "avg", "corr")) == {}


def test_two_covariances_tell_a_count() -> None:
    rows = [row | ({"weight": None} if row["id"] < 2 else {}) for row in people(40)]
    assert reasons(ask(rows, "count_rows", "covar_pop", "covar_samp")) == {"covar_samp": "SECONDARY"}
    assert reasons(ask(rows, "count", "covar_pop", "covar_samp")) == {"covar_samp": "SECONDARY"}
    assert reasons(ask(rows, "covar_pop", "covar_samp")) == {}


def test_history_keeps_the_rows_in_which_both_have_a_value() -> None:
    for missing, expected in ((2, {"corr": "DIFFERENCE"}), (6, {})):
        rows = [row | ({"weight": None} if row["id"] < missing else {}) for row in people(40)]
        first = ask(rows, "avg")
        second = ask(rows, "corr", history=(first.record,))
        assert reasons(second) == expected
        again = ask(rows, "avg", history=(ask(rows, "corr").record,))
        assert reasons(again) == ({"avg": "DIFFERENCE"} if expected else {})
    one = ask(people(40), "corr")
    assert reasons(ask(people(40), "regr_slope", "covar_pop", history=(one.record,))) == {}


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"product": 10**12}, "fit no data"),
        ({"first": Moments(contributors=40, count=39, sum=1, squares=1)}, "contradict each other"),
        ({"first": Moments(contributors=39, count=40, sum=1, squares=1)}, "over different rows"),
        ({"first": Moments(contributors=40, count=40, sum=None, squares=1)}, "lacks sums"),
    ],
)
def test_moments_that_no_honest_run_yields_are_refused(changed: dict[str, Any], match: str) -> None:
    table = table_with(people(40))
    (cell,) = table.cells
    fields = {name: getattr(cell.pairs[PAIR], name) for name in ("first", "second", "product")}
    broken = Cell(labels=(), keys=40, rows=40, moments=cell.moments, pairs={PAIR: PairMoments(**(fields | changed))})
    with pytest.raises(UsageError, match=match):
        release(plan_with(("corr",), THRESHOLDS_ONLY), CellTable(cells=(broken,)))
    lacking = Cell(labels=(), keys=40, rows=40, moments=cell.moments)
    with pytest.raises(UsageError, match="lacks the moments"):
        release(plan_with(("corr",), THRESHOLDS_ONLY), CellTable(cells=(lacking,)))
