"""Federated tables for tests: random parts of one schema, random questions over them, and DuckDB on their union."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

import sandbox
from sandbox.catalogue import TableDefinition, declare, declare_federation, federation
from sandbox.model.asset import Asset
from sandbox.model.federation import Federation
from sandbox.model.fit import FitQuestion
from sandbox.model.plan import GateRules, Parameters, Plan
from sandbox.planning import compile_fit, compile_question, fragment, require_sound, rules_for
from sandbox.tasks.totals import part_vector

NAME = "census.people"
LOOSE = GateRules(
    profile="test",
    version=1,
    min_keys=1,
    min_contributors=0,
    min_pattern=1,
    min_list=0,
    dominance_1=None,
    dominance_2=None,
    p_percent=None,
    min_difference=1,
    min_freedom=-2,
)
SCHEMA = [
    ("id", "integer"),
    ("zone", "text"),
    ("sex", "integer"),
    ("member", "boolean"),
    ("age", "integer"),
    ("income", "integer"),
    ("score", "float"),
    ("paid", "decimal"),
]
GROUPS = [
    "zone",
    "sex",
    "member",
    "age",
    "age // 7",
    "(age // 5) // 3",
    "income // 300",
    "CASE WHEN age < 30 THEN 'young' WHEN age < 60 THEN 'middle' END",
    "CASE WHEN score > 0 THEN 1 ELSE 0 END",
]
# DuckDB's // truncates towards zero, ours floors.
FLOORS = {
    "(age // 5) // 3": "CAST(floor(floor(age / 5) / 3) AS BIGINT)",
    "age // 7": "CAST(floor(age / 7) AS BIGINT)",
    "income // 300": "CAST(floor(income / 300) AS BIGINT)",
}
AGGREGATES = [
    "COUNT(*)",
    "COUNT(income)",
    "COUNT(score)",
    "COUNT(zone)",
    "SUM(income)",
    "SUM(paid)",
    "AVG(score)",
    "AVG(income)",
    "VAR_SAMP(income)",
    "VAR_POP(score)",
    "STDDEV_SAMP(paid)",
    "STDDEV_POP(income)",
]
PAIRS = ["CORR(income, age)", "COVAR_SAMP(score, income)", "COVAR_POP(age, paid)", "REGR_SLOPE(income, score)"]
WHERE = ["", "age >= 30", "zone IN ('a', 'b')", "income IS NOT NULL AND sex = 1", "score < 0.5 OR member", "age < -1"]


def definition(data: Any = None, **changes: Any) -> TableDefinition:
    """One part's declaration; `changes` replace fields."""
    fields: dict[str, Any] = {
        "key": "id",
        "key_domain": "person",
        "bounds": {"age": (-5, 80), "income": (-1000, 2000), "score": (-1, 1), "paid": (0, 100)},
        "scales": {"score": 1024, "paid": 100},
        "codes": {"zone": ["a", "b", "c"], "sex": [0, 1]},
        "roles": {"member": "quasi_identifier"},
    }
    return sandbox.table(pd.DataFrame({name: [] for name, _ in SCHEMA}) if data is None else data, **(fields | changes))


def people(chance: random.Random, rows: int, ids: Sequence[int]) -> pa.Table:
    """Rows of one part, NULLs among them; values on the declared grids, so that DuckDB's doubles are exact too."""

    def some(make: Any, gaps: float = 0.15) -> list[Any]:
        return [None if chance.random() < gaps else make() for _ in range(rows)]

    columns = {
        "id": pa.array([chance.choice(ids) for _ in range(rows)], pa.int64()),
        "zone": pa.array(some(lambda: chance.choice("abc")), pa.string()),
        "sex": pa.array(some(lambda: chance.randrange(2)), pa.int64()),
        "member": pa.array(some(lambda: chance.random() < 0.5), pa.bool_()),
        "age": pa.array(some(lambda: chance.randint(-5, 80)), pa.int64()),
        "income": pa.array(some(lambda: chance.randint(-1000, 2000)), pa.int64()),
        "score": pa.array(some(lambda: chance.randint(-1024, 1024) / 1024), pa.float64()),
        "paid": pa.array(some(lambda: Decimal(chance.randint(0, 10_000)) / 100), pa.decimal128(9, 2)),
    }
    return pa.table(columns)


