"""`python -m benchmarks.join` at a small size: every case, in processes, exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.join.suite import judge
from benchmarks.join.tables import CASES

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_every_case_runs_in_processes_and_is_exact(tmp_path: Path) -> None:
    report = tmp_path / "join.json"
    arguments = [
        "--case",
        "every",
        "--rows",
        "400",
        "--key-bits",
        "512",
        "--noise",
        "djn",
        "--threads",
        "1",
        "--json",
        str(report),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.join", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(report.read_text())["results"]
    assert [result["case"] for result in results] == list(CASES)
    assert all(result["is_exact"] for result in results)
    assert [result["cells"] for result in results if result["case"] != "repeating"] == [3, 3, 0, 1, 3]
    for result in results:
        assert set(result["nodes"]) == {"left", "right", "operator", "gate"}
        for node in result["nodes"].values():
            assert node["peak_bytes"] > 1 << 20
            assert node["seconds"] > 0
    assert "cells as DuckDB has them" in done.stdout


def test_a_result_that_differs_or_a_node_that_is_too_large_is_not_met() -> None:
    nodes = {"left": {"peak_bytes": 1 << 29}, "operator": {"peak_bytes": 1 << 30}}
    result = {"case": "plain", "rows": 5, "key_bits": 512, "is_exact": True, "nodes": nodes}
    assert [target["met"] for target in judge(result)] == [True, True]
    nodes["operator"]["peak_bytes"] += 1
    assert [target["met"] for target in judge(result | {"is_exact": False})] == [False, False]
