"""The life of a task: every legal move in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal as OneOf

from sandbox.errors import StateError

TaskState = OneOf["planned", "approved", "running", "released", "withheld", "failed", "cancelled"]

TRANSITIONS: Mapping[TaskState, frozenset[TaskState]] = {
    "planned": frozenset({"approved", "cancelled", "failed"}),
    "approved": frozenset({"running", "cancelled", "failed"}),
    "running": frozenset({"released", "withheld", "failed", "cancelled"}),
    "released": frozenset(),
    "withheld": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}


def move(task: str, current: TaskState, following: TaskState) -> TaskState:
    """Return the new state. Raises StateError for a move that the table does not have."""
    if following not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it has ended"
        raise StateError(f"task {task} is {current} and cannot become {following}; from here it can become {allowed}")
    return following
