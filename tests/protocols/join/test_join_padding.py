"""Padding and the group "other": what they add, what they hide, what is told of them."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import numpy as np
import pytest
from support.deterministic import DeterministicRng
from support.families import MEASURE, Altered, join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.errors import ParameterError, PeerError
from protocols.join.messages import ProviderHello
from protocols.join.padding import pad
from protocols.join.patterns import merge_rare_groups
from protocols.local import run_local


def patterns(rows: join.ProviderRows) -> collections.Counter[tuple[tuple[int, int], ...]]:
    """How many keys have each set of (group, multiplicity)."""
    of_key: dict[bytes, list[tuple[int, int]]] = collections.defaultdict(list)
    for key, group, multiplicity in zip(rows.keys, rows.groups.tolist(), rows.multiplicities.tolist(), strict=True):
        of_key[key].append((group, multiplicity))
    return collections.Counter(tuple(sorted(own)) for own in of_key.values())


def rows_with(seed: int) -> join.ProviderRows:
    random = np.random.default_rng(seed)
    raw: list[Any] = [(int(random.integers(40)), int(random.integers(3)), (int(random.integers(9)),)) for _ in range(80)]
    return join_rows(raw, 1)


@pytest.mark.parametrize("seed", range(20))
def test_dummies_fill_the_list_and_repeat_patterns_that_are_there(seed: int) -> None:
    rows = rows_with(seed)
    size = len(rows) + (0, 1, 2, 5, 500)[seed % 5]
    whole = pad(rows, size, DeterministicRng(seed))
    assert len(whole) == size
    real, dummies = (select(whole, slice(None, len(rows))), select(whole, slice(len(rows), None)))
    assert (list(real.keys), real.measures[0].sums) == (list(rows.keys), rows.measures[0].sums)
    assert not set(real.keys) & set(dummies.keys)
    assert not dummies.measures[0].counts.any()
    assert set(dummies.measures[0].sums.tolist()) | set(dummies.measures[0].squares.tolist()) <= {0}
    # Only the last dummy's pattern may have been cut short to fill the list.
    strange = {pattern: count for pattern, count in patterns(dummies).items() if pattern not in patterns(rows)}
    assert sum(strange.values()) <= 1


def select(rows: join.ProviderRows, chosen: slice) -> join.ProviderRows:
    return join.ProviderRows(
        keys=rows.keys[chosen],
        groups=rows.groups[chosen],
        labels=rows.labels,
        multiplicities=rows.multiplicities[chosen],
        measures=tuple(measure[chosen] for measure in rows.measures),
    )


def test_dummies_have_the_shares_of_patterns_that_real_keys_have() -> None:
    rows = join_rows([(key, 0 if key % 4 else 1, (1,)) for key in range(100)] + [(key, 2, (1,)) for key in range(0, 100, 2)], 1)
    dummies = select(pad(rows, 20_000, DeterministicRng("shares")), slice(len(rows), None))
    real, made = patterns(rows), patterns(dummies)
    for pattern, count in real.items():
        share = made[pattern] / sum(made.values())
        assert abs(share - count / sum(real.values())) < 0.02


def test_one_key_with_many_groups_does_not_make_padding_slow() -> None:
    rows = join_rows([(0, group, (1,)) for group in range(3)] + [(key, 0, (1,)) for key in range(1, 50)], 1)
    whole = pad(rows, 200_001, DeterministicRng("many"))
    assert len(whole) == 200_001


def test_dummies_of_two_runs_and_of_two_lists_differ() -> None:
    rows = rows_with(0)
    made = [set(select(pad(rows, 200, DeterministicRng(seed)), slice(len(rows), None)).keys) for seed in (1, 2)]
    assert not made[0] & made[1]


def test_lists_that_cannot_be_padded_are_refused() -> None:
    rows = rows_with(0)
    with pytest.raises(ParameterError, match="longer than the size that it is padded to") as caught:
        pad(rows, len(rows) - 1, DeterministicRng(0))
    assert str(len(rows)) not in str(caught.value)
    with pytest.raises(ParameterError, match="without rows cannot be padded"):
        pad(join_rows([], 1), 5, DeterministicRng(0))
    for size in (1, 10**8 + 1):
        with pytest.raises(ParameterError, match="choose 2 to 100000000, or do not pad it"):
            join_params((provider_spec("left", carries=True, padded_rows=size), provider_spec("right")), min_list=2)


def roles(**changes: Any) -> dict[str, Any]:
    params = join_params(
        (
            provider_spec("left", carries=True, measures=(MEASURE,), **changes),
            provider_spec("right", padded_rows=changes.get("padded_rows", 0)),
        ),
        min_pattern=2,
    )
    left = [(key, key % 2, (key,)) for key in range(12)] + [(20, 2, (7,)), (21, 2, (7,))]
    return join_roles_of(
        params, {"left": join_rows(left, 1), "right": join_rows([(key, 0, ()) for key in range(30)], 0)}, seed="padding"
    )


def test_a_padded_run_has_the_result_of_a_plain_one_and_everybody_sees_the_declared_sizes() -> None:
    plain, outputs = run_local(roles()), run_local(roles(padded_rows=64))
    assert sorted(map(repr, map(dataclasses.astuple, outputs["gate"].cells))) == sorted(
        map(repr, map(dataclasses.astuple, plain["gate"].cells))
    )
    assert len(plain["gate"].cells) == 3
    assert outputs["operator"].list_rows == outputs["gate"].list_rows == (64, 64)
    assert outputs["operator"].common_keys == plain["operator"].common_keys == 14
    assert (outputs["left"].rows, outputs["left"].dummies) == (64, 50)


def test_a_size_other_than_the_declared_one_is_refused_by_everybody() -> None:
    def shorter(_: str, message: Any) -> list[Any]:
        return [dataclasses.replace(message, rows=14)] if isinstance(message, ProviderHello) else [message]

    for recipient in ("right", "operator", "gate"):
        parties = roles(padded_rows=64)
        only = Altered(parties["left"], lambda to, message, name=recipient: shorter(to, message) if to == name else [message])
        with pytest.raises(PeerError, match="not of the 64 rows that it is to be padded to") as caught:
            run_local(parties | {"left": only})
        assert caught.value.culprit == "left"


def test_rare_groups_become_one_and_the_gate_is_told() -> None:
    raw: list[Any] = [(key, 0, (key,)) for key in range(12)] + [(12, 1, (5,)), (13, 2, (6,)), (0, 2, (1,)), (0, 1, (1,))]
    params = join_params(
        (
            provider_spec("left", carries=True, measures=(MEASURE,), opens_multiplicity=False, other=b"*"),
            provider_spec("right"),
        ),
        min_pattern=3,
    )
    right = join_rows([(key, 0, ()) for key in range(20)], 0)
    outputs = run_local(join_roles_of(params, {"left": join_rows(raw, 1), "right": right}, seed="other"))
    book = outputs["gate"].books[0]
    assert (set(book.merged), book.merged_keys, book.merged_rows) == ({b"1", b"2"}, 3, 4)
    # Key 0 alone is in both groups: its row in the rarer one goes.
    assert (book.removed_keys, book.removed_rows) == (3, 3)
    assert outputs["left"].merged == join.Merged(keys=3, rows=4, groups=(1, 2))
    cells = {cell.labels[0]: (cell.keys, cell.moments[0][0].total) for cell in outputs["gate"].cells}
    assert cells == {b"0": (12, sum(range(12)))}


def test_the_group_other_is_kept_where_it_is_common() -> None:
    raw: list[Any] = [(key, 0, ()) for key in range(5)] + [(key, 1 + key % 4, ()) for key in range(5, 13)]
    labels = (b"a", b"b", b"c", b"d", b"e")
    rows, merged = merge_rare_groups(join_rows(raw, 0, labels=labels), 3, b"other")
    assert (merged.keys, merged.rows, merged.groups) == (8, 8, (1, 2, 3, 4))
    assert rows.labels == (*labels, b"other")
    assert np.bincount(rows.groups).tolist() == [5, 0, 0, 0, 0, 8]
    again, more = merge_rare_groups(rows, 3, b"other")
    assert again is rows
    assert more.groups == ()
    into, _ = merge_rare_groups(join_rows(raw, 0, labels=labels), 3, b"a")
    assert np.bincount(into.groups).tolist() == [13]
    assert into.labels == labels


def test_a_group_that_is_merged_may_make_a_row_too_heavy() -> None:
    half = np.array([2**19 + 1, 2**19 + 1])
    rows = join.ProviderRows.of(keys=[b"k", b"k"], groups=[0, 1], labels=[b"a", b"b"], multiplicities=half, measures=[])
    params = join_params((provider_spec("left", carries=True, other=b"o"), provider_spec("right")), min_pattern=2)
    with pytest.raises(ParameterError, match="more than 1048576 rows in one group"):
        join.JoinProvider("left", params, rows)


def test_the_disclosure_names_lists_that_are_padded() -> None:
    specs = (provider_spec("left", carries=True, padded_rows=64), provider_spec("right"))
    learned = join.disclosure(join_params(specs)).learned
    sizes = [item.about for item in learned if item.fact in ("list_size", "group_histogram")]
    assert len(sizes) == 4
    assert all(about.endswith("; padded: left to 64") for about in sizes)
    assert not any(
        "padded" in item.about for item in join.disclosure(join_params((specs[1], provider_spec("a", carries=True)))).learned
    )
