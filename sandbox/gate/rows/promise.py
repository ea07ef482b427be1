"""The table is the one that the plan promises: its columns and types, its label, as many rows as were committed to.

Rules: schema and label as the plan's rules give them; rows at least `min_list`; rows left out at most the profile's part of the
committed ones; a different tag on each row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sandbox.gate.rows.table import RowTable
from sandbox.model.decision import Finding

SLACK = 1e-9
TYPES: Mapping[str, pa.DataType] = {
    "integer": pa.int64(),
    "float": pa.float64(),
    "text": pa.large_string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def check(rows: RowTable) -> tuple[Finding, ...]:
    """Return one finding on the columns, and one on the number of rows."""
    return (columns(rows), _number(rows))


def columns(rows: RowTable) -> Finding:
    """Return the finding on columns, types and label."""
    promised = [(column.name, TYPES.get(column.type or "")) for column in rows.release.released]
    found = [(field.name, field.type) for field in rows.table.schema]
    if found != promised:
        return rows.finding(
            "columns", "fail", f"the table's {len(found)} columns or their types are not the {len(promised)} promised"
        )
    if _plain(rows.table.schema.metadata) != label_of(rows):
        return rows.finding("columns", "fail", "the table does not carry the promised label, or carries more")
    if any(field.metadata for field in rows.table.schema):
        return rows.finding("columns", "fail", "a column carries words beside its values")
    return rows.finding("columns", "pass", f"{len(found)} columns, of the promised names and types, under the promised label")


def _number(rows: RowTable) -> Finding:
    number, asked = rows.table.num_rows, rows.plan.rules.min_list
    left_out, limit = rows.committed - number, float(rows.risk.suppression)
    if rows.tags is None or number != len(rows.tags) or len(np.unique(rows.tags)) != number:
        return rows.finding("rows", "fail", "the rows' tags are not one for each row, each another one")
    if number < asked:
        return rows.finding("rows", "fail", f"fewer than {asked} rows would be released")
    if not 0 <= left_out <= limit * rows.committed + SLACK:
        return rows.finding(
            "rows", "fail", f"not all but {limit:.3g} of the committed rows are in the table, or more than those"
        )
    return rows.finding("rows", "pass", f"{number} rows, {left_out} of {rows.committed} left out, at most {limit:.3g} of them")


def label_of(rows: RowTable) -> dict[str, str]:
    """Return what must travel with the table."""
    release, plan = rows.release, rows.plan
    return {"label": release.label, "plan": plan.digest(), "asset": release.asset, "purpose": plan.purpose}


def _plain(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in (metadata or {}).items()}
