"""The pattern rule, at a provider: rare groups become one where that is agreed, then rows go until every pattern is common."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import numpy.typing as npt

from protocols.join.grouping import number_rows, sorted_segments
from protocols.join.prepare import ProviderRows, merge, select

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What the pattern rule took out before blinding. groups: indexes of the local groups of which nothing is left."""

    keys: int
    rows: int
    groups: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What went into the group "other" before the pattern rule. groups: indexes of the local groups that are part of it."""

    keys: int
    rows: int
    groups: tuple[int, ...]


def merge_rare_groups(rows: ProviderRows, min_pattern: int, other: bytes) -> tuple[ProviderRows, Merged]:
    """Make one group with the label `other` of all groups that fewer than `min_pattern` keys have. Input: merged rows.

    Rows of one key that meet in it are added up. A local group that has this label already is part of it.
    """
    # Merged rows name a key once per group.
    held = np.bincount(rows.groups, minlength=len(rows.labels))
    place = rows.labels.index(other) if other in rows.labels else len(rows.labels)
    rare = np.setdiff1d(np.flatnonzero((held > 0) & (held < min_pattern)), [place])
    if not len(rare):
        return rows, Merged(keys=0, rows=0, groups=())
    moved = np.isin(rows.groups, rare)
    merged = Merged(
        keys=len(np.unique(rows.keys.numbers()[moved])), rows=int(moved.sum()), groups=tuple(map(int, rare.tolist()))
    )
    labels = rows.labels if place < len(rows.labels) else (*rows.labels, other)
    return merge(dataclasses.replace(rows, groups=np.where(moved, place, rows.groups), labels=labels)), merged


def apply_pattern_rule(rows: ProviderRows, min_pattern: int, *, with_multiplicity: bool) -> tuple[ProviderRows, Removed]:
    """Remove rows until every per-key pattern that is left occurs for at least `min_pattern` keys.

    A pattern is the set of (group, multiplicity) of one key's rows, or of groups where the multiplicity stays encrypted. From
    every key with a rare pattern the row whose (group, multiplicity) fewest keys have is removed (ties: the lowest group, then
    multiplicity), all such keys at once, and patterns are counted again. Input: merged rows.
    """
    if min_pattern <= 1 or not len(rows):
        return rows, Removed(keys=0, rows=0, groups=())
    opened = rows.multiplicities if with_multiplicity else np.ones_like(rows.multiplicities)
    numbers = rows.keys.numbers()
    gone = _rare_rows(numbers, number_rows(rows.groups, opened), min_pattern)
    if not len(gone):
        return rows, Removed(keys=0, rows=0, groups=())
    is_kept = np.ones(len(rows), dtype=bool)
    is_kept[gone] = False
    kept = select(rows, np.flatnonzero(is_kept))
    vanished = np.setdiff1d(rows.groups, kept.groups)
    touched = len(np.unique(numbers[gone]))
    return kept, Removed(keys=touched, rows=len(gone), groups=tuple(vanished.tolist()))


def _rare_rows(keys: Ints, signs: Ints, min_pattern: int) -> Ints:
    """Return the rows to remove, of (key number, sign number) rows that are all different.

    Keys of a common pattern never change again, since its number of keys can only grow: each round looks at the others alone.
    """
    held = np.bincount(signs)
    values = _sign_values(len(held))
    common = np.zeros((0, 2), dtype=np.uint64)
    rows, starts = sorted_segments(keys)
    lengths = np.diff(np.append(starts, len(rows)))
    patterns = np.add.reduceat(values[signs[rows]], starts, axis=0)
    gone: list[Ints] = []
    while len(rows):
        is_rare, common = _rare_patterns(patterns, common, min_pattern)
        rows = rows[np.repeat(is_rare, lengths)]
        lengths, patterns = lengths[is_rare], patterns[is_rare]
        if not len(rows):
            break
        # One number orders rows by how many keys have their sign, then by sign, which is one row's alone within a key.
        weight = held[signs[rows]] * len(held) + signs[rows]
        lowest = np.minimum.reduceat(weight, np.cumsum(lengths) - lengths)
        is_weakest = weight == np.repeat(lowest, lengths)
        weakest = rows[is_weakest]
        gone.append(weakest)
        np.subtract.at(held, signs[weakest], 1)
        rows, lengths = rows[~is_weakest], lengths - 1
        patterns = (patterns - values[signs[weakest]])[lengths > 0]
        lengths = lengths[lengths > 0]
    return np.concatenate(gone) if gone else np.zeros(0, dtype=np.int64)


def _sign_values(count: int) -> npt.NDArray[np.uint64]:
    """Return 128 fixed pseudo-random bits for each sign: a set is told by their sum, wrongly with a chance of 2^-128 a pair."""
    data = hashlib.shake_128(b"public-data-sandbox/join/1/patterns").digest(16 * count)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(count, 2)


def _rare_patterns(
    patterns: npt.NDArray[np.uint64], common: npt.NDArray[np.uint64], min_pattern: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]:
    """Tell which of the keys' patterns are rare, and return the common ones, known ones and new ones."""
    everything = np.concatenate((common, patterns))
    numbers = number_rows(everything[:, 0], everything[:, 1])
    counts = np.bincount(numbers[len(common) :], minlength=int(numbers.max()) + 1)
    counts[numbers[: len(common)]] = min_pattern
    is_common = counts >= min_pattern
    first = np.unique(numbers, return_index=True)[1]
    return ~is_common[numbers[len(common) :]], everything[first[is_common]]
