"""Privacy models as predicates over equivalence classes. Each says which classes violate it; any set of them combines."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from protocols.desensitise.classes import ClassTable, Histogram
from protocols.desensitise.hierarchy import Hierarchy
from protocols.errors import MisuseError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

BoolArray = npt.NDArray[np.bool_]
SLACK = 1e-12


class Model(ABC):
    """A requirement on each class. `column` is its sensitive column, if it has one.

    All models here stay satisfied when two satisfying classes are merged, which is what pruning needs without suppression.
    joins_any: also when a satisfying class is merged with any other, which is what it needs with suppression.
    """

    joins_any: ClassVar[bool] = False
    column: str | None = None

    @abstractmethod
    def violations(self, table: ClassTable) -> BoolArray:
        """Return which classes violate the model, shape (classes,). Classes without a row of the input never do."""


@dataclass(frozen=True, kw_only=True)
class KAnonymity(Model):
    """Each class has at least k rows (Samarati, Sweeney 1998)."""

    joins_any: ClassVar[bool] = True
    k: int

    def __post_init__(self) -> None:
        _require(isinstance(self.k, int) and self.k >= 1, "k must be a whole number from 1 on")

    def violations(self, table: ClassTable) -> BoolArray:
        """Return the classes that are too small."""
        return (table.sizes > 0) & (table.sizes < self.k)


@dataclass(frozen=True, kw_only=True)
class KMap(Model):
    """Each class has at least k people in a population table with the same quasi-identifiers (Sweeney 2001).

    population: a frame; whether the input's people are in it too is the caller's to arrange. It may be given once.
    """

    joins_any: ClassVar[bool] = True
    k: int
    population: pd.DataFrame

    def __post_init__(self) -> None:
        _require(isinstance(self.k, int) and self.k >= 1, "k must be a whole number from 1 on")

    def violations(self, table: ClassTable) -> BoolArray:
        """Return the classes with too few people in the population."""
        if table.population is None:
            raise ParameterError("k-map needs a population")
        return (table.sizes > 0) & (table.population < self.k)


@dataclass(frozen=True, kw_only=True)
class SensitiveModel(Model):
    """A model of how one sensitive column is distributed within each class."""

    column: str

    def violations(self, table: ClassTable) -> BoolArray:
        """Return the classes that violate the model."""
        return self.judge(table.histograms[self.column], table) & (table.sizes > 0)

    @abstractmethod
    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the violating classes."""


