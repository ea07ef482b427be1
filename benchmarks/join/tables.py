"""Raw tables of two providers, made from a seed, and the answer of DuckDB on both together."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols import join, psi

Ints = npt.NDArray[np.int64]
DOMAIN = psi.KeyDomain(name="benchmark", types=("integer",))
BOUND = 1_000_000
GROUPS = 3
# What the cases are called, and what they are there for.
CASES = {
    "plain": "unique keys on both sides, two thirds in common, three groups",
    "all": "unique keys, all in common",
    "none": "unique keys, none in common",
    "one-group": "unique keys, every row in one group",
    "one-key": "all rows of one list, but a few, are of one key",
    "repeating": "keys repeat on both sides, a few of them very often",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """One provider's raw table: (n,) int64 each."""

    key: Ints
    group: Ints
    value: Ints


def raw_table(case: str, side: int, rows: int) -> Raw:
    """Return the table of provider 0 or 1."""
    random = np.random.default_rng([side, rows, sorted(CASES).index(case)])
    start = {"plain": rows // 3, "none": rows}.get(case, 0) * side
    key = start + random.permutation(rows)
    if case == "one-key" and side == 0:
        key = np.concatenate((np.zeros(rows - 100, dtype=np.int64), np.arange(1, 101)))
    if case == "repeating":
        key = np.minimum(random.zipf(1.5, rows), rows // 4)
    groups = GROUPS if side == 0 and case != "one-group" else 1
    return Raw(key=key, group=random.integers(groups, size=rows), value=random.integers(BOUND + 1, size=rows))


def is_unique(case: str, side: int) -> bool:
    """Return whether a provider declares its keys unique."""
    return case != "repeating" and not (case == "one-key" and side == 0)


def provider_rows(raw: Raw) -> join.ProviderRows:
    """Return a raw table as a provider's rows; the role merges rows of one key and group."""
    ones = np.ones(len(raw.key), dtype=np.int64)
    return join.ProviderRows.of(
        keys=psi.encode_keys([raw.key], DOMAIN).keys,
        groups=raw.group,
        labels=[b"%d" % group for group in range(GROUPS)],
        multiplicities=ones,
        measures=[join.MeasureRows.of(counts=ones, sums=raw.value, squares=raw.value**2)],
    )


def expected(case: str, rows: int, min_keys: int) -> list[list[int]]:
    """Return for each large cell: group, keys, rows, and Σx, Σx² of both measures, by DuckDB on both tables."""
    import duckdb
    import pyarrow as pa

    left, right = (raw_table(case, side, rows) for side in (0, 1))
    with duckdb.connect() as connection:
        for name, raw in (("l", left), ("r", right)):
            columns: dict[str, Any] = {"k": raw.key, "g": raw.group, "x": raw.value}
            connection.register(name, pa.table(columns))
        found = connection.execute(
            """SELECT l.g, COUNT(DISTINCT l.k), COUNT(*), SUM(l.x)::HUGEINT, SUM(l.x::HUGEINT * l.x), SUM(r.x)::HUGEINT,
               SUM(r.x::HUGEINT * r.x) FROM l JOIN r ON l.k = r.k GROUP BY l.g HAVING COUNT(DISTINCT l.k) >= ? ORDER BY l.g""",
            [min_keys],
        )
        return [[int(number) for number in row] for row in found.fetchall()]


def released(result: join.JoinResult) -> list[list[int]]:
    """Return the gate's result in the same form."""
    found = []
    for cell in result.cells:
        left, right = cell.moments[0][0], cell.moments[1][0]
        found.append([int(cell.labels[0]), cell.keys, cell.rows, left.total, left.squares, right.total, right.squares])
    return sorted(found)  # type: ignore[type-var]
