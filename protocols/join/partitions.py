"""Opened lists in scratch space, cut by a prefix of the point, so that equal keys of all lists meet in one small part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.party import Scratch

Ints = npt.NDArray[np.int64]
Records = npt.NDArray[Any]

# One opened row: its point, its place in its list, its unlabelled group, how many raw rows it stands for (1 if not opened).
RECORD = np.dtype([("point", "<u8", 4), ("row", "<u8"), ("group", "<u4"), ("multiplicity", "<u4")])
PARTITION_ROWS = 1 << 13
MAX_PARTITIONS = 1 << 12
RUN_ROWS = 1 << 16


def partition_count(rows: int) -> int:
    """Return into how many partitions lists of `rows` rows together are cut."""
    count = 1
    while count * PARTITION_ROWS < rows and count < MAX_PARTITIONS:
        count *= 2
    return count


class PartitionedLists:
    """All lists of one join after opening, as `RECORD`s. Public values of the operator; no key, label or value.

    A list is written in runs of at most `RUN_ROWS` rows, each sorted by partition, so that one pass over a list is enough and
    a partition is read as a few slices. Points are uniform, so partitions are even whatever the keys are.
    """

    def __init__(self, list_rows: Sequence[int], scratch: Scratch) -> None:
        """Make room. Raises ParameterError if the scratch space has none."""
        self.count = partition_count(sum(list_rows))
        self._scratch = scratch
        try:
            self._lists = [scratch(rows, RECORD.itemsize) for rows in list_rows]
        except MemoryError:
            raise ParameterError(f"no room for {sum(list_rows)} opened rows; give scratch space on a disk") from None
        self._filled = [0] * len(list_rows)
        self._edges: list[list[Ints]] = [[] for _ in list_rows]

    def add(self, at: int, points: npt.NDArray[np.uint8], groups: npt.NDArray[Any], multiplicities: npt.NDArray[Any]) -> None:
        """Write the next run of list number `at`: (n, 32) points, (n,) groups and multiplicities, in the list's order."""
        first = self._filled[at]
        # The lowest bit of an encoding is always 0, so that the prefix is read from its second byte on.
        prefix = points[:, 1].astype(np.int64) | points[:, 2].astype(np.int64) << 8
        partition = prefix % self.count
        order = np.argsort(partition, kind="stable")
        run = np.empty(len(points), dtype=RECORD)
        run["point"] = np.ascontiguousarray(points[order]).view("<u8")
        run["row"] = first + order
        run["group"] = groups[order]
        run["multiplicity"] = multiplicities[order]
        self._lists[at][first : first + len(run)] = run.view(np.uint8).reshape(len(run), RECORD.itemsize)
        self._edges[at].append(first + np.searchsorted(partition[order], np.arange(self.count + 1)).astype(np.int64))
        self._filled[at] += len(run)
        self._scratch.release()

    def read(self, partition: int) -> tuple[Records, ...]:
        """Return the records of one partition, (n,) per list, in memory."""
        result = tuple(
            np.concatenate([rows[edges[partition] : edges[partition + 1]] for edges in runs] or [rows[:0]])
            .view(RECORD)
            .reshape(-1)
            for rows, runs in zip(self._lists, self._edges, strict=True)
        )
        self._scratch.release()
        return result

    def __repr__(self) -> str:
        return f"<PartitionedLists: {self.count} partitions, {sum(self._filled)} rows>"
