"""Measures of a table of cells: all pass for what the gate releases, and each one sees the fault that it is for."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gate_cases import AGE, RULES, SEX, THRESHOLDS_ONLY, ZONE, Question, Row, plan_of, table_of

from sandbox.gate import CellTable, release
from sandbox.model.certificate import Measurement
from sandbox.model.plan import GateRules, Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.card import product_card
from sandbox.tasks.measured import Measured
from sandbox.tasks.measuring import measure_cells

FUNCTIONS = ("count_rows", "count", "count_keys", "sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop")
BUNDLE = {"rows", "smallest_count", "smallest_rest", "withheld_numbers", "unexplained_nulls", "beyond_bounds", "contradictions"}


def world(seed: int, people: int = 60, *, empty: float = 0.1) -> list[Row]:
    chance = random.Random(seed)
    return [
        {
            "id": person,
            "sex": chance.choice("mf"),
            "age": chance.randrange(3),
            "zone": chance.choice(("north", "south", None)),
            "value": None if chance.random() < empty else chance.randrange(1001),
        }
        for person in range(people)
        for _ in range(chance.choice((1, 1, 2)))
    ]


def product(
    seed: int, rules: GateRules, functions: tuple[str, ...] = FUNCTIONS, **more: Any
) -> tuple[Plan, pa.Table, ProductCard]:
    groups = random.Random(seed).choice([(), (SEX,), (SEX, AGE), (ZONE, SEX)])
    question = Question(groups=groups, functions=functions, unique=False, more=more)
    plan = plan_of(question, rules)
    cells: CellTable = table_of(question, world(seed))
    released = release(plan, cells)
    return plan, released.to_arrow(), product_card(plan, cells, released)


def by_name(measured: Measured) -> dict[tuple[str, str], Measurement]:
    return {(item.name, item.subject): item for item in measured.measures}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([RULES, THRESHOLDS_ONLY]), st.sampled_from([None, 2]))
def test_whatever_the_gate_releases_passes(seed: int, rules: GateRules, limit: int | None) -> None:
    plan, table, card = product(seed, rules, limit=limit)
    measured = measure_cells(plan, table, card)
    assert {item.verdict for item in measured.measures} == {"PASS"}
    assert {item.name for item in measured.measures if item.how == "bundle"} <= BUNDLE
    by_the_gate = [item.name for item in (*measured.measures, *measured.attacks) if getattr(item, "how", "gate") == "gate"]
    assert sorted(by_the_gate) == sorted(item.check for item in card.findings)
    found = [(item.name, item.needs, item.verdict) for item in measured.attacks]
    assert found == [("difference", "history", "PASS"), ("reconstruction", "history", "PASS")]
    assert measured == measure_cells(plan, table, msgspec.structs.replace(card, certificate="sha256:" + "0" * 64))


def test_figures_are_those_of_the_rows() -> None:
    plan, table, card = product(2, THRESHOLDS_ONLY)
    found = by_name(measure_cells(plan, table, card))
    rows = table.to_pylist()
    assert found["rows", "product"].value == str(len(rows))
    assert found["smallest_count", "count_rows"].value == str(min(row["count_rows"] for row in rows if row["count_rows"]))
    assert found["smallest_count", "count"].threshold == "5"
    withheld = sum(int(item.value or 0) for (name, _), item in found.items() if name == "withheld_numbers")
    assert withheld == len(card.withheld)
    assert found["unexplained_nulls", "product"].note.startswith(
        f"{sum(row.count(None) for row in map(list, map(dict.values, rows)))}"
    )


def test_of_a_product_with_nothing_to_measure() -> None:
    question = Question(groups=(SEX,), functions=FUNCTIONS, unique=False)
    plan = plan_of(question)
    cells = CellTable(cells=(), below=())
    released = release(plan, cells)
    found = by_name(measure_cells(plan, released.to_arrow(), product_card(plan, cells, released)))
    assert found["smallest_count", "count_rows"].value is None
    assert {item.verdict for item in found.values()} == {"PASS"}


def changed(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    at = table.column_names.index(column)
    values = table.column(column).to_pylist()
    values[row] = value
    return table.set_column(at, column, pa.array(values, type=table.column(column).type))


@pytest.mark.parametrize(
    ("column", "value", "failed"),
    [
        ("count_rows", 4, "smallest_count"),
        ("count", 4, "smallest_count"),
        ("count_keys", 4, "smallest_count"),
        ("count_rows", None, "unexplained_nulls"),
        ("avg", None, "unexplained_nulls"),
        ("avg", 1000.5, "beyond_bounds"),
        ("avg", -0.5, "beyond_bounds"),
        ("sum", 10**6, "beyond_bounds"),
        ("var_pop", 250_001.0, "beyond_bounds"),
        ("var_pop", -1.0, "beyond_bounds"),
        ("stddev_samp", 900.0, "beyond_bounds"),
        ("avg", 500.0, "contradictions"),
        ("count", 10**6, "contradictions"),
        ("count_keys", 10**6, "contradictions"),
        ("var_samp", 5.0, "contradictions"),
        ("stddev_pop", 5.0, "contradictions"),
    ],
)
def test_every_measure_sees_its_fault(column: str, value: Any, failed: str) -> None:
    question = Question(groups=(SEX,), functions=FUNCTIONS, unique=False)
    plan = plan_of(question)
    cells = table_of(question, world(1, empty=0))
    released = release(plan, cells)
    table, card = released.to_arrow(), product_card(plan, cells, released)
    assert not card.withheld
    blocked = {
        item.name for item in measure_cells(plan, changed(table, column, 0, value), card).measures if item.verdict != "PASS"
    }
    assert failed in blocked
    twice = pa.concat_tables([table, table])
    again = {item.name for item in measure_cells(plan, twice, card).measures if item.verdict != "PASS"}
    assert {"rows", "contradictions"} <= again


def test_what_the_card_hides() -> None:
    """A mark without a withheld cell, a withheld cell without a finding, a check that stopped nothing."""
    seed = next(seed for seed in range(50) if product(seed, THRESHOLDS_ONLY)[2].withheld)
    plan, table, card = product(seed, THRESHOLDS_ONLY)
    replace = msgspec.structs.replace
    silent = tuple(replace(item, verdict="pass", reason=None) for item in card.findings)
    harmless = tuple(replace(item, reason=None) for item in card.findings)
    for other, failed in (
        (replace(card, withheld=(), no_values=()), "unexplained_nulls"),
        (replace(card, marks=card.marks[1:]), "unexplained_nulls"),
        (replace(card, findings=silent), "withheld_numbers"),
        (replace(card, findings=harmless), "secondary"),
        (replace(card, rows=card.rows + 1), "rows"),
    ):
        blocked = {item.name for item in measure_cells(plan, table, other).measures if item.verdict != "PASS"}
        assert failed in blocked, (failed, blocked)


def test_rows_without_a_value_that_two_counts_tell() -> None:
    """The gate withholds COUNT(x) beside COUNT(*) where few rows have none; a table that shows both fails."""
    question = Question(functions=("count_rows", "count"), unique=True)
    rows = [{"id": at, "sex": "m", "age": 1, "zone": None, "value": None if at < 2 else 5} for at in range(40)]
    plan, cells = plan_of(question), table_of(question, rows)
    released = release(plan, cells)
    card = product_card(plan, cells, released)
    assert [item.reason for item in card.withheld] == ["SECONDARY"]
    found = by_name(measure_cells(plan, changed(released.to_arrow(), "count", 0, 38), card))
    assert (found["smallest_rest", "count"].value, found["smallest_rest", "count"].verdict) == ("2", "FAIL")


def test_parts_that_may_share_people_ask_for_more() -> None:
    from sandbox.model.federation import Federation
    from sandbox.tasks.measuring import least_count

    plan, _, card = product(1, RULES)
    three = msgspec.structs.replace(card, sources=card.sources[:1] * 3)
    whole = Federation(name="a.b", version=1, parts=("x.b", "y.b", "z.b"), disjoint=False)
    assert least_count(plan, card, 10) == 10
    assert least_count(msgspec.structs.replace(plan, federation=whole), three, 10) == 28
    apart = msgspec.structs.replace(whole, disjoint=True)
    assert least_count(msgspec.structs.replace(plan, federation=apart), three, 10) == 10
