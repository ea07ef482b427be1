"""Dependence trees over published tables: which pairs of columns to tell, and what a table with suppressed cells stands for.

Source: Chow, Liu, *Approximating Discrete Probability Distributions with Dependence Trees* (1968); the noisy choice follows
McKenna, Miklau, Sheldon, *Winning the NIST Contest* (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Edge = tuple[int, int]
RAKES = 60


def completed(table: IntArray, rows: npt.ArrayLike, columns: npt.ArrayLike, least: int) -> FloatArray:
    """Return a two-way table whose suppressed cells hold what independence expects, at most half of the least count.

    table: (r, c) published counts; rows (r,), columns (c,): the published one-way counts. Then it is raked to those margins
    (Deming, Stephan 1940), rows first, so that rounding in one place does not show in another.
    """
    down, across = np.asarray(rows, dtype=np.float64), np.asarray(columns, dtype=np.float64)
    expected = np.outer(down, across) / max(1.0, down.sum())
    found = np.where(table > 0, table, np.minimum(expected, least / 2))
    across = across * (down.sum() / max(1.0, across.sum()))
    for _ in range(RAKES):
        found *= (down / np.maximum(found.sum(axis=1), 1e-300))[:, None]
        found *= across / np.maximum(found.sum(axis=0), 1e-300)
    return found


def information(table: FloatArray) -> float:
    """Return the mutual information of a table's two columns, in nats."""
    share = table / max(1e-300, table.sum())
    alone = np.outer(share.sum(axis=1), share.sum(axis=0))
    inside = share > 0
    return float((share[inside] * np.log(share[inside] / alone[inside])).sum())


def is_more_than_chance(table: FloatArray) -> bool:
    """Whether a table hangs together more than an independent one would by chance (G test, two deviations above its mean)."""
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return bool(2 * table.sum() * information(table) > freedom + 2 * np.sqrt(2 * freedom)) and freedom > 0


def spanning(nodes: int, candidates: Sequence[Edge], pick: Callable[[list[Edge]], Edge]) -> list[Edge]:
    """Return a forest: as long as edges join different trees, `pick` chooses the next one of them (Kruskal)."""
    home = list(range(nodes))
    chosen: list[Edge] = []
    while open_ := [edge for edge in candidates if home[edge[0]] != home[edge[1]]]:
        edge = pick(open_)
        chosen.append(edge)
        old, new = home[edge[1]], home[edge[0]]
        home = [new if at == old else at for at in home]
    return chosen


def rooted(nodes: int, edges: Iterable[Edge]) -> list[Edge]:
    """Return a forest's edges as (parent, child), parents first; the root of each tree is its first node with most edges."""
    near: dict[int, list[int]] = {at: [] for at in range(nodes)}
    for one, other in edges:
        near[one].append(other)
        near[other].append(one)
    found: list[Edge] = []
    seen: set[int] = set()
    for root in sorted(near, key=lambda at: (-len(near[at]), at)):
        if root in seen:
            continue
        seen.add(root)
        front = [root]
        while front:
            parent = front.pop(0)
            children = sorted(each for each in near[parent] if each not in seen)
            seen.update(children)
            front += children
            found += [(parent, child) for child in children]
    return found
