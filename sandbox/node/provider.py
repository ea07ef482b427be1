"""The provider's node: its sources, its terms, its end of a join."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import secrets
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocols import aggregation, handover, join
from protocols.desensitise import rulefile
from protocols.errors import MisuseError
from protocols.party import Mapper, Progress, Scratch
from protocols.primitives import prf
from protocols.primitives.rng import SeededRng
from sandbox.audit.commitment import seed_hash
from sandbox.audit.events import make_event
from sandbox.audit.note import Checkpoint, SignedCheckpoint
from sandbox.audit.receipt import require_receipt
from sandbox.audit.trust import LogTrust
from sandbox.audit.witness import Witness
from sandbox.errors import NotFound
from sandbox.learn.request import decode_request, party_vector
from sandbox.model.asset import Asset
from sandbox.model.canonical import Document, canonical, parse
from sandbox.model.evidence import InputCommitment, SignedEvent
from sandbox.model.plan import Plan
from sandbox.model.release import ReleaseSpec
from sandbox.model.statement import SignedStatement
from sandbox.node.logbook import Logbook
from sandbox.node.twins import AssetTwin, make_twin
from sandbox.node.workspace import Clock, Workspace, write_secret
from sandbox.sources import Source
from sandbox.tasks.adding import shares_of
from sandbox.tasks.commitments import TableCommitment, commit_table
from sandbox.tasks.fragments import LocalResult, LocalRows, LocalSample, LocalVector, run_fragment
from sandbox.tasks.models.fitting import steps_of
from sandbox.tasks.noised import noise_of, with_noise
from sandbox.tasks.released.desensitising import LocalTable, ReleaseSecrets, run_release
from sandbox.tasks.released.releasing import statement_of

if TYPE_CHECKING:
    from sandbox.node.session import OnProgress

SECRET_BYTES = 32
Cut = OneOf["input", "advertise", "share", "masked_input", "consistency"]


class KeptCommitment(Document, frozen=True, kw_only=True):
    """A table's commitment and the secret of its salts, as its provider keeps it."""

    rows: int
    root: str
    secret: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What a provider brings to a task, after the log acknowledged it. local and seed are private to it.

    event: its `input.committed`. checkpoint: the cosigned checkpoint that it relied on.
    """

    local: LocalResult
    seed: bytes
    commitment: InputCommitment
    event: SignedEvent
    checkpoint: SignedCheckpoint


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a provider has computed for a task before it says so in the log. Private to it."""

    asset: Asset
    local: LocalResult
    table: TableCommitment
    authorised: SignedEvent
    checkpoint: SignedCheckpoint


