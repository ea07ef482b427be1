"""A bundle holds as a whole or not at all: every byte, every document, every omission, each with kind and place."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.audit_story import (
    HOUR,
    KEYS,
    NOW,
    PAYLOAD,
    Change,
    Network,
    Story,
    passing,
    plan_of_the_job,
    replaced,
    trust,
    trust_text,
)

from sandbox.audit.bundle import MANIFEST, copy_bundle, parse_bundle, write_bundle
from sandbox.audit.events import make_event
from sandbox.audit.log import LogKeeper
from sandbox.audit.trust import parse_trust
from sandbox.audit.verify import CHECKS, verify, verify_bytes
from sandbox.errors import AuditError, NotFound, StateError
from sandbox.model.canonical import canonical
from sandbox.model.decision import Finding
from sandbox.model.evidence import Bundle, Event, LogEvidence, SignedEvent
from sandbox.model.expression import Literal
from sandbox.model.grant import template_digest
from sandbox.model.product import WithheldCell
from sandbox.model.signature import PrivateIdentity

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    network = Network(tmp_path_factory.mktemp("network"))
    found, _ = Story(network).run()
    network.close()
    return found


def refused(manifest: bytes, payload: bytes = PAYLOAD, **trusting: Any) -> AuditError:
    with pytest.raises(AuditError) as caught:
        verify_bytes(manifest, payload, trusting.get("trust") or trust())
    assert caught.value.place
    assert str(caught.value).isprintable()
    return caught.value


def told(tmp_path: Path, **changes: Change) -> AuditError:
    """What the verifier says to a story in which one document was another one when it was signed and logged."""
    network = Network(tmp_path)
    found, payload = Story(
        network, {name.replace("__", " ").replace("_", "."): change for name, change in changes.items()}
    ).run()
    network.close()
    return refused(found, payload)


def test_an_honest_bundle_holds(manifest: bytes) -> None:
    report = verify_bytes(manifest, PAYLOAD, trust(), now=NOW + HOUR)
    assert [check.name for check in report.checks] == ["form", *(name for name, _ in CHECKS)]
    assert (report.log_size, report.witnesses) == (7, ("auditor", "lab", "registry"))
    assert any("replay" in text for text in report.not_proved)
    assert canonical(report)


@pytest.mark.parametrize("part", range(4))
def test_every_byte_of_the_manifest_counts(manifest: bytes, part: int) -> None:
    loaded = trust()
    for index in range(part, len(manifest), 4):
        changed = bytearray(manifest)
        changed[index] ^= 1
        with pytest.raises(AuditError) as caught:
            verify_bytes(bytes(changed), PAYLOAD, loaded)
        assert caught.value.place


def test_every_byte_of_the_product_counts(manifest: bytes) -> None:
    for index in range(len(PAYLOAD)):
        for bit in range(8):
            changed = bytearray(PAYLOAD)
            changed[index] ^= 1 << bit
            assert refused(manifest, bytes(changed)).place == "product.arrow"
    for other in (b"", PAYLOAD[:-1], PAYLOAD + b"\x00"):
        assert refused(manifest, other).place == "product.arrow"


def test_every_cut_of_the_manifest_is_refused(manifest: bytes) -> None:
    for size in range(0, len(manifest), 97):
        assert refused(manifest[:size]).place == MANIFEST
    assert refused(manifest + b"\n").place == MANIFEST


@pytest.mark.parametrize(
    "form",
    [
        lambda data: data.replace(b'{"certificate"', b'{ "certificate"', 1),
        lambda data: data.replace(b'{"certificate"', b'{"certificate":[],"certificate"', 1),
        lambda data: data.replace(b'{"certificate"', b'{"a":1,"certificate"', 1),
        lambda data: data.replace(b"bundle/2", b"bundle/3"),
        lambda data: data.replace(b'"rows":5', b'"rows":5.0'),
        lambda data: data.replace(b'"rows":5', b'"rows":NaN'),
        lambda data: data.replace(b'"rows":5', b'"rows":1e999'),
        lambda data: data.replace(b'"rows":5', b'"rows":' + b"9" * 5000),
        lambda data: data.replace(b'"rows":5', b'"rows":-5'),
        lambda data: b"[" * 100_000,
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"\xff" + data,
        lambda data: data.replace(b'"party":"lab","subjects"', b'"party":"l\\u001b[31m","subjects"', 1),
        lambda data: data.replace(b'"party":"lab","subjects"', b'"party":"lab\\r\\n","subjects"', 1),
        lambda data: b"",
    ],
)
def test_other_forms_of_json(manifest: bytes, form: Callable[[bytes], bytes]) -> None:
    changed = form(manifest)
    assert changed != manifest
    error = refused(changed)
    assert error.place == MANIFEST
    assert error.kind == "invalid"


def with_log(manifest: bytes, change: Callable[[LogEvidence], LogEvidence]) -> bytes:
    bundle = parse_bundle(manifest)
    return canonical(replace(bundle, log=change(bundle.log)))


def test_entries_dropped_reordered_or_doubled(manifest: bytes) -> None:
    entries = parse_bundle(manifest).log.entries
    for at in range(len(entries)):
        dropped = entries[:at] + entries[at + 1 :]
        error = refused(with_log(manifest, lambda log, kept=dropped: replace(log, entries=kept)))  # type: ignore[misc]
        assert error.kind == "incomplete", error
        doubled = (*entries[: at + 1], *entries[at:])
        error = refused(with_log(manifest, lambda log, kept=doubled: replace(log, entries=kept)))  # type: ignore[misc]
        assert (error.kind, error.place.split(" (")[0]) == ("invalid", f"entry {at + 1}")
        if at:
            swapped = (*entries[: at - 1], entries[at], entries[at - 1], *entries[at + 1 :])
            error = refused(with_log(manifest, lambda log, kept=swapped: replace(log, entries=kept)))  # type: ignore[misc]
            assert error.place.startswith(f"entry {at} ")
    assert refused(with_log(manifest, lambda log: replace(log, entries=()))).kind == "incomplete"


def test_proofs_that_were_touched(manifest: bytes) -> None:
    entries = parse_bundle(manifest).log.entries
    for at, entry in enumerate(entries):
        touched = (
            replace(entry, proof=entry.proof[:-1]),
            replace(entry, proof=entry.proof[1:]),
            replace(entry, proof=(*entry.proof, "00" * 32)),
            replace(entry, proof=(entry.proof[0][:-2], *entry.proof[1:])),
            replace(entry, proof=(entry.proof[0].upper(), *entry.proof[1:])),
            replace(entry, index=entry.index + len(entries)),
        )
        for other in touched:
            kept = (*entries[:at], other, *entries[at + 1 :])
            error = refused(with_log(manifest, lambda log, kept=kept: replace(log, entries=kept)))  # type: ignore[misc]
            assert (error.kind, error.place.split(" (")[0]) == ("invalid", f"entry {at}")


def test_an_entry_of_another_log(manifest: bytes, tmp_path: Path) -> None:
    network = Network(tmp_path)
    other, _ = Story(network, {"plan.submitted": replaced(task="grant-9")}).run()
    network.close()
    theirs = parse_bundle(other).log.entries[0]
    error = refused(with_log(manifest, lambda log: replace(log, entries=(theirs, *log.entries[1:]))))
    assert error.place.startswith("entry 0 ")
    whole = refused(with_log(manifest, lambda log: replace(parse_bundle(other).log, entries=log.entries)))
    assert whole.place.startswith("entry 0 ")


def test_checkpoints_rolled_back_dropped_or_foreign(manifest: bytes) -> None:
    rolled = refused(with_log(manifest, lambda log: replace(log, checkpoint=log.earlier[0].note)))
    assert rolled.place.startswith("entry 0 ")
    dropped = refused(with_log(manifest, lambda log: replace(log, earlier=log.earlier[1:])))
    assert (dropped.kind, dropped.place.split(" (")[0]) == ("incomplete", "entry 3")
    for change in (
        lambda log: replace(log, earlier=log.earlier[::-1]),
        lambda log: replace(log, earlier=(log.earlier[0], *log.earlier)),
        lambda log: replace(log, earlier=(replace(log.earlier[0], proof=log.earlier[0].proof[:-1]), log.earlier[1])),
    ):
        assert refused(with_log(manifest, change)).place.startswith("earlier checkpoint")
    crlf = refused(with_log(manifest, lambda log: replace(log, checkpoint=log.checkpoint.replace("\n", "\r\n"))))
    assert crlf.place == "checkpoint, line 1"
    lines = parse_bundle(manifest).log.checkpoint.split("\n")
    alone = refused(with_log(manifest, lambda log: replace(log, checkpoint="\n".join([*lines[:6], ""]))))
    assert (alone.kind, alone.place) == ("incomplete", "checkpoint")


def test_a_fork_has_no_quorum(tmp_path: Path) -> None:
    """The manager keeps a second log with other entries: nobody cosigns it, and cosignatures do not move over."""
    network = Network(tmp_path)
    story = Story(network)
    found, _ = story.run()
    honest = parse_bundle(found)
    fork = LogKeeper(tmp_path / "fork", trust=network.trust.log, identity=KEYS["log"])
    fork.append([event.leaf() for event in story.entries[::-1]])
    alone = fork.evidence(story.entries)
    assert refused(canonical(replace(honest, log=alone))).kind == "incomplete"
    cosignatures = honest.log.checkpoint.split("\n\n")[1].split("\n", 1)[1]
    moved = replace(alone, checkpoint=alone.checkpoint + cosignatures)
    error = refused(canonical(replace(honest, log=moved)))
    assert (error.kind, error.place.split(" (")[0]) == ("invalid", "checkpoint, signature 1")


@pytest.mark.parametrize(
    ("old", "new", "kind", "place"),
    [
        (str(KEYS["log"].public), str(KEYS["stranger"].public), "untrusted", "checkpoint, signature 0"),
        ("health-sandbox.example", "other.example", "untrusted", "checkpoint, line 1"),
        (str(KEYS["w-lab"].public), str(KEYS["stranger"].public), "untrusted", "checkpoint, signature 2"),
        ("quorum = 2", "quorum = 3", None, ""),
        (str(KEYS["lab"].public), str(KEYS["stranger"].public), "invalid", "entry 4"),
        ("[parties.lab]", "[parties.lab2]", "untrusted", "entry 4"),
        ('[parties.lab]\nroles = ["provider"]', '[parties.lab]\nroles = ["user"]', "untrusted", "entry 4"),
        ('[parties.manager]\nroles = ["authoriser"]', '[parties.manager]\nroles = ["provider"]', "untrusted", "entry 1"),
        (
            '[parties.operator]\nroles = ["operator"]',
            '[parties.operator]\nparent = "manager"\nroles = ["operator"]',
            "invalid",
            "plan",
        ),
        ("to = 2028-01-01", "to = 2026-06-01", "untrusted", "entry 0"),
        ("from = 2026-01-01", "from = 2026-06-02", "untrusted", "entry 0"),
    ],
)
def test_another_trust(manifest: bytes, old: str, new: str, kind: str | None, place: str) -> None:
    other = parse_trust(trust_text(**{old: new}))
    if kind is None:
        assert verify_bytes(manifest, PAYLOAD, other)
        return
    error = refused(manifest, trust=other)
    assert (error.kind, error.place.split(" (")[0]) == (kind, place)


def test_a_checkpoint_from_the_future(manifest: bytes) -> None:
    with pytest.raises(AuditError, match="future"):
        verify_bytes(manifest, PAYLOAD, trust(), now=NOW - HOUR)


def with_document(manifest: bytes, **fields: Any) -> bytes:
    return canonical(replace(parse_bundle(manifest), **fields))


def test_documents_exchanged_in_the_bundle_alone(manifest: bytes) -> None:
    """Nothing was signed or logged anew: each document is tied to an event."""
    bundle = parse_bundle(manifest)
    signed = bundle.grants[0]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"plan": replace(bundle.plan, title="Another")}, "entry 2"),
        ({"grants": (replace(signed, grant=replace(signed.grant, calls=9)),)}, "entry 2"),
        ({"grants": (replace(signed, signatures=signed.signatures[::-1]),)}, "entry 6"),
        ({"grants": ()}, "grants"),
        ({"grants": (signed, signed)}, "grants"),
        ({"decision": replace(bundle.decision, findings=bundle.decision.findings[:1])}, "entry 2"),
        ({"commitments": bundle.commitments[:1]}, "commitments"),
        ({"commitments": (replace(bundle.commitments[0], rows=6), bundle.commitments[1])}, "entry 6"),
        ({"transcripts": bundle.transcripts[1:]}, "transcripts"),
        ({"transcripts": bundle.transcripts[::-1]}, "transcripts"),
        ({"product": replace(bundle.product, arrow_schema="other")}, "entry 6"),
        ({"product": replace(bundle.product, card=replace(bundle.product.card, licence="mine"))}, "entry 6"),
        ({"task": "task-2"}, "entry 2"),
    ]
    for fields, place in cases:
        assert refused(with_document(manifest, **fields)).place.split(" (")[0] == place, fields.keys()


def _finding(verdict: str, reason: str | None) -> Finding:
    return msgspec.convert(
        {"check": "dominance", "verdict": verdict, "subject": "product", "message": "x", "reason": reason}, Finding
    )


def _chains(change: Change) -> Change:
    return lambda transcript: replace(transcript, chains=change(transcript.chains))


def first_chain(**fields: Any) -> Change:
    return _chains(lambda chains: (replace(chains[0], **fields), *chains[1:]))


def only_finding(verdict: str) -> Change:
    return replaced(findings=(_finding(verdict, None),))


def _wider(uses: Any) -> Any:
    return replace(uses[0], columns=uses[0].columns[1:])


OTHER_HEAD = "ab" * 32
CELL = WithheldCell(labels=(Literal(type="integer", value="1"),), column="mean", reason="DOMINANCE")
FORGERIES: list[tuple[str, Change, str, str]] = [
    # who says it, and when
    ("session_opened", replaced(party="lab"), "untrusted", "entry 5"),
    ("task_authorised", replaced(party="operator"), "untrusted", "entry 2"),
    ("input_committed__lab", replaced(party="registry"), "invalid", "commitment 1"),
    ("plan_submitted", replaced(time=NOW + 2 * HOUR), "invalid", "entry 0"),
    ("plan_submitted", replaced(time=NOW - 400 * 24 * HOUR), "untrusted", "entry 0"),
    ("product_released", replaced(task="task-2"), "invalid", "entry 6"),
    ("session_opened", replaced(checkpoint="sha256:" + "0" * 64), "invalid", "earlier checkpoint 1"),
    ("session_opened", replaced(checkpoint=None), "invalid", "entry 5"),
    ("product_released", replaced(cites=("sha256:" + "0" * 64,) * 1), "invalid", "entry 6"),
    ("product_released", lambda event: replace(event, cites=(*event.cites[:1], "sha256:" + "0" * 64)), "incomplete", "entry 6"),
    ("product_released", replaced(cites=("sha256:" + "0" * 64, "sha256:" + "1" * 64)), "incomplete", "entry 6"),
    ("session_opened", lambda event: replace(event, cites=event.cites[:2]), "invalid", "entry 4"),
    ("product_released", lambda event: replace(event, subjects=event.subjects[1:]), "invalid", "entry 6"),
    ("product_released", lambda event: replace(event, subjects=event.subjects[::-1]), "invalid", "entry 6"),
    ("session_opened", replaced(time=NOW - HOUR), "invalid", "entry 5"),
    # grants
    ("grant", replaced(purpose="marketing"), "invalid", "grant 0"),
    ("grant", replaced(profile="open"), "invalid", "grant 0"),
    ("grant", replaced(recipients=("buyer",)), "invalid", "grant 0"),
    ("grant", replaced(plan="sha256:" + "0" * 64), "invalid", "grant 0"),
    ("grant", replaced(expires=NOW), "invalid", "grant 0"),
    ("grant", replaced(not_before=NOW + HOUR), "invalid", "grant 0"),
    ("grant", lambda grant: replace(grant, assets=grant.assets[1:]), "invalid", "grant 0"),
    ("grant", lambda grant: replace(grant, assets=(_wider(grant.assets), grant.assets[1])), "invalid", "grant 0"),
    ("grant", replaced(parent="sha256:" + "0" * 64, delegated_by="operator"), "incomplete", "grant 0"),
    ("grant", replaced(requester="lab"), "invalid", "grant 0"),
    ("signed__grant", lambda signed: replace(signed, signatures=signed.signatures[:2]), "incomplete", "grant 0 grant-1"),
    (
        "signed__grant",
        lambda signed: replace(signed, signatures=signed.signatures[:1] * 3),
        "invalid",
        "grant 0 grant-1, signature 1",
    ),
    # the decision
    ("decision", only_finding("fail"), "invalid", "decision, finding 0"),
    ("decision", only_finding("inconclusive"), "invalid", "decision, finding 0"),
    ("decision", replaced(findings=()), "invalid", "decision"),
    # inputs
    ("commitment__lab", replaced(task="task-2"), "invalid", "commitment 1"),
    ("commitment__lab", replaced(asset_version=9), "incomplete", "commitments"),
    ("commitment__lab", replaced(provider="registry"), "incomplete", "commitments"),
    # transcripts
    ("transcript__lab", _chains(lambda chains: chains[:1]), "incomplete", "frames from operator to lab"),
    ("transcript__lab", first_chain(head=OTHER_HEAD), "invalid", "frames from lab to operator"),
    ("transcript__lab", first_chain(frames=3), "incomplete", "frames from lab to operator"),
    ("transcript__lab", first_chain(frames=1), "invalid", "frames from lab to operator"),
    ("transcript__lab", first_chain(size_bytes=1), "invalid", "frames from lab to operator"),
    ("transcript__lab", first_chain(peer="buyer"), "invalid", "transcript of lab"),
    ("transcript__lab", replaced(session="00" * 16), "invalid", "transcript 1"),
    ("transcript__lab", replaced(task="task-2"), "invalid", "transcript 0"),
    # the product
    ("card", replaced(recipients=("operator", "buyer")), "invalid", "product card"),
    ("card", replaced(plan_digest="sha256:" + "0" * 64), "invalid", "product card"),
    ("card", replaced(columns=()), "invalid", "product card"),
    ("card", replaced(findings=()), "incomplete", "product card"),
    ("card", replaced(findings=(_finding("fail", None),)), "invalid", "product card, finding 0"),
    ("card", replaced(findings=(passing("x"), _finding("inconclusive", None))), "invalid", "product card, finding 1"),
    ("card", replaced(withheld=(CELL,)), "invalid", "product card, withheld cell 0"),
    ("product", replaced(payload="sha256:" + "0" * 64), "invalid", "product.arrow"),
    ("product", replaced(task="task-2"), "invalid", "product card"),
]


@pytest.mark.parametrize(("step", "change", "kind", "place"), FORGERIES)
def test_forgeries_that_were_signed_and_logged(tmp_path: Path, step: str, change: Change, kind: str, place: str) -> None:
    error = told(tmp_path, **{step: change})
    assert (error.kind, error.place.split(" (")[0]) == (kind, place), error


def test_what_the_gate_withheld_is_fine(tmp_path: Path) -> None:
    change = replaced(findings=(_finding("fail", "DOMINANCE"),), withheld=(CELL,))
    network = Network(tmp_path)
    found, payload = Story(network, {"card": change}).run()
    report = verify_bytes(found, payload, trust())
    assert "1 cells withheld" in next(check.detail for check in report.checks if check.name == "product")


def test_a_signature_by_another_party(tmp_path: Path) -> None:
    def forged(signed: SignedEvent) -> SignedEvent:
        mine = SignedEvent.sign(signed.event, KEYS["stranger"])
        return replace(mine, signature=replace(mine.signature, party=signed.event.party))

    error = told(tmp_path, **{"signed__session_opened": forged})
    assert (error.kind, error.place.split(" (")[0]) == ("invalid", "entry 5")


def test_a_session_that_did_not_wait_for_the_commitments(tmp_path: Path) -> None:
    """It names the checkpoint in which only the authorisation stood: log before effect does not hold."""
    network = Network(tmp_path)
    story = Story(network)
    first: list[str] = []

    def remember(event: Event) -> Event:
        first.append(event.checkpoint or "")
        return event

    story.changes = {"input.committed": remember, "session.opened": lambda event: replace(event, checkpoint=first[0])}
    found, payload = story.run()
    bundle = parse_bundle(found)
    kept = replace(bundle, log=replace(bundle.log, earlier=bundle.log.earlier[:1]))
    error = refused(canonical(kept), payload)
    assert "does not hold" in error.problem
    assert error.place.startswith("entry 5 ")


@pytest.mark.parametrize(
    ("by", "words"), [("lab", "revoked before the release"), ("operator", "revoked before"), ("auditor", "")]
)
def test_a_revocation_before_the_release(tmp_path: Path, by: str, words: str) -> None:
    network = Network(tmp_path)
    story = Story(network)

    def revoke(event: Event) -> Event:
        issued = next(item for item in seen if item.event.kind == "grant.issued")
        subjects = {"grant": issued.event.about("grant")}
        party = by if by in KEYS else "registry"
        revoked = make_event("grant.revoked", party=party, task="grant-1", time=NOW, cites=[issued], subjects=subjects)  # type: ignore[arg-type]
        signed = SignedEvent.sign(revoked, KEYS[party])
        network.log.append([signed.leaf()])
        story.extra_entries = (signed,)
        return event

    seen: list[SignedEvent] = []

    def remember(signed: SignedEvent) -> SignedEvent:
        seen.append(signed)
        return signed

    story.changes = {"signed grant.issued": remember, "product.released": revoke}
    found, payload = story.run()
    error = refused(found, payload)
    assert words in error.problem
    assert "grant.revoked" in error.place


def test_entries_that_nothing_ties_to_the_product(tmp_path: Path) -> None:
    network = Network(tmp_path)
    story = Story(network)
    denied = make_event(
        "request.denied",
        party="manager",
        task="other",
        time=NOW,
        subjects={"plan": "sha256:" + "1" * 64, "decision": "sha256:" + "2" * 64},
    )
    story.extra_entries = (SignedEvent.sign(denied, KEYS["manager"]),)
    found, payload = story.run()
    error = refused(found, payload)
    assert "request.denied" in error.place


def test_a_template_grant_covers_other_literals(tmp_path: Path) -> None:
    network = Network(tmp_path)
    change = replaced(by="template", plan=template_digest(plan_of_the_job()))
    found, payload = Story(network, {"grant": change}).run()
    assert verify_bytes(found, payload, trust())


def test_directories(manifest: bytes, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "out" / "bundle", manifest, PAYLOAD)
    (tmp_path / "trust.toml").write_text(trust_text())
    assert verify(bundle, tmp_path / "trust.toml").task == "task-1"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bundle"]
    copied = copy_bundle(bundle, tmp_path / "copy")
    assert verify(copied, trust())
    for again in (lambda: write_bundle(bundle, manifest, PAYLOAD), lambda: copy_bundle(bundle, copied)):
        with pytest.raises(StateError, match="exists"):
            again()
    with pytest.raises(NotFound):
        copy_bundle(tmp_path / "nothing", tmp_path / "copy2")
    with pytest.raises(NotFound):
        verify(tmp_path / "nothing", trust())
    (copied / "extra.txt").write_text("hello")
    with pytest.raises(AuditError, match="nothing vouches") as caught:
        verify(copied, trust())
    assert caught.value.place == "file 'extra.txt'"
    (copied / "extra.txt").unlink()
    (copied / "product.arrow").unlink()
    with pytest.raises(AuditError) as caught:
        verify(copied, trust())
    assert (caught.value.kind, caught.value.place) == ("incomplete", "file 'product.arrow'")
    (copied / "product.arrow").symlink_to(bundle / "product.arrow")
    with pytest.raises(AuditError):
        verify(copied, trust())
    (copied / "product.arrow").unlink()
    (copied / "product.arrow").mkdir()
    with pytest.raises(AuditError):
        verify(copied, trust())


def test_a_bundle_is_written_whole_or_not_at_all(manifest: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(StateError, match="No space"):
        write_bundle(tmp_path / "bundle", manifest, PAYLOAD)
    assert list(tmp_path.iterdir()) == []


def test_no_secret_stands_in_a_bundle(manifest: bytes) -> None:
    for identity in KEYS.values():
        assert identity.to_secret_bytes().hex().encode() not in manifest
        assert identity.to_secret_bytes() not in manifest
    assert isinstance(parse_bundle(manifest), Bundle)
    assert PrivateIdentity.generate().public not in [identity.public for identity in KEYS.values()]
    assert datetime.timedelta(0) < HOUR
