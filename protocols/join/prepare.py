"""Step 1, at a provider: its rows as columns, rows with equal key and group made one, and what was declared checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import EncodingOverflow, ParameterError
from protocols.join.grouping import sorted_segments
from protocols.join.integers import Integers
from protocols.join.params import MAX_MULTIPLICITY, MeasureSpec, ProviderSpec
from protocols.psi.keycolumn import SPAN_ROWS, KeyColumn

Ints = npt.NDArray[np.int64]
_INT64_LIMIT = 1 << 63


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRows:
    """Aggregates of one measure over the raw rows behind each list row. Private to the provider.

    counts: (n,) int64, rows with a value. sums, squares: Σx and Σx² of the scaled integers.
    """

    counts: Ints
    sums: Integers
    squares: Integers

    @classmethod
    def of(cls, *, counts: Any, sums: Any, squares: Any) -> MeasureRows:
        """Return the columns of Python integers or numpy arrays."""
        return cls(counts=np.asarray(counts, dtype=np.int64), sums=Integers.of(sums), squares=Integers.of(squares))

    def __getitem__(self, rows: slice | Ints) -> MeasureRows:
        return MeasureRows(counts=self.counts[rows], sums=self.sums[rows], squares=self.squares[rows])

    def __repr__(self) -> str:
        return f"<MeasureRows: {len(self.counts)} rows>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRows:
    """A provider's own input, private to it. Row i stands for `multiplicities[i]` raw rows of one key and local group.

    keys: n encoded keys. groups: (n,) int64, index into labels. labels: one opaque encoding per local group.
    All columns may be mapped from files of the provider's own; nothing here writes to them.
    """

    keys: KeyColumn
    groups: Ints
    labels: tuple[bytes, ...]
    multiplicities: Ints
    measures: tuple[MeasureRows, ...]

    def __post_init__(self) -> None:
        lengths = [len(self.groups), len(self.multiplicities)]
        for measure in self.measures:
            lengths += [len(measure.counts), len(measure.sums), len(measure.squares)]
        if any(length != len(self) for length in lengths):
            raise ParameterError("a provider's rows have columns of different lengths")
        if len(self) and (self.groups.min() < 0 or self.groups.max() >= len(self.labels)):
            raise ParameterError("a provider's rows name a group without a label")

    @classmethod
    def of(
        cls,
        *,
        keys: Sequence[bytes],
        groups: Any,
        labels: Sequence[bytes],
        multiplicities: Any,
        measures: Sequence[MeasureRows] = (),
    ) -> ProviderRows:
        """Return the columns of Python sequences or numpy arrays."""
        return cls(
            keys=keys if isinstance(keys, KeyColumn) else KeyColumn.of(keys),
            groups=np.asarray(groups, dtype=np.int64),
            labels=tuple(labels),
            multiplicities=np.asarray(multiplicities, dtype=np.int64),
            measures=tuple(measures),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"<ProviderRows: {len(self)} rows, {len(self.labels)} groups, {len(self.measures)} measures>"


def select(rows: ProviderRows, chosen: Ints) -> ProviderRows:
    """Return some of the rows, by index, in the given order."""
    return ProviderRows(
        keys=rows.keys[chosen],
        groups=rows.groups[chosen],
        labels=rows.labels,
        multiplicities=rows.multiplicities[chosen],
        measures=tuple(measure[chosen] for measure in rows.measures),
    )


def merge(rows: ProviderRows) -> ProviderRows:
    """Add up rows of the same key and group (normalisation can make two raw keys one)."""
    order, starts = sorted_segments(rows.keys.numbers(), rows.groups)
    if len(starts) == len(rows):
        return rows

    def added(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values[order], starts), dtype=np.int64)

    first = order[starts]
    return ProviderRows(
        keys=rows.keys[first],
        groups=rows.groups[first],
        labels=rows.labels,
        multiplicities=added(rows.multiplicities),
        measures=tuple(
            MeasureRows(
                counts=added(measure.counts),
                sums=measure.sums.segment_sums(order, starts),
                squares=measure.squares.segment_sums(order, starts),
            )
            for measure in rows.measures
        ),
    )


def check_declared(rows: ProviderRows, spec: ProviderSpec) -> None:
    """Check merged rows against what was declared: uniqueness, multiplicities, bounds. Errors give counts, never values."""
    if spec.unique:
        distinct = int(rows.keys.numbers().max()) + 1 if len(rows) else 0
        repeated = len(rows) - distinct + int((rows.multiplicities > 1).sum())
        if repeated:
            raise ParameterError(f"{spec.name} declares its keys unique, but {repeated} rows repeat one; declare unique=False")
    if len(rows) and rows.multiplicities.min() < 1:
        raise ParameterError(f"{int((rows.multiplicities < 1).sum())} rows of {spec.name} stand for no raw row")
    if len(rows) and rows.multiplicities.max() > MAX_MULTIPLICITY:
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
        beyond = sum(_beyond(measure[span], declared) for span in _spans(len(rows)))
        if beyond:
            raise EncodingOverflow(f"measure {number} of {spec.name}: {beyond} rows lie beyond the declared bounds")


def _spans(rows: int) -> list[slice]:
    return [slice(first, first + SPAN_ROWS) for first in range(0, rows, SPAN_ROWS)]


def _beyond(measure: MeasureRows, declared: MeasureSpec) -> int:
    """Count broken bounds in a span of rows: by arrays where int64 holds every product, else by Python integers."""
    most = int(measure.counts.max(initial=1))
    sums, squares = measure.sums.int64, measure.squares.int64
    if sums is None or squares is None or max(1, declared.bound) ** 2 * most >= _INT64_LIMIT:
        return _beyond_exactly(measure, declared)
    highest = declared.bound * measure.counts
    lowest = -highest
    beyond = int(((sums > highest) | (sums < lowest)).sum())
    beyond += int(((squares < 0) | (squares > declared.bound**2 * measure.counts)).sum())
    return beyond + (0 if declared.signed else int((sums < 0).sum()))


def _beyond_exactly(measure: MeasureRows, declared: MeasureSpec) -> int:
    counts, sums, squares = measure.counts.tolist(), measure.sums.tolist(), measure.squares.tolist()
    beyond = sum(1 for total, count in zip(sums, counts, strict=True) if abs(total) > declared.bound * count)
    beyond += sum(1 for total, count in zip(squares, counts, strict=True) if not 0 <= total <= declared.bound**2 * count)
    return beyond + (0 if declared.signed else sum(1 for total in sums if total < 0))
