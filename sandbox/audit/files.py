"""The few file operations that a log and its witnesses make, each durable when it returns; tests inject faults here."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sandbox.errors import StateError

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755


class Files(Protocol):
    """File operations. Each may fail with OSError before or after its effect; callers assume neither."""

    def read(self, path: Path) -> bytes:
        """Return a file's bytes. Raises FileNotFoundError."""

    def write(self, path: Path, data: bytes) -> None:
        """Create or overwrite a file; its bytes are on the disk when this returns. Not atomic."""

    def rename(self, source: Path, target: Path) -> None:
        """Replace target by source, atomically."""

    def sync_directory(self, path: Path) -> None:
        """Put a directory's names on the disk."""

    def make_directory(self, path: Path) -> None:
        """Create a directory if it is not there; its parent exists."""

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""


class DiskFiles:
    """The operating system's files."""

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def write(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


class FolderLock:
    """One process at a time in a folder, as long as this object is open. The kernel holds it: a killed process frees it."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises StateError if another process, or another object of this one, holds it."""
        self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise StateError(f"{str(folder)!a} is in use by another process; wait until it has ended") from None

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


def replace_file(files: Files, path: Path, data: bytes) -> None:
    """Replace a file's content so that a crash leaves the old or the new content, whole."""
    draft = path.with_name(path.name + ".new")
    files.write(draft, data)
    files.rename(draft, path)
    files.sync_directory(path.parent)
