"""Matching by partitions against nested loops; what leaves for workers; skew."""

from __future__ import annotations

import collections
import itertools
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from support.deterministic import DeterministicRng
from support.families import MEASURE, join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.errors import ParameterError
from protocols.join import matching, partitions
from protocols.join.matching import CellTally, cell_keys, cells_of, count_cells, joined_rows, weights
from protocols.join.partitions import RECORD, PartitionedLists
from protocols.local import run_local
from protocols.party import in_memory

Row = tuple[int, int, int]  # key, group, multiplicity


def points_of(keys: list[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """32 bytes for each key, even in the bytes that choose the partition, as those of blinded keys are."""
    rng = DeterministicRng("points")
    table = {key: rng.bytes(32) for key in range(max(keys, default=0) + 1)}
    return np.frombuffer(b"".join(table[key] for key in keys), dtype=np.uint8).reshape(-1, 32)


def partitioned(lists: list[list[Row]], run_rows: int) -> PartitionedLists:
    result = PartitionedLists([len(rows) for rows in lists], in_memory)
    for at, rows in enumerate(lists):
        for first in range(0, len(rows), run_rows):
            run = rows[first : first + run_rows]
            columns = [np.array([row[column] for row in run], dtype=np.uint32) for column in (1, 2)]
            result.add(at, points_of([row[0] for row in run]), *columns)
    return result


def random_lists(seed: int) -> list[list[Row]]:
    source = random.Random(seed)
    population, groups = source.choice((1, 4, 30)), source.choice((1, 3))
    lists = []
    for _ in range(source.choice((2, 3, 4))):
        pairs = list({(source.randrange(population), source.randrange(groups)) for _ in range(source.choice((0, 5, 40)))})
        source.shuffle(pairs)
        lists.append([(key, group, source.randint(1, 9)) for key, group in pairs])
    return lists


def naive(lists: list[list[Row]]) -> collections.Counter[tuple[int, ...]]:
    """All combinations of list rows with one key."""
    numbered = [[(at, row) for at, row in enumerate(rows)] for rows in lists]
    return collections.Counter(
        tuple(at for at, _ in combination)
        for combination in itertools.product(*numbered)
        if len({row[0] for _, row in combination}) == 1
    )


@pytest.mark.parametrize("seed", range(60))
def test_partitions_match_as_nested_loops_do(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 1 + seed % 9)
    monkeypatch.setattr(matching, "JOINED_ROWS", 1 + seed % 5)
    lists = random_lists(seed)
    while np.prod([max(1, len(rows)) for rows in lists]) > 50_000:
        lists = lists[:-1] if len(lists) > 2 else [rows[:100] for rows in lists]
    parts = partitioned(lists, 1 + seed % 7)
    found: collections.Counter[tuple[int, ...]] = collections.Counter()
    tally, common = CellTally(len(lists)), 0
    for number in range(parts.count):
        records = parts.read(number)
        counts = count_cells((0,), records)
        assert counts.repeats == (0,) * len(lists)
        tally.add(counts.cells, counts.keys)
        common += counts.common_keys
        for joined in joined_rows(records):
            rows = np.column_stack([records[at]["row"][joined.rows[:, at]] for at in range(len(lists))])
            found.update(map(tuple, rows.tolist()))
            products = [np.prod([lists[at][row[at]][2] for at in range(1, len(lists))]) for row in rows.tolist()]
            assert weights(joined.rows, records, 0).tolist() == products
            cells = np.repeat(joined.cells, np.diff(joined.starts), axis=0)
            assert cells.tolist() == [[lists[at][row[at]][1] for at in range(len(lists))] for row in rows.tolist()]
    assert found == naive(lists)
    expected = collections.Counter(tuple(lists[at][row][1] for at, row in enumerate(rows)) for rows in naive(lists))
    cells_found, keys = tally.totals()
    assert dict(zip(map(tuple, cells_of(cells_found).tolist()), keys.tolist(), strict=True)) == dict(expected)
    assert common == len(set.intersection(*({row[0] for row in rows} for rows in lists)))


def test_a_partition_holds_each_row_once_and_equal_keys_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 16)
    lists = [[(key, 0, 1) for key in range(200)], [(key, 1, 2) for key in reversed(range(300))]]
    parts = partitioned(lists, 33)
    assert parts.count == 32
    read = [parts.read(number) for number in range(parts.count)]
    for at, rows in enumerate(lists):
        places = np.concatenate([records[at]["row"] for records in read])
        assert sorted(places.tolist()) == list(range(len(rows)))
    homes = collections.defaultdict(set)
    for number, records in enumerate(read):
        for own in records:
            for point in own["point"]:
                homes[point.tobytes()].add(number)
    assert len(homes) == 300
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert max(len(records[0]) for records in read) < 40


def test_cell_keys_sort_as_groups_do() -> None:
    cells = np.array([[0, 0], [0, 256], [1, 0], [255, 1], [256, 0], [2**32 - 1, 2**31]])
    keys = cell_keys(cells)
    assert np.array_equal(np.sort(keys), keys)
    assert np.array_equal(cells_of(keys), cells)


def records_of(rows: list[Row]) -> Any:
    result = np.zeros(len(rows), dtype=RECORD)
    result["point"] = points_of([row[0] for row in rows]).copy().view("<u8")
    result["row"] = np.arange(len(rows))
    result["group"], result["multiplicity"] = ([row[column] for row in rows] for column in (1, 2))
    return result


def test_repeats_and_heavy_rows_are_counted() -> None:
    repeated = records_of([(1, 0, 1), (1, 0, 2), (2, 0, 1)])
    assert count_cells((0,), (records_of([(1, 0, 1)]), repeated)).repeats == (0, 1)
    heavy = (records_of([(1, 0, 1), (2, 0, 1)]), records_of([(1, 0, 2**20), (2, 0, 1)]), records_of([(1, 0, 2**12), (2, 0, 1)]))
    assert count_cells((0,), heavy).overweight == 1
    assert count_cells((1,), heavy).overweight == 0


def test_a_key_with_too_many_combinations_is_refused_before_they_are_made() -> None:
    rows = [(0, group, 1) for group in range(2**14)]
    lists = (records_of(rows),) * 4
    with pytest.raises(ParameterError, match="1 keys join to more than 1048576 cells each"):
        count_cells((0,), lists)


def test_one_key_with_many_groups_comes_in_one_batch() -> None:
    rows = [(0, group, 1) for group in range(400)]
    counts = count_cells((0,), (records_of(rows), records_of([*rows, (1, 0, 1)])))
    assert (len(counts.cells), int(counts.keys.max()), counts.common_keys) == (160_000, 1, 1)


class PicklingWorkers:
    """A mapper that sends everything through bytes, as a cluster does, and keeps them."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def __call__(self, function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[Any]:
        for chunk in chunks:
            data = pickle.dumps((function, chunk))
            self.sent.append(data)
            again, same = pickle.loads(data)  # noqa: S301  (bytes of this test)
            yield pickle.loads(pickle.dumps(again(same)))  # noqa: S301


def roles(rows: int, workers: Any = map, **changes: Any) -> dict[str, Any]:
    params = join_params(
        (
            provider_spec("left", carries=True, measures=(MEASURE,)),
            provider_spec("right", measures=(MEASURE,)),
        ),
        **({"chunk_rows": 16} | changes),
    )
    parties = join_roles_of(
        params,
        {
            "left": join_rows([(key, key % 3, (key % 100,)) for key in range(rows)], 1),
            "right": join_rows([(key // 2, key % 2, (key % 100,)) for key in range(rows)], 1),
        },
        seed="workers",
    )
    parties["operator"] = join.JoinOperator(
        "operator", params, workers=workers, rng=DeterministicRng("workers"), allow_insecure_key=True
    )
    return parties


def test_partitions_run_in_other_processes_with_public_values_only() -> None:
    workers = PicklingWorkers()
    parties = roles(60, workers)
    secret = parties["operator"]._seal_secret.scalar
    outputs = run_local(parties, rng=DeterministicRng("workers"))
    plain = run_local(roles(60), rng=DeterministicRng("workers"))
    assert outputs["gate"].cells == plain["gate"].cells
    assert len(outputs["gate"].cells) > 0
    assert outputs["operator"] == plain["operator"]
    sent = b"".join(workers.sent)
    names = {name for name in ("count_cells", "add_up", "check_ciphertexts") if name.encode() in sent}
    assert names == {"count_cells", "add_up", "check_ciphertexts"}
    assert secret not in sent
    for label in (b"SealSecret", b"PrivateKey", b"JoinOperator", b"Rng"):
        assert label not in sent
