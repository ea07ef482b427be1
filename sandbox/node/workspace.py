"""Workspace: a directory that holds a network of nodes: public facts in one document, each node's keys and state apart."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Literal

import msgspec

from protocols import paillier
from sandbox.audit.trust import LogTrust
from sandbox.errors import NotFound, StateError, UsageError
from sandbox.ledger import Store, open_store
from sandbox.model.canonical import Document, canonical, parse
from sandbox.model.compute import Compute, compute_from_toml, compute_to_toml
from sandbox.model.party import Party, PartyRole
from sandbox.model.plan import Parameters
from sandbox.model.signature import PrivateIdentity, PublicIdentity
from sandbox.node.scratch import FOLDER as SCRATCH_FOLDER
from sandbox.node.scratch import NodeScratch, clear_scratch

Clock = Callable[[], datetime.datetime]

NETWORK_FILE = "network.json"
COMPUTE_FILE = "compute.toml"
KEY_YEARS = 2
DATABASE_VARIABLE = "SANDBOX_DATABASE_URL"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


def utc_now() -> datetime.datetime:
    """Return the time now, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class SteadyClock:
    """A clock that always advances, by a microsecond where the one below it stands still or is set back.

    All nodes of a process share it: their events and cosignatures keep the order in which they happened.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self._guard = threading.Lock()

    def __call__(self) -> datetime.datetime:
        now = self._clock()
        with self._guard:
            self._latest = max(now, self._latest + datetime.timedelta(microseconds=1))
            return self._latest

    def catch_up(self, seen: datetime.datetime) -> None:
        """Never show a time before one that was seen, by an earlier process for example."""
        with self._guard:
            self._latest = max(self._latest, seen)


class WitnessKey(Document, frozen=True, kw_only=True):
    """A provider's witness and its public key."""

    name: str
    key: str


class Network(Document, frozen=True, kw_only=True):
    """Who takes part. origin names the log, log_key verifies it; operator and manager name their parties.

    since: the day from which the keys count.
    """

    version: int
    origin: str
    log_key: str
    since: datetime.date
    operator: str
    manager: str
    parties: tuple[Party, ...]
    witnesses: tuple[WitnessKey, ...]


