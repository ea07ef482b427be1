"""The whole log: what no bundle shows. And the way from a product back to who allowed it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.audit_story import HOUR, KEYS, NOW, TASK, Network, Story, resigned, trust

from sandbox.audit.bundle import parse_bundle
from sandbox.audit.events import RULES, make_event
from sandbox.audit.reconcile import CHECKS, reconcile, trace
from sandbox.errors import AuditError, DocumentError, NotFound
from sandbox.model.canonical import digest
from sandbox.model.evidence import Event, SignedEvent
from sandbox.model.grant import SignedGrant

NOWHERE = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    told = Story(Network(tmp_path_factory.mktemp("network")))
    told.run()
    return told


def problems(events: list[SignedEvent], *grants: SignedGrant) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in reconcile([event.leaf() for event in events], grants=grants, trust=trust()):
        if finding.verdict != "pass":
            found.setdefault(finding.check.removeprefix("reconcile."), []).append(finding.subject)
    return found


def again(story: Story, task: str) -> list[SignedEvent]:
    """The same job once more, as another task."""
    names: dict[str, str] = {}
    events = []
    for signed in story.entries[2:]:
        cites = tuple(names.get(name, name) for name in signed.event.cites)
        other = resigned(signed.event, task=task, cites=cites)
        names[signed.event.digest()] = other.event.digest()
        events.append(other)
    return events


def test_an_honest_log_adds_up(story: Story) -> None:
    findings = reconcile(list(story.network.log.entries()), grants=[story.grant], trust=trust())
    assert [finding.verdict for finding in findings] == ["pass"] * len(CHECKS)
    assert problems([*story.entries, *again(story, "t2"), *again(story, "t3")], story.grant) == {}


def test_more_uses_than_granted(story: Story) -> None:
    events = [*story.entries, *again(story, "t2"), *again(story, "t3"), *again(story, "t4")]
    assert problems(events, story.grant) == {"over-use": ["log entry 17 (task.authorised)"]}


def test_use_outside_the_period(story: Story) -> None:
    late = [resigned(item.event, time=NOW + 48 * HOUR) if at == 2 else item for at, item in enumerate(story.entries)]
    found = problems(late[:3], story.grant)
    assert found["period"] == ["log entry 2 (task.authorised)"]


def test_use_after_revocation(story: Story) -> None:
    issued = story.entries[1]
    revoked = make_event(
        "grant.revoked",
        party="lab",
        task="grant-1",
        time=NOW,
        cites=[issued],
        subjects={"grant": issued.event.about("grant")},
    )
    events = [*story.entries[:6], SignedEvent.sign(revoked, KEYS["lab"]), story.entries[6], *again(story, "t2")]
    found = problems(events, story.grant)
    expected = ["log entry 7 (product.released)", "log entry 8 (task.authorised)", "log entry 12 (product.released)"]
    assert found == {"revoked": expected}


def test_orphans_and_citations_of_nothing(story: Story) -> None:
    found = problems(story.entries[3:], story.grant)
    orphans = ["input.committed", "input.committed", "session.opened", "product.released"]
    assert found["orphan"] == [f"log entry {at} ({kind})" for at, kind in enumerate(orphans)]
    assert len(found["citation"]) >= 4


def test_tasks_without_an_end_and_effects_twice(story: Story) -> None:
    assert problems(story.entries[:6], story.grant)["unfinished"] == [
        "log entry 2 (task.authorised)",
        "log entry 5 (session.opened)",
    ]
    second = resigned(story.entries[6].event, time=NOW + HOUR)
    assert problems([*story.entries, second], story.grant) == {"order": ["log entry 7 (product.released)"]}
    late = resigned(story.entries[3].event, time=NOW + HOUR)
    found = problems([*story.entries, late], story.grant)
    assert found["order"] == found["unfinished"] == ["log entry 7 (input.committed)"]


def test_what_cannot_be_judged_is_inconclusive(story: Story) -> None:
    findings = reconcile([event.leaf() for event in story.entries])
    assert {finding.verdict for finding in findings if finding.check == "reconcile.over-use"} == {"inconclusive"}


def test_unreadable_and_unsigned_entries(story: Story) -> None:
    forged = SignedEvent.sign(story.entries[0].event, KEYS["stranger"])
    unknown = resigned(story.entries[0].event, party="stranger")
    wrong_role = resigned(story.entries[0].event, party="lab")
    found = problems([forged, unknown, wrong_role])
    assert len(found["signature"]) == 3
    findings = reconcile([b"{}", b"\xff", story.entries[0].leaf() + b" "])
    assert [finding.subject for finding in findings if finding.check == "reconcile.form"] == [
        f"log entry {at} (unreadable)" for at in range(3)
    ]


def test_trace_leads_from_the_product_to_its_authorisation(story: Story) -> None:
    entries = list(story.network.log.entries())
    released = story.entries[-1].event
    for role in ("payload", "product", "plan"):
        way = trace(entries, released.about(role)[0])  # type: ignore[arg-type]
        assert [item.event for item in way] == [signed.event for signed in story.entries]
        assert [item.index for item in way] == list(range(7))
    with pytest.raises(NotFound):
        trace(entries, NOWHERE)
    with pytest.raises(AuditError, match="not in the log"):
        trace(entries[1:], released.about("payload")[0])
    with pytest.raises(AuditError):
        trace([b"garbage"], NOWHERE)


@pytest.mark.parametrize("kind", RULES)
def test_every_kind_of_event_has_its_shape(kind: str) -> None:
    rule = RULES[kind]  # type: ignore[index]
    fields = {
        "party": "lab",
        "task": TASK,
        "time": NOW,
        "cites": [f"sha256:{at:064x}" for at in range(len(rule.cites))],
        "subjects": dict.fromkeys(rule.subjects, NOWHERE),
        "checkpoint": NOWHERE if rule.relies else None,
    }
    event = make_event(kind, **fields)  # type: ignore[arg-type]
    assert isinstance(event, Event)
    assert event.digest() == digest(event)
    wrong: list[dict[str, object]] = [
        {"subjects": {}},
        {"subjects": {**fields["subjects"], **dict.fromkeys(("receipt",), NOWHERE)}},  # type: ignore[dict-item]
        {"checkpoint": None if rule.relies else NOWHERE},
        {"party": "two words"},
        {"task": "\x1b[31m"},
        {"time": NOW.replace(tzinfo=None)},
    ]
    if rule.cites:
        wrong += [{"cites": []}, {"cites": [NOWHERE, NOWHERE]}]
    for changes in wrong:
        with pytest.raises((DocumentError, msgspec.ValidationError)):
            make_event(kind, **{**fields, **changes})  # type: ignore[arg-type]


def test_the_bundle_of_the_story_can_be_read(tmp_path: Path) -> None:
    network = Network(tmp_path)
    manifest, _ = Story(network).run()
    assert parse_bundle(manifest).log.entries[-1].entry.event.kind == "product.released"
