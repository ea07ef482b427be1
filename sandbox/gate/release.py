"""Release: every check over every cell, then the table that may be shown, and the record that history keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.gate import table as tables
from sandbox.gate.cells import Cell, CellTable, Labels, empty_cell, pair_of, validate
from sandbox.gate.checks import (
    difference,
    dominance,
    fit,
    minimum_contributors,
    minimum_keys,
    rare_group,
    reconstruction,
    secondary,
)
from sandbox.gate.checks.outcome import Subject
from sandbox.gate.exact import Value, aggregate_value, measure_of
from sandbox.gate.findings import Tallies
from sandbox.gate.history.comparison import compare
from sandbox.gate.labels import order_key, to_literal
from sandbox.gate.record import merged, record_of, without, without_cells
from sandbox.gate.table import JudgedCell, OutputColumn
from sandbox.model.decision import Finding, Reason
from sandbox.model.expression import AggregateRef
from sandbox.model.plan import Aggregate, Plan
from sandbox.model.product import NullMark, ReleaseRecord, WithheldCell

AGGREGATE_CHECKS = (minimum_contributors, dominance, fit)
_Reasons = dict[int, Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What leaves the gate. rows: typed Python values, NULL as None.

    withheld and no_values: every NULL's reason, also of rows that HAVING or LIMIT leaves out. marks: the same by place, for
    the rows that are shown. record: what the history must keep if this release is published. nothing_released: there were
    cells, and none has a value.
    """

    columns: tuple[OutputColumn, ...]
    rows: tuple[tuple[Value, ...], ...]
    withheld: tuple[WithheldCell, ...]
    no_values: tuple[WithheldCell, ...]
    marks: tuple[NullMark, ...]
    findings: tuple[Finding, ...]
    record: ReleaseRecord
    nothing_released: bool

    def to_arrow(self) -> Any:
        """Return the rows as a pyarrow.Table."""
        return tables.to_arrow(self.columns, self.rows)


def release(plan: Plan, table: CellTable, history: Sequence[ReleaseRecord] = ()) -> Release:
    """Judge every cell, withhold what does not pass, and arrange the rest. Pure; the same arguments give the same release.

    history: records of every earlier release of any of the plan's assets, whoever asked. Raises UsageError for cells that
    contradict the plan.
    """
    validate(plan, table)
    cells = _in_order(plan, table)
    tallies = Tallies()
    reasons = {cell.labels: _judge(plan, cell, table.overlap, tallies) for cell in cells}
    rare = rare_group.check(plan, table)
    tallies["rare_group"].add("fail", len(rare))
    tallies["minimum_keys"].add("fail", len(table.below))
    small = [cell.labels for cell in cells if minimum_keys.check(_of_keys(plan, cell, table.overlap)).reason is not None]
    record = record_of(plan, table, cells, rare, withheld=reasons, small=small)
    comparison = compare(record, _exact(plan, history), rules=plan.rules)
    apart = difference.check(comparison)
    bounded = reconstruction.check(comparison.less(apart.refused, difference.REASON))
    record = without(without(record, apart.refused, difference.REASON), bounded.refused, reconstruction.REASON)
    for answer, reason in ((apart, difference.REASON), (bounded, reconstruction.REASON)):
        for position, aggregate in answer.refused:
            reasons[cells[position].labels][aggregate] = reason
    _tally(tallies, plan, record, apart, bounded)
    if bounded.merge:
        record = merged(record)
        reasons = {labels: dict.fromkeys(found, reconstruction.REASON) for labels, found in reasons.items()}
        tallies.merge("reconstruction", apart=("rare_group",))
    judged = [_judged(plan, cell, reasons[cell.labels]) for cell in cells]
    judged += [_unseen(plan, labels, reconstruction.REASON if bounded.merge else "BELOW_K") for labels in table.below]
    judged += [_unseen(plan, labels, "RARE_GROUP") for labels in rare]
    return _assemble(plan, judged, tallies.findings(), record if plan.rules.noise is None else without_cells(record))


def _tally(
    tallies: Tallies, plan: Plan, record: ReleaseRecord, apart: difference.Answer, bounded: reconstruction.Answer
) -> None:
    """Count what the checks against history found; where reasons are merged, all that is withheld is the last one's."""
    released = sum(len(cell.counts) for cell in record.cells)
    for name, answer, passed in (
        (difference.NAME, apart, released + len(bounded.refused)),
        (reconstruction.NAME, bounded, released),
    ):
        for verdict in answer.refused.values():
            tallies[name].add(verdict)
        tallies[name].add("pass", passed)
        tallies[name].remark = answer.remark if plan.rules.noise is None else "noise and its budget stand in its place"
    if bounded.merge:
        missing = len(plan.aggregates) * len(record.cells) - released - len(bounded.refused)
        undecided = "inconclusive" in bounded.refused.values()
        tallies[reconstruction.NAME].add("inconclusive" if undecided else "fail", missing)


def _exact(plan: Plan, history: Sequence[ReleaseRecord]) -> Sequence[ReleaseRecord]:
    """Earlier releases that a difference can be told from: exact ones, which alone record cells. None for noisy numbers."""
    return () if plan.rules.noise is not None else [record for record in history if record.cells]


