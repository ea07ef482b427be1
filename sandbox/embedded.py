"""Embedded: a whole network of nodes in one process. Every message between them still passes through bytes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import msgspec

from protocols.errors import Cancelled
from sandbox.catalogue import FederationDefinition, TableDefinition, open_catalogue
from sandbox.errors import Denied, NotFound, SandboxError, UsageError, Withheld
from sandbox.model.asset import Asset
from sandbox.model.compute import Compute
from sandbox.model.federation import Federation
from sandbox.model.fit import FitQuestion
from sandbox.model.grant import Revocation, SignedGrant, SignedRevocation
from sandbox.model.plan import Cipher, Parameters, Plan
from sandbox.model.policy import MatchingMode, Policy
from sandbox.node.asking import AsksForRows
from sandbox.node.computation import answer
from sandbox.node.conduct import Conduct, OnFrame
from sandbox.node.gate import write_evidence
from sandbox.node.granting import request, sign
from sandbox.node.machinery import Machinery
from sandbox.node.manager import ManagerNode, refusal
from sandbox.node.progress import notebook_progress
from sandbox.node.provider import Cut, ProviderNode
from sandbox.node.registration import Registration
from sandbox.node.session import Clockwork, OnProgress
from sandbox.node.twins import AssetTwin
from sandbox.node.workspace import Clock, SteadyClock, Workspace, utc_now, write_atomically
from sandbox.planning import compile_fit, compile_question, rules_for
from sandbox.sources import open_source
from sandbox.tasks.casefile import ReleasedProduct
from sandbox.tasks.explain import Explanation, explained
from sandbox.tasks.product import Product
from sandbox.tasks.terms import declared_terms

DEFAULT_PROFILE = "statistics-controlled"
MODEL_PROFILE = "model-controlled"
GRANT_DAYS = 30
SILENCE_S = 60.0


class Embedded(AsksForRows):
    """Providers, an operator and a manager with its gate, each a node of its own, in one process and one workspace.

    Use as a context manager. `explain` compiles and judges a question, `approve` gathers every owner's signature, `run`
    computes it on ciphertext and returns what the gate released.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        terms: Literal["declared", "written"],
        insecure_test_keys: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        self.workspace = workspace
        self._terms = terms
        self._insecure_test_keys = insecure_test_keys
        self._clock = SteadyClock(clock)
        self._nodes: dict[str, ProviderNode] = {}
        self._desk = threading.RLock()
        try:
            self.machinery = Machinery(workspace)
            workspace.clear_scratch()
            for name in workspace.providers:
                self._open_provider(name)
            witnesses = [node.witness for node in self._nodes.values()]
            self.manager = ManagerNode(workspace, witnesses, clock=self._clock, insecure_keys=insecure_test_keys)
            self._released()
        except BaseException:
            if hasattr(self, "manager"):
                self.manager.close()
            self._close_nodes()
            workspace.close()
            raise

    @classmethod
    def create(
        cls,
        path: str | Path,
        providers: Mapping[str, Mapping[str, TableDefinition]],
        *,
        federations: Mapping[str, FederationDefinition] | None = None,
        operator: str = "operator",
        manager: str = "manager",
        terms: Literal["declared", "written"] = "declared",
        compute: Compute | None = None,
        insecure_test_keys: bool = False,
        clock: Clock = utc_now,
    ) -> Self:
        """Make a network in a new workspace, or open the one there and register the tables again.

        providers: {provider: {table: sandbox.table(...)}}. federations: {"group.table": sandbox.federation([...])}.
        terms: `declared` lets a table's declaration stand for terms that nobody has written, since whoever calls this owns
        every node; `written` denies what no owner has written down.
        compute: where heavy steps run, kept in the workspace; None leaves what is there, which is threads in a new one.
        insecure_test_keys: allow key sizes that only tests use. Raises UsageError, SourceError, StateError.
        """
        root = Path(path)
        if (root / "network.json").exists():
            workspace = Workspace.open(root)
            try:
                for name in providers:
                    workspace.admit_provider(name)
                if compute is not None:
                    workspace.set_compute(compute)
            except BaseException:
                workspace.close()
                raise
        else:
            workspace = Workspace.create(root, providers=tuple(providers), operator=operator, manager=manager, compute=compute)
        network = cls(workspace, terms=terms, insecure_test_keys=insecure_test_keys, clock=clock)
        try:
            for provider, tables in providers.items():
                for table, definition in tables.items():
                    network.add_table(provider, table, definition)
            for name, parts in (federations or {}).items():
                network.federate(name, parts)
        except BaseException:
            network.close()
            raise
        return network

    @classmethod
    def open(cls, path: str | Path, *, clock: Clock = utc_now) -> Self:
        """Open a workspace whose tables are files; owners' terms are those that they wrote."""
        return cls(Workspace.open(Path(path)), terms="written", clock=clock)

    def add_table(self, provider: str, table: str, definition: TableDefinition) -> Asset:
        """Register and publish a table at its provider's node, and announce it to the manager."""
        if provider not in self._nodes:
            raise NotFound(f"{provider} is no provider of this network; providers are: {', '.join(self._nodes) or 'none yet'}")
        source = open_source(definition.spec, frame=definition.data)
        catalogue = open_catalogue(self.workspace.node(provider) / "catalogue.sqlite")
        try:
            asset = catalogue.add(provider, table, definition, source.schema(), spec=source.spec)
            asset = catalogue.publish(asset.name)
        finally:
            catalogue.close()
        self.manager.catalogue.receive(asset)
        self._nodes[provider].attach(table, lambda: source)
        return asset

    def federate(self, name: str, definition: FederationDefinition) -> Federation:
        """Declare a federated table, `group.table`, over tables of one schema that are published here."""
        return self.manager.federate(name, definition)

    def twin(
        self,
        asset: str,
        *,
        rows: int | None = None,
        epsilon: Fraction | int | None = None,
        contribution: int = 1,
        seed: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> AssetTwin:
        """Return a synthetic twin of an asset, for development: its provider's own act, at its own node.

        rows: about as many as the asset has, by default. epsilon: discrete Laplace noise on all counts, of a person with up to
        `contribution` rows. seed: the same seed gives the same twin, unless there is noise. Columns of core or secret grade and
        unclassified ones take no part (`left_out`). Raises Withheld unless every attack passes; SourceError, NotFound, Denied.
        """
        found = Registration(self.workspace, self.manager).own(asset)
        return self._nodes[found.provider].twin(
            found,
            rows=rows,
            epsilon=epsilon,
            contribution=contribution,
            seed=seed,
            on_progress=on_progress or notebook_progress(),
        )

    def cut_line(self, provider: str, *, after: Cut | None, in_round: int = 0) -> None:
        """For trials: cut a provider's line after it finishes a step of secure aggregation; None mends it.

        after: `input` (before it sends anything), `advertise`, `share`, `masked_input`, `consistency`. in_round: of a fit.
        """
        if provider not in self._nodes:
            raise NotFound(f"{provider} is no provider of this network; providers are: {', '.join(self._nodes) or 'none yet'}")
        if after is not None and after not in get_args(Cut):
            raise UsageError(f"a line is cut after one of the steps {', '.join(get_args(Cut))}, not {after!r}")
        self._nodes[provider].cut_after = after
        self._nodes[provider].cut_round = in_round

    def set_policy(self, policy: Policy) -> None:
        """Set an owner's terms on an asset, in place of all earlier ones."""
        with self._desk:
            earlier = self.manager.records.policy(policy.asset)
            version = 1 if earlier is None else earlier.version + 1
            self.manager.set_terms(msgspec.structs.replace(policy, version=version))

    def compile(
        self,
        sql: str | FitQuestion,
        *,
        purpose: str,
        profile: str | None = None,
        title: str = "",
        recipients: Sequence[str] = (),
        key_bits: int = 3072,
        noise: Literal["djn", "subgroup"] = "djn",
        matching: MatchingMode = "blinded",
        cipher: Cipher = "chacha20",
    ) -> Plan:
        """Return the plan of a question, or of a model over a federated table.

        profile: unless given, one for statistics, or for models. matching: `keyed` lets the providers share a secret instead of
        blinding keys; every owner's terms must allow it. cipher: of the masks over a federated table, `aes256ctr` the faster
        where every part's processor has instructions for it. Raises QuestionError with the place in the text.
        """
        parameters = Parameters(key_bits=key_bits, noise=noise, cipher=cipher)
        if isinstance(sql, FitQuestion):
            return compile_fit(
                sql,
                assets=self.manager.assets(),
                federations=self.manager.federations(),
                title=title or "untitled model",
                purpose=purpose,
                recipients=tuple(recipients) or (self.workspace.network.operator,),
                rules=rules_for(profile or MODEL_PROFILE),
                parameters=parameters,
                operator=self.workspace.network.operator,
                gate=self.workspace.network.manager,
            )
        return compile_question(
            sql,
            assets=self.manager.assets(),
            federations=self.manager.federations(),
            title=title or "untitled question",
            purpose=purpose,
            recipients=tuple(recipients) or (self.workspace.network.operator,),
            rules=rules_for(profile or DEFAULT_PROFILE),
            parameters=parameters,
            matching=matching,
            operator=self.workspace.network.operator,
            gate=self.workspace.network.manager,
        )

    def explain(self, sql: str | FitQuestion, *, purpose: str, **options: Any) -> Explanation:
        """Return a question's plan with its steps, who learns what, its cost and what every owner's terms say of it.

        options: as `compile`: profile, title, recipients, key_bits, noise, matching, cipher.
        """
        plan = self.compile(sql, purpose=purpose, **options)
        return explained(plan, self.manager.judge(plan, self._effective_terms(plan)))

    def approve(self, plan: Plan | Explanation, *, calls: int = 1, days: int = GRANT_DAYS) -> SignedGrant:
        """Return a grant for a plan, signed by the manager and by every provider. Terms decide first: raises Denied."""
        question = _plan(plan)
        with self._desk:
            self._write_declared(question)
        signed = self.request(question, calls=calls, days=days)
        for party in signed.grant.signers:
            signed = self.sign(signed.grant.id, party)
        return signed

    def request(
        self, plan: Plan | Explanation, *, calls: int = 1, days: int = GRANT_DAYS, by: Literal["plan", "template"] = "plan"
    ) -> SignedGrant:
        """Submit a plan and return the grant that it needs, unsigned. by: `template` covers the plan with other literals."""
        return request(self.manager, _plan(plan), calls=calls, days=days, by=by)

    def sign(self, grant: str, party: str) -> SignedGrant:
        """Sign a requested grant for one of its signers; roles and the owners' terms decide first. Raises Denied, NotFound."""
        with self._desk:  # two signatures at once must both be kept
            return sign(self.manager, grant, party)

    def revoke(self, grant: SignedGrant, *, by: str, reason: str) -> None:
        """End a grant at once, in the name of the manager, of one of its providers, or of who asked for it."""
        revocation = Revocation(version=1, grant=grant.grant.digest(), by=by, at=self.manager.now(), reason=reason)
        self.manager.revoke(SignedRevocation.sign(revocation, self.workspace.identity(by)))

    def write_trust(self, path: str | Path) -> Path:
        """Write a trust file that believes this network as it stands; an auditor checks the keys, and owns the file."""
        target = Path(path)
        write_atomically(target, self.workspace.trust_file().encode())
        return target

    def run(
        self,
        plan: Plan | Explanation,
        *,
        grant: SignedGrant,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
        is_stopped: Callable[[], bool] | None = None,
        timeout_s: float = SILENCE_S,
    ) -> Product:
        """Compute a plan on ciphertext and return what the gate released.

        on_progress(step, done, total) is told of every chunk; without it, a line in a Jupyter cell shows them.
        on_frame(sender, recipient, frame) is told of every frame. is_stopped is asked a few times a second. timeout_s:
        silence after which a part of a federated table is left out, by name, if enough remain. Raises Denied,
        SourceError, Withheld, PeerError, Cancelled; a use is given back unless the gate has judged, weights have left it, or
        a provider has said that rows under the question's conditions are not as declared.
        """
        question = _plan(plan)
        task, decision = self.manager.begin(question, grant)

        def stopped() -> bool:
            return (is_stopped is not None and is_stopped()) or self.manager.is_revoked(grant)

        clockwork = Clockwork(on_progress=on_progress or notebook_progress(), is_stopped=stopped)
        insecure = self._insecure_test_keys
        conduct = Conduct(clockwork=clockwork, timeout_s=timeout_s, on_frame=on_frame, allow_insecure_key=insecure)
        try:
            product = answer(
                self.manager,
                self._nodes,
                task=task,
                decision=decision,
                grant=grant,
                machinery=self.machinery,
                conduct=conduct,
            )
        except Withheld:
            raise
        except BaseException as error:
            cancelled = isinstance(error, Cancelled | KeyboardInterrupt)
            with contextlib.suppress(SandboxError):  # what stopped the task is what the caller must hear
                self.manager.abort(task, "cancelled" if cancelled else "failed", told=conduct.told.is_set())
            if isinstance(error, Cancelled) and self.manager.is_revoked(grant):
                raise Denied(refusal("grant.revoked", grant.grant.id, "the grant was revoked while the task ran")) from None
            raise
        return self._product(product, clockwork.seconds)

    def products(self) -> tuple[Product, ...]:
        """Return every product of this network, oldest first."""
        return tuple(self._product(product, {}) for product in self._released())

    def product(self, id: str) -> Product:
        """Return a product by its id. Raises NotFound."""
        known = {product.task: product for product in self._released()}
        if id not in known:
            raise NotFound(f"there is no product {id!r}; products are: {', '.join(known) or 'none yet'}")
        return self._product(known[id], {})

    def close(self) -> None:
        """Close the workspace; other processes may open it then."""
        self.machinery.close()
        self.manager.close()
        self._close_nodes()
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open_provider(self, name: str) -> None:
        node = self._nodes[name] = ProviderNode(name, self.workspace, clock=self._clock)
        catalogue = open_catalogue(self.workspace.node(name) / "catalogue.sqlite")
        try:
            for asset in catalogue.list(provider=name):
                spec = catalogue.spec(asset.name)
                if spec.kind != "frame":
                    node.attach(asset.table, lambda spec=spec: open_source(spec))  # type: ignore[misc]
        finally:
            catalogue.close()

    def _close_nodes(self) -> None:
        for node in self._nodes.values():
            node.close()

    def _effective_terms(self, plan: Plan) -> dict[str, Policy]:
        terms = self.manager.terms(plan)
        if self._terms == "written":
            return terms
        assets = self.manager.assets()
        missing = [entry.asset for entry in plan.inputs if entry.asset not in terms]
        return terms | {name: declared_terms(assets[name], plan, self.manager.now(), version=1) for name in missing}

    def _write_declared(self, plan: Plan) -> None:
        stored = self.manager.terms(plan)
        for name, policy in self._effective_terms(plan).items():
            if name not in stored:
                self.manager.set_terms(policy)

    def _released(self) -> tuple[ReleasedProduct, ...]:
        """Return the released products, each with its release in the log and its bundle on the disk."""
        products = self.manager.records.products()
        self.manager.logbook.deliver()
        for product in products:
            write_evidence(self.manager, product)
        return products

    def _product(self, product: ReleasedProduct, seconds: dict[str, float]) -> Product:
        directory = self.workspace.node(self.manager.name) / "products" / product.task
        return Product(product, directory, seconds)


def _plan(plan: Plan | Explanation) -> Plan:
    if isinstance(plan, Explanation):
        return plan.plan
    if not isinstance(plan, Plan):
        raise UsageError("give what `explain` returned")
    return plan
