"""Multidimensional Mondrian: rows halved along one column after another, as long as both halves stay private. For large tables.

Strict (a value is on one side of a cut), level by level: all partitions of a round are cut at once, on distinct rows with
counts. Source: LeFevre, DeWitt, Ramakrishnan, "Mondrian Multidimensional K-Anonymity", ICDE 2006.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.desensitise.anonymise import Anonymised
from protocols.desensitise.classes import ClassTable, make_base, require_sensitive, roll_up
from protocols.desensitise.hierarchy import FloatArray, IntArray, Levels, Whole, as_hierarchy
from protocols.desensitise.models import KAnonymity, KMap, Model, bound, violating
from protocols.desensitise.verification import verify
from protocols.errors import ParameterError
from protocols.party import Progress
from protocols.risk.encoding import Dictionary, as_frame, encode, tally

if TYPE_CHECKING:
    import pyarrow as pa

BoolArray = npt.NDArray[np.bool_]


def mondrian(
    frame: pd.DataFrame | pa.Table,
    quasi: Sequence[str],
    hierarchies: Mapping[str, object] | None = None,
    k: int = 5,
    *,
    models: Sequence[Model] = (),
    progress: Progress | None = None,
) -> Anonymised:
    """Return a table of partitions of at least k rows that satisfy the models, each as small as halving makes it.

    Values are cut in their order: numbers and dates by size, others by their hierarchy's tree, else as text. A partition is
    shown as the value that all have, the finest label of the column's hierarchy that covers them, `[least, most]` for
    numbers and dates, or the set `{a, b}`. Equal values may get different labels in different partitions. levels is empty;
    loss is the certainty penalty: the part of a column's domain that a cell covers, averaged over all cells (Xu and others
    2006). Checked as `k_anonymise` is. Raises ParameterError: unusable input, or the table as a whole does not satisfy the
    models.
    """
    sensitive_names = list(dict.fromkeys(model.column for model in models if model.column))
    require_sensitive(sensitive_names, quasi)
    table = as_frame(frame, [*quasi, *sensitive_names])
    if not quasi:
        raise ParameterError("at least one quasi-identifier is needed")
    if any(isinstance(model, KMap) for model in models):
        raise ParameterError("k-map needs one generalisation for everybody: use k_anonymise")
    trees = hierarchies or {}
    columns = [_ordered(encode(table[name], name), trees.get(name)) for name in quasi]
    sensitive = [encode(table[name], name) for name in sensitive_names]
    base = make_base(columns, [Whole().bind(column.values, column.name) for column in columns], sensitive)
    everything: tuple[Model, ...] = (KAnonymity(k=k), *models)
    cutting = _Cutting(base.codes, base.table, bound(everything, {item.name: item.values for item in sensitive}), k)
    parts = cutting.run(progress or Progress())
    result = table.copy()
    penalty = 0.0
    order = np.argsort(parts, kind="stable")
    starts = np.searchsorted(parts[order], np.arange(int(parts.max()) + 1))
    for column, codes in zip(columns, base.codes, strict=True):
        labels, shares = _labels(column, codes[order], starts, trees.get(column.name))
        result[column.name] = pd.Series(labels[parts][base.of_row], index=table.index, dtype=object)
        penalty += float((shares[parts] * base.table.sizes).sum()) / len(table) / len(columns)
    verify(table, result, quasi, everything)
    sizes = tally(parts, int(parts.max()) + 1, base.table.sizes)
    return Anonymised(
        frame=result,
        levels={},
        loss=penalty,
        measure="certainty_penalty",
        suppressed=np.zeros(len(table), dtype=np.bool_),
        classes=len(sizes),
        smallest=int(sizes.min()),
        checked=cutting.tried,
        nodes=cutting.tried,
    )


class _Cutting:
    """The state of the cuts. part: (distinct,) int64, each distinct row's partition; open: (partitions, columns) bool, what may
    still be tried."""

    def __init__(self, codes: tuple[IntArray, ...], table: ClassTable, models: tuple[Model, ...], k: int) -> None:
        self._codes, self._table, self._models, self._k = codes, table, models, k
        self._spans = np.array([max(1, int(column.max())) for column in codes], dtype=np.float64)
        self.part = np.zeros(len(table), dtype=np.int64)
        self.open = np.ones((1, len(codes)), dtype=np.bool_)
        self.tried = 0

    def run(self, progress: Progress) -> IntArray:
        """Return each distinct row's partition. Raises ParameterError if there is no private table at all."""
        if violating(self._models, self._rolled(self.part, 1)).any():
            raise ParameterError("the table as a whole does not satisfy the models; ask for less")
        while True:
            widths = self._widths()
            live = widths.max(axis=1) > 0
            progress.advance("mondrian", int((~live[self.part]).sum()), len(self.part))
            if not live.any():
                return self.part
            chosen = np.where(live, widths.argmax(axis=1), -1)
            for column in range(len(self._codes)):
                wanted = np.flatnonzero(chosen == column)
                if len(wanted):
                    self._cut(column, wanted)

    def _widths(self) -> FloatArray:
        """How wide each partition is in each column, as a part of the column; 0 where nothing can be cut any more."""
        self.open &= (tally(self.part, len(self.open), self._table.sizes) >= 2 * self._k)[:, None]
        found = np.zeros(self.open.shape)
        is_live = np.asarray(self.open.any(axis=1))
        live, rows = np.flatnonzero(is_live), np.flatnonzero(is_live[self.part])
        if not len(live):
            return found
        rows = rows[np.argsort(self.part[rows], kind="stable")]
        starts = np.searchsorted(self.part[rows], live)
        for at, codes in enumerate(self._codes):
            sorted_codes = codes[rows]
            low, high = np.minimum.reduceat(sorted_codes, starts), np.maximum.reduceat(sorted_codes, starts)
            found[live, at] = (high - low) / self._spans[at]
        self.open &= found > 0
        return np.where(self.open, found, 0)

    def _cut(self, column: int, wanted: IntArray) -> None:
        """Cut each wanted partition where its halves are most equal and both have k rows, if both satisfy the models."""
        self.tried += len(wanted)
        number = len(self.open)
        local = np.full(number, -1, dtype=np.int64)
        local[wanted] = np.arange(len(wanted))
        rows = np.flatnonzero(local[self.part] >= 0)
        codes, part = self._codes[column][rows], local[self.part[rows]]
        border = _borders(part, codes, self._table.sizes[rows], len(wanted), self._k)
        right = rows[codes > border[part]]
        cut = np.flatnonzero(border < _NONE)
        self.open[wanted[border == _NONE], column] = False
        names = np.full(number, -1, dtype=np.int64)
        names[wanted[cut]] = number + np.arange(len(cut))
        candidate = self.part.copy()
        candidate[right] = names[self.part[right]]
        if len(self._models) > 1:
            # KAnonymity holds by the border; the others are asked of both halves.
            bad = violating(self._models, self._rolled(candidate, number + len(cut)))
            refused = bad[wanted[cut]] | bad[number + np.arange(len(cut))]
            self.open[wanted[cut][refused], column] = False
            names[wanted[cut][refused]] = -1
            cut = cut[~refused]
            names[wanted[cut]] = number + np.arange(len(cut))
            candidate = self.part.copy()
            moved = right[names[self.part[right]] >= 0]
            candidate[moved] = names[self.part[moved]]
        self.part = candidate
        self.open = np.concatenate([self.open, self.open[wanted[cut]]])

    def _rolled(self, parts: IntArray, number: int) -> ClassTable:
        return roll_up(self._table, parts, number)


