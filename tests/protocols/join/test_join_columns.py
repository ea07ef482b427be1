"""Columns of a provider's rows against Python objects: integers of any size, keys, merging, the pattern rule."""

from __future__ import annotations

import decimal
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import join_oracle
from support.families import join_rows

from protocols import psi
from protocols.errors import ParameterError
from protocols.join import Integers
from protocols.join.patterns import apply_pattern_rule
from protocols.join.prepare import merge

SIZES = (6, 63, 64, 65, 127, 128, 200)
NUMBERS = st.sampled_from(SIZES).flatmap(lambda bits: st.integers(-(1 << bits), 1 << bits))


@settings(deadline=None)
@given(st.lists(NUMBERS))
def test_integers_of_any_size_come_back(numbers: list[int]) -> None:
    column = Integers.of(numbers)
    assert column.tolist() == numbers
    fits = all(-(1 << 63) <= number < 1 << 63 for number in numbers)
    assert (column.int64 is not None) == fits
    assert column[np.arange(len(numbers))[::-1]].tolist() == numbers[::-1]
    assert column[1:3].tolist() == numbers[1:3]


@settings(deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=5), max_size=6), st.randoms(use_true_random=False))
def test_segment_sums_are_exact(segments: list[list[int]], shuffler: random.Random) -> None:
    flat = [(at, number) for at, segment in enumerate(segments) for number in segment]
    shuffler.shuffle(flat)
    order = np.argsort([at for at, _ in flat], kind="stable").astype(np.int64)
    starts = np.cumsum([0, *map(len, segments)])[:-1].astype(np.int64)
    column = Integers.of([number for _, number in flat])
    assert column.segment_sums(order, starts).tolist() == [sum(segment) for segment in segments]


def test_long_segments_carry() -> None:
    for number in ((1 << 63) - 1, -(1 << 63), -1):
        column = Integers.of(np.full(100_000, number))
        whole = column.segment_sums(np.arange(100_000), np.zeros(1, dtype=np.int64))
        assert whole.tolist() == [number * 100_000]


@settings(deadline=None)
@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1)), st.integers(0, 3))
def test_arrow_decimals_are_read_without_objects(numbers: list[int], offset: int) -> None:
    with decimal.localcontext(prec=40):
        column = pa.array([decimal.Decimal(number) for number in numbers], type=pa.decimal128(38, 0))
    assert Integers.from_arrow(column[offset:]).tolist() == numbers[offset:]
    assert Integers.from_arrow(pa.chunked_array([column, column])).tolist() == numbers * 2


def test_arrow_integers_are_read_and_other_columns_refused() -> None:
    assert Integers.from_arrow(pa.array([1, -2], type=pa.int32())).tolist() == [1, -2]
    for column, match in (
        (pa.array([1, None]), "1 integers are missing"),
        (pa.array([1.5]), "a column of double"),
        (pa.array([1], type=pa.decimal128(5, 2)), "a column of decimal"),
    ):
        with pytest.raises(ParameterError, match=match):
            Integers.from_arrow(column)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3)))
