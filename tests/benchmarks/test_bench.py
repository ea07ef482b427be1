"""The benchmark command and its parts: what it refuses, what it names as missing, how it judges. Nothing here is timed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import alternate, peers
from benchmarks.alternate import Worker, WorkerError, alternating, pin, ratio
from benchmarks.paillier import suite, tables, targets
from sandbox.cli import bench
from sandbox.cli.main import main

KEY_BITS = 512


def measured(contender: str, operation: str, peer: str, value: float) -> dict[str, Any]:
    against = {peer: {"ratio": value, "lowest": value / 2, "highest": value * 2}}
    place = {"contender": contender, "operation": operation, "key_bits": 2048, "cores": 1, "is_peer": False}
    return {**place, "elements": 1024, "microseconds": 3.5, "against": against}


def contenders(table_bytes: int = 1 << 20) -> dict[str, Any]:
    keys = {"2048": {"exponent_bits": 1024, "table_bytes": table_bytes, "engine": "the engine's line"}}
    return {name: {"is_peer": name == "phe", "differs": "how", "keys": keys} for name in ("native djn", "portable djn", "phe")}


def test_an_unknown_suite_is_a_usage_error_that_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "pallier"]) == 2
    error = capsys.readouterr().err
    assert "'pallier'" in error
    assert "paillier" in error


def test_outside_a_checkout_the_error_says_where_benchmarks_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert main(["bench", "paillier"]) == 2
    assert "from a checkout" in capsys.readouterr().err


def test_a_file_in_no_directory_is_refused_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "paillier", "--json", str(tmp_path / "none" / "out.json")]) == 2
    assert "not a directory" in capsys.readouterr().err


def test_the_command_prints_and_writes_one_document(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [
        measured("native djn", "encrypt", "phe", 100.0),
        measured("portable djn", "encrypt", "phe", 9.0),
    ]
    host = {
        "processor": "a processor",
        "family": "1-2-3",
        "cores": 2,
        "features": ["adx"],
        "load_before": [0.5],
        "versions": {"x": "1"},
    }
    document = {
        "suite": "paillier",
        "date": "2026-01-01",
        "machine": host,
        "peer_versions": {"phe": "1.5.0"},
        "engines": ["the engine's line"] * 2,
        "missing": [{"name": "HEU OU", "why": "no wheel"}],
        "tables": tables.tables(suite.OPERATIONS, contenders(), results),
        "targets": targets.judge(results, contenders()),
    }
    monkeypatch.setattr(suite, "run", lambda **_: document)
    path = tmp_path / "out.json"
    assert main(["bench", "paillier", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    for expected in ("a processor", "phe (peer) 1.5.0", "the engine's line", "HEU OU", "no wheel", "100 (50-200)"):
        assert expected in shown
    assert [line.split()[-1] for line in shown.splitlines() if "encrypt, 2048 bits, portable djn" in line] == ["MET"]
    assert json.loads(path.read_text(encoding="utf-8")) == document


def test_targets_are_met_at_the_factor_and_not_below() -> None:
    def verdict(value: float) -> Any:
        found = targets.judge([measured("native djn", "encrypt", "phe", value)], contenders())
        return next(target for target in found if target["peer"] == "phe" and target["operation"] == "encrypt")["met"]

    assert verdict(60.0) is True
    assert verdict(59.9) is False
    assert all(target["met"] is None for target in targets.judge([], contenders()))


def test_the_portable_target_needs_small_tables_too() -> None:
    results = [measured("portable djn", "encrypt", "phe", 20.0)]
    assert targets.judge(results, contenders())[-1]["met"] is True
    assert targets.judge(results, contenders(table_bytes=65 << 20))[-1]["met"] is False


def test_ratios_are_taken_round_by_round() -> None:
    assert ratio([1.0, 2.0, 4.0], [3.0, 8.0, 8.0]) == {"ratio": 3.0, "lowest": 2.0, "highest": 4.0}


def test_every_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENT", tmp_path)
    names = {each.name for each in suite.PEERS}
    for asked, word in ((True, "poe peers"), (False, "--peers")):
        wanted, missing = suite._wanted(asked)
        assert not any(each.is_peer for each in wanted)
        told = {item["name"]: item["why"] for item in missing}
        assert names <= set(told)
        assert all(word in told[name] for name in names)


def test_requirements_are_pinned() -> None:
    assert peers.requirements()
    assert all("==" in requirement for requirement in peers.requirements())


@pytest.mark.parametrize("noise", ["djn", "full"])
def test_a_worker_of_ours_runs_every_operation(noise: str) -> None:
    contender = next(each for each in suite.OURS if each.name == f"portable {noise}")
    worker = Worker(contender, Path(sys.executable))
    try:
        facts = worker.ask(do="prepare", key_bits=KEY_BITS)["facts"]
        assert facts["exponent_bits"] > 0
        for operation in suite.OPERATIONS:
            pin(worker, 1)
            (times,) = alternating({worker: (operation, 8)}, (1,), 2).values()
            assert len(times) == 2
        with pytest.raises(WorkerError, match="no divide"):
            worker.seconds("divide", 8)
    finally:
        worker.close()


def test_a_worker_that_ends_is_an_error_with_its_name(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text("", encoding="utf-8")
    worker = Worker(alternate.Contender(name="gone", script=script), Path(sys.executable))
    with pytest.raises(WorkerError, match="gone"):
        worker.ask(do="prepare", key_bits=KEY_BITS)
    worker.close()
