"""One computation: every provider commits to its input, the operator opens the session, and the roles play."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from sandbox.audit.events import make_event
from sandbox.audit.note import SignedCheckpoint
from sandbox.gate.cells import CellTable
from sandbox.model.decision import Decision
from sandbox.model.evidence import SignedEvent
from sandbox.model.grant import SignedGrant
from sandbox.model.product import AbsentPart
from sandbox.node import added, joined
from sandbox.node.gate import Proceedings
from sandbox.node.machinery import Machinery
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, ProviderNode, require_logged
from sandbox.node.session import Clockwork, SessionResult, signed_transcripts
from sandbox.tasks.casefile import Task

OnFrame = Callable[[str, str, bytes], None]
_Gather = Callable[[ManagerNode, Mapping[str, ProviderNode], Task, Clockwork], dict[str, Contribution]]
_Play = Callable[..., tuple[SessionResult, CellTable, tuple[AbsentPart, ...]]]


def compute(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    *,
    task: Task,
    decision: Decision,
    grant: SignedGrant,
    clockwork: Clockwork,
    machinery: Machinery,
    on_frame: OnFrame | None,
    allow_insecure_key: bool,
    timeout_s: float,
) -> tuple[Proceedings, CellTable]:
    """Play an authorised task over all its nodes; return what they signed, and the cells that the gate's role decrypted.

    The cells are for the gate's checks alone. timeout_s: how long silence is waited out where the protocol can go on
    without a party. Raises what the roles and sources raise, Cancelled, AuditError.
    """
    if task.plan.joins:
        gather: _Gather = joined.gather
        play: _Play = functools.partial(joined.play, allow_insecure_key=allow_insecure_key)
    else:
        gather = functools.partial(added.gather, timeout_s=timeout_s)
        play = functools.partial(added.play, timeout_s=timeout_s)
    providers = (entry.provider for entry in task.plan.inputs)
    with machinery.for_task((*providers, task.plan.operator)) as machines:
        contributions = gather(manager, nodes, task, clockwork)
        opened, seen = _open_session(manager, task, contributions)
        session, table, absent = play(
            manager, nodes, task, contributions, machines=machines, clockwork=clockwork, on_frame=on_frame
        )
    proceedings = Proceedings(
        task=task,
        decision=decision,
        grants=tuple(manager.records.grant(item.grant.digest()) for item in (grant, *manager.ancestors(grant))),
        commitments=tuple(item.commitment for item in contributions.values()),
        transcripts=signed_transcripts(task.id, session, manager.workspace),
        events=(task.authorised, *(item.event for item in contributions.values()), opened),
        opened=opened,
        absent=absent,
        checkpoints=(*(item.checkpoint for item in contributions.values()), seen),
    )
    return proceedings, table


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