def _in_order(plan: Plan, table: CellTable) -> tuple[Cell, ...]:
    """Cells by labels, so that what is withheld never depends on the order of arrival; without GROUP BY there is always one."""
    if plan.groups or table.cells or table.below:
        return tuple(sorted(table.cells, key=lambda cell: order_key(cell.labels)))
    return (empty_cell(plan),)


def _judge(plan: Plan, cell: Cell, overlap: int, tallies: Tallies) -> _Reasons:
    """Run the checks that need this cell only; return the reason of each aggregate that is withheld."""
    subjects = [_subject(plan, cell, overlap, aggregate) for aggregate in plan.aggregates]
    whole = minimum_keys.check(_of_keys(plan, cell, overlap))
    tallies[minimum_keys.NAME].add(whole.verdict)
    if whole.reason is not None:
        return dict.fromkeys(range(len(subjects)), whole.reason)
    reasons: _Reasons = {}
    for index, subject in enumerate(subjects):
        for check in AGGREGATE_CHECKS:
            outcome = check.check(subject)
            tallies[check.NAME].add(outcome.verdict)
            if outcome.reason is not None:
                reasons[index] = outcome.reason
                break
    standing = [index for index in range(len(subjects)) if index not in reasons]
    # Of noisy numbers, rows less values say nothing that the noise does not cover.
    second = () if plan.rules.noise else secondary.check(plan, cell, standing, overlap=overlap)
    tallies[secondary.NAME].add("fail", len(second))
    tallies[secondary.NAME].add("pass", len(standing) - len(second))
    return reasons | dict.fromkeys(second, "SECONDARY")


def _of_keys(plan: Plan, cell: Cell, overlap: int) -> Subject:
    return _subject(plan, cell, overlap, Aggregate(function="count_keys"))


def _subject(plan: Plan, cell: Cell, overlap: int, aggregate: Aggregate) -> Subject:
    measure = measure_of(plan, aggregate)
    if aggregate.input is None or aggregate.measure is None:
        return Subject(rules=plan.rules, cell=cell, aggregate=aggregate, measure=None, moments=None, overlap=overlap)
    pair = pair_of(aggregate)
    if pair is None:
        moments = cell.moments[aggregate.input, aggregate.measure]
        return Subject(rules=plan.rules, cell=cell, aggregate=aggregate, measure=measure, moments=moments, overlap=overlap)
    return Subject(
        rules=plan.rules,
        cell=cell,
        aggregate=aggregate,
        measure=measure,
        moments=cell.pairs[pair].first,
        pair=cell.pairs[pair],
        overlap=overlap,
        second_measure=plan.inputs[pair[1][0]].measures[pair[1][1]],
    )


def _judged(plan: Plan, cell: Cell, reasons: Mapping[int, Reason]) -> JudgedCell:
    stated: _Reasons = dict(reasons)
    values: list[Value] = []
    for index, aggregate in enumerate(plan.aggregates):
        value = None if index in reasons else aggregate_value(plan, aggregate, cell)
        if value is None:
            stated.setdefault(index, "NO_VALUES")
        values.append(value)
    return JudgedCell(labels=cell.labels, values=tuple(values), reasons=stated)


def _unseen(plan: Plan, labels: Labels, reason: Reason) -> JudgedCell:
    count = len(plan.aggregates)
    return JudgedCell(labels=labels, values=(None,) * count, reasons=dict.fromkeys(range(count), reason))


def _assemble(plan: Plan, judged: Sequence[JudgedCell], findings: tuple[Finding, ...], record: ReleaseRecord) -> Release:
    columns = tables.columns(plan, judged)
    withheld: list[WithheldCell] = []
    no_values: list[WithheldCell] = []
    for entry in _nulls(plan, judged):
        (no_values if entry.reason == "NO_VALUES" else withheld).append(entry)
    shown = tables.arrange(plan, judged)
    return Release(
        columns=columns,
        rows=tuple(tables.row(plan, cell) for cell in shown),
        withheld=tuple(withheld),
        no_values=tuple(no_values),
        marks=tuple(_marks(plan, shown)),
        findings=findings,
        record=record,
        nothing_released=bool(judged) and all(cell.wholly_withheld for cell in judged),
    )


def _marks(plan: Plan, shown: Sequence[JudgedCell]) -> Iterable[NullMark]:
    """Every explained NULL of the rows that are shown, by its place in the table."""
    for row, cell in enumerate(shown):
        for column, item in enumerate(plan.select):
            if isinstance(item.source, AggregateRef) and item.source.index in cell.reasons:
                yield NullMark(row=row, column=column, reason=cell.reasons[item.source.index])


def _nulls(plan: Plan, judged: Iterable[JudgedCell]) -> Iterable[WithheldCell]:
    """Every NULL of the question's columns with its reason, by labels: also of rows that HAVING or LIMIT leaves out."""
    for cell in sorted(judged, key=lambda cell: order_key(cell.labels)):
        labels = tuple(map(to_literal, cell.labels))
        for item in plan.select:
            if isinstance(item.source, AggregateRef) and item.source.index in cell.reasons:
                yield WithheldCell(labels=labels, column=item.name, reason=cell.reasons[item.source.index])