def test_a_key_column_is_a_sequence_of_bytes(keys: list[bytes]) -> None:
    column = psi.KeyColumn.of(keys)
    assert list(column) == keys
    assert [column[at] for at in range(len(keys))] == keys
    assert list(column[1:3]) == keys[1:3]
    assert list(column[np.arange(len(keys))[::-1]]) == keys[::-1]
    numbered = set(zip(keys, column.numbers().tolist(), strict=True))
    assert sorted(number for _, number in numbered) == list(range(len(set(keys))))
    assert len(numbered) == len(set(keys))


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.sampled_from((1, 2, 1 << 20, 1 << 62)), st.integers(0, 2))
def test_keys_of_one_width_have_the_numbers_of_distinct_ones(values: list[int], divisor: int, skipped: int) -> None:
    values = [value // divisor for value in values]
    for types in (("integer",), ("integer", "boolean")):
        columns = [np.array(values, dtype=np.int64), np.array([value % 2 == 0 for value in values])][: len(types)]
        keys = psi.encode_keys(columns, psi.KeyDomain(name="numbers", types=types)).keys[skipped:]  # type: ignore[arg-type]
        numbered = set(zip(values[skipped:], keys.numbers().tolist(), strict=True))
        assert len(numbered) == len(set(values[skipped:]))
        assert sorted(number for _, number in numbered) == list(range(len(numbered)))


def random_raw(seed: int) -> list[join_oracle.Row]:
    source = random.Random(seed)
    keys, groups = source.choice((3, 10, 40)), source.choice((1, 2, 5))
    return [
        (source.randrange(keys), source.randrange(groups), (source.choice((None, source.randint(-(10**30), 10**30))),))
        for _ in range(source.choice((0, 1, 60)))
    ]


def as_dictionary(rows: Any) -> dict[Any, Any]:
    measure = rows.measures[0]
    columns = (rows.multiplicities.tolist(), measure.counts.tolist(), measure.sums.tolist(), measure.squares.tolist())
    return dict(zip(zip(rows.keys, rows.groups.tolist(), strict=True), zip(*columns, strict=True), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_merging_equals_a_dictionary(seed: int) -> None:
    raw = random_raw(seed)
    labels = tuple(b"%d" % group for group in range(5))
    whole = join_rows(raw, 1, labels=labels)
    halves = [join_rows(raw[part::2], 1, labels=labels) for part in (0, 1)]
    split = type(whole).of(
        keys=[*halves[0].keys, *halves[1].keys],
        groups=np.concatenate([half.groups for half in halves]),
        labels=labels,
        multiplicities=np.concatenate([half.multiplicities for half in halves]),
        measures=[
            type(whole.measures[0]).of(
                counts=np.concatenate([half.measures[0].counts for half in halves]),
                sums=[*halves[0].measures[0].sums.tolist(), *halves[1].measures[0].sums.tolist()],
                squares=[*halves[0].measures[0].squares.tolist(), *halves[1].measures[0].squares.tolist()],
            )
        ],
    )
    assert as_dictionary(merge(split)) == as_dictionary(whole)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_the_pattern_rule_equals_the_oracle_row_by_row(seed: int, opened: bool) -> None:
    raw = random_raw(seed)
    labels = tuple(b"%d" % group for group in range(5))
    minimum = random.Random(seed).choice((2, 3, 6))
    kept, removed = apply_pattern_rule(join_rows(raw, 1, labels=labels), minimum, with_multiplicity=opened)
    table = join_oracle.local_rows(raw, 1)
    expected = join_oracle.drop_rare(table, minimum, opened)
    flat = [(key, group, ()) for key, groups in expected.items() for group in groups]
    assert set(zip(kept.keys, kept.groups.tolist(), strict=True)) == {
        (key, group) for key, group, _ in flat for key in [*join_rows([(key, 0, ())], 0).keys]
    }
    assert removed.rows == sum(map(len, table.values())) - len(flat)
    assert removed.keys == sum(len(expected.get(key, {})) < len(groups) for key, groups in table.items())
    before = {group for groups in table.values() for group in groups}
    assert set(removed.groups) == before - {group for _, group, _ in flat}


def test_one_key_with_every_group_among_many_plain_ones_takes_no_time() -> None:
    groups = 2_000
    keys = np.concatenate((np.zeros(groups, dtype=np.int64), np.arange(1, 100_001)))
    encoded = psi.encode_keys([keys], psi.KeyDomain(name="person", types=("integer",))).keys
    rows = type(join_rows([], 0)).of(
        keys=encoded,
        groups=np.concatenate((np.arange(groups), np.zeros(100_000, dtype=np.int64))),
        labels=[b"%d" % group for group in range(groups)],
        multiplicities=np.ones(len(keys), dtype=np.int64),
    )
    kept, removed = apply_pattern_rule(rows, 10, with_multiplicity=True)
    assert (len(kept), removed.rows, removed.keys) == (100_001, groups - 1, 1)
