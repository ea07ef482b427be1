"""Who knows everybody's quasi-identifiers names the right row of a class with chance 1 over its size: within a bound.

Rule: classes / rows, the expected share of people found, counted exactly, so that no interval is needed. In a single class
nobody is told from anybody. Source: the marketer's risk of El Emam 2013 with everybody in the table.
"""

from __future__ import annotations

from sandbox.gate.rows.table import RowTable
from sandbox.model.decision import Finding

NAME = "linkage"


def check(rows: RowTable) -> tuple[Finding, ...]:
    """Return one finding."""
    found, bound = share(rows), float(rows.risk.linkage)
    words = f"{found:.3g} of people would be found by their quasi-identifiers, at most {bound:g}"
    return (rows.finding(NAME, "pass" if found <= bound else "fail", words),)


def share(rows: RowTable) -> float:
    """Return the expected share of people whose row is named by who knows all quasi-identifiers."""
    return (int(rows.classes.max()) + 1) / len(rows.classes)
