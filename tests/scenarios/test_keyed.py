"""Keyed matching through the whole trust chain: refused until every owner allows it, then exact, disclosed and verified."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support import agencies

from protocols.errors import ParameterError
from sandbox.audit.verify import verify
from sandbox.errors import Denied, DocumentError, UsageError
from sandbox.model.job import job_from_toml
from sandbox.planning.describe import describe

MODES = ("blinded", "keyed")


def test_every_owner_must_allow_it(tmp_path: Path) -> None:
    with agencies.make(tmp_path / "w", terms="written") as network:
        network.set_policy(agencies.people_terms(matching=MODES))
        network.set_policy(agencies.lab_terms())
        question = agencies.ask(network, matching="keyed")
        assert question.plan.protocol == "keyed-join/1"
        denied = [item for item in question.decision.findings if item.verdict != "pass"]
        assert [(item.check, item.subject) for item in denied] == [("matching_mode", "lab.tests")]
        with pytest.raises(Denied, match="keyed"):
            network.approve(question)
        network.set_policy(agencies.lab_terms(matching=MODES))
        assert agencies.ask(network, matching="keyed").decision.allowed


def test_it_gives_what_the_pooled_tables_give_and_its_evidence_verifies(tmp_path: Path) -> None:
    with agencies.make(tmp_path / "w", terms="written") as network:
        network.set_policy(agencies.people_terms(matching=MODES))
        network.set_policy(agencies.lab_terms(matching=MODES))
        product = agencies.answer(network, matching="keyed")
        people, tests = agencies.people(), agencies.measurements()  # noqa: F841  (DuckDB reads them by name)
        pooled = duckdb.sql(
            "SELECT p.sex, COUNT(*), SUM(t.value) FROM people p JOIN tests t ON t.id = p.id GROUP BY p.sex ORDER BY 1"
        ).fetchall()
        assert sorted(tuple(row) for row in product.rows()) == pooled
        assert "keyed-join/1" in product.card.method
        trust = network.write_trust(tmp_path / "trust.toml")
        assert verify(product.bundle(tmp_path / "bundle"), trust).task == product.id
        agencies.require_sound(network, tmp_path)


def test_the_explanation_says_what_one_colluding_provider_opens(tmp_path: Path) -> None:
    with agencies.make(tmp_path / "w") as network:
        asked = [agencies.ask(network, matching=mode) for mode in ("keyed", "blinded")]
        keyed, blinded = (question.disclosure for question in asked)
        steps = [next(line.text for line in describe(question.plan) if line.step == "join") for question in asked]
        assert "a secret that the providers share" in steps[0]
        assert "blinded keys" in steps[1]
        assert {"key"} == {item.fact for item in keyed.learned} - {item.fact for item in blinded.learned}


def test_a_declaration_alone_does_not_allow_it(tmp_path: Path) -> None:
    with agencies.make(tmp_path / "w") as network, pytest.raises(Denied):
        network.approve(agencies.ask(network, matching="keyed"))


def test_an_unknown_way_of_matching_is_refused(tmp_path: Path) -> None:
    with agencies.make(tmp_path / "w") as network, pytest.raises(UsageError, match="matching"):
        agencies.ask(network, matching="open")


def test_a_job_says_how_keys_are_matched() -> None:
    head = 'title = "t"\npurpose = "p"\nprofile = "f"\nrecipients = ["r"]\nsql = "SELECT 1"\n[parameters]\n'
    assert job_from_toml(head + 'matching = "keyed"').parameters.matching == "keyed"
    assert job_from_toml(head).parameters.matching == "blinded"
    with pytest.raises(DocumentError, match=r"parameters\.matching: .*it is blinded or keyed"):
        job_from_toml(head + 'matching = "open"')
    with pytest.raises(DocumentError, match=r"parameters\.noise: .*it is djn or subgroup"):
        job_from_toml(head + 'noise = "full"')


def test_a_job_says_which_cipher_masks_a_secure_sum(tmp_path: Path) -> None:
    head = 'title = "t"\npurpose = "p"\nprofile = "f"\nrecipients = ["r"]\nsql = "SELECT 1"\n[parameters]\n'
    assert job_from_toml(head + 'cipher = "aes256ctr"').parameters.cipher == "aes256ctr"
    assert job_from_toml(head).parameters.cipher == "chacha20"
    with pytest.raises(DocumentError, match=r"parameters\.cipher: .*it is chacha20 or aes256ctr"):
        job_from_toml(head + 'cipher = "rc4"')
    with agencies.make(tmp_path / "w") as network, pytest.raises(UsageError, match="leave the parameter `cipher` out"):
        agencies.ask(network, cipher="aes256ctr")


def test_a_padded_list_shows_its_declared_size_alone(tmp_path: Path) -> None:
    tables = {"registry": {"people": agencies.people_table(padded_rows=150)}, "lab": {"tests": agencies.lab_table()}}
    with agencies.make(tmp_path / "w", tables) as network:
        product = agencies.answer(network)
        plain = agencies.answer(agencies.make(tmp_path / "plain"))
        assert sorted(map(tuple, product.rows())) == sorted(map(tuple, plain.rows()))
        assert network.manager.assets()["registry.people"].padded_rows == 150


def test_a_list_beyond_its_declared_size_is_refused(tmp_path: Path) -> None:
    tables = {"registry": {"people": agencies.people_table(padded_rows=110)}, "lab": {"tests": agencies.lab_table()}}
    with agencies.make(tmp_path / "w", tables) as network:
        with pytest.raises(ParameterError, match="larger padded_rows"):
            agencies.answer(network)
        assert agencies.uses(network) == 0
