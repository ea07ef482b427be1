"""Class tables: sizes, population sizes and sensitive histograms of the equivalence classes, rolled up from finer ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocols.desensitise.hierarchy import FloatArray, IntArray, Levels
from protocols.errors import ParameterError
from protocols.risk.encoding import Dictionary, group, tally

Node = tuple[int, ...]
CACHED_TABLES = 48


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each sensitive value occurs in each class, without the zeros.

    classes, values, counts: (entries,) int64. table: (distinct,) float64, the share of each value in the whole input.
    """

    classes: IntArray
    values: IntArray
    counts: IntArray
    table: FloatArray


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Equivalence classes. sizes: (classes,) int64, all positive. population: the same for the population, if there is one.

    histograms: by sensitive column. representatives: (classes,) int64, one row of the base table each.
    """

    sizes: IntArray
    population: IntArray | None
    histograms: Mapping[str, Histogram]
    representatives: IntArray

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class Base:
    """The input as distinct rows: what every node of the lattice is counted from.

    levels: one per quasi-identifier. codes: (distinct,) int64 per quasi-identifier. of_row: (rows,) the distinct row of each
    input row. table: the classes at level 0; classes of size 0 are there for people of the population only.
    """

    levels: tuple[Levels, ...]
    codes: tuple[IntArray, ...]
    of_row: IntArray
    table: ClassTable
    rows: int
    _tables: dict[Node, ClassTable] = field(default_factory=dict, repr=False)

    @property
    def heights(self) -> Node:
        """The highest level of each quasi-identifier."""
        return tuple(levels.height for levels in self.levels)

    def classes_at(self, node: Node) -> ClassTable:
        """Return the classes at a node, rolled up from the smallest finer table that is at hand."""
        finer = [table for at, table in self._tables.items() if all(map(int.__le__, at, node))]
        parent = min(finer, key=len, default=self.table)
        inverse, number = self._group(node, parent.representatives)
        table = roll_up(parent, inverse, number)
        if len(self._tables) >= CACHED_TABLES:
            del self._tables[max(self._tables, key=lambda at: len(self._tables[at]))]
        self._tables[node] = table
        return table

    def class_of_rows(self, node: Node) -> tuple[IntArray, ClassTable]:
        """Return for each input row its class at a node, and the classes in that numbering."""
        inverse, number = self._group(node, self.table.representatives)
        return inverse[self.of_row], roll_up(self.table, inverse, number)

    def _group(self, node: Node, rows: IntArray) -> tuple[IntArray, int]:
        mapped = [levels.maps[level][codes[rows]] for levels, level, codes in zip(self.levels, node, self.codes, strict=True)]
        sizes = [len(levels.labels[level]) for levels, level in zip(self.levels, node, strict=True)]
        inverse, first = group(mapped, sizes)
        return inverse, len(first)


def make_base(
    quasi: Sequence[Dictionary],
    levels: Sequence[Levels],
    sensitive: Sequence[Dictionary],
    in_sample: IntArray | None = None,
) -> Base:
    """Return the base table. in_sample: (rows,) 1 for a row of the input, 0 for one of the population only.

    Without it there is no population. With it, the population is all rows with 0, and the input all rows with 1.
    """
    inverse, first = group([column.codes for column in quasi], [column.size for column in quasi])
    number = len(first)
    weights = np.ones(len(inverse), dtype=np.int64) if in_sample is None else in_sample
    histograms = {column.name: _histogram(column, inverse, weights) for column in sensitive}
    table = ClassTable(
        sizes=tally(inverse, number, weights),
        population=None if in_sample is None else tally(inverse, number, 1 - in_sample),
        histograms=histograms,
        representatives=np.arange(number),
    )
    own = inverse if in_sample is None else inverse[in_sample == 1]
    codes = tuple(column.codes[first] for column in quasi)
    return Base(levels=tuple(levels), codes=codes, of_row=own, table=table, rows=len(own))


def _histogram(column: Dictionary, classes: IntArray, weights: IntArray) -> Histogram:
    pairs, first = group([classes, column.codes], [int(classes.max()) + 1, column.size])
    counts = tally(pairs, len(first), weights)
    kept = counts > 0
    share = tally(column.codes, column.size, weights) / max(1, int(weights.sum()))
    return Histogram(classes=classes[first][kept], values=column.codes[first][kept], counts=counts[kept], table=share)


def roll_up(parent: ClassTable, inverse: IntArray, number: int) -> ClassTable:
    """Return the coarser classes that `inverse` makes of a table's; classes without a row of the input are kept last."""
    histograms = {}
    for name, found in parent.histograms.items():
        pairs, first = group([inverse[found.classes], found.values], [number, len(found.table)])
        histograms[name] = Histogram(
            classes=inverse[found.classes][first],
            values=found.values[first],
            counts=tally(pairs, len(first), found.counts),
            table=found.table,
        )
    representatives = np.empty(number, dtype=np.int64)
    representatives[inverse] = parent.representatives
    population = None if parent.population is None else tally(inverse, number, parent.population)
    return ClassTable(tally(inverse, number, parent.sizes), population, histograms, representatives)


def require_sensitive(columns: Sequence[str], quasi: Sequence[str]) -> None:
    """Raise ParameterError if a sensitive column is a quasi-identifier too: its classes would hold one value by design."""
    both = [name for name in columns if name in quasi]
    if both:
        raise ParameterError(f"{', '.join(map(repr, both))} cannot be both sensitive and a quasi-identifier")
