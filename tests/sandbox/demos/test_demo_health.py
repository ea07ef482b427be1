"""The health demo: exact, with evidence, and what must be refused; and what every demo's directory and trials require."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from demo_oracle import Table, assert_exact, pooled

import sandbox
from sandbox.demos import data, health, trials
from sandbox.demos.result import DemoResult
from sandbox.demos.stage import new_directory
from sandbox.errors import Denied, StateError

PATIENTS = 1_500
AGE_BAND = "CASE WHEN p.age < 40 THEN 'under 40' WHEN p.age < 60 THEN '40 to 59' ELSE '60 and over' END"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return health.run(out=tmp_path_factory.mktemp("health"), key_bits=2048, rows=PATIENTS)


def tables(patients: int | None) -> list[Table]:
    frames = data.health(patients)
    return [
        Table(name="registry.patients", alias="p", frame=frames["patients"], key=["id"], groups=f"p.male || {AGE_BAND}"),
        Table(name="lab.measurements", alias="l", frame=frames["measurements"], key=["id"], where="l.test = 'hdl'"),
        Table(
            name="hospital.events",
            alias="e",
            frame=frames["events"],
            key=["id"],
            groups="e.event",
            where="e.event IN ('diabetes', 'htn', 'stroke', 'cardiac arrest')",
            opened=True,
        ),
    ]


def test_cohort_has_one_row_a_person_with_their_earliest_diagnosis() -> None:
    cohort, tables = data.cohort(), data.health()
    assert len(cohort) == cohort["id"].nunique() == 12_588
    assert (cohort["diagnosis"] == "none").sum() == 2_663
    assert set(cohort["sex"]) == {"f", "m"}
    assert not cohort.isna().any().any()
    assert (cohort[["age", "weight", "height"]].dtypes == "int64").all()
    events = tables["events"].merge(cohort[["id", "diagnosis"]], on="id")
    earliest = events["days"] == events.groupby("id")["days"].transform("min")
    found = events.assign(found=events["event"] == events["diagnosis"])[earliest].groupby("id")["found"].any()
    assert found.all()
    assert len(found) == (cohort["diagnosis"] != "none").sum()
    assert data.cohort(50).equals(cohort.head(50))


def test_released_numbers_equal_the_pooled_tables(result: DemoResult) -> None:
    reasons = assert_exact(result.product, pooled(result.explanation.plan.sql, tables(PATIENTS), 10))
    assert "BELOW_K" in reasons


def test_the_readme_shows_what_the_pooled_tables_give(result: DemoResult) -> None:
    """All 17,549 people: every number of the table to the digits that it shows, and how many checks a bundle passes."""
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- demo -->")[2].partition("<!-- /demo -->")[0]
    expected = pooled(result.explanation.plan.sql, tables(None), 10)
    lines = re.findall(r"^ *([01])  (.{11})  (.*?)  +(\S+) +(\S+) +(\S+)$", shown, flags=re.MULTILINE)
    assert len(lines) == len(expected)
    for sex, band, diagnosis, *numbers in lines:
        cell = expected[int(sex), band.strip(), diagnosis.strip()]
        if cell["keys"] < 10:
            assert numbers == ["·k", "·k", "·k"]
            continue
        exact = [cell["patients"], float(cell["mean_hdl"]), math.sqrt(float(cell["sd_hdl"].square))]
        assert numbers == [str(exact[0]), *(f"{value:.6g}" for value in exact[1:])]
    checks = len(sandbox.verify(result.bundle, trust=result.trust).checks)
    assert f"passes {checks} checks" in shown


def test_the_bundle_verifies_and_is_of_this_product(result: DemoResult) -> None:
    report = sandbox.verify(result.bundle, trust=result.trust)
    assert report.task == result.product.id
    assert report.plan == result.explanation.digest()


def test_the_trials_are_refused(result: DemoResult) -> None:
    differencing, tampering = result.trials
    assert differencing.outcome.startswith(("refused: ", "1 of its numbers withheld: ", "2 of its numbers withheld: "))
    assert tampering.outcome.startswith("invalid at product.arrow: ")


def test_the_terms_allow_this_question_and_no_other_purpose(result: DemoResult) -> None:
    copy = result.directory.parent / "copy"
    shutil.copytree(result.directory / "workspace", copy)
    with sandbox.Embedded.create(copy, health.definitions(PATIENTS), terms="written") as network:
        plan = network.explain(health.job()["sql"], purpose="advertising", recipients=[health.OPERATOR], key_bits=2048)
        with pytest.raises(Denied, match="may not serve advertising"):
            network.approve(plan)


def test_a_directory_in_use_is_refused(result: DemoResult, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is not empty; choose a new directory"):
        health.run(out=result.directory, key_bits=2048, rows=PATIENTS)
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(StateError, match="cannot be used"):
        new_directory(file, "health")
    assert file.read_text() == "kept"


def test_a_directory_is_made_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = new_directory(None, "health")
    assert made.is_dir()
    assert made.parent == tmp_path
    assert new_directory(tmp_path / "a" / "b", "health").is_dir()


def stub(run: Any) -> Any:
    return SimpleNamespace(explain=lambda sql, **options: None, approve=lambda plan: None, run=run)


def test_a_demo_that_shows_nothing_fails(result: DemoResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that succeeds must not pass for a refusal."""
    released = stub(lambda plan, **options: SimpleNamespace(withheld=(), findings=()))
    with pytest.raises(StateError, match="answered in full"):
        trials.differencing(released, "", {}, None, differs_by="people")
    monkeypatch.setattr(trials, "verify", lambda bundle, trust: SimpleNamespace(checks=()))
    with pytest.raises(StateError, match="accepted a changed bundle"):
        trials.tampering(result.bundle, result.trust)