@dataclass(frozen=True, kw_only=True)
class DistinctDiversity(SensitiveModel):
    """At least l different values in each class (Machanavajjhala and others 2007)."""

    joins_any: ClassVar[bool] = True
    l: int  # noqa: E741  (the paper's letter)

    def __post_init__(self) -> None:
        _require(isinstance(self.l, int) and self.l >= 1, "l must be a whole number from 1 on")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes with fewer values."""
        return np.bincount(found.classes, minlength=len(table)) < self.l


@dataclass(frozen=True, kw_only=True)
class EntropyDiversity(SensitiveModel):
    """Entropy of the values in each class at least log l (Shannon's, without correction; Machanavajjhala and others 2007)."""

    l: float  # noqa: E741

    def __post_init__(self) -> None:
        _require(self.l >= 1, "l must be at least 1")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes with less entropy."""
        share = _shares(found, table)
        entropy = np.bincount(found.classes, weights=-share * np.log(share), minlength=len(table))
        return entropy < math.log(self.l) - SLACK


@dataclass(frozen=True, kw_only=True)
class RecursiveDiversity(SensitiveModel):
    """(c, l): the most frequent value is rarer than c times all from the l-th on together, r1 < c (rl + … + rm)."""

    c: float
    l: int  # noqa: E741

    def __post_init__(self) -> None:
        _require(self.c > 0 and isinstance(self.l, int) and self.l >= 2, "c must be above 0, and l a whole number from 2 on")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes in which the most frequent value is too frequent."""
        order = np.lexsort((-found.counts, found.classes))
        classes, counts = found.classes[order], found.counts[order]
        starts = np.searchsorted(classes, np.arange(len(table)))
        rank = np.arange(len(classes)) - starts[classes]
        most = np.bincount(classes, weights=counts * (rank == 0), minlength=len(table))
        tail = np.bincount(classes, weights=counts * (rank >= self.l - 1), minlength=len(table))
        return most >= self.c * tail


@dataclass(frozen=True, kw_only=True)
class EqualCloseness(SensitiveModel):
    """t-closeness with equal ground distance: half the sum of |p − q| at most t (Li and others 2007)."""

    t: float

    def __post_init__(self) -> None:
        _require(0 <= self.t <= 1, "t must lie between 0 and 1")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes that are further away."""
        # Both distributions sum to 1, so half the sum of |p − q| is the sum of its positive part, where p is not 0.
        above = np.maximum(_shares(found, table) - found.table[found.values], 0)
        return np.bincount(found.classes, weights=above, minlength=len(table)) > self.t + SLACK


@dataclass(frozen=True, kw_only=True)
class OrderedCloseness(SensitiveModel):
    """t-closeness with ordered distance: Σ |Σ_{j ≤ i} (p_j − q_j)| / (m − 1) at most t.

    order: all values from low to high; None for values that order themselves (numbers, dates).
    """

    t: float
    order: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        _require(0 <= self.t <= 1, "t must lie between 0 and 1")

    def bind(self, values: npt.NDArray[Any]) -> BoundOrderedCloseness:
        """Return the model for a histogram over these values. Raises ParameterError: a value has no place in the order."""
        known = {value: at for at, value in enumerate(self.order)} if self.order is not None else None
        try:
            places = [known[value] for value in values] if known is not None else list(np.argsort(np.argsort(values)))
        except (KeyError, TypeError):
            places = []
        if len(places) != len(values):
            raise ParameterError(f"column {self.column!r} does not order itself, or has a value without a place: give `order`")
        # Values of the order that the table lacks would only add zeros, but they count in m.
        size = len(known) if known is not None else len(values)
        return BoundOrderedCloseness(column=self.column, t=self.t, places=np.array(places, dtype=np.int64), size=size)

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Judged once bound; see `bound`."""
        raise MisuseError("ordered closeness must be bound to its column's values first")


@dataclass(frozen=True, kw_only=True)
class BoundOrderedCloseness(SensitiveModel):
    """Ordered t-closeness. places: (values,) int64, the place of each of the histogram's values; size: number of places."""

    t: float
    places: npt.NDArray[np.int64]
    size: int

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes that are further away."""
        if self.size < 2:
            return np.zeros(len(table), dtype=np.bool_)
        extra = np.zeros((len(table), self.size))
        extra[:, self.places] = _dense(found, table) - found.table
        moved = np.abs(np.cumsum(extra, axis=1)[:, :-1]).sum(axis=1)
        return np.asarray(moved / (self.size - 1) > self.t + SLACK)


@dataclass(frozen=True, kw_only=True)
class HierarchicalCloseness(SensitiveModel):
    """t-closeness with hierarchical distance: what must move below each node of a tree, times its height.

    hierarchy: a Hierarchy of the sensitive column.
    """

    t: float
    hierarchy: Hierarchy

    def __post_init__(self) -> None:
        _require(0 <= self.t <= 1, "t must lie between 0 and 1")

    def bind(self, values: npt.NDArray[Any]) -> BoundHierarchicalCloseness:
        """Return the model for a histogram over these values. Raises ParameterError: a value is not covered."""
        return BoundHierarchicalCloseness(column=self.column, t=self.t, maps=self.hierarchy.bind(values, self.column).maps)

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Judged once bound; see `bound`."""
        raise MisuseError("hierarchical closeness must be bound to its column's values first")


@dataclass(frozen=True, kw_only=True)
class BoundHierarchicalCloseness(SensitiveModel):
    """Hierarchical t-closeness whose tree is numbered as the histogram's values are. maps: as in Levels."""

    t: float
    maps: tuple[npt.NDArray[np.int64], ...]

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes that are further away."""
        extra = _dense(found, table) - found.table
        height = len(self.maps) - 1
        distance = np.zeros(len(table))
        below, finer = extra, self.maps[0]
        for level in range(1, height + 1):
            coarser = self.maps[level]
            parent = np.zeros(below.shape[1], dtype=np.int64)
            parent[finer] = coarser
            members = np.zeros((below.shape[1], int(coarser.max()) + 1))
            members[np.arange(below.shape[1]), parent] = 1
            positive, negative = np.maximum(below, 0) @ members, np.maximum(-below, 0) @ members
            distance += level / height * np.minimum(positive, negative).sum(axis=1)
            below, finer = below @ members, coarser
        # A forest's roots are one node further up.
        distance += np.maximum(below, 0).sum(axis=1) if below.shape[1] > 1 else 0
        return distance > self.t + SLACK


@dataclass(frozen=True, kw_only=True)
class BasicLikeness(SensitiveModel):
    """Basic β-likeness: no value is more than 1 + β times as frequent in a class as in the table (Cao, Karras 2012)."""

    beta: float

    def __post_init__(self) -> None:
        _require(self.beta > 0, "beta must be above 0")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes in which a value is too frequent."""
        overall = found.table[found.values]
        return _any((_shares(found, table) - overall) / overall > self.limit(overall) + SLACK, found, table)

    def limit(self, overall: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how much more frequent each value may be."""
        return np.full(len(overall), self.beta)


@dataclass(frozen=True, kw_only=True)
class EnhancedLikeness(BasicLikeness):
    """Enhanced β-likeness: the gain is at most min(β, −ln q), which also guards frequent values."""

    def limit(self, overall: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how much more frequent each value may be."""
        return np.minimum(self.beta, -np.log(overall))


@dataclass(frozen=True, kw_only=True)
class DeltaDisclosure(SensitiveModel):
    """δ-disclosure privacy: |log2(p/q)| < δ for every value of the table, also those absent (Brickell, Shmatikov 2008)."""

    delta: float

    def __post_init__(self) -> None:
        _require(self.delta > 0, "delta must be above 0")

    def judge(self, found: Histogram, table: ClassTable) -> BoolArray:
        """Return the classes that tell too much, or in which a value is missing."""
        far = np.abs(np.log2(_shares(found, table) / found.table[found.values])) >= self.delta - SLACK
        present = np.bincount(found.classes, minlength=len(table))
        return _any(far, found, table) | (present < np.count_nonzero(found.table))


def violating(models: tuple[Model, ...], table: ClassTable) -> BoolArray:
    """Return the classes that violate any of the models, shape (classes,)."""
    found = np.zeros(len(table), dtype=np.bool_)
    for model in models:
        found |= model.violations(table)
    return found


def bound(models: tuple[Model, ...], values: Mapping[str, npt.NDArray[Any]]) -> tuple[Model, ...]:
    """Return the models with orders and hierarchies bound to the values of their columns, in the histogram's numbering."""
    return tuple(
        model.bind(values[model.column]) if isinstance(model, OrderedCloseness | HierarchicalCloseness) else model
        for model in models
    )


def _shares(found: Histogram, table: ClassTable) -> npt.NDArray[np.float64]:
    return found.counts / table.sizes[found.classes]


def _dense(found: Histogram, table: ClassTable) -> npt.NDArray[np.float64]:
    dense = np.zeros((len(table), len(found.table)))
    dense[found.classes, found.values] = _shares(found, table)
    return dense


def _any(entries: BoolArray, found: Histogram, table: ClassTable) -> BoolArray:
    return np.bincount(found.classes, weights=entries, minlength=len(table)) > 0


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ParameterError(problem)
