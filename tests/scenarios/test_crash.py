"""Processes killed at any step of a run: afterwards no use is lost or doubled, and nothing is released without a record.

SANDBOX_KILLS: kills at random moments (20 by default). SANDBOX_CRASH_EVERY: of all operations that make something durable, try
every so many (23 by default; 1 tries each).
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from support import agencies, doomed

from sandbox.embedded import Embedded
from sandbox.errors import Denied

KILLS = int(os.environ.get("SANDBOX_KILLS", "20"))
EVERY = int(os.environ.get("SANDBOX_CRASH_EVERY", "23"))


def work_on(network: Embedded, scratch: Path, *, released: int | None = None) -> None:
    """What a dead process left is sound, what is left of its grant can be used to the last call, and no further."""
    agencies.require_sound(network, scratch)
    before = len(network.products())
    assert released is None or before == released
    explanation = agencies.ask(network)
    issued = [kept.signed for kept in network.manager.records.grants() if kept.issued is not None]
    grant = issued[0] if issued else network.approve(explanation, calls=doomed.CALLS)
    while len(network.products()) < doomed.CALLS:
        network.run(explanation, grant=grant)
    with pytest.raises(Denied, match="used up"):
        network.run(explanation, grant=grant)
    assert network.products()[0].rows() == network.products()[-1].rows()
    agencies.require_sound(network, scratch)


@pytest.mark.parametrize("point", doomed.POINTS)
def test_a_process_that_ends_at_a_step_leaves_everything_or_nothing(point: str, scratch: Path, in_process: None) -> None:
    process, _ = doomed.start(scratch / "w", point=point)
    process.join()
    assert process.exitcode == doomed.FALLEN
    names = list(doomed.POINTS)
    effect = names.index(point) >= names.index(doomed.FIRST_WITH_EFFECT)
    with agencies.make(scratch / "w") as network:
        work_on(network, scratch, released=1 if effect else 0)


def test_a_process_that_ends_before_any_durable_operation(scratch: Path, in_process: None) -> None:
    process, line = doomed.start(scratch / "whole")
    steps = doomed.wait_for(line, "steps")
    process.join()
    assert process.exitcode == 0
    assert {"fsync", "replace", "rename", "commit", "frame"} <= set(steps)
    for fatal in range(random.Random(len(steps)).randrange(1, EVERY + 1), len(steps) + 1, EVERY):
        path = scratch / f"w{fatal}"
        process, line = doomed.start(path, fatal=fatal)
        process.join()
        # The last few operations differ by what the witnesses' clocks say; a process may so end in peace.
        assert process.exitcode in (-signal.SIGKILL, 0), fatal
        evidence = scratch / f"evidence{fatal}"
        evidence.mkdir()
        with agencies.make(path) as network:
            work_on(network, evidence)


def test_kill_9_at_random_moments_of_one_workspaces_life(scratch: Path, in_process: None) -> None:
    path, chance, killed = scratch / "w", random.Random(9), 0
    times = {}
    process, line = doomed.start(path, rounds=doomed.CALLS)
    started = time.monotonic()
    for mark in ("begun", "opened", "approved", "answered"):
        doomed.wait_for(line, mark)
        times[mark] = time.monotonic() - started
        started = time.monotonic()
    process.join()
    # Most of the kills hit the run; the others opening and approval.
    marks = (("begun", "opened"), ("opened", "approved"), *(("approved", "answered"),) * 4)
    for number in range(KILLS):
        begin, end = marks[number % len(marks)]
        process, line = doomed.start(path, rounds=doomed.CALLS)
        doomed.wait_for(line, begin)
        time.sleep(chance.uniform(0, 1.2 * times[end]))  # the moment is what is random here
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        with agencies.make(path) as network:
            agencies.require_sound(network, scratch)
    assert killed >= 0.7 * KILLS
    with agencies.make(path) as network:
        before = len(network.products())
        assert before >= doomed.CALLS
        assert agencies.answer(network).rows() == network.products()[0].rows()
        agencies.require_sound(network, scratch)
        assert len(network.products()) == before + 1
