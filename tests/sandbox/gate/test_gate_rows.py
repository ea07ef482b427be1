"""k, ℓ and t of tables of rows, and classes of several releases together, against pandas; bytes that are no plain table."""

from __future__ import annotations

import io
import random
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import released

from sandbox.errors import UsageError
from sandbox.gate.rows import anonymity, identifiers, together
from sandbox.gate.rows.counts import record_of_rows
from sandbox.gate.rows.judge import judge_rows
from sandbox.gate.rows.table import RowTable, read_table
from sandbox.model.asset import Asset, Column, KeyDomain
from sandbox.model.expression import Case, ColumnRef
from sandbox.model.payload import arrow_file
from sandbox.model.plan import Plan
from sandbox.planning import plan_release, rules_for
from sandbox.tasks.released.desensitising import released_schema
from sandbox.tasks.released.rulebook import release_request

KINDS = {
    "id": "integer",
    "name": "text",
    "age": "integer",
    "town": "text",
    "weight": "integer",
    "ill": "integer",
    "note": "text",
}


def asset() -> Asset:
    """The registry's declaration."""
    roles = released.ROLES | {"id": "key", "weight": "measure"}
    columns = tuple(
        Column(name=name, type=kind, role=roles[name], grade="general")  # type: ignore[arg-type]
        for name, kind in KINDS.items()
    )
    domain = KeyDomain(name="person", types=("integer",))
    return Asset(provider="registry", table="people", version=1, columns=columns, key=("id",), key_domain=domain, unique=True)


def planned(text: str | None = None) -> Plan:
    """A plan to release the registry's rows."""
    request = release_request(released.ASSET, text or released.rules(), ["age", "town"], ["ill"])
    return plan_release(
        request,
        assets={released.ASSET: asset()},
        title="rows",
        purpose=released.PURPOSE,
        recipients=("operator",),
        rules=rules_for("release-controlled"),
        operator="operator",
        gate="manager",
    )


PLAN = planned()


def rows_of(frame: pd.DataFrame, tags: Any = None, plan: Plan = PLAN, committed: int | None = None) -> RowTable:
    """A table as it reaches the gate."""
    assert plan.release is not None
    schema = released_schema(plan, plan.release)
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(schema.metadata)
    found = np.arange(len(frame), dtype=np.uint64) if tags is None else np.asarray(tags, dtype=np.uint64)
    return RowTable(plan=plan, table=table, tags=found, root="ab" * 32, committed=committed or len(frame))


def released_frame(rows: int, seed: int, *, values: int = 3) -> pd.DataFrame:
    """A released table with missing values anywhere."""
    chance = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.1 else value

    return pd.DataFrame(
        {
            "id": [f"pseudonym {row}" for row in range(rows)],
            "age": [maybe(chance.choice(["[20, 40)", "[40, 60)", ">= 60"])) for _ in range(rows)],
            "town": [maybe(chance.choice(["east", "west"])) for _ in range(rows)],
            "weight": [float(5 * chance.randrange(10, 20)) for _ in range(rows)],
            "ill": pd.array([chance.randrange(values) for _ in range(rows)], dtype="Int64"),
            "note": ["nothing" for _ in range(rows)],
        }
    )


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 120), seed=st.integers(0, 10**6), values=st.integers(1, 5))
def test_k_l_and_t_are_those_of_pandas(rows: int, seed: int, values: int) -> None:
    frame = released_frame(rows, seed, values=values)
    table = rows_of(frame)
    assert sorted(table.sizes.tolist()) == sorted(released.sizes(frame, ["age", "town"]).tolist())
    found = anonymity.spread(table.table.column("ill"), table.classes)
    assert found.distinct == released.diversity(frame, ["age", "town"], "ill")
    assert found.ordered == (frame["ill"].nunique() > 1)
    expected = released.closeness(frame, ["age", "town"], "ill", ordered=found.ordered)
    assert found.distance == pytest.approx(expected, abs=1e-9)
    text = anonymity.spread(table.table.column("town"), table.classes)
    assert not text.ordered
    assert text.distance == pytest.approx(released.closeness(frame, ["age", "town"], "town", ordered=False), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), people=st.integers(1, 60))
