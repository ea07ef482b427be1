"""The manager's node: catalogue, terms, grants, counted use, the gate and its key, products."""

from __future__ import annotations

import datetime
import io
import secrets
from collections.abc import Callable, Mapping

from protocols import join, paillier
from sandbox.catalogue import open_catalogue
from sandbox.errors import Denied, NotFound, Withheld
from sandbox.gate.release import Release, release
from sandbox.ledger import Ledger, Limit
from sandbox.model.asset import Asset
from sandbox.model.decision import Decision, Finding
from sandbox.model.grant import SignedGrant, SignedRevocation
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.node.workspace import Workspace
from sandbox.policy import History, TaskResource, authorise, check_grant, decide
from sandbox.tasks.card import product_card
from sandbox.tasks.protocol import cell_table, join_params
from sandbox.tasks.records import Records, ReleasedProduct, Task

Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time now, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class ManagerNode:
    """The manager's node. It authorises, counts, and runs the gate: it can decrypt, and never holds a row."""

    def __init__(self, workspace: Workspace, *, clock: Clock = utc_now, insecure_keys: bool = False) -> None:
        self.workspace = workspace
        self.name = workspace.network.manager
        self.identity = workspace.identity(self.name)
        self.catalogue = open_catalogue(workspace.node(self.name) / "catalogue.sqlite")
        self._clock = clock
        self._insecure_keys = insecure_keys
        self._store = workspace.store()
        self.ledger = Ledger(self._store)
        self.records = Records(self._store)
        self.run = secrets.token_hex(8)

    def now(self) -> datetime.datetime:
        """Return the time that counts here: it never runs backwards."""
        return self.ledger.now(self._clock())

    def assets(self) -> dict[str, Asset]:
        """Return every asset that takes part in questions, by name."""
        return {asset.name: asset for asset in self.catalogue.list() if asset.lifecycle in ("published", "coded", "changed")}

    def judge(self, plan: Plan, terms: Mapping[str, Policy] | None = None) -> Decision:
        """Return what all owners' terms say of a plan now. terms: in place of the stored ones."""
        names = {entry.asset for entry in plan.inputs}
        known = self.assets()
        policies = terms if terms is not None else self.terms(plan)
        used = self.ledger.usage([asset_subject(name) for name in names])
        history = History(
            assets={name: known[name] for name in names if name in known},
            calls={name: used[asset_subject(name)] for name in names},
            parties=self.workspace.parties,
            disclosure=join.disclosure(join_params(plan, "sha256:judged")),
        )
        return decide(plan, policies.values(), history, self.now())

    def terms(self, plan: Plan) -> dict[str, Policy]:
        """Return the stored terms on the plan's assets, of those that have any."""
        found = {entry.asset: self.records.policy(entry.asset) for entry in plan.inputs}
        return {name: policy for name, policy in found.items() if policy is not None}

    def set_terms(self, policy: Policy) -> None:
        """Keep an owner's new terms."""
        with self.ledger.transaction(self._clock()) as transaction:
            self.records.put_policy(transaction.connection, policy)

    def may_run(self, plan: Plan, grant: SignedGrant) -> Decision:
        """Return whether a plan may run now: roles, terms and grant, with every finding."""
        digest = grant.grant.digest()
        parties = self.workspace.parties
        task = TaskResource(
            name="task", operator=plan.operator, gate=plan.gate, providers=tuple(entry.provider for entry in plan.inputs)
        )
        granted = check_grant(
            plan,
            grant,
            revocations=self.records.revocations(),
            parties=parties,
            now=self.now(),
            usage={digest: self.ledger.usage([grant_subject(digest)])[grant_subject(digest)]},
        )
        roles = authorise(plan.operator, "run", task, parties)
        return Decision(findings=(*roles.findings, *self.judge(plan).findings, *granted.findings))

    def begin(self, plan: Plan, grant: SignedGrant) -> str:
        """Count a use and open a task for it; return the task's id. Raises Denied with every reason."""
        decision = self.may_run(plan, grant)
        if not decision.allowed:
            raise Denied(decision)
        task = f"task-{secrets.token_hex(8)}"
        terms = self.terms(plan)
        limits = [
            Limit(
                subject=grant_subject(grant.grant.digest()),
                calls=grant.grant.calls,
                not_before=grant.grant.not_before,
                expires=grant.grant.expires,
            ),
            *(
                Limit(subject=asset_subject(name), calls=policy.max_calls, expires=end_of(policy.expires))
                for name, policy in sorted(terms.items())
            ),
        ]
        with self.ledger.transaction(self._clock()) as transaction:
            transaction.reserve(use_key(task), task=task, run=self.run, limits=limits)
            self.records.add_task(
                transaction.connection, Task(id=task, state="approved", plan=plan, grant=grant.grant.digest())
            )
            self.records.move_task(transaction.connection, task, "running")
        return task

    def is_revoked(self, grant: SignedGrant) -> bool:
        """Return whether a grant has been revoked; a running task asks this between its steps."""
        return bool(self.ledger.revoked([grant_subject(grant.grant.digest())]))

    def revoke(self, revocation: SignedRevocation) -> None:
        """End a grant, for running tasks too."""
        with self.ledger.transaction(self._clock()) as transaction:
            self.records.add_revocation(transaction.connection, revocation)
            transaction.revoke(grant_subject(revocation.revocation.grant), reason=revocation.revocation.reason)

    def gate_key(self, plan: Plan) -> paillier.PrivateKey:
        """Return the gate's private key for a plan's parameters. It stays in this node."""
        return self.workspace.gate_key(plan.parameters, insecure=self._insecure_keys)

    def publish(self, task: str, plan: Plan, result: join.JoinResult) -> ReleasedProduct:
        """Judge the decrypted cells and release what passes, in one transaction with the use that it costs.

        Releases of the same assets take turns: if another one came first, the checks against history run again.
        Raises Withheld if nothing passes.
        """
        table = cell_table(plan, result)
        assets = [entry.asset for entry in plan.inputs]
        while True:
            head, history = self.records.history(assets)
            released = release(plan, table, history)
            if released.nothing_released:
                self.close_task(task, "withheld")
                raise Withheld(released.findings)
            product = ReleasedProduct(task=task, card=product_card(plan, table, released), payload=arrow_file(released))
            with self.ledger.transaction(self._clock()) as transaction:
                if self.records.history_head(transaction.connection) != head:
                    continue
                transaction.commit(use_key(task))
                self.records.move_task(transaction.connection, task, "released")
                self.records.add_release(transaction.connection, task, released.record, product.card, product.payload)
            return product

    def close_task(self, task: str, state: str) -> None:
        """End a task without a product: its use is given back, unless the gate has judged it (a refusal tells something)."""
        with self.ledger.transaction(self._clock()) as transaction:
            if state == "withheld":
                transaction.commit(use_key(task))
                self.records.move_task(transaction.connection, task, "withheld")
            else:
                transaction.release(use_key(task))
                self.records.move_task(transaction.connection, task, "cancelled" if state == "cancelled" else "failed")

    def product(self, id: str) -> ReleasedProduct:
        """Return a released product by its task's id. Raises NotFound with the ids that exist."""
        products = {product.task: product for product in self.records.products()}
        if id not in products:
            raise NotFound(f"there is no product {id!r}; products are: {', '.join(products) or 'none yet'}")
        return products[id]

    def close(self) -> None:
        """Give database connections back."""
        self.catalogue.close()
        self._store.close()


def arrow_file(released: Release) -> bytes:
    """Return a release's rows as an Arrow file."""
    import pyarrow as pa

    table = released.to_arrow()
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


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
