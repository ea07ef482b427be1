"""A table of rows judged whole: every check, in order; whatever does not pass withholds all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sandbox.gate.rows import anonymity, counts, identifiers, linkage, promise, together
from sandbox.gate.rows.table import RowTable
from sandbox.model.decision import Finding
from sandbox.model.product import ReleaseRecord, RiskFigure

ALONE = (promise, identifiers, anonymity, linkage)
WITH_HISTORY = (together, counts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRows:
    """What the gate found. record: for the history, if the table is published; None where a check could not even be made."""

    findings: tuple[Finding, ...]
    figures: tuple[RiskFigure, ...]
    record: ReleaseRecord | None

    @property
    def passes(self) -> bool:
        """Whether the table may be published."""
        return self.record is not None and all(item.verdict == "pass" for item in self.findings)


def judge_rows(rows: RowTable, history: Sequence[ReleaseRecord]) -> JudgedRows:
    """Return what every check finds. A table that is not the promised one is looked at no further."""
    first = promise.check(rows)
    if any(item.verdict != "pass" for item in first):
        return JudgedRows(findings=first, figures=(), record=None)
    alone = [item for check in ALONE[1:] for item in check.check(rows)]
    before = [item for check in WITH_HISTORY for item in check.check(rows, history)]
    return JudgedRows(findings=(*first, *alone, *before), figures=figures_of(rows), record=counts.record_of_rows(rows))


def figures_of(rows: RowTable) -> tuple[RiskFigure, ...]:
    """Return the measures of a table, for its card."""
    sizes = rows.sizes
    found = [
        RiskFigure(measure="rows", of="", value=str(rows.table.num_rows)),
        RiskFigure(measure="rows left out", of="", value=str(rows.committed - rows.table.num_rows)),
        RiskFigure(measure="classes", of=", ".join(rows.release.quasi), value=str(len(sizes))),
        RiskFigure(measure="k", of=", ".join(rows.release.quasi), value=str(int(sizes.min()))),
        RiskFigure(measure="linkage", of="expected share of people found", value=f"{linkage.share(rows):.3g}"),
    ]
    for name in rows.release.sensitive:
        spread = anonymity.spread(rows.table.column(name), rows.classes)
        found.append(RiskFigure(measure="l", of=name, value=str(spread.distinct)))
        found.append(RiskFigure(measure="t", of=name, value=f"{spread.distance:.3g}"))
    return tuple(found)
