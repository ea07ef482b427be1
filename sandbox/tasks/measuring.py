"""What the certificate of a table of cells holds: measured from the published rows, the plan and the card alone.

Nothing here can fail for a table that the gate judged rightly; whoever recomputes it finds a gate that did not, or that signed
other figures than the table has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sandbox.model.certificate import AttackResult, Figure, Measurement
from sandbox.model.decision import Finding, Reason
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.measured import Measured, verdict
from sandbox.tasks.plausible import contradicts, intervals, is_possible
from sandbox.tasks.shown import Shown, number_columns, shown_rows

if TYPE_CHECKING:
    import pyarrow as pa

OVER_THE_HISTORY: Mapping[str, Reason] = {"difference": "DIFFERENCE", "reconstruction": "RECONSTRUCTION"}
"""Checks that compare with every earlier release, and the reason that they give. An auditor who has them runs them again."""
COUNTS = ("count_rows", "count", "count_keys")


def measure_cells(plan: Plan, table: pa.Table, card: ProductCard) -> Measured:
    """Return the measures of a product of cells."""
    rows = shown_rows(plan, table)
    found = (
        *_table(plan, table, card),
        *_smallest(plan, rows, card),
        *_apart(plan, rows, card),
        *_withheld(card),
        _unexplained(plan, rows, card),
        *_beyond(plan, rows),
        _contradicting(plan, rows),
        *gate_checks(card, "cells"),
    )
    return Measured(measures=found, attacks=tuple(over_the_history(card, "cells")))


def least_count(plan: Plan, card: ProductCard, people: int) -> int:
    """Return the smallest count that may be shown: `people` behind it, of whom each may stand among several parts' rows."""
    overlap = plan.overlap(len(card.sources))
    return (people - 1) * overlap + 1


def _table(plan: Plan, table: pa.Table, card: ProductCard) -> Iterator[Measurement]:
    """The payload is the table that the card describes."""
    limit = plan.limit
    names = tuple(column.name for column in card.columns)
    same = table.num_rows == card.rows and tuple(table.column_names) == names == tuple(item.name for item in plan.select)
    yield Measurement(
        name="rows",
        subject="product",
        value=str(table.num_rows),
        threshold=None if limit is None else str(limit),
        verdict=verdict(same and (limit is None or table.num_rows <= limit)),
        how="bundle",
        note="as many rows, and the columns, that the card and the question say",
    )


def _smallest(plan: Plan, rows: list[Shown], card: ProductCard) -> Iterator[Measurement]:
    """The smallest COUNT that is shown, above 0, of each column of counts."""
    for name, aggregate in number_columns(plan, COUNTS):
        people = plan.rules.min_contributors if aggregate.function == "count" else plan.rules.min_keys
        least = least_count(plan, card, people)
        counts = [int(value) for row in rows if (value := row.values[name])]
        smallest = min(counts, default=None)
        yield Measurement(
            name="smallest_count",
            subject=name,
            value=None if smallest is None else str(smallest),
            threshold=str(least),
            verdict=verdict(smallest is None or smallest >= least),
            how="bundle",
            note=f"{len(counts)} counts above 0",
        )


def _apart(plan: Plan, rows: list[Shown], card: ProductCard) -> Iterator[Measurement]:
    """The fewest rows without a value that COUNT(*) and COUNT(x) of one cell tell, above none. Noise hides them."""
    if plan.rules.noise is not None or not any(number_columns(plan, ("count_rows",))):
        return
    least = least_count(plan, card, plan.rules.min_contributors)
    for name, _ in number_columns(plan, ("count",)):
        told = [(row.rows, value) for row in rows if (value := row.values[name]) is not None]
        gaps = [gap for total, value in told if total is not None and (gap := total - int(value))]
        smallest = min(gaps, default=None)
        yield Measurement(
            name="smallest_rest",
            subject=name,
            value=None if smallest is None else str(smallest),
            threshold=str(least),
            verdict=verdict(smallest is None or smallest >= least),
            how="bundle",
            note=f"rows without a value, in {len(gaps)} cells",
        )


