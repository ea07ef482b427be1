"""A whole job as evidence: two providers, an operator, a manager, three witnesses; every document can be changed on the way."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from support.policy_cases import plan as example_plan

from sandbox.audit.bundle import build_bundle, product_record
from sandbox.audit.commitment import commit_rows, seed_hash
from sandbox.audit.events import make_event
from sandbox.audit.log import LogKeeper
from sandbox.audit.note import open_checkpoint
from sandbox.audit.receipt import require_receipt
from sandbox.audit.trust import Trust, parse_trust
from sandbox.audit.witness import Witness
from sandbox.model.canonical import digest
from sandbox.model.certificate import (
    AttackResult,
    Certificate,
    Figure,
    HistoryPosition,
    Measurement,
    SignedCertificate,
    Software,
)
from sandbox.model.decision import Decision, Finding
from sandbox.model.evidence import (
    Event,
    InputCommitment,
    ProductRecord,
    Receipt,
    SignedEvent,
    SignedTranscript,
    Transcript,
    TranscriptChain,
    payload_digest,
)
from sandbox.model.grant import SignedGrant, request_grant
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard, ProductColumn, SourceNote
from sandbox.model.signature import PrivateIdentity

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
ORIGIN = "health-sandbox.example/log"
PARTIES = ("registry", "lab", "manager", "operator")
ROLES = {"registry": "provider", "lab": "provider", "manager": "authoriser", "operator": "operator"}
WITNESSES = ("registry", "lab", "auditor")
TASK = "task-1"
PAYLOAD = b"ARROW1\x00\x00 a small product ARROW1"
SESSION = "5e" * 16
KEYS = {
    name: PrivateIdentity.from_secret_bytes(hashlib.sha256(name.encode()).digest())
    for name in (*PARTIES, "log", "w-registry", "w-lab", "w-auditor", "stranger")
}

Change = Callable[[Any], Any]


def trust_text(**changes: str) -> str:
    """trust.toml; `changes` replaces texts in it."""
    parties = "".join(
        f'[parties.{name}]\nroles = ["{ROLES[name]}"]\nkey = "{KEYS[name].public}"\n'
        "valid = { from = 2026-01-01, to = 2028-01-01 }\n"
        for name in PARTIES
    )
    witnesses = ", ".join(f'{name} = "{KEYS["w-" + name].public}"' for name in WITNESSES)
    text = (
        f'[log]\norigin = "{ORIGIN}"\nkey = "{KEYS["log"].public}"\n'
        f"[witnesses]\nquorum = 2\nkeys = {{ {witnesses} }}\n{parties}"
    )
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def trust() -> Trust:
    return parse_trust(trust_text())


@dataclass
class Network:
    """A log with its witnesses in a folder. time: what all clocks show."""

    folder: Path
    time: datetime.datetime = NOW
    witnesses: list[Witness] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trust = trust()
        self.witnesses = [
            Witness(
                self.folder / f"witness-{name}",
                name=name,
                trust=self.trust.log,
                identity=KEYS["w-" + name],
                clock=lambda: int(self.time.timestamp()),
            )
            for name in WITNESSES
        ]
        self.log = self.open_log()

    def open_log(self, folder: str = "log") -> LogKeeper:
        return LogKeeper(self.folder / folder, trust=self.trust.log, identity=KEYS["log"], witnesses=self.witnesses)

    def close(self) -> None:
        self.log.close()
        for witness in self.witnesses:
            witness.close()


def same(value: Any) -> Any:
    return value


@dataclass
class Story:
    """Runs a job. changes: by the step's name, what to make of its document before it is signed or logged."""

    network: Network
    changes: dict[str, Change] = field(default_factory=dict)
    extra_entries: tuple[SignedEvent, ...] = ()

    def run(self) -> tuple[bytes, bytes]:
        """Return manifest and payload."""
        plan: Plan = self._changed("plan", plan_of_the_job())
        decision = self._changed("decision", Decision(findings=(passing("policy.purpose"), passing("grant.period"))))
        grant = self._grant(plan)
        submitted = self._event("plan.submitted", "operator", subjects={"plan": plan}, task="grant-1")
        issued = self._event(
            "grant.issued",
            "manager",
            task="grant-1",
            cites=[submitted],
            subjects={"grant": grant.grant, "approval": grant},
        )
        authorised = self._event(
            "task.authorised",
            "manager",
            cites=[issued],
            subjects={"plan": plan, "grant": grant.grant, "decision": decision},
        )
        first = self._log([submitted, issued, authorised])
        commitments = [self._commitment(item.provider, item.asset, item.asset_version) for item in plan.inputs]
        committed = [
            self._event(
                "input.committed",
                item.provider,
                cites=[authorised],
                subjects={"commitment": item},
                checkpoint=first[-1],
            )
            for item in commitments
        ]
        second = self._log(committed)
        opened = self._event(
            "session.opened",
            "operator",
            cites=[authorised, *committed],
            subjects={"plan": plan},
            checkpoint=second[-1],
        )
        self._log([opened])
        transcripts = [self._transcript(name) for name in sorted(PARTIES)]
        signed = SignedCertificate.sign(self._changed("certificate", certificate_of(plan)), KEYS["manager"])
        certificate: SignedCertificate = self._changed("signed certificate", signed)
        card: ProductCard = self._changed("card", msgspec.structs.replace(card_of(plan), certificate=digest(certificate)))
        record: ProductRecord = self._changed(
            "product", product_record(task=TASK, payload=PAYLOAD, arrow_schema="sex: int64, n: int64", card=card)
        )
        released = self._event(
            "product.released",
            "manager",
            cites=[authorised, opened],
            subjects={
                "plan": plan,
                "approval": grant,
                "decision": decision,
                "commitment": commitments,
                "transcript": transcripts,
                "product": record,
                "payload": record.payload,
                "certificate": certificate,
            },
        )
        self.entries = [submitted, issued, authorised, *committed, opened, released]
        self._log([released, *self.extra_entries])
        self.grant = grant
        evidence = self.network.log.evidence(
            [*self.entries, *self.extra_entries], relied_on=[first[-1].checkpoint, second[-1].checkpoint]
        )
        manifest = build_bundle(
            task=TASK,
            plan=plan,
            grants=[grant],
            decision=decision,
            commitments=commitments,
            transcripts=transcripts,
            product=record,
            certificate=certificate,
            log=self._changed("log", evidence),
        )
        return manifest, PAYLOAD

    def _changed(self, name: str, document: Any) -> Any:
        return self.changes.get(name, same)(document)

    def _event(
        self, kind: Any, party: str, *, checkpoint: Receipt | None = None, task: str = TASK, **fields: Any
    ) -> SignedEvent:
        digest = None
        if checkpoint is not None:
            digest = open_checkpoint(checkpoint.checkpoint, self.network.trust.log).checkpoint.digest()
        event = make_event(kind, party=party, task=task, time=self.network.time, checkpoint=digest, **fields)
        event = self._changed(f"{kind} {party}", self._changed(kind, event))
        return self._changed(f"signed {kind}", SignedEvent.sign(event, KEYS[event.party]))

    def _log(self, events: Iterable[SignedEvent]) -> tuple[Receipt, ...]:
        self.network.time += datetime.timedelta(seconds=1)
        entries = [event.leaf() for event in events]
        receipts = self.network.log.append(entries)
        for entry, receipt in zip(entries, receipts, strict=True):
            require_receipt(entry, receipt, self.network.trust.log)
        return receipts

    def _grant(self, plan: Plan) -> SignedGrant:
        asked = request_grant(plan, id="grant-1", authoriser="manager", calls=3, not_before=NOW - HOUR, expires=NOW + 24 * HOUR)
        signed = msgspec.structs.replace(asked, grant=self._changed("grant", asked.grant))
        for name in signed.grant.signers:
            signed = signed.sign(name, KEYS[name])
        return self._changed("signed grant", signed)

    def _commitment(self, provider: str, asset: str, version: int) -> InputCommitment:
        root, rows = commit_rows((f"{asset} {row}".encode() for row in range(5)), salt_key=KEYS[provider].public.to_bytes())
        commitment = InputCommitment(
            version=1,
            task=TASK,
            provider=provider,
            asset=asset,
            asset_version=version,
            rows=rows,
            root=root,
            seed_hash=seed_hash(provider.encode()),
        )
        return self._changed(f"commitment {provider}", commitment)

    def _transcript(self, party: str) -> SignedTranscript:
        peers = {"operator": ("lab", "manager", "registry"), "manager": ("operator",)}.get(party, ("operator",))
        chains = tuple(
            TranscriptChain(peer=peer, direction=direction, frames=2, size_bytes=99, head=_head(pair))
            for peer in peers
            for direction, pair in (("sent", (party, peer)), ("received", (peer, party)))
        )
        transcript = Transcript(version=1, task=TASK, session=SESSION, party=party, chains=chains)
        return SignedTranscript.sign(self._changed(f"transcript {party}", transcript), KEYS[party])