_NONE = np.iinfo(np.int64).max


def _borders(part: IntArray, codes: IntArray, counts: IntArray, number: int, k: int) -> IntArray:
    """Return for each part the code after which to cut it, _NONE where no cut leaves k rows on both sides; (number,) int64."""
    order = np.lexsort((codes, part))
    part, codes, counts = part[order], codes[order], counts[order]
    starts = np.searchsorted(part, np.arange(number))
    running = np.cumsum(counts)
    before = np.concatenate([[0], running])[starts]
    totals = np.concatenate([running[np.append(starts[1:], len(part)) - 1]]) - before
    left = running - before[part]
    # Only after the last of equal codes of one part can it be cut.
    last = np.append((codes[1:] != codes[:-1]) | (part[1:] != part[:-1]), True)
    fits = last & (left >= k) & (totals[part] - left >= k)
    unequal = np.where(fits, np.abs(2 * left - totals[part]), _NONE)
    best = np.minimum.reduceat(unequal, starts)
    border = np.full(number, _NONE, dtype=np.int64)
    chosen = np.flatnonzero(fits & (unequal == best[part]))[::-1]
    border[part[chosen]] = codes[chosen]
    return border


def _ordered(column: Dictionary, hierarchy: object) -> Dictionary:
    """Return the column with its values, and so its codes, in the order in which they are cut; missing ones last."""
    missing = pd.isna(column.values)
    present = np.flatnonzero(~missing)
    values = column.values[present]
    if _is_ordered(column.values):
        ranked = present[np.argsort(values, kind="stable")]
    else:
        chains = _bound(column.values[present], column.name, hierarchy)
        keys = [
            tuple(str(chains.labels[level][chains.maps[level][at]]) for level in range(chains.height, -1, -1))
            for at in range(len(present))
        ]
        ranked = present[sorted(range(len(present)), key=lambda at: keys[at])]
    order = np.concatenate([ranked, np.flatnonzero(missing)]).astype(np.int64)
    place = np.empty(column.size, dtype=np.int64)
    place[order] = np.arange(column.size)
    return Dictionary(name=column.name, codes=place[column.codes], values=column.values[order])


