"""Work over long lists, cut into chunks of rows that a caller's mapper may run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.party import Mapper, Progress

CHUNK_ROWS = 4096


def chunk_slices(rows: int, chunk_rows: int) -> Iterator[slice]:
    """Yield slices that cover range(rows) in order, `chunk_rows` at a time. Raises ParameterError if chunk_rows < 1."""
    if chunk_rows < 1:
        raise ParameterError(f"chunk_rows is {chunk_rows}; use 1 or more")
    return (slice(start, min(start + chunk_rows, rows)) for start in range(0, rows, chunk_rows))


def map_rows(
    function: Callable[[Any], npt.NDArray[np.uint8]],
    chunks: Iterable[Any],
    *,
    rows: int,
    width: int,
    mapper: Mapper,
) -> npt.NDArray[np.uint8]:
    """Run `function` over chunks through the mapper; return the results stacked as (rows, width) uint8."""
    result = np.empty((rows, width), dtype=np.uint8)
    filled = 0
    for part in mapper(function, chunks):
        result[filled : filled + len(part)] = part
        filled += len(part)
    return result


def reporting(mapper: Mapper, progress: Progress, step: str, rows: int) -> Mapper:
    """Return the mapper with every finished chunk reported as rows done of `rows`, and a cancellation heeded between chunks."""

    def mapped(function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[Any]:
        done = 0
        progress.check()
        for part in mapper(function, chunks):
            done += len(part)
            progress.advance(step, done, rows)
            yield part

    return mapped
