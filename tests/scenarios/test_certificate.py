"""Certificates of a whole network: what they bind and measure, what blocks a release, and which earlier products they name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest
from support import agencies

from sandbox.audit.bundle import parse_bundle
from sandbox.audit.verify import verify
from sandbox.errors import Withheld
from sandbox.model.canonical import digest
from sandbox.model.certificate import CertifiedVerdict
from sandbox.tasks.measured import Measured
from sandbox.tasks.measuring import measure_cells
from sandbox.tasks.methods import METHODS

pytestmark = pytest.mark.usefixtures("in_process")
BY_AGE = """
SELECT p.age // 20 AS band, COUNT(*) AS n, AVG(t.value) AS mean
FROM registry.people p JOIN lab.tests t ON t.id = p.id GROUP BY p.age // 20
"""


def test_every_product_has_a_certificate_that_names_the_earlier_ones(scratch: Path) -> None:
    with agencies.make(scratch / "w") as network:
        first = agencies.answer(network)
        second = agencies.answer(network, BY_AGE)
        trust = network.write_trust(scratch / "trust.toml")
        for product in (first, second):
            report = verify(product.directory, trust)
            assert report.checks[-1].name == "certificate"
        bundles = [parse_bundle((product.directory / "bundle.json").read_bytes()) for product in (first, second)]
        assert first.certificate.history.position == 0
        assert first.card.lineage == first.certificate.history.products == ()
        assert second.certificate.history.position == 1
        assert second.card.lineage == second.certificate.history.products == (digest(bundles[0].product),)
        for product, bundle in zip((first, second), bundles, strict=True):
            assert product.card.certificate == digest(bundle.certificate)
            again = measure_cells(bundle.plan, product.to_arrow(), product.card)
            assert product.certificate.measures == again.measures
            assert {item.verdict for item in again.measures} == {"PASS"}
        # No record that the history keeps is named, by digest or otherwise: its small counts could be guessed.
        for record in network.manager.records.history(["registry.people"]).records:
            assert digest(record) not in msgspec.json.encode(second.certificate).decode()
        agencies.require_sound(network, scratch)


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_what_does_not_pass_is_not_published(scratch: Path, monkeypatch: pytest.MonkeyPatch, verdict: CertifiedVerdict) -> None:
    def measure(plan: object, table: object, card: object) -> Measured:
        found = measure_cells(plan, table, card)  # type: ignore[arg-type]
        worst = msgspec.structs.replace(found.measures[1], verdict=verdict, value="3")
        return Measured(measures=(found.measures[0], worst, *found.measures[2:]))

    method = METHODS["join/1"]
    monkeypatch.setitem(METHODS, "join/1", dataclasses.replace(method, measure=measure))  # type: ignore[arg-type]
    with agencies.make(scratch / "w") as network:
        with pytest.raises(Withheld) as caught:
            agencies.answer(network)
        failed = [item for item in caught.value.findings if item.verdict != "pass"]
        assert [(item.check, item.subject) for item in failed] == [("certificate.smallest_count", "n")]
        assert "3" not in failed[0].message
        assert network.products() == ()
        agencies.require_sound(network, scratch)
        assert agencies.kinds(network)["product.withheld"] == 1
