"""One computation: every provider commits to its input, the operator opens the session, the roles play, the gate releases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from protocols.errors import ListTooShort
from sandbox.audit.events import make_event
from sandbox.audit.note import SignedCheckpoint
from sandbox.errors import SandboxError, SourceError, Withheld
from sandbox.model.decision import Decision, Finding
from sandbox.model.evidence import SignedEvent
from sandbox.model.grant import SignedGrant
from sandbox.model.plan import Plan
from sandbox.node import added, fitted, joined, released
from sandbox.node.conduct import Conduct
from sandbox.node.gate import Proceedings, publish, withhold
from sandbox.node.machinery import Machinery, Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.provider import Contribution, ProviderNode, require_logged
from sandbox.node.session import SessionResult, signed_transcripts
from sandbox.sources.faults import SourceFault
from sandbox.tasks.casefile import ReleasedProduct, Task
from sandbox.tasks.judging import Judge

LAST_STEP = "gate: check and release"


class Course(Protocol):
    """How one protocol runs over the nodes: what each provider brings, then the roles' sessions and their answer's judge."""

    def gather(
        self, manager: ManagerNode, nodes: Mapping[str, ProviderNode], task: Task, conduct: Conduct
    ) -> dict[str, Contribution]: ...

    def play(
        self,
        manager: ManagerNode,
        nodes: Mapping[str, ProviderNode],
        task: Task,
        contributions: Mapping[str, Contribution],
        *,
        machines: Machines,
        conduct: Conduct,
    ) -> tuple[tuple[SessionResult, ...], Judge]: ...


COURSES: Mapping[str, Course] = {
    "join/1": joined,
    "keyed-join/1": joined,
    "aggregation/1": added,
    "fit/1": fitted,
    "release/1": released,
}
"""By the name that a plan gives its protocol, as `tasks/methods.py`."""


def answer(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    *,
    task: Task,
    decision: Decision,
    grant: SignedGrant,
    machinery: Machinery,
    conduct: Conduct,
) -> ReleasedProduct:
    """Play an authorised task over all its nodes, and release what the gate passes.

    Raises what the roles and sources raise, Denied, Cancelled, AuditError; Withheld if nothing passes, or for a provider's list
    below the minimum. The use is spent then (else filters could be tried until the size of a list is known), for rows under the
    question's own conditions that are not as declared, and however the task ends once weights have left the gate.
    """
    course = COURSES[task.plan.protocol]
    with contextlib.ExitStack() as spending:
        providers = (entry.provider for entry in task.plan.inputs)
        with machinery.for_task((*providers, task.plan.operator)) as machines:
            try:
                contributions = course.gather(manager, nodes, task, conduct)
            except SourceError as error:
                if _tells_of_rows(task.plan, error):
                    conduct.told.set()
                raise
            opened, seen = _open_session(manager, task, contributions)
            spending.enter_context(_spent_once_told(manager, task, decision, opened, conduct))
            sessions, judge = course.play(manager, nodes, task, contributions, machines=machines, conduct=conduct)
        proceedings = Proceedings(
            task=task,
            decision=decision,
            grants=tuple(manager.records.grant(item.grant.digest()) for item in (grant, *manager.ancestors(grant))),
            commitments=tuple(item.commitment for item in contributions.values()),
            transcripts=tuple(item for one in sessions for item in signed_transcripts(task.id, one, manager.workspace)),
            events=(task.authorised, *(item.event for item in contributions.values()), opened),
            opened=opened,
            checkpoints=(*(item.checkpoint for item in contributions.values()), seen),
        )
        conduct.clockwork.update(LAST_STEP, 0, 1)
        conduct.clockwork.require_wanted()
        product = publish(manager, proceedings, judge)
    conduct.clockwork.update(LAST_STEP, 1, 1)
    return product


@contextlib.contextmanager
def _spent_once_told(
    manager: ManagerNode, task: Task, decision: Decision, opened: SignedEvent, conduct: Conduct
) -> Iterator[None]:
    """Charge a task's use if it fails after it told something that its asker did not know."""
    try:
        yield
    except Withheld:
        raise
    except ListTooShort as error:
        withhold(manager, task, decision, opened)
        raise Withheld((_too_short(error),)) from None
    except BaseException:
        if conduct.told.is_set():
            with contextlib.suppress(SandboxError):  # what ended the task is what the caller must hear
                withhold(manager, task, decision, opened)
        raise


def _tells_of_rows(plan: Plan, error: SourceError) -> bool:
    """Whether a fault depends on the rows that the question chose: filters could else be tried until one hits a faulty row."""
    chooses = any(entry.filters for entry in plan.inputs)
    return chooses and (not isinstance(error, SourceFault) or error.code == "query-failed")


def _too_short(error: ListTooShort) -> Finding:
    return Finding(check="minimum_list", verdict="fail", subject=error.name, message=str(error))


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
