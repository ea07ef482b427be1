"""Lists beyond the memory that they may take: mapped from disk, DuckDB's answer on every backend, nothing left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import agencies, canaries, large

from protocols.errors import Cancelled
from protocols.join import partitions
from sandbox.errors import StateError, exit_code
from sandbox.model.compute import Compute
from sandbox.node import scratch as scratch_module
from sandbox.node import session
from sandbox.node.mappers import PACKAGES, ClusterMapper
from sandbox.node.scratch import NodeScratch


class Disk:
    """What scratch space writes: each list's file, held open, and what stood in it when its task ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: list[int] = []
        self.contents: list[bytes] = []
        self.mapped: dict[str, int] = {}
        take, close = scratch_module._take_blocks, NodeScratch.close

        def watched_take(descriptor: int, size: int) -> None:
            take(descriptor, size)
            self.files.append(os.dup(descriptor))

        def watched_close(space: NodeScratch) -> None:
            if not self.contents:
                self.contents = [os.pread(descriptor, os.fstat(descriptor).st_size, 0) for descriptor in self.files]
            self.mapped[space._directory.parent.name] = space.mapped_bytes
            close(space)

        monkeypatch.setattr(scratch_module, "_take_blocks", watched_take)
        monkeypatch.setattr(NodeScratch, "close", watched_close)

    def require_gone(self, root: Path) -> None:
        """No file has a name; each one has no block left, or nobody but this test has it any more."""
        assert self.files
        maps = Path("/proc/self/maps")
        mapped = {int(line.split()[4]) for line in maps.read_text().splitlines()} if maps.exists() else set()
        for status in map(os.fstat, self.files):
            assert status.st_nlink == 0
            assert status.st_blocks == 0 or status.st_ino not in mapped
        folders = list(root.rglob(scratch_module.FOLDER))
        assert folders
        assert [path for folder in folders for path in folder.iterdir()] == []


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    found = Disk(monkeypatch)
    yield found
    for descriptor in found.files:
        os.close(descriptor)


@pytest.mark.parametrize("backend", ["threads", "dask"])
def test_mapped_lists_answer_as_duckdb_does_on_every_backend_and_when_a_worker_dies(
    backend: Any, tmp_path: Path, in_process: None, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Ray: in tests/sandbox/node/test_clusters.py, where its one cluster is."""
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend], reason=f"needs the extra {backend}")
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 32)
    windows: list[int] = []
    killed: list[int] = []
    run = ClusterMapper._run

    def watched(mapper: ClusterMapper, function: Callable[[Any], Any], window: list[Any]) -> list[Any]:
        windows.append(len(window))
        if len(windows) == 2:
            killed.append(run(mapper, lambda _: os.getpid(), [0])[0])
            os.kill(killed[0], signal.SIGKILL)
        return run(mapper, function, window)

    monkeypatch.setattr(ClusterMapper, "_run", watched)
    with large.make(tmp_path / "w", Compute(backend=backend, workers=2, in_memory_bytes=4096)) as network:
        assert large.answer(network) == large.pooled()
        agencies.require_sound(network, tmp_path)
    assert bool(killed) == (backend != "threads")
    assert set(disk.mapped) == {"registry", "lab", "operator"}
    assert min(disk.mapped.values()) > 64 * large.ROWS
    disk.require_gone(tmp_path)


def test_what_lies_on_the_disk_while_it_runs_holds_no_plain_value_and_no_label(
    tmp_path: Path, in_process: None, disk: Disk
) -> None:
    with large.make(tmp_path / "w") as network:
        assert len(large.answer(network)) == len(large.DISTRICTS)
    written = b"".join(disk.contents)
    assert len(written.strip(b"\0")) > 100 * large.ROWS
    some = [*large.KEYS[::40], *large.VALUES[::40], *large.DISTRICTS]
    assert canaries.found_in(written, some) == []
    leaked = large.VALUES[40]
    assert canaries.found_in(written + leaked.to_bytes(8, "little"), some) == [leaked]
    disk.require_gone(tmp_path)


def fails(sender: str, recipient: str, frame: bytes) -> None:
    if sender == recipient or len(frame) > 20_000:
        raise OSError("the line is cut")


@pytest.mark.parametrize("way", ["failure", "cancellation"])
def test_a_run_that_ends_early_leaves_nothing_on_the_disk(
    way: str, tmp_path: Path, in_process: None, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CANCEL_INTERVAL_S", 0.0)
    reached: list[str] = []
    options: dict[str, Any] = {"on_progress": lambda step, done, total: reached.append(step)}
    if way == "failure":
        options["on_frame"] = fails
    else:
        options["is_stopped"] = lambda: bool(reached) and reached[-1].startswith("lab: pass on")
    with large.make(tmp_path / "w") as network:
        with pytest.raises(OSError if way == "failure" else Cancelled) as caught:
            large.answer(network, **options)
        disk.require_gone(tmp_path)  # although the error still holds the roles and their lists
        assert caught.traceback
        assert agencies.uses(network) == 0


def test_a_full_disk_ends_the_run_in_words_and_gives_the_use_back(
    tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with large.make(tmp_path / "w") as network:
        monkeypatch.setattr(scratch_module, "_take_blocks", full)
        with pytest.raises(
            StateError, match=r"no room for a list of \d+ bytes \(No space left on device\); free space"
        ) as caught:
            large.answer(network)
        assert exit_code(caught.value) == 1
        assert agencies.uses(network) == 0
        monkeypatch.undo()


PROGRAM = """
import os
import signal
from pathlib import Path
from support import inprocess_worker, large
from sandbox.sources import source
source.run_worker = inprocess_worker.run_worker
def die(step, done, total):
    if step.startswith("operator: open"):
        os.kill(os.getpid(), signal.SIGKILL)
with large.make(Path({path!r})) as network:
    large.answer(network, on_progress=die)
"""


def test_a_process_that_is_killed_leaves_nothing_on_the_disk(tmp_path: Path, in_process: None) -> None:
    program = textwrap.dedent(PROGRAM).format(path=str(tmp_path / "w"))
    folders = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    spaces = list((tmp_path / "w").rglob(scratch_module.FOLDER))
    assert {path.parent.name for path in spaces} == {"registry", "lab", "operator"}
    assert [path for space in spaces for path in space.iterdir()] == []
    with large.make(tmp_path / "w") as network:
        assert agencies.uses(network) == 0
        assert large.answer(network) == large.pooled()
