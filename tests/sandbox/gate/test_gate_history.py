"""Sequences of questions: no combination of all released tables is a population of fewer than k contributors."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs
from scipy.optimize import Bounds, LinearConstraint, milp
from support.gate_cases import (
    AGE,
    SEX,
    ZONE,
    Band,
    Condition,
    Question,
    age_band,
    age_below,
    age_case,
    age_from,
    plan_of,
    selected,
    sex_is,
    table_of,
    zone_in,
)

from sandbox.gate import CellTable, ProviderNote, Release, release
from sandbox.model.expression import ColumnRef, Compare
from sandbox.model.product import ReleaseRecord

K = 5


def people(seed: int, count: int) -> list[dict]:
    """Random people, all with a value but a few."""
    draw = random.Random(seed)
    return [
        {
            "id": number,
            "sex": draw.choice("fm"),
            "age": draw.randrange(6),
            "zone": draw.choice("xyz"),
            "value": None if draw.random() < 0.05 else draw.randrange(1, 50),
        }
        for number in range(count)
    ]


def ask(question: Question, rows: list[dict], history: list[ReleaseRecord]) -> Release:
    answer = release(plan_of(question), table_of(question, rows, K), history)
    history.append(answer.record)
    return answer


def released(question: Question, answer: Release, name: str) -> dict[tuple, object]:
    """Labels -> value of one output column, where it was released."""
    names = [column.name for column in answer.columns]
    width = len(question.groups)
    return {row[:width]: row[names.index(name)] for row in answer.rows if row[names.index(name)] is not None}


DOMAIN = [{"sex": sex, "age": age, "zone": zone} for sex in "fm" for age in range(6) for zone in "xyz"]


def small_population_is_computable(answered: list[tuple[Question, set[tuple]]], rows: list[dict], *, amounts: bool) -> bool:
    """Return whether a set of 1..K-1 people is a rational combination of the released sets. Independent of the gate.

    By mixed-integer programming (HiGHS) over the people's whole domain: v = Mᵀλ with v in {0, 1} on every kind of person that
    may exist, anything on kinds that a missing label shows to be empty, and 1..K-1 real people in v.
    """
    counted = [row for row in rows if row["value"] is not None] if amounts else rows
    sizes = np.array([sum(all(row[name] == kind[name] for name in kind) for row in counted) for kind in DOMAIN])
    free = np.zeros(len(DOMAIN), dtype=bool)
    vectors: list[list[float]] = []
    for question, shown in answered:
        present = selected(question, rows)
        labels = [
            tuple(band.of(kind) for band in question.groups) if all(one.of(kind) for one in question.where) else None
            for kind in DOMAIN
        ]
        free |= np.array([label is not None and label not in present for label in labels])
        vectors += [[float(label == cell) for label in labels] for cell in shown]
    if not vectors:
        return False
    matrix = np.array(vectors)
    count, width = matrix.shape
    result = milp(
        c=np.zeros(count + width),
        constraints=[
            LinearConstraint(np.hstack([matrix.T, -np.eye(width)]), 0, 0),
            LinearConstraint(np.concatenate([np.zeros(count), sizes])[None, :], 1, K - 1),
        ],
        integrality=np.concatenate([np.zeros(count), np.where(free, 0, 1)]),
        bounds=Bounds(
            np.concatenate([np.full(count, -64.0), np.where(free, -1e4, 0)]),
            np.concatenate([np.full(count, 64.0), np.where(free, 1e4, 1)]),
        ),
    )
    return bool(result.success)


BANDS: list[Band] = [SEX, AGE, ZONE, age_band(2), age_band(3), age_case(2), age_case(3), age_case(4)]


def random_question(draw: random.Random) -> Question:
    where = []
    for condition in (age_from(draw.randrange(4)), age_below(draw.randrange(2, 7)), sex_is("f"), zone_in("x", "y")):
        if draw.random() < 0.3:
            where.append(condition)
    groups = tuple(draw.sample(BANDS, draw.choice([0, 1, 1, 2])))
    return Question(groups=groups, where=tuple(where), functions=("count_rows", "sum"))


@pytest.mark.parametrize("seed", range(40))
def test_random_sequences_never_make_a_small_population_computable(seed: int) -> None:
    draw = random.Random(seed)
    rows = people(seed, draw.choice([40, 90, 150]))
    history: list[ReleaseRecord] = []
    counts: list[tuple[Question, set[tuple]]] = []
    amounts: list[tuple[Question, set[tuple]]] = []
    for _ in range(6):
        question = random_question(draw)
        answer = ask(question, rows, history)
        counts.append((question, set(released(question, answer, "count_rows"))))
        amounts.append((question, set(released(question, answer, "sum"))))
    assert not small_population_is_computable(counts, rows, amounts=False)
    assert not small_population_is_computable(amounts, rows, amounts=True)


@pytest.mark.parametrize("seed", range(12))
def test_random_sequences_over_repeating_keys_neither(seed: int) -> None:
    draw = random.Random(seed)
    rows = [
        person | {"value": None if draw.random() < 0.2 else draw.randrange(1, 50)}
        for person in people(seed, draw.choice([40, 90, 150]))
        for _ in range(draw.randrange(1, 4))
    ]
    history: list[ReleaseRecord] = []
    counts: list[tuple[Question, set[tuple]]] = []
    amounts: list[tuple[Question, set[tuple]]] = []
    for _ in range(6):
        question = replace(random_question(draw), functions=draw.choice([("count_rows", "avg"), ("avg",)]), unique=False)
        answer = ask(question, rows, history)
        if "count_rows" in question.functions:
            counts.append((question, set(released(question, answer, "count_rows"))))
        amounts.append((question, set(released(question, answer, "avg"))))
    persons = {row["id"]: row for row in rows}
    with_values = {row["id"]: row for row in rows if row["value"] is not None}
    assert not small_population_is_computable(counts, list(persons.values()), amounts=False)
    assert not small_population_is_computable(amounts, list(with_values.values()), amounts=True)


def test_without_history_such_sequences_do_leak() -> None:
    leaks = 0
    for seed in range(10):
        draw = random.Random(seed)
        rows = people(seed, draw.choice([40, 90, 150]))
        asked = []
        for _ in range(6):
            question = random_question(draw)
            asked.append((question, set(released(question, ask(question, rows, []), "count_rows"))))
        leaks += small_population_is_computable(asked, rows, amounts=False)
    assert leaks >= 5


def crowd(*sizes: tuple[str, int, str, int]) -> list[dict]:
    """People by (sex, age, zone, how many), each with the value 7."""
    kinds = [(sex, age, zone) for sex, age, zone, count in sizes for _ in range(count)]
    return [{"id": n, "sex": sex, "age": age, "zone": zone, "value": 7} for n, (sex, age, zone) in enumerate(kinds)]


COUNT = ("count_rows",)


def reasons(answer: Release) -> list[str]:
    return [entry.reason for entry in answer.withheld]


def test_a_nested_filter_that_isolates_few_is_refused_and_one_that_does_not_passes() -> None:
    rows = crowd(("f", 1, "x", 20), ("f", 2, "x", 3), ("f", 3, "x", 20))
    history: list[ReleaseRecord] = []
    assert reasons(ask(Question(where=(age_from(1),), functions=COUNT), rows, history)) == []
    assert reasons(ask(Question(where=(age_from(2),), functions=COUNT), rows, history)) == []
    assert reasons(ask(Question(where=(age_from(3),), functions=COUNT), rows, history)) == ["DIFFERENCE"]


def test_n_and_n_minus_one_is_refused() -> None:
    rows = crowd(("f", 1, "x", 20), ("m", 1, "x", 1))
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT), rows, history)
    answer = ask(Question(where=(sex_is("f"),), functions=COUNT), rows, history)
    assert reasons(answer) == ["DIFFERENCE"]
    assert answer.nothing_released


def test_a_roll_up_keeps_a_small_group_hidden() -> None:
    rows = crowd(("f", 1, "x", 20), ("f", 1, "y", 3), ("f", 1, "z", 20))
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT), rows, history)
    answer = ask(Question(groups=(ZONE,), functions=COUNT), rows, history)
    assert sorted(reasons(answer)) == ["BELOW_K", "DIFFERENCE"]
    assert len(released(Question(groups=(ZONE,)), answer, "count_rows")) == 1


def test_a_complete_breakdown_of_a_released_total_passes() -> None:
    rows = crowd(("f", 1, "x", 20), ("m", 1, "y", 30), ("f", 2, "z", 25))
    history: list[ReleaseRecord] = []
    for groups in ((), (SEX,), (ZONE,), (SEX, ZONE), (AGE,)):
        assert reasons(ask(Question(groups=groups, functions=COUNT), rows, history)) == []


def test_bands_moved_by_one_year_are_refused_where_few_move() -> None:
    rows = crowd(("f", 1, "x", 20), ("f", 2, "x", 2), ("f", 3, "x", 20))
    history: list[ReleaseRecord] = []
    assert reasons(ask(Question(groups=(age_case(2),), functions=COUNT), rows, history)) == []
    assert set(reasons(ask(Question(groups=(age_case(3),), functions=COUNT), rows, history))) == {"DIFFERENCE"}


def test_the_same_question_gives_the_same_answer_again() -> None:
    rows = people(3, 80)
    history: list[ReleaseRecord] = []
    question = Question(groups=(SEX, AGE), functions=("count_rows", "avg", "stddev_samp"))
    first = ask(question, rows, history)
    second = ask(question, rows, history)
    assert (first.rows, first.withheld) == (second.rows, second.withheld)


def test_amounts_are_judged_by_those_who_have_a_value() -> None:
    rows = crowd(("f", 1, "x", 20), ("m", 1, "x", 20))
    for row in rows[23:]:
        row["value"] = None
    history: list[ReleaseRecord] = []
    functions = ("count_rows", "sum")
    assert reasons(ask(Question(functions=functions), rows, history)) == []
    answer = ask(Question(where=(sex_is("f"),), functions=functions), rows, history)
    assert [(entry.column, entry.reason) for entry in answer.withheld] == [("sum", "DIFFERENCE")]


def test_sum_and_average_in_two_questions_tell_the_count_of_values() -> None:
    rows = crowd(("f", 1, "x", 30))
    rows[0]["value"] = None
    history: list[ReleaseRecord] = []
    assert reasons(ask(Question(functions=("count_rows", "sum")), rows, history)) == []
    assert reasons(ask(Question(functions=("avg",)), rows, history)) == ["DIFFERENCE"]


def test_what_a_pattern_rule_dropped_is_a_population_too() -> None:
    rows = crowd(("f", 1, "x", 30), ("m", 1, "x", 30))
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT), rows, history)
    question = Question(groups=(SEX,), functions=COUNT)
    table = table_of(question, rows[2:], K)
    table = CellTable(cells=table.cells, below=table.below, notes=(ProviderNote(input=0, keys_removed=2, rows_removed=2),))
    answer = release(plan_of(question), table, history)
    assert reasons(answer) == ["DIFFERENCE"]


def test_conditions_beyond_the_model_are_withheld_as_inconclusive() -> None:
    rows = crowd(("f", 1, "x", 30))
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT), rows, history)
    both = Condition(Compare(op="<>", left=ColumnRef(name="sex"), right=ColumnRef(name="zone")), lambda row: True)
    answer = ask(Question(where=(both,), functions=COUNT), rows, history)
    assert reasons(answer) == ["DIFFERENCE"]
    assert {finding.check: finding.verdict for finding in answer.findings}["difference"] == "inconclusive"


def test_other_key_domains_and_other_repeating_assets_are_not_comparable() -> None:
    rows = crowd(("f", 1, "x", 20), ("m", 1, "x", 1))
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT, unique=False), rows, history)
    assert reasons(ask(Question(where=(sex_is("f"),), functions=COUNT), rows, history)) == []


def test_repeating_keys_are_judged_by_a_proved_number_of_keys() -> None:
    """20 people with one row each, one person with 30 rows: the difference has many rows and one contributor."""
    rows = crowd(("f", 1, "x", 20)) + [{"id": 99, "sex": "m", "age": 1, "zone": "x", "value": 7} for _ in range(30)]
    history: list[ReleaseRecord] = []
    ask(Question(functions=COUNT, unique=False), rows, history)
    answer = ask(Question(where=(sex_is("f"),), functions=COUNT, unique=False), rows, history)
    assert reasons(answer) == ["DIFFERENCE"]


def test_a_changed_declaration_does_not_reset_the_history_but_changed_data_do() -> None:
    rows = crowd(("f", 1, "x", 20), ("m", 1, "x", 1))
    first = release(plan_of(Question(functions=COUNT)), table_of(Question(functions=COUNT), rows, K)).record
    question = Question(where=(sex_is("f"),), functions=COUNT)
    newer = plan_of(question)
    newer = structs.replace(newer, inputs=tuple(structs.replace(one, asset_version=2) for one in newer.inputs))
    assert reasons(release(newer, table_of(question, rows, K), [first])) == ["DIFFERENCE"]
    grown = crowd(("f", 1, "x", 40), ("m", 1, "x", 1))
    total = plan_of(Question(functions=COUNT))
    total = structs.replace(total, inputs=tuple(structs.replace(one, asset_version=2) for one in total.inputs))
    assert reasons(release(total, table_of(Question(functions=COUNT), grown, K), [first])) == []


def test_ordinary_tables_over_each_other_are_released() -> None:
    """Two-way tables, finer bands and a nested filter, all cells large: nothing is withheld."""
    draw = random.Random(1)
    rows = [
        {"id": n, "sex": draw.choice("fm"), "age": draw.randrange(60), "zone": draw.choice("abcdef"), "value": 1 + n % 90}
        for n in range(6000)
    ]
    history: list[ReleaseRecord] = []
    functions = ("count_rows", "avg", "stddev_samp")
    for question in (
        Question(groups=(SEX, ZONE), functions=functions),
        Question(groups=(SEX, age_band(10)), functions=functions),
        Question(groups=(age_band(5),), functions=functions),
        Question(groups=(SEX,), where=(age_from(40),), functions=functions),
    ):
        assert reasons(ask(question, rows, history)) == []