def _is_ordered(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "iufMm"


def _bound(values: npt.NDArray[Any], name: str, hierarchy: object) -> Levels:
    return (Whole() if hierarchy is None else as_hierarchy(hierarchy)).bind(values, name)


def _labels(column: Dictionary, codes: IntArray, starts: IntArray, hierarchy: object) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return each partition's label, (partitions,) object, and the part of the domain that it covers, (partitions,) float64.

    codes: the distinct rows', partition after partition; starts: (partitions,) int64, where each begins.
    """
    number = len(starts)
    low, high = np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)
    labels = np.empty(number, dtype=object)
    single = low == high
    labels[single] = [None if pd.isna(value) else value for value in column.values[low[single]].tolist()]
    shares = (high - low) / max(1, column.size - 1)
    wide = np.flatnonzero(~single)
    if hierarchy is not None:
        levels = _bound(column.values, column.name, hierarchy)
        for level in range(levels.height, 0, -1):
            groups = levels.maps[level][codes]
            first, last = np.minimum.reduceat(groups, starts), np.maximum.reduceat(groups, starts)
            covered = ~single & (first == last)
            labels[covered] = levels.labels[level][first[covered]]
            shares[covered] = levels.shares[level][first[covered]]
            wide = wide[~covered[wide]] if level == levels.height else wide
    if not len(wide):
        return labels, shares
    members = [column.values[np.unique(part)] for part in np.split(codes, starts[1:])] if not _is_ordered(column.values) else []
    for at in wide:
        if members:
            labels[at] = "{" + ", ".join(map(str, members[at])) + "}"
        else:
            labels[at] = _span(column.values, int(low[at]), int(high[at]))
    return labels, shares


def _span(values: npt.NDArray[Any], low: int, high: int) -> str:
    top = high
    while pd.isna(values[top]):
        top -= 1
    text = f"[{_shown(values[low])}, {_shown(values[top])}]"
    return text if top == high else f"{text} or missing"


def _shown(value: Any) -> str:
    return (
        str(pd.Timestamp(value))
        if isinstance(value, np.datetime64)
        else f"{value:.12g}"
        if isinstance(value, np.floating)
        else str(value)
    )
