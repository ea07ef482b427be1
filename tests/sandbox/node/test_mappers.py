"""The thread mapper, and what `compute.toml` may say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from sandbox.errors import DocumentError, LinkError, StateError, UsageError, exit_code
from sandbox.model.compute import Compute, compute_from_toml, compute_to_toml
from sandbox.node import mappers
from sandbox.node.mappers import AHEAD, ClusterMapper, ThreadMapper
from sandbox.node.workspace import Workspace, read_compute


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks=st.lists(st.integers(), max_size=60), workers=st.integers(1, 3))
def test_threads_give_what_map_gives_in_order(chunks: list[int], workers: int) -> None:
    with ThreadMapper(workers) as mapper:
        assert list(mapper(lambda chunk: chunk * 3, iter(chunks))) == [chunk * 3 for chunk in chunks]


def test_chunks_are_drawn_as_room_comes_free() -> None:
    drawn: list[int] = []

    def chunks() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    with ThreadMapper(2) as mapper:
        results = mapper(lambda chunk: chunk, chunks())
        assert drawn == []
        for number in range(50):
            assert next(iter(results)) == number
            assert len(drawn) <= number + 1 + 2 * AHEAD


def test_an_error_comes_out_and_ends_what_waits() -> None:
    begun: list[int] = []

    def work(chunk: int) -> int:
        begun.append(chunk)
        time.sleep(0.005)
        if chunk == 3:
            raise ParameterError("the fourth")
        return chunk

    with ThreadMapper(1) as mapper, pytest.raises(ParameterError, match="fourth"):
        list(mapper(work, range(1000)))
    assert len(begun) <= 4 + AHEAD + 1


def test_threads_are_threads_of_this_process_and_more_than_one() -> None:
    together = threading.Barrier(3, timeout=20)
    with ThreadMapper(3) as mapper:
        names = list(mapper(lambda _: (together.wait(), threading.current_thread().name)[1], range(3)))
    assert len(set(names)) == 3
    assert all(name.startswith("sandbox-chunk") for name in names)


# What a workspace says


@pytest.mark.parametrize(
    "compute",
    [
        Compute(),
        Compute(backend="dask", workers=2),
        Compute(backend="dask", address="tls://10.0.0.7:8786", workers=16, in_memory_bytes=0),
        Compute(backend="ray", address="auto"),
        Compute(backend="ray", address="ray://head.example:10001"),
    ],
)
def test_the_file_says_what_was_written(compute: Compute) -> None:
    assert compute_from_toml(compute_to_toml(compute)) == compute


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[compute]\nbackend = "spark"', "Invalid enum value 'spark'.*backend"),
        ("[compute]\nworkers = 0", "compute.workers: a number from 1"),
        ("[compute]\nworkers = 2.5", "int.*workers"),
        ("[compute]\nin_memory_bytes = -1", "in_memory_bytes: 0 or more"),
        ('[compute]\naddress = "tcp://host:1"', "threads have none"),
        ('[compute]\nbackend = "dask"\naddress = "host"', "for dask write tcp"),
        ('[compute]\nbackend = "dask"\naddress = "tcp://user:secret@host:1"', "for dask write tcp"),
        ('[compute]\nbackend = "ray"\naddress = "a b"', "for ray write"),
        ('[compute]\nbackend = "ray"\nworkers = 1', "2 or more"),
        ("[compute]\nspeed = 9", "unknown field `speed`"),
        ("workers = 2", "unknown field|missing required"),
        ("[compute", "not TOML"),
    ],
)
def test_what_the_file_may_not_say(text: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem) as caught:
        compute_from_toml(text)
    assert str(caught.value).startswith("compute.")
    assert "secret" not in str(caught.value)


def test_a_workspace_keeps_it(tmp_path: Path) -> None:
    chosen = Compute(backend="dask", workers=2, in_memory_bytes=5)
    workspace = Workspace.create(tmp_path / "w", providers=("a", "b"), operator="o", manager="m", compute=chosen)
    assert workspace.compute == chosen
    workspace.set_compute(Compute())
    workspace.close()
    reopened = Workspace.open(tmp_path / "w")
    assert reopened.compute == Compute()
    reopened.close()
    (tmp_path / "w" / "compute.toml").unlink()
    assert read_compute(tmp_path / "w") == Compute()  # a workspace of an earlier release
    (tmp_path / "w" / "compute.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StateError, match="UTF-8"):
        read_compute(tmp_path / "w")


def test_a_missing_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mappers.PACKAGES, "ray", "a_package_that_is_not_there")
    with pytest.raises(UsageError, match=r"pip install 'public-data-sandbox\[ray\]'"):
        ClusterMapper(Compute(backend="ray")).start()


def test_an_absent_cluster_is_a_link_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(mappers, "START_TIMEOUT_S", 0.3)
    with pytest.raises(LinkError, match=r"no dask cluster at tcp://127\.0\.0\.1:9.*start it") as caught:
        ClusterMapper(Compute(backend="dask", address="tcp://127.0.0.1:9")).start()
    assert exit_code(caught.value) == 5
