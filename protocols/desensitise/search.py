"""Optimal full-domain search: the generalisation of least loss that satisfies the models, without counting every node.

The lattice is an array with one axis per quasi-identifier, so that "everything finer" and "everything coarser" are slices.
A first solution is found by bisection along paths, as in Flash (Kohlmayer and others 2012); what fails a monotone requirement
takes everything finer with it, as in OLA (El Emam and others 2009); what cannot beat the best known loss is never counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.desensitise.classes import Base, ClassTable, Node
from protocols.desensitise.loss import Measure
from protocols.desensitise.models import Model, violating
from protocols.errors import ParameterError
from protocols.party import Progress

MAX_NODES = 20_000_000


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best node, its loss, and how many of how many nodes were counted."""

    levels: Node
    loss: float
    checked: int
    nodes: int


class Search:
    """One search over one lattice."""

    def __init__(
        self, base: Base, models: tuple[Model, ...], measure: Measure, *, suppressible: int, progress: Progress | None = None
    ) -> None:
        nodes = int(np.prod([height + 1.0 for height in base.heights]))
        if nodes > MAX_NODES:
            raise ParameterError(
                f"{nodes:,} combinations of levels are more than {MAX_NODES:,}; take fewer columns or levels, or `mondrian`"
            )
        self._base, self._models, self._measure = base, models, measure
        self._suppressible = suppressible
        # Without suppression every model is monotone. With it, only those that any merger keeps satisfied.
        self._monotone = models if not suppressible else tuple(model for model in models if model.joins_any)
        self._bounds = measure.grid(base)
        self._open = np.ones(self._bounds.shape, dtype=np.bool_)
        self._progress = progress or Progress()
        self._checked = 0
        self._best: Node | None = None
        self._loss = np.inf

    def run(self) -> Optimum:
        """Return the optimum. Raises ParameterError if not even the coarsest node satisfies the models."""
        while True:
            undecided = self._open & (self._bounds < self._loss)
            self._progress.advance("k-anonymity", self._open.size - int(undecided.sum()), self._open.size)
            if not undecided.any():
                break
            if self._best is None:
                self._bisect(self._path(self._finest(undecided), undecided))
            else:
                # The undecided node that promises least: it decides most nodes below it if it fails.
                self._satisfies(self._node(np.where(undecided, self._bounds, -1).argmax()))
        if self._best is None:
            raise ParameterError(
                "no generalisation satisfies the models, not even the coarsest; allow suppression or ask for less"
            )
        return Optimum(levels=self._best, loss=float(self._loss), checked=self._checked, nodes=self._open.size)

    def _finest(self, undecided: npt.NDArray[np.bool_]) -> Node:
        depth = np.indices(self._open.shape, dtype=np.int16).sum(axis=0, dtype=np.int32)
        return self._node(np.where(undecided, depth, np.iinfo(np.int32).max).argmin())

    def _node(self, at: np.intp) -> Node:
        return tuple(map(int, np.unravel_index(at, self._open.shape)))

    def _path(self, start: Node, undecided: npt.NDArray[np.bool_]) -> list[Node]:
        """Return a chain of undecided nodes, each one level coarser in one column: the cheapest step each time."""
        path = [start]
        while True:
            here = path[-1]
            steps = [
                (*here[:at], level + 1, *here[at + 1 :]) for at, level in enumerate(here) if level < self._base.heights[at]
            ]
            steps = [step for step in steps if undecided[step]]
            if not steps:
                return path
            path.append(min(steps, key=lambda step: (self._bounds[step], step)))

    def _bisect(self, path: list[Node]) -> None:
        low, high = 0, len(path)
        while low < high:
            middle = (low + high) // 2
            if self._satisfies(path[middle]):
                high = middle
            else:
                low = middle + 1

    def _satisfies(self, node: Node) -> bool:
        """Count a node's classes, keep what follows from it, and return whether it is a solution."""
        self._checked += 1
        self._open[node] = False
        table = self._base.classes_at(node)
        coarser = tuple(slice(level, None) for level in node)
        np.maximum(self._bounds[coarser], self._measure.unsuppressed(self._base, node, table), out=self._bounds[coarser])
        violated = violating(self._models, table)
        if int(table.sizes[violated].sum()) > self._suppressible:
            if self._is_hopeless(table):
                self._open[tuple(slice(None, level + 1) for level in node)] = False
            return False
        loss = self._measure.loss(self._base, node, table, violated)
        if loss < self._loss:
            self._best, self._loss = node, loss
        return True

    def _is_hopeless(self, table: ClassTable) -> bool:
        return int(table.sizes[violating(self._monotone, table)].sum()) > self._suppressible
