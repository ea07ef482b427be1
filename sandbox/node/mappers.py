"""Mappers: the ways in which a node runs independent chunks of a heavy step side by side, with a bounded number in flight."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from protocols.errors import MisuseError, ParameterError
from sandbox.errors import LinkError, UsageError
from sandbox.model.compute import Backend, Compute

AHEAD = 4
"""Chunks in flight for each worker: enough to keep it busy, few enough that memory does not grow with rows."""
RETRIES = 3
CHUNK_TIMEOUT_S = 600
"""After this a chunk counts as lost: joblib waits for ever for one whose last worker Dask gave up."""
START_TIMEOUT_S = 60
PACKAGES: dict[Backend, str] = {"dask": "distributed", "ray": "ray"}


class ThreadMapper:
    """Runs chunks in threads of this process, the only place for secrets and plain values. Use as a context manager."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or os.cpu_count() or 1
        self._pool = concurrent.futures.ThreadPoolExecutor(self._workers, thread_name_prefix="sandbox-chunk")

    def __call__(self, function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[Any]:
        """Yield function(chunk) in the order of `chunks`, which are drawn as room comes free."""
        running: collections.deque[concurrent.futures.Future[Any]] = collections.deque()
        try:
            for chunk in chunks:
                running.append(self._pool.submit(function, chunk))
                if len(running) >= AHEAD * self._workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)


