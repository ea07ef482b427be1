"""Singling out: predicates made from a release that are true of exactly one person of the original."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, below, permutation
from protocols.risk.attacks import ATTEMPTS
from protocols.risk.encoding import IntArray, as_frame, encode, group, tally
from protocols.risk.neighbours import is_number
from protocols.risk.statistics import Rate
from protocols.risk.verdict import LINKAGE_THRESHOLD, Finding, judge

BoolArray = npt.NDArray[np.bool_]
TRIES_PER_PREDICATE = 20


@dataclass(frozen=True, slots=True)
class Condition:
    """One column's part of a predicate: ==, <= or >= a value, which stands for `code` in the tables as numbers."""

    column: str
    sign: str
    value: object
    code: float

    def holds(self, tables: Numbers) -> BoolArray:
        """Return for which rows it is true, shape (rows,)."""
        column = tables[self.column]
        if self.sign == "==":
            return np.asarray(column == self.code)
        return np.asarray(column <= self.code if self.sign == "<=" else column >= self.code)


Numbers = dict[str, npt.NDArray[np.float64]]
Predicate = tuple[Condition, ...]


def singling_out(
    release: pd.DataFrame,
    original: pd.DataFrame,
    control: pd.DataFrame,
    columns: Sequence[str],
    *,
    width: int = 3,
    attempts: int = ATTEMPTS,
    threshold: float = LINKAGE_THRESHOLD,
    count_missed: bool = False,
    rng: Rng | None = None,
) -> Finding:
    """Attack: take a row of the release and `width` of its columns, and say that exactly one person is like this.

    Numbers are taken as "at most" or "at least", away from the release's median, anything else as equal. Only predicates
    that are true of one row of the release are said. A hit is true of exactly one row of the original; the control is the
    same predicates on people who are not in the release, cut to as many as there are. Guessing: values from different rows.
    Where no column is a number and no row is alone in any `width` columns, no predicate can be said, for certain: that passes.
    count_missed: an attempt that finds no such predicate has failed; otherwise it was none.
    Source: Giomi and others, PETS 2023, section 5.1 (multivariate).
    """
    if not 1 <= width <= len(columns):
        raise ParameterError("a predicate has from 1 to all of the columns")
    rng = rng or OsRng()
    frames = [as_frame(frame, columns)[list(columns)] for frame in (release, original, control)]
    table, people, others = _as_numbers(frames)
    size = min(len(frames[1]), len(frames[2]))
    people, others = (_part(numbers, permutation(rng, len(numbers[columns[0]]))[:size]) for numbers in (people, others))
    predicates = _predicates(frames[0], table, width, attempts, rng)
    if not predicates and _nobody_is_alone(frames[0], width):
        text = f"no {width} columns have values that one row alone has, so there is nothing to say"
        return Finding(attack="singling out", verdict="PASS", message=text)
    guesses = _predicates(frames[0], table, width, attempts, rng, mixed=True)
    hits = [predicate for predicate in predicates if _is_one(predicate, people)]
    tried, guessed = (max(attempts, len(found)) if count_missed else len(found) for found in (predicates, guesses))
    return judge(
        "singling out",
        Rate(len(hits), tried),
        control=Rate(sum(_is_one(predicate, others) for predicate in predicates), tried),
        baseline=Rate(sum(_is_one(predicate, people) for predicate in guesses), guessed),
        threshold=threshold,
        message=f"{width} columns",
        exposed=hits,
    )


def _as_numbers(frames: Sequence[pd.DataFrame]) -> list[Numbers]:
    """Numbers as they are, anything else by its place in one dictionary for all frames; a missing value is one of them."""
    found: list[Numbers] = [{} for _ in frames]
    borders = np.cumsum([len(frame) for frame in frames])[:-1]
    for name in frames[0].columns:
        if all(is_number(frame[name]) for frame in frames):
            parts = [frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for frame in frames]
        else:
            together = pd.concat([frame[name].astype(object) for frame in frames], ignore_index=True)
            parts = np.split(pd.factorize(together, use_na_sentinel=False)[0].astype(np.float64), borders)
        for numbers, part in zip(found, parts, strict=True):
            numbers[str(name)] = part
    return found


def _nobody_is_alone(frame: pd.DataFrame, width: int) -> bool:
    if any(is_number(frame[name]) for name in frame.columns):
        return False
    columns = [encode(frame[name], name) for name in frame.columns]
    for chosen in itertools.combinations(columns, width):
        classes, first = group([column.codes for column in chosen], [column.size for column in chosen])
        if tally(classes, len(first)).min(initial=2) < 2:
            return False
    return True


def _part(numbers: Numbers, rows: IntArray) -> Numbers:
    return {name: column[rows] for name, column in numbers.items()}


def _predicates(
    frame: pd.DataFrame, table: Numbers, width: int, number: int, rng: Rng, *, mixed: bool = False
) -> list[Predicate]:
    """Return up to `number` different predicates that are true of one row of the table; with `mixed`, of any values."""
    columns = list(table)
    middle = {name: float(np.nanmedian(table[name])) for name in columns if is_number(frame[name])}
    found: dict[Predicate, None] = {}
    for _ in range(number * TRIES_PER_PREDICATE):
        if len(found) >= number:
            break
        row = below(rng, len(frame))
        chosen = [columns[int(at)] for at in permutation(rng, len(columns))[:width]]
        rows = [below(rng, len(frame)) if mixed else row for _ in chosen]
        parts = []
        for name, at in zip(chosen, rows, strict=True):
            code = float(table[name][at])
            sign = "==" if name not in middle else ">=" if code > middle[name] else "<="
            parts.append(Condition(name, sign, frame[name].iat[at], code))
        predicate = tuple(parts)
        if mixed or _is_one(predicate, table):
            found[predicate] = None
    return list(found)


def _is_one(predicate: Predicate, table: Numbers) -> bool:
    return int(np.logical_and.reduce([condition.holds(table) for condition in predicate]).sum()) == 1
