"""A second opinion on an anonymous table: recomputed from its published rows, with none of the search's code."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.desensitise import models as privacy
from protocols.errors import MisuseError

SLACK = 1e-9


class NotAnonymous(MisuseError):  # noqa: N818  (what it says of the table)
    """A table does not satisfy the models that it was made for; it must not be released. Names model and number of classes."""


def verify(
    before: pd.DataFrame,
    after: pd.DataFrame,
    quasi: Sequence[str],
    models: Iterable[privacy.Model],
    *,
    suppressed: npt.NDArray[np.bool_] | None = None,
    suppressible: int | None = None,
    population: pd.DataFrame | None = None,
) -> None:
    """Check an anonymous table against the one that it was made from. Raises NotAnonymous.

    Rows and other columns are untouched; suppressed rows tell nothing and are few enough; every class satisfies every model.
    suppressed: (rows,) bool; suppressible: how many of them are allowed. population: for k-map, generalised in the same way.
    """
    names = list(quasi)
    hidden = np.zeros(len(after), dtype=np.bool_) if suppressed is None else suppressed
    _require(len(before) == len(after) and before.index.equals(after.index), "rows are missing or in another order")
    others = [name for name in before.columns if name not in names]
    _require(list(before.columns) == list(after.columns) and before[others].equals(after[others]), "another column was changed")
    _require(bool((after.loc[hidden, names] == "*").all(axis=None)), "a suppressed row still tells something")
    _require(suppressible is None or int(hidden.sum()) <= suppressible, "more rows are suppressed than allowed")
    kept = after.loc[~hidden]
    if not len(kept):
        return
    members = _rows_by_label(kept, names)
    for model in models:
        if isinstance(model, privacy.KMap):
            _require(population is not None, "k-map was not checked: the population is missing")
            people = {} if population is None else {key: len(rows) for key, rows in _rows_by_label(population, names).items()}
            broken = sum(people.get(key, 0) < model.k for key in members)
        else:
            broken = _broken(model, before, kept, members)
        _require(broken == 0, f"{broken} classes violate {type(model).__name__}")


def verify_labels(before: pd.DataFrame, after: pd.DataFrame, quasi: Sequence[str], suppressed: npt.NDArray[np.bool_]) -> None:
    """Check that a full-domain result gives each value one label throughout. Raises NotAnonymous."""
    for name in quasi:
        pairs = pd.DataFrame({"value": before.loc[~suppressed, name], "label": after.loc[~suppressed, name]}).drop_duplicates()
        _require(not pairs["value"].duplicated().any(), f"column {name!r} has values with two labels")


Members = dict[tuple[Any, ...], npt.NDArray[np.intp]]


def _rows_by_label(frame: pd.DataFrame, names: list[str]) -> Members:
    """The rows of each class. Labels are compared as text, since numbers and `*` may stand in one column."""
    codes, texts = {}, []
    for at, name in enumerate(names):
        code, values = pd.factorize(frame[name].astype(object), use_na_sentinel=False)
        text, different = pd.factorize(np.array([None if _plain(v) is None else str(v) for v in values], dtype=object))
        codes[at] = text[code]
        texts.append([*different, None])  # factorize numbers what is missing -1
    found: Members = {}
    for key, rows in pd.DataFrame(codes).groupby(list(codes), sort=False).indices.items():
        parts = key if isinstance(key, tuple) else (key,)
        found[tuple(text[part] for text, part in zip(texts, parts, strict=True))] = np.asarray(rows)
    return found


def _broken(
    model: privacy.Model,
    before: pd.DataFrame,
    kept: pd.DataFrame,
    members: Members,
) -> int:
    if isinstance(model, privacy.KAnonymity):
        return sum(len(rows) < model.k for rows in members.values())
    judge = _JUDGES[type(model)](model, before[model.column])
    values = kept[model.column].to_numpy()
    return sum(not judge(Counter(_plain(values[row]) for row in rows)) for rows in members.values())


Judge = Callable[[Counter[Any]], bool]


def _distinct(model: Any, _column: pd.Series[Any]) -> Judge:
    return lambda counts: len(counts) >= model.l


def _entropy(model: Any, _column: pd.Series[Any]) -> Judge:
    def judge(counts: Counter[Any]) -> bool:
        total = counts.total()
        return bool(math.exp(-sum(n / total * math.log(n / total) for n in counts.values())) >= model.l - SLACK)

    return judge


def _recursive(model: Any, _column: pd.Series[Any]) -> Judge:
    def judge(counts: Counter[Any]) -> bool:
        ranked = sorted(counts.values(), reverse=True)
        return bool(ranked[0] < model.c * sum(ranked[model.l - 1 :]))

    return judge


def _overall(column: pd.Series[Any]) -> dict[Any, float]:
    return {value: n / len(column) for value, n in Counter(map(_plain, column)).items()}


def _equal(model: Any, column: pd.Series[Any]) -> Judge:
    overall = _overall(column)
    return lambda counts: sum(abs(counts[v] / counts.total() - q) for v, q in overall.items()) / 2 <= model.t + SLACK


def _ordered(model: Any, column: pd.Series[Any]) -> Judge:
    overall = _overall(column)
    order = list(model.order) if model.order is not None else sorted(overall)

    def judge(counts: Counter[Any]) -> bool:
        total = counts.total()
        carried = moved = 0.0
        for value in order[:-1]:
            carried += counts[value] / total - overall.get(value, 0)
            moved += abs(carried)
        return len(order) < 2 or moved / (len(order) - 1) <= model.t + SLACK

    return judge


def _hierarchical(model: Any, column: pd.Series[Any]) -> Judge:
    overall = _overall(column)
    values = list(overall)
    chains = list(zip(*model.hierarchy.labels(values, str(column.name)), strict=True))
    height = len(chains[0])

    def judge(counts: Counter[Any]) -> bool:
        # Earth mover's distance on a tree: what crosses each edge, each node's children settling among themselves first.
        total = counts.total()
        distance: float = 0
        extra: dict[Any, float] = {value: counts[value] / total - overall[value] for value in values}
        above: dict[Any, Any] = {value: chain[0] for value, chain in zip(values, chains, strict=True)}
        for level in range(1, height + 1):
            plus: defaultdict[Any, float] = defaultdict(float)
            minus: defaultdict[Any, float] = defaultdict(float)
            for node, amount in extra.items():
                (plus if amount > 0 else minus)[above[node]] += abs(amount)
            nodes = set(above.values())
            distance += level / height * sum(min(plus[node], minus[node]) for node in nodes)
            extra = {node: plus[node] - minus[node] for node in nodes}
            above = {chain[level - 1]: chain[level] for chain in chains} if level < height else {}
        distance += sum(max(amount, 0) for amount in extra.values()) if len(extra) > 1 else 0
        return bool(distance <= model.t + SLACK)

    return judge


def _likeness(model: Any, column: pd.Series[Any]) -> Judge:
    overall = _overall(column)
    enhanced = isinstance(model, privacy.EnhancedLikeness)

    def judge(counts: Counter[Any]) -> bool:
        total = counts.total()
        limits = {v: min(model.beta, -math.log(q)) if enhanced else model.beta for v, q in overall.items()}
        return all(n / total <= overall[v] * (1 + limits[v]) + SLACK for v, n in counts.items())

    return judge


def _delta(model: Any, column: pd.Series[Any]) -> Judge:
    overall = _overall(column)

    def judge(counts: Counter[Any]) -> bool:
        total = counts.total()
        return all(counts[v] and abs(math.log2(counts[v] / total / q)) < model.delta for v, q in overall.items())

    return judge


_JUDGES: dict[type[privacy.Model], Callable[[Any, pd.Series[Any]], Judge]] = {
    privacy.DistinctDiversity: _distinct,
    privacy.EntropyDiversity: _entropy,
    privacy.RecursiveDiversity: _recursive,
    privacy.EqualCloseness: _equal,
    privacy.OrderedCloseness: _ordered,
    privacy.HierarchicalCloseness: _hierarchical,
    privacy.BasicLikeness: _likeness,
    privacy.EnhancedLikeness: _likeness,
    privacy.DeltaDisclosure: _delta,
}


def _plain(value: Any) -> Any:
    """One object for all that is missing: NaN is not equal to itself."""
    return None if value is None or value is pd.NA or value is pd.NaT or value != value else value  # noqa: PLR0124


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise NotAnonymous(f"the anonymous table failed its check and was not returned: {problem}")