class ProviderNode:
    """One agency's node. Raw rows never leave it; what it sends are sealed points, ciphertexts and masked totals.

    cut_after: for trials, the step of secure aggregation after which its line is cut; `input` before it has sent anything.
    cut_round: the round of a fit in which it is.
    """

    def __init__(self, name: str, workspace: Workspace, *, clock: Clock) -> None:
        self.name = name
        self.identity = workspace.identity(name)
        self._directory = workspace.node(name)
        self._clock = clock
        self._open: dict[str, Callable[[], Source]] = {}
        self._committing = threading.Lock()
        self.cut_after: Cut | None = None
        self.cut_round = 0
        self._trust = workspace.trust()
        self.witness = Witness(
            self._directory / "witness",
            name=name,
            trust=self._trust,
            identity=workspace.identity(name, kind="witness"),
            clock=lambda: int(clock().timestamp()),
        )

    def attach(self, table: str, opener: Callable[[], Source]) -> None:
        """Make a table of this provider available; it is opened when a job needs it."""
        self._open[table] = opener

    def contribute(
        self,
        plan: Plan,
        index: int,
        asset: Asset,
        authorised: SignedEvent,
        logbook: Logbook,
        *,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Contribution:
        """Check that the task is in the log, compute the own fragment, and commit to the table before any frame leaves.

        Raises AuditError if the log shows no cosigned proof of the authorisation, SourceError, NotFound.
        """
        return self.commit(self.prepare(plan, index, asset, authorised, logbook, is_cancelled=is_cancelled), logbook)

    def prepare(
        self,
        plan: Plan,
        index: int,
        asset: Asset,
        authorised: SignedEvent,
        logbook: Logbook,
        *,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> Prepared:
        """Compute the own fragment and the table's commitment, once the log shows the task. Raises as `contribute`."""
        checkpoint = require_logged(authorised, logbook, self._trust, self.witness.seen)
        source = self._source(asset)
        if plan.release is not None:
            table = self._table_commitment(asset, source, is_cancelled)
            made = run_release(plan, asset, source, self._secrets(plan.release), root=table.root, is_cancelled=is_cancelled)
            return Prepared(asset=asset, local=made, table=table, authorised=authorised, checkpoint=checkpoint)
        # Committing reads the whole table in a worker of its own, beside the fragment's.
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as beside:
            committed = beside.submit(self._table_commitment, asset, source, is_cancelled)
            local = run_fragment(plan, index, asset, source, is_cancelled=is_cancelled)
        table = committed.result()
        return Prepared(asset=asset, local=local, table=table, authorised=authorised, checkpoint=checkpoint)

    def commit(self, prepared: Prepared, logbook: Logbook) -> Contribution:
        """Say in the log which table stands behind what was computed; what it contributes follows from a fresh seed."""
        asset, table, authorised, checkpoint = prepared.asset, prepared.table, prepared.authorised, prepared.checkpoint
        seed = secrets.token_bytes(32)
        self._keep_seed(authorised.event.task, seed)
        commitment = InputCommitment(
            version=1,
            task=authorised.event.task,
            provider=self.name,
            asset=asset.name,
            asset_version=asset.version,
            rows=table.rows,
            root=table.root,
            seed_hash=seed_hash(seed),
        )
        event = SignedEvent.sign(
            make_event(
                "input.committed",
                party=self.name,
                task=authorised.event.task,
                time=self._clock(),
                subjects={"commitment": commitment},
                cites=[authorised],
                checkpoint=checkpoint.checkpoint.digest(),
            ),
            self.identity,
        )
        logbook.append(event)
        return Contribution(local=prepared.local, seed=seed, commitment=commitment, event=event, checkpoint=checkpoint)

    def twin(
        self,
        asset: Asset,
        *,
        rows: int | None = None,
        epsilon: Fraction | int | None = None,
        contribution: int = 1,
        seed: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> AssetTwin:
        """Return a synthetic twin of an asset, made from safe aggregates of its rows and attacked; see `make_twin`."""
        return make_twin(
            asset,
            self._source(asset),
            rows=rows,
            epsilon=epsilon,
            contribution=contribution,
            seed=seed,
            on_progress=on_progress,
        )

    def _source(self, asset: Asset) -> Source:
        if asset.table not in self._open:
            raise NotFound(f"{self.name} has no source for {asset.name} here; attach the frame or file again")
        return self._open[asset.table]()

    def _table_commitment(self, asset: Asset, source: Source, is_cancelled: Callable[[], bool] | None) -> TableCommitment:
        """Return the commitment to an asset's version, made once for one content and kept."""
        fingerprint = source.fingerprint()
        path = self._directory / f"commitment-{asset.table}-{asset.version}-{fingerprint[7:23]}.key"
        # Two tasks at once must not each make a secret: only the last one written could open a row.
        with self._committing:
            if path.exists():
                kept = parse(path.read_bytes(), KeptCommitment, what=path.name)
                return TableCommitment(rows=kept.rows, root=kept.root)
            secret = secrets.token_bytes(32)
            made = commit_table(source, secret, is_cancelled=is_cancelled)
            write_secret(path, canonical(KeptCommitment(rows=made.rows, root=made.root, secret=secret.hex())))
            return made

    def _keep_seed(self, task: str, seed: bytes) -> None:
        """Keep a session's seed, encrypted to this node, so that a supervisor may have its frames replayed."""
        key = prf.derive_key(self.identity.to_secret_bytes(), "provider-seed/1")
        nonce = secrets.token_bytes(12)
        sealed = ChaCha20Poly1305(key).encrypt(nonce, seed, task.encode())
        write_secret(self._directory / "seeds" / f"{task}.seed", nonce + sealed)

    def close(self) -> None:
        """Close the witness."""
        self.witness.close()

    def role(
        self,
        params: join.JoinParams,
        contribution: Contribution,
        *,
        mapper: Mapper,
        scratch: Scratch,
        progress: Progress,
        allow_insecure_key: bool,
    ) -> join.JoinProvider | join.KeyedProvider:
        """Return this provider's end of the join."""
        local = contribution.local
        if not isinstance(local, LocalRows):
            raise MisuseError(f"{self.name} has totals of a federated table, which take no part in a join")
        kind = join.JoinProvider if params.matching == "blinded" else join.KeyedProvider
        return kind(
            self.name,
            params,
            local.rows,
            rng=SeededRng(contribution.seed),
            mapper=mapper,
            scratch=scratch,
            progress=progress,
            allow_insecure_key=allow_insecure_key,
        )

    def sum_role(
        self, plan: Plan, params: aggregation.SumParams, contribution: Contribution, *, progress: Progress
    ) -> aggregation.SumParty:
        """Return this provider's end of a secure sum. Its share of noise, where the plan asks for one, is drawn here."""
        local = contribution.local
        if not isinstance(local, LocalVector):
            raise MisuseError(f"{self.name} has rows for a join, which cannot be added up")
        rng = SeededRng(contribution.seed)
        vector, rules = local.vector, plan.rules.noise
        if rules is not None and rules.where == "shares":
            vector = with_noise(plan, vector, noise_of(plan, shares=shares_of(params)), rng)
        return aggregation.SumParty(self.name, params, vector, self.identity.sign_raw, rng=rng, progress=progress)

    def fit_role(
        self, plan: Plan, params: aggregation.SumParams, contribution: Contribution, *, progress: Progress
    ) -> aggregation.SumParty:
        """Return this provider's end of one round of a fit; what it adds follows from its rows and from what the gate tells."""
        local = contribution.local
        if not isinstance(local, LocalSample):
            raise MisuseError(f"{self.name} has no rows for a fit")
        steps, part = steps_of(plan), local.part
        # Every round's keys are fresh, and can be replayed from the one seed that is kept.
        seed = prf.derive_key(
            contribution.seed, "fit-round/1", params.round.to_bytes(8, "little"), bytes.fromhex(params.session)
        )
        return aggregation.SumParty(
            self.name,
            params,
            lambda content: party_vector(steps, part, decode_request(content)),
            self.identity.sign_raw,
            rng=SeededRng(seed),
            progress=progress,
        )

    def table_role(
        self, plan: Plan, params: handover.HandoverParams, contribution: Contribution, *, progress: Progress
    ) -> handover.TableProvider:
        """Return this provider's end of a handover: its table, with its signed word on it."""
        local, commitment = contribution.local, contribution.commitment
        if not isinstance(local, LocalTable):
            raise MisuseError(f"{self.name} has no table to hand over")
        signed = SignedStatement.sign(statement_of(plan, local, commitment), self.identity)
        return handover.TableProvider(
            self.name, params, document=canonical(signed), table=local.table, tags=local.tags, progress=progress
        )

    def _secrets(self, release: ReleaseSpec) -> ReleaseSecrets:
        """Return this provider's own keys for a release; each is made at its first use and stays in this node."""
        folder = self._directory / "pseudonyms"
        named = rulefile.parse(release.rules).key_files
        with self._committing:
            keys = {name: _own_key(folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.key") for name in named}
            return ReleaseSecrets(pseudonyms=keys, rows=_own_key(folder / "rows.key"))

    def __repr__(self) -> str:
        return f"<ProviderNode {self.name}: {len(self._open)} tables>"


def _own_key(path: Path) -> bytes:
    if not path.exists():
        write_secret(path, secrets.token_bytes(SECRET_BYTES))
    return path.read_bytes()


def require_logged(event: SignedEvent, logbook: Logbook, trust: LogTrust, seen: Checkpoint | None) -> SignedCheckpoint:
    """Return the cosigned checkpoint that shows an event in the log, consistent with the last one seen. Raises AuditError.

    Log before effect: no node acts on an event without this.
    """
    receipt, proof = logbook.receipt_since(event, 0 if seen is None else seen.size)
    place = f"receipt of {event.event.kind}"
    return require_receipt(event.leaf(), receipt, trust, seen=seen, consistency=proof, place=place)
