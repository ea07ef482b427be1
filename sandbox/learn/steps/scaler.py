"""Standard scaling: means and variances of the pooled rows, from one secure sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandbox.learn.parts import Part
from sandbox.learn.request import Integers, Request, encode
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps.fit import Fit, unknown
from sandbox.learn.steps.moments import tell_if_coarse

Floats = npt.NDArray[np.float64]
SQUARES = "sums and squares"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalerModel:
    """rows: behind the model. mean, variance, scale: (features,); a constant column scales by 1."""

    rows: int
    mean: Floats
    variance: Floats
    scale: Floats


class ScalerFit(Fit):
    """Means and variances of the features."""

    def run(self, rounds: Rounds) -> ScalerModel:
        """One round after the count of rows."""
        rounds.count()
        bits, width = rounds.scale_bits(products=2), self.width
        total = [int(number) for number in rounds.sum(Request(statistic=SQUARES, length=2 * width, bits=bits))]
        rows, sums, squares = rounds.rows, total[:width], total[width:]
        tell_if_coarse(rounds, sums, squares)
        variances = [(rows * q - s * s) / (rows * rows << 2 * bits) for s, q in zip(sums, squares, strict=True)]
        variance = np.ldexp(variances, 2 * self.scale.exponents)
        return ScalerModel(
            rows=rows,
            mean=np.ldexp([number / (rows << bits) for number in sums], self.scale.exponents),
            variance=variance,
            scale=np.where(variance == 0, 1.0, np.sqrt(variance)),
        )

    def vector(self, part: Part, request: Request) -> Integers:
        """Return sums and squares of the features."""
        if request.statistic != SQUARES:
            raise unknown(request)
        integers = encode(self.scale.unit(part.X), request.bits)
        return np.concatenate([integers.sum(axis=0), (integers**2).sum(axis=0)])
