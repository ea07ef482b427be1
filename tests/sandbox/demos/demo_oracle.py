"""A demo's question in DuckDB on the pooled tables: without the rows that the pattern rule removes, in exact integers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support import join_oracle

from sandbox.tasks.product import Product

MIN_KEYS = 10
SPREAD = re.compile(r"(AVG|STDDEV_SAMP)\((\w+\.\w+)\)")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One provider's table. alias, groups, where: its part of the question, in SQL. opened: O sees multiplicities."""

    name: str
    frame: pd.DataFrame
    key: Sequence[str]
    alias: str
    groups: str = "0"
    where: str = "TRUE"
    opened: bool = False


def without_rare(table: Table) -> pa.Table:
    """Return the rows that the table's filter and the pattern rule leave, one key at a time."""
    source = pa.Table.from_pandas(table.frame, preserve_index=False)
    connection = duckdb.connect()
    connection.register(table.alias, source.append_column("position", pa.array(range(len(source)), pa.int64())))
    columns = f"position, {table.groups}, {', '.join(table.key)}"
    rows = connection.table(table.alias).filter(table.where).project(columns).order("position").fetchall()
    labels = sorted({label for _, label, *_ in rows})
    named = [(at, None if None in key else tuple(key), labels.index(label)) for at, label, *key in rows]
    local = join_oracle.local_rows([(key, group, ()) for _, key, group in named], 0)
    kept = join_oracle.drop_rare(local, MIN_KEYS, table.opened)
    return source.take(pa.array([at for at, key, group in named if group in kept.get(key, {})], pa.int64()))


def pooled(sql: str, tables: Sequence[Table], scale: int) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return labels -> column -> exact value. A mean is a Fraction, a spread the Fraction of its variance, in steps of 1/scale.

    `keys`: distinct keys of the cell; `contributors`: those with a value.
    """
    connection = duckdb.connect()
    for table in tables:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.name.partition('.')[0]}")
        connection.from_arrow(without_rare(table)).create(table.name)
    key = re.search(r"COUNT\(DISTINCT (\([^)]*\)|[\w.]+)\)", sql)[1]
    measure = SPREAD.search(sql)[2]
    integer = f"CAST(round_even({measure} * {scale}, 0) AS HUGEINT)"
    moments = f"[COUNT({measure})::HUGEINT, SUM({integer})::HUGEINT, SUM({integer} * {integer})::HUGEINT]"
    extra = (
        f", COUNT(DISTINCT {key}) AS keys, COUNT(DISTINCT {key}) FILTER (WHERE {measure} IS NOT NULL) AS contributors\nFROM "
    )
    rows = connection.sql(SPREAD.sub(moments, sql).replace("\nFROM ", extra, 1)).to_arrow_table().to_pylist()
    functions = {name: function for function, name in re.findall(r"(AVG|STDDEV_SAMP)\([\w.]+\) AS (\w+)", sql)}
    counts = re.findall(r"COUNT\(.*\) AS (\w+)", sql)
    groups = [name for name in rows[0] if name not in (*functions, *counts, "keys", "contributors")]
    for row in rows:
        for name, function in functions.items():
            row[name] = _exact(function, *(int(value or 0) for value in row[name]), scale)
    return {tuple(row[name] for name in groups): row for row in rows}


def assert_exact(product: Product, expected: dict[tuple[Any, ...], dict[str, Any]]) -> set[str]:
    """Return the reasons for which something was withheld, after comparing every released number with the pooled tables.

    Fewer than ten keys must be withheld and any other number of this question be there; a row beyond the pooled
    answer must be one that the pattern rule removed.
    """
    withheld = {(tuple(literal.value for literal in item.labels), item.column): item.reason for item in product.withheld}
    width = len(next(iter(expected)))
    seen = set()
    for row in product.rows():
        labels = tuple(row[:width])
        names = [column.name for column in product.card.columns[width:]]
        text = tuple(str(label) for label in labels)
        if labels not in expected:
            assert {withheld[text, name] for name in names} == {"RARE_GROUP"}
            continue
        seen.add(labels)
        for name, value in zip(names, row[width:], strict=True):
            truth = expected[labels][name]
            cell = expected[labels]
            below = cell["keys"] < MIN_KEYS or (not isinstance(truth, int) and cell["contributors"] < MIN_KEYS)
            assert withheld.get((text, name)) == ("BELOW_K" if below else None), (labels, name)
            if not below:
                assert_same(value, truth)
    assert seen == set(expected)
    return set(withheld.values())


def assert_same(value: Any, truth: Any) -> None:
    """Return only if a number is the exact one, or for a root the nearest."""
    if isinstance(truth, _Root):
        assert value == pytest.approx(float(np.sqrt(float(truth.square))), rel=1e-15)
    elif isinstance(truth, Fraction):
        assert value == float(truth)
    else:
        assert value == truth


@dataclass(frozen=True)
class _Root:
    square: Fraction


def _exact(function: str, count: int, total: int, squares: int, scale: int) -> Fraction | _Root | None:
    if count < (1 if function == "AVG" else 2):
        return None
    if function == "AVG":
        return Fraction(total, count * scale)
    return _Root(Fraction(count * squares - total * total, count * (count - 1) * scale * scale))
