"""Totals of federated tables: what is released equals DuckDB on the union; vectors hide which labels a part has."""

from __future__ import annotations

import itertools
import os
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import federated

from sandbox.errors import SourceError, UsageError
from sandbox.gate.cells import Cell, Moments, persons
from sandbox.gate.checks import dominance, minimum_keys
from sandbox.gate.checks.outcome import Subject
from sandbox.gate.release import release
from sandbox.model.plan import Aggregate, GateRules, Measure
from sandbox.tasks.adding import METHOD, planned_params
from sandbox.tasks.totals import Entry, layout_of, part_vector, totals_table
from sandbox.tasks.totals import _digits as digits  # the one place where numbers are cut

CASES = int(os.environ.get("SANDBOX_ORACLE_CASES", "60"))


def key(row: tuple[Any, ...], width: int) -> tuple[Any, ...]:
    return tuple((value is None, str(type(value)), value if value is not None else 0) for value in row[:width])


def same(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None:
        return ours is None and theirs is None
    if isinstance(ours, float):
        return ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-12)
    return Fraction(ours) == Fraction(theirs)


@pytest.mark.parametrize("seed", range(CASES))
def test_released_values_equal_the_union(seed: int) -> None:
    chance = random.Random(seed)
    case = federated.make_case(chance)
    plan = case.plan()
    vectors = case.vectors(plan)
    kept = sorted(chance.sample(range(len(vectors)), chance.randint(3, len(vectors))))
    total = np.sum([vectors[at] for at in kept], axis=0)
    released = release(plan, totals_table(plan, total, kept))
    expected = case.union([plan.inputs[at].asset for at in kept])
    ours = sorted(released.rows, key=lambda row: key(row, case.groups))
    theirs = sorted(expected, key=lambda row: key(row, case.groups))
    assert len(ours) == len(theirs)
    for mine, true in zip(ours, theirs, strict=True):
        assert key(mine, case.groups) == key(true, case.groups)
        for value, truth in zip(mine[case.groups :], true[case.groups :], strict=True):
            if value is None and truth is not None:
                raise AssertionError(f"withheld without a rule: {released.findings}")
            assert same(value, truth), case.sql
    assert all(finding.verdict == "pass" for finding in released.findings)


@pytest.mark.parametrize("seed", range(8))
def test_functions_of_two_columns_equal_the_union(seed: int) -> None:
    """Every part multiplies its own rows, so that CORR and its like are sums as well."""
    chance = random.Random(seed)
    assets = federated.assets_of(3)
    tables = {name: federated.people(chance, 40, range(1000 * at, 1000 * at + 40)) for at, name in enumerate(assets)}
    sql = f"SELECT sex AS g0, {', '.join(federated.PAIRS)}, COUNT(*) FROM {federated.NAME} t GROUP BY sex ORDER BY sex"
    case = federated.Case(tables, assets, federated.federated(assets, disjoint=True), sql, 1)
    plan = case.plan()
    released = release(plan, totals_table(plan, np.sum(case.vectors(plan), axis=0), [0, 1, 2]))
    assert not released.withheld
    for mine, true in zip(released.rows, case.union(), strict=True):
        assert mine[0] == true[0]
        assert list(mine[1:]) == pytest.approx([float(value) for value in true[1:]], rel=1e-9)


def test_every_part_sends_every_cell() -> None:
    """Neither length nor bound of a vector depends on a part's rows: they follow from the plan alone."""
    case = federated.make_case(random.Random(4))
    plan = case.plan()
    layout = layout_of(plan)
    params = planned_params(plan)
    for vector in case.vectors(plan):
        assert vector.shape == (layout.length,) == (params.length,)
        assert np.abs(vector).max(initial=0) <= layout.bound == params.bound


@given(st.integers(-(10**38), 10**38), st.integers(0, 10**38))
def test_digits_put_together_are_the_number(value: int, bound: int) -> None:
    entry = Entry("s_0", max(bound, abs(value)))
    found = digits(value, entry)
    assert sum(digit << (48 * place) for place, digit in enumerate(found)) == value
    assert len(found) == entry.digits
    assert all(abs(digit) <= (1 << 47) if entry.digits > 1 else abs(digit) <= entry.bound for digit in found)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_sums_of_digits_are_digits_of_sums(data: st.DataObject) -> None:
    bound = data.draw(st.integers(1, 10**38))
    values = data.draw(st.lists(st.integers(-bound, bound), min_size=1, max_size=30))
    entry = Entry("s_0", bound)
    total = [sum(column) for column in zip(*(digits(value, entry) for value in values), strict=True)]
    assert all(abs(digit) < 1 << 63 for digit in total)
    assert sum(digit << (48 * place) for place, digit in enumerate(total)) == sum(values)


