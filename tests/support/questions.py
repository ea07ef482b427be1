"""Random tables at several providers, random questions over them, and what DuckDB says on the pooled tables."""

from __future__ import annotations

import dataclasses
import random
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
from support.families import insecure_key

from protocols import join
from protocols.local import run_local
from sandbox.model.asset import Asset, Column, KeyDomain
from sandbox.model.plan import GateRules, Measure, Parameters, Plan
from sandbox.planning import compile_question, fragment, require_sound
from sandbox.tasks.protocol import join_params
from sandbox.tasks.rows import provider_rows

DOMAIN = KeyDomain(name="person", types=("integer",))
FUNCTIONS = ("COUNT", "SUM", "AVG", "VAR_SAMP", "VAR_POP", "STDDEV_SAMP", "STDDEV_POP")


@dataclasses.dataclass(frozen=True)
class Case:
    """A question over random tables. groups: (provider, SQL expression). aggregates: (function, provider, column)."""

    assets: dict[str, Asset]
    tables: dict[str, pa.Table]
    sql: str
    groups: list[tuple[int, str]]
    aggregates: list[tuple[str, int | None, str | None]]
    where: str
    rules: GateRules


def make_case(random_: random.Random) -> Case:
    providers = random_.choice((2, 2, 3, 3, 4))
    population = random_.choice((1, 8, 30, 60))
    assets, tables = {}, {}
    for at in range(providers):
        unique = random_.random() < 0.4
        keys: list[int | None] = (
            list(range(population)) if unique else [random_.randrange(population + 1) for _ in range(2 * population)]
        )
        if unique:
            keys = [key for key in keys if random_.random() < 0.8] or [0]
        elif random_.random() < 0.5:
            keys = [None if random_.random() < 0.1 else key for key in keys]
        bound = random_.choice((3, 1000, 10**9))
        low = -bound if random_.random() < 0.5 else 0
        skew = random_.random() < 0.3
        rows = len(keys)
        name = f"p{at}.t"
        tables[name] = pa.table(
            {
                "id": pa.array(keys, pa.int64()),
                "g": pa.array(
                    [None if random_.random() < 0.1 else "a" if skew else random_.choice("ab") for _ in range(rows)],
                    pa.string(),
                ),
                "h": pa.array([random_.randrange(0, 12) for _ in range(rows)], pa.int64()),
                "x": pa.array(
                    [None if random_.random() < 0.2 else random_.randint(low, bound) for _ in range(rows)], pa.int64()
                ),
                "y": pa.array(
                    [None if random_.random() < 0.2 else random_.randint(8 * low, 8 * bound) / 8 for _ in range(rows)],
                    pa.float64(),
                ),
            }
        )
        bounds = (str(low), str(bound))
        assets[name] = Asset(
            provider=f"p{at}",
            table="t",
            version=1,
            columns=(
                Column(name="id", type="integer", role="key", grade="general"),
                Column(name="g", type="text", role="quasi_identifier", grade="general"),
                Column(name="h", type="integer", role="quasi_identifier", grade="general", bounds=("0", "12")),
                Column(name="x", type="integer", role="measure", grade="general", bounds=bounds),
                Column(
                    name="y", type="float", role="measure", grade="general", bounds=bounds, scale=random_.choice((1, 4, 1000))
                ),
            ),
            key=("id",),
            key_domain=DOMAIN,
            unique=unique,
        )
    k = random_.choice((2, 3, 5))
    rules = GateRules(
        profile="test",
        version=1,
        min_keys=k,
        min_contributors=k,
        min_pattern=random_.choice((1, 1, 2, 3)),
        min_list=0,
        dominance_1=None,
        dominance_2=None,
        p_percent=None,
        min_difference=k,
    )
    return question(random_, assets, tables, rules)


def question(random_: random.Random, assets: dict[str, Asset], tables: dict[str, pa.Table], rules: GateRules) -> Case:
    providers = len(assets)
    groups: list[tuple[int, str]] = []
    for at in range(providers):
        if random_.random() < 0.5:
            groups.append(
                (at, random_.choice((f"t{at}.g", f"t{at}.h // 6", f"CASE WHEN t{at}.h < 4 THEN 'low' ELSE 'high' END")))
            )
    aggregates: list[tuple[str, int | None, str | None]] = [("COUNT_STAR", None, None), ("COUNT_KEYS", None, None)]
    for _ in range(random_.choice((0, 1, 2, 3))):
        aggregates.append((random_.choice(FUNCTIONS), random_.randrange(providers), random_.choice("xy")))
    conditions = []
    for at in range(providers):
        if random_.random() < 0.3:
            conditions.append(
                random_.choice((f"t{at}.h >= 2", f"t{at}.g IN ('a', 'b')", f"t{at}.g IS NOT NULL", f"t{at}.h BETWEEN 1 AND 9"))
            )
    items = [f"{expression} AS c{number}" for number, (_, expression) in enumerate(groups)]
    for number, (function, at, column) in enumerate(aggregates):
        call = {"COUNT_STAR": "COUNT(*)", "COUNT_KEYS": "COUNT(DISTINCT t0.id)"}.get(function, f"{function}(t{at}.{column})")
        items.append(f"{call} AS a{number}")
    joins = " ".join(f"JOIN p{at}.t t{at} ON t{at}.id = t0.id" for at in range(1, providers))
    where = " AND ".join(conditions)
    sql = f"SELECT {', '.join(items)} FROM p0.t t0 {joins}"
    sql += f" WHERE {where}" if where else ""
    sql += f" GROUP BY {', '.join(expression for _, expression in groups)}" if groups else ""
    return Case(assets=assets, tables=tables, sql=sql, groups=groups, aggregates=aggregates, where=where, rules=rules)


