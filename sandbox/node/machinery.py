"""Machinery: what the roles of a task run on: threads, perhaps a cluster, and scratch space of each node."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from protocols.party import Mapper, Scratch
from sandbox.model.compute import Compute
from sandbox.node.mappers import ClusterMapper, ThreadMapper
from sandbox.node.workspace import Workspace


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What one task has. mapper: threads of this process, for anything. workers: the cluster where there is one, else those
    threads; for public values and ciphertexts only. scratch: each node's own.
    """

    mapper: Mapper
    workers: Mapper
    scratch: Mapping[str, Scratch]


class Machinery:
    """A network's means of computing, as its `compute.toml` says; a cluster serves all tasks until `close`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.compute: Compute = workspace.compute
        self._cluster = None if self.compute.backend == "threads" else ClusterMapper(self.compute)

    @contextlib.contextmanager
    def for_task(self, names: Iterable[str]) -> Iterator[Machines]:
        """Yield what a task of these nodes runs on; its scratch space is gone afterwards. Raises UsageError, LinkError."""
        if self._cluster is not None:
            self._cluster.start()
        with contextlib.ExitStack() as stack:
            limit = self.compute.in_memory_bytes
            scratch = {
                name: stack.enter_context(self._workspace.scratch(name, in_memory_bytes=limit)) for name in sorted(set(names))
            }
            threads = stack.enter_context(ThreadMapper(self.compute.workers if self._cluster is None else None))
            yield Machines(mapper=threads, workers=self._cluster or threads, scratch=scratch)

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        if self._cluster is not None:
            self._cluster.close()
