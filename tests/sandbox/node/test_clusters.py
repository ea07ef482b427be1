"""Chunks on real local clusters, Dask and Ray, of two workers each: order, errors, secrets, a worker's death."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import inprocess_worker, large
from support.families import insecure_key

from protocols import paillier
from protocols.errors import EncodingOverflow, MisuseError
from protocols.join import partitions
from protocols.primitives.rng import SeededRng
from protocols.psi.sealing import generate_seal_keypair
from sandbox.errors import LinkError
from sandbox.model.compute import Compute
from sandbox.node import mappers
from sandbox.node.mappers import PACKAGES, ClusterMapper

WORKERS = 2


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request: pytest.FixtureRequest) -> Iterator[ClusterMapper]:
    pytest.importorskip(PACKAGES[request.param], reason=f"needs the extra {request.param}")
    mapper = ClusterMapper(Compute(backend=request.param, workers=WORKERS))
    mapper.start()
    yield mapper
    mapper.close()


def at_workers(function: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, int]]:
    """The function's result with the process that computed it."""

    def told(chunk: Any) -> tuple[Any, int]:
        return function(chunk), os.getpid()

    return told


def test_results_come_in_order_from_other_processes(cluster: ClusterMapper) -> None:
    def square(chunk: int) -> int:
        time.sleep(0.02)
        return chunk * chunk

    found = list(cluster(at_workers(square), iter(range(30))))
    assert [value for value, _ in found] == [number * number for number in range(30)]
    assert os.getpid() not in {process for _, process in found}
    assert len({process for _, process in found}) == WORKERS
    assert list(cluster(square, [])) == []


def test_ciphertexts_are_added_up_there_and_decrypt_here(cluster: ClusterMapper) -> None:
    key = insecure_key()
    values = np.arange(-300, 300, dtype=np.int64)
    encrypted = key.public_key.encrypt(values)
    parts = list(cluster(lambda chunk: chunk.sum(), (encrypted[at : at + 50] for at in range(0, 600, 50))))
    assert [int(key.decrypt(part)[0]) for part in parts] == [int(values[at : at + 50].sum()) for at in range(0, 600, 50)]


def test_errors_keep_their_type_and_words(cluster: ClusterMapper) -> None:
    def refuse(chunk: int) -> int:
        raise EncodingOverflow(f"chunk {chunk} is too large; split it")

    with pytest.raises(EncodingOverflow) as caught:
        list(cluster(refuse, [4]))
    assert str(caught.value) == "chunk 4 is too large; split it"
    assert list(cluster(abs, [-1])) == [1]


@pytest.mark.parametrize("what", ["private key", "seal", "generator"])
def test_secrets_do_not_travel(cluster: ClusterMapper, what: str, tmp_path: Path) -> None:
    secret: Any = {
        "private key": insecure_key(),
        "seal": generate_seal_keypair(SeededRng(bytes(32)))[1],
        "generator": SeededRng(bytes(32)),
    }[what]
    arrived = tmp_path / "arrived"
    for function, chunk in ((lambda _: arrived.touch() or secret, 1), (lambda item: arrived.touch() or repr(item), secret)):
        with pytest.raises(MisuseError, match=r"cluster: .*(serialis|pickled)"):
            list(cluster(function, [chunk]))
    assert not arrived.exists()
    assert list(cluster(abs, [-1])) == [1]


def test_a_worker_that_dies_in_the_middle_changes_nothing(cluster: ClusterMapper, tmp_path: Path) -> None:
    key = insecure_key()
    encrypted = key.public_key.encrypt(np.arange(400, dtype=np.int64))
    marks = str(tmp_path)

    def slow_sum(chunk: tuple[int, paillier.EncryptedArray]) -> tuple[int, Any]:
        number, array = chunk
        (Path(marks) / f"{number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(0.15)
        return os.getpid(), array.sum()

    killed: list[int] = []

    def kill_one() -> None:
        while not (running := list(tmp_path.glob("3-*"))):
            time.sleep(0.01)
        killed.append(int(running[0].name.split("-")[1]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    chunks = ((at // 20, encrypted[at : at + 20]) for at in range(0, 400, 20))
    found = list(cluster(slow_sum, chunks))
    killer.join()
    assert killed[0] in {int(path.name.split("-")[1]) for path in tmp_path.iterdir()}
    assert len(list(tmp_path.glob("3-*"))) >= 2  # what died with its worker was run again
    assert [int(key.decrypt(part)[0]) for _, part in found] == [sum(range(at, at + 20)) for at in range(0, 400, 20)]


def test_a_join_over_mapped_lists_answers_as_duckdb_does_when_a_worker_dies(
    cluster: ClusterMapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inprocess_worker.use(monkeypatch)
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 32)
    windows: list[int] = []
    run = ClusterMapper._run

    def watched(mapper: ClusterMapper, function: Callable[[Any], Any], window: list[Any]) -> list[Any]:
        windows.append(len(window))
        if len(windows) == 2:
            os.kill(run(mapper, lambda _: os.getpid(), [0])[0], signal.SIGKILL)
        return run(mapper, function, window)

    monkeypatch.setattr(ClusterMapper, "_run", watched)
    with large.make(tmp_path / "w") as network:
        monkeypatch.setattr(network.machinery, "_cluster", cluster)
        try:
            assert large.answer(network) == large.pooled()
        finally:
            network.machinery._cluster = None  # the other tests go on with it
    assert len(windows) > 2


def test_a_chunk_that_kills_every_worker_ends_the_job_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Dask, where joblib would wait for ever; Ray says so itself, after half a minute of new actors."""
    pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr(mappers, "CHUNK_TIMEOUT_S", 4)
    fragile = ClusterMapper(Compute(backend="dask", workers=WORKERS))
    try:
        with pytest.raises(LinkError, match="dask cluster was lost while it computed"):
            list(fragile(lambda _: os.kill(os.getpid(), signal.SIGKILL), [1]))
    finally:
        fragile.close()


def test_a_cluster_of_one_core_is_refused_since_joblib_would_run_in_this_process() -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as one:
        mapper = ClusterMapper(Compute(backend="dask", address=one.scheduler_address, workers=WORKERS))
        with pytest.raises(LinkError, match="fewer than two cores"):
            list(mapper(lambda _: os.getpid(), [1]))
