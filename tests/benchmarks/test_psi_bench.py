"""The benchmark of blinded keys: workers of ours, verdicts, the table. Nothing here is timed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alternate import Worker
from benchmarks.psi import suite
from sandbox.cli import bench
from sandbox.cli.main import main


def rows(blind: float | None, intersect: float | None) -> list[dict[str, Any]]:
    def row(operation: str, peer: str, value: float | None) -> dict[str, Any]:
        against = {} if value is None else {peer: {"ratio": value, "lowest": value, "highest": value}}
        return {"operation": operation, "elements": {}, "microseconds": {"native": 1.0}, "against": against}

    return [row("exchange", "X25519", blind), row("blind", "X25519", blind), row("intersect", "openmined-psi", intersect)]


@pytest.mark.parametrize(
    ("blind", "intersect", "met"), [(2.5, 8.0, [True, True]), (2.4, 7.9, [False, False]), (None, None, [None, None])]
)
def test_targets(blind: float | None, intersect: float | None, met: list[bool | None]) -> None:
    assert [each["met"] for each in suite.judge(rows(blind, intersect))] == met


def test_every_operation_of_ours_runs() -> None:
    contender = next(each for each in suite.OURS if each.name == "portable")
    worker = Worker(contender, Path(sys.executable))
    try:
        worker.ask(do="prepare", key_bits=255)
        assert all(worker.seconds(operation, 20) > 0 for operation in suite.OPERATIONS)
    finally:
        worker.close()


def test_the_command_prints_the_suites_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results = rows(5.0, None)
    host = {"processor": "p", "family": "", "cores": 1, "features": [], "load_before": [0], "versions": {}}
    document = {
        "machine": host,
        "date": "2026-01-01",
        "peer_versions": {},
        "missing": [{"name": "openmined-psi", "why": "gone"}],
    }
    document |= {
        "engines": ["a line"],
        "tables": [suite._times(results, ["native", "X25519"])],
        "targets": suite.judge(results),
    }
    monkeypatch.setattr(suite, "run", lambda **_: document)
    assert main(["bench", "psi"]) == 0
    shown = capsys.readouterr().out
    for expected in ("hash to the group", "5 (5-5)", "not measured", "gone", "a line"):
        assert expected in shown
    assert bench._suites()
