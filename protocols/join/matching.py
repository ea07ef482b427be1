"""Step 4, at the operator: equal opened points are one key; its rows from all lists combine into joined rows, by cell.

Pure functions over one partition at a time: public values in and out, so that a mapper may run them anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.join.grouping import number_rows, sorted_segments
from protocols.join.params import MAX_WEIGHT
from protocols.join.partitions import Records

Ints = npt.NDArray[np.int64]
CellKeys = npt.NDArray[Any]

JOINED_ROWS = 1 << 16
MAX_KEY_ROWS = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Some joined rows of one partition, sorted by cell. All of it is what the operator may see.

    rows: (joined, providers), index into the partition's records of each list. cells: (k, providers), local groups.
    starts: (k + 1,), segments of `rows`. Within a cell every key has one row per list: a cell's rows count its keys.
    """

    rows: Ints
    cells: Ints
    starts: Ints


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCounts:
    """What matching one partition shows. cells: (k,) cell keys; keys: (k,) distinct keys of each cell.

    common_keys: keys in all lists. repeats: rows of each list that repeat a key and group. overweight: joined rows beyond
    MAX_WEIGHT raw rows of other lists.
    """

    cells: CellKeys
    keys: Ints
    common_keys: int
    repeats: tuple[int, ...]
    overweight: int


def count_cells(weighted: tuple[int, ...], lists: tuple[Records, ...]) -> PartitionCounts:
    """Match one partition and count each cell's keys. weighted: numbers of the lists whose ciphertexts are weighted.

    Raises ParameterError for a key that joins to more than MAX_KEY_ROWS rows.
    """
    numbers = _key_numbers(lists)
    repeats = tuple(_repeats(own, records) for own, records in zip(numbers, lists, strict=True))
    tally = CellTally(len(lists))
    overweight = common_keys = 0
    if not any(repeats):
        common_keys = len(_common_keys(numbers))
        for joined in _batches(numbers, lists):
            tally.add(cell_keys(joined.cells), np.diff(joined.starts))
            heaviest = np.max([weights(joined.rows, lists, owner) for owner in weighted], axis=0)
            overweight += int((heaviest > MAX_WEIGHT).sum())
    cells, keys = tally.totals()
    return PartitionCounts(cells=cells, keys=keys, common_keys=common_keys, repeats=repeats, overweight=overweight)


def joined_rows(lists: tuple[Records, ...]) -> Iterator[Joined]:
    """Yield the joined rows of one partition, whole keys at a time, in batches of about JOINED_ROWS.

    Raises ParameterError for a key that joins to more than MAX_KEY_ROWS rows.
    """
    yield from _batches(_key_numbers(lists), lists)


def weights(rows: Ints, lists: tuple[Records, ...], *owners: int) -> Ints:
    """Return for each joined row the product of the multiplicities of all lists but the owners': (joined,) int64.

    int64 holds it: at most three factors of 2^20.
    """
    product = np.ones(len(rows), dtype=np.int64)
    for at, records in enumerate(lists):
        if at not in owners:
            product *= records["multiplicity"][rows[:, at]].astype(np.int64)
    return product


def cell_keys(cells: Ints) -> CellKeys:
    """Return (k, providers) local groups as one sortable value each, in the order of the groups."""
    width = 4 * cells.shape[1]
    return np.ascontiguousarray(cells.astype(">u4")).view(f"S{width}").reshape(-1)


