"""Random questions over random tables: what is released equals DuckDB on the pooled tables, exactly."""

from __future__ import annotations

import os
import random
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support import join_oracle, questions

from sandbox.gate.release import release
from sandbox.model.plan import Plan
from sandbox.tasks.protocol import cell_table
from sandbox.tasks.rows import provider_rows

CASES = int(os.environ.get("SANDBOX_ORACLE_CASES", "300"))


def without_rare(plan: Plan, case: questions.Case) -> dict[str, pa.Table]:
    """Apply the pattern rule to the raw tables, key by key, in plain Python: drop the raw rows that it drops."""
    tables = {}
    for index, entry in enumerate(plan.inputs):
        table, at = case.tables[entry.asset], int(entry.provider[1:])
        expressions = [text for provider, text in case.groups if provider == at]
        conditions = [part for part in case.where.split(" AND ") if part.startswith(f"t{at}.")] if case.where else []
        if " BETWEEN " in case.where:
            conditions = [c + " AND 9" if "BETWEEN" in c else c for c in conditions]
        connection = duckdb.connect()
        connection.register("raw", table.append_column("row", pa.array(range(len(table)), pa.int64())))
        label = f"({', '.join(expressions)})" if expressions else "0"
        where = " WHERE " + " AND ".join(conditions) if conditions else ""
        rows = connection.execute(f"SELECT row, id, {label}::VARCHAR FROM raw t{at}{where} ORDER BY row").fetchall()
        # Ties between groups are broken by the order of their encoded labels.
        order = provider_rows(entry, plan.key_domain, questions.local_table(plan, index, case).to_batches()).labels
        numbers = {text: number for number, text in enumerate(label_texts(order, connection))}
        local = join_oracle.local_rows([(key, numbers.get(text, -1), ()) for _, key, text in rows], 0)
        kept = join_oracle.drop_rare(local, case.rules.min_pattern, entry.opens_multiplicity and not entry.unique)
        keep = [row for row, key, text in rows if key is not None and numbers.get(text) in kept.get(key, {})]
        tables[entry.asset] = table.take(pa.array(keep, pa.int64()))
    return tables


def label_texts(labels: tuple[bytes, ...], connection: duckdb.DuckDBPyConnection) -> list[str | None]:
    from sandbox.tasks.protocol import decode_labels

    texts = []
    for encoded in labels:
        values = decode_labels(encoded)
        if not values:
            texts.append("0")
        elif len(values) == 1:
            texts.append(connection.execute("SELECT ?::VARCHAR", [values[0]]).fetchone()[0])
        else:
            texts.append(connection.execute(f"SELECT ({', '.join('?' for _ in values)})::VARCHAR", list(values)).fetchone()[0])
    return texts


@pytest.mark.parametrize("seed", range(CASES))
def test_released_values_equal_the_pooled_tables(seed: int) -> None:
    case = questions.make_case(random.Random(seed))
    plan = questions.compiled(case)
    released = release(plan, cell_table(plan, questions.run(plan, case)))
    expected = {cell["labels"]: cell for cell in questions.pooled(case, without_rare(plan, case))}
    withheld = {(tuple(literal_value(x) for x in item.labels), item.column): item.reason for item in released.withheld}
    width = len(case.groups)
    names = [column.name for column in released.columns]
    seen = set()
    k = case.rules.min_keys
    for row in released.rows:
        labels = tuple(row[:width])
        if not any(value is not None for value in row[width:]) and labels not in expected:
            assert all(withheld[tuple(map(plain, labels)), name] == "RARE_GROUP" for name in names[width:])
            continue
        seen.add(labels)
        cell = expected[labels]
        number = 0
        for at, (function, provider, column) in enumerate(case.aggregates):
            value, name = row[width + at], names[width + at]
            reason = withheld.get((tuple(map(plain, labels)), name))
            contributors = cell["keys"]
            if function == "COUNT_STAR":
                truth: Any = cell["rows"]
            elif function == "COUNT_KEYS":
                truth = cell["keys"]
            else:
                contributors, count, total, squares = cell["moments"][number]
                number += 1
                truth = questions.exact(function, count, total, squares, questions.scale_of(case, provider, column))
            below = 0 < cell["keys"] < k or 0 < contributors < k
            assert (reason == "BELOW_K") == below, (name, reason, cell)
            if reason is None:
                assert_same(value, truth)
            else:
                assert value is None
    unseen = {labels for labels in expected if labels not in seen}
    assert not unseen or (not case.groups and expected[()]["keys"] == 0)


def literal_value(literal: Any) -> Any:
    return plain(None if literal.type == "null" else literal.value)


def plain(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def assert_same(value: Any, truth: Any) -> None:
    if isinstance(truth, tuple):
        root = float(np.sqrt(float(truth[1])))
        assert value == pytest.approx(root, rel=1e-15)
    elif isinstance(truth, Fraction):
        assert Fraction(value) == truth or value == float(truth)
    else:
        assert value == truth
