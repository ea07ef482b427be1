"""A provider's own rows: what is refused before anything leaves, with counts and never a value; and odd but legal tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from support import families
from support.families import DOMAIN, join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.errors import EncodingOverflow, ParameterError
from protocols.join.patterns import apply_pattern_rule
from protocols.join.prepare import check_declared, merge
from protocols.local import run_local
from protocols.psi.keys import encode_keys

MEASURES = (families.MEASURE,)


def joined(left: join.ProviderRows, right: join.ProviderRows, *, measures: Any = MEASURES, **changes: Any) -> Any:
    specs = (provider_spec("left", carries=True, measures=measures), provider_spec("right"))
    params = join_params(specs, **({"min_list": 0, "min_keys": 1, "chunk_rows": 1000} | changes))
    return run_local(join_roles_of(params, {"left": left, "right": right}, seed="inputs"))


def rows_of(keys: list[int], **columns: Any) -> join.ProviderRows:
    """One group, one row and one measure of 1 for each key; `columns` replace some."""
    count = len(keys)
    measure = {"counts": np.ones(count, dtype=np.int64), "sums": [1] * count, "squares": [1] * count}
    fields = {name: columns.pop(name, default) for name, default in measure.items()}
    default: dict[str, Any] = {
        "keys": encode_keys([np.array(keys, dtype=np.int64)], DOMAIN).keys,
        "groups": np.zeros(count, dtype=np.int64),
        "labels": (b"all",),
        "multiplicities": np.ones(count, dtype=np.int64),
        "measures": (join.MeasureRows.of(**fields),),
    }
    return join.ProviderRows.of(**(default | columns))


SPEC = provider_spec("left", carries=True, measures=MEASURES)


def test_broken_uniqueness_is_counted() -> None:
    unique = provider_spec("left", unique=True, carries=True, measures=MEASURES)
    with pytest.raises(ParameterError, match="1 rows repeat one; declare unique=False"):
        check_declared(merge(rows_of([1, 2, 2, 2, 2])), unique)
    table = join_rows([(7, 0, (1,)), (7, 1, (1,)), (8, 0, (1,))], 1)
    with pytest.raises(ParameterError, match="1 rows repeat one"):
        check_declared(table, unique)


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        ({"sums": [101, 1, -101]}, 3),  # above, and twice below: a negative sum of an unsigned measure counts again
        ({"sums": [1, 10**30, 1]}, 1),
        ({"sums": [-1, 1, 1]}, 1),
        ({"squares": [10_001, 1, 1]}, 1),
        ({"squares": [-1, 1, 1]}, 1),
        ({"counts": np.array([0, 1, 1])}, 2),  # a sum and a square where there is no value
    ],
)
def test_broken_bounds_are_counted_and_no_value_is_shown(columns: dict[str, Any], count: int) -> None:
    with pytest.raises(EncodingOverflow, match=rf"^measure 0 of left: {count} rows lie beyond the declared bounds$"):
        check_declared(rows_of([1, 2, 3], **columns), SPEC)


@pytest.mark.parametrize(
    ("multiplicities", "match"),
    [
        ([0, 1, 1], "1 rows of left stand for no raw row"),
        ([-5, 0, 1], "2 rows of left stand for no raw row"),
        ([2**20 + 1, 1, 1], "more than 1048576 rows in one group"),
    ],
)
def test_multiplicities_out_of_range_are_refused(multiplicities: list[int], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        check_declared(rows_of([1, 2, 3], multiplicities=np.array(multiplicities)), SPEC)


def test_more_values_than_rows_are_refused() -> None:
    for counts in ([2, 1, 1], [-1, 1, 1]):
        with pytest.raises(ParameterError, match="1 rows count more values than raw rows"):
            check_declared(rows_of([1, 2, 3], counts=np.array(counts)), SPEC)


def test_the_largest_multiplicity_and_bound_are_exact() -> None:
    top = 2**20
    left = rows_of(
        [1, 2],
        multiplicities=np.array([top, 1]),
        counts=np.array([top, 1]),
        sums=[100 * top, -100],
        squares=[10_000 * top, 10_000],
    )
    signed = (join.MeasureSpec(bound=100, sums=True, squares=True, signed=True, dominance=True),)
    right = dataclasses.replace(rows_of([1, 2], multiplicities=np.array([top, top])), measures=())
    (cell,) = joined(left, right, measures=signed)["gate"].cells
    moments = cell.moments[0][0]
    assert (cell.keys, cell.rows, moments.count) == (2, top * top + top, top * top + top)
    assert moments.total == 100 * top * top - 100 * top
    assert moments.squares == 10_000 * (top * top + top)
    assert moments.contribution_squares == (100 * top * top) ** 2 + (100 * top) ** 2
    assert moments.absolute == 100 * top * top + 100 * top


@pytest.mark.parametrize("bound", [0, 2**31, 2**32, 2**63, 2**70])
def test_bounds_around_the_limits_of_int64(bound: int) -> None:
    spec = provider_spec("left", measures=(_measure(bound),))
    for count in (0, 1):
        inside = rows_of([1], counts=[count], sums=[-bound * count], squares=[bound**2 * count])
        check_declared(inside, spec)
        for change in ({"sums": [bound * count + 1]}, {"squares": [bound**2 * count + 1]}, {"squares": [-1]}):
            with pytest.raises(EncodingOverflow, match="1 rows lie beyond"):
                check_declared(rows_of([1], **({"counts": [count], "sums": [0], "squares": [0]} | change)), spec)


def _measure(bound: int) -> join.MeasureSpec:
    return join.MeasureSpec(bound=bound, sums=True, squares=True, signed=True, dominance=False)


def test_columns_and_measures_that_do_not_match_are_refused() -> None:
    with pytest.raises(ParameterError, match="different lengths"):
        rows_of([1, 2], sums=[1])
    with pytest.raises(ParameterError, match="group without a label"):
        rows_of([1, 2], groups=np.array([0, 1]))
    with pytest.raises(ParameterError, match="0 measures where 1 are agreed"):
        check_declared(rows_of([1], measures=()), SPEC)


def test_no_rows_at_all() -> None:
    empty = join_rows([], 1)
    for left, right in (
        (empty, join_rows([], 0)),
        (empty, join_rows([(1, 0, ())], 0)),
        (join_rows([(1, 0, (1,))], 1), join_rows([], 0)),
    ):
        outputs = joined(left, right)
        assert outputs["gate"].cells == outputs["gate"].below == ()
        assert outputs["operator"].common_keys == outputs["operator"].cells == 0


def test_no_key_in_common_and_all_keys_in_common() -> None:
    left = join_rows([(key, 0, (1,)) for key in range(20)], 1)
    none = joined(left, join_rows([(key, 0, ()) for key in range(20, 40)], 0))
    assert (none["operator"].common_keys, none["gate"].cells) == (0, ())
    every = joined(left, join_rows([(key, 0, ()) for key in range(20)], 0))
    (cell,) = every["gate"].cells
    assert (cell.keys, cell.rows, cell.moments[0][0].total) == (20, 20, 20)


def test_one_key_with_a_hundred_thousand_raw_rows() -> None:
    raw: list[Any] = [(1, 0, (at % 7,)) for at in range(100_000)]
    outputs = joined(join_rows([*raw, (2, 0, (100,))], 1), join_rows([(1, 0, ())] * 3 + [(2, 0, ())], 0))
    (cell,) = outputs["gate"].cells
    total = sum(at % 7 for at in range(100_000))
    assert (cell.keys, cell.rows, cell.moments[0][0].count) == (2, 300_001, 300_001)
    assert cell.moments[0][0].total == 3 * total + 100
    assert cell.moments[0][0].contribution_squares == (3 * total) ** 2 + 100**2
    assert outputs["operator"].list_rows == (2, 2)


def test_all_keys_in_one_group_and_a_null_group() -> None:
    outputs = joined(join_rows([(key, 0, (key,)) for key in range(50)], 1), join_rows([(key, 0, ()) for key in range(50)], 0))
    (cell,) = outputs["gate"].cells
    assert (cell.labels, cell.keys, cell.moments[0][0].total) == ((b"0", b"0"), 50, sum(range(50)))


def test_rows_of_one_key_and_group_are_added_up_before_anything_else() -> None:
    merged = merge(rows_of([1, 2, 1, 1]))
    assert sorted(merged.multiplicities.tolist()) == [1, 3]
    assert merged.measures[0].sums.tolist() == merged.multiplicities.tolist()
    assert len(merged.keys) == 2


# The pattern rule.


def patterns(rows: join.ProviderRows, with_multiplicity: bool) -> dict[frozenset[Any], int]:
    of_key: dict[bytes, set[Any]] = {}
    opened = rows.multiplicities.tolist() if with_multiplicity else [1] * len(rows.keys)
    for key, group, multiplicity in zip(rows.keys, rows.groups.tolist(), opened, strict=True):
        of_key.setdefault(key, set()).add((group, multiplicity))
    counts: dict[frozenset[Any], int] = {}
    for pattern in of_key.values():
        counts[frozenset(pattern)] = counts.get(frozenset(pattern), 0) + 1
    return counts


@pytest.mark.parametrize("with_multiplicity", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_every_pattern_that_is_left_is_common(seed: int, with_multiplicity: bool) -> None:
    random = np.random.default_rng(seed)
    raw: list[Any] = [(int(random.integers(30)), int(random.integers(3)), ()) for _ in range(60)]
    rows = join_rows(raw, 0)
    kept, removed = apply_pattern_rule(rows, 3, with_multiplicity=with_multiplicity)
    assert all(count >= 3 for count in patterns(kept, with_multiplicity).values())
    assert removed.rows == len(rows.keys) - len(kept.keys)
    assert set(removed.groups) == set(rows.groups.tolist()) - set(kept.groups.tolist())
    again, more = apply_pattern_rule(kept, 3, with_multiplicity=with_multiplicity)
    assert (len(again.keys), more.rows) == (len(kept.keys), 0)


def test_the_rule_removes_the_rarest_group_of_a_rare_pattern_and_keeps_the_rest() -> None:
    raw: list[Any] = [(key, 0, ()) for key in range(5)] + [(0, 1, ())]
    kept, removed = apply_pattern_rule(join_rows(raw, 0), 2, with_multiplicity=False)
    assert kept.groups.tolist() == [0] * 5
    assert removed == join.Removed(keys=1, rows=1, groups=(1,))


def test_a_rule_of_one_removes_nothing() -> None:
    rows = join_rows([(key, key % 3, ()) for key in range(7)], 0)
    kept, removed = apply_pattern_rule(rows, 1, with_multiplicity=True)
    assert kept is rows
    assert removed == join.Removed(keys=0, rows=0, groups=())


def test_fewer_keys_than_the_rule_asks_for_leave_nothing() -> None:
    kept, removed = apply_pattern_rule(join_rows([(1, 0, ()), (2, 1, ())], 0), 3, with_multiplicity=False)
    assert len(kept.keys) == 0
    assert removed == join.Removed(keys=2, rows=2, groups=(0, 1))
