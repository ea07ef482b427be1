"""Attacks on a released table by people who know something: linkage, linkability, inference, homogeneity.

Each is run on people whose data went into the release, and on a control group whose data did not; tables are in the same
terms (the original and the control are generalised as the release is, if it is).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng
from protocols.risk.encoding import IntArray, as_frame, encode, group, tally
from protocols.risk.measures import suppressed_rows
from protocols.risk.neighbours import is_number, nearest
from protocols.risk.sampling import choose, draw
from protocols.risk.statistics import KNOWN, Rate
from protocols.risk.verdict import LINKAGE_THRESHOLD, Finding, judge

BoolArray = npt.NDArray[np.bool_]
ATTEMPTS = 500


def linkage(
    release: pd.DataFrame,
    auxiliary: pd.DataFrame,
    quasi: Sequence[str],
    truth: Sequence[int] | None = None,
    *,
    control: pd.DataFrame | None = None,
    threshold: float = LINKAGE_THRESHOLD,
    rng: Rng | None = None,
) -> Finding:
    """Attack: for each person of an auxiliary table, name one of the rows of the release that have the same quasi-identifiers.

    truth: for each person their row of the release (from 0), or -1 for somebody who is not in it: a hit is the right row.
    Without it a hit is drawn with chance 1 / rows of the class, as for people who are all in the release; then control,
    people who are not in it, shows how many would be hit by their looks alone. Guessing: one row out of all.
    """
    rng = rng or OsRng()
    table, people = as_frame(release, quasi), as_frame(auxiliary, quasi)
    claim, hits = _claims(table, people, quasi, rng)
    outsiders = None
    if truth is not None:
        known = np.asarray(truth, dtype=np.int64)
        if known.shape != (len(people),) or known.max(initial=-1) >= len(table):
            raise ParameterError("truth gives one row of the release, or -1, for each person of the auxiliary table")
        hits = (claim >= 0) & (claim == known)
    elif control is not None:
        lucky = _claims(table, as_frame(control, quasi), quasi, rng)[1]
        outsiders = Rate(int(lucky.sum()), len(lucky))
    return judge(
        "linkage",
        Rate(int(hits.sum()), len(people)),
        control=outsiders,
        baseline=Rate(KNOWN, KNOWN * len(table)),
        threshold=threshold,
        message=f"{int((claim >= 0).sum())} people match at least one row",
        exposed=np.flatnonzero(hits).tolist(),
    )


def _claims(table: pd.DataFrame, people: pd.DataFrame, quasi: Sequence[str], rng: Rng) -> tuple[IntArray, BoolArray]:
    """Return for each person a row of their class, drawn at random, or -1; and whether it would be theirs, if they are in
    it."""
    both = pd.concat([table[list(quasi)].astype(object), people[list(quasi)].astype(object)], ignore_index=True)
    columns = [encode(both[name], name) for name in quasi]
    inverse, first = group([column.codes for column in columns], [column.size for column in columns])
    own, theirs = inverse[: len(table)], inverse[len(table) :]
    sizes = tally(own, len(first))
    order = np.argsort(own, kind="stable")
    starts = np.cumsum(sizes) - sizes
    picked = draw(rng, 1 << 30, len(people)) % np.maximum(sizes[theirs], 1)
    claim = np.full(len(people), -1, dtype=np.int64)
    matched = sizes[theirs] > 0
    claim[matched] = order[(starts[theirs] + picked)[matched]]
    return claim, matched & (picked == 0)


def linkability(
    release: pd.DataFrame,
    original: pd.DataFrame,
    control: pd.DataFrame,
    left: Sequence[str],
    right: Sequence[str],
    *,
    attempts: int = ATTEMPTS,
    neighbours: int = 1,
    threshold: float = LINKAGE_THRESHOLD,
    rng: Rng | None = None,
) -> Finding:
    """Attack: somebody has a person's `left` columns, somebody else the `right` ones; both ask the release for the nearest
    rows.

    They link the two if they meet in a row. Guessing: rows drawn at random.
    Source: Giomi and others, PETS 2023, section 5.2.
    """
    if set(left) & set(right) or not left or not right:
        raise ParameterError("left and right are different columns, at least one each")
    rng = rng or OsRng()
    table = as_frame(release, [*left, *right])
    people, others = (as_frame(frame, [*left, *right]) for frame in (original, control))
    met, rows = _meeting(table, people, left, right, attempts=attempts, neighbours=neighbours, rng=rng)
    outside, _ = _meeting(table, others, left, right, attempts=attempts, neighbours=neighbours, rng=rng)
    shape = (len(met), neighbours)
    drawn = [draw(rng, len(table), shape[0] * shape[1]).reshape(shape) for _ in range(2)]
    guessed = (drawn[0][:, :, None] == drawn[1][:, None, :]).any(axis=(1, 2))
    return judge(
        "linkability",
        Rate(int(met.sum()), len(met)),
        control=Rate(int(outside.sum()), len(outside)),
        baseline=Rate(int(guessed.sum()), len(guessed)),
        threshold=threshold,
        exposed=rows[met].tolist(),
    )


def _meeting(
    table: pd.DataFrame,
    people: pd.DataFrame,
    left: Sequence[str],
    right: Sequence[str],
    *,
    attempts: int,
    neighbours: int,
    rng: Rng,
) -> tuple[BoolArray, IntArray]:
    rows = choose(rng, len(people), attempts)
    targets = people.iloc[rows]
    one, other = (nearest(table, targets, columns, neighbours) for columns in (left, right))
    return (one[:, :, None] == other[:, None, :]).any(axis=(1, 2)), rows


def inference(
    release: pd.DataFrame,
    original: pd.DataFrame,
    control: pd.DataFrame,
    known: Sequence[str],
    secret: str,
    *,
    attempts: int = ATTEMPTS,
    tolerance: float = 0.05,
    threshold: float = LINKAGE_THRESHOLD,
    rng: Rng | None = None,
) -> Finding:
    """Attack: who knows some columns of a person takes the secret of the nearest row of the release.

    A number is right within `tolerance` times the true value, anything else if it is the same. The control group shows what the
    release teaches about everybody, which is its purpose; only what it tells beyond is risk. Guessing: the secret of a row
    drawn at random. Source: Giomi and others, PETS 2023, section 5.3.
    """
    if secret in known or not known:
        raise ParameterError("at least one known column is needed, and the secret is none of them")
    rng = rng or OsRng()
    columns = [*known, secret]
    table = as_frame(release, columns)
    rates, exposed = [], np.empty(0, dtype=np.int64)
    for at, people in enumerate((as_frame(original, columns), as_frame(control, columns))):
        rows = choose(rng, len(people), attempts)
        targets = people.iloc[rows]
        right = _right(targets[secret], table[secret].iloc[nearest(table, targets, known)[:, 0]], tolerance)
        rates.append(Rate(int(right.sum()), len(right)))
        if at == 0:
            exposed = rows[right]
            lucky = _right(targets[secret], table[secret].iloc[draw(rng, len(table), len(targets))], tolerance)
            rates.append(Rate(int(lucky.sum()), len(lucky)))
    return judge(
        "inference",
        rates[0],
        control=rates[2],
        baseline=rates[1],
        threshold=threshold,
        message=f"secret {secret!r}",
        exposed=exposed.tolist(),
    )


def _right(truth: pd.Series, guess: pd.Series, tolerance: float) -> BoolArray:
    if is_number(truth) and is_number(guess):
        real, said = (part.to_numpy(dtype=np.float64, na_value=np.nan) for part in (truth, guess))
        near = np.abs(said - real) <= tolerance * np.abs(real)
        return np.asarray(near | (np.isnan(real) & np.isnan(said)))
    real_objects, said_objects = truth.astype(object).to_numpy(), guess.astype(object).to_numpy()
    both_missing = pd.isna(real_objects) & pd.isna(said_objects)
    return np.asarray(
        both_missing | np.fromiter((a == b for a, b in zip(real_objects, said_objects, strict=True)), dtype=np.bool_)
    )


def homogeneity(
    release: pd.DataFrame,
    quasi: Sequence[str],
    sensitive: str,
    *,
    share: float = 1.0,
    harmless: Sequence[object] = (),
    rng: Rng | None = None,
) -> Finding:
    """Attack: read the sensitive value off a class in which (nearly) all have the same one.

    share: from which part of a class on its value counts as told. harmless: values that may be told ("none", "healthy").
    Control: the same classes with the sensitive values shuffled, which is what a table without any relation would tell.
    Certain, so any exposed row fails; the control is reported beside it. Suppressed rows (`*` throughout) are no class.
    """
    if not 0 < share <= 1:
        raise ParameterError("share is a part of a class, above 0 and up to 1")
    if sensitive in quasi:
        raise ParameterError("a sensitive column is no quasi-identifier")
    whole = as_frame(release, [*quasi, sensitive])
    shown = np.flatnonzero(~suppressed_rows(whole, quasi))
    table = whole.iloc[shown]
    columns = [encode(table[name], name) for name in quasi]
    classes, first = group([column.codes for column in columns], [column.size for column in columns])
    column = encode(table[sensitive], sensitive)
    told = np.array([value not in set(harmless) for value in column.values])
    exposed = _exposed(classes, len(first), column.codes, told, share)
    shuffled = column.codes[choose(rng or OsRng(), len(table), len(table))]
    control = _exposed(classes, len(first), shuffled, told, share)
    rows = int(exposed.sum())
    return Finding(
        attack="homogeneity",
        verdict="FAIL" if rows else "PASS",
        message=f"{rows} of {len(whole)} rows tell their {sensitive!r}, in {len(np.unique(classes[exposed]))} classes; "
        f"{int(control.sum())} with values shuffled",
        exposed=tuple(shown[exposed].tolist()),
    )


def _exposed(classes: IntArray, number: int, codes: IntArray, told: BoolArray, share: float) -> BoolArray:
    pairs, first = group([classes, codes], [number, len(told)])
    counts = tally(pairs, len(first))
    sizes = tally(classes, number)
    telling = (counts >= share * sizes[classes[first]]) & told[codes[first]]
    return np.asarray(telling[pairs])
