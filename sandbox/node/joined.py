"""The encrypted join over its nodes: every provider contributes, then the roles of one session play."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from protocols import join
from sandbox.node.conduct import Conduct
from sandbox.node.machinery import Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, ProviderNode
from sandbox.node.session import SessionResult, run_session
from sandbox.tasks.casefile import Task
from sandbox.tasks.judging import Judge, judge_of_cells
from sandbox.tasks.protocol import cell_table, join_params


def gather(manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, conduct: Conduct) -> dict[str, Contribution]:
    """Return what every provider brings, one after the other. Any of them can stop the task."""
    # A key that cannot be made or used is refused before anybody reads a row.
    join_params(task.plan, manager.gate_key(task.plan).public_key.fingerprint)
    assets, clockwork = manager.assets(), conduct.clockwork
    found: dict[str, Contribution] = {}
    for index, entry in enumerate(task.plan.inputs):
        step = f"{entry.provider}: read, aggregate and commit"
        clockwork.update(step, 0, 1)
        found[entry.provider] = nodes[entry.provider].contribute(
            task.plan,
            index,
            assets[entry.asset],
            task.authorised,
            manager.logbook,
            is_cancelled=clockwork.is_cancelled,
        )
        clockwork.update(step, 1, 1)
    return found


def play(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    task: Task,
    contributions: Mapping[str, Contribution],
    *,
    machines: Machines,
    conduct: Conduct,
) -> tuple[tuple[SessionResult, ...], Judge]:
    """Play the session; return it with the judge of the cells that the gate's role decrypted, which nobody else sees.

    Nobody can be missing: a join without one of its lists is another question.
    """
    plan = task.plan
    key = manager.gate_key(plan)
    params = join_params(plan, key.public_key.fingerprint)
    common: dict[str, Any] = {
        "mapper": machines.mapper,
        "progress": conduct.clockwork.progress(),
        "allow_insecure_key": conduct.allow_insecure_key,
    }
    roles: dict[str, Any] = {
        name: nodes[name].role(params, contribution, scratch=machines.scratch[name], **common)
        for name, contribution in contributions.items()
    }
    roles[plan.operator] = join.JoinOperator(
        plan.operator, params, workers=machines.workers, scratch=machines.scratch[plan.operator], **common
    )
    roles[plan.gate] = join.JoinGate(plan.gate, params, key, **common)
    session = run_session(secrets.token_bytes(16), roles, on_frame=conduct.on_frame)
    return (session,), judge_of_cells(plan, cell_table(plan, session.outputs[plan.gate]))
