"""An auditor measures products again: honest ones agree; false figures, forgotten products and exposed people are found."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from support import agencies, inprocess_worker

import sandbox
from sandbox.audit.bundle import parse_bundle, write_bundle
from sandbox.audit.verify import verify
from sandbox.cli.main import main
from sandbox.errors import AuditError, UsageError
from sandbox.model.canonical import canonical, digest
from sandbox.model.evidence import payload_digest
from sandbox.model.expression import AggregateRef
from sandbox.model.payload import arrow_file
from sandbox.tasks.attack import AttackReport
from sandbox.tasks.measured import Measured
from sandbox.tasks.measuring import measure_cells
from sandbox.tasks.methods import METHODS
from sandbox.tasks.records import Records, ReleaseHistory

BY_BAND = """
SELECT p.age // 20 AS band, COUNT(*) AS n, AVG(t.value) AS mean
FROM registry.people p JOIN lab.tests t ON t.id = p.id GROUP BY p.age // 20
"""
WOMEN = "SELECT COUNT(*) AS n FROM registry.people p JOIN lab.tests t ON t.id = p.id WHERE p.sex = 0"
MOST_WOMEN = WOMEN + " AND p.age < 78"
FALSE = "smallest_count"
replace = msgspec.structs.replace
ROWS = 320


@dataclasses.dataclass(frozen=True)
class World:
    """Bundles of one network. lied: its gate certified another smallest count. forgetful: its gate overlooked the history."""

    trust: Path
    sex: Path
    band: Path
    women: Path
    lied: Path
    forgetful: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    tables = {
        "registry": {"people": agencies.people_table(agencies.people(ROWS))},
        "lab": {"tests": agencies.lab_table(agencies.measurements(ROWS), unique=True)},
    }
    with pytest.MonkeyPatch.context() as patch:
        inprocess_worker.use(patch)
        with agencies.make(folder / "w", tables) as network:
            found = [
                agencies.answer(network, sql).bundle(folder / name)
                for sql, name in ((agencies.QUESTION, "sex"), (BY_BAND, "band"), (WOMEN, "women"))
            ]
            with pytest.MonkeyPatch.context() as lying:
                method = METHODS["join/1"]
                lying.setitem(METHODS, "join/1", dataclasses.replace(method, measure=flattering))  # type: ignore[arg-type]
                lied = agencies.answer(network, BY_BAND.replace("// 20", "// 30")).bundle(folder / "lied")
            with pytest.MonkeyPatch.context() as forgetting:
                forgetting.setattr(Records, "history", nothing)
                forgetful = agencies.answer(network, MOST_WOMEN).bundle(folder / "forgetful")
            trust = network.write_trust(folder / "trust.toml")
    return World(trust, *found, lied, forgetful)


def flattering(plan: Any, table: Any, card: Any) -> Measured:
    """What a gate signs that would rather show a larger count."""
    found = measure_cells(plan, table, card)
    return dataclasses.replace(
        found,
        measures=tuple(replace(item, value="999") if item.name == FALSE else item for item in found.measures),
    )


HISTORY = Records.history


def nothing(records: Records, assets: Any, *, apart_from: str) -> ReleaseHistory:
    return dataclasses.replace(HISTORY(records, assets, apart_from=apart_from), records=(), products=())


def test_an_honest_certificate_is_found_again(world: World) -> None:
    report = sandbox.attack(world.sex, world.trust)
    assert report.verdict == "PASS"
    assert report.differences == ()
    assert report.verified
    report.require_pass()
    assert {item.name for item in report.recomputed} >= {"rows", "smallest_count", "beyond_bounds", "contradictions"}
    gate = {item.name for item in report.certificate.measures if item.how == "gate"}
    assert {item.measure for item in report.not_recomputed} == gate
    assert all("gate alone" in item.why for item in report.not_recomputed)
    shown = report._repr_html_()
    assert "smallest_count" in shown
    assert "Not measured again" in shown
    assert "Differences" not in shown


def test_without_trust_it_says_so_and_still_binds_the_parts(world: World, tmp_path: Path) -> None:
    report = sandbox.attack(world.sex)
    assert not report.verified
    assert any("not checked" in note for note in report.notes)
    broken = tmp_path / "broken"
    broken.mkdir()
    manifest, payload = (world.sex / "bundle.json").read_bytes(), (world.sex / "product.arrow").read_bytes()
    (broken / "bundle.json").write_bytes(manifest)
    (broken / "product.arrow").write_bytes(payload[:-1])
    with pytest.raises(AuditError) as caught:
        sandbox.attack(broken)
    assert caught.value.place == "product.arrow"
    other = parse_bundle((world.band / "bundle.json").read_bytes()).certificate
    (broken / "product.arrow").write_bytes(payload)
    (broken / "bundle.json").write_bytes(canonical(replace(parse_bundle(manifest), certificate=other)))
    with pytest.raises(AuditError) as caught:
        sandbox.attack(broken)
    assert caught.value.place == "certificate"


def test_a_false_figure_is_signed_and_logged_and_still_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(world.lied, world.trust)
    report = sandbox.attack(world.lied, world.trust)
    assert report.verdict == "FAIL"
    (found,) = report.differences
    assert (found.measure, found.subject, found.what, found.certified) == (FALSE, "n", "value", "999")
    assert found.recomputed == next(item.value for item in report.recomputed if item.name == FALSE)  # type: ignore[union-attr]
    with pytest.raises(AuditError, match="certified as 999") as caught:
        report.require_pass()
    assert caught.value.kind == "invalid"
    assert main(["audit", "verify", str(world.lied), "--trust", str(world.trust)]) == 0
    assert main(["audit", "attack", str(world.lied), "--trust", str(world.trust)]) == 7
    told = capsys.readouterr()
    assert f"the value is certified as 999, and is {found.recomputed}" in told.err
    assert "the certificate differs" in told.out


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda found: found[1:], "measure"),
        (lambda found: (*found, replace(found[0], subject="more")), "value"),
        (lambda found: (replace(found[0], threshold="1"), *found[1:]), "threshold"),
        (lambda found: (replace(found[0], verdict="INCONCLUSIVE"), *found[1:]), "verdict"),
        (lambda found: (replace(found[0], value="0.5"), *found[1:]), "value"),
    ],
)
def test_whatever_differs_is_named(world: World, monkeypatch: pytest.MonkeyPatch, change: Any, what: str) -> None:
    def other(plan: Any, table: Any, card: Any) -> Measured:
        found = measure_cells(plan, table, card)
        return dataclasses.replace(found, measures=change(found.measures))

    monkeypatch.setitem(METHODS, "join/1", dataclasses.replace(METHODS["join/1"], measure=other))  # type: ignore[arg-type]
    report = sandbox.attack(world.sex)
    assert [item.what for item in report.differences] == [what]
    assert report.verdict == "FAIL"


def test_products_together(world: World) -> None:
    alone = sandbox.attack(world.women)
    missing = [item for item in alone.not_recomputed if item.measure == "history"]
    assert len(missing) == 2
    together = sandbox.attack(world.women, world.trust, history=[world.sex, world.band])
    assert [item for item in together.not_recomputed if item.measure == "history"] == []
    assert [(item.attack, item.verdict) for item in together.attacks.items] == [
        ("differencing", "PASS"),
        ("reconstruction", "PASS"),
    ]
    assert together.verdict == "PASS"
    with pytest.raises(UsageError, match="itself"):
        sandbox.attack(world.sex, history=[world.sex])


def test_a_gate_that_overlooked_the_history(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It released how many women are below 78 after how many there are: the difference is of a few. Alone, all is well."""
    assert sandbox.attack(world.forgetful, world.trust).verdict == "PASS"
    report = sandbox.attack(world.forgetful, world.trust, history=[world.women])
    assert [(item.attack, item.verdict) for item in report.attacks.items] == [
        ("differencing", "FAIL"),
        ("reconstruction", "FAIL"),
    ]
    assert [(item.measure, item.certified) for item in report.differences] == [("history", "nothing")]
    out = tmp_path / "exposed.json"
    command = ["audit", "attack", str(world.forgetful), "--history", str(world.women), "--exposed", str(out), "--json"]
    assert main(command) == 7
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "FAIL"
    assert document["error"]["exit_code"] == 7
    assert "cell" not in json.dumps(document["attacks"])
    assert json.loads(out.read_text())[0]["exposed"] == [{"cell": [], "column": "n"}]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_people_of_a_good_table(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = agencies.people(ROWS)
    report = sandbox.attack(world.band, world.trust, auxiliary=people, quasi=["age"])
    assert [(item.attack, item.verdict, item.exposed) for item in report.attacks.items] == [("linkage", "PASS", ())]
    assert report.verdict == "PASS"
    file, out = tmp_path / "people.csv", tmp_path / "exposed.json"
    people.to_csv(file, index=False)
    command = ["audit", "attack", str(world.band), "--auxiliary", str(file), "--quasi", "age", "--exposed", str(out)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "320 of 320 people fit a cell" in told
    assert json.loads(out.read_text())[0]["exposed"] == []


def test_nobody_fits_is_no_proof(world: World, tmp_path: Path) -> None:
    strangers = pd.DataFrame({"sex": [7, 8]})
    report = sandbox.attack(world.sex, auxiliary=strangers, quasi=["sex"])
    assert report.verdict == "INCONCLUSIVE"
    file = tmp_path / "people.csv"
    strangers.to_csv(file, index=False)
    assert main(["audit", "attack", str(world.sex), "--auxiliary", str(file), "--quasi", "sex"]) == 8


def rebound(source: Path, target: Path, *, plan: Any = None, table: pa.Table | None = None) -> Path:
    """A bundle whose plan or table a stranger changed, with digests that agree and signatures that do not."""
    bundle = parse_bundle((source / "bundle.json").read_bytes())
    payload = (source / "product.arrow").read_bytes() if table is None else arrow_file(table)[0]
    plan = bundle.plan if plan is None else plan
    found = replace(bundle.certificate.certificate, payload=payload_digest(payload), plan=plan.digest())
    signed = replace(bundle.certificate, certificate=found)
    card = replace(bundle.product.card, certificate=digest(signed))
    record = replace(bundle.product, payload=payload_digest(payload), payload_bytes=len(payload), card=card)
    return write_bundle(target, canonical(replace(bundle, plan=plan, certificate=signed, product=record)), payload)


def test_bundles_of_strangers(world: World, tmp_path: Path) -> None:
    """Without a trust file whatever a stranger wrote is read: it ends in a typed error or in differences, never in a crash."""
    plan = parse_bundle((world.sex / "bundle.json").read_bytes()).plan
    table = pa.ipc.open_file(world.sex / "product.arrow").read_all()
    at = table.column_names.index("n")
    texts = table.set_column(at, "n", pa.array(["many"] * table.num_rows))
    missing = tuple(replace(item, source=AggregateRef(index=9)) for item in plan.select)
    for number, changes in enumerate(
        ({"table": texts}, {"plan": replace(plan, select=missing)}, {"table": table.drop_columns(["n"])})
    ):
        with pytest.raises(AuditError) as caught:
            sandbox.attack(rebound(world.sex, tmp_path / str(number), **changes))
        assert caught.value.place in ("product", "product.arrow")
    fewer = table.set_column(at, "n", pa.array([3, *table.column("n").to_pylist()[1:]]))
    report = sandbox.attack(rebound(world.sex, tmp_path / "fewer", table=fewer))
    assert report.verdict == "FAIL"
    assert (report.differences[0].measure, report.differences[0].recomputed) == (FALSE, "3")
    same = sandbox.attack(rebound(world.sex, tmp_path / "same"))
    assert same.verdict == "PASS"
    with pytest.raises(AuditError):
        sandbox.attack(rebound(world.sex, tmp_path / "untrusted", table=fewer), world.trust)


def test_misuse(world: World, tmp_path: Path) -> None:
    people = agencies.people(ROWS)
    for options in (
        {"auxiliary": people},
        {"quasi": ["sex"]},
        {"sensitive": ["sex"]},
        {"auxiliary": people, "quasi": ["weight"]},
        {"auxiliary": people, "quasi": ["name"]},
        {"auxiliary": people, "quasi": ["sex"], "sensitive": ["name"]},
        {"auxiliary": people.head(0), "quasi": ["sex"]},
        {"auxiliary": pd.DataFrame({"sex": ["someone's secret"]}), "quasi": ["sex"]},
    ):
        with pytest.raises(UsageError) as caught:
            sandbox.attack(world.sex, **options)
        assert "secret" not in str(caught.value)
    file = tmp_path / "people.csv"
    people.to_csv(file, index=False)
    assert main(["audit", "attack", str(world.sex), "--auxiliary", str(file)]) == 2
    assert main(["audit", "attack", str(tmp_path / "nothing")]) == 9
    assert isinstance(sandbox.attack(world.sex), AttackReport)