@dataclass(frozen=True)
class Case:
    """A federated table and a question over it. tables: by part."""

    tables: Mapping[str, pa.Table]
    assets: Mapping[str, Asset]
    federation: Federation
    sql: str
    groups: int

    def plan(self, rules: GateRules = LOOSE) -> Plan:
        return compiled(self.sql, self.assets, self.federation, rules)

    def vectors(self, plan: Plan) -> list[np.ndarray]:
        """What each part would send, its fragment run in this process."""
        return [part_vector(plan, index, local(plan, index, self)) for index in range(len(plan.inputs))]

    def union(self, parts: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
        """DuckDB's answer over the parts' rows."""
        whole = pa.concat_tables([self.tables[name] for name in parts or self.tables])
        connection = duckdb.connect()
        connection.register("people", whole)
        sql = self.sql.replace(f"{NAME} ", "people ")
        for ours, theirs in FLOORS.items():
            sql = sql.replace(ours, theirs)
        return connection.execute(sql).fetchall()


def assets_of(parts: int, **changes: Any) -> dict[str, Asset]:
    """Declared and published parts."""
    return {
        f"p{at}.people": declare(f"p{at}", "people", definition(**changes), SCHEMA, lifecycle="published")  # type: ignore[arg-type]
        for at in range(parts)
    }


def federated(assets: Mapping[str, Asset], **changes: Any) -> Federation:
    return declare_federation(NAME, federation(list(assets), **changes), assets, [asset.provider for asset in assets.values()])


def compiled(sql: str, assets: Mapping[str, Asset], table: Federation, rules: GateRules = LOOSE) -> Plan:
    return compile_question(
        sql,
        assets=assets,
        federations={table.name: table},
        title="random",
        purpose="test",
        recipients=("operator",),
        rules=rules,
        parameters=Parameters(key_bits=512),
        operator="operator",
        gate="gate",
    )


def compiled_fit(question: FitQuestion, assets: Mapping[str, Asset], table: Federation) -> Plan:
    return compile_fit(
        question,
        assets=assets,
        federations={table.name: table},
        title="random",
        purpose="test",
        recipients=("operator",),
        rules=rules_for("model-controlled"),
        parameters=Parameters(),
        operator="operator",
        gate="gate",
    )


def make_case(chance: random.Random, *, disjoint: bool = True) -> Case:
    """A random case: 3 to 6 parts, empty ones and repeated keys among them."""
    parts = chance.randint(3, 6)
    assets = assets_of(parts)
    tables = {}
    for at, name in enumerate(assets):
        base = 1000 * at if disjoint else 0
        tables[name] = people(chance, chance.choice([0, 1, 25, 60]), range(base, base + chance.choice([3, 40])))
    groups = chance.sample(GROUPS, chance.choice([0, 1, 1, 2]))
    aggregates = chance.sample(AGGREGATES, chance.randint(1, 5))
    if disjoint and chance.random() < 0.3:
        aggregates.append("COUNT(DISTINCT id)")
    where = chance.choice(WHERE)
    listed = [
        *(f"{text} AS g{at}" for at, text in enumerate(groups)),
        *(f"{text} AS a{at}" for at, text in enumerate(aggregates)),
    ]
    sql = f"SELECT {', '.join(listed)} FROM {NAME} t" + (f" WHERE {where}" if where else "")
    if groups:
        sql += f" GROUP BY {', '.join(f'g{at}' for at in range(len(groups)))}"
    return Case(tables, assets, federated(assets, disjoint=disjoint), sql, len(groups))


def local(plan: Plan, index: int, case: Case) -> pa.Table:
    """Run a fragment in this process; the worker has tests of its own."""
    entry = plan.inputs[index]
    found = fragment(plan, index, asset=case.assets[entry.asset])
    connection = duckdb.connect()
    connection.register("source", case.tables[entry.asset])
    (counts,) = connection.sql(found.checks.sql, params=list(found.checks.parameters)).to_arrow_table().to_pylist()
    require_sound(found, counts)
    return connection.sql(found.rows.sql, params=list(found.rows.parameters)).to_arrow_table()
