"""Groups that a provider's pattern rule removed before blinding stay in the table, withheld (RARE_GROUP).

A group whose every key had a rare pattern cannot appear as a cell; leaving it out would say that nobody is in it.
"""

from __future__ import annotations

from sandbox.gate.cells import CellTable, Labels
from sandbox.model.plan import Plan

NAME = "rare_group"


def check(plan: Plan, table: CellTable) -> tuple[Labels, ...]:
    """Return the vanished labels that name a whole cell: those of an input that holds all of the plan's groups.

    Where groups come from several inputs, a vanished label names no single cell; the product card counts it instead.
    """
    known = {cell.labels for cell in table.cells} | set(table.below)
    rare: list[Labels] = []
    for note in table.notes:
        if not plan.groups or any(group.input != note.input for group in plan.groups):
            continue
        for local in note.vanished:
            labels = tuple(local[group.local] for group in plan.groups)
            if labels not in known:
                known.add(labels)
                rare.append(labels)
    return tuple(rare)
