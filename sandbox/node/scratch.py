"""Scratch space of a node: short lists in memory, long ones in files without a name, mapped into memory."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from sandbox.errors import StateError

IN_MEMORY_BYTES = 64 << 20
FOLDER = "scratch"
PREFIX = "list-"
ZEROS = bytes(1 << 20)


class NodeScratch:
    """Space for one node's lists during one task: (rows, width) uint8 arrays, contents undefined. A `Scratch` of the protocols.

    The arrays that are alive may take `in_memory_bytes` of memory together; what goes beyond is mapped from files in
    `directory`, mode 0600. A file has no name from its first byte on, so that nothing is left behind by a failure, a kill
    or a crash; its blocks are taken before it is used, so that a full disk is a StateError and no broken mapping. Public
    values, ciphertexts and sealed points only: what is plain stays out of here. Use as a context manager.
    """

    def __init__(self, directory: Path, *, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._directory = directory
        self._left = in_memory_bytes
        self._guard = threading.Lock()
        self._mappings: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._closed = False
        self.mapped_bytes = 0
        """Bytes that were mapped from files so far."""

    def __call__(self, rows: int, width: int) -> npt.NDArray[np.uint8]:
        """Return writable space. Raises StateError where the disk has no room for it, or the task is over."""
        size = rows * width
        if self._closed:
            raise StateError("the scratch space of a task that is over was asked for more")
        if self._reserve(size):
            array = np.empty((rows, width), dtype=np.uint8)
            weakref.finalize(array, self._give_back, size).atexit = False
            return array
        mapping = self._mapped(size)
        self._mappings.add(mapping)
        self.mapped_bytes += size
        return np.frombuffer(mapping, dtype=np.uint8).reshape(rows, width)

    def release(self) -> None:
        """Give pages of mapped lists that are in memory back to the system; the lists stay as they are."""
        for mapping in tuple(self._mappings):
            mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Free the disk at once, even if somebody still holds an array: such an array reads as zeros from then on."""
        self._closed = True
        for mapping in tuple(self._mappings):
            if hasattr(mmap, "MADV_REMOVE"):
                with contextlib.suppress(OSError, ValueError):  # a file system without holes frees it with the last array
                    mapping.madvise(mmap.MADV_REMOVE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<NodeScratch: {self.mapped_bytes} bytes mapped>"

    def _reserve(self, size: int) -> bool:
        with self._guard:
            if size > self._left:
                return False
            self._left -= size
            return True

    def _give_back(self, size: int) -> None:
        with self._guard:
            self._left += size

    def _mapped(self, size: int) -> mmap.mmap:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = _nameless_file(self._directory)
            try:
                _take_blocks(descriptor, size)
                return mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = error.strerror or "no mapping"
        raise StateError(
            f"{self._directory} has no room for a list of {size} bytes ({problem}); free space on that disk, or ask for less"
        )


def clear_scratch(directory: Path) -> None:
    """Remove files that a crash kept from losing their names; they are empty. No task of this workspace may be running."""
    with contextlib.suppress(OSError):
        for path in directory.glob(f"{PREFIX}*"):
            path.unlink(missing_ok=True)


def _take_blocks(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    with open(descriptor, "wb", closefd=False) as file:
        for start in range(0, size, len(ZEROS)):
            file.write(ZEROS[: size - start])


def _nameless_file(directory: Path) -> int:
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):  # not every file system makes files without a name
            return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    descriptor, name = tempfile.mkstemp(prefix=PREFIX, dir=directory)
    Path(name).unlink(missing_ok=True)
    return descriptor