def compiled(case: Case) -> Plan:
    """Return the plan of a case's question."""
    return compile_question(
        case.sql,
        assets=case.assets,
        title="random",
        purpose="test",
        recipients=("operator",),
        rules=case.rules,
        parameters=Parameters(key_bits=512),
        operator="operator",
        gate="gate",
    )


def local_table(plan: Plan, index: int, case: Case) -> pa.Table:
    """Run a fragment in this process; the worker has tests of its own."""
    entry = plan.inputs[index]
    found = fragment(plan, index, asset=case.assets[entry.asset])
    connection = duckdb.connect()
    connection.register("source", case.tables[entry.asset])
    (counts,) = connection.sql(found.checks.sql, params=list(found.checks.parameters)).to_arrow_table().to_pylist()
    require_sound(found, counts)
    return connection.sql(found.rows.sql, params=list(found.rows.parameters)).to_arrow_table()


def run(plan: Plan, case: Case) -> join.JoinResult:
    """Play the join of a plan over a case's tables; return what its gate decrypts."""
    key = insecure_key()
    params = join_params(plan, key.public_key.fingerprint)
    roles: dict[str, Any] = {}
    for index, entry in enumerate(plan.inputs):
        rows = provider_rows(entry, plan.key_domain, local_table(plan, index, case).to_batches(max_chunksize=7))
        roles[entry.provider] = join.JoinProvider(entry.provider, params, rows, allow_insecure_key=True)
    roles["operator"] = join.JoinOperator("operator", params, allow_insecure_key=True)
    roles["gate"] = join.JoinGate("gate", params, key, allow_insecure_key=True)
    return run_local(roles)["gate"]


def pooled(case: Case, tables: dict[str, pa.Table]) -> list[dict[str, Any]]:
    """Return the cells as DuckDB sees them on the pooled tables: labels, keys, rows, and per aggregate its exact moments."""
    connection = duckdb.connect()
    for name, table in tables.items():
        provider = name.split(".", maxsplit=1)[0]
        connection.execute(f"CREATE SCHEMA {provider}")
        connection.register("incoming", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    items = [expression for _, expression in case.groups]
    parts = ["COUNT(DISTINCT t0.id)", "COUNT(*)"]
    for function, at, column in case.aggregates:
        if function.startswith("COUNT_"):
            continue
        scale = scale_of(case, at, column)
        cast = f"t{at}.{column}" if column == "x" else f"round_even(t{at}.{column} * {scale}, 0)"
        parts.append(f"COUNT(DISTINCT CASE WHEN t{at}.{column} IS NOT NULL THEN t0.id END)")
        parts.append(f"COUNT(t{at}.{column})")
        parts.append(f"SUM(CAST({cast} AS HUGEINT))")
        parts.append(f"SUM(CAST({cast} AS HUGEINT) * CAST({cast} AS HUGEINT))")
    joins = " ".join(f"JOIN p{at}.t t{at} ON t{at}.id = t0.id" for at in range(1, len(case.assets)))
    sql = f"SELECT {', '.join(items + parts)} FROM p0.t t0 {joins}"
    sql += f" WHERE {case.where}" if case.where else ""
    sql += f" GROUP BY {', '.join(items)}" if items else ""
    cells = []
    for row in connection.execute(sql).fetchall():
        rest = list(row[len(items) :])
        cell: dict[str, Any] = {"labels": tuple(row[: len(items)]), "keys": rest[0], "rows": rest[1], "moments": []}
        for number in range(2, len(rest), 4):
            cell["moments"].append(tuple(int(value or 0) for value in rest[number : number + 4]))
        cells.append(cell)
    return cells


def scale_of(case: Case, at: int | None, column: str | None) -> int:
    found = case.assets[f"p{at}.t"].column(column or "")
    return found.scale if found is not None else 1


def exact(function: str, count: int, total: int, squares: int, scale: int) -> Any:
    """Return an aggregate from its exact moments, as SQL defines it: None for NULL."""
    if function == "COUNT":
        return count
    if count == 0 or (count < 2 and function.endswith("_SAMP")):
        return None
    if function == "SUM":
        return Fraction(total, scale)
    if function == "AVG":
        return float(Fraction(total, scale * count))
    below = count * (count - 1) if function.endswith("_SAMP") else count * count
    variance = Fraction(count * squares - total * total, below * scale * scale)
    return float(variance) if function.startswith("VAR") else ("sqrt", variance)


def measures(plan_measures: tuple[Measure, ...]) -> list[str]:
    return [measure.column for measure in plan_measures]