class ClusterMapper:
    """Runs chunks on Dask or Ray through joblib. For public values and ciphertexts only: what it is given leaves the process.

    Secrets refuse to be serialised (`__reduce__`), so that one given by mistake ends the run and not the secrecy. A worker
    that dies is replaced and its chunks run again: chunks are pure functions, so the result is the same. The cluster is
    trusted as this process is: a wrong sum that it returns is not noticed, and Dask and Ray unpickle what workers answer.
    """

    def __init__(self, compute: Compute) -> None:
        self._backend = compute.backend
        self._address = compute.address
        self._workers = compute.workers or max(2, os.cpu_count() or 1)
        self._guard = threading.RLock()
        self._open = contextlib.ExitStack()
        self._parallel: Any = None

    def start(self) -> None:
        """Connect to the cluster, or start a local one. Raises UsageError without its package, LinkError where it is absent."""
        with self._guard:
            if self._parallel is not None:
                return
            if not is_installed(self._backend):
                get = f"pip install 'public-data-sandbox[{self._backend}]'"
                raise UsageError(f"compute.backend is {self._backend}, which is not installed here: {get}")
            try:
                self._parallel = self._dask() if self._backend == "dask" else self._ray()
                self._require_elsewhere()
                return
            except LinkError:
                self.close()
                raise
            except Exception as error:  # each cluster has its own ways to be absent
                self.close()
                problem = type(error).__name__
            place = f"at {self._address}" if self._address else "on this machine"
            raise LinkError(f'no {self._backend} cluster {place} ({problem}); start it, or set backend = "threads"')

    def __call__(self, function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[Any]:
        """Yield function(chunk) in the order of `chunks`. Raises what the function raises; LinkError if the cluster is lost."""
        waiting = iter(chunks)
        while window := list(itertools.islice(waiting, AHEAD * self._workers)):
            yield from self._run(function, window)

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        with self._guard:
            self._parallel = None
            with contextlib.suppress(Exception):  # a cluster that is gone cannot be left
                self._open.close()

    def __repr__(self) -> str:
        return f"<ClusterMapper: {self._backend}, {self._workers} workers>"

    def _run(self, function: Callable[[Any], Any], window: list[Any]) -> list[Any]:
        import joblib

        payloads = [_serialised(self._backend, function, chunk) for chunk in window]
        # One window at a time: a second one of the same process would wait for workers that the first one holds.
        with self._guard:
            self.start()
            try:
                results = self._parallel(joblib.delayed(_outcome)(self._backend, payload) for payload in payloads)
            except _lost(self._backend) as error:
                self.close()
                problem = type(error).__name__
            else:
                return [_value(result) for result in results]
        raise LinkError(f"the {self._backend} cluster was lost while it computed ({problem}); run the job again")

    def _require_elsewhere(self) -> None:
        """Raise LinkError if joblib took this process for the cluster, as it does without a word where there is one core."""
        import joblib

        if _whereabouts() in self._parallel(joblib.delayed(_whereabouts)() for _ in range(2)):
            raise LinkError(f'the {self._backend} cluster has fewer than two cores; add workers, or set backend = "threads"')

    def _dask(self) -> Any:
        import distributed
        import joblib

        if self._address is None:
            local = distributed.LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs="ERROR",
            )
            self._open.enter_context(local)
        client = distributed.Client(self._address or local, set_as_default=False, timeout=START_TIMEOUT_S)
        self._open.enter_context(client)
        with joblib.parallel_config(backend="dask", client=client):
            return self._entered()

    def _ray(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that this ran
        import joblib
        import ray
        from ray.util.joblib import register_ray

        if not ray.is_initialized():
            started: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
            if self._address is None:
                started |= {"num_cpus": self._workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            ray.init(address=self._address or "local", **started)  # None would join whatever cluster runs on this machine
            self._open.callback(ray.shutdown)
        register_ray()
        restarts = {"max_restarts": RETRIES, "max_task_retries": RETRIES}
        with joblib.parallel_config(backend="ray", ray_remote_args=restarts):
            return self._entered()

    def _entered(self) -> Any:
        import joblib

        # With one job, or with none named, joblib runs everything in the caller and says nothing.
        jobs = max(2, self._workers)
        # max_nbytes would map arrays into plain files.
        return self._open.enter_context(joblib.Parallel(n_jobs=jobs, max_nbytes=None, batch_size=1, timeout=CHUNK_TIMEOUT_S))


def is_installed(backend: Backend) -> bool:
    """Return whether a backend's package is here. Imports nothing."""
    return backend not in PACKAGES or importlib.util.find_spec(PACKAGES[backend]) is not None


def _serialised(backend: Backend, function: Callable[[Any], Any], chunk: Any) -> bytes:
    """Return what goes to a worker, as bytes made here: what refuses to be serialised is found before anything leaves.

    (Left to Dask, the refusal would be an unseen error in another thread, and the caller would wait for ever.)
    """
    try:
        return bytes(_codec(backend).dumps((function, chunk)))
    except (TypeError, AttributeError, ParameterError) as error:
        problem = str(error)
    raise MisuseError(f"this cannot go to a cluster: {problem}")


def _outcome(backend: Backend, payload: bytes) -> Any:
    """Run one chunk at a worker; an error of ours comes back as a value, since clusters wrap errors in types of their own."""
    function, chunk = _codec(backend).loads(payload)
    try:
        return function(chunk)
    except (ParameterError, MisuseError) as error:
        return _Failed(error)


def _whereabouts() -> tuple[str, int]:
    return platform.node(), os.getpid()


def _codec(backend: Backend) -> Any:
    """Return the backend's own way to turn functions into bytes and back."""
    return importlib.import_module("distributed.protocol.pickle" if backend == "dask" else "ray.cloudpickle")


class _Failed:
    def __init__(self, error: Exception) -> None:
        self.error = error


def _value(result: Any) -> Any:
    if isinstance(result, _Failed):
        raise result.error
    return result


def _lost(backend: Backend) -> tuple[type[BaseException], ...]:
    """Return the errors by which a backend says that workers or the cluster are gone."""
    late = (OSError, TimeoutError, multiprocessing.TimeoutError)
    if backend == "dask":
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        return (*late, KilledWorker, FutureCancelledError, concurrent.futures.CancelledError)
    from ray import exceptions

    return (*late, exceptions.RayActorError, exceptions.RaySystemError, exceptions.WorkerCrashedError)
