"""Information loss of a full-domain generalisation, as ARX defines it: entropy, loss, discernibility, average class size.

Each measure has a lower bound that never falls on the way up the lattice: the loss if no row were suppressed.
Source: ARX, org.deidentifier.arx.metric.v2: MetricMDNUNMEntropyPrecomputed, MetricMDNMLoss, MetricSDNMDiscernability,
MetricSDAECS.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from protocols.desensitise.classes import Base, ClassTable, Node
from protocols.desensitise.hierarchy import FloatArray, IntArray
from protocols.errors import ParameterError
from protocols.risk.encoding import tally

BoolArray = npt.NDArray[np.bool_]


class Measure(ABC):
    """A measure of information loss; lower is better."""

    def grid(self, base: Base) -> FloatArray:
        """Return a lower bound for every node, shape (levels of column 1, levels of column 2, …), from columns alone."""
        return np.zeros([height + 1 for height in base.heights])

    @abstractmethod
    def unsuppressed(self, base: Base, node: Node, table: ClassTable) -> float:
        """Return the loss if no row is suppressed."""

    @abstractmethod
    def loss(self, base: Base, node: Node, table: ClassTable, suppressed: BoolArray) -> float:
        """Return the loss with the rows of some classes, shape (classes,), suppressed."""


class ColumnMeasure(Measure):
    """A measure that adds up column by column, so that every node's bound is known before any class is counted."""

    def grid(self, base: Base) -> FloatArray:
        """Return the loss without suppression of every node."""
        shape = [height + 1 for height in base.heights]
        found = np.full(shape, self.start)
        for at in range(len(shape)):
            column = self.transform(np.array([self.column_loss(base, at, level) for level in range(shape[at])]))
            found = self.combine(found, column.reshape([-1 if axis == at else 1 for axis in range(len(shape))]))
        return self.finish(found, len(shape))

    def unsuppressed(self, base: Base, node: Node, table: ClassTable) -> float:
        """Return the loss if no row is suppressed."""
        return self._total([self.column_loss(base, at, level) for at, level in enumerate(node)])

    def loss(self, base: Base, node: Node, table: ClassTable, suppressed: BoolArray) -> float:
        """Return the loss with some classes suppressed."""
        if not suppressed.any():
            return self.unsuppressed(base, node, table)
        rows, counts = table.representatives[suppressed], table.sizes[suppressed]
        losses = []
        for at, level in enumerate(node):
            groups = base.levels[at].maps[level][base.codes[at][rows]]
            lost = tally(groups, len(base.levels[at].labels[level]), counts)
            losses.append(self.column_loss(base, at, level) + self.added(base, at, level, lost))
        return self._total(losses)

    def _total(self, losses: list[float]) -> float:
        found = np.array([self.start])
        for value in losses:
            found = self.combine(found, self.transform(np.array([value])))
        return float(self.finish(found, len(losses))[0])

    start = 0.0

    def transform(self, column: FloatArray) -> FloatArray:
        """Return what of a column's loss is combined."""
        return column

    def combine(self, total: FloatArray, column: FloatArray) -> FloatArray:
        """Return the total with one more column."""
        return total + column

    def finish(self, total: FloatArray, columns: int) -> FloatArray:
        """Return the measure from the combined columns."""
        return total

    @abstractmethod
    def column_loss(self, base: Base, at: int, level: int) -> float:
        """Return the loss of one column at one level, over all rows."""

    @abstractmethod
    def added(self, base: Base, at: int, level: int, lost: IntArray) -> float:
        """Return what suppressing adds. lost: (groups of the level,) int64, suppressed rows of each."""


class Entropy(ColumnMeasure):
    """Non-uniform entropy: −Σ log2(rows with the value / rows with what stands for it), over all cells.

    A suppressed cell counts as one generalised further, among the suppressed: −log2(with its label / all).
    Source: de Waal, Willenborg 1999; Gionis, Tassa 2009.
    """

    def column_loss(self, base: Base, at: int, level: int) -> float:
        """Return the entropy lost in a column."""
        counts = _counts(base, at)
        groups = base.levels[at].maps[level]
        together = tally(groups, len(base.levels[at].labels[level]), counts)[groups]
        kept = counts > 0
        return float((counts[kept] * np.log2(together[kept] / counts[kept])).sum())

    def added(self, base: Base, at: int, level: int, lost: IntArray) -> float:
        """Return the entropy lost by suppressing."""
        lost = lost[lost > 0]
        return float((lost * np.log2(lost.sum() / lost)).sum())


class Loss(ColumnMeasure):
    """Loss: the part of the domain that a cell's label covers, averaged over rows, scaled to [0, 1]; columns by the geometric
    mean of 1 + loss, minus 1 (Iyengar 2002, as varied by ARX). A suppressed cell covers everything."""

    start = 1.0

    def transform(self, column: FloatArray) -> FloatArray:
        """Return 1 + loss."""
        return 1 + column

    def combine(self, total: FloatArray, column: FloatArray) -> FloatArray:
        """Return the product."""
        return total * column

    def finish(self, total: FloatArray, columns: int) -> FloatArray:
        """Return the geometric mean, minus 1."""
        return np.asarray(total ** (1 / columns) - 1)

    def column_loss(self, base: Base, at: int, level: int) -> float:
        """Return the scaled share of a column."""
        share = base.levels[at].shares[level][base.levels[at].maps[level]]
        least = float(base.levels[at].shares[0].min())
        mean = float((_counts(base, at) * share).sum()) / base.rows
        return (mean - least) / (1 - least) if least < 1 else 0.0

    def added(self, base: Base, at: int, level: int, lost: IntArray) -> float:
        """Return what covering everything adds."""
        least = float(base.levels[at].shares[0].min())
        return float((lost * (1 - base.levels[at].shares[level])).sum()) / base.rows / (1 - least) if least < 1 else 0.0


class Discernibility(Measure):
    """Each row costs the size of its class, a suppressed one the size of the table (Bayardo, Agrawal 2005)."""

    def unsuppressed(self, base: Base, node: Node, table: ClassTable) -> float:
        """Return the sum of squared sizes."""
        return float((table.sizes.astype(np.float64) ** 2).sum())

    def loss(self, base: Base, node: Node, table: ClassTable, suppressed: BoolArray) -> float:
        """Return the cost with some classes suppressed."""
        sizes = table.sizes.astype(np.float64)
        return float(np.where(suppressed, sizes * base.rows, sizes**2).sum())


class AverageClassSize(Measure):
    """Rows per class; all suppressed rows together are one more class (LeFevre and others 2006, not divided by k)."""

    def unsuppressed(self, base: Base, node: Node, table: ClassTable) -> float:
        """Return rows per class."""
        return base.rows / int((table.sizes > 0).sum())

    def loss(self, base: Base, node: Node, table: ClassTable, suppressed: BoolArray) -> float:
        """Return rows per class, with some of them suppressed."""
        return base.rows / (int(((table.sizes > 0) & ~suppressed).sum()) + int(suppressed.any()))


MEASURES: dict[str, type[Measure]] = {
    "entropy": Entropy,
    "loss": Loss,
    "discernibility": Discernibility,
    "average_class_size": AverageClassSize,
}


def measure_named(name: str) -> Measure:
    """Return a measure. Raises ParameterError for another name."""
    if name not in MEASURES:
        raise ParameterError(f"there is no measure {name!r}; there is: {', '.join(MEASURES)}")
    return MEASURES[name]()


def _counts(base: Base, at: int) -> IntArray:
    return tally(base.codes[at], len(base.levels[at].maps[0]), base.table.sizes)
