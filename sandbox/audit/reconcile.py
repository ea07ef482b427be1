"""reconcile and trace: the whole log at once, which no single bundle shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sandbox.audit.events import AUTHORISATION, RULES, check_cited_kinds, check_shape
from sandbox.audit.trust import Trust
from sandbox.errors import AuditError, DocumentError, NotFound
from sandbox.model.canonical import canonical, parse
from sandbox.model.decision import Finding, Verdict
from sandbox.model.evidence import EVENT_CONTEXT, Event, SignedEvent
from sandbox.model.grant import Grant, SignedGrant

CHECKS = ("form", "signature", "citation", "orphan", "over-use", "period", "revoked", "order", "unfinished")
_ENDS = ("product.released", "product.withheld", "task.aborted")
_ANSWERS = ("product.released", "product.withheld")
_ONCE = ("task.authorised", "session.opened", "product.released", "product.withheld")


@dataclass(frozen=True, kw_only=True)
class Traced:
    """One event on the way from a product back to its authorisations."""

    index: int
    event: Event


@dataclass(kw_only=True)
class _Book:
    """What has been read so far. events: by digest, with their log index; found: what does not hold."""

    events: dict[str, tuple[int, Event]] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    cited: set[str] = field(default_factory=set)
    uses: Counter[str] = field(default_factory=Counter)

    def add(self, check: str, index: int, kind: str, message: str, verdict: Verdict = "fail") -> None:
        subject = f"log entry {index} ({kind})"
        self.found.append(Finding(check=f"reconcile.{check}", verdict=verdict, subject=subject, message=message))


def reconcile(
    entries: Iterable[bytes], *, grants: Iterable[SignedGrant] = (), trust: Trust | None = None
) -> tuple[Finding, ...]:
    """Return what does not add up in a whole log, in log order, and a passing finding for each check that found nothing.

    Orphans (data events that reach no authorisation), citations of nothing, more uses than granted, use outside a grant's
    period or after its revocation, effects in the wrong order or twice, tasks without an end. grants: those that the log speaks
    of; the uses of one that is not given are inconclusive. trust: if given, signatures and roles are judged too.
    """
    book = _Book()
    for index, entry in enumerate(entries):
        _read(book, index, entry, trust)
    events = sorted(book.events.values(), key=lambda item: item[0])
    _judge_uses(book, events, {item.grant.digest(): item.grant for item in grants})
    _judge_tasks(book, events)
    failed = {item.check for item in book.found}
    passed = [
        Finding(check=f"reconcile.{name}", verdict="pass", subject="log", message=f"{len(events)} events, nothing found")
        for name in CHECKS
        if f"reconcile.{name}" not in failed
    ]
    return (*book.found, *passed)


def trace(entries: Iterable[bytes], digest: str) -> tuple[Traced, ...]:
    """Return every event that a product relies on, in log order, its release last.

    digest: of the Arrow file, the product record or the plan. Raises NotFound if nothing was released under it, AuditError for
    an entry that is no event or a citation that leads nowhere.
    """
    events: dict[str, Traced] = {}
    release: Traced | None = None
    for index, entry in enumerate(entries):
        try:
            event = parse(entry, SignedEvent, what=f"log entry {index}").event
        except DocumentError as error:
            raise AuditError(str(error), place=f"log entry {index}") from None
        item = Traced(index=index, event=event)
        events[event.digest()] = item
        if event.kind == "product.released" and digest in {subject.digest for subject in event.subjects}:
            release = item
    if release is None:
        raise NotFound(f"the log has no release of {digest[:80]!a}")
    reached, waiting = {release.index: release}, [release]
    while waiting:
        item = waiting.pop()
        for name in item.event.cites:
            if name not in events:
                raise AuditError(f"it cites {name}, which is not in the log", place=f"log entry {item.index}")
            if events[name].index not in reached:
                reached[events[name].index] = events[name]
                waiting.append(events[name])
    return tuple(reached[index] for index in sorted(reached))


def _read(book: _Book, index: int, entry: bytes, trust: Trust | None) -> None:
    try:
        signed = parse(entry, SignedEvent, what="the entry")
        check_shape(signed.event)
    except DocumentError as error:
        book.add("form", index, "unreadable", str(error)[:300])
        return
    event = signed.event
    if trust is not None:
        _judge_signature(book, index, signed, trust)
    cited = [book.events[name] for name in event.cites if name in book.events]
    if len(cited) < len(event.cites):
        book.add("citation", index, event.kind, "it cites an event that does not precede it in this log")
    if event.kind not in AUTHORISATION and not any(item.kind == "task.authorised" for _, item in cited):
        book.add("orphan", index, event.kind, f"no authorisation in this log stands behind it (task {event.task})")
    try:
        check_cited_kinds(event, (item.kind for _, item in cited))
    except DocumentError as error:
        book.add("citation", index, event.kind, str(error))
    book.cited.update(event.cites)
    book.events.setdefault(event.digest(), (index, event))


def _judge_signature(book: _Book, index: int, signed: SignedEvent, trust: Trust) -> None:
    event, place = signed.event, f"log entry {index}"
    try:
        party = trust.require(event.party, at=event.time, place=place)
        party.identity.verify(EVENT_CONTEXT, canonical(event), signed.signature.to_bytes(place=place), place=place)
    except AuditError as error:
        book.add("signature", index, event.kind, error.problem)
        return
    if signed.signature.party != event.party or not RULES[event.kind].roles & set(party.roles):
        book.add("signature", index, event.kind, f"{event.party} may not say this by the trust file")


def _judge_uses(book: _Book, events: list[tuple[int, Event]], grants: dict[str, Grant]) -> None:
    revoked: dict[str, int] = {}
    answered = {event.task for _, event in events if event.kind in _ANSWERS}
    given_back: set[str] = set()
    for index, event in events:
        # An abort that names a decision says that something was told first: it gives no use back.
        if event.kind == "task.aborted" and event.task not in answered | given_back and not event.about("decision"):
            given_back.add(event.task)
            book.uses.subtract(_chain(_granted(book, event), grants))
        if event.kind == "grant.revoked":
            revoked.update((name, index) for name in event.about("grant") if name not in revoked)
        if event.kind in ("task.authorised", "product.released"):
            chain = _chain(_granted(book, event), grants)
            _judge_revoked(book, index, event, chain, revoked)
            if event.kind == "task.authorised":
                _judge_use(book, index, event, chain, grants)


def _judge_use(book: _Book, index: int, event: Event, chain: list[str], grants: dict[str, Grant]) -> None:
    for name in chain:
        book.uses[name] += 1
        grant = grants.get(name)
        if grant is None:
            message = f"the grant {name} was not given, so its calls and period cannot be judged"
            book.add("over-use", index, event.kind, message, "inconclusive")
            continue
        if book.uses[name] > grant.calls:
            book.add("over-use", index, event.kind, f"use {book.uses[name]} of grant {grant.id}, which allows {grant.calls}")
        if not grant.not_before <= event.time < grant.expires:
            book.add("period", index, event.kind, f"grant {grant.id} does not hold at {event.time.isoformat()}")


def _judge_revoked(book: _Book, index: int, event: Event, chain: list[str], revoked: dict[str, int]) -> None:
    for name in chain:
        if name in revoked:
            book.add("revoked", index, event.kind, f"log entry {revoked[name]} revoked its grant before")


def _judge_tasks(book: _Book, events: list[tuple[int, Event]]) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    ended = {event.task for _, event in events if event.kind in _ENDS}
    answered = {event.task for _, event in events if event.kind in _ANSWERS}
    for index, event in events:
        seen[event.task, event.kind] += 1
        if event.kind in _ONCE and seen[event.task, event.kind] > 1:
            book.add("order", index, event.kind, f"task {event.task} had one before")
        if event.kind == "input.committed" and seen[event.task, "session.opened"]:
            book.add("order", index, event.kind, f"the session of task {event.task} had been opened before")
        if event.kind in ("task.authorised", "session.opened") and event.task not in ended:
            message = f"task {event.task} has no end: neither released, withheld nor aborted (it may be running)"
            book.add("unfinished", index, event.kind, message, "inconclusive")
        if event.kind == "task.aborted" and event.task in answered:
            book.add("order", index, event.kind, f"task {event.task} had an answer, which an abort cannot take back")
        if event.kind == "input.committed" and event.digest() not in book.cited and event.task in answered:
            book.add("unfinished", index, event.kind, f"nothing in task {event.task} relied on it", "inconclusive")


def _granted(book: _Book, event: Event) -> str:
    """The grant that an event used: its own subject, or that of the authorisation it cites."""
    if named := event.about("grant"):
        return named[0]
    cited = (book.events[name][1] for name in event.cites if name in book.events)
    return next((item.about("grant")[0] for item in cited if item.kind == "task.authorised"), "")


def _chain(name: str, grants: dict[str, Grant]) -> list[str]:
    """A grant and those that it narrows. A digest cannot name itself through others, so this ends."""
    chain = [name] if name else []
    while chain and (grant := grants.get(chain[-1])) is not None and grant.parent is not None:
        chain.append(grant.parent)
    return chain
