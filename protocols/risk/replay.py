"""Replay: who knows how a table was made tries every table that it could have been made from.

An anonymisation that looks for the least loss tells by its result that everything finer was not good enough (minimality
attack: Wong and others, VLDB 2007). One that generalises no more than it must tells of its labels what they hide
(downcoding: Cohen, USENIX Security 2022).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd

from protocols.errors import ParameterError
from protocols.risk.encoding import as_frame
from protocols.risk.verdict import Finding

Anonymise = Callable[[pd.DataFrame], pd.DataFrame]
BUDGET = 20_000
CERTAIN = 0.9


def minimality(
    release: pd.DataFrame,
    people: pd.DataFrame,
    quasi: Sequence[str],
    sensitive: str,
    anonymise: Anonymise,
    *,
    certain: float = CERTAIN,
    budget: int = BUDGET,
) -> Finding:
    """Attack: with everybody's quasi-identifiers known, which sensitive values fit this release and no other?

    release: rows in the order of `people`, with generalised quasi-identifiers and a sensitive column, whose values are
    known to an attacker by class only. people: the true quasi-identifiers. anonymise: the procedure. Every way to deal each
    class's values to its people is replayed; those that give this release count alike. Control: the same shares before the
    replay, which the release tells without any knowledge of the procedure. A person fails if the replay makes a value
    `certain` that was not. INCONCLUSIVE where there are more ways than the budget.
    """
    table, known = as_frame(release, [*quasi, sensitive]), as_frame(people, quasi)
    if len(table) != len(known):
        raise ParameterError("the release and the people have the same rows, in the same order")
    classes = list(table.groupby(list(quasi), dropna=False, sort=False).indices.values())
    values = table[sensitive].tolist()
    ways = math.prod(_arrangements([values[at] for at in rows]) for rows in classes)
    if ways > budget:
        return _too_many("minimality", ways, budget)
    fitting = []
    for dealt in itertools.product(*(_deals([values[at] for at in rows]) for rows in classes)):
        guess: list[object] = [None] * len(values)
        for rows, part in zip(classes, dealt, strict=True):
            for at, value in zip(rows, part, strict=True):
                guess[at] = value
        candidate = _with(known, sensitive, guess)
        if _same_labels(anonymise(candidate), table, quasi):
            fitting.append(guess)
    before = [Counter(values[at] for at in rows).most_common(1)[0][1] / len(rows) for rows in classes]
    prior = {int(at): share for rows, share in zip(classes, before, strict=True) for at in rows}
    return _judged("minimality", fitting, prior, certain=certain, ways=ways)


def downcoding(
    release: pd.DataFrame,
    candidates: Sequence[Sequence[object]],
    column: str,
    anonymise: Anonymise,
    *,
    certain: float = CERTAIN,
    budget: int = BUDGET,
) -> Finding:
    """Attack: which finer values does the procedure leave possible behind the labels of one column?

    candidates: for each row the values that its label could stand for; the other columns are as released. Every combination is
    replayed, those that give this release count alike. Control: the share of one of the candidates. A row fails if one value is
    `certain` and was not. INCONCLUSIVE where there are more combinations than the budget.
    """
    table = as_frame(release, [column])
    if len(candidates) != len(table) or not all(candidates):
        raise ParameterError("candidates give for each row of the release at least one value")
    ways = math.prod(map(len, candidates))
    if ways > budget:
        return _too_many("downcoding", ways, budget)
    fitting = [
        list(guess)
        for guess in itertools.product(*candidates)
        if _same_labels(anonymise(_with(table, column, list(guess))), table, [column])
    ]
    prior = {at: 1 / len(part) for at, part in enumerate(candidates)}
    return _judged("downcoding", fitting, prior, certain=certain, ways=ways)


def _judged(attack: str, fitting: Sequence[Sequence[object]], prior: dict[int, float], *, certain: float, ways: int) -> Finding:
    if not fitting:
        return Finding(attack=attack, verdict="INCONCLUSIVE", message=f"none of {ways} possible tables gives this release")
    exposed = []
    for at, share in prior.items():
        value, times = Counter(guess[at] for guess in fitting).most_common(1)[0]
        if times / len(fitting) >= certain > share:
            exposed.append((at, value))
    return Finding(
        attack=attack,
        verdict="FAIL" if exposed else "PASS",
        message=f"{len(fitting)} of {ways} possible tables give this release; {len(exposed)} of {len(prior)} become certain",
        exposed=tuple(exposed),
    )


def _too_many(attack: str, ways: int, budget: int) -> Finding:
    return Finding(
        attack=attack, verdict="INCONCLUSIVE", message=f"{ways:.3g} possible tables are more than the budget of {budget:,}"
    )


def _with(table: pd.DataFrame, column: str, values: list[object]) -> pd.DataFrame:
    found = table.copy()
    found[column] = pd.Series(values, index=found.index)
    return found


def _same_labels(one: pd.DataFrame, other: pd.DataFrame, columns: Iterable[str]) -> bool:
    return all(list(map(str, one[name])) == list(map(str, other[name])) for name in columns)


def _arrangements(values: Sequence[object]) -> int:
    ways = math.factorial(len(values))
    for times in Counter(values).values():
        ways //= math.factorial(times)
    return ways


def _deals(values: Sequence[object]) -> Iterator[tuple[object, ...]]:
    """Every different order of the values."""
    left = Counter(values)

    def deal(number: int) -> Iterator[tuple[object, ...]]:
        if not number:
            yield ()
            return
        for value in list(left):
            if left[value]:
                left[value] -= 1
                for rest in deal(number - 1):
                    yield (value, *rest)
                left[value] += 1

    return deal(len(values))