def _withheld(card: ProductCard) -> Iterator[Measurement]:
    """How many numbers, and cells, were withheld for each reason; a check that did not pass must have given it."""
    given = {finding.reason for finding in card.findings if finding.verdict != "pass"}
    for reason in sorted({item.reason for item in card.withheld}):
        numbers = [item.labels for item in card.withheld if item.reason == reason]
        yield Measurement(
            name="withheld_numbers",
            subject=reason,
            value=str(len(numbers)),
            threshold=None,
            verdict=verdict(reason in given),
            how="bundle",
            note=f"in {len(set(map(repr, numbers)))} cells",
        )


def _unexplained(plan: Plan, rows: list[Shown], card: ProductCard) -> Measurement:
    """NULLs among the numbers without a reason, reasons where a number stands, reasons that the card's lists do not have."""
    marks = {(mark.row, card.columns[mark.column].name): mark.reason for mark in card.marks if mark.column < len(card.columns)}
    nulls = {(at, name) for at, row in enumerate(rows) for name, _ in number_columns(plan) if row.values[name] is None}
    wrong = len(nulls ^ marks.keys()) + len(card.marks) - len(marks)
    listed = Counter((item.column, item.reason) for item in (*card.withheld, *card.no_values))
    wrong += (Counter((name, reason) for (_, name), reason in marks.items()) - listed).total()
    return Measurement(
        name="unexplained_nulls",
        subject="product",
        value=str(wrong),
        threshold="0",
        verdict=verdict(wrong == 0),
        how="bundle",
        note=f"{len(nulls)} NULLs among the numbers shown",
    )


def _beyond(plan: Plan, rows: list[Shown]) -> Iterator[Measurement]:
    """Numbers that no values within the declared bounds can give."""
    for name, aggregate in number_columns(plan):
        of = intervals(plan, aggregate)
        if not of:
            continue
        judged = [(value, row) for row in rows if (value := row.values[name]) is not None]
        fine = (is_possible(aggregate.function, of, value, row.count_of(aggregate), row.rows) for value, row in judged)
        wrong = sum(not item for item in fine)
        yield Measurement(
            name="beyond_bounds",
            subject=name,
            value=str(wrong),
            threshold="0",
            verdict=verdict(wrong == 0),
            how="bundle",
            note=f"{len(judged)} numbers against the declared bounds",
        )


def _contradicting(plan: Plan, rows: list[Shown]) -> Measurement:
    """Rows whose numbers contradict each other, and rows of one label."""
    wrong = sum(contradicts(row) for row in rows)
    if all(row.is_labelled for row in rows):
        wrong += len(rows) - len({repr(row.labels) for row in rows})
    return Measurement(
        name="contradictions",
        subject="product",
        value=str(wrong),
        threshold="0",
        verdict=verdict(wrong == 0),
        how="bundle",
        note=f"{len(rows)} rows: counts, SUM against AVG, spreads against each other, every cell once",
    )


def gate_checks(card: ProductCard, subject: str) -> Iterator[Measurement]:
    """Yield the gate's checks, which judged what nobody else has seen: each withheld what it did not pass."""
    for finding in card.findings:
        if finding.check not in OVER_THE_HISTORY:
            yield Measurement(
                name=finding.check,
                subject=subject,
                value=None,
                threshold=None,
                verdict=verdict(_stopped(finding)),
                how="gate",
                note=_said(finding),
            )


def over_the_history(card: ProductCard, subject: str) -> Iterator[AttackResult]:
    """Yield the attacks with every earlier release: how many numbers would have told of too few people, and are withheld."""
    for finding in card.findings:
        if finding.check in OVER_THE_HISTORY:
            withheld = sum(item.reason == OVER_THE_HISTORY[finding.check] for item in card.withheld)
            yield AttackResult(
                name=finding.check,
                subject=subject,
                parameters={"people": str(card.rules.min_difference)},
                seed=None,
                figures=(Figure(name="withheld", value=str(withheld)),),
                threshold=None,
                verdict=verdict(_stopped(finding)),
                needs="history",
                note=_said(finding),
            )


def _stopped(finding: Finding) -> bool:
    """Whether a check withheld what it did not pass."""
    return finding.verdict == "pass" or finding.reason is not None


def _said(finding: Finding) -> str:
    return finding.message if finding.verdict == "pass" else f"{finding.message}: what did not pass is withheld"
