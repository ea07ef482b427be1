"""Witness: a provider that watches the manager's log and cosigns only what continues the checkpoint it saw last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from sandbox.audit.files import DiskFiles, Files, FolderLock, replace_file
from sandbox.audit.merkle import verify_consistency
from sandbox.audit.note import Checkpoint, cosignature_line, open_checkpoint
from sandbox.audit.receipt import CosignRequest
from sandbox.audit.trust import LogTrust
from sandbox.errors import AuditError, StateError, UsageError
from sandbox.model.signature import PrivateIdentity


class Witness:
    """One party's witness, with its memory in a folder of its own.

    clock: POSIX seconds by the witness's own clock. The memory is on the disk before a cosignature leaves. A witness without
    memory takes the first checkpoint as it is; after that only an append-only continuation passes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        trust: LogTrust,
        identity: PrivateIdentity,
        clock: Callable[[], int],
        files: Files | None = None,
    ) -> None:
        """Open the memory. Raises UsageError if the trust has another key under this name, StateError if it is in use."""
        if trust.witnesses.get(name) != identity.public:
            raise UsageError(f"the trust file has no witness {name} with the key {identity.public}")
        self._name = name
        self._trust = trust
        self._identity = identity
        self._clock = clock
        self._files = files or DiskFiles()
        self._path = folder / "seen"
        self._guard = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        try:
            self._seen = self._load()
        except BaseException:
            self._lock.release()
            raise

    @property
    def name(self) -> str:
        """Its name in the trust file."""
        return self._name

    @property
    def seen(self) -> Checkpoint | None:
        """The last checkpoint that it cosigned: what its node compares receipts with."""
        return self._seen

    def last_size(self) -> int:
        """Return the size of the last checkpoint that it cosigned, 0 for none."""
        return 0 if self._seen is None else self._seen.size

    def cosign(self, request: CosignRequest) -> str:
        """Return the cosignature line over a checkpoint that continues the last one seen.

        Raises AuditError that names the sizes for a rollback, a fork, or a proof from another size; StateError if the memory
        cannot be written (nothing is cosigned then).
        """
        with self._guard:
            place = f"witness {self._name}"
            found = open_checkpoint(request.note, self._trust, place=f"{place}, checkpoint").checkpoint
            self._check_continuation(found, request, place=place)
            try:
                replace_file(self._files, self._path, request.note.encode())
            except OSError as error:
                raise StateError(f"{place} cannot keep what it saw, so it cosigns nothing: {error.strerror}") from None
            self._seen = found
            return cosignature_line(found, self._name, self._identity, timestamp=self._clock())

    def close(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def _check_continuation(self, found: Checkpoint, request: CosignRequest, *, place: str) -> None:
        size = self.last_size()
        if found.size < size:
            raise AuditError(f"the log shows size {found.size} after size {size}: it was rolled back", place=place)
        if request.old_size != size:
            raise AuditError(f"the proof starts at size {request.old_size}; this witness saw size {size}", place=place)
        if self._seen is not None and size:
            verify_consistency(size, self._seen.root, found.size, found.root, request.proof, place=place)
        elif request.proof:
            raise AuditError("a first checkpoint comes without a proof", place=place)

    def _load(self) -> Checkpoint | None:
        try:
            data = self._files.read(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"witness {self._name} cannot read its memory: {error.strerror}") from None
        note = data.decode("utf-8", errors="replace")
        return open_checkpoint(note, self._trust, place=f"memory of witness {self._name}").checkpoint
