"""Exact second moments in one round: counts, sums and products of columns as integers, centred without any rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.learn.request import Integers, Request, encode
from sandbox.learn.rounds import Rounds

Floats = npt.NDArray[np.float64]

PRODUCTS = "sums and products"
# Rounding to whole units moves a standard deviation of so many by a tenth of a per mille at most.
LEAST_UNITS = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Of columns in [−1, 1]. rows: N. mean: (columns,). scatter: (columns, columns), Σ (u − ū)(u − ū)ᵀ; raw: Σ uuᵀ.

    noise: what rounding to whole units adds to an entry of the diagonals, rows · 4^−b / 12.
    """

    rows: int
    mean: Floats
    scatter: Floats
    raw: Floats
    noise: float


def products_of(columns: Floats, request: Request) -> Integers:
    """Return a party's sums and products of columns, (rows, columns) in [−1, 1]."""
    integers = encode(columns, request.bits)
    return np.concatenate([integers.sum(axis=0), (integers.T @ integers)[np.triu_indices(columns.shape[1])]])


def second_moments(rounds: Rounds, width: int) -> Moments:
    """Sum the columns and their products over all parties: one round of width + width·(width + 1)/2 numbers.

    Numbers are rounded once, to b = ⌊(63 − log2(parties·rows))/2⌋ bits after the point; from there on everything is exact.
    """
    bits = rounds.scale_bits(products=2)
    upper = np.triu_indices(width)
    total = rounds.sum(Request(statistic=PRODUCTS, length=width + len(upper[0]), bits=bits))
    sums = [int(number) for number in total[:width]]
    products = [int(number) for number in total[width:]]
    rows = rounds.rows
    tell_if_coarse(rounds, sums, [products[at] for at in np.flatnonzero(upper[0] == upper[1]).tolist()])
    scatter, raw = np.empty((width, width)), np.empty((width, width))
    for i, j, product in zip(*upper, products, strict=True):
        centred = rows * product - sums[i] * sums[j]
        scatter[i, j] = scatter[j, i] = centred / (rows << 2 * bits)
        raw[i, j] = raw[j, i] = product / (1 << 2 * bits)
    mean = np.array([number / (rows << bits) for number in sums])
    return Moments(rows=rows, mean=mean, scatter=scatter, raw=raw, noise=rows * 4.0**-bits / 12)


def tell_if_coarse(rounds: Rounds, sums: Sequence[int], squares: Sequence[int]) -> None:
    """Tell of columns whose standard deviation is under LEAST_UNITS units of the encoding, from Σ and Σ² in those units.

    A column without any spread may be constant, or its bounds so wide that all its values became one: it is named too
    where its values are small against its bounds.
    """
    coarse, rows = {}, rounds.rows
    for column, (total, square) in enumerate(zip(sums, squares, strict=True)):
        deviation = math.isqrt(max(0, rows * square - total * total)) / rows
        is_small = square < rows * LEAST_UNITS**2
        if deviation < LEAST_UNITS and (deviation > 0 or is_small):
            coarse[column] = deviation
    if coarse:
        rounds.coarse(coarse)
