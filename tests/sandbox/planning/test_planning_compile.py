"""Golden plans: what questions compile to, what they read, who carries COUNT(*), and how they are described."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from planning_assets import ASSETS, EVENTS, HEALTH, MEASUREMENTS, PATIENTS, compiled

from sandbox.errors import UsageError
from sandbox.model.canonical import canonical, digest, parse
from sandbox.model.expression import (
    AggregateRef,
    ColumnRef,
    Compare,
    FloorDivide,
    GroupRef,
    In,
    IsNull,
    Literal,
    Logic,
    Not,
)
from sandbox.model.plan import Order, Plan
from sandbox.planning import describe, fragment, profiles, rules_for
from sandbox.tasks.protocol import join_params

JOINS = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id JOIN hospital.events e ON e.id = p.id"
GOLDEN = Path(__file__).parent / "golden_health.json"


def test_health_question_is_the_golden_plan() -> None:
    plan = compiled(HEALTH)
    assert json.loads(canonical(plan)) == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert parse(canonical(plan), Plan, what="plan") == plan


def test_the_same_question_has_the_same_digest() -> None:
    assert compiled(HEALTH).digest() == compiled(HEALTH).digest()
    assert compiled(HEALTH).digest() != compiled(HEALTH + " LIMIT 5").digest()


def test_only_needed_columns_are_read() -> None:
    plan = compiled(f"SELECT COUNT(*), VAR_SAMP(l.value), AVG(l.value), SUM(l.price) {JOINS} WHERE p.age > 3 GROUP BY e.event")
    uses = {f"{use.asset}.{use.column}": use.uses for use in plan.uses}
    assert uses == {
        "registry.patients.id": ("join_key",),
        "registry.patients.age": ("filter",),
        "lab.measurements.id": ("join_key",),
        "lab.measurements.value": ("mean", "variance"),
        "lab.measurements.price": ("sum",),
        "hospital.events.id": ("join_key",),
        "hospital.events.event": ("group",),
    }
    everything = {f"{name}.{column.name}" for name in ("registry.patients", "lab.measurements", "hospital.events")
                  for column in ASSETS[name].columns}  # fmt: skip
    assert set(plan.dropped) | set(uses) == everything
    assert not set(plan.dropped) & set(uses)


def test_columns_of_having_and_order_by_are_used_too() -> None:
    plan = compiled(f"SELECT COUNT(*) AS n {JOINS} HAVING SUM(l.price) > 0.5 ORDER BY AVG(l.repeats)")
    uses = {use.column: use.uses for use in plan.uses if use.asset == "lab.measurements"}
    assert uses == {"id": ("join_key",), "price": ("sum",), "repeats": ("mean",)}
    assert [aggregate.function for aggregate in plan.aggregates] == ["count_rows", "sum", "avg"]
    assert plan.having == Compare(op=">", left=AggregateRef(index=1), right=Literal(type="decimal", value="0.5"))
    assert plan.order_by == (Order(by=AggregateRef(index=2)),)


@pytest.mark.parametrize(
    ("aggregate", "unique", "carries", "opens"),
    [
        # measures at the laboratory, whose keys repeat: its own multiplicity stays encrypted
        ("AVG(l.value)", (True, False, False), 1, (False, False, True)),
        ("AVG(l.value)", (True, True, False), 1, (False, False, True)),
        ("AVG(l.value)", (True, True, True), 1, (False, False, False)),
        # measures at two: each is weighted by the other
        ("AVG(l.value), SUM(p.age)", (True, False, False), 1, (False, True, True)),
        ("AVG(l.value), SUM(p.age)", (False, True, True), 0, (True, False, False)),
        # no measures: the first whose keys repeat
        ("COUNT(DISTINCT p.id)", (True, False, False), 1, (False, False, True)),
        ("COUNT(DISTINCT p.id)", (True, True, True), 0, (False, False, False)),
    ],
)
def test_who_carries_the_count(aggregate: str, unique: tuple[bool, ...], carries: int, opens: tuple[bool, ...]) -> None:
    given = [
        msgspec.structs.replace(asset, unique=flag)
        for asset, flag in zip((PATIENTS, MEASUREMENTS, EVENTS), unique, strict=True)
    ]
    plan = compiled(f"SELECT COUNT(*), {aggregate} {JOINS}", {asset.name: asset for asset in given})
    assert [part.carries for part in plan.inputs] == [index == carries for index in range(3)]
    assert tuple(part.opens_multiplicity for part in plan.inputs) == opens


def test_conditions_are_typed_trees() -> None:
    plan = compiled(
        f"SELECT COUNT(*) {JOINS} WHERE NOT p.age BETWEEN 18 AND -2.50 AND l.test NOT IN ('a', 'b''c') AND NOT p.insured "
        "AND (l.taken IS NOT NULL OR l.days // 7 = 3) AND 40 <= p.age AND p.born <> DATE '2026-01-31'"
    )
    age = ColumnRef(name="age")
    between = Logic(
        op="and",
        terms=(
            Compare(op=">=", left=age, right=Literal(type="integer", value="18")),
            Compare(op="<=", left=age, right=Literal(type="decimal", value="-2.50")),
        ),
    )
    true = Literal(type="boolean", value="true")
    assert plan.inputs[0].filters == (
        Not(operand=between),
        Not(operand=Compare(op="=", left=ColumnRef(name="insured"), right=true)),
        Compare(op="<=", left=Literal(type="integer", value="40"), right=age),
        Compare(op="<>", left=ColumnRef(name="born"), right=Literal(type="date", value="2026-01-31")),
    )
    texts = (Literal(type="text", value="a"), Literal(type="text", value="b'c"))
    week = FloorDivide(operand=ColumnRef(name="days"), divisor=7)
    either = (
        IsNull(operand=ColumnRef(name="taken"), negated=True),
        Compare(op="=", left=week, right=Literal(type="integer", value="3")),
    )
    assert plan.inputs[1].filters == (
        In(operand=ColumnRef(name="test"), options=texts, negated=True),
        Logic(op="or", terms=either),
    )


def test_aliases_and_ordinals_as_duckdb_reads_them() -> None:
    plan = compiled(
        f"SELECT p.age // 10 AS band, e.event, COUNT(*) AS n {JOINS} GROUP BY band, 2 "
        "HAVING n > 5 AND p.age // 10 < 9 AND e.event IS NOT NULL ORDER BY 3 DESC, band NULLS FIRST, AVG(l.value) LIMIT 7"
    )
    assert [group.name for group in plan.groups] == ["band", "event"]
    assert plan.having == Logic(
        op="and",
        terms=(
            Compare(op=">", left=AggregateRef(index=0), right=Literal(type="integer", value="5")),
            Compare(op="<", left=GroupRef(index=0), right=Literal(type="integer", value="9")),
            IsNull(operand=GroupRef(index=1), negated=True),
        ),
    )
    assert plan.order_by == (
        Order(by=AggregateRef(index=0), descending=True),
        Order(by=GroupRef(index=0), nulls_first=True),
        Order(by=AggregateRef(index=1)),
    )
    assert plan.limit == 7


def test_in_group_by_and_having_a_column_wins_over_an_alias() -> None:
    plan = compiled(f"SELECT p.age AS male, COUNT(*) AS n {JOINS} GROUP BY p.age, male HAVING male = 1 ORDER BY male")
    assert [part.expression for part in plan.inputs[0].groups] == [ColumnRef(name="age"), ColumnRef(name="male")]
    assert plan.having == Compare(op="=", left=GroupRef(index=1), right=Literal(type="integer", value="1"))
    assert plan.order_by == (Order(by=GroupRef(index=0)),)
    assert len({group.name for group in plan.groups}) == 2


def test_names_without_aliases() -> None:
    plan = compiled(f"SELECT City, p.age // 10, COUNT(*), COUNT(DISTINCT p.id), AVG(l.value) {JOINS} GROUP BY city, 2")
    assert [item.name for item in plan.select] == ["City", "age // 10", "count_star()", "count(DISTINCT id)", "avg(value)"]


def test_functions_of_two_columns_across_providers_and_at_one() -> None:
    tables = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id"
    items = "CORR(l.value, p.age), REGR_SLOPE(l.repeats, l.value) AS b, AVG(l.value)"
    plan = compiled(f"SELECT {items} {tables} HAVING COVAR_POP(p.age, l.value) > 0")
    assert [item.name for item in plan.select] == ["corr(value, age)", "b", "avg(value)"]
    lab = [(one.column, one.given, one.times) for one in plan.inputs[1].measures]
    assert lab == [("value", None, None), ("value", "repeats", 2), ("repeats", "value", None), ("value", "repeats", None)]
    places = [(item.function, item.input, item.measure, item.other_input, item.other_measure) for item in plan.aggregates]
    assert places == [
        ("corr", 1, 0, 0, 0),
        ("regr_slope", 1, 2, 1, 3),
        ("avg", 1, 0, None, None),
        ("covar_pop", 0, 0, 1, 0),
    ]
    uses = {(item.asset, item.column): item.uses for item in plan.uses}
    assert uses["lab.measurements", "value"] == ("mean", "moments")
    assert uses["registry.patients", "age"] == ("moments",)
    assert uses["lab.measurements", "repeats"] == ("moments",)
    product = plan.inputs[1].measures[1]
    assert product.needs_sum
    assert not product.needs_squares
    found = fragment(plan, 1, asset=ASSETS["lab.measurements"])
    assert [check.name for check in found.counts if check.kind == "out_of_bounds"] == [f"out_of_bounds_{n}" for n in (0, 2, 3)]


def test_what_the_join_multiplies_and_what_it_only_adds_up() -> None:
    tables = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id"
    masked = join_params(compiled(f"SELECT CORR(l.value, p.age) {tables}"), "key")
    assert [(spec.left, spec.right, spec.nulls, spec.dominance) for spec in masked.products] == [((0, 0), (1, 0), True, True)]
    assert [measure.sums for provider in masked.providers for measure in provider.measures] == [False, False]
    complete = " WHERE l.value IS NOT NULL AND p.age IS NOT NULL"
    summed = join_params(compiled(f"SELECT COVAR_POP(l.value, p.age) {tables}{complete}"), "key")
    assert [(spec.nulls, spec.dominance) for spec in summed.products] == [(False, False)]
    assert [(m.sums, m.squares, m.dominance) for provider in summed.providers for m in provider.measures] == [(True,) * 3] * 2
    half = join_params(compiled(f"SELECT CORR(l.value, p.age) {tables} WHERE l.value IS NOT NULL"), "key")
    assert half.products[0].nulls
    assert not join_params(compiled(f"SELECT CORR(l.value, l.repeats) {tables}"), "key").products


def test_where_no_row_lacks_a_value_one_table_multiplies_its_plain_measures() -> None:
    tables = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id"
    complete = "WHERE l.value IS NOT NULL AND l.repeats IS NOT NULL"
    plan = compiled(f"SELECT CORR(l.value, l.repeats), AVG(l.value) {tables} {complete}")
    lab = [(one.column, one.given, one.times) for one in plan.inputs[1].measures]
    assert lab == [("value", "repeats", 2), ("value", None, None), ("repeats", None, None)]
    params = join_params(plan, "key")
    assert [(m.sums, m.squares, m.dominance) for m in params.providers[1].measures] == [
        (True, False, False),
        *[(True,) * 3] * 2,
    ]


def test_joins_in_any_shape() -> None:
    for joins in (
        "registry.patients p JOIN lab.measurements l USING (id) JOIN hospital.events e USING (id)",
        "registry.patients p INNER JOIN lab.measurements l ON (p.id = l.id) JOIN hospital.events e ON ((l.id = e.id))",
        "registry.patients JOIN lab.measurements ON patients.id = measurements.id JOIN hospital.events e ON e.id = patients.id",
    ):
        assert len(compiled("SELECT COUNT(*) FROM " + joins).inputs) == 3
    for joins in (
        "airline.flights f JOIN met.weather w ON w.day = f.day AND f.origin = w.origin",
        "airline.flights f JOIN met.weather w USING (day, origin)",
    ):
        plan = compiled("SELECT COUNT(DISTINCT (w.day, w.origin)) AS k, AVG(f.delay) FROM " + joins)
        assert [part.key for part in plan.inputs] == [("origin", "day")] * 2
        assert plan.inputs[0].measures[0].clip


def test_bounds_become_integers() -> None:
    plan = compiled(f"SELECT SUM(l.value), VAR_POP(l.price), COUNT(l.test), AVG(l.repeats) {JOINS}")
    value, price, test, repeats = plan.inputs[1].measures
    assert (value.bound, value.scale, value.needs_sum, value.needs_squares) == (200 * 65536, 65536, True, False)
    assert (price.bound, price.needs_squares) == (100_000, True)
    assert (test.bound, test.needs_sum, test.lowest) == (0, False, None)
    assert (repeats.bound, repeats.lowest, repeats.highest) == (50, "-50", "50")


def test_plan_names_the_declarations_that_it_was_made_for() -> None:
    plan = compiled(HEALTH)
    assert [part.asset_digest for part in plan.inputs] == [digest(asset) for asset in (PATIENTS, MEASUREMENTS, EVENTS)]
    assert [part.asset_version for part in plan.inputs] == [1, 3, 2]


def test_description_says_what_is_read_and_what_is_not() -> None:
    plan = compiled(HEALTH + " HAVING COUNT(*) >= 20 ORDER BY n DESC LIMIT 3")
    lines = [(line.step, line.subject, line.text) for line in describe(plan)]
    assert ("read", "lab", "reads id, test, value of lab.measurements (version 3)") in lines
    assert ("filter", "lab", "keeps rows where test = 'hdl'") in lines
    assert ("drop", "hospital", "does not read days") in lines
    assert any("at least 10 keys in a cell" in text for _, _, text in lines)
    answers = [text for step, _, text in lines if step == "answer"]
    assert answers[1:4] == [
        "then keeps rows where COUNT(*) >= 20",
        "then sorts by COUNT(*) DESC NULLS LAST",
        "then keeps the first 3 rows",
    ]
    assert all(text.isprintable() for _, _, text in lines)


def test_profiles() -> None:
    controlled, open_release = rules_for("statistics-controlled"), rules_for("statistics-open")
    assert (controlled.min_keys, controlled.min_contributors, controlled.min_pattern, controlled.min_list) == (10, 10, 10, 100)
    assert (open_release.min_keys, open_release.min_list, open_release.version) == (20, 100, 1)
    assert (controlled.dominance_1, controlled.dominance_2, controlled.p_percent) == (50, 67, 10)
    released = ["release-controlled", "release-open"]
    noised = ["statistics-noised", "statistics-noised-shares", "statistics-noised-laplace"]
    everything = ["statistics-controlled", "statistics-open", *noised, "model-controlled", *released]
    assert [profile.name for profile in profiles()] == everything
    assert [rules_for(name).noise.where for name in noised] == ["gate", "shares", "gate"]  # type: ignore[union-attr]
    assert {rules_for(name).dominance_1 for name in (*noised, "model-controlled")} == {None}
    assert [profile.name for profile in profiles() if profile.rules.model is not None] == ["model-controlled"]
    for name, k in zip(released, (5, 11), strict=True):
        risk = rules_for(name).risk
        assert risk is not None
        assert (risk.k, risk.l, risk.t, risk.linkage, rules_for(name).min_keys) == (k, 2, "0.2", "0.09", k)
        assert "EMA policy 0070" in risk.source
    with pytest.raises(UsageError, match="statistics-controlled, statistics-open"):
        rules_for("statistics")
