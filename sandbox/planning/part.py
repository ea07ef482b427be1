"""What a part of a federated table returns: totals per local groups, and never a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal as OneOf

from sandbox.model.plan import PlanInput

Total = OneOf["rows", "persons", "count", "contributors", "sum", "contribution_squares", "absolute_sum", "squares"]


def part_statement(part: PlanInput, keys: Sequence[str], by: Sequence[str], prepared: str) -> str:
    """Return the query over `prepared`, rows of the columns `by` (keys, then groups) and v_<i> per measure.

    Persons first, so that each one's amount can be squared (of a product of two columns none is judged), then the groups
    alone. Without groups there is always one row.
    """
    inner, outer = ["COUNT(*) AS m"], ["CAST(COALESCE(SUM(m), 0) AS BIGINT) AS m", "COUNT(*) AS persons"]
    for index, measure in enumerate(part.measures):
        value = f"v_{index}" if measure.times is None else f"v_{index} * v_{measure.times}"
        inner.append(f"COUNT({value}) AS c_{index}")
        outer.append(f"CAST(COALESCE(SUM(c_{index}), 0) AS BIGINT) AS c_{index}")
        outer.append(f"COUNT(*) FILTER (WHERE c_{index} > 0) AS z_{index}")
        if measure.needs_sum:
            inner.append(f"COALESCE(SUM({value}), 0) AS s_{index}")
            outer.append(f"COALESCE(SUM(s_{index}), 0) AS s_{index}")
            if measure.times is None:
                outer.append(f"COALESCE(SUM(s_{index} * s_{index}), 0) AS d_{index}")
                outer.append(f"COALESCE(SUM(abs(s_{index})), 0) AS a_{index}")
        if measure.needs_squares:
            inner.append(f"COALESCE(SUM({value} * {value}), 0) AS q_{index}")
            outer.append(f"COALESCE(SUM(q_{index}), 0) AS q_{index}")
    groups = [name for name in by if name not in keys]
    steps = (
        f"WITH prepared AS (\n{prepared}\n), persons AS (",
        f"  SELECT {', '.join((*by, *inner))}",
        "  FROM prepared",
        f"  GROUP BY {', '.join(by)}\n)",
        f"SELECT {', '.join((*groups, *outer))}",
        "FROM persons",
        *((f"GROUP BY {', '.join(groups)}",) if groups else ()),
    )
    return "\n".join(steps)


def part_totals(part: PlanInput) -> Iterator[tuple[str, Total, int, str]]:
    """Yield the columns of `part_statement` after the groups: name, what it is, which measure, DuckDB type."""
    yield "m", "rows", 0, "BIGINT"
    yield "persons", "persons", 0, "BIGINT"
    for index, measure in enumerate(part.measures):
        yield f"c_{index}", "count", index, "BIGINT"
        yield f"z_{index}", "contributors", index, "BIGINT"
        if measure.needs_sum:
            yield f"s_{index}", "sum", index, "HUGEINT"
            if measure.times is None:
                yield f"d_{index}", "contribution_squares", index, "HUGEINT"
                yield f"a_{index}", "absolute_sum", index, "HUGEINT"
        if measure.needs_squares:
            yield f"q_{index}", "squares", index, "HUGEINT"
