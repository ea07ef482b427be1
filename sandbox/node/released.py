"""A desensitised table's way over its nodes: its provider reads, changes and attacks it, and hands it to the gate alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from protocols import handover
from sandbox.node.conduct import Conduct
from sandbox.node.machinery import Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, ProviderNode
from sandbox.node.session import SessionResult, run_session
from sandbox.tasks.casefile import Task
from sandbox.tasks.judging import Judge
from sandbox.tasks.released.judging import judge_of_rows
from sandbox.tasks.released.releasing import handover_params


def gather(manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, conduct: Conduct) -> dict[str, Contribution]:
    """Return what the provider brings: its table under the rules, already attacked, and the commitment to its rows."""
    (entry,), clockwork = task.plan.inputs, conduct.clockwork
    step = f"{entry.provider}: read, desensitise, attack and commit"
    clockwork.update(step, 0, 1)
    found = nodes[entry.provider].contribute(
        task.plan,
        0,
        manager.assets()[entry.asset],
        task.authorised,
        manager.logbook,
        is_cancelled=clockwork.is_cancelled,
    )
    clockwork.update(step, 1, 1)
    return {entry.provider: found}


def play(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    task: Task,
    contributions: Mapping[str, Contribution],
    *,
    machines: Machines,
    conduct: Conduct,
) -> tuple[tuple[SessionResult, ...], Judge]:
    """Play the session; return it with the judge of the table that reached the gate."""
    plan, params, progress = task.plan, handover_params(task.plan), conduct.clockwork.progress()
    ((name, contribution),) = contributions.items()
    roles: dict[str, Any] = {
        name: nodes[name].table_role(plan, params, contribution, progress=progress),
        plan.operator: handover.Opener(plan.operator, params, progress=progress),
        plan.gate: handover.TableGate(plan.gate, params, progress=progress),
    }
    session = run_session(secrets.token_bytes(16), roles, on_frame=conduct.on_frame)
    received: handover.HandedOver = session.outputs[plan.gate]
    identity = manager.workspace.parties[name].identity
    return (session,), judge_of_rows(plan, received, contribution.commitment, identity)
