"""Parts of a federated table at their nodes: who answers in time commits to its rows and takes part, others are left out."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping

from protocols import aggregation
from protocols.aggregation.local import finishes
from protocols.errors import PartiesLost
from protocols.message import Message
from protocols.party import Mapper, Progress
from sandbox.model.plan import PlanInput
from sandbox.model.product import AbsentStep
from sandbox.node.conduct import Conduct
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, Prepared, ProviderNode
from sandbox.node.rounds import run_rounds
from sandbox.node.session import Clockwork, SessionResult
from sandbox.tasks.casefile import Task
from sandbox.tasks.methods import method_of

POLL_S = 0.05
NOT_READ: AbsentStep = "input"
"""The step of a part that never contributed; later ones are the operator's, from `advertise` to `unmask`."""


def gather(manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, conduct: Conduct) -> dict[str, Contribution]:
    """Return what each part brings that answered before none did for `conduct.timeout_s`; each of them is in the log.

    Raises PartiesLost where fewer are left than a sum needs, and what a part's own source raises: a fault in its
    data is refused by name, not passed over.
    """
    plan = task.plan
    fewest = method_of(plan).fewest(plan)
    prepared = _prepare_all(manager, nodes, task, conduct.clockwork, conduct.timeout_s)
    if len(prepared) < fewest:
        lost = [entry.provider for entry in plan.inputs if entry.provider not in prepared]
        raise PartiesLost(lost, f"{len(prepared)} of {len(plan.inputs)} parts answered where {fewest} are needed")
    step = "all parts: commit"
    found: dict[str, Contribution] = {}
    for entry in plan.inputs:
        if entry.provider in prepared:
            found[entry.provider] = nodes[entry.provider].commit(prepared[entry.provider], manager.logbook)
            conduct.clockwork.update(step, len(found), len(prepared))
    return found


def _cutting(nodes: Mapping[str, ProviderNode], params: aggregation.SumParams, number: int) -> Callable[[str, Message], bool]:
    """Return what says, for trials, whether a sender's line is cut after a message of round `number`."""

    def cut(sender: str, message: Message) -> bool:
        step = nodes[sender].cut_after
        if step is None or step == "input" or nodes[sender].cut_round != number:
            return False
        return finishes(params, step, message)

    return cut


def run_sum(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    params: aggregation.SumParams,
    parties: Mapping[str, aggregation.SumParty],
    *,
    conduct: Conduct,
    progress: Progress,
    mapper: Mapper,
    state: bytes = b"",
    number: int = 0,
) -> tuple[SessionResult, aggregation.SumResult]:
    """Play one secure sum over the link; return its session, and the sum, for the gate's checks alone.

    Over whom it went is kept before the sum is used: the same inputs are never summed over others. progress: of operator and
    gate. Raises PartiesLost, which names the silent, Cancelled, what the roles raise.
    """
    result = run_rounds(
        bytes.fromhex(params.session),
        aggregation.SumOperator(params.operator, params, mapper=mapper, progress=progress),
        aggregation.SumGate(
            params.gate.name,
            params,
            manager.identity.sign_raw,
            history=aggregation.SumHistory(manager.records.sums(params.inputs)),
            state=state,
            progress=progress,
        ),
        dict(parties),
        timeout_s=conduct.timeout_s,
        is_cancelled=conduct.clockwork.is_cancelled,
        on_frame=conduct.on_frame,
        cut=_cutting(nodes, params, number),
    )
    total: aggregation.SumResult = result.outputs[params.gate.name]
    with manager.ledger.transaction(manager.clock()) as transaction:
        manager.records.add_sum(transaction.connection, params.inputs, total.survivors)
    return result, total


def quiet(conduct: Conduct) -> Progress:
    """Return progress that can stop and reports nothing: the account of a run's time is the desk's, not the parts' threads'."""
    return Progress(is_cancelled=conduct.clockwork.is_cancelled)


def _prepare_all(
    manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, clockwork: Clockwork, timeout_s: float
) -> dict[str, Prepared]:
    """Read all parts side by side. A part that hangs is left behind: it is told to stop, and holds nobody up."""
    plan, assets, step = task.plan, manager.assets(), "all parts: read and add up"
    is_over, asked = threading.Event(), clockwork.is_cancelled
    turns = threading.Semaphore(os.cpu_count() or 1)
    answers: queue.SimpleQueue[tuple[str, Prepared | BaseException]] = queue.SimpleQueue()

    def read(index: int, entry: PlanInput) -> None:
        answer: Prepared | BaseException
        try:
            with turns:
                answer = nodes[entry.provider].prepare(
                    plan,
                    index,
                    assets[entry.asset],
                    task.authorised,
                    manager.logbook,
                    is_cancelled=lambda: is_over.is_set() or asked(),
                )
        except BaseException as error:  # raised again below, in the caller's thread
            answer = error
        answers.put((entry.provider, answer))

    reached = [(index, entry) for index, entry in enumerate(plan.inputs) if nodes[entry.provider].cut_after != NOT_READ]
    for index, entry in reached:
        threading.Thread(target=read, args=(index, entry), name=f"read-{entry.provider}", daemon=True).start()
    prepared: dict[str, Prepared] = {}
    heard = time.monotonic()
    clockwork.update(step, 0, len(plan.inputs))
    try:
        while len(prepared) < len(reached) and time.monotonic() - heard < timeout_s:
            clockwork.progress().check()
            try:
                provider, answer = answers.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if isinstance(answer, BaseException):
                raise answer
            prepared[provider], heard = answer, time.monotonic()
            clockwork.update(step, len(prepared), len(plan.inputs))
    finally:
        is_over.set()
    return prepared
