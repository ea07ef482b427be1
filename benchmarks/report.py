"""What a suite reports: tables as texts, which `sandbox bench` prints as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

CAUTION = "only ratios within one run mean something: load hits all alike"


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> dict[str, Any]:
    """Return a table for `document["tables"]`. left: that many columns, from the first, are aligned to the left."""
    return {"title": title, "headers": list(headers), "rows": [list(row) for row in rows], "left": left}


def spread(measured: dict[str, float] | None) -> str:
    """Return a ratio with its extremes over rounds, or nothing."""
    return "" if measured is None else f"{measured['ratio']:.3g} ({measured['lowest']:.3g}-{measured['highest']:.3g})"


def target(what: str, factor: float, measured: dict[str, float] | None, *, met: bool | None = None) -> dict[str, Any]:
    """Return a target and whether it is met: by what was measured, unless `met` says so; None where a side is missing."""
    verdict = measured["ratio"] >= factor if met is None and measured is not None else met
    return {"what": what, "factor": factor, "measured": measured, "met": verdict}


def contenders(named: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the table of who takes part: each name, and what differs about it."""
    return table("", ("contender", "what differs"), list(named), left=2)