def _head(pair: tuple[str, str]) -> str:
    return hashlib.sha256(" ".join(pair).encode()).hexdigest()


def passing(check: str) -> Finding:
    return Finding(check=check, verdict="pass", subject="plan", message="as it should be")


def plan_of_the_job() -> Plan:
    return msgspec.structs.replace(example_plan(), operator="operator", gate="manager")


def card_of(plan: Plan) -> ProductCard:
    return ProductCard(
        version=1,
        title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        operator=plan.operator,
        gate=plan.gate,
        sql=plan.sql,
        plan_digest=plan.digest(),
        sources=tuple(
            SourceNote(
                provider=item.provider, asset=item.asset, asset_version=item.asset_version, asset_digest=item.asset_digest
            )
            for item in plan.inputs
        ),
        method="encrypted join",
        parameters=plan.parameters,
        profile=plan.rules.profile,
        profile_version=plan.rules.version,
        rules=plan.rules,
        columns=tuple(ProductColumn(name=item.name, type="integer") for item in plan.select),
        rows=2,
        findings=(passing("minimum_keys"),),
        withheld=(),
        no_values=(),
        marks=(),
        dropped=(),
        lineage=(),
    )


def certificate_of(plan: Plan) -> Certificate:
    measure = Measurement(name="smallest_count", subject="n", value="12", threshold="10", verdict="PASS", how="bundle")
    attack = AttackResult(
        name="reconstruction",
        subject="product",
        parameters={"narrowest": "9"},
        seed=None,
        figures=(Figure(name="found", value="0", low="0", high="0.5"),),
        threshold="0",
        verdict="PASS",
        needs="nothing",
    )
    return Certificate(
        version=1,
        task=TASK,
        gate=plan.gate,
        payload=payload_digest(PAYLOAD),
        plan=plan.digest(),
        profile=plan.rules.profile,
        profile_version=plan.rules.version,
        history=HistoryPosition(position=0, products=()),
        measures=(measure,),
        attacks=(attack,),
        software=(Software(name="public-data-sandbox", version="0.1.0"),),
    )


def replaced(**fields: Any) -> Change:
    """A change that sets fields of a document."""
    return lambda document: msgspec.structs.replace(document, **fields)


def resigned(event: Event, **fields: Any) -> SignedEvent:
    """The event with other fields, signed by the party that it then names."""
    changed = msgspec.structs.replace(event, **fields)
    return SignedEvent.sign(changed, KEYS[changed.party])
