"""Step 1, at a provider: rows with equal key and group become one, rare patterns go, groups become tags."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError
from protocols.join.params import MAX_MULTIPLICITY, ProviderSpec

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRows:
    """Aggregates of one measure over the raw rows behind each list row. Private to the provider.

    counts: (n,) int64, rows with a value. sums, squares: n Python ints, Σx and Σx² of the scaled integers.
    """

    counts: Ints
    sums: Sequence[int]
    squares: Sequence[int]

    def __repr__(self) -> str:
        return f"<MeasureRows: {len(self.counts)} rows>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRows:
    """A provider's own input, private to it. Row i stands for `multiplicities[i]` raw rows of one key and local group.

    keys: n encoded keys. groups: (n,) int64, index into labels. labels: one opaque encoding per local group.
    """

    keys: Sequence[bytes]
    groups: Ints
    labels: tuple[bytes, ...]
    multiplicities: Ints
    measures: tuple[MeasureRows, ...]

    def __post_init__(self) -> None:
        rows = len(self.keys)
        lengths = [len(self.groups), len(self.multiplicities)]
        for measure in self.measures:
            lengths += [len(measure.counts), len(measure.sums), len(measure.squares)]
        if any(length != rows for length in lengths):
            raise ParameterError("a provider's rows have columns of different lengths")
        if rows and (self.groups.min() < 0 or self.groups.max() >= len(self.labels)):
            raise ParameterError("a provider's rows name a group without a label")

    def __repr__(self) -> str:
        return f"<ProviderRows: {len(self.keys)} rows, {len(self.labels)} groups, {len(self.measures)} measures>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What the pattern rule took out before blinding. groups: indexes of the local groups of which nothing is left."""

    keys: int
    rows: int
    groups: tuple[int, ...]


def merge(rows: ProviderRows) -> ProviderRows:
    """Add up rows of the same key and group (normalisation can make two raw keys one)."""
    index: dict[tuple[bytes, int], int] = {}
    place = np.fromiter(
        (index.setdefault(pair, len(index)) for pair in zip(rows.keys, rows.groups.tolist(), strict=True)),
        dtype=np.int64,
        count=len(rows.keys),
    )
    if len(index) == len(rows.keys):
        return rows

    def added(values: Sequence[int]) -> list[int]:
        totals = [0] * len(index)
        for at, value in zip(place.tolist(), values, strict=True):
            totals[at] += value
        return totals

    measures = tuple(
        MeasureRows(
            counts=np.array(added(measure.counts.tolist()), dtype=np.int64),
            sums=added(measure.sums),
            squares=added(measure.squares),
        )
        for measure in rows.measures
    )
    return ProviderRows(
        keys=[key for key, _ in index],
        groups=np.array([group for _, group in index], dtype=np.int64),
        labels=rows.labels,
        multiplicities=np.array(added(rows.multiplicities.tolist()), dtype=np.int64),
        measures=measures,
    )


def select(rows: ProviderRows, kept: Ints) -> ProviderRows:
    """Return some of the rows, by index, in the given order."""
    places = kept.tolist()
    return ProviderRows(
        keys=[rows.keys[at] for at in places],
        groups=rows.groups[kept],
        labels=rows.labels,
        multiplicities=rows.multiplicities[kept],
        measures=tuple(
            MeasureRows(
                counts=measure.counts[kept],
                sums=[measure.sums[at] for at in places],
                squares=[measure.squares[at] for at in places],
            )
            for measure in rows.measures
        ),
    )


def check_declared(rows: ProviderRows, spec: ProviderSpec) -> None:
    """Check merged rows against what was declared: uniqueness, multiplicities, bounds. Errors give counts, never values."""
    if spec.unique:
        repeated = len(rows.keys) - len(set(rows.keys)) + int((rows.multiplicities > 1).sum())
        if repeated:
            raise ParameterError(f"{spec.name} declares its keys unique, but {repeated} rows repeat one; declare unique=False")
    if len(rows.multiplicities) and rows.multiplicities.min() < 1:
        raise ParameterError(f"{int((rows.multiplicities < 1).sum())} rows of {spec.name} stand for no raw row")
    if len(rows.multiplicities) and rows.multiplicities.max() > MAX_MULTIPLICITY:
        raise ParameterError(
            f"a key of {spec.name} stands for more than {MAX_MULTIPLICITY} rows in one group; filter or split it"
        )
    if len(rows.measures) != len(spec.measures):
        raise ParameterError(f"{spec.name} has {len(rows.measures)} measures where {len(spec.measures)} are agreed")
    for number, (measure, declared) in enumerate(zip(rows.measures, spec.measures, strict=True)):
        impossible = int(((measure.counts < 0) | (measure.counts > rows.multiplicities)).sum())
        if impossible:
            raise ParameterError(
                f"measure {number} of {spec.name}: {impossible} rows count more values than raw rows, or fewer than 0"
            )
        counts = measure.counts.tolist()
        beyond = sum(abs(total) > declared.bound * count for total, count in zip(measure.sums, counts, strict=True))
        beyond += sum(not 0 <= total <= declared.bound**2 * count for total, count in zip(measure.squares, counts, strict=True))
        if not declared.signed:
            beyond += sum(total < 0 for total in measure.sums)
        if beyond:
            raise EncodingOverflow(f"measure {number} of {spec.name}: {beyond} rows lie beyond the declared bounds")


def apply_pattern_rule(rows: ProviderRows, min_pattern: int, *, with_multiplicity: bool) -> tuple[ProviderRows, Removed]:
    """Remove rows until every per-key pattern that is left occurs for at least `min_pattern` keys.

    A pattern is the set of (group, multiplicity) of one key's rows, or of groups where the multiplicity stays encrypted. From
    every key with a rare pattern the row whose (group, multiplicity) fewest keys have is removed (ties: the lowest group, then
    multiplicity), all such keys at once, and patterns are counted again. Input: merged rows.
    """
    opened = rows.multiplicities.tolist() if with_multiplicity else [1] * len(rows.keys)
    signs = list(zip(rows.groups.tolist(), opened, strict=True))
    by_key: dict[bytes, dict[tuple[int, int], int]] = {}
    for row, (key, sign) in enumerate(zip(rows.keys, signs, strict=True)):
        by_key.setdefault(key, {})[sign] = row
    touched: set[bytes] = set()
    while True:
        patterns: dict[frozenset[tuple[int, int]], list[bytes]] = {}
        frequency: dict[tuple[int, int], int] = {}
        for key, row_of in by_key.items():
            if row_of:
                patterns.setdefault(frozenset(row_of), []).append(key)
            for sign in row_of:
                frequency[sign] = frequency.get(sign, 0) + 1
        rare = [(pattern, keys) for pattern, keys in patterns.items() if len(keys) < min_pattern]
        if not rare:
            break
        for pattern, keys in rare:
            weakest = min(pattern, key=lambda sign: (frequency[sign], sign))
            for key in keys:
                del by_key[key][weakest]
                touched.add(key)
    kept = np.array(sorted(row for row_of in by_key.values() for row in row_of.values()), dtype=np.int64)
    gone = set(range(len(rows.labels))) - set(rows.groups[kept].tolist())
    vanished = tuple(sorted(gone & set(rows.groups.tolist())))
    removed = Removed(keys=len(touched), rows=len(rows.keys) - len(kept), groups=vanished)
    return (rows if len(kept) == len(rows.keys) else select(rows, kept)), removed
