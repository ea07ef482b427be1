"""The manager's node: catalogue, terms, grants, counted use, the gate's key, and the account of all of it."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence

from protocols import paillier
from protocols.errors import ParameterError
from sandbox.audit.events import make_event
from sandbox.audit.witness import Witness
from sandbox.catalogue import FederationDefinition, declare_federation, open_catalogue
from sandbox.errors import Denied, NotFound, SandboxError
from sandbox.ledger import Expense, Ledger, LedgerTransaction, Limit
from sandbox.model.asset import Asset
from sandbox.model.decision import Decision, Finding
from sandbox.model.evidence import EventKind, SignedEvent, SubjectRole
from sandbox.model.federation import Federation
from sandbox.model.grant import SignedGrant, SignedRevocation
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.privacy import budget_subject, budget_subjects, budget_units, cost_units
from sandbox.node.logbook import Logbook
from sandbox.node.workspace import Clock, SteadyClock, Workspace, utc_now
from sandbox.planning import plan_again
from sandbox.policy import History, TaskResource, authorise, check_grant, check_revocation, decide
from sandbox.policy.case import finding
from sandbox.tasks.casefile import KeptGrant, Task
from sandbox.tasks.lifecycle import TaskState
from sandbox.tasks.methods import method_of
from sandbox.tasks.records import Records

TAKES_PART = ("published", "coded", "changed")


class ManagerNode:
    """The manager's node. It authorises, counts, and holds the gate's key: it can decrypt, and never holds a row."""

    def __init__(
        self, workspace: Workspace, witnesses: Sequence[Witness], *, clock: Clock = utc_now, insecure_keys: bool = False
    ) -> None:
        """Open the node, finish what an earlier process left behind, and bring its outbox into the log."""
        self.workspace = workspace
        self.name = workspace.network.manager
        self.identity = workspace.identity(self.name)
        self.catalogue = open_catalogue(workspace.node(self.name) / "catalogue.sqlite")
        self.clock = clock
        self._insecure_keys = insecure_keys
        self._store = workspace.store()
        self.ledger = Ledger(self._store)
        self.records = Records(self._store)
        if isinstance(clock, SteadyClock):
            clock.catch_up(self.ledger.now(clock()))
        self.process = secrets.token_hex(8)
        self.writing_evidence = threading.Lock()
        self._finish_dead_tasks()
        self.logbook = Logbook(workspace, self.ledger, witnesses, clock=clock)

    def now(self) -> datetime.datetime:
        """Return the time that counts here: it never runs backwards."""
        return self.ledger.now(self.clock())

    def assets(self) -> dict[str, Asset]:
        """Return every asset that takes part in questions, by name."""
        return {asset.name: asset for asset in self.catalogue.list() if asset.lifecycle in TAKES_PART}

    def federations(self) -> dict[str, Federation]:
        """Return every federated table, by name."""
        return self.catalogue.federations()

    def federate(self, name: str, definition: FederationDefinition) -> Federation:
        """Declare a federated table over published assets. Raises UsageError, NotFound."""
        declared = declare_federation(name, definition, self.assets(), self.workspace.providers)
        return self.catalogue.federate(declared)

    def judge(self, plan: Plan, terms: Mapping[str, Policy] | None = None) -> Decision:
        """Return what all owners' terms say of a plan now. terms: in place of the stored ones."""
        names = {entry.asset for entry in plan.inputs}
        known = self.assets()
        policies = terms if terms is not None else self.terms(plan)
        used = self.ledger.usage([asset_subject(name) for name in names])
        promised = self._promised(plan, known)
        shown = promised.verdict == "pass" and plan.has_separate_parties
        history = History(
            assets={name: known[name] for name in names if name in known},
            calls={name: used[asset_subject(name)] for name in names},
            parties=self.workspace.parties,
            disclosure=method_of(plan).disclosure(plan) if shown else None,
            spent=self.ledger.spent(budget_subjects(names, plan.recipients)),
        )
        return Decision(findings=(promised, *decide(plan, policies.values(), history, self.now()).findings))

    def _promised(self, plan: Plan, assets: Mapping[str, Asset]) -> Finding:
        """Return whether a plan is what its own question makes of today's declarations under its profile, and nothing else."""
        subject = f"plan {plan.digest()}"
        try:
            again = plan_again(plan, assets=assets, federations=self.federations(), gate=self.name)
        except (SandboxError, ParameterError) as error:
            problem = f"its question makes no plan here today: {error}"
        else:
            if again == plan:
                return finding("question", passes=True, subject=subject, message="the plan is what its question makes")
            changed = [name for name in plan.__struct_fields__ if getattr(again, name) != getattr(plan, name)]
            problem = f"it is not what its question makes of today's declarations, in {', '.join(changed)}"
        return finding("question", passes=False, subject=subject, message=f"{problem}; explain the question again")

    def terms(self, plan: Plan) -> dict[str, Policy]:
        """Return the stored terms on the plan's assets, of those that have any."""
        found = {entry.asset: self.records.policy(entry.asset) for entry in plan.inputs}
        return {name: policy for name, policy in found.items() if policy is not None}

    def set_terms(self, policy: Policy) -> None:
        """Keep an owner's new terms."""
        with self.ledger.transaction(self.clock()) as transaction:
            self.records.put_policy(transaction.connection, policy)

    def keep_grant(self, kept: KeptGrant) -> KeptGrant:
        """Keep a grant; when the last of its signers has signed, put its issue into the log."""
        signed_by = {item.party for item in kept.signed.signatures}
        if kept.issued is None and signed_by == set(kept.signed.grant.signers):
            above = [self._issue_of(parent) for parent in self.ancestors(kept.signed)[:1]]
            issued = self.event(
                "grant.issued",
                task=kept.signed.grant.id,
                subjects={"grant": kept.signed.grant.digest(), "approval": kept.signed},
                cites=[kept.submitted, *(event for event in above if event is not None)],
            )
            kept = KeptGrant(signed=kept.signed, plan=kept.plan, submitted=kept.submitted, issued=issued)
        with self.ledger.transaction(self.clock()) as transaction:
            self.records.put_grant(transaction.connection, kept)
            _enqueue(transaction, kept.submitted)
            if kept.issued is not None:
                _enqueue(transaction, kept.issued)
        self.logbook.deliver()
        return kept

    def deny(self, plan: Plan, decision: Decision, *, task: str, cites: Iterable[SignedEvent] = ()) -> Denied:
        """Log a refusal and return it as the error to raise."""
        event = self.event("request.denied", task=task, subjects={"plan": plan.digest(), "decision": decision}, cites=cites)
        with self.ledger.transaction(self.clock()) as transaction:
            _enqueue(transaction, event)
        self.logbook.deliver()
        return Denied(decision)

    def may_run(self, plan: Plan, grant: SignedGrant) -> Decision:
        """Return whether a plan may run now: roles, terms and grant, with every finding."""
        ancestors = self.ancestors(grant)
        chain = [item.grant.digest() for item in (grant, *ancestors)]
        used = self.ledger.usage([grant_subject(name) for name in chain])
        parties = self.workspace.parties
        providers = tuple(entry.provider for entry in plan.inputs)
        task = TaskResource(name="task", operator=plan.operator, gate=plan.gate, providers=providers)
        granted = check_grant(
            plan,
            grant,
            revocations=self.records.revocations(),
            parties=parties,
            now=self.now(),
            usage={name: used[grant_subject(name)] for name in chain},
            ancestors=ancestors,
        )
        roles = authorise(plan.operator, "run", task, parties)
        contributing = [authorise(name, "contribute", task, parties) for name in providers]
        findings = [item for decision in (roles, *contributing) for item in decision.findings]
        return Decision(findings=(*findings, *self.judge(plan).findings, *granted.findings))

    def ancestors(self, grant: SignedGrant) -> tuple[SignedGrant, ...]:
        """Return the grants that one narrows, nearest first, as far as they are kept here."""
        known = {kept.signed.grant.digest(): kept.signed for kept in self.records.grants()}
        found: list[SignedGrant] = []
        while (parent := (found[-1] if found else grant).grant.parent) is not None and parent in known:
            found.append(known[parent])
        return tuple(found)

    def begin(self, plan: Plan, grant: SignedGrant) -> tuple[Task, Decision]:
        """Count a use and open a task for it, in the log before anything runs. Raises Denied with every reason, logged."""
        name = f"task-{secrets.token_hex(8)}"
        decision = self.may_run(plan, grant)
        if not decision.allowed:
            raise self.deny(plan, decision, task=name)
        issued = self._issue_of(grant)
        if issued is None:
            message = f"grant {grant.grant.id} is not in this log; request it here and have every owner sign it"
            raise self.deny(plan, refusal("grant.issued", f"grant {grant.grant.id}", message), task=name)
        authorised = self.event(
            "task.authorised",
            task=name,
            subjects={"plan": plan.digest(), "grant": grant.grant.digest(), "decision": decision},
            cites=[issued],
        )
        task = Task(id=name, state="approved", plan=plan, grant=grant.grant.digest(), authorised=authorised)
        limits, expenses = self._limits(plan, grant), self._expenses(plan)
        try:
            with self.ledger.transaction(self.clock()) as transaction:
                transaction.reserve(use_key(name), task=name, run=self.process, limits=limits, expenses=expenses)
                self.records.add_task(transaction.connection, task)
                self.records.move_task(transaction.connection, name, "running")
                _enqueue(transaction, authorised)
        except Denied as refused:
            raise self.deny(plan, refused.decision, task=name) from None
        try:
            self.logbook.deliver()
        except BaseException:
            with contextlib.suppress(SandboxError):
                self.abort(task, "failed")
            raise
        return task, decision

    def _issue_of(self, grant: SignedGrant) -> SignedEvent | None:
        try:
            return self.records.grant(grant.grant.digest()).issued
        except NotFound:
            return None

    def is_revoked(self, grant: SignedGrant) -> bool:
        """Return whether a grant, or one that it narrows, has been revoked; a running task asks this between its steps."""
        chain = (grant, *self.ancestors(grant))
        return bool(self.ledger.revoked([grant_subject(item.grant.digest()) for item in chain]))

    def revoke(self, signed: SignedRevocation) -> None:
        """End a grant, for running tasks too. Raises Denied if whoever signed cannot end it."""
        kept = self.records.grant(signed.revocation.grant)
        decision = check_revocation(signed, kept.signed, self.workspace.parties)
        if not decision.allowed:
            raise self.deny(kept.plan, decision, task=kept.signed.grant.id)
        party = signed.revocation.by
        event = self.event(
            "grant.revoked",
            task=kept.signed.grant.id,
            subjects={"grant": signed.revocation.grant, "revocation": signed},
            cites=[] if kept.issued is None else [kept.issued],
            party=party,
        )
        with self.ledger.transaction(self.clock()) as transaction:
            self.records.add_revocation(transaction.connection, signed)
            transaction.revoke(grant_subject(signed.revocation.grant), reason=signed.revocation.reason)
            _enqueue(transaction, event)
        self.logbook.deliver()

    def gate_key(self, plan: Plan) -> paillier.PrivateKey:
        """Return the gate's private key for a plan's parameters. It stays in this node."""
        return self.workspace.gate_key(plan.parameters, insecure=self._insecure_keys)

    def abort(self, task: Task, state: TaskState, *, told: bool = False) -> None:
        """End a running task: its use is given back, and the log says so. One that has ended stays.

        told: something that follows from rows has been told; the use is spent, and the event names the decision that says so.
        """
        event = self._aborted(task, told=told)
        with self.ledger.transaction(self.clock()) as transaction:
            if self.records.state(transaction.connection, task.id) != "running":
                return
            (transaction.charge if told else transaction.release)(use_key(task.id))
            self.records.move_task(transaction.connection, task.id, state)
            _enqueue(transaction, event)
        self.logbook.deliver()

    def event(
        self,
        kind: EventKind,
        *,
        task: str,
        subjects: Mapping[SubjectRole, object],
        cites: Iterable[SignedEvent],
        party: str | None = None,
    ) -> SignedEvent:
        """Return an event of this node, signed; or of another party whose node is in this workspace."""
        name = party or self.name
        event = make_event(kind, party=name, task=task, time=self.now(), subjects=subjects, cites=cites)  # type: ignore[arg-type]
        return SignedEvent.sign(event, self.identity if party is None else self.workspace.identity(name))

    def close(self) -> None:
        """Close the log, and give database connections back."""
        self.logbook.close()
        self.catalogue.close()
        self._store.close()

    def _limits(self, plan: Plan, grant: SignedGrant) -> list[Limit]:
        counted = [
            Limit(
                subject=grant_subject(item.grant.digest()),
                calls=item.grant.calls,
                not_before=item.grant.not_before,
                expires=item.grant.expires,
            )
            for item in (grant, *self.ancestors(grant))
        ]
        for name, policy in sorted(self.terms(plan).items()):
            counted.append(Limit(subject=asset_subject(name), calls=policy.max_calls, expires=end_of(policy.expires)))
        return counted

    def _expenses(self, plan: Plan) -> list[Expense]:
        """What a plan with noise spends of each asset's budget towards each recipient."""
        noise = plan.rules.noise
        if noise is None:
            return []
        terms = self.terms(plan)
        budgets = {entry.asset: terms[entry.asset].privacy if entry.asset in terms else None for entry in plan.inputs}
        cost = cost_units(noise)
        return [
            Expense(subject=budget_subject(asset, recipient), cost=cost, budget=budget_units(noise, privacy))
            for asset, privacy in budgets.items()
            for recipient in sorted(set(plan.recipients))
        ]

    def _aborted(self, task: Task, *, told: bool) -> SignedEvent:
        subjects: dict[SubjectRole, object] = {"plan": task.plan.digest()}
        if told:
            message = "something that follows from rows had been told before the task ended; its use is spent"
            subjects["decision"] = refusal("use.spent", task.id, message)
        return self.event("task.aborted", task=task.id, subjects=subjects, cites=[task.authorised])

    def _finish_dead_tasks(self) -> None:
        """Close what a process that is gone left running: it counts if it was released, or had told weights; else not."""
        released, told = {product.task for product in self.records.products()}, self.records.tellers()
        running = {task.id: task for task in self.records.tasks("running")}
        aborted = {name: self._aborted(task, told=name in told) for name, task in running.items() if name not in released}
        with self.ledger.transaction(self.clock()) as transaction:
            transaction.recover(live_runs={self.process}, with_effects=released | told)
            for name, event in aborted.items():
                self.records.move_task(transaction.connection, name, "failed")
                _enqueue(transaction, event)


def _enqueue(transaction: LedgerTransaction, event: SignedEvent) -> None:
    transaction.enqueue(event.event.digest(), event.leaf())


def grant_subject(digest: str) -> str:
    """Return the name under which the ledger counts uses of a grant."""
    return f"grant:{digest}"


def asset_subject(name: str) -> str:
    """Return the name under which the ledger counts uses of an asset."""
    return f"asset:{name}"


def use_key(task: str) -> str:
    """Return the name of a task's one use."""
    return f"use:{task}"


def end_of(day: datetime.date) -> datetime.datetime:
    """Return the moment at which a last day ends, in UTC."""
    return datetime.datetime.combine(day + datetime.timedelta(days=1), datetime.time(), datetime.UTC)


def refusal(check: str, subject: str, message: str) -> Decision:
    """Return a decision that refuses for one reason."""
    return Decision(findings=(Finding(check=check, verdict="fail", subject=subject, message=message),))
