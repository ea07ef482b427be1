"""Secure aggregation over its nodes: parts that answer in time contribute, and the rounds go on while enough remain."""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Mapping
from typing import cast

from protocols import aggregation
from protocols.aggregation.local import finishes
from protocols.errors import PartiesLost
from protocols.message import Message
from protocols.primitives.rng import OsRng
from sandbox.model.plan import Plan, PlanInput
from sandbox.model.product import AbsentPart, AbsentStep
from sandbox.node.conduct import Conduct
from sandbox.node.machinery import Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, Prepared, ProviderNode
from sandbox.node.rounds import run_rounds
from sandbox.node.session import Clockwork, SessionResult
from sandbox.tasks.adding import planned_params, sum_params
from sandbox.tasks.casefile import Task
from sandbox.tasks.judging import Judge, judge_of_cells
from sandbox.tasks.noised import noise_of, with_noise
from sandbox.tasks.totals import totals_table

POLL_S = 0.05
NOT_READ = "input"
"""The step of a part that never contributed; later ones are the operator's, from `advertise` to `unmask`."""


def gather(manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, conduct: Conduct) -> dict[str, Contribution]:
    """Return what each part brings that answered before none did for `conduct.timeout_s`; each of them is in the log.

    Raises PartiesLost where fewer are left than a sum needs, and what a part's own source raises: a fault in its
    data is refused by name, not passed over.
    """
    plan = task.plan
    params = planned_params(plan)
    prepared = _prepare_all(manager, nodes, task, conduct.clockwork, conduct.timeout_s)
    if len(prepared) < params.threshold:
        lost = [entry.provider for entry in plan.inputs if entry.provider not in prepared]
        raise PartiesLost(lost, f"{len(prepared)} of {len(plan.inputs)} parts answered where {params.threshold} are needed")
    step = "all parts: commit"
    found: dict[str, Contribution] = {}
    for entry in plan.inputs:
        if entry.provider in prepared:
            found[entry.provider] = nodes[entry.provider].commit(prepared[entry.provider], manager.logbook)
            conduct.clockwork.update(step, len(found), len(prepared))
    return found


def play(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    task: Task,
    contributions: Mapping[str, Contribution],
    *,
    machines: Machines,
    conduct: Conduct,
) -> tuple[SessionResult, Judge]:
    """Play the rounds; return the session, and the judge of the sum's cells, which nobody else sees."""
    plan, clockwork, session = task.plan, conduct.clockwork, secrets.token_bytes(16)
    parties = {entry.provider: entry.asset for entry in plan.inputs if entry.provider in contributions}
    params = sum_params(
        plan,
        session=session,
        keys={name: nodes[name].identity.public.to_bytes() for name in parties},
        gate_key=manager.identity.public.to_bytes(),
        inputs=plan.digest(),
        parties=parties,
    )
    progress = clockwork.progress()
    # The parts' threads report nothing: the account of a run's time is the desk's.
    quiet = type(progress)(is_cancelled=clockwork.is_cancelled)
    operator = aggregation.SumOperator(plan.operator, params, mapper=machines.mapper, progress=progress)
    gate = aggregation.SumGate(
        plan.gate,
        params,
        manager.identity.sign_raw,
        history=aggregation.SumHistory(manager.records.sums(plan.digest())),
        progress=progress,
    )

    def cut(sender: str, message: Message) -> bool:
        step = nodes[sender].cut_after
        return step is not None and step != "input" and finishes(params, step, message)

    result = run_rounds(
        session,
        operator,
        gate,
        {name: nodes[name].sum_role(plan, params, contributions[name], progress=quiet) for name in parties},
        timeout_s=conduct.timeout_s,
        is_cancelled=clockwork.is_cancelled,
        on_frame=conduct.on_frame,
        cut=cut,
    )
    total: aggregation.SumResult = result.outputs[plan.gate]
    with manager.ledger.transaction(manager.clock()) as transaction:
        manager.records.add_sum(transaction.connection, plan.digest(), total.survivors)
    clockwork.update(f"{plan.gate}: add up", 1, 1)
    kept = [index for index, entry in enumerate(plan.inputs) if entry.provider in total.survivors]
    totals = total.values
    if plan.rules.noise is not None and plan.rules.noise.where == "gate":
        totals = with_noise(plan, totals, noise_of(plan, shares=1), OsRng())
    absent = _absent(plan, contributions, result, total.survivors)
    return result, judge_of_cells(plan, totals_table(plan, totals, kept), absent=absent)


def _absent(
    plan: Plan, contributions: Mapping[str, Contribution], result: SessionResult, survivors: tuple[str, ...]
) -> tuple[AbsentPart, ...]:
    outcome: aggregation.SumOutcome = result.outputs[plan.operator]
    found = []
    for entry in plan.inputs:
        if entry.provider in result.outputs:
            continue
        step = outcome.dropped.get(entry.provider, "unmask") if entry.provider in contributions else NOT_READ
        known = cast(AbsentStep, step)
        counted = entry.provider in survivors
        found.append(AbsentPart(provider=entry.provider, asset=entry.asset, step=known, counted=counted))
    return tuple(found)


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