def cells_of(keys: CellKeys) -> Ints:
    """Return the (k, providers) local groups of cell keys."""
    return keys.view(">u4").reshape(len(keys), keys.dtype.itemsize // 4).astype(np.int64)


class CellTally:
    """Distinct keys per cell, added up over partitions. New counts wait until there are as many as cells known."""

    def __init__(self, providers: int) -> None:
        self._cells: CellKeys = np.zeros(0, dtype=f"S{4 * providers}")
        self._keys: Ints = np.zeros(0, dtype=np.int64)
        self._waiting: list[tuple[CellKeys, Ints]] = []
        self._waiting_rows = 0

    def add(self, cells: CellKeys, keys: Ints) -> None:
        """Add the counts of some cells."""
        self._waiting.append((cells, keys))
        self._waiting_rows += len(cells)
        if self._waiting_rows > max(JOINED_ROWS, len(self._cells)):
            self.totals()

    def totals(self) -> tuple[CellKeys, Ints]:
        """Return all cells, sorted, and the keys of each."""
        cells = np.concatenate([self._cells, *(cells for cells, _ in self._waiting)])
        keys = np.concatenate([self._keys, *(keys for _, keys in self._waiting)])
        self._cells, places = np.unique(cells, return_inverse=True)
        self._keys = np.zeros(len(self._cells), dtype=np.int64)
        np.add.at(self._keys, places.reshape(-1), keys)
        self._waiting, self._waiting_rows = [], 0
        return self._cells, self._keys


def _key_numbers(lists: tuple[Records, ...]) -> list[Ints]:
    """Number the distinct points of all lists, from 0."""
    points = np.concatenate([records["point"] for records in lists])
    numbers = number_rows(*(np.ascontiguousarray(points[:, word]) for word in range(points.shape[1])))
    return np.split(numbers, np.cumsum([len(records) for records in lists])[:-1])


def _repeats(numbers: Ints, records: Records) -> int:
    return len(numbers) - len(sorted_segments(numbers, records["group"].astype(np.int64))[1])


def _common_keys(numbers: list[Ints]) -> Ints:
    common = np.unique(numbers[0])
    for own in numbers[1:]:
        common = np.intersect1d(common, own)
    return common


def _batches(numbers: list[Ints], lists: tuple[Records, ...]) -> Iterator[Joined]:
    keys = _common_keys(numbers)
    orders = [np.argsort(own, kind="stable") for own in numbers]
    firsts = [np.searchsorted(own[order], keys, side="left") for own, order in zip(numbers, orders, strict=True)]
    counts = [
        np.searchsorted(own[order], keys, side="right") - first
        for own, order, first in zip(numbers, orders, firsts, strict=True)
    ]
    # In floating point, since four lists of one key may have more combinations than int64 holds.
    joined = np.prod(np.stack(counts).astype(np.float64), axis=0) if len(keys) else np.zeros(0)
    if np.any(joined > MAX_KEY_ROWS):
        raise ParameterError(
            f"{int((joined > MAX_KEY_ROWS).sum())} keys join to more than {MAX_KEY_ROWS} cells each; group by less"
        )
    ends = np.cumsum(joined.astype(np.int64))
    start = 0
    while start < len(keys):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + JOINED_ROWS, side="right")))
        yield _combined(orders, firsts, counts, slice(start, end), lists)
        start = end


def _combined(orders: list[Ints], firsts: list[Ints], counts: list[Ints], keys: slice, lists: tuple[Records, ...]) -> Joined:
    """Return every combination of rows, one from each list, of some keys: combinations are counted in mixed radix."""
    radix = [count[keys].astype(np.int64) for count in counts]
    combinations = np.prod(np.stack(radix), axis=0)
    key_of_row = np.repeat(np.arange(len(combinations)), combinations)
    rest = np.arange(len(key_of_row)) - np.repeat(np.cumsum(combinations) - combinations, combinations)
    rows = np.empty((len(key_of_row), len(lists)), dtype=np.int64)
    for at in reversed(range(len(lists))):
        base = radix[at][key_of_row]
        rows[:, at] = orders[at][firsts[at][keys][key_of_row] + rest % base]
        rest //= base
    groups = [records["group"][rows[:, at]].astype(np.int64) for at, records in enumerate(lists)]
    order, starts = sorted_segments(*groups)
    cells = np.column_stack([column[order[starts]] for column in groups])
    return Joined(rows=rows[order], cells=cells, starts=np.append(starts, len(rows)))
