"""The benchmark of secure aggregation: workers of ours, verdicts, the table. Nothing here is timed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.aggregation import suite
from benchmarks.alternate import Worker

OTHERS = ("keystream bound", "AES bound", "Flower SecAgg+")


def rows(value: float) -> list[dict[str, Any]]:
    against = {name: {other: {"ratio": value, "lowest": value, "highest": value} for other in OTHERS} for name in suite.JUDGED}
    return [
        {"operation": operation, "milliseconds": {"native": 18.25, "Flower SecAgg+": 119.0}, "against": against}
        for operation in ("mask", "client")
    ]


@pytest.mark.parametrize(("value", "met"), [(20.0, [True] * 9), (0.7, [True] * 5 + [False] * 4), (0.69, [False] * 9)])
def test_targets(value: float, met: list[bool]) -> None:
    assert [each["met"] for each in suite.judge(rows(value))] == met


def test_a_target_without_a_side_is_not_measured() -> None:
    found = [row | {"against": {}} for row in rows(1.0)]
    assert [each["met"] for each in suite.judge(found)] == [None] * 9


def test_the_table_has_a_column_for_everyone() -> None:
    names = ["native", "portable", "Flower SecAgg+"]
    shown, compared = suite.times(rows(2.0), names), suite.ratios(rows(2.0), names)
    assert shown["rows"][0][1:] == ["18.2", "", "119"]
    assert compared["rows"][0] == ["mask", "native", "", "", "2 (2-2)"]
    assert len(compared["rows"]) == 2 * len(suite.JUDGED)
    assert all(len(each["headers"]) == len(each["rows"][0]) for each in (shown, compared))


def test_every_operation_of_ours_and_of_the_bound_runs() -> None:
    cases = (
        ("portable", ("mask", "client", "framed", "unmask_100")),
        ("native AES", ("mask",)),
        ("AES bound", ("mask", "client")),
    )
    for name, operations in cases:
        worker = Worker(next(each for each in suite.OURS if each.name == name), Path(sys.executable))
        try:
            worker.ask(do="prepare", key_bits=256)
            assert all(worker.seconds(operation, 100) > 0 for operation in operations)
        finally:
            worker.close()
