"""Measures of re-identification risk of a table: class sizes, diversity, closeness, population estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError
from protocols.risk.encoding import Dictionary, IntArray, as_frame, encode, group, tally
from protocols.risk.population import pitman_uniques, zayatz_uniques

if TYPE_CHECKING:
    import pyarrow as pa

FloatArray = npt.NDArray[np.float64]
SUPPRESSED = "*"
TAU = 0.2


@dataclass(frozen=True, slots=True)
class Reidentification:
    """Chances that a guess within a person's class is right: the highest, their mean over people, and the part of people whose
    chance is above τ."""

    highest: float
    mean: float
    above: float


@dataclass(frozen=True, slots=True)
class Diversity:
    """How a sensitive column varies within classes; each figure is of the worst class.

    distinct: number of values. entropy: exp of Shannon's entropy, in values. most_frequent: share of the most frequent value.
    t: equal-distance t-closeness. t_ordered: ordered distance, for numbers and dates; None otherwise.
    """

    distinct: int
    entropy: float
    most_frequent: float
    t: float
    t_ordered: float | None


@dataclass(frozen=True, slots=True)
class RiskReport:
    """The risk of a table. Suppressed rows (`*` in every quasi-identifier) are counted, and are no class.

    k: rows of the smallest class. uniqueness: part of the rows that are alone in their class. prosecutor: an attacker who
    knows that the person is in the table; journalist: one who knows that the person is in the population; marketer: the
    part of all rows that guesses throughout get right. journalist and marketer are None without a population. diversity: by
    sensitive column. population_uniques: estimated part of the population that is unique, by model; empty without a
    population's size.
    """

    quasi: tuple[str, ...]
    rows: int
    suppressed: int
    classes: int
    k: int
    uniqueness: float
    prosecutor: Reidentification
    journalist: Reidentification | None
    marketer: float | None
    diversity: dict[str, Diversity]
    population_uniques: dict[str, float | None]
    tau: float

    @property
    def l(self) -> dict[str, int]:  # noqa: E743  (the field's letter)
        """Distinct values in the least diverse class, by sensitive column."""
        return {name: found.distinct for name, found in self.diversity.items()}

    @property
    def t(self) -> dict[str, float]:
        """Equal-distance t-closeness, by sensitive column."""
        return {name: found.t for name, found in self.diversity.items()}

    def to_frame(self) -> pd.DataFrame:
        """Return the report as a table: measure, of what, value."""
        lines: list[tuple[str, str, object]] = [
            ("rows", "", self.rows),
            ("suppressed rows", "", self.suppressed),
            ("classes", "", self.classes),
            ("k", "rows of the smallest class", self.k),
            ("uniqueness", "rows alone in their class", self.uniqueness),
        ]
        for name, found in (("prosecutor", self.prosecutor), ("journalist", self.journalist)):
            if found is not None:
                lines += [
                    (name, "highest", found.highest),
                    (name, "mean", found.mean),
                    (name, f"above {self.tau:g}", found.above),
                ]
        if self.marketer is not None:
            lines.append(("marketer", "", self.marketer))
        for name, part in self.diversity.items():
            lines += [("l", f"{name}, distinct", part.distinct), ("l", f"{name}, entropy", part.entropy)]
            lines += [("most frequent value", name, part.most_frequent), ("t", f"{name}, equal distance", part.t)]
            lines += [("t", f"{name}, ordered distance", part.t_ordered)] if part.t_ordered is not None else []
        for name, share in self.population_uniques.items():
            lines.append(("population uniques", f"estimated, {name}", "no fit" if share is None else share))
        return pd.DataFrame(lines, columns=["measure", "of", "value"], dtype=object)

    def __repr__(self) -> str:
        return f"RiskReport({', '.join(self.quasi)})\n{self.to_frame().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, escape=True)


def measure(
    frame: pd.DataFrame | pa.Table,
    quasi: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    population: pd.DataFrame | pa.Table | int | None = None,
    tau: float = TAU,
) -> RiskReport:
    """Return the risk of a table.

    quasi: columns that an attacker may know. sensitive: columns that they would like to. population: a table of all people
    with the same quasi-identifiers in the same terms (journalist, marketer), or how many people there are (estimates only).
    tau: chances above it are counted. Raises ParameterError: no such column, no rows, a class of the table that no person
    of the population could be in.
    Sources: El Emam, "Guide to the De-Identification of Personal Health Information", 2013 (prosecutor, journalist, marketer);
    Machanavajjhala and others 2007 (l); Li and others 2007 (t).
    """
    table = as_frame(frame, [*quasi, *sensitive])
    if not quasi:
        raise ParameterError("at least one quasi-identifier is needed")
    if not 0 < tau < 1:
        raise ParameterError("tau is a chance between 0 and 1")
    hidden = suppressed_rows(table, quasi)
    shown = table.loc[~hidden]
    columns = [encode(shown[name], name) for name in quasi]
    inverse, first = group([column.codes for column in columns], [column.size for column in columns])
    sizes = tally(inverse, len(first))
    people, everyone = _population(shown, quasi, first, population)
    return RiskReport(
        quasi=tuple(quasi),
        rows=len(table),
        suppressed=int(hidden.sum()),
        classes=len(sizes),
        k=int(sizes.min()),
        uniqueness=float((sizes == 1).sum() / len(shown)),
        prosecutor=_chances(sizes, sizes, tau),
        journalist=None if people is None else _chances(people, sizes, tau),
        marketer=None if people is None else float((sizes / people).sum() / len(shown)),
        diversity={name: _diversity(encode(table[name], name), ~hidden, inverse, sizes) for name in sensitive},
        population_uniques={} if everyone is None else _estimates(sizes, everyone),
        tau=tau,
    )


def suppressed_rows(table: pd.DataFrame, quasi: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which rows have `*` in every quasi-identifier; none if that is all of them, since they are one class then."""
    hidden = np.ones(len(table), dtype=np.bool_)
    for name in quasi:
        column = table[name]
        same = (column == SUPPRESSED) if column.dtype == object or pd.api.types.is_string_dtype(column) else None
        hidden &= np.zeros(len(table), dtype=np.bool_) if same is None else same.fillna(False).to_numpy(dtype=np.bool_)
    return np.zeros(len(table), dtype=np.bool_) if hidden.all() else hidden


