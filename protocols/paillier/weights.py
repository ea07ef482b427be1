"""Plain integer weights, as exponents of ciphertexts: magnitudes in limbs, and signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives.bigint import to_limbs
from protocols.primitives.engine import Limbs
from protocols.primitives.fixed_point import is_integer

_HALF = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)


class Weights:
    """Plain integer weights of one or two dimensions: magnitudes and signs.

    Machine integers stay in numpy; Python integers beyond 64 bits go through objects.
    """

    def __init__(self, weights: Any) -> None:
        array = as_integers(weights)
        self.shape = array.shape
        self.negative: npt.NDArray[np.bool_] = np.asarray(array < 0, dtype=bool).reshape(array.shape)
        if array.dtype.kind in "iu":
            words = array.astype(np.uint64)
            # Two's complement: the magnitude of a negative number, int64's minimum too.
            words = np.where(self.negative, ~words + np.uint64(1), words)
            self._limbs: Limbs = words.reshape(*array.shape, 1)
        else:
            magnitudes = [abs(int(number)) for number in array.ravel().tolist()]
            width = max(1, -(-max(magnitudes, default=0).bit_length() // 64))
            self._limbs = to_limbs(magnitudes, width).reshape(*array.shape, width)

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        found, chosen = 0, self._limbs.reshape(-1, self._limbs.shape[-1])
        for limb in reversed(range(chosen.shape[1])):
            if len(chosen) == 0:
                return 0
            top = chosen[:, limb].max()
            chosen = chosen[chosen[:, limb] == top]
            found = (found << 64) | int(top)
        return found

    @property
    def largest_total(self) -> int:
        """The largest sum of magnitudes along the last axis."""
        rows = self._limbs.reshape(-1, self.shape[-1], self._limbs.shape[-1]) if self._limbs.size else self._limbs[:0]
        return max((self._sums(row, np.array([0, len(row)]))[0] for row in rows), default=0)

    @property
    def all_positive(self) -> bool:
        """Whether every weight is at least 1."""
        return not np.any(self.negative) and bool(np.all(np.any(self._limbs != 0, axis=-1)))

    def largest_segment(self, edges: npt.NDArray[np.int64]) -> int:
        """The largest sum of magnitudes over [edges[i], edges[i+1]) of one-dimensional weights."""
        return max(self._sums(self._limbs, edges), default=0)

    def limbs(self) -> Limbs:
        """Return magnitudes as limbs: shape + (e_limbs,)."""
        return self._limbs

    @staticmethod
    def _sums(rows: Limbs, edges: npt.NDArray[np.int64]) -> list[int]:
        """Return Σ of rows[edges[i]:edges[i+1]], exactly: by halves of limbs, whose running sums stay below 2^64."""
        totals = np.zeros(len(edges) - 1, dtype=object)
        for limb in range(rows.shape[1]):
            for shift, half in ((0, rows[:, limb] & _LOW), (32, rows[:, limb] >> _HALF)):
                running = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(half, dtype=np.uint64)))
                sums = running[edges[1:]] - running[edges[:-1]]
                totals += sums.astype(object) * (1 << (64 * limb + shift))
        return [int(total) for total in totals]


def as_integers(values: Any) -> npt.NDArray[Any]:
    """Return an array of integers: of a machine type, or of objects where one is too wide.

    Raises ParameterError for anything that is not an integer.
    """
    if isinstance(values, np.ndarray):
        array = values
    else:
        # Lists go in as objects: numpy would turn integers beyond 2^63 beside negative ones into floats.
        array = np.array(values.to_numpy() if hasattr(values, "to_numpy") else values, dtype=object)
    if array.dtype.kind in "iu":
        return array
    objects = array.astype(object)
    if not all(is_integer(item) for item in objects.ravel().tolist()):
        raise ParameterError("weights must be integers in an array without gaps: scale fractions to integers first")
    try:
        return objects.astype(np.int64)
    except OverflowError:
        return objects