def test_classes_of_several_releases_are_those_of_every_person(data: st.DataObject, people: int) -> None:
    chance = random.Random(data.draw(st.integers(0, 10**6)))
    everyone = [chance.randrange(1, 2**63) for _ in range(people)]
    seen: list[dict[int, tuple[Any, ...]]] = []
    tables = []
    for number in range(data.draw(st.integers(1, 3))):
        here = [tag for tag in everyone if chance.random() < 0.8] or everyone[:1]
        frame = released_frame(len(here), chance.randrange(10**6) + number)
        tables.append(rows_of(frame, here))
        seen.append(dict(zip(here, frame[["age", "town"]].itertuples(index=False, name=None), strict=True)))
    groups = Counter(tuple(release.get(tag) for release in seen) for tag in everyone if any(tag in release for release in seen))
    past = [together.recorded(table) for table in tables[1:]]
    classes, present = together.together(tables[0], past)
    assert sorted(np.bincount(classes).tolist()) == sorted(groups.values())
    mine = Counter(tuple(release.get(tag) for release in seen) for tag in seen[0])
    assert sorted(np.unique(classes[present], return_counts=True)[1].tolist()) == sorted(mine.values())


def test_labels_become_conditions_on_the_sources_columns() -> None:
    frame = released_frame(200, 1)
    record = record_of_rows(rows_of(frame))
    age, town = (group.expression for group in record.inputs[0].input.groups)
    assert isinstance(age, Case)
    assert isinstance(town, ColumnRef)
    counted = {cell.labels: cell.counts[0].rows for cell in record.cells}
    assert sorted(counted.values()) == sorted(released.sizes(frame, ["age", "town"]).tolist())
    masked = planned(released.rules(town='{ rule = "mask", keep_start = 1 }'))
    unknown = record_of_rows(rows_of(frame.assign(town="e***"), plan=masked))
    assert len(unknown.inputs[0].input.groups) == 1, "what no condition makes is compared with nothing"


def test_each_check_stops_what_it_is_for() -> None:
    frame = released_frame(1500, 3).dropna(subset=["age", "town"]).reset_index(drop=True)
    fine = judge_rows(rows_of(frame), ())
    assert fine.passes, [item for item in fine.findings if item.verdict != "pass"]

    def broken(changed: pd.DataFrame, **options: Any) -> set[str]:
        judged = judge_rows(rows_of(changed, **options), ())
        assert not judged.passes
        return {item.check for item in judged.findings if item.verdict != "pass"}

    note = ["her card is 6222 0212 3456 7890 128, 110101199003070011", *frame["note"][1:]]
    assert broken(frame.assign(note=note)) == {"identifiers"}
    assert "k" in broken(frame.assign(age=["[0, 20)", *frame["age"][1:]]))
    assert "l" in broken(frame.assign(ill=np.where(frame["age"] == ">= 60", 7, frame["ill"].fillna(0))))
    assert broken(frame, committed=len(frame) * 2) == {"rows"}
    assert broken(frame, tags=[0] * len(frame)) == {"rows"}
    assert broken(frame.iloc[:50]) == {"rows"}
    many = frame.assign(town=[f"town {row // 5}" for row in range(len(frame))], age="*")
    assert "linkage" in broken(many)
    assert all("6222" not in item.message for item in identifiers.check(rows_of(frame.assign(note=note))))


def test_history_that_cannot_be_read_blocks() -> None:
    frame = released_frame(1500, 3).dropna(subset=["age", "town"]).reset_index(drop=True)
    first = judge_rows(rows_of(frame), ())
    assert first.record is not None
    assert first.record.rows is not None
    cut = msgspec.structs.replace(first.record.rows, classes=first.record.rows.classes[:-8])
    judged = judge_rows(rows_of(frame), (msgspec.structs.replace(first.record, rows=cut),))
    assert {item.verdict for item in judged.findings if item.check == "together"} == {"inconclusive"}
    assert not judged.passes


def test_bytes_that_are_no_plain_table_are_refused() -> None:
    table = rows_of(released_frame(5, 1)).table
    data, _ = arrow_file(table)
    assert read_table(data).equals(table)
    encoded = pa.table({"a": pa.array(["x", "y"]).dictionary_encode()})
    nested = pa.table({"a": pa.array([[1], [2]])})
    compressed = io.BytesIO()
    with pa.ipc.new_file(compressed, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    for bad in (
        b"",
        data[:-9],
        data + b"hidden",
        arrow_file(encoded)[0],
        arrow_file(nested)[0],
        compressed.getvalue(),
        stream.getvalue(),
    ):
        with pytest.raises(UsageError):
            read_table(bad)
