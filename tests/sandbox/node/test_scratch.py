"""Scratch space: short lists in memory, long ones in files without a name, nothing left behind, a full disk said in words."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import StateError
from sandbox.node import scratch
from sandbox.node.scratch import NodeScratch, clear_scratch

CANARY = b"canary-of-a-sealed-point"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Descriptors of all files that scratch space makes, kept open for a look at them."""
    kept: list[int] = []
    take = scratch._take_blocks

    def watched(descriptor: int, size: int) -> None:
        take(descriptor, size)
        kept.append(os.dup(descriptor))

    monkeypatch.setattr(scratch, "_take_blocks", watched)
    yield kept
    for descriptor in kept:
        os.close(descriptor)


@pytest.fixture(params=["nameless", "unlinked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to a file without a name: by the system, and by removing it at once."""
    if request.param == "unlinked":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


def test_short_lists_share_one_allowance_and_give_it_back(tmp_path: Path) -> None:
    with NodeScratch(tmp_path / "s", in_memory_bytes=1000) as space:
        first = space(10, 60)
        view = first[2:]
        assert space.mapped_bytes == 0
        second = space(10, 60)
        assert space.mapped_bytes == 600
        del first
        gc.collect()
        space(10, 60)
        assert space.mapped_bytes == 1200  # a view holds the memory as its array does
        del view
        gc.collect()
        assert space(10, 60).shape == (10, 60)
        assert space.mapped_bytes == 1200
        assert second.flags.writeable


def test_a_long_lists_file_is_its_owners_alone_and_has_no_name(tmp_path: Path, way: str, files: list[int]) -> None:
    with NodeScratch(tmp_path / "s", in_memory_bytes=0) as space:
        array = space(100, 64)
        array[:] = 7
        (status,) = [os.fstat(descriptor) for descriptor in files]
        assert status.st_mode & 0o777 == 0o600
        assert (status.st_nlink, status.st_size) == (0, 6400)
        assert list((tmp_path / "s").iterdir()) == []
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
        assert os.pread(files[0], 6400, 0) == bytes([7]) * 6400


def test_the_disk_is_free_when_the_task_is_over_even_if_an_array_is_kept(tmp_path: Path, files: list[int]) -> None:
    with NodeScratch(tmp_path / "s", in_memory_bytes=0) as space:
        kept = space(1 << 14, 64)
        kept[:] = np.frombuffer(CANARY.ljust(64), dtype=np.uint8)
        assert CANARY in os.pread(files[0], 4096, 8192)
        assert os.fstat(files[0]).st_blocks > 0
    assert os.fstat(files[0]).st_blocks == 0
    assert CANARY not in os.pread(files[0], 1 << 20, 0)
    assert not kept.any()
    with pytest.raises(StateError, match="over"):
        space(1, 1)


def resident_bytes() -> int:
    """Pages of mapped files that are in this process's memory."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile:")]
    (shared,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssShmem:")]
    return 1024 * (int(line.split()[1]) + int(shared.split()[1]))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_mapped_pages_leave_memory_and_keep_their_content(tmp_path: Path) -> None:
    size = 64 << 20
    with NodeScratch(tmp_path / "s", in_memory_bytes=0) as space:
        before = resident_bytes()
        array = space(size // 64, 64)
        array[:] = np.arange(64, dtype=np.uint8)
        assert resident_bytes() - before > size * 0.9
        space.release()
        assert resident_bytes() - before < size * 0.1
        assert np.array_equal(array[-1], np.arange(64))
        assert int(array[::4096].sum()) == len(array[::4096]) * sum(range(64))


def test_a_full_disk_is_said_in_words_before_anything_is_written(tmp_path: Path, way: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with NodeScratch(tmp_path / "s", in_memory_bytes=0) as space:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))  # as a disk or a quota that ends there
        try:
            assert space(1 << 10, 64).shape == (1 << 10, 64)
            with pytest.raises(StateError, match=r"no room for a list of 2097152 bytes .*free space"):
                space(1 << 15, 64)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "s").iterdir()) == []


def test_a_directory_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with NodeScratch(tmp_path / "file" / "s", in_memory_bytes=0) as space, pytest.raises(StateError, match="no room"):
        space(1, 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.integers(0, 300), width=st.integers(1, 80), limit=st.integers(0, 20_000), data=st.data())
def test_mapped_or_not_it_is_the_same_array(
    rows: int, width: int, limit: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with NodeScratch(tmp_path_factory.getbasetemp() / "property", in_memory_bytes=limit) as space:
        array, plain = space(rows, width), np.zeros((rows, width), dtype=np.uint8)
        array[:] = 0
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, rows))
            value = data.draw(st.integers(0, 255))
            array[at : at + 7] = value
            plain[at : at + 7] = value
        assert array.dtype == np.uint8
        assert np.array_equal(array, plain)
        assert space.mapped_bytes == (rows * width if rows * width > limit else 0)


PROGRAM = """
import os, signal, sys
from pathlib import Path
import numpy as np
from sandbox.node.scratch import NodeScratch
if {unlinked}:
    del os.O_TMPFILE
space = NodeScratch(Path({path!r}), in_memory_bytes=0)
array = space(1000, 64)
array[:] = 9
os.kill(os.getpid(), signal.{end})
"""


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("unlinked", [False, True])
def test_a_killed_process_leaves_no_file(tmp_path: Path, end: str, unlinked: bool) -> None:
    program = textwrap.dedent(PROGRAM).format(path=str(tmp_path / "s"), end=end, unlinked=unlinked)
    ended = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False)
    assert ended.returncode == -getattr(signal, end)
    assert (tmp_path / "s").is_dir()
    assert list((tmp_path / "s").iterdir()) == []


def test_what_a_crash_kept_from_losing_its_name_is_removed(tmp_path: Path) -> None:
    (tmp_path / "list-abc").touch()
    (tmp_path / "other").touch()
    clear_scratch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    clear_scratch(tmp_path / "missing")
