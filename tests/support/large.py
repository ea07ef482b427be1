"""Two tables whose values and keys can be searched for, long enough to be mapped from a disk, and their pooled answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from support import agencies

import sandbox
from sandbox.embedded import Embedded
from sandbox.model.compute import Compute

ROWS = 1200
KEYS = [7_313_131_000_000_017 + 104_729 * row for row in range(ROWS)]
VALUES = [512_345_678_901 + 7_919 * (row * 37 % 1009) for row in range(ROWS)]
DISTRICTS = ("canary-east-gate", "canary-west-gate", "canary-north-gate")
QUESTION = """
SELECT p.district, COUNT(*) AS n, SUM(t.amount) AS total
FROM registry.people p JOIN lab.tests t ON t.id = p.id GROUP BY p.district
"""
MAPPED = Compute(in_memory_bytes=0)


def _people() -> pd.DataFrame:
    return pd.DataFrame({"id": KEYS, "district": [DISTRICTS[row % 3] for row in range(ROWS)]})


def _tests() -> pd.DataFrame:
    order = [row * 7 % ROWS for row in range(ROWS) if row % 11]
    return pd.DataFrame({"id": [KEYS[row] for row in order], "amount": [VALUES[row] for row in order]})


def make(path: Path, compute: Compute = MAPPED) -> Embedded:
    """Create or open the network."""
    roles = {"district": "quasi_identifier"}
    registry = sandbox.table(_people(), key="id", key_domain="person", unique=True, roles=roles)
    lab = sandbox.table(_tests(), key="id", key_domain="person", bounds={"amount": (0, 10**12)})
    return agencies.make(path, {"registry": {"people": registry}, "lab": {"tests": lab}}, compute=compute)


def answer(network: Embedded, **options: Any) -> list[tuple[Any, ...]]:
    """Ask, approve and run; return the rows, sorted."""
    explanation = agencies.ask(network, QUESTION)
    product = network.run(explanation, grant=network.approve(explanation, calls=3), **options)
    return sorted((row[0], int(row[1]), int(row[2])) for row in product.rows())


def pooled() -> list[tuple[Any, ...]]:
    """Return what DuckDB answers over both tables in one place, sorted."""
    connection = duckdb.connect()
    connection.register("people", _people())
    connection.register("tests", _tests())
    sql = QUESTION.replace("registry.people", "people").replace("lab.tests", "tests")
    return sorted(connection.execute(sql).fetchall())
