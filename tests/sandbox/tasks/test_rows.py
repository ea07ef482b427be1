"""Rows from a fragment's batches: the same as one row at a time in plain Python, whatever the batches' sizes."""

from __future__ import annotations

import datetime
import decimal
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.join import Integers
from protocols.psi.keys import encode_keys
from sandbox.errors import SourceError
from sandbox.model.asset import KeyDomain
from sandbox.model.plan import Measure, PlanInput
from sandbox.tasks.protocol import encode_labels, key_domain
from sandbox.tasks.rows import provider_rows

HUGE = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-3, 3)
LABELS: dict[str, tuple[Any, Any]] = {
    "text": (pa.string(), st.sampled_from(["a", "b", "", "NULL", "喵"])),
    "integer": (pa.int64(), st.integers(-2, 2)),
    "boolean": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.sampled_from([datetime.date(2024, 2, 29), datetime.date(1969, 12, 31)])),
    "timestamp": (pa.timestamp("us"), st.sampled_from([datetime.datetime(2024, 1, 1, 0, 0, 0, 7)])),
    "decimal": (pa.decimal128(9, 2), st.sampled_from([decimal.Decimal("1.10"), decimal.Decimal("-0.01")])),
}


def entry(groups: int, measures: int, *, unique: bool = False) -> PlanInput:
    spec = Measure(
        column="v",
        type="integer",
        scale=1,
        bound=10**19,
        lowest=None,
        highest=None,
        clip=False,
        needs_sum=True,
        needs_squares=True,
    )
    fields: dict[str, Any] = dict.fromkeys(PlanInput.__struct_fields__)
    fields |= {"asset": "lab.tests", "key": ("id",), "groups": (None,) * groups, "measures": (spec,) * measures}
    return PlanInput(**(fields | {"unique": unique}))


def domain(kind: str, *, fold: bool = False) -> KeyDomain:
    return msgspec.convert({"name": "person", "types": [kind], "trim": fold, "fold_case": fold, "nfkc": fold}, KeyDomain)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[str], int]:
    rows = draw(st.integers(0, 25))
    kinds = draw(st.lists(st.sampled_from(sorted(LABELS)), max_size=3))
    measures = draw(st.integers(0, 2))

    def column(strategy: Any) -> list[Any]:
        return draw(st.lists(strategy, min_size=rows, max_size=rows))

    columns = {"key_0": pa.array(column(st.none() | st.integers(0, 9)), pa.int64())}
    for at, kind in enumerate(kinds):
        columns[f"group_{at}"] = pa.array(column(st.none() | LABELS[kind][1]), LABELS[kind][0])
    columns["m"] = pa.array(column(st.integers(1, 99)), pa.int64())
    for number in range(measures):
        columns[f"c_{number}"] = pa.array(column(st.integers(0, 99)), pa.int64())
        columns[f"s_{number}"] = pa.array(map(decimal.Decimal, column(HUGE)), pa.decimal128(38, 0))
        columns[f"q_{number}"] = pa.array(map(decimal.Decimal, column(HUGE)), pa.decimal128(38, 0))
    return pa.table(columns), kinds, measures


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=tables(), size=st.integers(1, 30))
def test_columns_are_what_one_row_at_a_time_gives(drawn: tuple[pa.Table, list[str], int], size: int) -> None:
    table, kinds, measures = drawn
    found = provider_rows(entry(len(kinds), measures), domain("integer"), table.to_batches(max_chunksize=size))
    rows = [row for row in table.to_pylist() if row["key_0"] is not None]
    labels = [encode_labels(tuple(row[f"group_{at}"] for at in range(len(kinds)))) for row in rows]
    assert list(found.labels) == sorted(set(labels))
    assert [found.labels[group] for group in found.groups.tolist()] == labels
    assert list(found.keys) == list(encode_keys([[row["key_0"] for row in rows]], key_domain(domain("integer"))).keys)
    assert found.multiplicities.tolist() == [row["m"] for row in rows]
    for number in range(measures):
        measure = found.measures[number]
        assert measure.counts.tolist() == [row[f"c_{number}"] for row in rows]
        assert measure.sums.tolist() == [int(row[f"s_{number}"]) for row in rows]
        assert measure.squares.tolist() == [int(row[f"q_{number}"]) for row in rows]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(HUGE | st.integers(-(1 << 200), 1 << 200), max_size=5), max_size=5))
def test_columns_of_integers_of_different_widths_follow_each_other(parts: list[list[int]]) -> None:
    together = Integers.concatenate([Integers.of(part) for part in parts])
    assert together.tolist() == [number for part in parts for number in part]


def test_a_key_that_repeats_in_another_batch_under_another_spelling_is_found() -> None:
    table = pa.table({"key_0": [" Ada", "Bob", "ada "], "m": [1, 1, 1]})
    batches = table.to_batches(max_chunksize=1)
    with pytest.raises(SourceError, match=r"1 of its keys repeat others.*unique=False") as caught:
        provider_rows(entry(0, 0, unique=True), domain("text", fold=True), batches)
    assert "ada" not in str(caught.value).lower().replace("lab.tests", "")
    assert len(provider_rows(entry(0, 0, unique=True), domain("text"), batches)) == 3


def test_keys_of_another_type_are_refused_with_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"lab\.tests: key column 0.*declare the key column"):
        provider_rows(entry(0, 0), domain("integer"), pa.table({"key_0": ["7"], "m": [1]}).to_batches())


def test_a_quarter_of_a_million_rows_make_no_python_object_each() -> None:
    size, rows = 1 << 14, 1 << 18
    groups = pa.array(["north", "south"])

    def batches() -> Any:
        for first in range(0, rows, size):
            numbers = np.arange(first, first + size)
            values = pa.array(numbers)
            yield pa.record_batch(
                {"key_0": values, "group_0": groups.take(pa.array(numbers % 2)), "m": pa.array(np.ones(size, dtype=np.int64))}
                | dict.fromkeys(("c_0", "s_0", "q_0"), values)
            )

    tracemalloc.start()
    found = provider_rows(entry(1, 1), domain("integer"), batches())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == rows
    # Five columns of 8 bytes and one more while it is put together; a Python integer alone takes 28 bytes and its place 8.
    assert peak < 100 * rows
