"""The nearest row of a release by mixed columns: numbers by distance over the range, everything else by being the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.risk.encoding import IntArray

FloatArray = npt.NDArray[np.float64]
CELLS_AT_ONCE = 1 << 17


def nearest(release: pd.DataFrame, targets: pd.DataFrame, columns: Sequence[str], number: int = 1) -> IntArray:
    """Return for each target the rows of the release that are nearest, (targets, number) int64, the nearest first.

    Gower's distance (Gower 1971): |difference| over the range for numbers, 0 or 1 otherwise; missing equals missing. Ties go to
    the first row. Work: rows × targets × columns.
    """
    found = np.empty((len(targets), min(number, len(release))), dtype=np.int64)
    for chunk, distance in _distances(release, targets, columns):
        if found.shape[1] == 1:
            found[chunk, 0] = distance.argmin(axis=1)
        else:
            found[chunk] = np.argsort(distance, axis=1, kind="stable")[:, : found.shape[1]]
    return found


def closest(release: pd.DataFrame, targets: pd.DataFrame, columns: Sequence[str]) -> FloatArray:
    """Return each target's distance to the nearest row of the release, shape (targets,)."""
    found = np.empty(len(targets))
    for chunk, distance in _distances(release, targets, columns):
        found[chunk] = distance.min(axis=1)
    return found


def _distances(release: pd.DataFrame, targets: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[slice, FloatArray]]:
    """Yield (targets, their distances to all rows) in chunks that stay in a processor's cache; the array is used again."""
    ours, theirs = zip(*(_comparable(release[name], targets[name]) for name in columns), strict=True)
    step = max(1, CELLS_AT_ONCE // len(release))
    room = np.empty((2, step, len(release)))
    for start in range(0, len(targets), step):
        chunk = slice(start, min(start + step, len(targets)))
        distance, part = room[:, : chunk.stop - start]
        distance[:] = 0.0
        for own, other in zip(ours, theirs, strict=True):
            if own.dtype.kind == "f":
                distance += np.abs(np.subtract(other[chunk, None], own, out=part), out=part)
            else:
                distance += other[chunk, None] != own
        yield chunk, distance


def is_number(series: pd.Series) -> bool:
    """Whether a column is compared by distance."""
    return pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)


def _comparable(release: pd.Series, targets: pd.Series) -> tuple[FloatArray | IntArray, FloatArray | IntArray]:
    both = pd.concat([release, targets], ignore_index=True)
    if is_number(release) and is_number(targets):
        values = both.to_numpy(dtype=np.float64, na_value=np.nan)
        span = np.nanmax(values) - np.nanmin(values) if not np.isnan(values).all() else 0.0
        # A missing number is further from every number than any two are apart.
        scaled = np.where(np.isnan(values), 2.0, (values - np.nanmin(values)) / (span or 1.0))
        return scaled[: len(release)], scaled[len(release) :]
    codes = pd.factorize(both.astype(object), use_na_sentinel=False)[0].astype(np.int64)
    return codes[: len(release)], codes[len(release) :]
