"""The suite of `sandbox bench desensitise`: its workers run every operation, and its targets are judged. Nothing is timed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.alternate import Worker
from benchmarks.desensitise import suite
from sandbox.cli import bench
from sandbox.cli.main import main


@pytest.mark.parametrize("contender", [suite.OURS, suite.LIBFFX], ids=lambda each: each.name)
def test_a_worker_runs_every_operation(contender: object) -> None:
    worker = Worker(contender, Path(sys.executable))  # type: ignore[arg-type]
    try:
        worker.ask(do="prepare", key_bits=128)
        assert all(worker.seconds(operation, 16) > 0 for operation in suite.OPERATIONS)
    finally:
        worker.close()


def rows(ours: float, ratio: float | None) -> list[dict[str, object]]:
    against = None if ratio is None else {"ratio": ratio, "lowest": ratio, "highest": ratio}
    times = {"ours": ours} if ratio is None else {"ours": ours, "libffx": ours * ratio}
    return [{"operation": "encrypt_mobile", "microseconds": times, "against": against}]


@pytest.mark.parametrize(
    ("ours", "ratio", "met"), [(1.0, 20.0, [True, True]), (1.1, 19.9, [False, False]), (0.5, None, [True, None])]
)
def test_targets(ours: float, ratio: float | None, met: list[bool | None]) -> None:
    assert [target["met"] for target in suite.judge(rows(ours, ratio))] == met


def test_the_command_prints_the_suites_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results = rows(0.2, 100.0)
    host = {"processor": "p", "family": "", "cores": 1, "features": [], "load_before": [0], "versions": {}}
    document = {"machine": host, "date": "2026-01-01", "peer_versions": {}, "missing": [{"name": "libffx", "why": "gone"}]}
    document |= {"engines": [], "tables": [suite._table(results)], "targets": suite.judge(results)}
    monkeypatch.setattr(bench, "_suites", lambda: ["desensitise"])
    monkeypatch.setattr(suite, "run", lambda **_: document)
    assert main(["bench", "desensitise"]) == 0
    shown = capsys.readouterr().out
    for expected in ("encrypt, 11 digits", "100 (100-100)", "1,000,000", "gone"):
        assert expected in shown
