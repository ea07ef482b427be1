"""What each command prints when all is well, for people and as JSON."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
from cli_running import Run, WriteJob
from pyarrow import parquet

from sandbox.cli import demo
from sandbox.cli.main import app
from sandbox.demos.result import Answer, DemoResult, Trial
from sandbox.embedded import Embedded
from sandbox.node import mappers

NOUNS = ("demo", "init", "catalogue", "policy", "explain", "grant", "run", "product", "audit", "doctor")
COLUMNS = ["sex", "event", "n", "mean_hdl"]


def command_paths() -> list[tuple[str, ...]]:
    root: Any = typer.main.get_command(app)
    return [
        (name,) if inner is None else (name, inner)
        for name, command in root.commands.items()
        for inner in getattr(command, "commands", {None: None})
    ]


def test_help_lists_every_noun_and_cuts_nothing(run: Run) -> None:
    found = run("--help")
    assert found.code == 0
    for name in NOUNS:
        assert f"\n  {name} " in found.out
    assert "..." not in found.out.partition("Commands:")[2]


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_each_command_has_help_and_json(run: Run, path: tuple[str, ...]) -> None:
    found = run(*path, "--help")
    assert found.code == 0
    assert found.err == ""
    assert "--json" in found.out


def test_a_group_without_a_command_shows_its_help(run: Run) -> None:
    for path in ((), ("grant",)):
        found = run(*path)
        assert found.code == 2
        assert found.out == ""
        assert "Usage:" in found.err


def test_init_tells_who_takes_part_and_what_to_do_next(run: Run, tmp_path: Path) -> None:
    found = run("init", str(tmp_path / "new"), "--json").document
    assert found["parties"]["lab"] == ["provider"]
    assert found["next"][0].startswith("cd ")
    assert Path(found["trust"]).is_file()
    assert "SYNTHETIC" in (tmp_path / "new" / "example" / "README.txt").read_text()
    other = run("init", str(tmp_path / "other"), "--provider", "tax", "--provider", "social")
    assert "providers tax, social" in other.out
    assert not (tmp_path / "other" / "example").exists()


def test_the_example_is_the_same_everywhere(run: Run, tmp_path: Path, example: Path) -> None:
    run("init", str(tmp_path / "new"))
    for name in ("registry/patients.csv", "lab/measurements.csv", "hospital/events.csv"):
        assert (tmp_path / "new" / "example" / name).read_bytes() == (example / "example" / name).read_bytes()


def test_explain_shows_steps_disclosure_cost_and_decision(run: Run, workspace: Path) -> None:
    text = run("explain", "example/job.toml")
    assert text.code == 0
    assert text.err == ""
    for heading in ("Steps", "Who learns what", "Cost", "Owners' terms: allowed"):
        assert heading in text.out
    found = run("explain", "example/job.toml", "--json").document
    assert found["decision"]["allowed"] is True
    assert found["plan"]["parameters"]["key_bits"] == 2048
    assert {item["who"] for item in found["disclosure"]["learned"]} >= {"provider", "operator", "gate"}
    assert [item["asset"] for item in found["fragments"]] == ["registry.patients", "lab.measurements", "hospital.events"]
    assert [item["provider"] for item in found["cost"]] == ["registry", "lab", "hospital"]


def test_explain_shows_a_denial_and_still_succeeds(run: Run, write_job: WriteJob) -> None:
    found = run("explain", write_job(("chronic-disease-statistics", "marketing")))
    assert found.code == 0
    assert "Owners' terms: DENIED" in found.out


def test_a_template_covers_other_literals_and_run_writes_product_card_and_evidence(
    run: Run, workspace: Path, write_job: WriteJob
) -> None:
    assert run("grant", "request", "example/job.toml", "--template").code == 0
    assert run("grant", "approve", "newest", "--as", "all").code == 0
    found = run("run", write_job(("test = 'hdl'", "test = 'glucose'")), "--out", "answer", "--json")
    assert found.code == 0
    assert found.err == ""
    document = found.document
    assert document["product"]["columns"] == COLUMNS
    assert len(document["product"]["rows"]) == 6
    assert {item["reason"] for item in document["withheld"]} == {"BELOW_K"}
    assert sum(value is None for row in document["product"]["rows"] for value in row) == len(document["withheld"])
    assert document["seconds"]
    assert document["disclosure"]["learned"]
    assert run("audit", "verify", "answer/bundle", "--trust", "trust.toml").code == 0
    assert (workspace / "answer" / "card.json").is_file()
    rows = list(csv.reader((workspace / "answer" / "product.csv").open()))
    assert rows[0] == COLUMNS
    assert ["0", "stroke", "", ""] in rows
    assert run("run", "example/job.toml", "--out", "answer").code == 1


def test_product_is_shown_with_marks_and_their_legend(run: Run, workspace: Path) -> None:
    listed = run("product", "list", "--json").document["products"]
    assert [item["withheld"] for item in listed] == [2]
    text = run("product", "show", listed[0]["id"])
    assert text.err == ""
    assert "·k" in text.out
    assert "fewer people" in text.out
    assert "withheld: 2 cells (2 BELOW_K)" in text.out
    found = run("product", "show", "newest", "--json").document
    assert found["id"] == listed[0]["id"]
    assert found["card"]["profile"] == "statistics-controlled"
    assert "task-" in run("product", "list").out


def test_exports_keep_null_and_overwrite_nothing(run: Run, workspace: Path) -> None:
    for name in ("p.csv", "p.parquet", "p.arrow"):
        assert run("product", "export", "newest", name).code == 0
        again = run("product", "export", "newest", name)
        assert again.code == 1
        assert "exists and stays as it is" in again.err
    tables = [parquet.read_table("p.parquet"), pa.ipc.open_file("p.arrow").read_all()]
    for table in tables:
        assert table.column_names == COLUMNS
        assert [column.null_count for column in table.columns] == [0, 0, 1, 1]
    assert '0,"stroke",,' in Path("p.csv").read_text()
    assert run("product", "export", "newest", "q.csv", "--json").document["rows"] == 6


def test_catalogue_tells_what_is_declared_and_counted(run: Run, workspace: Path) -> None:
    listed = run("catalogue", "list", "--json").document["assets"]
    assert {item["name"]: item["lifecycle"] for item in listed} == {
        "registry.patients": "published",
        "lab.measurements": "published",
        "hospital.events": "published",
    }
    assert "hospital.events" in run("catalogue", "list").out
    shown = run("catalogue", "show", "lab.measurements").out
    assert "0 to 1000, scale 10" in shown
    assert run("catalogue", "show", "lab.measurements", "--json").document["asset"]["key"] == ["id"]
    profile = run("catalogue", "profile", "registry.patients", "--json").document["profile"]
    assert profile["rows"] == 2000
    assert "20" not in run("catalogue", "profile", "lab.measurements").err
    proposals = run("catalogue", "classify", "lab.measurements", "--json").document["proposals"]
    assert [item["role"] for item in proposals] == ["key", "unclassified", "measure"]
    assert "quasi_identifier" in run("catalogue", "classify", "example/registry/patients.csv").out


def test_an_asset_goes_from_draft_to_cancelled(run: Run, workspace: Path) -> None:
    source = str(workspace / "example" / "lab" / "measurements.csv")
    added = run(
        "catalogue", "add", source, "--as", "lab.second", "--key", "id", "--role", "test=other", "--type", "value=decimal"
    )
    assert added.code == 0
    assert "lab.second, version 1, is draft" in added.out
    assert "unclassified, so they take no part: value" in added.out
    assert run("catalogue", "publish", "lab.second", "--json").document["asset"]["lifecycle"] == "published"
    assert run("catalogue", "cancel", "lab.second").out == "lab.second, version 1, is cancelled\n"
    again = run("catalogue", "publish", "lab.second")
    assert again.code == 1
    assert "cancelled is final" in again.err


def test_parts_of_one_schema_become_one_table(run: Run, workspace: Path) -> None:
    parts = []
    for provider in ("registry", "lab", "hospital"):
        source = f"example/{provider}/staff.csv"
        Path(source).write_text("id,age\n" + "".join(f"{n},{20 + n % 40}\n" for n in range(50)))
        options = ("--key", "id", "--unique", "--bounds", "age=0:99", "--publish")
        assert run("catalogue", "add", source, "--as", f"{provider}.staff", *options).code == 0
        parts += ["--part", f"{provider}.staff"]
    made = run("catalogue", "federate", "city.staff", *parts, "--json").document["federation"]
    assert (made["version"], made["disjoint"], made["min_parties"]) == (1, False, 3)
    again = run("catalogue", "federate", "city.staff", *parts, "--disjoint")
    assert again.out == "city.staff, version 2: 3 parts, nobody is in two of them; at least 3 in a sum\n"
    assert "city.staff" in run("catalogue", "list").out
    job = Path("federated.toml")
    sql = "SELECT age // 20 AS band, COUNT(*) AS n FROM city.staff GROUP BY band"
    job.write_text(f'title = "t"\npurpose = "p"\nprofile = "statistics-open"\nrecipients = ["operator"]\nsql = "{sql}"\n')
    assert run("explain", str(job), "--json").document["plan"]["protocol"] == "aggregation/1"
    unlike = run("catalogue", "federate", "city.staff", *parts[:4], "--part", "hospital.events")
    assert unlike.code == 2
    assert "hospital.events" in unlike.err


def test_every_declaration_reaches_the_catalogue(run: Run, workspace: Path) -> None:
    (workspace / "t.csv").write_text("no;code;flag;born;x\n" + "".join(f"{n};1;true;2020-01-02;{n}.5\n" for n in range(30)))
    options = [
        "--delimiter",
        ";",
        "--encoding",
        "utf-8",
        "--domain",
        "person",
        "--grade",
        "x=important",
        "--publish",
        "--unique",
    ]
    options += ["--bounds", "x=0:50", "--scale", "x=10", "--clip", "x", "--codes", "code=1,2", "--codes", "flag=true,false"]
    options += ["--codes", "born=2020-01-02"]
    asset = run("catalogue", "add", "t.csv", "--as", "lab.t", "--key", "no", *options, "--json").document["asset"]
    columns = {column["name"]: column for column in asset["columns"]}
    assert [code["value"] for code in columns["code"]["codes"]] == ["1", "2"]
    assert [code["value"] for code in columns["flag"]["codes"]] == ["true", "false"]
    assert (columns["x"]["scale"], columns["x"]["clip"], columns["x"]["grade"]) == (10, True, "important")
    assert (asset["unique"], asset["key_domain"]["name"], asset["lifecycle"]) == (True, "person", "published")


def test_policy_is_set_shown_and_tested(run: Run, workspace: Path) -> None:
    terms = "example/policies/lab.measurements.toml"
    assert "version 2" in run("policy", "set", "lab.measurements", terms).out
    found = run("policy", "show", "lab.measurements", "--json").document
    assert found["used"] == 1
    assert found["policy"]["version"] == 2
    shown = run("policy", "show", "lab.measurements").out
    for term in ("mean, variance", "fewest parts", "blinded"):
        assert term in shown
    assert "allowed" in run("policy", "test", "example/job.toml").out
    Path("ended.toml").write_text(Path(terms).read_text().replace("2035-12-31", "2020-12-31"))
    assert "they ended on 2020-12-31" in run("policy", "set", "lab.measurements", "ended.toml").out
    assert run("policy", "test", "example/job.toml").code == 3
    assert run("policy", "set", "lab.measurements", terms).code == 0
    assert run("policy", "test", "example/job.toml", "--json").document["allowed"] is True


def test_each_party_signs_for_itself(run: Run, workspace: Path) -> None:
    asked = run("grant", "request", "example/job.toml", "--calls", "2", "--days", "3", "--json").document
    assert asked["state"] == "requested"
    assert asked["missing"] == ["data-bureau", "registry", "lab", "hospital"]
    for party in asked["missing"]:
        assert run("grant", "approve", asked["id"], "--as", party).code == 0
    assert run("grant", "show", asked["id"], "--json").document["state"] == "valid"
    assert "0 of 2 calls" in run("grant", "show", asked["id"]).out
    listed = run("grant", "list", "--json").document["grants"]
    assert [item["used"] for item in listed] == [1, 0]
    assert asked["id"] in run("grant", "list").out


def test_the_log_is_listed_traced_and_reconciled(run: Run, workspace: Path) -> None:
    kinds = [event["kind"] for event in run("audit", "log", "--json").document["events"]]
    assert kinds[0] == "plan.submitted"
    assert kinds[-1] == "product.released"
    assert "product.released" in run("audit", "log").out
    traced = run("audit", "trace", "newest", "--json").document["events"]
    assert [item["event"]["kind"] for item in traced] == kinds
    assert "grant.issued" in run("audit", "trace", "newest").out
    assert "pass" in run("audit", "reconcile", "--trust", "trust.toml").out
    assert all(item["verdict"] == "pass" for item in run("audit", "reconcile", "--json").document["findings"])


def test_doctor_says_what_is_active(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_DATABASE_URL", raising=False)
    found = run("doctor", "--json").document
    assert found["engine"]["name"] in ("native", "portable")
    assert (found["engine"]["native_unavailable"] is None) or found["engine"]["name"] == "portable"
    assert found["versions"]["duckdb"]
    assert found["problems"] == []
    assert {item["extra"] for item in found["extras"]} >= {"demo", "postgres"}
    assert "everything that is needed is here" in run("doctor").out


def test_init_writes_where_heavy_steps_run_and_doctor_reads_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "clustered"
    run("init", str(place), "--compute", "dask", "--address", "tcp://10.0.0.7:8786", "--workers", "3", "--json")
    found = run("doctor", "--workspace", str(place), "--json").document["compute"]
    expected = {"backend": "dask", "address": "tcp://10.0.0.7:8786", "workers": 3, "in_memory_bytes": 64 << 20}
    assert found["workspace"] == {"directory": str(place), **expected}
    assert found["installed"]["threads"] is True
    assert set(found["installed"]) == {"threads", "dask", "ray"}
    monkeypatch.setitem(mappers.PACKAGES, "dask", "a_package_that_is_not_there")
    missing = run("doctor", "--workspace", str(place), "--json")
    assert missing.code == 1
    assert "public-data-sandbox[dask]" in missing.document["problems"][0]
    (place / "compute.toml").write_text("[compute]\nbackend = 5\n")
    assert "compute.toml" in run("doctor", "--workspace", str(place), "--json").document["problems"][0]
    assert "leave it out" in run("init", str(tmp_path / "other"), "--address", "tcp://10.0.0.7:1").err


def test_demo_prints_answers_trials_and_where_the_evidence_is(
    run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Embedded.open(workspace) as network:
        product = network.products()[0]
        explanation = network.explain(product.card.sql, purpose=product.card.purpose)
    answer = Answer(explanation=explanation, product=product, seconds={"match": 0.5}, bundle=workspace / "bundle")
    result = DemoResult(
        answers=(answer,),
        directory=workspace,
        trust=workspace / "trust.toml",
        trials=(Trial(title="a near question", outcome="refused"),),
    )
    given: list[dict[str, Any]] = []

    def play(**options: Any) -> DemoResult:
        given.append(options)
        return result

    monkeypatch.setattr("sandbox.demos.health.run", play)
    text = run("demo", "health", "--key-bits", "2048", "--rows", "100", "--out", "x")
    assert text.code == 0
    assert given[0] == {"out": Path("x"), "key_bits": 2048, "rows": 100, "on_progress": None}
    for part in ("tried: a near question", "sandbox audit verify", "match", "who "):
        assert part in text.out
    document = run("demo", "health", "--json").document
    assert set(document) >= {"product", "withheld", "disclosure", "seconds", "bundle", "trust", "trials"}
    assert given[1] == {"out": None, "rows": None, "on_progress": None}
    assert demo.Story("transport")
