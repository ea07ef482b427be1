"""The nearest row of a release by mixed columns: numbers by distance over the range, everything else by being the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.risk.encoding import IntArray

FloatArray = npt.NDArray[np.float64]
CELLS_AT_ONCE = 4_000_000


def nearest(release: pd.DataFrame, targets: pd.DataFrame, columns: Sequence[str], number: int = 1) -> IntArray:
    """Return for each target the rows of the release that are nearest, (targets, number) int64, the nearest first.

    Gower's distance (Gower 1971): |difference| over the range for numbers, 0 or 1 otherwise; missing equals missing. Ties go to
    the first row. Work: rows × targets × columns.
    """
    ours, theirs = zip(*(_comparable(release[name], targets[name]) for name in columns), strict=True)
    found = np.empty((len(targets), min(number, len(release))), dtype=np.int64)
    step = max(1, CELLS_AT_ONCE // len(release))
    for start in range(0, len(targets), step):
        chunk = slice(start, start + step)
        distance = np.zeros((len(targets[chunk]), len(release)))
        for own, other in zip(ours, theirs, strict=True):
            distance += np.abs(other[chunk, None] - own) if own.dtype.kind == "f" else other[chunk, None] != own
        if found.shape[1] == 1:
            found[chunk, 0] = distance.argmin(axis=1)
        else:
            found[chunk] = np.argsort(distance, axis=1, kind="stable")[:, : found.shape[1]]
    return found


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
