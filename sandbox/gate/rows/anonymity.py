"""k, ℓ and t of classes of rows, counted from the table alone.

Rules: each class has at least k rows, at least l values of each sensitive column, and a distribution of it within t of
the whole table's: ordered distance for numbers and dates, equal distance otherwise. A missing value is a value. Sources:
Samarati and Sweeney 1998; Machanavajjhala and others 2007; Li and others 2007.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.gate.rows.table import Ints, RowTable, codes_of
from sandbox.model.decision import Finding

SLACK = 1e-9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a sensitive column varies in the worst class. distinct: values; distance: to the whole table's distribution.

    ordered: whether the distance follows an order of the values.
    """

    distinct: int
    distance: float
    ordered: bool


def check(rows: RowTable) -> tuple[Finding, ...]:
    """Return one finding on k, and two for each sensitive column."""
    sizes, k = rows.sizes, rows.risk.k
    smallest = int(sizes.min())
    message = f"{len(sizes)} classes; the smallest has {'at least' if smallest >= k else 'fewer than'} {k} rows"
    found = [rows.finding("k", "pass" if smallest >= k else "fail", message)]
    for name in rows.release.sensitive:
        found += judged(rows, name, spread(rows.table.column(name), rows.classes), "")
    return tuple(found)


def judged(rows: RowTable, name: str, found: Spread, where: str, prefix: str = "") -> list[Finding]:
    """Return the findings on l and t of a sensitive column. where: words on which classes they are; prefix: of names."""
    asked, most = rows.risk.l, float(rows.risk.t)
    least = f"at least {asked} values in each class{where}" if found.distinct >= asked else f"fewer than {asked} in one{where}"
    near = found.distance <= most + SLACK
    far = f"distribution within {most:g} in each class{where}" if near else f"further than {most:g} away in a class{where}"
    return [
        rows.finding(f"{prefix}l", "pass" if found.distinct >= asked else "fail", f"{name!r}: {least}", column=name),
        rows.finding(f"{prefix}t", "pass" if near else "fail", f"{name!r}: {far}", column=name),
    ]


def spread(column: pa.ChunkedArray, classes: Ints) -> Spread:
    """Return how a column varies within classes, (rows,) numbers from 0 on, at the worst."""
    codes, size = codes_of(column), 0
    size = int(codes.max()) + 1
    place = _order(column, codes)
    overall = np.bincount(codes, minlength=size) / len(codes)
    order = np.argsort(classes, kind="stable")
    distinct, distance = size, 0.0
    for part in np.split(order, np.flatnonzero(np.diff(classes[order])) + 1):
        counts = np.bincount(codes[part], minlength=size)
        distinct = min(distinct, int(np.count_nonzero(counts)))
        apart = counts / len(part) - overall
        if place is None:
            distance = max(distance, float(np.abs(apart).sum()) / 2)
        else:
            distance = max(distance, float(np.abs(np.cumsum(apart[place]))[:-1].sum()) / (size - 1))
    return Spread(distinct=distinct, distance=distance, ordered=place is not None)


def _order(column: pa.ChunkedArray, codes: Ints) -> Ints | None:
    """Return the codes from the lowest value to the highest; None where values have no order, one is missing, all are one."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)) or column.null_count:
        return None
    if pa.types.is_floating(kind) and pc.any(pc.is_nan(column)).as_py():
        return None
    first = np.unique(codes, return_index=True)[1]
    if len(first) < 2:
        return None
    values = column.combine_chunks().take(pa.array(first))
    found: Ints = pc.sort_indices(values).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
