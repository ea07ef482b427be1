"""Padding, at a provider: dummy rows up to a declared size, which match nothing and look like rows without partners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols.errors import ParameterError
from protocols.join.grouping import sorted_segments
from protocols.join.prepare import MeasureRows, ProviderRows
from protocols.primitives.rng import Rng
from protocols.psi.keycolumn import KeyColumn

Ints = npt.NDArray[np.int64]

# Encoded keys begin with a printable type tag, so that no key of anybody equals a dummy's.
_DUMMY_TAG = b"\0"
_SEED_BYTES = 32


def pad(rows: ProviderRows, size: int, rng: Rng) -> ProviderRows:
    """Return the rows with dummies behind them, `size` in all. Input: rows after the pattern rule.

    A dummy key is 32 secret random bytes and a number, hashed and blinded as others are. It copies the groups and
    multiplicities of a real key that is drawn at random, so that patterns and their shares stay; its counts and sums are 0.
    Raises ParameterError for a list that is longer than `size`, or that has no row to copy.
    """
    missing = size - len(rows)
    if missing < 0:
        raise ParameterError("a list is longer than the size that it is padded to; declare a larger padded_rows")
    if not missing:
        return rows
    if not len(rows):
        raise ParameterError("a list without rows cannot be padded: there is no pattern to copy")
    order, starts = sorted_segments(rows.keys.numbers())
    drawn, lengths = _draw_keys(np.diff(np.append(starts, len(order))), missing, rng)
    within = np.arange(missing) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    copied = order[np.repeat(starts[drawn], lengths) + within]
    keys = _dummy_keys(np.repeat(np.arange(len(drawn)), lengths), rng.bytes(_SEED_BYTES))
    none = np.zeros(missing, dtype=np.int64)
    return ProviderRows(
        keys=KeyColumn(pa.concat_arrays([rows.keys.data, keys.data])),
        groups=np.concatenate((rows.groups, rows.groups[copied])),
        labels=rows.labels,
        multiplicities=np.concatenate((rows.multiplicities, rows.multiplicities[copied])),
        measures=tuple(
            MeasureRows(
                counts=np.concatenate((measure.counts, none)),
                sums=measure.sums.extended(missing),
                squares=measure.squares.extended(missing),
            )
            for measure in rows.measures
        ),
    )


def _draw_keys(sizes: Ints, missing: int, rng: Rng) -> tuple[Ints, Ints]:
    """Draw keys, with repetition, whose rows are `missing` in all; only the last one may have to be cut short.

    A key is drawn among those whose rows still fit, so many at a time that all of them are sure to.
    """
    drawn: list[Ints] = []
    candidates = np.arange(len(sizes))
    left = missing
    while left:
        candidates = candidates[sizes[candidates] <= left]
        if not len(candidates):
            break
        count = left // int(sizes[candidates].max())
        # 64 random bits for at most 10^8 keys: the bias is below 2^-37.
        numbers = np.frombuffer(rng.bytes(8 * count), dtype=np.uint64) % np.uint64(len(candidates))
        drawn.append(candidates[numbers.astype(np.int64)])
        left -= int(sizes[drawn[-1]].sum())
    keys = np.concatenate([*drawn, np.zeros(1 if left else 0, dtype=np.int64)]).astype(np.int64)
    lengths = sizes[keys].copy()
    if left:
        lengths[-1] = left
    return keys, lengths


def _dummy_keys(numbers: Ints, seed: bytes) -> KeyColumn:
    head = _DUMMY_TAG + seed
    table = np.empty((len(numbers), len(head) + 8), dtype=np.uint8)
    table[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    table[:, len(head) :] = numbers.astype(">i8").view(np.uint8).reshape(-1, 8)
    return KeyColumn.of_rows(table)