class Workspace:
    """An open workspace. One process at a time; the others are refused, and nothing is lost."""

    def __init__(self, root: Path, lock: IO[bytes], network: Network) -> None:
        self.root = root
        self._lock = lock
        self.network = network
        self._making_key = threading.Lock()

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        providers: Sequence[str],
        operator: str,
        manager: str,
        origin: str = "public-data-sandbox.example/log",
        compute: Compute | None = None,
    ) -> Workspace:
        """Make a workspace with fresh identities. Raises StateError if there is one already."""
        for name in (*providers, operator, manager):
            _check_plain(name)
        if operator == manager or manager in providers:
            raise UsageError("the manager's node holds the gate: it is neither the operator nor a provider")
        _make_directory(root)
        if (root / NETWORK_FILE).exists():
            raise StateError(f"{root} is a workspace already")
        lock = _locked(root)
        roles: dict[str, tuple[PartyRole, ...]] = {operator: ("operator",), manager: ("authoriser",)}
        for name in providers:
            roles[name] = ("operator", "provider") if name == operator else ("provider",)
        log_key = _new_identity(root / "nodes" / manager / "log.key")
        network = Network(
            version=1,
            origin=origin,
            log_key=str(log_key),
            since=utc_now().date(),
            operator=operator,
            manager=manager,
            parties=tuple(
                Party(name=name, roles=held, key=str(_new_identity(root / "nodes" / name / "identity.key")))
                for name, held in roles.items()
            ),
            witnesses=tuple(
                WitnessKey(name=name, key=str(_new_identity(root / "nodes" / name / "witness.key"))) for name in providers
            ),
        )
        write_atomically(root / COMPUTE_FILE, compute_to_toml(compute or Compute()).encode())
        write_atomically(root / NETWORK_FILE, canonical(network))
        return cls(root, lock, network)

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open a workspace. Raises NotFound if there is none, StateError if another process has it."""
        if not (root / NETWORK_FILE).is_file():
            raise NotFound(f"{root} is no workspace; make one with `sandbox init {root}`")
        lock = _locked(root)
        try:
            return cls(root, lock, parse((root / NETWORK_FILE).read_bytes(), Network, what=str(root / NETWORK_FILE)))
        except OSError as error:
            lock.close()
            raise StateError(f"{root / NETWORK_FILE} cannot be read ({error.strerror})") from None
        except BaseException:
            lock.close()
            raise

    @property
    def parties(self) -> dict[str, Party]:
        """Everyone, by name."""
        return {party.name: party for party in self.network.parties}

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the providers."""
        return tuple(party.name for party in self.network.parties if "provider" in party.roles)

    def admit_provider(self, name: str) -> None:
        """Add a provider with a fresh identity; a provider that is here already stays as it is."""
        if name in self.providers:
            return
        _check_plain(name)
        if name in self.parties:
            raise UsageError(f"{name} takes part in another role and cannot become a provider")
        folder = self.node(name)
        party = Party(name=name, roles=("provider",), key=str(_new_identity(folder / "identity.key")))
        witness = WitnessKey(name=name, key=str(_new_identity(folder / "witness.key")))
        self.network = msgspec.structs.replace(
            self.network, parties=(*self.network.parties, party), witnesses=(*self.network.witnesses, witness)
        )
        write_atomically(self.root / NETWORK_FILE, canonical(self.network))

    def node(self, name: str) -> Path:
        """Return a node's own directory."""
        return self.root / "nodes" / name

    @property
    def compute(self) -> Compute:
        """Where heavy steps run: what `compute.toml` says now; threads without it. Raises DocumentError, StateError."""
        return read_compute(self.root)

    def set_compute(self, compute: Compute) -> None:
        """Write what `compute.toml` says from now on."""
        write_atomically(self.root / COMPUTE_FILE, compute_to_toml(compute).encode())

    def scratch(self, name: str, *, in_memory_bytes: int) -> NodeScratch:
        """Return space for a node's long lists during one task, on the disk of the node's own directory."""
        return NodeScratch(self.node(name) / SCRATCH_FOLDER, in_memory_bytes=in_memory_bytes)

    def clear_scratch(self) -> None:
        """Remove what a crash left of scratch space; to be called before any task begins."""
        for party in self.network.parties:
            clear_scratch(self.node(party.name) / SCRATCH_FOLDER)

    def trust(self) -> LogTrust:
        """Return what this network's nodes believe about its log: a majority of the providers' witnesses must cosign."""
        witnesses = {item.name: PublicIdentity.from_text(item.key) for item in self.network.witnesses}
        return LogTrust(
            origin=self.network.origin,
            key=PublicIdentity.from_text(self.network.log_key),
            witnesses=witnesses,
            quorum=quorum_of(len(witnesses)),
        )

    def trust_file(self) -> str:
        """Return a trust file that believes this network as it stands, for an auditor to check, keep and own."""
        network = self.network
        keys = ", ".join(f'{item.name} = "{item.key}"' for item in network.witnesses)
        lines = [
            "# What an auditor believes. Check every key with its party before relying on it.",
            "[log]",
            f'origin = "{network.origin}"',
            f'key = "{network.log_key}"',
            "[witnesses]",
            f"quorum = {quorum_of(len(network.witnesses))}",
            f"keys = {{ {keys} }}",
        ]
        last = network.since.replace(year=network.since.year + KEY_YEARS, day=1)
        for party in network.parties:
            held = ", ".join(f'"{role}"' for role in party.roles)
            lines += [f"[parties.{party.name}]", f"roles = [{held}]", f'key = "{party.key}"']
            lines.append(f"valid = {{ from = {network.since}, to = {last} }}")
        return "\n".join(lines) + "\n"

    def identity(self, name: str, *, kind: Literal["identity", "witness", "log"] = "identity") -> PrivateIdentity:
        """Return a party's signing key from its node's directory: its own, its witness's, or the log's."""
        path = self.node(name) / f"{kind}.key"
        try:
            return PrivateIdentity.from_secret_bytes(path.read_bytes())
        except OSError:
            raise NotFound(f"the identity of {name} is not in this workspace ({path} cannot be read)") from None

    def store(self) -> Store:
        """Return the manager's database: SQLite in its directory, or what SANDBOX_DATABASE_URL names."""
        address = os.environ.get(DATABASE_VARIABLE)
        return open_store(address or self.node(self.network.manager) / "state.sqlite")

    def gate_key(self, parameters: Parameters, *, insecure: bool = False) -> paillier.PrivateKey:
        """Return the gate's Paillier key of a size and noise, made at its first use.

        insecure: allow the sizes that only tests use.
        """
        path = self.node(self.network.manager) / f"gate-{parameters.key_bits}-{parameters.noise}.key"
        with self._making_key:
            if path.exists():
                return paillier.PrivateKey.from_secret_bytes(path.read_bytes())
            generate = paillier.generate_insecure_keypair if insecure else paillier.generate_keypair
            _, private_key = generate(key_bits=parameters.key_bits, noise=parameters.noise)
            write_secret(path, private_key.to_secret_bytes())
            return private_key

    def close(self) -> None:
        """Let other processes in."""
        self._lock.close()


def quorum_of(witnesses: int) -> int:
    """Return how many witnesses must cosign: a majority."""
    return witnesses // 2 + 1


def read_compute(root: Path) -> Compute:
    """Return what the workspace in a directory says about computing; threads without a file."""
    path = root / COMPUTE_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Compute()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise StateError(f"{path} cannot be read ({reason})") from None
    return compute_from_toml(text, what=COMPUTE_FILE)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written ({error.strerror}); free space or check permissions") from None


def write_secret(path: Path, data: bytes) -> None:
    """Write a secret file that its owner alone may read; its folder is made where it is missing."""
    _make_directory(path.parent)
    write_atomically(path, data, mode=0o600)


def _new_identity(path: Path) -> PublicIdentity:
    identity = PrivateIdentity.generate()
    write_secret(path, identity.to_secret_bytes())
    return identity.public


def _locked(root: Path) -> IO[bytes]:
    try:
        lock = (root / ".lock").open("wb")
    except OSError as error:
        raise StateError(f"{root} cannot be used as a workspace ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StateError(f"{root} is in use by another process; wait for it, or use another directory") from None
    return lock


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{path} cannot be made ({error.strerror})") from None


def _check_plain(name: str) -> None:
    if not _PLAIN.fullmatch(name):
        raise UsageError(f"{name[:40]!r} cannot name a party: use ASCII letters, digits, _ and -, beginning with a letter or _")
