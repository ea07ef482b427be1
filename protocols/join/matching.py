"""Step 4, at the operator: equal opened points are one key; its rows from all lists combine into joined rows, by cell."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.params import MAX_WEIGHT

Ints = npt.NDArray[np.int64]
POINT_WORDS = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenedList:
    """One list after opening: points (n, 32) uint8; groups (n,) int64, unlabelled; multiplicities (n,) int64.

    owner: whose list it is. last_hop: the provider that delivered it.
    """

    owner: str
    last_hop: str
    points: npt.NDArray[np.uint8]
    groups: Ints
    multiplicities: Ints


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Joined rows, sorted by cell. All of it is what the operator may see.

    rows: (joined, providers) int64, index into each list. cells: (cells, providers) int64, local groups.
    starts: (cells + 1,) int64, segments of `rows`. keys: (cells,) int64, distinct keys of each cell.
    common_keys: keys that all lists share.
    """

    rows: Ints
    cells: Ints
    starts: Ints
    keys: Ints
    common_keys: int


def match(lists: list[OpenedList]) -> Matched:
    """Join the lists on equal points and sort the joined rows by cell.

    Within a cell every key has one row per list, so the joined rows of a cell count its distinct keys.
    Raises PeerError, naming who delivered it, for a list that holds one key and group twice.
    """
    keys = _key_numbers([opened.points for opened in lists])
    for opened, numbers in zip(lists, keys, strict=True):
        _refuse_repeats(opened, numbers)
    total = int(max((int(numbers.max()) + 1 for numbers in keys if len(numbers)), default=0))
    present = np.ones(total, dtype=bool)
    for numbers in keys:
        present &= np.bincount(numbers, minlength=total).astype(bool)
    rows = _combine(keys, present)
    groups = np.column_stack([opened.groups[rows[:, at]] for at, opened in enumerate(lists)])
    order = np.lexsort(groups.T[::-1])
    rows, groups = rows[order], groups[order]
    changes = np.flatnonzero(np.any(groups[1:] != groups[:-1], axis=1)) + 1
    starts = np.concatenate(([0], changes, [len(rows)])) if len(rows) else np.zeros(1, dtype=np.int64)
    return Matched(
        rows=rows,
        cells=groups[starts[:-1]],
        starts=starts.astype(np.int64),
        keys=np.diff(starts).astype(np.int64),
        common_keys=int(present.sum()),
    )


def weights(matched: Matched, lists: list[OpenedList], *owners: int) -> Ints:
    """Return for each joined row the product of the multiplicities of all lists but the owners': (joined,) int64.

    Raises ParameterError for a product beyond 2^31 (int64 holds it: at most three factors of 2^20).
    """
    product = np.ones(len(matched.rows), dtype=np.int64)
    for at, opened in enumerate(lists):
        if at not in owners:
            product *= opened.multiplicities[matched.rows[:, at]]
    beyond = int((product > MAX_WEIGHT).sum())
    if beyond:
        raise ParameterError(f"{beyond} joined rows stand for more than {MAX_WEIGHT} raw rows of the other lists; filter them")
    return product


def _key_numbers(points: list[npt.NDArray[np.uint8]]) -> list[Ints]:
    """Number the distinct points of all lists from 0, by sorting: no hash table of Python objects."""
    words = np.concatenate(points).view(np.uint64).reshape(-1, POINT_WORDS)
    order = np.lexsort(words.T)
    ranked = words[order]
    new = np.ones(len(words), dtype=np.int64)
    if len(words):
        new[0] = 0
        new[1:] = np.any(ranked[1:] != ranked[:-1], axis=1)
    numbers = np.empty(len(words), dtype=np.int64)
    numbers[order] = np.cumsum(new)
    return np.split(numbers, np.cumsum([len(part) for part in points])[:-1])


def _refuse_repeats(opened: OpenedList, numbers: Ints) -> None:
    order = np.lexsort((opened.groups, numbers))
    same = (np.diff(numbers[order]) == 0) & (np.diff(opened.groups[order]) == 0)
    if same.any():
        raise PeerError(
            opened.last_hop,
            f"delivered list {opened.owner}, in which {int(same.sum())} rows repeat a key and group: "
            "sent so by its owner, or repeated on the way",
        )


def _combine(keys: list[Ints], present: npt.NDArray[np.bool_]) -> Ints:
    """Return every combination of rows, one from each list, that share a key: (joined, lists)."""
    joined = np.zeros((0, 0), dtype=np.int64)
    joined_keys = np.zeros(0, dtype=np.int64)
    for at, numbers in enumerate(keys):
        rows = np.flatnonzero(present[numbers])
        rows = rows[np.argsort(numbers[rows], kind="stable")]
        own = numbers[rows]
        if at == 0:
            joined, joined_keys = rows.reshape(-1, 1), own
            continue
        first = np.searchsorted(own, joined_keys, side="left")
        count = np.searchsorted(own, joined_keys, side="right") - first
        left = np.repeat(np.arange(len(joined)), count)
        within = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count)
        joined = np.column_stack((joined[left], rows[first[left] + within]))
        joined_keys = joined_keys[left]
    return joined
