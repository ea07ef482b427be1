"""Places and workers that the stories of a whole network use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import agencies, inprocess_worker


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A new directory, in memory where the system has such a place: a killed process leaves the same files there."""
    memory = Path("/dev/shm")
    inside = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="sandbox-test-", dir=inside))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are read in this process, which saves the start of a worker for each; the worker has tests of its own."""
    inprocess_worker.use(monkeypatch)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> agencies.Watch:
    """Counts what is read and sent."""
    return agencies.Watch(monkeypatch)
