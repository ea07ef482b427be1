"""No direct identifier stands in the table: every column is scanned, free text and long whole numbers included.

Rule: no value that a recogniser knows, no column of names. A kind that the rules let a column hold, by name, is passed over;
so is a column that is encrypted to values of the same form, which its provider compares with the original. Source: recognisers
with check digits, `protocols/desensitise`.
"""

from __future__ import annotations

from protocols.desensitise.recognisers import KINDS
from protocols.desensitise.survivors import FinalScan
from sandbox.gate.rows.table import RowTable
from sandbox.model.decision import Finding

NAME = "identifiers"
BATCH_ROWS = 1 << 16


def check(rows: RowTable) -> tuple[Finding, ...]:
    """Return a finding for each kind that survives in a column, or one that none does."""
    skip = {column.name: KINDS if column.keeps_form else column.may_hold for column in rows.release.released}
    scan = FinalScan(skip=skip, identifiers=(), permuted=())
    for batch in rows.table.to_batches(max_chunksize=BATCH_ROWS):
        scan.look(batch, batch)
    found = scan.survivors()
    if not found:
        return (rows.finding(NAME, "pass", f"no identifier is recognised in {rows.table.num_columns} columns"),)
    return tuple(
        rows.finding(NAME, "fail", f"column {each.column!r}: {each.count} × {each.kind}", column=each.column) for each in found
    )
