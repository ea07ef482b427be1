"""`sandbox catalogue twin`: a labelled file with its document beside it, or nothing and exit code 4."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_running import Run
from pyarrow import parquet

from protocols import desensitise
from sandbox.cli.main import main


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one table of 4,000 people."""
    root = tmp_path_factory.mktemp("twin") / "registry"
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"id": range(4000), "male": rng.integers(0, 2, 4000)})
    people["age"] = rng.integers(18, 90, 4000)
    people["height"] = (165 + 12 * people["male"] + rng.normal(0, 7, 4000)).round(1)
    people["note"] = "free text"
    assert main(["init", str(root), "--provider", "registry"]) == 0
    people.to_csv(root / "people.csv", index=False)
    declared = ["--key", "id", "--unique", "--codes", "male=0,1", "--bounds", "age=0:120", "--bounds", "height=100:250"]
    people.head(150).to_csv(root / "few.csv", index=False)
    for name in ("people", "few"):
        assert (
            main(["catalogue", "add", str(root / f"{name}.csv"), "--as", f"registry.{name}", *declared, "-w", str(root)]) == 0
        )
    return root


def test_a_twin_and_its_document_are_written(run: Run, registry: Path, tmp_path: Path) -> None:
    out = tmp_path / "people.synthetic.csv"
    found = run("catalogue", "twin", "registry.people", "--out", str(out), "--seed", "5", "-w", str(registry))
    assert (found.code, found.err) == (0, "")
    assert "left out: note is unclassified" in found.out
    assert "4000 synthetic rows written" in found.out
    frame = pd.read_csv(out)
    assert list(frame.columns) == ["id", "male", "age", "height"]
    assert frame["id"].lt(0).all()
    beside = json.loads(Path(f"{out}.twin.json").read_text(encoding="utf-8"))
    assert (beside["synthetic"], beside["seed"], set(beside["verdicts"].values())) == (True, 5, {"PASS"})
    aggregates = desensitise.Aggregates.from_bytes(
        json.dumps(beside["aggregates"], sort_keys=True, separators=(",", ":")).encode()
    )
    assert aggregates.digest == beside["digest"]
    again = desensitise.sample_twin(aggregates, beside["rows"], seed=5).to_pandas()
    assert again["height"].round(6).tolist() == frame["height"].round(6).tolist()


def test_noise_and_json(run: Run, registry: Path, tmp_path: Path) -> None:
    out = tmp_path / "twin.parquet"
    place = ("-w", str(registry), "--json")
    said = run("catalogue", "twin", "registry.people", "--out", str(out), "--epsilon", "0.5", "--rows", "3000", *place)
    assert said.code == 0, said.out
    twin = said.document["twin"]
    assert (twin["rows"], twin["left_out"]) == (3000, {"note": "is unclassified"})
    assert "ε = 1/2" in twin["guarantee"]
    table = parquet.read_table(out)
    assert table.num_rows == 3000
    assert table.schema.metadata[b"synthetic"] == b"true"
    assert table.schema.metadata[b"synthetic.aggregates"].decode() == twin["aggregates"]


def test_nothing_is_written_where_an_attack_cannot_tell(run: Run, registry: Path, tmp_path: Path) -> None:
    """A hundred and fifty people are too few."""
    place = ("--out", str(tmp_path / "few.synthetic.csv"), "--seed", "1", "-w", str(registry))
    found = run("catalogue", "twin", "registry.few", *place)
    assert found.code == 4
    assert "too few attempts to tell" in found.err
    assert not list(tmp_path.iterdir())
    said = run("catalogue", "twin", "registry.few", *place, "--json")
    assert said.code == said.document["error"]["exit_code"] == 4
    assert {item["check"] for item in said.document["error"]["findings"]} >= {"small counts", "identifiers", "linkability"}


def test_names_and_parameters_are_checked_first(
    run: Run, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.synthetic.csv").write_text("mine")
    for arguments, code, words in (
        (("--out", "twin.csv"), 2, "call it 'twin.synthetic.csv'"),
        (("--out", "twin.xlsx"), 2, "end it in .csv, .tsv or .parquet"),
        (("--out", "there.synthetic.csv"), 1, "exists and stays as it is"),
        (("--out", "t.parquet", "--epsilon", "much"), 2, "is no number"),
        (("--out", "t.parquet", "--epsilon", "0"), 2, "above 0"),
    ):
        found = run("catalogue", "twin", "registry.people", *arguments, "-w", str(registry))
        assert (found.code, words in found.err) == (code, True), found.err
    assert run("catalogue", "twin", "registry.nothing", "--out", "t.parquet", "-w", str(registry)).code == 9
    assert (tmp_path / "there.synthetic.csv").read_text() == "mine"
