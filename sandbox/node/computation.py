"""One computation: every provider commits to its input, the operator opens the session, and the roles play the join."""

from __future__ import annotations

import concurrent.futures
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from protocols import join
from sandbox.audit.events import make_event
from sandbox.audit.note import SignedCheckpoint
from sandbox.model.decision import Decision
from sandbox.model.evidence import SignedEvent
from sandbox.model.grant import SignedGrant
from sandbox.node.gate import Proceedings
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, ProviderNode, require_logged
from sandbox.node.session import Clockwork, run_session, signed_transcripts
from sandbox.tasks.casefile import Task
from sandbox.tasks.protocol import join_params

OnFrame = Callable[[str, str, bytes], None]


def compute(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    *,
    task: Task,
    decision: Decision,
    grant: SignedGrant,
    clockwork: Clockwork,
    on_frame: OnFrame | None,
    allow_insecure_key: bool,
) -> tuple[Proceedings, join.JoinResult]:
    """Play an authorised task over all its nodes; return what they signed, and what the gate's role decrypted.

    The result is for the gate's checks alone. Raises what the roles and sources raise, Cancelled, AuditError.
    """
    plan = task.plan
    key = manager.gate_key(plan)
    params = join_params(plan, key.public_key.fingerprint)
    contributions = _contributions(manager, nodes, task, clockwork)
    opened, seen = _open_session(manager, task, contributions)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        common: dict[str, Any] = {
            "mapper": pool.map,
            "progress": clockwork.progress(),
            "allow_insecure_key": allow_insecure_key,
        }
        roles: dict[str, Any] = {
            name: nodes[name].role(params, contribution, **common) for name, contribution in contributions.items()
        }
        roles[plan.operator] = join.JoinOperator(plan.operator, params, **common)
        roles[plan.gate] = join.JoinGate(plan.gate, params, key, **common)
        session = run_session(secrets.token_bytes(16), roles, on_frame=on_frame)
    proceedings = Proceedings(
        task=task,
        decision=decision,
        grants=tuple(manager.records.grant(item.grant.digest()) for item in (grant, *manager.ancestors(grant))),
        commitments=tuple(item.commitment for item in contributions.values()),
        transcripts=signed_transcripts(task.id, session, manager.workspace),
        events=(task.authorised, *(item.event for item in contributions.values()), opened),
        opened=opened,
        checkpoints=(*(item.checkpoint for item in contributions.values()), seen),
    )
    return proceedings, session.outputs[plan.gate]


def _contributions(
    manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, clockwork: Clockwork
) -> dict[str, Contribution]:
    assets = manager.assets()
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


def _open_session(
    manager: ManagerNode, task: Task, contributions: Mapping[str, Contribution]
) -> tuple[SignedEvent, SignedCheckpoint]:
    """Log, in the operator's name, that the session begins, once every input is committed to."""
    seen = require_logged(task.authorised, manager.logbook, manager.workspace.trust(), None)
    event = make_event(
        "session.opened",
        party=task.plan.operator,
        task=task.id,
        time=manager.now(),
        subjects={"plan": task.plan.digest()},
        cites=[task.authorised, *(item.event for item in contributions.values())],
        checkpoint=seen.checkpoint.digest(),
    )
    opened = SignedEvent.sign(event, manager.workspace.identity(task.plan.operator))
    manager.logbook.append(opened)
    return opened, seen