def test_labels_beyond_the_declaration_are_refused_with_a_count() -> None:
    case = federated.make_case(random.Random(0))
    plan = federated.compiled(f"SELECT age, COUNT(*) FROM {federated.NAME} t GROUP BY age", case.assets, case.federation)
    table = pa.table({"group_0": [200, 3], "m": [7, 1], "persons": [7, 1]})
    with pytest.raises(SourceError, match=r"p1\.people: 7 rows have group labels beyond"):
        part_vector(plan, 1, table)


def test_totals_that_no_honest_parts_have_are_refused() -> None:
    case = federated.make_case(random.Random(0))
    plan = federated.compiled(f"SELECT zone, COUNT(*) FROM {federated.NAME} t GROUP BY zone", case.assets, case.federation)
    total = np.zeros(layout_of(plan).length, dtype=np.int64)
    total[1] = 1
    with pytest.raises(UsageError, match="inconsistent totals"):
        totals_table(plan, total, [0, 1, 2])


def test_a_cell_of_people_who_may_be_the_same_needs_more_keys() -> None:
    """⌈N/n⌉ people at least: of 4 parts that may share people, k = 5 needs 17 keys; of disjoint ones 5."""
    rules = GateRules(profile="t", version=1, min_keys=5, min_contributors=5, min_pattern=5, min_list=0)
    case = federated.make_case(random.Random(1), disjoint=False)
    assets = federated.assets_of(4)
    for disjoint, least in ((False, 17), (True, 5)):
        table = federated.federated(assets, disjoint=disjoint)
        plan = federated.compiled(f"SELECT sex, COUNT(*) FROM {federated.NAME} t GROUP BY sex", assets, table, rules)
        for keys in (least - 1, least):
            total = np.array([keys, keys, 0, 0, 0, 0], dtype=np.int64)
            found = totals_table(plan, total, [0, 1, 2, 3])
            assert len(found.cells) == (keys == least)
            assert found.below == (() if keys == least else ((0,),))
    assert case.federation.disjoint is False


@settings(max_examples=300, deadline=None)
@given(
    amounts=st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=4), min_size=1, max_size=40),
    overlap=st.integers(1, 4),
)
def test_dominance_over_parts_that_share_people_is_never_understated(amounts: list[list[int]], overlap: int) -> None:
    """Each person has an amount in up to `overlap` parts: whatever passes holds for people, by their true totals."""
    people = [sum(parts[:overlap]) for parts in amounts]
    pieces = [piece for parts in amounts for piece in parts[:overlap]]
    moments = Moments(
        contributors=len(pieces),
        count=len(pieces),
        sum=sum(pieces),
        squares=sum(piece**2 for piece in pieces),
        contribution_squares=sum(piece**2 for piece in pieces),
        absolute_sum=sum(pieces),
    )
    rules = GateRules(profile="t", version=1, min_keys=1, min_contributors=1, min_pattern=1, min_list=0)
    measure = Measure(column="x", type="integer", needs_sum=True, needs_squares=True, bound=50, lowest="0", highest="50")
    subject = Subject(
        rules=rules,
        cell=Cell(labels=(), keys=len(pieces), rows=len(pieces)),
        aggregate=Aggregate(function="sum", input=0, measure=0),
        measure=measure,
        moments=moments,
        overlap=overlap,
    )
    if dominance.check(subject).verdict == "pass":
        first, second = sorted([*people, 0], reverse=True)[:2]
        total = sum(people)
        assert 100 * first <= 50 * total
        assert 100 * (first + second) <= 67 * total
        assert 110 * first + 100 * second <= 100 * total


def test_the_fewest_people_behind_keys() -> None:
    for keys, overlap in itertools.product(range(30), range(1, 6)):
        least = min(count for count in range(keys + 1) if count * overlap >= keys)
        assert persons(keys, overlap) == least
    subject = Subject(
        rules=federated.LOOSE,
        cell=Cell(labels=("a",), keys=0, rows=0),
        aggregate=Aggregate(function="count_rows"),
        measure=None,
        moments=None,
    )
    assert minimum_keys.check(subject).reason == "BELOW_K"


def test_what_a_plan_shows_and_costs() -> None:
    plan = federated.make_case(random.Random(2)).plan()
    found = METHOD.disclosure(plan)
    assert found.protocol == plan.protocol == "aggregation/1"
    assert {item.fact for item in found.learned if item.visibility == "by_design"} == {
        "participants",
        "vector_length",
        "released_aggregate",
    }
    (cost,) = METHOD.cost(plan)
    assert cost.per == "session"
    assert cost.bytes > 4 * layout_of(plan).length
    assert "secure aggregation" in METHOD.title(plan)
