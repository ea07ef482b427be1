"""Many threads on one network: uses are counted one by one, evidence stays whole, a run that is stopped ends cleanly."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import agencies

from protocols.errors import Cancelled
from sandbox.errors import Denied, Withheld, exit_code
from sandbox.node import session

RUNS = int(os.environ.get("SANDBOX_PARALLEL_RUNS", "100"))


def all_at_once(tasks: int, work: Callable[[int], Any]) -> Counter[str]:
    """Do the work in as many threads, begun together; return how often each outcome came."""
    begin = threading.Barrier(tasks)

    def one(number: int) -> str:
        begin.wait()
        try:
            work(number)
        except Denied:
            return "denied"
        return "done"

    with concurrent.futures.ThreadPoolExecutor(tasks) as pool:
        return Counter(pool.map(one, range(tasks)))


def test_of_many_parallel_runs_with_one_call_left_one_runs(scratch: Path, in_process: None, watch: agencies.Watch) -> None:
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=2)
        network.run(explanation, grant=grant)
        one_run = watch.queries
        outcomes = all_at_once(RUNS, lambda _: network.run(explanation, grant=grant))
        assert outcomes == {"done": 1, "denied": RUNS - 1}
        assert agencies.uses(network) == 2
        assert agencies.kinds(network)["request.denied"] == RUNS - 1
        assert watch.queries == 2 * one_run - 2  # the commitments of the tables are made once
        agencies.require_sound(network, scratch)


def test_the_terms_calls_hold_under_parallel_grants(scratch: Path, in_process: None) -> None:
    with agencies.make(scratch / "w", terms="written") as network:
        network.set_policy(agencies.people_terms())
        network.set_policy(agencies.lab_terms(max_calls=2))
        explanation = agencies.ask(network)
        grants = [network.approve(explanation) for _ in range(6)]
        outcomes = all_at_once(6, lambda number: network.run(explanation, grant=grants[number]))
        assert outcomes == {"done": 2, "denied": 4}
        assert agencies.asset_uses(network, "lab.tests") == 2
        agencies.require_sound(network, scratch)


def test_parallel_runs_all_come_to_sound_evidence(scratch: Path, in_process: None) -> None:
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=6)
        assert all_at_once(6, lambda _: network.run(explanation, grant=grant)) == {"done": 6}
        first, *others = network.products()
        assert all(product.rows() == first.rows() for product in others)
        commitments = {item.root for kept in network.manager.records.products() for item in kept.case_file.commitments}
        assert len(commitments) == 2
        assert len({item.id for item in network.products()}) == 6
        agencies.require_sound(network, scratch)


def test_parallel_questions_approvals_and_signatures(scratch: Path, in_process: None) -> None:
    with agencies.make(scratch / "w") as network:

        def whole(number: int) -> None:
            agencies.answer(network, agencies.QUESTION.replace("SUM", ("AVG", "COUNT")[number % 2]))

        assert all_at_once(4, whole) == {"done": 4}
        grant = network.request(agencies.ask(network))
        assert all_at_once(3, lambda number: network.sign(grant.grant.id, grant.grant.signers[number])) == {"done": 3}
        complete = network.manager.records.grant(grant.grant.id)
        assert {item.party for item in complete.signed.signatures} == set(grant.grant.signers)
        assert complete.issued is not None
        agencies.require_sound(network, scratch)


# A stop in the middle


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether to stop is asked at every chunk, so that what a test sees does not depend on the machine's speed."""
    monkeypatch.setattr(session, "CANCEL_INTERVAL_S", 0.0)


STEPS = (
    "registry: read",
    "lab: read",
    "registry: blind",
    "lab: pass on",
    "operator: open",
    "operator: add up",
    "manager: decrypt",
)


@pytest.mark.parametrize("step", STEPS)
def test_a_revocation_stops_the_run_at_its_next_chunk(step: str, scratch: Path, in_process: None, eager: None) -> None:
    after: list[str] = []
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=3)

        def revoke(now: str, done: int, total: int) -> None:
            if after or now.startswith(step):
                after.append(now)
            if len(after) == 1:
                network.revoke(grant, by="lab", reason="an error in the table")

        with pytest.raises(Denied) as caught:
            network.run(explanation, grant=grant, on_progress=revoke)
        assert "revoked" in str(caught.value)
        assert exit_code(caught.value) == 3
        assert not any(name.startswith("gate") for name in after)
        assert len(after) <= 3
        assert agencies.kinds(network)["task.aborted"] == 1
        assert agencies.uses(network) == 0
        assert network.products() == ()
        assert agencies.answer(network).rows()
        agencies.require_sound(network, scratch)


def test_a_revocation_while_the_gate_judges_still_stops_the_release(
    scratch: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.tasks import judging

    judged = judging.release
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=3)

        def release(*arguments: Any) -> Any:
            found = judged(*arguments)
            if not network.manager.is_revoked(grant):
                network.revoke(grant, by="registry", reason="late, and not too late")
            return found

        monkeypatch.setattr(judging, "release", release)
        with pytest.raises(Denied, match="revoked"):
            network.run(explanation, grant=grant)
        assert agencies.uses(network) == 0
        assert agencies.kinds(network)["task.aborted"] == 1
        assert network.products() == ()
        monkeypatch.undo()
        agencies.require_sound(network, scratch)


