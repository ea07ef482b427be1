"""Inference with everybody as target and as control: two halves of a table, each a release that the other never entered.

A release of all people has no outsiders left. Its halves have: what a half tells about its own rows beyond what it tells about
the other's is what being in it costs. Classes of a half have half as many rows, so the attack is stronger than on the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng
from protocols.risk.encoding import IntArray, as_frame, encode, group, tally
from protocols.risk.neighbours import is_number
from protocols.risk.sampling import choose
from protocols.risk.statistics import Rate
from protocols.risk.verdict import LINKAGE_THRESHOLD, Finding, judge

BoolArray = npt.NDArray[np.bool_]
FEW_VALUES = 20
MIN_ROWS = 4


def cross_inference(
    release: pd.DataFrame,
    quasi: Sequence[str],
    secret: str,
    *,
    tolerance: float = 0.05,
    threshold: float = LINKAGE_THRESHOLD,
    rng: Rng | None = None,
) -> Finding:
    """Attack: who knows a person's quasi-identifiers guesses the secret from their class in one half of the release.

    The guess is the class's most frequent value; of a number with more than 20 values the median, right within `tolerance`
    times the true one; of a class that the half lacks, the whole half's. Control: people of the other half. Guessing: the
    secret of a row drawn at random. Source: the group of controls as in Giomi and others, PETS 2023, crossed as in validation.
    """
    if secret in quasi or not quasi:
        raise ParameterError("at least one quasi-identifier is needed, and the secret is none of them")
    table, rng = as_frame(release, [*quasi, secret]), rng or OsRng()
    if len(table) < MIN_ROWS:
        raise ParameterError(f"halves of a table need {MIN_ROWS} rows")
    columns = [encode(table[name], name) for name in quasi]
    classes, first = group([column.codes for column in columns], [column.size for column in columns])
    order = choose(rng, len(table), len(table))
    inside = np.zeros(len(table), dtype=np.bool_)
    inside[order[: len(table) // 2]] = True
    right = _median_hits if _is_measured(table[secret]) else _mode_hits
    hits = {half: right(table[secret], classes, len(first), inside == half, tolerance) for half in (True, False)}
    own = np.where(inside, hits[True], hits[False])
    other = np.where(inside, hits[False], hits[True])
    lucky = _equal(table[secret], table[secret].iloc[choose(rng, len(table), len(table))], tolerance)
    return judge(
        "inference",
        Rate(int(own.sum()), len(table)),
        control=Rate(int(other.sum()), len(table)),
        baseline=Rate(int(lucky.sum()), len(table)),
        threshold=threshold,
        message=f"secret {secret!r}, each half against the other",
        exposed=np.flatnonzero(own).tolist(),
    )


def _is_measured(secret: pd.Series) -> bool:
    return is_number(secret) and secret.nunique() > FEW_VALUES


def _mode_hits(secret: pd.Series, classes: IntArray, number: int, half: BoolArray, tolerance: float) -> BoolArray:
    """Whether each row's value is the most frequent one of its class in the half."""
    codes = encode(secret, str(secret.name)).codes
    size = int(codes.max()) + 1
    pairs, first = group([classes[half], codes[half]], [number, size])
    counts, rows = tally(pairs, len(first)), np.flatnonzero(half)[first]
    guess = np.full(number, int(tally(codes[half], size).argmax()), dtype=np.int64)
    rising = np.argsort(counts, kind="stable")
    guess[classes[rows[rising]]] = codes[rows[rising]]
    return np.asarray(codes == guess[classes])


def _median_hits(secret: pd.Series, classes: IntArray, number: int, half: BoolArray, tolerance: float) -> BoolArray:
    values = secret.to_numpy(dtype=np.float64, na_value=np.nan)
    known = half & ~np.isnan(values)
    guess = np.full(number, np.median(values[known]) if known.any() else np.nan)
    medians = pd.Series(values[known]).groupby(classes[known]).median()
    guess[medians.index.to_numpy()] = medians.to_numpy()
    return _near(values, guess[classes], tolerance)


def _equal(truth: pd.Series, guess: pd.Series, tolerance: float) -> BoolArray:
    if _is_measured(truth):
        real, said = (part.to_numpy(dtype=np.float64, na_value=np.nan) for part in (truth, guess))
        return _near(real, said, tolerance)
    both = encode(pd.concat([truth, guess], ignore_index=True), str(truth.name)).codes
    return np.asarray(both[: len(truth)] == both[len(truth) :])


def _near(real: npt.NDArray[np.float64], said: npt.NDArray[np.float64], tolerance: float) -> BoolArray:
    return np.asarray((np.abs(said - real) <= tolerance * np.abs(real)) | (np.isnan(real) & np.isnan(said)))
