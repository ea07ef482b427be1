"""Attacks on synthetic tables, each shown to work on copies of the same people's rows before it says anything.

A good synthetic table gives attackers nothing beyond what it teaches about everybody: they *should* do no better than on
people whom it never saw. That alone is no evidence, since an attack that never works looks the same. So each attack has a
positive control: it is run on a table that leaks on purpose, copies of the rows of people who went in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.risk.attacks import inference, linkability
from protocols.risk.encoding import as_frame
from protocols.risk.members import membership
from protocols.risk.neighbours import closest
from protocols.risk.sampling import choose
from protocols.risk.singling import singling_out
from protocols.risk.verdict import LINKAGE_THRESHOLD, NO_BETTER, Finding, Findings, together

ATTEMPTS = 4000
PREDICATE_WORK = 4  # a predicate takes so many times the work of another attempt
MOST_SECRETS = 3
WIDTH = 3
FALSE_POSITIVE_RATE = 0.01
FEWEST_UNUSUAL = 200
USUAL, HALF = 2 / 3, 1 / 2
TOLERANCE = 0.01
MOST_WORK = 100_000_000
FINGERPRINTS = ("fingerprint", "fingerprint again")

OnProgress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Tables:
    """What an attack is run on: a release, people whose rows went into it, people whose rows did not."""

    release: pd.DataFrame
    members: pd.DataFrame
    control: pd.DataFrame


Attack = Callable[[Tables, tuple[str, ...], int, Rng], Finding]
"""An attack on tables, with further columns that it may use, as often as said."""


@dataclasses.dataclass(frozen=True, slots=True)
class Closeness:
    """Distances to the closest record, for a report: no verdict rests on them.

    The median over people who went in and over people who did not, and the part of them of whom an equal row is in the table.
    Distances are Gower's, summed over the columns.
    """

    members: float
    control: float
    equal_members: float
    equal_control: float


def attack_synthetic(
    release: pd.DataFrame,
    members: pd.DataFrame,
    control: pd.DataFrame,
    columns: Sequence[str],
    *,
    secrets: Sequence[str] = (),
    attempts: int | None = None,
    threshold: float = LINKAGE_THRESHOLD,
    rng: Rng | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Findings, Closeness]:
    """Attack a synthetic table: singling out, linkability, inference of each secret, membership; each calibrated on copies.

    members: the people whom the table was made from, one row each; control: people held out before anything was counted.
    secrets: columns to infer; by default up to three in which no value is that of half the people. attempts: of each attack, by
    default 4,000, and fewer, down to 1,000, on tables of more than 25,000 rows. PASS: the upper end of the attack's risk is at
    most the threshold, and its positive control shows that it works (`calibrated`). Raises ParameterError.
    """
    rng = rng or OsRng()
    tables = Tables(*(as_frame(frame, columns)[list(columns)] for frame in (release, members, control)))
    unknown = [name for name in secrets if name not in columns]
    if unknown:
        raise ParameterError(f"a secret is one of the columns, not {', '.join(map(repr, unknown))}")
    tries = attempts or max(ATTEMPTS // 4, min(ATTEMPTS, MOST_WORK // len(tables.release)))
    attacks = _attacks(tuple(columns), tuple(secrets) or _telling(tables.control), threshold)
    copies = _copies(tables, rng)
    found = []
    for at, attack in enumerate(attacks):
        if on_progress:
            on_progress("attack", at, len(attacks))
        found.append(_calibrated(attack, tables, copies, tries, rng))
    if on_progress:
        on_progress("attack", len(attacks), len(attacks))
    return together(found), _closeness(tables, tries, rng)


def calibrated(found: Finding, copies: Finding, marked: Callable[[], Finding]) -> Finding:
    """Return a finding judged beside its positive control, in place of guessing.

    found: of the release. copies: of the same attack where the release is copies of the attacked people's rows. marked: of the
    same once every row carries a mark of its own, asked for only where copies were not found out.

    A risk above the threshold fails, and one that may be above it is inconclusive, as ever. Else it passes where the attack
    finds the copies out (FAIL). Where it does not, since few people differ in these columns and copies of their rows hardly
    tell more than is accepted, it passes if the attack finds marked copies out: so it works. Otherwise it shows nothing.
    """
    if found.verdict == "FAIL" or found.risk is None or found.threshold is None:
        return found  # certain either way
    if found.risk.high > found.threshold:
        return found
    text = f"{found.message.removesuffix(NO_BETTER)}; on copies of the rows its risk is {copies.risk or 0}"
    if copies.verdict == "FAIL":
        return dataclasses.replace(found, verdict="PASS", message=f"{text}, so it would have found them")
    if marked().verdict == "FAIL":
        text = f"{text}: even they hardly tell more than is accepted, and it finds copies with a mark"
        return dataclasses.replace(found, verdict="PASS", message=text)
    text = f"{text}, and it does not find copies with a mark either, so it shows nothing"
    return dataclasses.replace(found, verdict="INCONCLUSIVE", message=text)


def _calibrated(attack: Attack, tables: Tables, copies: Tables, attempts: int, rng: Rng) -> Finding:
    found = attack(tables, (), attempts, rng)
    fewer = max(1, attempts // 4)  # what copies tell is mostly far above the threshold, and soon seen
    control = attack(copies, (), fewer, rng)
    if control.verdict != "FAIL":
        control = attack(copies, (), attempts, rng)
    return calibrated(found, control, lambda: attack(_marked(copies), FINGERPRINTS, fewer, rng))


def _copies(tables: Tables, rng: Rng) -> Tables:
    """A release that is copies of people's rows, as many as the release has if there are so many, and those people."""
    rows = choose(rng, len(tables.members), len(tables.release))
    copied = tables.members.iloc[rows].reset_index(drop=True)
    return Tables(copied, copied, tables.control)


