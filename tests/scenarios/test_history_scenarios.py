"""Questions in sequence, as real runs: what could be computed from a later answer and an earlier one is withheld."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from support import agencies

import sandbox
from sandbox.embedded import Embedded
from sandbox.errors import Withheld
from sandbox.model.decision import Reason

AREAS = ("north", "south", "west")
PEOPLE = pd.DataFrame(
    {
        "id": range(300),
        "sex": [row % 2 for row in range(300)],
        "age": [20 + row * 7 % 60 if row < 296 else 85 for row in range(300)],
        "area": [AREAS[row % 3] for row in range(300)],
    }
)
FROM = "FROM registry.people p JOIN lab.tests t ON t.id = p.id"


@pytest.fixture
def network(scratch: Path, in_process: None) -> Iterator[Embedded]:
    people = agencies.people_table(PEOPLE, codes={"sex": [0, 1], "area": list(AREAS)})
    tests = sandbox.table(agencies.measurements(300), key="id", key_domain="person", unique=True, bounds={"value": (0, 1000)})
    with agencies.make(scratch / "w", {"registry": {"people": people}, "lab": {"tests": tests}}) as network:
        yield network


def reasons(network: Embedded, sql: str) -> set[Reason]:
    """Ask and return why numbers were withheld: nothing if all were released."""
    try:
        return {cell.reason for cell in agencies.answer(network, sql).withheld}
    except Withheld as error:
        return {finding.reason or "DIFFERENCE" for finding in error.findings if finding.verdict == "fail"}


SEQUENCES = {
    "all, and all but four": (f"SELECT COUNT(*) AS n {FROM}", f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 80"),
    "all but four, and all": (f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 80", f"SELECT COUNT(*) AS n {FROM}"),
    "nested filters": (
        f"SELECT SUM(t.value) AS total {FROM} WHERE p.age >= 20 AND p.age < 80",
        f"SELECT SUM(t.value) AS total {FROM} WHERE p.age >= 20 AND p.age <= 85",
    ),
    "a sum, and its mean over four more": (
        f"SELECT SUM(t.value) AS total {FROM} WHERE p.age < 80",
        f"SELECT AVG(t.value) AS mean {FROM}",
    ),
    "a breakdown, and its total with four more": (
        f"SELECT p.area, COUNT(*) AS n {FROM} WHERE p.age < 80 GROUP BY p.area",
        f"SELECT COUNT(*) AS n {FROM}",
    ),
    "two breakdowns of nearly the same people": (
        f"SELECT p.area, COUNT(*) AS n {FROM} WHERE p.age < 80 GROUP BY p.area",
        f"SELECT p.sex, COUNT(*) AS n {FROM} GROUP BY p.sex",
    ),
    "bands, and bands moved by a year": (
        f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 50",
        f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 51",
    ),
}
HARMLESS = {
    "the same question": (f"SELECT p.sex, COUNT(*) AS n {FROM} GROUP BY p.sex",) * 2,
    "a breakdown, and its total": (
        f"SELECT p.area, COUNT(*) AS n, SUM(t.value) AS total {FROM} GROUP BY p.area",
        f"SELECT COUNT(*) AS n, SUM(t.value) AS total {FROM}",
    ),
    "two breakdowns": (
        f"SELECT p.area, COUNT(*) AS n {FROM} GROUP BY p.area",
        f"SELECT p.sex, COUNT(*) AS n {FROM} GROUP BY p.sex",
    ),
    "filters twenty years apart": (
        f"SELECT COUNT(*) AS n {FROM}",
        f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 60",
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_second_question_is_withheld_with_the_difference_as_its_reason(name: str, network: Embedded, scratch: Path) -> None:
    first, second = SEQUENCES[name]
    assert reasons(network, first) == set()
    assert reasons(network, second) == {"DIFFERENCE"}
    agencies.require_sound(network, scratch)


@pytest.mark.parametrize("name", HARMLESS)
def test_questions_that_single_nobody_out_are_answered(name: str, network: Embedded) -> None:
    first, second = HARMLESS[name]
    assert reasons(network, first) == set()
    assert reasons(network, second) == set()


def test_history_outlives_the_process(network: Embedded, scratch: Path) -> None:
    first, second = SEQUENCES["all, and all but four"]
    assert reasons(network, first) == set()
    people = agencies.people_table(PEOPLE, codes={"sex": [0, 1], "area": list(AREAS)})
    tests = sandbox.table(agencies.measurements(300), key="id", key_domain="person", unique=True, bounds={"value": (0, 1000)})
    network.close()
    with agencies.make(scratch / "w", {"registry": {"people": people}, "lab": {"tests": tests}}) as again:
        for _ in range(2):
            assert reasons(again, second) == {"DIFFERENCE"}
        agencies.require_sound(again, scratch)


def test_a_third_question_is_judged_against_the_two_before_it(network: Embedded) -> None:
    assert reasons(network, f"SELECT COUNT(*) AS n {FROM} WHERE p.age < 50") == set()
    assert reasons(network, f"SELECT COUNT(*) AS n {FROM} WHERE p.age >= 50 AND p.age < 80") == set()
    assert reasons(network, f"SELECT COUNT(*) AS n {FROM}") == {"DIFFERENCE"}


def test_a_total_that_would_bound_two_withheld_groups_is_refused_at_last(scratch: Path, in_process: None) -> None:
    """Two groups of 9 are withheld, each as fewer than 10; their total of 18, harmless by itself, would tell both."""
    sizes = {(0, "north"): 9, (0, "south"): 9, (1, "north"): 40, (1, "south"): 50}
    kinds = [kind for kind, size in sizes.items() for _ in range(size)]
    data = pd.DataFrame({"id": range(len(kinds)), "sex": [sex for sex, _ in kinds], "age": 40})
    values = agencies.measurements(len(kinds)).assign(area=[area for _, area in kinds])
    people = agencies.people_table(data, codes={"sex": [0, 1]})
    measured = sandbox.table(
        values, key="id", key_domain="person", unique=True, bounds={"value": (0, 1000)}, codes={"area": ["north", "south"]}
    )
    split = f"SELECT p.sex, t.area, COUNT(*) AS n {FROM} GROUP BY p.sex, t.area"
    total = f"SELECT p.sex, COUNT(*) AS n {FROM} GROUP BY p.sex"
    with agencies.make(scratch / "w", {"registry": {"people": people}, "lab": {"tests": measured}}) as network:
        assert reasons(network, split) == {"BELOW_K"}
        product = agencies.answer(network, total)
        assert [cell.reason for cell in product.withheld] == ["RECONSTRUCTION"]
        assert product.rows() == [[0, None], [1, 90]]
        agencies.require_sound(network, scratch)
