"""The lines that `sandbox init` prints, pasted into a shell: from empty directory to verified product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(sys.executable).parent


@pytest.mark.skipif(not (PROGRAMS / "sandbox").exists(), reason="the package is not installed")
def test_pasted_lines_lead_to_a_product_that_an_auditor_verifies(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}

    def shell(text: str, cwd: Path) -> str:
        found = subprocess.run(
            ["bash", "-euc", text], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert found.returncode == 0, found.stderr
        assert [line for line in found.stderr.splitlines() if "2048-bit" not in line] == []
        return found.stdout

    lines = json.loads(shell("sandbox init 'a workspace' --json", tmp_path))["next"]
    job = tmp_path / "a workspace" / "example" / "job.toml"
    job.write_text(job.read_text().replace("key_bits = 3072", "key_bits = 2048"))
    told = shell("\n".join(lines), tmp_path)
    assert "Owners' terms: allowed" in told
    assert "withheld: 2 cells (2 BELOW_K)" in told

    product = json.loads(shell("sandbox product list --json", job.parent))["products"][0]["id"]
    elsewhere = tmp_path / "auditor"
    shutil.copytree(tmp_path / "a workspace" / "nodes" / "data-bureau" / "products" / product, elsewhere / "bundle")
    shutil.copy(tmp_path / "a workspace" / "trust.toml", elsewhere)
    assert "verified" in shell("sandbox audit verify bundle --trust trust.toml", elsewhere)

    shutil.copy(job.parent / "registry" / "patients.csv", elsewhere / "people.csv")
    people = "--auxiliary people.csv --quasi male --sensitive event --exposed exposed.json"
    attacked = shell(f"sandbox audit attack bundle --trust trust.toml {people}", elsewhere)
    assert "0 differ" in attacked
    assert "2000 of 2000 people fit a cell" in attacked
    assert [item["exposed"] for item in json.loads((elsewhere / "exposed.json").read_text())] == [[], []]
