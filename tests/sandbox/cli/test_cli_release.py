"""A job with [release] through the commands: explain, grant, run, show, export, verify; and exit codes of refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cli_running import Run
from support import released

JOB = """title = "People, desensitised"
purpose = "research"
profile = "release-controlled"
recipients = ["operator"]
[release]
asset = "registry.people"
rules = "rules.toml"
quasi = ["age", "town"]
sensitive = ["ill"]
"""


def test_a_release_from_job_to_verified_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def invoke(*arguments: str) -> tuple[int, Any]:
        found = run(*arguments, "--json")
        return found.code, json.loads(found.out)

    root = tmp_path / "w"
    frame = released.people()
    file = tmp_path / "people.parquet"
    frame.to_parquet(file)
    (tmp_path / "rules.toml").write_text(released.rules())
    job = tmp_path / "job.toml"
    job.write_text(JOB)
    with released.network(root, file, terms="written"):
        pass
    monkeypatch.chdir(root)
    policy = tmp_path / "policy.toml"
    columns = "\n".join(f'{name} = ["desensitise"]' for name in frame.columns)
    policy.write_text(
        'asset = "registry.people"\npurposes = ["research"]\nrecipients = ["operator"]\nprofiles = ["release-controlled"]\n'
        f"min_cell = 5\nmin_list = 100\nmax_calls = 5\nexpires = 2100-01-01\n[columns]\n{columns}\n"
    )
    assert invoke("run", str(job))[0] == 3
    assert invoke("policy", "set", "registry.people", str(policy))[0] == 0
    code, explained = invoke("explain", str(job))
    assert (code, explained["decision"]["allowed"]) == (0, True)
    assert any(line["step"] == "rule" and "undone by whoever holds" in line["text"] for line in explained["steps"])
    assert {item["who"] for item in explained["disclosure"]["learned"]} >= {"recipient", "gate", "operator"}
    code, grant = invoke("grant", "request", str(job))
    assert code == 0
    assert invoke("grant", "approve", "newest", "--as", "all")[0] == 0, grant
    code, product = invoke("run", str(job), "--out", str(tmp_path / "out"))
    assert code == 0
    assert (product["product"]["count"], len(product["product"]["rows"])) == (len(frame), 10)
    assert len(pd.read_csv(tmp_path / "out" / "product.csv")) == len(frame)
    (tmp_path / "rules.toml").write_text(released.rules(age='{ rule = "interval", width = 1 }'))
    assert invoke("explain", str(job))[1]["digest"] != explained["digest"], "the rules are in the plan that grants sign"
    (tmp_path / "rules.toml").write_text(released.rules(purpose="marketing"))
    assert invoke("explain", str(job))[0] == 2
