"""Trimmed lists: a difference of few people stays hidden although no combination tells it exactly."""

from __future__ import annotations

import pytest
from support.gate_cases import SEX, Question, age_below, plan_of, table_of

from sandbox.gate import CellTable, ProviderNote, Release, release

K = 5
COUNT = ("count_keys",)


def trimmed(question: Question, rows: list[dict], removed: int) -> CellTable:
    table = table_of(question, rows, K)
    note = ProviderNote(input=0, keys_removed=removed, rows_removed=removed)
    return CellTable(cells=table.cells, below=table.below, notes=(note,))


def crowd(old: int, young: int) -> list[dict]:
    return [
        {"id": number, "sex": "f", "age": 3 if number < old else 1, "zone": "x", "value": 7} for number in range(old + young)
    ]


def ask_twice(first: list[dict], second: list[dict], question: Question) -> Release:
    """Ask everything over a list that lost some people, then a question over another list."""
    everything = Question(functions=COUNT)
    before = release(plan_of(everything), trimmed(everything, first, 9))
    return release(plan_of(question), table_of(question, second, K), [before.record])


@pytest.mark.parametrize(("old", "refused"), [(1, True), (K - 1, True), (K, False), (40, False)])
def test_a_narrower_question_over_an_untrimmed_list(old: int, refused: bool) -> None:
    rows = crowd(old, 30)
    answer = ask_twice(rows, rows, Question(where=(age_below(3),), functions=COUNT))
    assert ([entry.reason for entry in answer.withheld] == ["DIFFERENCE"]) == refused


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True), (K - 1, True), (K, False)])
def test_the_same_people_trimmed_and_not(more: int, refused: bool) -> None:
    """The same question over lists that lost few people more or less would tell what those few add."""
    answer = ask_twice(crowd(10, 30), crowd(10 + more, 30), Question(functions=COUNT))
    assert ([entry.reason for entry in answer.withheld] == ["DIFFERENCE"]) == refused


def test_unrelated_groups_pass() -> None:
    rows = crowd(30, 30) + [{"id": 100 + number, "sex": "m", "age": 1, "zone": "x", "value": 1} for number in range(31)]
    answer = ask_twice(rows, rows, Question(groups=(SEX,), functions=COUNT))
    assert not answer.withheld
