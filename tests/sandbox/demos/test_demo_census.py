"""The census demo: twenty offices, three of which fall silent; exact for the others, with evidence and refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import inprocess_worker

import sandbox
from sandbox.demos import census, data
from sandbox.demos.result import DemoResult
from sandbox.errors import StateError

PEOPLE = 8_000


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoResult]:
    with pytest.MonkeyPatch.context() as patch:
        inprocess_worker.use(patch)
        yield census.run(out=tmp_path_factory.mktemp("census"), rows=PEOPLE)


def test_three_offices_are_named_and_the_others_counted(result: DemoResult) -> None:
    card = result.product.card
    assert [(item.provider, item.step, item.counted) for item in card.absent] == [
        ("office_05", "share", False),
        ("office_11", "masked_input", False),
        ("office_16", "consistency", True),
    ]
    assert [source.provider for source in card.sources] == [
        name for name in census.OFFICES if name not in ("office_05", "office_11")
    ]
    people = data.census(PEOPLE)
    counted = sum(row[2] for row in result.product.rows() if row[2] is not None)
    lost = {state for number, state in enumerate(sorted(people["state"].unique())) if number % 20 in (4, 10)}
    withheld = len({cell.labels for cell in result.product.withheld if cell.column == "people"})
    assert counted == (~people["state"].isin(lost)).sum() or withheld


def test_the_trials_end_as_they_must(result: DemoResult) -> None:
    equal, differing, tampered = (trial.outcome for trial in result.trials)
    assert equal.startswith("all ")
    assert "fewer than 10 of them" in differing
    assert "not the one that was released" in tampered


def test_the_evidence_names_the_parts(result: DemoResult) -> None:
    report = sandbox.verify(result.bundle, result.trust)
    details = {check.name: check.detail for check in report.checks}
    assert details["parts"] == (
        "18 of 20 parts in the sum; silent: office_05 (share), office_11 (masked_input), office_16 (consistency)"
    )


def test_a_wrong_number_would_stop_the_demo(result: DemoResult) -> None:
    frames = census.tables(PEOPLE)
    frames["office_02"] = frames["office_02"].iloc[1:]
    with pytest.raises(StateError, match="pooled rows"):
        census._pooled(result.product, census.job()["sql"], frames)


def test_every_person_is_at_one_office() -> None:
    frames = census.tables()
    assert len(frames) == 20
    identifiers = [row for frame in frames.values() for row in frame["id"]]
    assert len(identifiers) == len(set(identifiers)) == 29_501
