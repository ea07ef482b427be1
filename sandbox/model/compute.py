"""Compute: where a network's heavy steps run and how much memory its long lists may take, read strictly from `compute.toml`."""

from __future__ import annotations

import re
import tomllib
from typing import Literal as OneOf

import msgspec

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document

Backend = OneOf["threads", "dask", "ray"]

MAX_WORKERS = 1024
_ADDRESSES: dict[Backend, tuple[re.Pattern[str], str]] = {
    "dask": (re.compile(r"(tcp|tls|ucx)://[A-Za-z0-9._:\[\]-]{1,255}"), "tcp://host:8786 or tls://host:8786"),
    "ray": (re.compile(r"(ray://)?[A-Za-z0-9._:\[\]-]{1,255}"), "host:6379, ray://host:10001 or auto"),
}


class Compute(Document, frozen=True, kw_only=True):
    """Where heavy steps run, and the memory that lists may take before they are mapped from disk.

    backend: `dask` and `ray` get public values and ciphertexts only; secrets and plain values stay in threads of the process
    whatever is chosen. address: of a cluster that is there; None starts a local one. workers: threads, and the jobs that a
    cluster runs at once; None is the machine's number of cores. in_memory_bytes: of one node's lists of one task, together.
    """

    backend: Backend = "threads"
    address: str | None = None
    workers: int | None = None
    in_memory_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= MAX_WORKERS:
            raise DocumentError(f"compute.workers: a number from 1 to {MAX_WORKERS}")
        if self.workers == 1 and self.backend != "threads":
            raise DocumentError("compute.workers: a cluster has 2 or more; with one, use threads")
        if self.in_memory_bytes < 0:
            raise DocumentError("compute.in_memory_bytes: 0 or more")
        if self.address is None:
            return
        if self.backend == "threads":
            raise DocumentError("compute.address: threads have none; choose backend dask or ray, or leave it out")
        form, example = _ADDRESSES[self.backend]
        if not form.fullmatch(self.address):
            raise DocumentError(f"compute.address: for {self.backend} write {example}")


class _File(Document, frozen=True, kw_only=True):
    compute: Compute


def compute_from_toml(text: str, *, what: str = "compute.toml") -> Compute:
    """Return what a TOML text states under [compute]. Raises DocumentError that names the field, or the line."""
    try:
        return msgspec.convert(tomllib.loads(text), _File).compute
    except msgspec.ValidationError as error:
        problem = str(error)
    except (ValueError, RecursionError) as error:
        problem = f"not TOML: {error}"
    raise DocumentError(f"{what}: " + "".join(char if char.isprintable() else "?" for char in problem[:300]))


def compute_to_toml(compute: Compute) -> str:
    """Return the text of `compute.toml`."""
    address = f'address = "{compute.address}"' if compute.address else '# address = "tcp://host:8786"   # else a local cluster'
    workers = f"workers = {compute.workers}" if compute.workers else "# workers = 4   # else one for each core"
    return (
        "# Where this network's heavy steps run. Dask and Ray get public values and ciphertexts only.\n"
        "[compute]\n"
        f'backend = "{compute.backend}"   # threads, dask or ray\n'
        f"{address}\n"
        f"{workers}\n"
        f"in_memory_bytes = {compute.in_memory_bytes}   # of a node's lists in one task; longer ones are mapped from its disk\n"
    )
