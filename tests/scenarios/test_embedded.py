"""A whole network in one process, through the real workers: from tables to a product whose evidence verifies."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from support import agencies

import sandbox
from sandbox.audit.verify import verify
from sandbox.embedded import Embedded
from sandbox.errors import Denied, NotFound, StateError, UsageError

EVENTS = pd.DataFrame(
    {
        "id": [row % 120 for row in range(300)],
        "event": [("stroke", "fall", None)[row // 120] for row in range(300)],
    }
)
INCOMES = pd.DataFrame({"id": [*range(10, 120), None], "income": [*(1000 + 10.5 * row for row in range(110)), 5.0]})
WIDE = """
SELECT p.sex, e.event, COUNT(*) AS n, COUNT(t.value) AS tested, SUM(t.value) AS total, AVG(i.income) AS income,
       COUNT(DISTINCT p.id) AS persons
FROM registry.people p
JOIN lab.tests t ON t.id = p.id
JOIN hospital.events e ON e.id = p.id
JOIN bank.incomes i ON i.id = p.id
WHERE p.age >= 25
GROUP BY p.sex, e.event
ORDER BY p.sex, e.event NULLS FIRST
"""


def definitions() -> dict[str, dict[str, Any]]:
    return {
        "registry": {"people": agencies.people_table()},
        "lab": {"tests": agencies.lab_table()},
        "hospital": {"events": sandbox.table(EVENTS, key="id", key_domain="person", codes={"event": ["stroke", "fall"]})},
        "bank": {
            "incomes": sandbox.table(
                INCOMES,
                key="id",
                key_domain="person",
                types={"id": "integer"},
                bounds={"income": (0, 10_000)},
                scales={"income": 10},
            )
        },
    }


def pooled(sql: str) -> list[tuple[Any, ...]]:
    """The reference: DuckDB over all tables in one place."""
    connection = duckdb.connect()
    frames = {"registry.people": agencies.people(), "lab.tests": agencies.measurements(), "hospital.events": EVENTS}
    for name, frame in (frames | {"bank.incomes": INCOMES}).items():
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.', maxsplit=1)[0]}")
        connection.register("incoming", frame)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    return connection.execute(sql).fetchall()


def test_a_question_over_two_agencies_from_tables_to_verified_evidence(tmp_path: Path) -> None:
    frames: list[int] = []
    steps: list[str] = []
    with agencies.make(tmp_path / "w") as network:
        explanation = agencies.ask(network, title="Totals by sex")
        assert explanation.decision.allowed
        grant = network.approve(explanation, calls=2)
        product = network.run(
            explanation,
            grant=grant,
            on_frame=lambda sender, recipient, frame: frames.append(len(frame)),
            on_progress=lambda step, done, total: steps.append(step),
        )
        assert [tuple(row) for row in product.rows()] == pooled(agencies.QUESTION + " ORDER BY p.sex")
        assert product.withheld == ()
        assert product.card.title == "Totals by sex"
        assert frames
        assert {step.split(":")[0] for step in steps} == {"registry", "lab", "operator", "manager", "gate"}
        assert network.products()[0].rows() == network.product(product.id).rows() == product.rows()
        assert agencies.uses(network) == 1
        trust = network.write_trust(tmp_path / "trust.toml")
        report = verify(product.bundle(tmp_path / "bundle"), trust)
        assert report.task == product.id
        assert report.plan == explanation.digest()
        agencies.require_sound(network, tmp_path)
        with pytest.raises(StateError, match="exists"):
            product.bundle(tmp_path / "bundle")
        with pytest.raises(NotFound, match=product.id):
            network.product("task-0")


def test_three_and_four_agencies_give_what_the_pooled_tables_give(tmp_path: Path) -> None:
    three = """
    SELECT e.event, COUNT(*) AS n, VAR_SAMP(t.value) AS spread
    FROM registry.people p JOIN lab.tests t ON t.id = p.id JOIN hospital.events e ON e.id = p.id
    WHERE e.event IS NOT NULL GROUP BY e.event ORDER BY e.event
    """
    with agencies.make(tmp_path / "w", definitions()) as network:
        for row, expected in zip(agencies.answer(network, three).rows(), pooled(three), strict=True):
            assert row[:2] == list(expected[:2])
            assert row[2] == pytest.approx(expected[2], rel=1e-12)
        product = agencies.answer(network, WIDE)
        truth = pooled(WIDE)
        assert len(product.rows()) == len(truth) == 6
        for row, wanted in zip(product.rows(), truth, strict=True):
            assert row[:5] == list(wanted[:5])
            assert Fraction(row[5]) == pytest.approx(Fraction(wanted[5]), rel=1e-15)
            assert row[6] == wanted[6]
        agencies.require_sound(network, tmp_path)


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb"])
def test_files_of_every_kind_give_the_same_product(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"tests.{kind}"
    frame = agencies.measurements()
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        with duckdb.connect(str(path)) as connection:
            connection.register("frame", frame)
            connection.execute("CREATE TABLE tests AS SELECT * FROM frame")
    before = path.read_bytes()
    options = {"table": "tests"} if kind == "duckdb" else {}
    tables = {"registry": {"people": agencies.people_table()}, "lab": {"tests": agencies.lab_table(path, **options)}}
    with agencies.make(tmp_path / "w", tables) as network:
        product = agencies.answer(network)
        assert [tuple(row) for row in product.rows()] == pooled(agencies.QUESTION + " ORDER BY p.sex")
    assert path.read_bytes() == before


def test_a_workspace_opens_again_with_its_products_terms_and_history(tmp_path: Path) -> None:
    people, tests = tmp_path / "people.csv", tmp_path / "tests.csv"
    agencies.people().to_csv(people, index=False)
    agencies.measurements().to_csv(tests, index=False)
    tables = {"registry": {"people": agencies.people_table(people)}, "lab": {"tests": agencies.lab_table(tests)}}
    with agencies.make(tmp_path / "w", tables) as network:
        network.set_policy(agencies.people_terms())
        network.set_policy(agencies.lab_terms())
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=3)
        first = network.run(explanation, grant=grant)
        identity = network.manager.identity.public
    with Embedded(network.workspace.open(tmp_path / "w"), terms="written", insecure_test_keys=True) as network:
        assert network.manager.identity.public == identity
        again = agencies.ask(network)
        assert again.digest() == explanation.digest()
        second = network.run(again, grant=grant)
        assert [product.id for product in network.products()] == [first.id, second.id]
        assert first.rows() == second.rows()
        assert agencies.uses(network) == 2
        first_root, second_root = (
            {item.root for item in product.case_file.commitments} for product in network.manager.records.products()
        )
        assert first_root == second_root
        agencies.require_sound(network, tmp_path)
    with agencies.make(tmp_path / "w", {"hospital": definitions()["hospital"]}) as network:
        assert set(network.manager.assets()) == {"registry.people", "lab.tests", "hospital.events"}
        assert len(agencies.answer(network, WIDE_WITHOUT_BANK).rows()) == 1
        agencies.require_sound(network, tmp_path)


WIDE_WITHOUT_BANK = """
SELECT COUNT(*) AS n FROM registry.people p
JOIN lab.tests t ON t.id = p.id JOIN hospital.events e ON e.id = p.id
"""


def test_frames_must_be_given_again_after_reopening(tmp_path: Path, in_process: None) -> None:
    with agencies.make(tmp_path / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=2)
    with agencies.make(tmp_path / "w", {"lab": agencies.two()["lab"]}) as network:
        with pytest.raises(NotFound, match=r"registry\.people"):
            network.run(explanation, grant=grant)
        assert agencies.kinds(network)["task.aborted"] == 1
        assert agencies.uses(network) == 0
    with agencies.make(tmp_path / "w") as network:
        assert network.run(explanation, grant=grant).rows()
        agencies.require_sound(network, tmp_path)


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path: Path, in_process: None) -> None:
    program = f"""
    import sys
    from sandbox import Embedded
    from sandbox.errors import StateError
    try:
        Embedded.open({str(tmp_path / "w")!r})
    except StateError as error:
        print(error)
        sys.exit(23)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with agencies.make(tmp_path / "w") as network:
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert other.returncode == 23, other.stderr
        assert "in use by another process" in other.stdout
        with pytest.raises(StateError, match="in use"):
            Embedded.open(tmp_path / "w")
        assert agencies.answer(network).rows()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_table_that_cannot_be_registered_leaves_the_workspace_free(tmp_path: Path, in_process: None) -> None:
    with pytest.raises(UsageError, match="colour"):
        agencies.make(tmp_path / "w", {"registry": {"people": agencies.people_table(codes={"colour": [1]})}})
    with pytest.raises(UsageError, match="operator"):
        agencies.make(tmp_path / "w", {"operator": {"people": agencies.people_table()}})
    with agencies.make(tmp_path / "w") as network:
        assert agencies.answer(network).rows()


def test_the_manager_is_neither_operator_nor_provider(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds the gate"):
        agencies.make(tmp_path / "a", operator="bureau", manager="bureau")
    with pytest.raises(UsageError, match="holds the gate"):
        agencies.make(tmp_path / "b", manager="lab")


def test_a_new_declaration_is_a_new_version_that_older_grants_do_not_cover(tmp_path: Path, in_process: None) -> None:
    with agencies.make(tmp_path / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, days=3)
        assert grant.grant.expires - grant.grant.not_before == datetime.timedelta(days=3)
        asset = network.add_table("lab", "tests", agencies.lab_table(bounds={"value": (0, 2000)}))
        assert asset.version == 2
        with pytest.raises(Denied, match="version"):
            network.run(explanation, grant=grant)
