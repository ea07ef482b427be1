"""Utility: how far a twin's one-way and two-way shares lie from the table's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from protocols.desensitise.synthesis import cells
from protocols.desensitise.synthesis.aggregates import Aggregates, ColumnCounts
from protocols.desensitise.synthesis.fields import IntArray


@dataclass(frozen=True, slots=True)
class Utility:
    """Total variation distances, ½ Σ |p − q|: 0 for the same shares, 1 for nothing in common.

    columns: by column, over its cells. pairs: by pair of columns, over their groups, those of no tree edge too.
    """

    columns: dict[str, float]
    pairs: dict[tuple[str, str], float]

    @property
    def mean(self) -> tuple[float, float]:
        """Of columns and of pairs; 0 where there is none."""
        one, two = (float(np.mean([*each.values()])) if each else 0.0 for each in (self.columns, self.pairs))
        return one, two

    def to_frame(self) -> pd.DataFrame:
        """Return a table: columns, then pairs."""
        lines = [(name, "", distance) for name, distance in self.columns.items()]
        lines += [(one, other, distance) for (one, other), distance in self.pairs.items()]
        return pd.DataFrame(lines, columns=["column", "with", "distance"])

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, escape=True)


def compare(twin: pa.Table, real: pa.Table, aggregates: Aggregates) -> Utility:
    """Return the distances between two tables of the aggregates' schema."""
    modelled = [item for item in aggregates.columns if item.field.is_modelled]
    places = [
        {item.field.name: cells.encode(item.field, table.column(item.field.name)) for item in modelled}
        for table in (twin, real)
    ]
    columns = {
        item.field.name: _distance(*(each[item.field.name] for each in places), size=item.field.cells + 1) for item in modelled
    }
    grouped = [{item.field.name: group_of(each[item.field.name], item) for item in modelled} for each in places]
    pairs = {}
    for at, one in enumerate(modelled):
        for other in modelled[at + 1 :]:
            width = len(other.groups) + 1
            codes = [each[one.field.name] * width + each[other.field.name] for each in grouped]
            pairs[one.field.name, other.field.name] = _distance(*codes, size=(len(one.groups) + 1) * width)
    return Utility(columns, pairs)


def group_of(place: IntArray, item: ColumnCounts) -> IntArray:
    """Return each row's group, shape (rows,); rows in none have the number after the last."""
    home = np.full(item.field.cells + 1, len(item.groups), dtype=np.int64)
    for at, group in enumerate(item.groups):
        for atom in group:
            runs = item.atoms[atom].cells if atom < len(item.atoms) else ((item.field.cells, item.field.cells),)
            for first, last in runs:
                home[first : last + 1] = at
    return home[place]


def _distance(one: IntArray, other: IntArray, *, size: int) -> float:
    shares = [np.bincount(each, minlength=size) / max(1, len(each)) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
