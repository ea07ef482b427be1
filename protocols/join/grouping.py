"""Equal rows found by sorting: numbers for distinct rows, and the segments of one key."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.int64] | npt.NDArray[np.uint64]


def sorted_segments(*columns: Words) -> tuple[Ints, Ints]:
    """Return the order that sorts rows by the columns, the first one counting most, and where each run of equal rows begins."""
    order = np.lexsort(columns[::-1]).astype(np.int64, copy=False)
    opens = np.ones(len(order), dtype=bool)
    if len(order):
        opens[1:] = False
        for column in columns:
            ranked = column[order]
            opens[1:] |= ranked[1:] != ranked[:-1]
    return order, np.flatnonzero(opens).astype(np.int64, copy=False)


def number_rows(*columns: Words) -> Ints:
    """Return for each row the number of its value among the sorted distinct ones: (n,) int64, from 0."""
    order, starts = sorted_segments(*columns)
    ranks = np.zeros(len(order), dtype=np.int64)
    ranks[starts] = 1
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(ranks) - 1
    return numbers
