"""The plainest k-anonymity that there is: every node, every row, in dictionaries. Slow, and shares no code with the search."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence

Rows = Sequence[Sequence[str]]
Chains = Sequence[dict[str, tuple[str, ...]]]
Violates = Callable[[list[int]], bool]


def best_loss(
    rows: Rows, chains: Chains, *, violates: Violates, measure: str, suppressible: int, domains: Sequence[int]
) -> tuple[float | None, int]:
    """Return the least loss over all nodes, and how many nodes are solutions. chains: value -> its labels, from level 0."""
    heights = [len(next(iter(chain.values()))) for chain in chains]
    best, solutions = None, 0
    for node in itertools.product(*(range(height) for height in heights)):
        labels = [tuple(chain[value][level] for value, chain, level in zip(row, chains, node, strict=True)) for row in rows]
        classes: dict[tuple[str, ...], list[int]] = {}
        for at, label in enumerate(labels):
            classes.setdefault(label, []).append(at)
        hidden = {at for members in classes.values() if violates(members) for at in members}
        if len(hidden) > suppressible:
            continue
        solutions += 1
        found = LOSSES[measure](rows, labels, chains, node, hidden, domains)
        best = found if best is None else min(best, found)
    return best, solutions


def entropy(rows, labels, _chains, node, hidden, _domains):
    total = 0.0
    for at in range(len(node)):
        values, names = Counter(row[at] for row in rows), Counter(label[at] for label in labels)
        among = Counter(labels[row][at] for row in hidden)
        total -= sum(math.log2(values[row[at]] / names[label[at]]) for row, label in zip(rows, labels, strict=True))
        total -= sum(math.log2(among[labels[row][at]] / len(hidden)) for row in hidden)
    return total


def loss(*given):
    rows, labels, chains, node, hidden, domains = given
    product = 1.0
    for at, level in enumerate(node):
        leaves = Counter(chain[level] for chain in chains[at].values())
        share = [1.0 if row in hidden else leaves[label[at]] / domains[at] for row, label in enumerate(labels)]
        least = 1 / domains[at]
        product *= 1 + ((sum(share) / len(rows) - least) / (1 - least) if least < 1 else 0)
    return product ** (1 / len(node)) - 1


def discernibility(rows, labels, _chains, _node, hidden, _domains):
    sizes = Counter(labels)
    return float(sum(len(rows) if at in hidden else sizes[label] for at, label in enumerate(labels)))


def average_class_size(rows, labels, _chains, _node, hidden, _domains):
    shown = {label for at, label in enumerate(labels) if at not in hidden}
    return len(rows) / (len(shown) + bool(hidden))


LOSSES = {
    "entropy": entropy,
    "loss": loss,
    "discernibility": discernibility,
    "average_class_size": average_class_size,
}
