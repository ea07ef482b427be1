"""What every check of the gate keeps to: a name, a documented rule, no value in what it says, a total answer."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import get_args

import pytest
from support.gate_cases import RULES, SEX, Question, plan_of, table_of

import sandbox.gate.checks as package
from sandbox.gate import Cell, CellTable, Moments, release
from sandbox.gate.checks.outcome import Outcome, Subject
from sandbox.model.decision import Reason
from sandbox.model.plan import Aggregate

NAMES = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name != "outcome")
MODULES = {name: importlib.import_module(f"sandbox.gate.checks.{name}") for name in NAMES}
README = (Path(package.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PER_AGGREGATE = ("minimum_keys", "minimum_contributors", "dominance", "fit")
CANARY = 918_273_645


def canary_table() -> CellTable:
    """Two cells full of a number that must not be printed."""
    moments = Moments(contributors=7, count=7, sum=CANARY, squares=CANARY**2, contribution_squares=CANARY**2)
    cells = tuple(Cell(labels=(label,), keys=7, rows=7, moments={(1, 0): moments}) for label in ("f", "m"))
    return CellTable(cells=cells, below=(("q",),))


@pytest.mark.parametrize("name", NAMES)
def test_a_check_has_its_name_its_rule_and_its_place_in_the_readme(name: str) -> None:
    module = MODULES[name]
    assert name == module.NAME
    assert callable(module.check)
    assert module.__doc__
    assert f"`{name}`" in README
    assert any(reason in module.__doc__ for reason in get_args(Reason))


@pytest.mark.parametrize("name", PER_AGGREGATE)
@pytest.mark.parametrize("function", ["count_rows", "count", "sum", "avg", "var_samp", "stddev_pop"])
@pytest.mark.parametrize("keys", [0, 1, 4, 5, 50])
@pytest.mark.parametrize("contributors", [0, 1, 2, 5, 50])
def test_a_check_of_an_aggregate_is_total(name: str, function: str, keys: int, contributors: int) -> None:
    plan = plan_of(Question(functions=(function,)), RULES)
    aggregate = plan.aggregates[0]
    for amount in (0, 1, CANARY):
        moments = Moments(
            contributors=contributors,
            count=contributors,
            sum=amount * contributors,
            squares=amount**2 * contributors,
            contribution_squares=amount**2 * contributors,
        )
        cell = Cell(labels=("f",), keys=keys, rows=keys, moments={(1, 0): moments})
        measured = aggregate.input is not None
        subject = Subject(
            rules=RULES,
            cell=cell,
            aggregate=aggregate,
            measure=plan.inputs[1].measures[0] if measured else None,
            moments=moments if measured else None,
        )
        outcome = MODULES[name].check(subject)
        assert isinstance(outcome, Outcome)
        assert (outcome.verdict == "pass") == (outcome.reason is None)


def test_nothing_that_the_gate_says_or_shows_holds_a_withheld_value() -> None:
    question = Question(groups=(SEX,), functions=("count_rows", "sum", "avg"))
    table = canary_table()
    answer = release(plan_of(question, RULES), table)
    text = repr((answer, table, table.cells[0], table.cells[0].moments))
    assert [entry.reason for entry in answer.withheld].count("DOMINANCE") == 4
    assert str(CANARY) not in text
    assert answer.to_arrow().column("sum").null_count == 3


def test_every_release_states_every_check() -> None:
    question = Question(groups=(SEX,), functions=("count_rows",))
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 1} for n in range(9)]
    answer = release(plan_of(question, RULES), table_of(question, rows))
    assert [finding.check for finding in answer.findings] == [
        "minimum_keys",
        "minimum_contributors",
        "dominance",
        "fit",
        "rare_group",
        "secondary",
        "difference",
        "reconstruction",
    ]
    assert {finding.verdict for finding in answer.findings} == {"pass"}


def test_an_unknown_aggregate_has_no_measure_and_is_judged_by_keys_alone() -> None:
    cell = Cell(labels=("f",), keys=4, rows=4)
    subject = Subject(rules=RULES, cell=cell, aggregate=Aggregate(function="count_keys"), measure=None, moments=None)
    assert MODULES["minimum_keys"].check(subject).reason == "BELOW_K"
