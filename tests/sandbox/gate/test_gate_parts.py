"""No combination of releases speaks of few parts alone: the rank test against a null space, and which parts make a class."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gate_cases import Question, plan_of, table_of

from sandbox.gate.history.parts import Compared, _few, _within_few, compared, same_kind
from sandbox.gate.release import release
from sandbox.model.product import RecordedParts, ReleaseRecord

ROWS = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 1} for n in range(40)]


def record(*assets: str, min_parties: int = 3, overlap: int = 1) -> ReleaseRecord:
    """A release of one cell over some parts."""
    made = release(plan_of(Question()), table_of(Question(), ROWS)).record
    parts = RecordedParts(assets=assets, min_parties=min_parties, overlap=overlap)
    return msgspec.structs.replace(made, inputs=made.inputs[:1], parts=parts)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_combination_within_few_parts_is_found_if_there_is_one(data: st.DataObject) -> None:
    """A vector of the span that is zero outside the few columns and not zero within them, sought by singular values."""
    classes, columns = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 4))
    sets = st.frozensets(st.integers(0, classes - 1), min_size=1)
    members = tuple(data.draw(st.lists(sets, min_size=1, max_size=4)))
    chosen = st.tuples(st.integers(0, len(members) - 1), st.frozensets(st.integers(0, columns - 1)))
    populations = data.draw(st.lists(chosen, min_size=1, max_size=7, unique=True))
    few = data.draw(st.frozensets(st.integers(0, classes - 1), min_size=1, max_size=classes - 1))
    whole = Compared(records=(), plain=(), members=members, sizes=dict.fromkeys(range(classes), 1), min_parties=3, overlap=1)
    matrix = np.array(
        [
            [float(column in present and part in members[number]) for column in range(columns) for part in range(classes)]
            for number, present in populations
        ]
    )
    outside = matrix[:, [part not in few for _ in range(columns) for part in range(classes)]]
    _, values, vectors = np.linalg.svd(outside.T)
    kernel = vectors[int((values > 1e-9).sum()) :]
    expected = bool(len(kernel)) and bool(np.abs(kernel @ matrix).max() > 1e-9)
    assert _within_few(whole, populations, few) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.frozensets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=4))
def test_classes_are_the_parts_that_all_releases_treat_alike(releases: list[frozenset[str]]) -> None:
    whole = compared([record(*sorted(parts)) for parts in releases])
    patterns = {asset: tuple(asset in parts for parts in releases) for asset in frozenset().union(*releases)}
    assert sorted(whole.sizes.values()) == sorted(
        sum(found == pattern for found in patterns.values()) for pattern in set(patterns.values())
    )
    for parts, classes in zip(releases, whole.members, strict=True):
        assert sum(whole.sizes[number] for number in classes) == len(parts)
    few = _few(whole)
    if len(whole.sizes) > 1:
        small = {
            frozenset(chosen)
            for length in range(1, 3)
            for chosen in itertools.combinations(whole.sizes, length)
            if sum(whole.sizes[number] for number in chosen) < 3
        }
        assert all(any(one <= other for other in few) for one in small)
        assert set(few) <= small


def test_joins_and_sums_are_not_compared_and_shared_parts_are() -> None:
    join = msgspec.structs.replace(record("a"), parts=None)
    near, far, apart = record("c", "d"), record("d", "e"), record("x", "y")
    candidate = record("a", "b", "c")
    assert same_kind(candidate, (join, near, far, apart)) == (near, far)
    assert same_kind(join, (near, join)) == (join,)
