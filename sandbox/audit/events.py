"""Events: what each kind means — who may say it, what it must cite, what it must speak of — as one readable table."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import get_args

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document, digest
from sandbox.model.evidence import AuthorisationKind, Event, EventKind, SignedEvent, Subject, SubjectRole
from sandbox.model.grant import check_digest
from sandbox.model.party import PartyRole, check_name

AUTHORISATION: frozenset[str] = frozenset(get_args(AuthorisationKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """roles: one of these the signer must hold. cites: at least one event of each kind; may_cite: others that are allowed.

    subjects: at least one of each role; may_name: others. relies: names the cosigned checkpoint in which the cited events were
    seen before acting.
    """

    chain: OneOf["authorisation", "data"]
    roles: frozenset[PartyRole]
    cites: frozenset[EventKind] = frozenset()
    may_cite: frozenset[EventKind] = frozenset()
    subjects: frozenset[SubjectRole]
    may_name: frozenset[SubjectRole] = frozenset()
    relies: bool = False


RULES: Mapping[EventKind, EventRule] = {
    "plan.submitted": EventRule(
        chain="authorisation",
        roles=frozenset({"operator"}),
        subjects=frozenset({"plan"}),
    ),
    "grant.issued": EventRule(
        chain="authorisation",
        roles=frozenset({"authoriser"}),
        cites=frozenset({"plan.submitted"}),
        may_cite=frozenset({"grant.issued"}),
        subjects=frozenset({"grant", "approval"}),
    ),
    "grant.revoked": EventRule(
        chain="authorisation",
        roles=frozenset({"authoriser", "provider", "operator"}),
        cites=frozenset({"grant.issued"}),
        subjects=frozenset({"grant"}),
        may_name=frozenset({"revocation"}),
    ),
    "request.denied": EventRule(
        chain="authorisation",
        roles=frozenset({"authoriser", "provider"}),
        may_cite=frozenset({"plan.submitted", "grant.issued", "grant.revoked"}),
        subjects=frozenset({"plan", "decision"}),
        may_name=frozenset({"grant"}),
    ),
    "task.authorised": EventRule(
        chain="authorisation",
        roles=frozenset({"authoriser"}),
        cites=frozenset({"grant.issued"}),
        may_cite=frozenset({"plan.submitted"}),
        subjects=frozenset({"plan", "grant", "decision"}),
    ),
    "input.committed": EventRule(
        chain="data",
        roles=frozenset({"provider"}),
        cites=frozenset({"task.authorised"}),
        subjects=frozenset({"commitment"}),
        relies=True,
    ),
    "session.opened": EventRule(
        chain="data",
        roles=frozenset({"operator"}),
        cites=frozenset({"task.authorised", "input.committed"}),
        subjects=frozenset({"plan"}),
        relies=True,
    ),
    "product.released": EventRule(
        chain="data",
        roles=frozenset({"authoriser"}),
        cites=frozenset({"task.authorised", "session.opened"}),
        subjects=frozenset({"plan", "approval", "decision", "commitment", "transcript", "product", "payload", "certificate"}),
    ),
    "product.withheld": EventRule(
        chain="data",
        roles=frozenset({"authoriser"}),
        cites=frozenset({"task.authorised", "session.opened"}),
        subjects=frozenset({"plan", "decision"}),
        may_name=frozenset({"transcript", "commitment"}),
    ),
    "task.aborted": EventRule(
        chain="data",
        roles=frozenset({"operator", "provider", "authoriser"}),
        cites=frozenset({"task.authorised"}),
        may_cite=frozenset({"input.committed", "session.opened", "grant.revoked"}),
        subjects=frozenset({"plan"}),
        may_name=frozenset({"transcript", "decision"}),
    ),
}

Named = Document | str


def make_event(
    kind: EventKind,
    *,
    party: str,
    task: str,
    time: datetime.datetime,
    subjects: Mapping[SubjectRole, Named | Iterable[Named]],
    cites: Iterable[SignedEvent | Event | str] = (),
    checkpoint: str | None = None,
) -> Event:
    """Return an event in its proper shape. Documents are named by their digest; a text is taken as a digest.

    task: for events before any task (plan, grant), the grant's id. Raises DocumentError where the kind's rule does not hold.
    """
    named = [
        Subject(role=role, digest=item if isinstance(item, str) else digest(item))
        for role, items in subjects.items()
        for item in ((items,) if isinstance(items, Document | str) else items)
    ]
    event = Event(
        version=1,
        kind=kind,
        time=time,
        party=party,
        task=task,
        cites=tuple(_cited(item) for item in cites),
        subjects=tuple(sorted(named, key=lambda item: (item.role, item.digest))),
        checkpoint=checkpoint,
    )
    check_shape(event)
    return event


def check_shape(event: Event) -> None:
    """Return only if an event names what its kind must name, and nothing else. Raises DocumentError.

    Judges the event alone; who signed it and what its citations point at is the verifier's.
    """
    rule = RULES[event.kind]
    check_name(event.task, field="task")
    roles = {item.role for item in event.subjects}
    if absent := rule.subjects - roles:
        raise DocumentError(f"{event.kind} must name its {', '.join(sorted(absent))}")
    if extra := roles - rule.subjects - rule.may_name:
        raise DocumentError(f"{event.kind} cannot name a {', '.join(sorted(extra))}")
    if event.subjects != tuple(sorted(event.subjects, key=lambda item: (item.role, item.digest))):
        raise DocumentError(f"{event.kind}: subjects stand in order of role and digest")
    if len(event.cites) < len(rule.cites):
        raise DocumentError(f"{event.kind} must cite an event of each kind: {', '.join(sorted(rule.cites))}")
    if rule.relies != (event.checkpoint is not None):
        words = "must name the cosigned checkpoint it relies on" if rule.relies else "relies on no checkpoint"
        raise DocumentError(f"{event.kind} {words}")


def check_cited_kinds(event: Event, kinds: Iterable[EventKind]) -> None:
    """Return only if the kinds of the cited events are those that the rule asks for and allows. Raises DocumentError."""
    rule, found = RULES[event.kind], frozenset(kinds)
    if absent := rule.cites - found:
        raise DocumentError(f"{event.kind} cites no {', '.join(sorted(absent))}")
    if extra := found - rule.cites - rule.may_cite:
        raise DocumentError(f"{event.kind} cannot cite {', '.join(sorted(extra))}")


def _cited(item: SignedEvent | Event | str) -> str:
    if isinstance(item, str):
        check_digest(item, field="cites")
        return item
    return (item.event if isinstance(item, SignedEvent) else item).digest()
