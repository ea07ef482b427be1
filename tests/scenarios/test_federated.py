"""Federated tables over a whole network: parts that fall silent, timeouts that name them, history, evidence, refusals."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from support import agencies, federated

import sandbox
from protocols.errors import PartiesLost, PeerError
from sandbox.audit import check_parts
from sandbox.audit.bundle import parse_bundle, read_bundle
from sandbox.audit.case import Case
from sandbox.audit.trust import parse_trust
from sandbox.embedded import Embedded
from sandbox.errors import AuditError, Denied, NotFound, QuestionError, SourceError, UsageError, Withheld
from sandbox.model.product import AbsentPart
from sandbox.node.provider import ProviderNode

NAME = federated.NAME
QUESTION = f"SELECT sex, COUNT(*) AS n, SUM(income) AS total, AVG(paid) AS mean FROM {NAME} t GROUP BY sex ORDER BY sex"
PEOPLE = 40
SILENCE = 20.0

pytestmark = pytest.mark.usefixtures("in_process")


def tables(parts: int, seed: int = 3) -> dict[str, pa.Table]:
    chance = random.Random(seed)
    found = {}
    for at in range(parts):
        frame = federated.people(chance, PEOPLE, [0]).to_pandas()
        frame["id"] = range(1000 * at, 1000 * at + PEOPLE)
        frame["income"] = frame["income"].abs()
        found[f"p{at}"] = pa.Table.from_pandas(frame, schema=federated.people(chance, 1, [0]).schema, preserve_index=False)
    return found


def network(path: Path, data: dict[str, pa.Table], *, disjoint: bool = True, min_parties: int = 3, **changes: Any) -> Embedded:
    bounds = {"age": (-5, 80), "income": (0, 2000), "score": (-1, 1), "paid": (0, 100)}
    fields: dict[str, Any] = {"unique": True, "bounds": bounds} | changes
    providers = {name: {"people": federated.definition(table, **fields)} for name, table in data.items()}
    table = sandbox.federation([f"{name}.people" for name in data], disjoint=disjoint, min_parties=min_parties)
    return Embedded.create(path, providers, federations={NAME: table})


def ask(found: Embedded, sql: str = QUESTION, *, cut: dict[str, Any] | None = None, **options: Any) -> sandbox.Product:
    explanation = found.explain(sql, purpose="statistics")
    grant = found.approve(explanation)
    for name in found.workspace.providers:
        found.cut_line(name, after=(cut or {}).get(name))
    return found.run(explanation, grant=grant, **({"timeout_s": SILENCE} | options))


def expected(data: dict[str, pa.Table], names: list[str], sql: str = QUESTION) -> list[tuple[Any, ...]]:
    parts = {f"{name}.people": table for name, table in data.items()}
    case = federated.Case(parts, {}, federated.federated(federated.assets_of(3)), sql, 1)
    return case.union([f"{name}.people" for name in names])


def rows(product: sandbox.Product) -> list[tuple[Any, ...]]:
    return [tuple(float(x) if x is not None and at > 1 else x for at, x in enumerate(row)) for row in product.rows()]


def require_equal(product: sandbox.Product, answer: list[tuple[Any, ...]]) -> None:
    """Labels and counts are the same, totals and means too, to the last bits of a double."""
    assert [row[:2] for row in rows(product)] == [row[:2] for row in answer]
    for mine, true in zip(rows(product), answer, strict=True):
        assert mine[2:] == pytest.approx([float(value) for value in true[2:]], rel=1e-12)


SCHEDULES: list[tuple[dict[str, str], list[str]]] = [
    ({}, []),
    ({"p1": "advertise"}, ["p1"]),
    ({"p2": "consistency"}, []),
    ({"p0": "input", "p3": "share"}, ["p0", "p3"]),
    ({"p5": "advertise", "p2": "masked_input"}, ["p5"]),
]


@pytest.mark.parametrize(("cut", "left_out"), SCHEDULES)
def test_the_answer_is_that_of_the_parts_that_remain(scratch: Path, cut: dict[str, str], left_out: list[str]) -> None:
    data = tables(7)
    kept = [name for name in data if name not in left_out]
    with network(scratch / "w", data) as found:
        product = ask(found, cut=cut)
        require_equal(product, expected(data, kept))
        assert [source.provider for source in product.card.sources] == kept
        assert {item.provider: item.counted for item in product.card.absent} == {
            name: name not in left_out for name in sorted(cut)
        }
        agencies.require_sound(found, scratch)
        report = sandbox.verify(scratch / product.id, found.write_trust(scratch / "trust.toml"))
        details = {check.name: check.detail for check in report.checks}
        assert details["parts"].startswith(f"{len(kept)} of 7 parts in the sum")
        assert all(name in details["parts"] for name in cut)


def test_the_masks_cipher_is_the_plans_to_say(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every role masks with the cipher that was signed; explain, card and verifier name it."""
    used = []
    role = ProviderNode.sum_role

    def noting(node: ProviderNode, plan: Any, params: Any, *arguments: Any, **options: Any) -> Any:
        used.append(params.cipher)
        return role(node, plan, params, *arguments, **options)

    monkeypatch.setattr(ProviderNode, "sum_role", noting)
    data = tables(4)
    with network(scratch / "w", data) as found:
        explanation = found.explain(QUESTION, purpose="statistics", cipher="aes256ctr")
        assert "(masks by aes256ctr)" in explanation.text()
        assert explanation.digest() != found.explain(QUESTION, purpose="statistics").digest()
        product = found.run(explanation, grant=found.approve(explanation), timeout_s=SILENCE)
        assert used == ["aes256ctr"] * 4
        require_equal(product, expected(data, list(data)))
        assert product.card.parameters.cipher == "aes256ctr"
        assert "masks by aes256ctr" in product.card.method
        agencies.require_sound(found, scratch)
        unknown: Any = "rot13"
        with pytest.raises(UsageError, match="chacha20 or aes256ctr; 'rot13' is none of them"):
            found.explain(QUESTION, purpose="statistics", cipher=unknown)


