"""Workspace: a directory that holds a network of nodes: public facts in one document, each node's keys and state apart."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from protocols import paillier
from sandbox.errors import NotFound, StateError, UsageError
from sandbox.ledger import Store, open_store
from sandbox.model.canonical import Document, canonical, parse
from sandbox.model.party import Party, PartyRole
from sandbox.model.plan import Parameters
from sandbox.model.signature import PrivateIdentity

NETWORK_FILE = "network.json"
DATABASE_VARIABLE = "SANDBOX_DATABASE_URL"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


class Network(Document, frozen=True, kw_only=True):
    """Who takes part. origin names the log; operator and manager name their parties."""

    version: int
    origin: str
    operator: str
    manager: str
    parties: tuple[Party, ...]


class Workspace:
    """An open workspace. One process at a time; the others are refused, and nothing is lost."""

    def __init__(self, root: Path, lock: IO[bytes], network: Network) -> None:
        self.root = root
        self._lock = lock
        self.network = network

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        providers: Sequence[str],
        operator: str,
        manager: str,
        origin: str = "public-data-sandbox.example/log",
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
        roles: dict[str, list[PartyRole]] = {}
        for name in providers:
            roles.setdefault(name, []).append("provider")
        roles.setdefault(operator, []).append("operator")
        roles[manager] = ["authoriser"]
        parties = []
        for name, held in roles.items():
            identity = PrivateIdentity.generate()
            _make_directory(root / "nodes" / name)
            write_secret(root / "nodes" / name / "identity.key", identity.to_secret_bytes())
            parties.append(Party(name=name, roles=tuple(held), key=str(identity.public)))
        network = Network(version=1, origin=origin, operator=operator, manager=manager, parties=tuple(parties))
        write_atomically(root / NETWORK_FILE, canonical(network))
        return cls(root, lock, network)

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open a workspace. Raises NotFound if there is none, StateError if another process has it."""
        if not (root / NETWORK_FILE).is_file():
            raise NotFound(f"{root} is no workspace; make one with `sandbox init {root}`")
        lock = _locked(root)
        return cls(root, lock, parse((root / NETWORK_FILE).read_bytes(), Network, what=str(root / NETWORK_FILE)))

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
        identity = PrivateIdentity.generate()
        _make_directory(self.node(name))
        write_secret(self.node(name) / "identity.key", identity.to_secret_bytes())
        party = Party(name=name, roles=("provider",), key=str(identity.public))
        parties = (*self.network.parties, party)
        fields = {field: getattr(self.network, field) for field in Network.__struct_fields__}
        self.network = Network(**(fields | {"parties": parties}))
        write_atomically(self.root / NETWORK_FILE, canonical(self.network))

    def node(self, name: str) -> Path:
        """Return a node's own directory."""
        return self.root / "nodes" / name

    def identity(self, name: str) -> PrivateIdentity:
        """Return a party's signing key, from its node's directory."""
        path = self.node(name) / "identity.key"
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
        if path.exists():
            return paillier.PrivateKey.from_secret_bytes(path.read_bytes())
        generate = paillier.generate_insecure_keypair if insecure else paillier.generate_keypair
        _, private_key = generate(key_bits=parameters.key_bits, noise=parameters.noise)
        write_secret(path, private_key.to_secret_bytes())
        return private_key

    def close(self) -> None:
        """Let other processes in."""
        self._lock.close()


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
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
        temporary.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written ({error.strerror}); free space or check permissions") from None


def write_secret(path: Path, data: bytes) -> None:
    """Write a secret file that its owner alone may read."""
    write_atomically(path, data, mode=0o600)


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
        raise UsageError(f"{name[:40]!a} cannot name a party: use ASCII letters, digits, _ and -, beginning with a letter or _")
