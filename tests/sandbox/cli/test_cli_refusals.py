"""Wrong input: one clear message, the exit code of the table, and nothing else."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
from cli_running import Run, WriteJob

from sandbox.embedded import Embedded
from sandbox.node.workspace import Workspace, utc_now

LAB = "example/lab/measurements.csv"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["explain", "nope.toml"], 9, "there is no file 'nope.toml'"),
        (["explain", "example"], 2, "cannot be read: Is a directory"),
        (["explain", LAB], 2, "is not TOML"),
        (["explain", "example/policies/lab.measurements.toml"], 2, "unknown field"),
        (["run", "example/job.toml", "--grant", "grant-0"], 9, "there is no grant 'grant-0'"),
        (["product", "show", "task-0"], 9, "there is no product 'task-0'"),
        (["product", "export", "newest", "x.xlsx"], 2, "end it in .csv, .parquet, .arrow"),
        (["product", "export", "newest", "no/where/x.csv"], 1, "cannot be written"),
        (["product", "list", "-w", "nowhere"], 9, "make one with `sandbox init nowhere`"),
        (["catalogue", "add", LAB, "--as", "police.t", "--key", "id"], 9, "'police' is no provider"),
        (["catalogue", "add", LAB, "--as", "lab", "--key", "id"], 2, "write provider.table"),
        (["catalogue", "add", LAB, "--as", "lab.a b", "--key", "id"], 2, "cannot be called"),
        (["catalogue", "add", "none.csv", "--as", "lab.t", "--key", "id"], 6, "no such file"),
        (["catalogue", "add", "trust.toml", "--as", "lab.t", "--key", "id"], 2, "the kind of 'trust.toml' is not known"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "no"], 2, "key names 'no', which is not a column"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--bounds", "value"], 2, "COLUMN=VALUE"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--bounds", "value=1"], 2, "LOW:HIGH"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--scale", "value=x"], 2, "whole number"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--role", "test=boss"], 2, "use one of"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--codes", "id=a,b"], 2, "not integer"),
        (["catalogue", "add", LAB, "--as", "lab.t", "--key", "id", "--role", "a=key", "--role", "a=key"], 2, "twice"),
        (["catalogue", "show", "lab.none"], 9, "near it: lab.measurements"),
        (["catalogue", "profile", "police.none"], 9, "is no provider"),
        (["catalogue", "classify", "neither"], 2, "names no asset"),
        (["policy", "show", "lab.none"], 9, "nobody has set terms"),
        (["policy", "set", "lab.none", "example/policies/lab.measurements.toml"], 2, "not on 'lab.none'"),
        (["policy", "set", "lab.measurements", "example/job.toml"], 2, "job.toml"),
        (["grant", "approve", "newest", "--as", "nobody"], 3, "nobody is no known party"),
        (["grant", "approve", "newest", "--as", "city-health-operator"], 3, "nobody approves their own request"),
        (["grant", "approve", "newest", "--as", "lab"], 2, "lab has signed"),
        (["grant", "revoke", "newest", "--as", "nobody", "--reason", "x"], 9, "the identity of nobody"),
        (["grant", "revoke", "newest", "--as", "lab", "--reason", "a\x1b[31mb"], 2, "printable"),
        (["grant", "request", "example/job.toml", "--calls", "0"], 2, "--calls"),
        (["audit", "verify", "nowhere", "--trust", "trust.toml"], 9, "no bundle directory"),
        (["audit", "verify", "example", "--trust", "none.toml"], 9, "no trust file"),
        (["explain", "没有.toml"], 9, "there is no file '没有.toml'"),
        (["audit", "trace", "task-0"], 9, "there is no product"),
        (["audit", "trace", "sha256:00"], 9, "no release"),
        (["demo", "nothing"], 2, "nothing"),
        (["demo", "census", "--key-bits", "2048"], 2, "has no Paillier key; leave --key-bits out"),
        (["nonsense"], 2, "No such command"),
        (["run"], 2, "Missing argument"),
        (["run", "example/job.toml", "--nonsense"], 2, "No such option"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_wrong_input_is_named(run: Run, workspace: Path, arguments: list[str], code: int, message: str) -> None:
    found = run(*arguments, "--json")
    assert found.code == code, found.err
    assert message in found.err
    assert found.err.startswith("error: ")
    assert found.document["error"]["exit_code"] == code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('title = "HDL', 'colour = 1\ntitle = "HDL'), "unknown field `colour`"),
        (('profile = "statistics-controlled"\n', ""), "missing required field `profile`"),
        (('recipients = ["city-health-operator"]', 'recipients = "operator"'), "recipients"),
        (('recipients = ["city-health-operator"]', "recipients = []"), "recipients: name at least one"),
        (("key_bits = 2048", 'key_bits = "2048"'), "parameters.key_bits"),
        (("key_bits = 2048", "key_bits = 1024"), "parameters.key_bits"),
        (('noise = "djn"', 'noise = "none"'), "parameters.noise"),
        (("statistics-controlled", "anything-goes"), "there is no profile"),
        (("HDL cholesterol", "HDL \\u001b[31m"), "title: one line"),
        (('purpose = "', 'purpose = "a\\nb'), "purpose: "),
        (("SELECT", "\u202e\x00"), "is not TOML"),
    ],
)
def test_a_job_is_read_strictly(run: Run, write_job: WriteJob, change: tuple[str, str], message: str) -> None:
    found = run("explain", write_job(change))
    assert found.code == 2
    assert message in found.err


def test_a_job_that_is_no_small_text_is_refused(run: Run, workspace: Path) -> None:
    (workspace / "big.toml").write_text("#" * (2 << 20))
    (workspace / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (workspace / "deep.toml").write_text("x = " + "[" * 100_000)
    for name, message in (("big", "is larger than"), ("binary", "is not UTF-8"), ("deep", "toml")):
        found = run("explain", f"{name}.toml")
        assert found.code == 2
        assert message in found.err


def test_a_question_shows_the_place_with_a_caret(run: Run, write_job: WriteJob) -> None:
    path = write_job(("AVG(l.value) AS mean_hdl", "MAX(l.value) AS highest"))
    found = run("explain", path)
    assert found.code == 2
    lines = found.err.splitlines()
    (caret,) = [at for at, line in enumerate(lines) if line.strip() == "^"]
    assert lines[caret - 1][lines[caret].index("^") :].startswith("MAX")
    error = run("explain", path, "--json").document["error"]
    assert error["line"] == 1
    assert error["column"] > 1


def test_denied_terms_list_every_finding(run: Run, write_job: WriteJob) -> None:
    path = write_job(("chronic-disease-statistics", "marketing"))
    found = run("policy", "test", path)
    assert found.code == 3
    assert found.out.count("fail") == 3
    assert "marketing" in found.err
    machine = run("policy", "test", path, "--json")
    assert machine.code == 3
    assert sum(item["verdict"] == "fail" for item in machine.document["error"]["findings"]) == 3
    assert run("run", path).code == 3
    assert "no grant covers this plan" in run("run", path).err
    asked = run("grant", "request", path, "--json").document
    approved = run("grant", "approve", asked["id"], "--as", "lab")
    assert approved.code == 3
    assert run("grant", "show", asked["id"], "--json").document["signed"] == []


def test_terms_of_unknown_columns_are_refused(run: Run, workspace: Path) -> None:
    terms = workspace / "example" / "policies" / "lab.measurements.toml"
    terms.write_text(terms.read_text() + 'valeu = ["sum"]\n')
    found = run("policy", "set", "lab.measurements", str(terms))
    assert found.code == 2
    assert "no column 'valeu'; it has id, test, value" in found.err


def test_an_incomplete_grant_stops_a_run(run: Run, workspace: Path) -> None:
    asked = run("grant", "request", "example/job.toml", "--json").document["id"]
    assert "still needs" in run("grant", "approve", asked, "--as", "lab").out
    found = run("run", "example/job.toml", "--grant", asked)
    assert found.code == 3
    assert "is missing" in found.err


def test_an_expired_grant_stops_a_run(run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def later(path: Path) -> Embedded:
        return Embedded(Workspace.open(path), terms="written", clock=lambda: utc_now() + datetime.timedelta(days=31))

    monkeypatch.setattr(Embedded, "open", later)
    assert run("grant", "show", "newest", "--json").document["state"] == "expired"
    found = run("run", "example/job.toml")
    assert found.code == 3
    assert "expired at" in found.err


def test_nothing_released_costs_a_use_and_used_up_or_revoked_grants_stop_a_run(run: Run, write_job: WriteJob) -> None:
    path = write_job(("p.male AS sex", "p.age AS sex"), ("BY p.male", "BY p.age"))
    assert run("grant", "request", path).code == 0
    grant = run("grant", "approve", "newest", "--as", "all", "--json").document["id"]
    found = run("run", path, "--json")
    assert found.code == 4, found.err
    assert "nothing could be released" in found.err
    assert found.document["error"]["findings"]
    assert run("grant", "show", grant, "--json").document["state"] == "used up"
    again = run("run", path, "--grant", grant)
    assert again.code == 3
    assert "is used up: 1 of 1 calls" in again.err
    assert "is revoked" in run("grant", "revoke", grant, "--as", "lab", "--reason", "a complaint").out
    ended = run("run", path)
    assert ended.code == 3
    assert "revoked by lab" in ended.err


def test_a_workspace_has_one_user_at_a_time(run: Run, workspace: Path) -> None:
    with Embedded.open(workspace):
        found = run("product", "list")
    assert found.code == 1
    assert "in use by another process" in found.err
    assert run("product", "list").code == 0


def test_outside_a_workspace_the_way_in_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run("grant", "list")
    assert found.code == 9
    assert "sandbox init DIR" in found.err


def test_a_workspace_is_found_from_below(run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace / "example" / "lab")
    assert run("product", "list").code == 0
    assert run("catalogue", "classify", "measurements.csv").code == 0


def test_init_takes_no_workspace_twice(run: Run, workspace: Path) -> None:
    found = run("init", ".")
    assert found.code == 1
    assert "is a workspace already" in found.err
    bad = run("init", "elsewhere", "--provider", "a\x1b[31mb")
    assert bad.code == 2


def test_a_tampered_bundle_is_invalid_and_an_unknown_key_untrusted(run: Run, workspace: Path) -> None:
    (bundle,) = (workspace / "nodes" / "data-bureau" / "products").iterdir()
    payload = bundle / "product.arrow"
    payload.write_bytes(payload.read_bytes() + b"\0")
    found = run("audit", "verify", str(bundle), "--trust", "trust.toml")
    assert found.code == 7
    assert "invalid at product.arrow" in found.err
    payload.unlink()
    assert run("audit", "verify", str(bundle), "--trust", "trust.toml").code == 8


@pytest.mark.parametrize("name", ["\x1b[31mred\x07\r\nbreak", "[bold]<b>markup</b>[/bold]", "\u202egnp.exe"])
def test_names_from_outside_are_escaped(run: Run, workspace: Path, name: str) -> None:
    for arguments in (
        ["explain", name],
        ["product", "show", name],
        ["grant", "approve", name, "--as", "lab"],
        ["grant", "approve", "newest", "--as", name],
        ["catalogue", "show", f"lab.{name}"],
        ["catalogue", "add", LAB, "--as", f"{name}.t", "--key", "id"],
        ["catalogue", "add", LAB, "--as", "lab.t", "--key", name],
        ["catalogue", "add", name, "--as", "lab.t", "--key", "id"],
        ["policy", "show", name],
        ["audit", "verify", name, "--trust", name],
        ["product", "list", "-w", name],
        [name],
    ):
        found = run(*arguments, "--json")
        assert found.code in (2, 3, 6, 9), found.err
        assert found.document["error"]["message"]
        assert len(found.err.splitlines()) <= 3
        if name.startswith("["):
            assert "[bold]" in found.err


def test_text_from_data_is_never_markup(run: Run, workspace: Path) -> None:
    rows = "".join(f"{n},[red]a[/red]\n{n},<script>\n" for n in range(40))
    (workspace / "t.csv").write_text("id,[bold]label[/bold]\n" + rows)
    added = run(
        "catalogue", "add", "t.csv", "--as", "lab.t", "--key", "id", "--codes", "[bold]label[/bold]=[red]a[/red],<script>"
    )
    assert added.code == 0
    profile = run("catalogue", "profile", "lab.t").out
    for text in ("[bold]label[/bold]", "[red]a[/red]", "<script>"):
        assert text in profile


def test_doctor_reports_what_cannot_be_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", "magic")
    found = run("doctor", "--json")
    assert found.code == 1
    assert "SANDBOX_ENGINE" in found.document["problems"][0]
    monkeypatch.delenv("SANDBOX_ENGINE")
    monkeypatch.setenv("SANDBOX_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/none")
    found = run("doctor")
    assert found.code == 1
    assert "problem: SANDBOX_DATABASE_URL" in found.out
    assert "hunter2" not in found.out + found.err


@pytest.mark.parametrize(
    ("error", "message"), [(ValueError("a value"), "internal error (ValueError)"), (KeyboardInterrupt(), "stopped")]
)
def test_the_unexpected_is_one_line_without_values(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    def fail(workspace: Path | None = None) -> Any:
        raise error

    monkeypatch.setattr("sandbox.cli.doctor.examine", fail)
    found = run("doctor")
    assert found.code == 1
    assert message in found.err
    assert "a value" not in found.err
    assert len(found.err.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_named(run: Run, workspace: Path) -> None:
    job = workspace / "example" / "job.toml"
    job.chmod(0)
    assert run("explain", str(job)).code == 2