def test_a_silent_part_is_timed_out_by_name(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One hangs while it reads, another in the middle of the rounds: nothing arrives, and the run goes on without both."""
    data = tables(8)
    release = threading.Event()
    prepare, role = ProviderNode.prepare, ProviderNode.sum_role

    def hangs(node: ProviderNode, *arguments: Any, **options: Any) -> Any:
        if node.name == "p6":
            release.wait(60)
        return prepare(node, *arguments, **options)

    def stuck(node: ProviderNode, *arguments: Any, **options: Any) -> Any:
        made = role(node, *arguments, **options)
        if node.name == "p2":
            made.on_delivery = lambda sender, message: release.wait(60)
        return made

    monkeypatch.setattr(ProviderNode, "prepare", hangs)
    monkeypatch.setattr(ProviderNode, "sum_role", stuck)
    with network(scratch / "w", data) as found:
        product = ask(found, timeout_s=2.0)
        assert [(item.provider, item.step) for item in product.card.absent] == [("p2", "masked_input"), ("p6", "input")]
        require_equal(product, expected(data, ["p0", "p1", "p3", "p4", "p5", "p7"]))
        agencies.require_sound(found, scratch)
        release.set()


def test_too_few_that_remain_are_no_sum(scratch: Path) -> None:
    data = tables(4)
    with network(scratch / "w", data) as found:
        for cut in ({"p0": "input", "p1": "input"}, {"p0": "share", "p1": "advertise"}):
            with pytest.raises(PartiesLost) as lost:
                ask(found, cut=cut)
            assert set(lost.value.names) == {"p0", "p1"}
        assert agencies.uses(found) == 0
        agencies.require_sound(found, scratch)


def test_history_refuses_what_would_tell_of_one_part(scratch: Path) -> None:
    data = tables(7)
    with network(scratch / "w", data) as found:
        first = ask(found, cut={"p3": "share"})
        assert not first.withheld
        # The very same inputs over other parts: the gate's role never adds them up.
        with pytest.raises(PeerError, match="p3"):
            ask(found)
        # Another question whose totals differ from the first one's by the part that was missing.
        with pytest.raises(Withheld, match="fewer than 3"):
            ask(found, f"SELECT zone, COUNT(*) AS n FROM {NAME} t GROUP BY zone")
        # One that says nothing of all rows: no combination isolates the part.
        other = ask(found, f"SELECT zone, COUNT(*) AS n FROM {NAME} t WHERE sex = 1 AND age > 20 GROUP BY zone")
        assert not other.withheld
        # Without the part, declared anew, the first question's total can be broken down.
        remaining = sandbox.federation([f"p{at}.people" for at in range(7) if at != 3], disjoint=True)
        found.federate("census.remaining", remaining)
        again = ask(found, "SELECT zone, COUNT(*) AS n FROM census.remaining t GROUP BY zone")
        assert not again.withheld
        agencies.require_sound(found, scratch)


def test_three_parts_more_are_no_single_part(scratch: Path) -> None:
    """A difference of three parts is a sum over three parts, with k people in each of its cells."""
    data = tables(10)
    with network(scratch / "w", data) as found:
        ask(found, cut={"p1": "input", "p2": "input", "p3": "input"})
        product = ask(found, f"SELECT sex, COUNT(*) AS n FROM {NAME} t GROUP BY sex")
        assert not product.withheld


def test_evidence_that_names_other_parts_is_refused(scratch: Path) -> None:
    data = tables(7)
    with network(scratch / "w", data) as found:
        product = ask(found, cut={"p2": "share"})
        bundle = parse_bundle(read_bundle(product.bundle(scratch / "b"))[0])
        trust = parse_trust(found.workspace.trust_file())

    def judged(changed: Any) -> str:
        return check_parts.parts(Case(bundle=changed, payload=b"", trust=trust, now=None))

    def with_absent(*absent: AbsentPart) -> Any:
        card = msgspec.structs.replace(bundle.product.card, absent=absent)
        return msgspec.structs.replace(bundle, product=msgspec.structs.replace(bundle.product, card=card))

    assert judged(bundle).startswith("6 of 7")
    (real,) = bundle.product.card.absent
    other = AbsentPart(provider="p4", asset="p4.people", step="share", counted=False)
    for changed in (with_absent(), with_absent(real, other), with_absent(msgspec.structs.replace(real, counted=True))):
        with pytest.raises(AuditError, match="other parts"):
            judged(changed)
    for absent in ((real, real), (msgspec.structs.replace(real, asset="p9.people"),), (other, real)):
        with pytest.raises(AuditError, match="not parts of the plan"):
            judged(with_absent(*absent))
    for field, value in (("protocol", "join/1"), ("federation", None)):
        plan = msgspec.structs.replace(bundle.plan, **{field: value})
        with pytest.raises(AuditError):
            judged(msgspec.structs.replace(bundle, plan=plan))
    few = [AbsentPart(provider=f"p{at}", asset=f"p{at}.people", step="input", counted=False) for at in range(5)]
    with pytest.raises(AuditError, match="2 parts are in the sum"):
        judged(with_absent(*few))


def test_owners_decide_how_few_parts_are_enough(scratch: Path) -> None:
    data = tables(3)
    with network(scratch / "w", data, min_parties=2) as found:
        found.set_policy(
            agencies.terms("p1.people", {"id": ("count",), "sex": ("group",), "income": ("sum",), "paid": ("mean",)})
        )
        explanation = found.explain(QUESTION, purpose="statistics")
        assert [item.check for item in explanation.decision.findings if item.verdict != "pass"] == ["minimum_parties"]
        with pytest.raises(Denied, match="at least 2 parts"):
            found.approve(explanation)


def test_a_part_whose_data_are_not_as_declared_is_refused_by_name(scratch: Path) -> None:
    data = tables(3)
    for column, value, problem in (
        ("id", None, "1 rows have no key"),
        ("zone", "q", "1 values are not in the declared code list"),
        ("income", 5000, "1 values are beyond the declared bounds"),
    ):
        frame = data["p1"].to_pandas(types_mapper=pd.ArrowDtype)
        frame.loc[3, column] = value
        with (
            network(scratch / column, data | {"p1": pa.Table.from_pandas(frame, preserve_index=False)}) as found,
            pytest.raises(SourceError, match=problem),
        ):
            ask(found, f"SELECT zone, SUM(income) AS s FROM {NAME} t GROUP BY zone")


REFUSED = [
    ("SELECT COUNT(*) FROM {t} t JOIN p0.people p ON p.id = t.id", "asked alone"),
    ("SELECT COUNT(DISTINCT id) FROM {t} t", "may share people"),
    ("SELECT paid, COUNT(*) FROM {t} t GROUP BY paid", "follow from no declaration"),
    ("SELECT age, income, COUNT(*) FROM {t} t GROUP BY age, income", "more than 100000 cells"),
    ("SELECT id, COUNT(*) FROM {t} t GROUP BY id", "key column"),
    ("SELECT COUNT(*) FROM {t} t WHERE id = 3", "key column"),
    ("SELECT income FROM {t} t", "neither grouped nor aggregated"),
]


@pytest.mark.parametrize(("sql", "problem"), REFUSED)
def test_questions_that_are_refused(sql: str, problem: str) -> None:
    assets = federated.assets_of(3)
    with pytest.raises(QuestionError, match=problem) as refused:
        federated.compiled(sql.format(t=NAME), assets, federated.federated(assets))
    assert refused.value.line == 1


def test_a_column_that_nobody_has_classified_is_said_to_be_so() -> None:
    assets = federated.assets_of(3, roles={"member": "unclassified"})
    with pytest.raises(QuestionError, match="member is not classified yet") as refused:
        federated.compiled(f"SELECT member, COUNT(*) FROM {NAME} t GROUP BY member", assets, federated.federated(assets))
    assert refused.value.excerpt[refused.value.column - 1 :] == "member"


def test_an_unknown_table_is_answered_with_the_nearest_name() -> None:
    assets = federated.assets_of(3)
    with pytest.raises(QuestionError, match=r"no table census\.peple") as refused:
        federated.compiled("SELECT COUNT(*) FROM census.peple t", assets, federated.federated(assets))
    assert refused.value.hint == "tables that can be asked: census.people, p0.people, p1.people, p2.people"


def test_explain_tells_how_many_parts_a_sum_needs(scratch: Path) -> None:
    """Three are enough for the owners, and four of five sign the survivor set: four it is, in both places."""
    with network(scratch / "network", tables(5)) as found:
        explanation = found.explain(QUESTION, purpose="statistics")
    assert any("while at least 4 are left" in line.text for line in explanation.lines)
    assert any("at least 4 parties" in fact.about for fact in explanation.disclosure.learned)


def test_a_line_is_cut_after_a_step_that_exists(scratch: Path) -> None:
    steps: Any = "unmask"
    with network(scratch / "network", tables(3)) as found, pytest.raises(UsageError, match="after one of the steps input"):
        found.cut_line("p0", after=steps)


def test_a_part_that_is_gone_is_named(scratch: Path) -> None:
    assets = federated.assets_of(4)
    table = federated.federated(assets)
    with pytest.raises(QuestionError, match=r"p2\.people, a part of census\.people, is not published"):
        federated.compiled(QUESTION, {name: asset for name, asset in assets.items() if name != "p2.people"}, table)


def test_declarations_that_are_refused() -> None:
    assets = federated.assets_of(3)
    providers = ["p0", "p1", "p2"]
    from sandbox.catalogue import declare_federation, federation

    def declared(name: str = NAME, known: Any = assets, parts: Any = tuple(assets), **changes: Any) -> Any:
        return declare_federation(name, federation(parts, **changes), known, providers)

    assert declared().parts == tuple(assets)
    wider = federated.assets_of(1, bounds={"age": (0, 90), "income": (0, 1), "score": (-1, 1), "paid": (0, 100)})
    fewer = federated.assets_of(2, codes={"zone": ["a", "b", "c"]})
    for problem, call in (
        ("differ in the bounds of column 'age'", lambda: declared(known=assets | wider)),
        ("does not declare column 'sex'", lambda: declared(known=assets | {"p1.people": fewer["p1.people"]})),
        ("is a provider", lambda: declared("p1.people")),
        ("names no federated table", lambda: declared("people")),
        ("named twice", lambda: declared(parts=("p0.people", "p1.people", "p0.people"))),
        ("needs 3 to", lambda: declared(parts=("p0.people", "p1.people"))),
        ("at least 2", lambda: declared(min_parties=1)),
    ):
        with pytest.raises(UsageError, match=problem):
            call()
    with pytest.raises(NotFound, match=r"no published table 'p9\.people'"):
        declared(parts=("p0.people", "p1.people", "p9.people"))
