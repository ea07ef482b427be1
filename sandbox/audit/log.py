"""LogKeeper: the manager's append-only log. Acknowledged means on the disk; nothing else is ever shown to a witness.

One atomic replacement of the file `checkpoint` commits an append; all other files are written before it under names that the
last committed size does not use. A crash at any point so leaves the last committed size, whole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.audit.files import DiskFiles, Files, FolderLock, replace_file
from sandbox.audit.merkle import EMPTY_ROOT, consistency_proof, inclusion_proof, leaf_hash
from sandbox.audit.note import (
    Checkpoint,
    SignedCheckpoint,
    open_checkpoint,
    sign_checkpoint,
    verify_cosignature_line,
    with_cosignatures,
)
from sandbox.audit.receipt import CosignRequest, WitnessLink, encode_hashes
from sandbox.audit.tiles import TileStore, check_entries
from sandbox.audit.trust import LogTrust
from sandbox.errors import AuditError, LinkError, NotFound, StateError, UsageError
from sandbox.model.canonical import parse
from sandbox.model.evidence import EarlierCheckpoint, LogEntry, LogEvidence, Receipt, SignedEvent
from sandbox.model.signature import PrivateIdentity

COSIGNED = "checkpoint.cosigned"


def read_log(folder: Path, trust: LogTrust) -> tuple[SignedCheckpoint, tuple[bytes, ...]]:
    """Return a log folder's last cosigned checkpoint and its entries, without a key or a lock: for auditors, and copies.

    Every entry is checked against its leaf hash, and all of them against the root; the quorum is the caller's to require.
    Raises NotFound, or AuditError that names the file or the entry.
    """
    files = DiskFiles()
    try:
        note = files.read(folder / COSIGNED).decode("utf-8", errors="replace")
    except FileNotFoundError:
        raise NotFound(f"{str(folder)!a} holds no log that a witness has cosigned") from None
    signed = open_checkpoint(note, trust, place="the log's cosigned checkpoint")
    size, store = signed.checkpoint.size, TileStore(folder, files)
    leaves = list(store.load(size))
    if store.root() != signed.checkpoint.root:
        raise AuditError("the stored hashes do not lead to the signed root", place=f"log of {size} entries")
    return signed, tuple(store.entry(index, size) for index in range(len(leaves)))


class LogKeeper:
    """The log in a folder, open for one process. Threads may share it: appends queue up.

    An entry that is already there is not added again (its first receipt's index holds), so that an outbox may deliver twice.
    """

    def __init__(
        self,
        folder: Path,
        *,
        trust: LogTrust,
        identity: PrivateIdentity,
        witnesses: Sequence[WitnessLink] = (),
        files: Files | None = None,
    ) -> None:
        """Open the log, or start it. Reads every leaf hash and checks the root.

        Raises StateError (in use, unreadable), AuditError (damaged, or shorter than what a witness saw), UsageError (the
        identity is not the log's key in the trust).
        """
        if identity.public != trust.key:
            raise UsageError("this is not the log's key in the trust file")
        self._folder = folder
        self._trust = trust
        self._identity = identity
        self._witnesses = tuple(witnesses)
        self._files = files or DiskFiles()
        self._guard = threading.RLock()
        self._usable = False
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._open()
            self._usable = True
            self.collect_cosignatures()
        except OSError as error:
            self._lock.release()
            raise StateError(f"the log cannot be opened: {error.strerror or error}") from None
        except BaseException:
            self._lock.release()
            raise

    @property
    def checkpoint(self) -> Checkpoint:
        """The last committed checkpoint."""
        return self._checkpoint

    @property
    def note(self) -> str:
        """The last committed checkpoint as a signed note, with the cosignatures gathered so far."""
        return with_cosignatures(self._note, self._cosignatures.values())

    def append(self, entries: Sequence[bytes]) -> tuple[Receipt, ...]:
        """Commit entries and return their receipts, in the same order; either all of them are acknowledged or none.

        Raises StateError if the disk fails: then it is unknown whether the entries are there, and the log must be opened and
        the entries appended again. AuditError if a witness refuses. A witness that cannot be reached lacks in the receipts.
        """
        with self._guard:
            self._require_usable()
            check_entries(entries)
            fresh = [entry for entry in dict.fromkeys(entries) if leaf_hash(entry) not in self._leaves]
            if fresh:
                self._commit(fresh)
            self.collect_cosignatures()
            return tuple(self.receipt(self._leaves[leaf_hash(entry)]) for entry in entries)

    def collect_cosignatures(self) -> None:
        """Ask every witness that has not cosigned the last checkpoint. Raises AuditError if one saw more, or refuses."""
        with self._guard:
            self._require_usable()
            before = len(self._cosignatures)
            for witness in self._witnesses:
                if witness.name not in self._cosignatures:
                    try:
                        self._ask(witness)
                    except LinkError:
                        continue
            if len(self._cosignatures) > before:
                self._keep_cosignatures()

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry towards the last checkpoint. Raises AuditError if there is no such entry."""
        with self._guard:
            self._require_usable()
            proof = inclusion_proof(index, self._checkpoint.size, self._node)
            return Receipt(index=index, proof=encode_hashes(proof), checkpoint=self.note)

    def index_of(self, entry: bytes) -> int:
        """Return where an entry stands. Raises NotFound."""
        index = self._leaves.get(leaf_hash(entry))
        if index is None:
            raise NotFound("the log has no such entry")
        return index

    def consistency(self, old_size: int) -> tuple[bytes, ...]:
        """Return the proof that the last checkpoint continues an earlier size; nothing for size 0 or the same size."""
        with self._guard:
            self._require_usable()
            if old_size in (0, self._checkpoint.size):
                return ()
            return consistency_proof(old_size, self._checkpoint.size, self._node)

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Yield committed entries from an index on, each checked against its leaf hash."""
        for index in range(start, self._checkpoint.size):
            with self._guard:
                self._require_usable()
                entry = self._store.entry(index, self._checkpoint.size)
            yield entry

    def evidence(self, entries: Iterable[SignedEvent], *, relied_on: Iterable[str] = ()) -> LogEvidence:
        """Return what a bundle takes from the log: entries with proofs, and the checkpoints (notes) that events relied on.

        Raises NotFound for an event that is not in the log.
        """
        with self._guard:
            indices = sorted({self.index_of(entry.leaf()) for entry in entries})
            earlier = {}
            for note in relied_on:
                checkpoint = open_checkpoint(note, self._trust).checkpoint
                proof = encode_hashes(self.consistency(checkpoint.size))
                if checkpoint.size < self._checkpoint.size:
                    earlier[checkpoint.size] = EarlierCheckpoint(note=note, proof=proof)
            return LogEvidence(
                entries=tuple(self._entry(index) for index in indices),
                earlier=tuple(earlier[size] for size in sorted(earlier)),
                checkpoint=self.note,
            )

    def close(self) -> None:
        """Give the folder back; a closed log refuses everything."""
        with self._guard:
            self._usable = False
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _open(self) -> None:
        path = self._folder / "checkpoint"
        try:
            self._note = self._files.read(path).decode("utf-8", errors="replace")
        except FileNotFoundError:
            if (self._folder / "tile").exists():
                raise AuditError("the checkpoint is missing beside the entries; restore it", place="log") from None
            self._note = self._sign(0, EMPTY_ROOT)
            replace_file(self._files, path, self._note.encode())
        self._checkpoint = open_checkpoint(self._note, self._trust, place="the log's own checkpoint").checkpoint
        self._cosignatures: dict[str, str] = {}
        self._store = TileStore(self._folder, self._files)
        self._leaves: dict[bytes, int] = {}
        for index, leaf in enumerate(self._store.load(self._checkpoint.size)):
            self._leaves.setdefault(leaf, index)
        if self._store.root() != self._checkpoint.root:
            problem = "the stored hashes do not lead to the signed root; restore the log from a copy"
            raise AuditError(problem, place=f"log of {self._checkpoint.size} entries")

    def _commit(self, entries: Sequence[bytes]) -> None:
        self._usable = False
        try:
            superfluous = self._store.extend(entries)
            note = self._sign(self._store.size, self._store.root())
            replace_file(self._files, self._folder / "checkpoint", note.encode())
            for path in superfluous:
                self._files.remove(path)
        except OSError as error:
            raise StateError(
                f"the log cannot be written ({error.strerror or error}); nothing is acknowledged: open it and append again"
            ) from None
        for index, entry in enumerate(entries, start=self._checkpoint.size):
            self._leaves[leaf_hash(entry)] = index
        self._note = note
        self._checkpoint = Checkpoint(origin=self._trust.origin, size=self._store.size, root=self._store.root())
        self._cosignatures = {}
        self._usable = True

    def _keep_cosignatures(self) -> None:
        """For readers of the folder; the keeper itself asks again after a restart."""
        try:
            replace_file(self._files, self._folder / COSIGNED, self.note.encode())
        except OSError as error:
            self._usable = False
            raise StateError(f"the log cannot be written ({error.strerror or error}); open it again") from None

    def _ask(self, witness: WitnessLink) -> None:
        seen, size = witness.last_size(), self._checkpoint.size
        if seen > size:
            problem = f"this log has {size} entries and witness {witness.name} has seen {seen}: an old copy was restored"
            raise AuditError(problem, place="log")
        line = witness.cosign(CosignRequest(old_size=seen, proof=self.consistency(seen), note=self._note))
        name = verify_cosignature_line(line, self._checkpoint, self._trust, place=f"cosignature of {witness.name}")
        self._cosignatures[name] = line

    def _entry(self, index: int) -> LogEntry:
        data = self._store.entry(index, self._checkpoint.size)
        proof = inclusion_proof(index, self._checkpoint.size, self._node)
        event = parse(data, SignedEvent, what=f"log entry {index}")
        return LogEntry(index=index, entry=event, proof=encode_hashes(proof))

    def _node(self, level: int, index: int) -> bytes:
        return self._store.node(level, index, self._checkpoint.size)

    def _sign(self, size: int, root: bytes) -> str:
        return sign_checkpoint(Checkpoint(origin=self._trust.origin, size=size, root=root), self._identity)

    def _require_usable(self) -> None:
        if not self._usable:
            raise StateError("the log is closed, or a write failed; open it again")
