"""Single cases under pytest-benchmark, for its statistics and its comparison of saved runs (`poe bench`).

Cases run one after another, so that ratios between them are not to be trusted on a shared machine: `sandbox bench` alternates.
A peer that is missing makes its cases skip by name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.alternate import Contender, Worker, WorkerError, cores, elements_for, pin
from benchmarks.paillier.suite import KEY_BITS, OPERATIONS, OURS, PEERS
from benchmarks.peers import GET_PEERS, interpreter

ROUND_S = 0.1
ROUNDS = 5
CASES = [(contender, bits) for bits in KEY_BITS for contender in (*OURS, *PEERS)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def prepared(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """A worker with a key."""
    contender: Contender
    contender, key_bits = request.param
    if contender.is_peer and not interpreter().exists():
        pytest.skip(f"{contender.name} is not installed; {GET_PEERS}")
    worker = Worker(contender, interpreter() if contender.is_peer else Path(sys.executable))
    try:
        worker.ask(do="prepare", key_bits=key_bits)
        yield worker
    except WorkerError as error:
        pytest.skip(str(error))
    finally:
        worker.close()


@pytest.mark.parametrize("core_count", [1, 2])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_paillier(benchmark: Any, prepared: Worker, operation: str, core_count: int) -> None:
    if not cores(core_count):
        pytest.skip(f"this machine has fewer than {core_count} cores")
    try:
        pin(prepared, core_count)
        elements = elements_for(prepared, operation, ROUND_S)
    except WorkerError as error:
        pytest.skip(str(error))
    benchmark.extra_info.update(elements=elements, cores=core_count)
    benchmark.pedantic(prepared.seconds, args=(operation, elements), rounds=ROUNDS, warmup_rounds=1)