def _chances(of: IntArray, sizes: IntArray, tau: float) -> Reidentification:
    """of: (classes,) how many people a guess is among; sizes: (classes,) how many rows the chance holds for."""
    chance = 1 / of
    rows = int(sizes.sum())
    return Reidentification(
        highest=float(chance.max()), mean=float((sizes * chance).sum() / rows), above=float(sizes[chance > tau].sum() / rows)
    )


def _population(
    shown: pd.DataFrame, quasi: Sequence[str], first: IntArray, population: pd.DataFrame | pa.Table | int | None
) -> tuple[IntArray | None, int | None]:
    if population is None:
        return None, None
    if isinstance(population, int):
        if population < len(shown):
            raise ParameterError(f"a population of {population:,} cannot hold the table's {len(shown):,} rows")
        return None, population
    people = as_frame(population, quasi)
    both = pd.concat([shown.iloc[first][list(quasi)].astype(object), people[list(quasi)].astype(object)], ignore_index=True)
    columns = [encode(both[name], name) for name in quasi]
    inverse, found = group([column.codes for column in columns], [column.size for column in columns])
    counts = tally(inverse[len(first) :], len(found))[inverse[: len(first)]]
    missing = int((counts == 0).sum())
    if missing:
        raise ParameterError(
            f"{missing} classes of the table are nobody's in the population; give it generalised in the same way"
        )
    return counts, len(people) if len(people) >= len(shown) else None


def _estimates(sizes: IntArray, population: int) -> dict[str, float | None]:
    pitman = pitman_uniques(sizes, population)
    return {"pitman": None if pitman is None else pitman / population, "zayatz": zayatz_uniques(sizes, population) / population}


def _diversity(column: Dictionary, shown: npt.NDArray[np.bool_], classes: IntArray, sizes: IntArray) -> Diversity:
    """column: of the whole table, since suppressed rows keep their values and tell the distribution that t starts from."""
    codes = column.codes[shown]
    pairs, first = group([classes, codes], [len(sizes), column.size])
    counts = tally(pairs, len(first))
    of, values = classes[first], codes[first]
    share = counts / sizes[of]
    overall = tally(column.codes, column.size) / len(column.codes)
    entropy = np.bincount(of, weights=-share * np.log(share))
    top = np.zeros(len(sizes))
    np.maximum.at(top, of, share)
    above = np.bincount(of, weights=np.maximum(share - overall[values], 0))
    return Diversity(
        distinct=int(np.bincount(of).min()),
        entropy=float(math.exp(max(0.0, float(entropy.min())))),
        most_frequent=float(top.max()),
        t=float(above.max()),
        t_ordered=_ordered(column, of, values, share, overall),
    )


def _ordered(column: Dictionary, of: IntArray, values: IntArray, share: FloatArray, overall: FloatArray) -> float | None:
    """The ordered distance of the worst class; None where the values do not order themselves."""
    if column.values.dtype.kind not in "iufMm" or column.size < 2 or pd.isna(column.values).any():
        return None
    order = np.argsort(column.values, kind="stable")
    place = np.empty(column.size, dtype=np.int64)
    place[order] = np.arange(column.size)
    cumulated = np.cumsum(overall[order])
    worst = 0.0
    by_class = np.lexsort((place[values], of))
    borders = np.flatnonzero(np.diff(of[by_class])) + 1
    for part in np.split(by_class, borders):
        own = np.zeros(column.size)
        own[place[values[part]]] = share[part]
        worst = max(worst, float(np.abs(np.cumsum(own) - cumulated)[:-1].sum()) / (column.size - 1))
    return worst
