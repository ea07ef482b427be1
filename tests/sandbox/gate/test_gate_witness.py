"""Witnesses: they never hide a small population, whatever the solver says; large crossings are decided, repeating keys too."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from scipy.optimize import Bounds, LinearConstraint, milp
from support.gate_cases import SEX, THRESHOLDS_ONLY, ZONE, Question, age_band, plan_of, table_of

from sandbox.gate import Release, release
from sandbox.gate.history import witness
from sandbox.gate.history.indicators import Budget
from sandbox.gate.history.judge import keys_add
from sandbox.gate.history.reduced import Row, joined, reduced
from sandbox.gate.history.space import Released, RowSpace
from sandbox.gate.history.witness import UNIT, Witnesses
from sandbox.model.expression import ColumnRef, Compare, Expression, Literal
from sandbox.model.plan import LocalGroup
from sandbox.model.product import ReleaseRecord

K = 5


def null_space(vectors: Sequence[Sequence[int]], width: int) -> list[list[Fraction]]:
    """What is orthogonal to all vectors, by plain Gauss–Jordan elimination."""
    rows = [[Fraction(value) for value in vector] for vector in vectors]
    pivots: list[int] = []
    for column in range(width):
        found = next((number for number in range(len(pivots), len(rows)) if rows[number][column]), None)
        if found is None:
            continue
        place = len(pivots)
        rows[place], rows[found] = rows[found], rows[place]
        rows[place] = [value / rows[place][column] for value in rows[place]]
        for number in range(len(rows)):
            if number != place and rows[number][column]:
                factor = rows[number][column]
                rows[number] = [value - factor * other for value, other in zip(rows[number], rows[place], strict=True)]
        pivots.append(column)
    free = [column for column in range(width) if column not in pivots]
    return [
        [Fraction(int(column == one)) if column in free else -rows[pivots.index(column)][one] for column in range(width)]
        for one in free
    ]


def combinations(vectors: Sequence[Sequence[int]], width: int) -> list[tuple[int, ...]]:
    """Every 0/1 vector but 0 that is a rational combination of some vectors, by trying all."""
    every = np.array(list(itertools.product((0, 1), repeat=width)))[1:]
    scaled = [
        [int(value * math.lcm(*(one.denominator for one in line))) for value in line] for line in null_space(vectors, width)
    ]
    orthogonal = np.array(scaled, dtype=np.int64).reshape(len(scaled), width)
    return [tuple(vector) for vector in every[~(every @ orthogonal.T).any(axis=1)].tolist()]


def is_safe(populations: Sequence[frozenset[int]], sizes: Sequence[int]) -> bool:
    """Whether no population of 1..K-1 can be computed. What is computed to hold nobody is known to, and told apart no more."""
    left = list(range(len(sizes)))
    while True:
        vectors = [[int(column in population) for column in left] for population in populations]
        found = combinations(vectors, len(left))
        counts = [sum(sizes[column] for column, one in zip(left, vector, strict=True) if one) for vector in found]
        if any(0 < count < K for count in counts):
            return False
        empty = {
            column
            for vector, count in zip(found, counts, strict=True)
            if not count
            for column in itertools.compress(left, vector)
        }
        if not empty:
            return True
        left = [column for column in left if column not in empty]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], list[frozenset[int]]]:
    """Sizes of columns, and populations over them that the threshold lets pass."""
    sizes = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 8, 12, 40]), min_size=3, max_size=9))
    columns = st.frozensets(st.integers(0, len(sizes) - 1), min_size=1)
    asked = draw(st.lists(columns, min_size=1, max_size=9))
    return sizes, [one for one in asked if not 0 < sum(sizes[column] for column in one) < K]


def verdicts(sizes: list[int], asked: list[frozenset[int]]) -> list[tuple[str, bool]]:
    """The space's verdict on each population after those that passed, and the oracle's."""
    space, known, found = RowSpace(k=K, one_row_per_key=True), list[frozenset[int]](), []
    for population in asked:
        count = sum(sizes[column] for column in population)
        verdict = space.extend([Released(columns=population, rows=count, keys=count)])
        found.append((verdict, is_safe([*known, population], sizes)))
        if verdict == "pass":
            known.append(population)
    return found


@settings(max_examples=150, deadline=None)
@given(histories())
def test_verdicts_are_those_of_trying_every_population(history: tuple[list[int], list[frozenset[int]]]) -> None:
    for verdict, safe in verdicts(*history):
        assert verdict == ("pass" if safe else "fail")


@settings(max_examples=100, deadline=None)
@given(histories(), st.integers(0, 2**32), st.sampled_from([0, 1, 3 * UNIT, 2**70]))
def test_no_proposal_can_make_an_unsafe_population_pass(
    history: tuple[list[int], list[frozenset[int]]], seed: int, error: int
) -> None:
    draw, honest = random.Random(seed), witness._System.propose

    def lies(system: witness._System, k: int) -> list[int] | None:
        told = honest(system, k) or [k * UNIT] * len(system.columns)
        return [value + draw.randint(-error, error) for value in told]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witness._System, "propose", lies)
        for verdict, safe in verdicts(*history):
            assert verdict == ("pass" if safe else "fail")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.frozensets(st.integers(0, 6), min_size=1), st.integers(-3, 30)), min_size=1, max_size=6))
def test_what_is_small_empty_or_contradictory_stays_in_the_subspace(told: list[tuple[frozenset[int], int]]) -> None:
    basis: list[Row] = []
    for number, (columns, count) in enumerate(told):
        row = reduced(basis, dict.fromkeys(columns, 1), count, {number: 1})
        basis = joined(basis, row) if row.entries else basis
    whole = [[row.entries.get(column, 0) for column in range(7)] for row in basis]
    small = [[row.entries.get(column, 0) for column in range(7)] for row in Witnesses().small(basis, K)]
    kept = set(combinations(small, 7))
    for vector in combinations(whole, 7):
        count = sum(row.rows for row in basis if vector[row.pivot])
        assert count > K - 1 or vector in kept


def crowd(seed: int, count: int, zones: int) -> list[dict]:
    draw = random.Random(seed)
    return [
        {
            "id": number,
            "sex": draw.choice("fm"),
            "age": draw.randrange(50),
            "zone": f"z{draw.randrange(zones):02}",
            "value": draw.randrange(1, 50),
        }
        for number in range(count)
    ]


BAND = age_band(10)
CROSSED = [Question(groups=groups, functions=("count_rows", "avg")) for groups in ((ZONE, SEX), (BAND, SEX), (ZONE, BAND))]
CUBE = Question(groups=(ZONE, SEX, BAND), functions=("count_rows",))
RULES = structs.replace(THRESHOLDS_ONLY, min_keys=10, min_contributors=10, min_difference=10)


def ask(questions: Sequence[Question], rows: list[dict]) -> list[Release]:
    history: list[ReleaseRecord] = []
    answers = []
    for question in questions:
        answers.append(release(plan_of(question, RULES), table_of(question, rows, 10), history))
        history.append(answers[-1].record)
    return answers


def reasons(answer: Release) -> Counter[str]:
    return Counter(entry.reason for entry in answer.withheld)


def test_three_crossings_of_many_labels_are_released_whole() -> None:
    assert [reasons(answer) for answer in ask(CROSSED, crowd(1, 4000, 20))] == [Counter()] * 3


def test_without_witnesses_the_search_gives_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Witnesses, "small", lambda self, basis, k: list(basis))
    monkeypatch.setattr(Budget.__init__, "__defaults__", (4_000,))
    last = ask(CROSSED, crowd(1, 4000, 20))[-1]
    assert reasons(last)["DIFFERENCE"] > 100
    assert {finding.check: finding.verdict for finding in last.findings}["difference"] == "inconclusive"


def small_is_computable(answers: Sequence[Release], questions: Sequence[Question], rows: list[dict], zones: int) -> bool:
    """Whether 1..9 people are a rational combination of released counts: by whole-number programme over all kinds of people."""
    kinds = [
        {"sex": sex, "age": 10 * band, "zone": f"z{zone:02}"} for sex in "fm" for band in range(5) for zone in range(zones)
    ]
    places = {(kind["sex"], kind["age"], kind["zone"]): place for place, kind in enumerate(kinds)}
    sizes = np.zeros(len(kinds))
    for row in rows:
        sizes[places[row["sex"], row["age"] // 10 * 10, row["zone"]]] += 1
    vectors, absent = [], np.zeros(len(kinds), dtype=bool)
    for question, answer in zip(questions, answers, strict=True):
        labels = [tuple(band.of(kind) for band in question.groups) for kind in kinds]
        width = len(question.groups)
        absent |= np.array([label not in {row[:width] for row in answer.rows} for label in labels])
        vectors += [[float(label == row[:width]) for label in labels] for row in answer.rows if row[width] is not None]
    matrix = np.array(vectors)
    count = len(vectors)
    found = milp(
        c=np.zeros(count + len(kinds)),
        constraints=[
            LinearConstraint(np.hstack([matrix.T, -np.eye(len(kinds))]), 0, 0),
            LinearConstraint(np.concatenate([np.zeros(count), sizes])[None, :], 1, 9),
        ],
        integrality=np.concatenate([np.zeros(count), np.where(absent, 0, 1)]),
        bounds=Bounds(
            np.concatenate([np.full(count, -64.0), np.where(absent, -1e4, 0)]),
            np.concatenate([np.full(count, 64.0), np.where(absent, 1e4, 1)]),
        ),
    )
    assert found.status in (0, 2), found.message
    return bool(found.success)


@pytest.mark.parametrize(("seed", "count"), [(2, 700), (3, 1000), (4, 1500)])
def test_after_a_cube_with_small_cells_nothing_small_is_computable(seed: int, count: int) -> None:
    questions = [*(Question(groups=question.groups) for question in CROSSED), CUBE]
    rows = crowd(seed, count, 6)
    answers = ask(questions, rows)
    assert sum(row[3] is not None for row in answers[-1].rows) > 10
    assert not small_is_computable(answers, questions, rows, 6)


def visits(seed: int, count: int, zones: int) -> list[dict]:
    """People with one to four rows each, some without a value."""
    draw = random.Random(seed)
    return [
        person | {"value": None if draw.random() < 0.1 else draw.randrange(1, 50)}
        for person in crowd(seed, count, zones)
        for _ in range(draw.randrange(1, 5))
    ]


def repeating(question: Question) -> Question:
    return dataclasses.replace(question, unique=False)


def test_crossings_over_repeating_keys_are_released_whole_where_their_keys_add_up() -> None:
    questions = [repeating(question) for question in CROSSED]
    assert [reasons(answer) for answer in ask(questions, visits(1, 4000, 20))] == [Counter()] * 3


@pytest.mark.parametrize(("seed", "count"), [(2, 700), (3, 1000), (4, 1500)])
def test_keys_behind_all_that_is_computable_are_enough(seed: int, count: int) -> None:
    questions = [repeating(Question(groups=question.groups)) for question in (*CROSSED, CUBE)]
    rows = visits(seed, count, 6)
    answers = ask(questions, rows)
    assert sum(row[3] is not None for row in answers[-1].rows) > 10
    persons = list({row["id"]: row for row in rows}.values())
    assert not small_is_computable(answers, questions, persons, 6)


def of_value(at_least: int) -> Expression:
    return Compare(op=">=", left=ColumnRef(name="value"), right=Literal(type="integer", value=str(at_least)))


def record(*functions: str, lab: dict | None = None, groups: tuple = (ZONE,)) -> ReleaseRecord:
    """A record over people and repeating laboratory rows; `lab`: what is changed of how these are read."""
    found = release(
        plan_of(Question(groups=groups, functions=functions, unique=False), RULES),
        table_of(Question(groups=groups, functions=functions), crowd(1, 200, 2), 10),
    ).record
    people, values = found.inputs
    change = dict(lab or {})
    trimmed = change.pop("trimmed", False)
    values = structs.replace(values, input=structs.replace(values.input, **change), trimmed=trimmed)
    return structs.replace(found, inputs=(people, values))


VALUE = (("lab.values", "value"),)


@pytest.mark.parametrize(
    ("records", "counts", "amounts"),
    [
        ([record("count_rows", "avg"), record("count_keys", "sum", groups=(SEX,))], False, True),
        ([record("count_rows", "avg"), record("avg", groups=(SEX,))], True, True),
        ([record("count_rows"), record("count", groups=(SEX,))], False, True),
        ([record("count_rows"), record("count_rows", lab={"filters": (of_value(3),)})], False, False),
        ([record("count_rows", "avg", lab={"filters": (of_value(3),)})] * 2, True, True),
        ([record("count_rows"), record("count_rows", lab={"trimmed": True})], False, False),
        ([record("avg"), record("avg", lab={"groups": (LocalGroup(expression=of_value(3), type="boolean"),)})], False, False),
    ],
)
def test_keys_add_up_only_where_all_rows_of_a_key_are_seen_alike(
    records: list[ReleaseRecord], counts: bool, amounts: bool
) -> None:
    assert (keys_add(records, ()), keys_add(records, VALUE)) == (counts, amounts)
