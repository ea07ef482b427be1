"""Generalisation: intervals, dates, prefixes, trees; top and bottom coding."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.hierarchy import Date, Hierarchy, Interval, Prefix, Tree
from protocols.desensitise.rules.base import (
    Context,
    Convert,
    Family,
    Property,
    Spec,
    by_value,
    is_text,
    number_only,
    text_or_integer,
)
from protocols.errors import ParameterError


class _Generalised(Spec, frozen=True):
    """One level of a hierarchy, as text. Equal values stay equal, so that joins on the coarser value work."""

    family: ClassVar[Family] = "generalisation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"order", "distribution"})

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def hierarchy(self, context: Context) -> tuple[Hierarchy, int]:
        """Return the hierarchy and the level that is wanted of it."""
        raise ParameterError("this rule has no hierarchy")

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        hierarchy, level = self.hierarchy(context)

        def labels(values: list[object]) -> list[object]:
            return hierarchy.labels(values, column)[level - 1] if values else []

        return lambda values, _: by_value(values, labels, pa.large_string())


class IntervalRule(_Generalised, tag="interval", frozen=True):
    """Numbers as `[low, high)` of a width; below `bottom` and from `top` on as one group each."""

    takes_numbers: ClassVar[bool] = True
    width: float
    origin: float = 0
    bottom: float | None = None
    top: float | None = None

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return number_only(kind)

    def hierarchy(self, context: Context) -> tuple[Hierarchy, int]:
        """See _Generalised."""
        return Interval(widths=(self.width,), origin=self.origin, bottom=self.bottom, top=self.top), 1


class DateRule(_Generalised, tag="date", frozen=True):
    """Dates and times to their day, month, quarter, year or decade. Text must be ISO 8601."""

    to: Literal["day", "month", "quarter", "year", "decade"]

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return None if is_text(kind) or pa.types.is_temporal(kind) else "dates, timestamps or ISO dates as text"

    def hierarchy(self, context: Context) -> tuple[Hierarchy, int]:
        """See _Generalised."""
        return Date(levels=(self.to,)), 1


class PrefixRule(_Generalised, tag="prefix", frozen=True):
    """The first characters of a code; the others masked."""

    keeps: ClassVar[frozenset[Property]] = frozenset({"order", "length", "distribution"})
    keep: int

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def hierarchy(self, context: Context) -> tuple[Hierarchy, int]:
        """See _Generalised."""
        return Prefix(keep=(self.keep,)), 1


class TreeRule(_Generalised, tag="tree", frozen=True):
    """A level of a hierarchy written in a file: a value, then its label at each level, separated by `;`."""

    keeps: ClassVar[frozenset[Property]] = frozenset({"distribution"})
    file: str
    level: int = 1

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def hierarchy(self, context: Context) -> tuple[Hierarchy, int]:
        """See _Generalised."""
        tree = Tree.from_text(context.texts[self.file])
        height = len(tree.labels([], ""))
        if not 1 <= self.level <= height:
            raise ParameterError(f"level is 1 to {height} in this hierarchy, not {self.level}")
        return tree, self.level


class Clip(Spec, tag="clip", frozen=True):
    """Top and bottom coding: numbers below `bottom` become it, numbers above `top` become that."""

    takes_numbers: ClassVar[bool] = True
    family: ClassVar[Family] = "generalisation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"order", "distribution"})
    bottom: float | None = None
    top: float | None = None

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return number_only(kind)

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if self.bottom is None and self.top is None:
            raise ParameterError("give bottom, top or both")
        if not all(math.isfinite(bound) for bound in (self.bottom, self.top) if bound is not None):
            raise ParameterError("bottom and top are finite numbers")
        if self.bottom is not None and self.top is not None and self.bottom > self.top:
            raise ParameterError("bottom is above top")

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            for bound, beyond in ((self.bottom, pc.less), (self.top, pc.greater)):
                if bound is not None:
                    limit = _limit(bound, values.type, column)
                    if limit is None and bool(pc.any(beyond(values.cast(pa.float64(), safe=False), bound)).as_py()):
                        raise ParameterError(f"column {column!r} is {values.type}, which cannot hold the bound {bound:g}")
                    if limit is not None:
                        values = pc.if_else(beyond(values, limit), limit, values)  # NaN is beyond nothing, and stays
            return values

        return convert


def _limit(bound: float, kind: pa.DataType, column: str) -> pa.Scalar | None:
    """Return a bound as a value of a column's type; None if the type cannot hold it."""
    if pa.types.is_integer(kind) and bound != int(bound):
        raise ParameterError(f"column {column!r} has whole numbers, and a bound is none")
    try:
        return pa.scalar(int(bound) if pa.types.is_integer(kind) else bound, kind)
    except (pa.ArrowInvalid, OverflowError):
        return None
