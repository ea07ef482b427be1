"""Perturbation: rounding, integer noise, rank swapping, micro-aggregation.

Noise on a record makes it less certain; it gives differential privacy only for values with declared bounds and for one column
at a time (`bottom` and `top` given, and scale = (top - bottom) / epsilon), which nothing here accounts for.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.errors import DataError
from protocols.desensitise.rules.base import Context, Convert, Family, Property, Spec, WholeColumn, integer_only, number_only
from protocols.errors import ParameterError
from protocols.primitives.rng import Rng, below
from protocols.primitives.samplers import discrete_gaussian, discrete_laplace

LIMIT = 1 << 62


class Round(Spec, tag="round", frozen=True):
    """Numbers to the nearest multiple of `to`; halves to the even multiple."""

    takes_numbers: ClassVar[bool] = True
    family: ClassVar[Family] = "perturbation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"order", "distribution"})
    to: float

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return number_only(kind)

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if not 0 < self.to < LIMIT:
            raise ParameterError("to is a number above 0")

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            if pa.types.is_floating(values.type):
                steps = pc.divide(values.cast(pa.float64()), self.to)
                lost = pc.and_(pc.is_finite(values), pc.invert(pc.is_finite(steps)))
                if pc.any(lost).as_py():
                    raise ParameterError(f"column {column!r}: multiples of {self.to:g} are too fine for its values")
                return pc.multiply(pc.round(steps, round_mode="half_to_even"), self.to)
            if self.to != int(self.to):
                raise ParameterError(f"column {column!r} has whole numbers, and `to` is none")
            step, (numbers, present) = int(self.to), _integers(values, column)
            low = numbers // step
            twice = 2 * (numbers - low * step)
            up = (twice > step) | ((twice == step) & (low % 2 == 1))
            return _array((low + up) * step, present, values.type, column)

        return convert


class Noise(Spec, tag="noise", frozen=True):
    """Whole numbers plus discrete Laplace (by scale) or discrete Gaussian (by variance) noise, exactly sampled.

    bottom, top: values are clipped to these before, and again after. Source of the samplers: Canonne, Kamath and Steinke 2020.
    """

    takes_numbers: ClassVar[bool] = True
    family: ClassVar[Family] = "perturbation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"distribution"})
    distribution: Literal["laplace", "gaussian"]
    scale: int | None = None
    variance: int | None = None
    bottom: int | None = None
    top: int | None = None

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return integer_only(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """int64: noise needs room."""
        return pa.int64()

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        wanted, other = (self.scale, self.variance) if self.distribution == "laplace" else (self.variance, self.scale)
        if wanted is None or other is not None or not 1 <= wanted <= 1 << 40:
            raise ParameterError("give scale for laplace, or variance for gaussian: 1 to 2^40")
        if self.bottom is not None and self.top is not None and self.bottom > self.top:
            raise ParameterError("bottom is above top")
        size = Fraction(wanted)

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            numbers, present = _integers(values, column)
            numbers = np.clip(numbers, self.bottom, self.top)
            draw = discrete_laplace if self.distribution == "laplace" else discrete_gaussian
            fresh = numbers.copy()
            fresh[present] += draw(context.rng, size, int(present.sum()))
            return _array(np.clip(fresh, self.bottom, self.top), present, pa.int64(), column)

        return convert


class RankSwap(Spec, tag="rank_swap", frozen=True):
    """Values change places among rows of near rank: ranks are cut into blocks of `window`, each shuffled.

    The column's own distribution stays exactly; its relation to other columns is weakened, the more the larger the window.
    """

    takes_numbers: ClassVar[bool] = True
    family: ClassVar[Family] = "perturbation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"distribution"})
    whole_column: ClassVar[bool] = True
    window: int

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return number_only(kind)

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if self.window < 2:
            raise ParameterError("window is 2 or more")
        return _Swapped(column, self.window, context.rng)


class MicroAggregate(Spec, tag="microaggregate", frozen=True):
    """Each value becomes the mean of at least `k` values of near rank (univariate, fixed groups by order)."""

    takes_numbers: ClassVar[bool] = True
    family: ClassVar[Family] = "perturbation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"order", "distribution"})
    whole_column: ClassVar[bool] = True
    k: int

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return number_only(kind)

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if self.k < 2:
            raise ParameterError("k is 2 or more")
        return _Averaged(column, self.k)


class _Ranked(WholeColumn):
    """Gathers a column's present numbers, replaces them all at once, and gives them out again in order."""

    def __init__(self, column: str) -> None:
        self.column = column
        self._parts: list[npt.NDArray[Any]] = []
        self._fresh: npt.NDArray[Any] = np.zeros(0)
        self._given = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.column!r}, <redacted>)"

    def observe(self, values: pa.Array) -> None:
        self._parts.append(_present(values, self.column))

    def settle(self) -> None:
        numbers = np.concatenate(self._parts) if self._parts else np.zeros(0)
        self._parts = []
        order = np.argsort(numbers, kind="stable")
        self._fresh = np.empty_like(numbers)
        self._fresh[order] = self.changed(numbers[order])

    def changed(self, ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return new values for all values in ascending order."""
        return ordered

    def __call__(self, values: pa.Array, batch: pa.RecordBatch) -> pa.Array:
        present = np.asarray(values.is_valid())
        count = int(present.sum())
        full = np.zeros(len(values), dtype=self._fresh.dtype)
        full[present] = self._fresh[self._given : self._given + count]
        self._given += count
        return pa.array(full, mask=~present).cast(values.type)


class _Swapped(_Ranked):
    def __init__(self, column: str, window: int, rng: Rng) -> None:
        super().__init__(column)
        self._window = window
        self._rng = rng

    def changed(self, ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
        count = len(ordered)
        offset = below(self._rng, self._window)
        blocks = (np.arange(count) + offset) // self._window
        keys = np.frombuffer(self._rng.bytes(16 * count), dtype=np.uint64).reshape(count, 2)
        return ordered[np.lexsort((keys[:, 0], keys[:, 1], blocks))]


class _Averaged(_Ranked):
    def __init__(self, column: str, k: int) -> None:
        super().__init__(column)
        self._k = k

    def changed(self, ordered: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not len(ordered):
            return ordered
        if len(ordered) < self._k:
            raise DataError(f"column {self.column!r} has {len(ordered)} values, fewer than k = {self._k}: suppress it")
        groups = np.minimum(np.arange(len(ordered)) // self._k, len(ordered) // self._k - 1)
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        means = np.add.reduceat(ordered.astype(np.longdouble), starts) / np.bincount(groups)
        return (np.rint(means) if ordered.dtype.kind == "i" else means).astype(ordered.dtype)[groups]


def _present(values: pa.Array, column: str) -> npt.NDArray[Any]:
    """Return the present numbers: int64 or float64. Raises DataError for NaN, infinities and integers beyond 2^62."""
    if pa.types.is_integer(values.type):
        numbers, present = _integers(values, column)
        return numbers[present]
    floats: npt.NDArray[Any] = values.drop_null().cast(pa.float64()).to_numpy(zero_copy_only=False)
    wrong = int((~np.isfinite(floats)).sum())
    if wrong:
        raise DataError(f"column {column!r} has {wrong} values that are NaN or infinite, which have no rank; clean them first")
    return floats


def _integers(values: pa.Array, column: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return (numbers, present); missing ones as 0. Raises DataError for numbers beyond 2^62."""
    present = np.asarray(values.is_valid())
    bounds = pc.min_max(values)
    if present.any() and (bounds["max"].as_py() > LIMIT or bounds["min"].as_py() < -LIMIT):
        raise DataError(f"column {column!r} has numbers beyond 2^62, which leave no room for a change; clip them first")
    numbers: npt.NDArray[np.int64] = pc.fill_null(values, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers, present


def _array(numbers: npt.NDArray[np.int64], present: npt.NDArray[np.bool_], kind: pa.DataType, column: str) -> pa.Array:
    fresh = pa.array(numbers, mask=~present)
    if not pa.types.is_int64(kind) and present.any():
        low, high = (
            (0, 2**kind.bit_width - 1) if "uint" in str(kind) else (-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
        )
        if int(numbers[present].min()) < low or int(numbers[present].max()) > high:
            raise DataError(f"column {column!r} is {kind}, too narrow for the changed numbers; read it as int64")
    return fresh.cast(kind)