def test_an_expiry_while_a_run_computes_stops_the_release(scratch: Path, in_process: None) -> None:
    clock = agencies.Hand()
    with agencies.make(scratch / "w", clock=clock) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, days=1)
        with pytest.raises(Denied, match="ended"):
            network.run(explanation, grant=grant, on_progress=lambda *_: clock.turn(hours=2))
        assert agencies.uses(network) == 0
        assert network.products() == ()
        assert agencies.kinds(network)["task.aborted"] == 1


@pytest.mark.parametrize("step", STEPS)
def test_whoever_runs_may_stop_and_keeps_the_use(step: str, scratch: Path, in_process: None, eager: None) -> None:
    reached: list[str] = []
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        with pytest.raises(Cancelled):
            network.run(
                explanation,
                grant=grant,
                on_progress=lambda now, done, total: reached.append(now),
                is_stopped=lambda: bool(reached) and reached[-1].startswith(step),
            )
        assert agencies.uses(network) == 0
        assert [task.state for task in network.manager.records.tasks()] == ["cancelled"]
        assert network.run(explanation, grant=grant).rows()
        agencies.require_sound(network, scratch)


def test_a_peers_fault_gives_the_use_back(scratch: Path, in_process: None) -> None:
    def fail(sender: str, recipient: str, frame: bytes) -> None:
        raise OSError("the line is cut")

    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        with pytest.raises(OSError, match="cut"):
            network.run(explanation, grant=grant, on_frame=fail)
        assert [task.state for task in network.manager.records.tasks()] == ["failed"]
        assert network.run(explanation, grant=grant).rows()
        agencies.require_sound(network, scratch)


def test_a_withheld_answer_costs_the_use(scratch: Path, in_process: None) -> None:
    others = agencies.measurements()
    others["id"] += agencies.ROWS - 8
    tables = {"registry": {"people": agencies.people_table()}, "lab": {"tests": agencies.lab_table(others)}}
    with agencies.make(scratch / "w", tables) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        with pytest.raises(Withheld) as caught:
            network.run(explanation, grant=grant)
        assert exit_code(caught.value) == 4
        assert agencies.uses(network) == 1
        assert agencies.kinds(network)["product.withheld"] == 1
        assert network.products() == ()
        with pytest.raises(Denied, match="used up"):
            network.run(explanation, grant=grant)
        agencies.require_sound(network, scratch)


# Tests that run in the background would hand down that SIGINT is ignored.
PROGRAM = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from support import agencies, inprocess_worker
from sandbox.sources import source
if {in_process}:
    source.run_worker = inprocess_worker.run_worker
with agencies.make(Path({path!r})) as network:
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    def tell(step, done, total):
        print(step, flush=True)
        if step.startswith({step!r}):
            sys.stdin.readline()
    try:
        network.run(explanation, grant=grant, on_progress=tell)
    except KeyboardInterrupt:
        print("states", [task.state for task in network.manager.records.tasks()], agencies.uses(network), flush=True)
        sys.exit(130)
"""


@pytest.mark.parametrize(("step", "in_process"), [("registry: read", False), ("lab: pass on", True), ("gate: check", True)])
def test_ctrl_c_gives_the_use_back_and_leaves_the_workspace_usable(step: str, in_process: bool, scratch: Path) -> None:
    program = textwrap.dedent(PROGRAM).format(path=str(scratch / "w"), step=step, in_process=in_process)
    folders = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith(step):
        assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "states ['cancelled'] 0" in output
    with agencies.make(scratch / "w") as network:
        agencies.require_sound(network, scratch)
        (kept,) = network.manager.records.grants()
        assert network.run(agencies.ask(network), grant=kept.signed).rows()


def test_a_stop_that_comes_before_the_gate_judges_is_a_stop(scratch: Path) -> None:
    reached: list[str] = []
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        with pytest.raises(Cancelled):
            network.run(
                explanation,
                grant=grant,
                on_progress=lambda step, done, total: reached.append(step),
                is_stopped=lambda: reached[-1:] == ["gate: check and release"],
            )
        assert agencies.uses(network) == 0
        assert network.products() == ()
        agencies.require_sound(network, scratch)


def children_of(process: int) -> set[int]:
    """Processes whose parent is this one; Linux."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.add(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_stopped_run_leaves_no_worker_behind(scratch: Path) -> None:
    before = children_of(os.getpid())
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        asked: list[int] = []

        def stopped() -> bool:
            asked.append(len(children_of(os.getpid()) - before))
            return asked[-1] > 0

        with pytest.raises(Cancelled):
            network.run(explanation, grant=grant, is_stopped=stopped)
        assert 1 <= max(asked) <= 2  # the fragment's worker, and the one that reads the table to commit to it
        assert children_of(os.getpid()) <= before
        assert agencies.uses(network) == 0