def _marked(tables: Tables) -> Tables:
    """The same with fingerprints: two columns that tell every person apart from all others."""

    def with_marks(frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
        marks = [f"{prefix} {at}" for at in range(len(frame))]
        return frame.assign(**dict.fromkeys(FINGERPRINTS, marks))

    copied = with_marks(tables.members, "inside")
    return Tables(copied, copied, with_marks(tables.control, "outside"))


def _attacks(columns: tuple[str, ...], secrets: tuple[str, ...], threshold: float) -> list[Attack]:
    def single(tables: Tables, more: tuple[str, ...], attempts: int, rng: Rng) -> Finding:
        every = [*columns, *more]
        return singling_out(
            tables.release,
            tables.members,
            tables.control,
            every,
            width=min(WIDTH, len(every)),
            attempts=max(1, attempts // PREDICATE_WORK),
            threshold=threshold,
            count_missed=True,
            rng=rng,
        )

    def link(tables: Tables, more: tuple[str, ...], attempts: int, rng: Rng) -> Finding:
        left, right = [*columns[::2], *more[:1]], [*columns[1::2], *more[1:]]
        return linkability(*_three(tables), left, right, attempts=attempts, threshold=threshold, rng=rng)

    def infer(secret: str) -> Attack:
        def attack(tables: Tables, more: tuple[str, ...], attempts: int, rng: Rng) -> Finding:
            release, members, control = _unusual(tables, secret)
            known = [*(name for name in columns if name != secret), *more[:1]]
            return inference(
                release, members, control, known, secret, attempts=attempts, tolerance=TOLERANCE, threshold=threshold, rng=rng
            )

        return attack

    def member(tables: Tables, more: tuple[str, ...], attempts: int, rng: Rng) -> Finding:
        every = [*columns, *more[:1]]
        distances = [
            closest(tables.release, frame.iloc[choose(rng, len(frame), attempts)], every)
            for frame in (tables.members, tables.control)
        ]
        inside, outside = np.split(_ranks(np.concatenate(distances), rng), [len(distances[0])])
        (found,) = membership(inside, outside, false_positive_rates=(FALSE_POSITIVE_RATE,), rng=rng).items
        return found

    if len(columns) == 1:
        return [single, member]
    return [single, link, *(infer(secret) for secret in secrets), member]


def _three(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return tables.release, tables.members, tables.control


def _unusual(tables: Tables, secret: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Attack those whose secret is not the most common one, where most people have that and the others are enough.

    The most common value is guessed of everybody; the interval of what is left to learn would be as wide as that is sure.
    """
    common, share = _most_common(tables.control[secret])
    if share < USUAL:
        return _three(tables)
    people = [
        frame[frame[secret].notna() if pd.isna(common) else frame[secret] != common]
        for frame in (tables.members, tables.control)
    ]
    if min(len(frame) for frame in people) < FEWEST_UNUSUAL:
        return _three(tables)
    return tables.release, people[0], people[1]


def _ranks(distances: npt.NDArray[np.float64], rng: Rng) -> npt.NDArray[np.int64]:
    """Return scores, the highest for the smallest distance; ties are broken at random, so that a cut is met exactly."""
    ranks = np.empty(len(distances), dtype=np.int64)
    ranks[np.lexsort((permutation(rng, len(distances)), -distances))] = np.arange(len(distances))
    return ranks


def _telling(control: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns whose values say most of a person: the commonest is rarest, and at most half of the people's."""
    shares = {str(name): _most_common(control[name])[1] for name in control.columns}
    ordered = sorted(shares, key=lambda name: shares[name])
    return tuple(name for name in ordered[:MOST_SECRETS] if shares[name] < HALF) or tuple(ordered[:1])


def _most_common(column: pd.Series) -> tuple[Any, float]:
    """Return a column's commonest value, a missing one included, and its share."""
    counts = column.astype(object).value_counts(dropna=False)
    return counts.index[0], float(counts.iloc[0] / len(column))


def _closeness(tables: Tables, attempts: int, rng: Rng) -> Closeness:
    columns = list(tables.release.columns)
    inside, outside = (
        closest(tables.release, frame.iloc[choose(rng, len(frame), attempts)], columns)
        for frame in (tables.members, tables.control)
    )

    def equal(distances: npt.NDArray[np.float64]) -> float:
        return float((distances == 0).mean())

    return Closeness(float(np.median(inside)), float(np.median(outside)), equal(inside), equal(outside))
