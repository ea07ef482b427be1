"""Sequences of questions: no combination of all released tables is a population of fewer than k contributors."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from support.gate_cases import (
    AGE,
    SEX,
    ZONE,
    Band,
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

from sandbox.gate import Release, release
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


def smallest_computable(populations: list[frozenset[int]]) -> int | None:
    """Return the size of the smallest non-empty set of people whose indicator is in the span of the released sets.

    Independent of the gate: people are classed by the released sets they are in; every union of classes with fewer than K
    people is tested against the orthogonal projector of the row space. It knows which classes are empty, as a strong attacker.
    """
    everyone = frozenset().union(*populations) if populations else frozenset()
    classes: dict[tuple[bool, ...], int] = {}
    for person in everyone:
        signature = tuple(person in population for population in populations)
        classes[signature] = classes.get(signature, 0) + 1
    if not classes:
        return None
    matrix = np.array(list(classes), dtype=float).T
    _, singular, right = np.linalg.svd(matrix, full_matrices=False)
    basis = right[singular > 1e-9]
    small = [index for index, size in enumerate(classes.values()) if size < K]
    sizes = list(classes.values())
    found: list[int] = []
    for count in range(1, K):
        for union in itertools.combinations(small, count):
            size = sum(sizes[index] for index in union)
            if size >= K:
                continue
            vector = np.zeros(len(sizes))
            vector[list(union)] = 1
            if np.linalg.norm(vector - basis.T @ (basis @ vector)) < 1e-7:
                found.append(size)
    return min(found, default=None)


BANDS: list[Band] = [SEX, AGE, ZONE, age_band(2), age_band(3), age_case(2), age_case(3), age_case(4)]


def random_question(draw: random.Random) -> Question:
    where = []
    for condition in (age_from(draw.randrange(4)), age_below(draw.randrange(2, 7)), sex_is("f"), zone_in("x", "y")):
        if draw.random() < 0.3:
            where.append(condition)
    groups = tuple(draw.sample(BANDS, draw.choice([0, 1, 1, 2])))
    return Question(groups=groups, where=tuple(where), functions=("count_rows", "sum"))


@pytest.mark.parametrize("seed", range(150))
def test_random_sequences_never_make_a_small_population_computable(seed: int) -> None:
    draw = random.Random(seed)
    rows = people(seed, draw.choice([40, 90, 150]))
    history: list[ReleaseRecord] = []
    counts: list[frozenset[int]] = []
    amounts: list[frozenset[int]] = []
    cells = 0
    for _ in range(6):
        question = random_question(draw)
        answer = ask(question, rows, history)
        parts = selected(question, rows)
        cells += len(parts)
        for labels in released(question, answer, "count_rows"):
            counts.append(frozenset(row["id"] for row in parts[labels]))
        for labels in released(question, answer, "sum"):
            amounts.append(frozenset(row["id"] for row in parts[labels] if row["value"] is not None))
    assert smallest_computable(counts) is None
    assert smallest_computable(amounts) is None
    print(seed, len(rows), cells, len(counts), len(amounts))
