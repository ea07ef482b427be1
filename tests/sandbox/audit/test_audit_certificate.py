"""The certificate in a bundle: of this product, signed by the gate, named by card and release, and nothing in it blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.audit_story import (
    KEYS,
    PAYLOAD,
    Change,
    Network,
    Story,
    certificate_of,
    plan_of_the_job,
    replaced,
    trust,
)

from sandbox.audit.bundle import parse_bundle
from sandbox.audit.verify import verify_bytes
from sandbox.errors import AuditError, DocumentError
from sandbox.model.canonical import canonical, digest, parse
from sandbox.model.certificate import (
    Certificate,
    Figure,
    HistoryPosition,
    Measurement,
    SignedCertificate,
    Software,
    figure,
)
from sandbox.model.fit import ModelRecord, ModelRules
from sandbox.model.grant import Signature

replace = msgspec.structs.replace
OTHER = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    network = Network(tmp_path_factory.mktemp("network"))
    found, _ = Story(network).run()
    network.close()
    return found


def told(tmp_path: Path, **changes: Change) -> AuditError:
    """What the verifier says to a story in which a document was another one when it was signed and logged."""
    network = Network(tmp_path)
    found, payload = Story(network, {name.replace("_", " "): change for name, change in changes.items()}).run()
    network.close()
    with pytest.raises(AuditError) as caught:
        verify_bytes(found, payload, trust())
    return caught.value


def test_the_check_says_what_was_certified(manifest: bytes) -> None:
    report = verify_bytes(manifest, PAYLOAD, trust())
    assert report.checks[-1].name == "certificate"
    assert report.checks[-1].detail == (
        "1 measures (1 to recompute, 0 by the gate alone), 1 attacks, all PASS; 0 earlier products"
    )
    assert any("attack" in text for text in report.not_proved)
    card = parse_bundle(manifest).product.card
    assert card.certificate == digest(parse_bundle(manifest).certificate)


@pytest.mark.parametrize("field", [name for name in Certificate.__struct_fields__ if name != "version"])
def test_every_field_is_under_the_signature(manifest: bytes, field: str) -> None:
    """Changed in the bundle alone: the release and the card name another one, and the signature is not over it."""
    bundle = parse_bundle(manifest)
    found: Any = bundle.certificate.certificate
    other = {
        "profile_version": 9,
        "history": HistoryPosition(position=3, products=()),
        "measures": (replace(found.measures[0], value="11"),),
        "attacks": (),
        "software": (Software(name="public-data-sandbox", version="0.2.0"),),
        "payload": OTHER,
        "plan": OTHER,
    }.get(field, "another")
    changed = replace(bundle.certificate, certificate=replace(found, **{field: other}))
    with pytest.raises(AuditError) as caught:
        verify_bytes(canonical(replace(bundle, certificate=changed)), PAYLOAD, trust())
    assert caught.value.kind == "invalid"
    identity, raw = KEYS["manager"].public, changed.signature.to_bytes(place="signature")
    with pytest.raises(AuditError, match="signature"):
        identity.verify("certificate/1", canonical(changed.certificate), raw)


def measured(**fields: Any) -> Change:
    return lambda found: replace(found, measures=(replace(found.measures[0], **fields),))


def attacked(**fields: Any) -> Change:
    return lambda found: replace(found, attacks=(replace(found.attacks[0], **fields),))


def by_a_stranger(signed: SignedCertificate) -> SignedCertificate:
    return replace(signed, signature=SignedCertificate.sign(signed.certificate, KEYS["stranger"]).signature)


def in_another_context(signed: SignedCertificate) -> SignedCertificate:
    raw = KEYS["manager"].sign("event/1", canonical(signed.certificate))
    return replace(signed, signature=Signature(party="manager", signature=raw.hex()))


@pytest.mark.parametrize(
    ("step", "change", "kind", "place"),
    [
        ("certificate", replaced(task="task-2"), "invalid", "certificate"),
        ("certificate", replaced(payload=OTHER), "invalid", "certificate"),
        ("certificate", replaced(plan=OTHER), "invalid", "certificate"),
        ("certificate", replaced(profile="statistics-open"), "invalid", "certificate"),
        ("certificate", replaced(profile_version=2), "invalid", "certificate"),
        ("certificate", replaced(history=HistoryPosition(position=1, products=(OTHER,))), "invalid", "certificate"),
        ("certificate", replaced(gate="stranger"), "untrusted", "certificate"),
        ("certificate", replaced(gate="lab"), "invalid", "certificate"),
        ("certificate", replaced(measures=()), "incomplete", "certificate"),
        ("certificate", replaced(software=()), "incomplete", "certificate"),
        ("certificate", measured(verdict="FAIL"), "invalid", "certificate"),
        ("certificate", measured(verdict="INCONCLUSIVE"), "invalid", "certificate"),
        ("certificate", attacked(verdict="FAIL"), "invalid", "certificate"),
        ("certificate", attacked(verdict="INCONCLUSIVE"), "invalid", "certificate"),
        ("signed_certificate", by_a_stranger, "invalid", "certificate"),
        ("signed_certificate", in_another_context, "invalid", "certificate"),
        ("card", replaced(certificate=None), "incomplete", "product card"),
        ("card", replaced(certificate=OTHER), "invalid", "product card"),
        ("card", replaced(lineage=(OTHER,)), "invalid", "certificate"),
    ],
)
def test_forgeries_that_were_signed_and_logged(tmp_path: Path, step: str, change: Change, kind: str, place: str) -> None:
    error = told(tmp_path, **{step: change})
    assert (error.kind, error.place) == (kind, place), error


def test_the_certificate_of_another_product(manifest: bytes, tmp_path: Path) -> None:
    """The same gate, a product of another task: neither in the bundle alone, nor named by card and release, does it pass."""
    theirs = SignedCertificate.sign(replace(certificate_of(plan_of_the_job()), task="task-2"), KEYS["manager"])
    with pytest.raises(AuditError, match="digests that it names"):
        verify_bytes(canonical(replace(parse_bundle(manifest), certificate=theirs)), PAYLOAD, trust())
    error = told(tmp_path, signed_certificate=lambda _: theirs)
    assert error.place == "certificate"
    assert "task" in error.problem


def test_a_bundle_from_before_certificates_is_incomplete(manifest: bytes) -> None:
    plain = msgspec.json.decode(manifest)
    del plain["certificate"]
    old = canonical(plain | {"format": "public-data-sandbox/bundle/1"})
    with pytest.raises(AuditError) as caught:
        verify_bytes(old, PAYLOAD, trust())
    assert (caught.value.kind, caught.value.place) == ("incomplete", "certificate")
    with pytest.raises(AuditError) as caught:
        verify_bytes(canonical(plain), PAYLOAD, trust())
    assert (caught.value.kind, caught.value.place) == ("invalid", "bundle.json")


@pytest.mark.parametrize("text", ["", "ten", "0x10", "1_000", "NaN", "inf", "+1", "01", "1.", ".5", "1e9999", "-", "1 "])
def test_figures_are_decimal_text(text: str) -> None:
    with pytest.raises(DocumentError):
        Figure(name="x", value=text)
    with pytest.raises(DocumentError):
        Measurement(name="x", subject="y", value=text, threshold=None, verdict="PASS", how="gate")


def test_numbers_as_figures() -> None:
    from decimal import Decimal
    from fractions import Fraction

    numbers = (0, -7, 10**30, 0.25, 1e-12, 3.0, Decimal("1.50"), Fraction(1, 8))
    assert [figure(number) for number in numbers] == ["0", "-7", "1" + "0" * 30, "0.25", "1e-12", "3", "1.50", "0.125"]
    for number in numbers:
        Figure(name="x", value=figure(number))
    with pytest.raises(DocumentError):
        Figure(name="x", value=figure(float("inf")))


def test_documents_that_contradict_themselves() -> None:
    found = certificate_of(plan_of_the_job())
    for fields in (
        {"measures": found.measures * 2},
        {"attacks": found.attacks * 2},
        {"software": found.software * 2},
        {"payload": "sha256:short"},
        {"task": "two words"},
    ):
        with pytest.raises(DocumentError):
            replace(found, **fields).__post_init__()
    for fields in ({"position": 0, "products": (OTHER,)}, {"position": 2, "products": (OTHER, OTHER)}):
        with pytest.raises(DocumentError):
            HistoryPosition(**fields)  # type: ignore[arg-type]
    with pytest.raises(DocumentError, match="seed"):
        replace(found.attacks[0], seed="abc").__post_init__()
    assert parse(canonical(found), Certificate, what="a certificate") == found


def test_a_table_that_claims_a_models_record_is_refused(tmp_path: Path) -> None:
    record = ModelRecord(estimator="ridge", parameters="{}", rules=ModelRules(), bounds="declared", rounds=(), findings=())
    error = told(tmp_path, card=lambda card: replace(card, model=record))
    assert (error.kind, error.place) == ("invalid", "product card")
    assert "the plan fits none" in str(error)
