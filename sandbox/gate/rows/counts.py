"""A table of rows before released statistics: each class is a population with a count, judged as cells are.

The table's classes become the cells of a record, their labels conditions on the source's columns: intervals, ends, values.
Where a label is none of these (dates, prefixes, trees, masks) nothing can be compared, and beside comparable statistics that
is inconclusive. Rows that are left out count as removed. Of a part of a federated table no rows are released beside exact
totals, nor totals after its rows (`checks/difference.py`): the other parts' numbers would follow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal as OneOf

import msgspec
import pyarrow as pa

from sandbox.gate.checks import difference, reconstruction
from sandbox.gate.history.comparison import compare
from sandbox.gate.labels import to_literal
from sandbox.gate.rows.table import RowTable, codes_of
from sandbox.gate.rows.together import recorded
from sandbox.model.decision import Finding
from sandbox.model.expression import Branch, Case, ColumnRef, ColumnType, Compare, Expression, GroupRef, Literal, Logic
from sandbox.model.plan import Aggregate, Group, LocalGroup
from sandbox.model.product import RecordedCell, RecordedInput, ReleasedCount, ReleaseRecord
from sandbox.model.release import ReleasedColumn

NAME = "difference"
MOST_CELLS = 5_000
ALL = "*"
UNKNOWN = GroupRef(index=0)
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_INTERVAL = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\)")
_WHOLE = re.compile(r"-?[0-9]+")
_END = re.compile(rf"(<|>=) ({_NUMBER})")


def check(rows: RowTable, history: Sequence[ReleaseRecord]) -> tuple[Finding, ...]:
    """Return one finding."""
    if any(record.parts is not None and record.cells for record in history):
        return (rows.finding(NAME, "inconclusive", "totals of a federated table with this part in them were released before"),)
    past = [record for record in history if record.rows is None and record.cells]
    comparison = compare(msgspec.structs.replace(record_of_rows(rows), rows=None), past, rules=rows.plan.rules)
    for answer in (difference.check(comparison), reconstruction.check(comparison)):
        if answer.refused:
            certain = "fail" in answer.refused.values()
            words = f"{len(answer.refused)} classes beside released statistics tell of too few people, or may"
            return (rows.finding(NAME, "fail" if certain else "inconclusive", f"{words}; {answer.remark}"),)
    return (rows.finding(NAME, "pass", f"classes as counts: beside {len(comparison.past)} comparable releases of statistics"),)


def record_of_rows(rows: RowTable) -> ReleaseRecord:
    """Return the record of a table: a cell for each class, with its count, and whose row is in it."""
    plan, entry = rows.plan, rows.plan.inputs[0]
    shown = _conditions(rows)
    columns = [_labels(rows.table.column(name)) for name, _ in shown]
    sizes = Counter(zip(*columns, strict=True)) if columns else Counter({(): rows.table.num_rows})
    local = tuple(item for _, item in shown)
    removed = rows.committed > rows.table.num_rows
    kept = msgspec.structs.replace(entry, groups=local)
    return ReleaseRecord(
        version=1,
        plan_digest=plan.digest(),
        key_domain=plan.key_domain.name,
        inputs=(RecordedInput(input=kept, trimmed=removed, min_pattern=plan.rules.min_pattern),),
        groups=tuple(Group(name=name, input=0, local=at, type=item.type) for at, (name, item) in enumerate(shown)),
        aggregates=(Aggregate(function="count_rows"),),
        cells=tuple(
            RecordedCell(labels=tuple(key), counts=(ReleasedCount(aggregate=0, rows=size, keys=size),))
            for key, size in sorted(sizes.items(), key=lambda pair: repr(pair[0]))
        ),
        rows=recorded(rows),
    )


def _conditions(rows: RowTable) -> list[tuple[str, LocalGroup]]:
    """Return the quasi-identifiers that tell rows apart, each with what makes its labels of the source's column."""
    by_name = {column.name: column for column in rows.release.released}
    found = []
    for name in rows.release.quasi:
        column = rows.table.column(name)
        values = column.unique().to_pylist()
        if set(values) <= {None} or set(values) == {ALL}:
            continue
        expression = _expression(by_name[name], values)
        kind: ColumnType = by_name[name].source if isinstance(expression, ColumnRef) else "text"
        found.append((name, LocalGroup(expression=expression, type=kind)))
    if any(item.expression == UNKNOWN for _, item in found) or int(rows.classes.max()) >= MOST_CELLS:
        return [(rows.release.quasi[0], LocalGroup(expression=UNKNOWN, type="text"))]
    return found


def _expression(column: ReleasedColumn, values: Sequence[object]) -> Expression:
    """Values that were kept are the source's own; text is intervals, or ends, or numbers that a search left as they were."""
    if column.family == "keep":
        return ColumnRef(name=column.name)
    branches = [_branch(column, value) for value in values if isinstance(value, str)]
    found = sorted((branch for branch in branches if branch is not None), key=lambda branch: branch.result.value)
    is_known = column.family == "generalisation" and column.type == "text" and len(found) == len(branches)
    return Case(branches=tuple(found)) if is_known else UNKNOWN


def _branch(column: ReleasedColumn, label: str) -> Branch | None:
    """Return CASE's branch for a label; None for one that is no interval."""
    interval, end, result = _INTERVAL.fullmatch(label), _END.fullmatch(label), Literal(type="text", value=label)
    if interval:
        terms = (_compare(column.name, ">=", interval[1]), _compare(column.name, "<", interval[2]))
        return Branch(condition=Logic(op="and", terms=terms), result=result)
    if end:
        return Branch(condition=_compare(column.name, "<" if end[1] == "<" else ">=", end[2]), result=result)
    if column.source == "integer" and _WHOLE.fullmatch(label):
        return Branch(condition=_compare(column.name, "=", label), result=result)
    return None


def _compare(name: str, op: OneOf["<", ">=", "="], number: str) -> Compare:
    literal = Literal(type="decimal" if "." in number else "integer", value=number)
    return Compare(op=op, left=ColumnRef(name=name), right=literal)


def _labels(column: pa.ChunkedArray) -> list[Literal]:
    codes = codes_of(column).tolist()
    values = dict(zip(codes, column.to_pylist(), strict=True))
    literals = {code: to_literal(value) for code, value in values.items()}
    return [literals[code] for code in codes]
