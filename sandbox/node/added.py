"""Secure aggregation over its nodes: parts that answer in time contribute, and the rounds go on while enough remain."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import cast

from protocols import aggregation
from protocols.primitives.rng import OsRng
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart, AbsentStep
from sandbox.node.conduct import Conduct
from sandbox.node.machinery import Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.parts import NOT_READ, gather, quiet, run_sum
from sandbox.node.provider import Contribution, ProviderNode
from sandbox.node.session import SessionResult
from sandbox.tasks.adding import sum_params
from sandbox.tasks.casefile import Task
from sandbox.tasks.judging import Judge, judge_of_cells
from sandbox.tasks.noised import noise_of, with_noise
from sandbox.tasks.totals import totals_table

__all__ = ["gather", "play"]


def play(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    task: Task,
    contributions: Mapping[str, Contribution],
    *,
    machines: Machines,
    conduct: Conduct,
) -> tuple[tuple[SessionResult, ...], Judge]:
    """Play the rounds; return the session, and the judge of the sum's cells, which nobody else sees."""
    plan, clockwork = task.plan, conduct.clockwork
    parties = {entry.provider: entry.asset for entry in plan.inputs if entry.provider in contributions}
    params = sum_params(
        plan,
        session=secrets.token_bytes(16),
        keys={name: nodes[name].identity.public.to_bytes() for name in parties},
        gate_key=manager.identity.public.to_bytes(),
        inputs=plan.digest(),
        parties=parties,
    )
    silent = quiet(conduct)
    result, total = run_sum(
        manager,
        nodes,
        params,
        {name: nodes[name].sum_role(plan, params, contributions[name], progress=silent) for name in parties},
        conduct=conduct,
        progress=clockwork.progress(),
        mapper=machines.mapper,
    )
    clockwork.update(f"{plan.gate}: add up", 1, 1)
    kept = [index for index, entry in enumerate(plan.inputs) if entry.provider in total.survivors]
    totals = total.values
    if plan.rules.noise is not None and plan.rules.noise.where == "gate":
        totals = with_noise(plan, totals, noise_of(plan, shares=1), OsRng())
    absent = _absent(plan, contributions, result, total.survivors)
    return (result,), judge_of_cells(plan, totals_table(plan, totals, kept), absent=absent)


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
