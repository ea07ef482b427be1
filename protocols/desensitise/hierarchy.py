"""Generalisation hierarchies: for each value of a column, what stands for it at each level; level 0 is the value itself."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.errors import ParameterError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
SUPPRESSED = "*"
EXACT = 2.0**53
PLAIN = 1e11
BORDER = 1e-12


@dataclass(frozen=True, slots=True)
class Levels:
    """A hierarchy on the distinct values of one column.

    maps[l]: (values,) int64, the group of each value at level l; maps[0] is 0, 1, 2, …; a coarser level never splits a group.
    labels[l]: (groups,) object, what is published for a group; a missing value keeps None until all is one group.
    shares[l]: (groups,) float64, the part of the domain's values that a group covers.
    """

    column: str
    maps: tuple[IntArray, ...]
    labels: tuple[npt.NDArray[Any], ...]
    shares: tuple[FloatArray, ...]

    @property
    def height(self) -> int:
        """The highest level."""
        return len(self.maps) - 1

    def sizes(self) -> tuple[int, ...]:
        """Number of groups at each level."""
        return tuple(len(labels) for labels in self.labels)


class Hierarchy(ABC):
    """How to generalise a column. `bind` applies it to the values that a column has."""

    @abstractmethod
    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return for each level from 1 the label of each value. Raises ParameterError for a value that is not covered."""

    def share(self, level: int, label: Any) -> float | None:
        """Return the part of the domain that a group covers; None where the domain is the column's own values."""
        return None

    def bind(self, values: Sequence[Any] | npt.NDArray[Any], column: str = "the column") -> Levels:
        """Return the levels of distinct values, in their order. Raises ParameterError: not covered, a group is split."""
        present = [at for at, value in enumerate(values) if not _is_missing(value)]
        named = self.labels([values[at] for at in present], column)
        maps, labels, shares = [np.arange(len(values))], [_objects(values)], [np.full(len(values), 1 / max(1, len(values)))]
        for level, found in enumerate(named, start=1):
            full: list[Any] = [None] * len(values)
            for at, label in zip(present, found, strict=True):
                full[at] = label
            only = set(found)
            if len(present) < len(values) and level == len(named) and only <= {SUPPRESSED}:
                full = [SUPPRESSED] * len(values)
            codes, names = _numbered(full)
            maps.append(codes)
            labels.append(_objects(names))
            counts = np.bincount(codes, minlength=len(names)) / max(1, len(values))
            stated = [self.share(level, name) if name is not None else None for name in names]
            shares.append(np.array([own if own is not None else counts[at] for at, own in enumerate(stated)]))
        domain = [self.share(0, value) if not _is_missing(value) else None for value in values]
        shares[0] = np.array([own if own is not None else 1 / max(1, len(values)) for own in domain])
        _require_refinement(maps, column)
        return Levels(column=column, maps=tuple(maps), labels=tuple(labels), shares=tuple(shares))

    def apply(self, series: pd.Series[Any], level: int) -> pd.Series[Any]:
        """Return a column at one level. Raises ParameterError: not covered, or no such level."""
        codes, values = pd.factorize(series, use_na_sentinel=False)
        levels = self.bind(np.asarray(values), str(series.name))
        if not 0 <= level <= levels.height:
            raise ParameterError(f"column {series.name!r} has levels 0 to {levels.height}, not {level}")
        if level == 0:
            return series
        return pd.Series(levels.labels[level][levels.maps[level]][codes], index=series.index, name=series.name, dtype=object)


class Tree(Hierarchy):
    """A hierarchy written out: one row per value, as ARX files have it: the value, then its label at each level."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        table = [tuple(_text(cell) for cell in row) for row in rows]
        if not table:
            raise ParameterError("a hierarchy needs at least one row")
        width = len(table[0])
        for at, row in enumerate(table, start=1):
            if len(row) != width:
                raise ParameterError(f"hierarchy, line {at}: {len(row)} fields where line 1 has {width}")
            if not all(row[1:]):
                raise ParameterError(f"hierarchy, line {at}: level {row[1:].index('') + 1} is empty; give each level a label")
        if width < 2:
            raise ParameterError("hierarchy, line 1: a value and at least one level are needed; is the delimiter right?")
        self._rows = {row[0]: row[1:] for row in table}
        if len(self._rows) != len(table):
            seen: dict[str, int] = {}
            twice = next(at for at, row in enumerate(table, start=1) if seen.setdefault(row[0], at) != at)
            raise ParameterError(f"hierarchy, line {twice}: this value already has a row (line {seen[table[twice - 1][0]]})")
        self._parents_agree(table)
        self._shares: list[dict[str, float]] = []
        for level in range(width - 1):
            counted: dict[str, int] = {}
            for row in self._rows.values():
                counted[row[level]] = counted.get(row[level], 0) + 1
            self._shares.append({label: count / len(table) for label, count in counted.items()})

    @classmethod
    def from_text(cls, text: str, delimiter: str = ";") -> Tree:
        """Return the hierarchy of a file's text. Raises ParameterError with the line."""
        reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True)
        rows: list[list[str]] = []
        problem = ""
        try:
            rows += (row for row in reader if row)
        except csv.Error as error:
            problem = str(error)
        if problem:
            raise ParameterError(f"hierarchy, line {reader.line_num}: {problem}")
        return cls(rows)

    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return the labels of each level; see Hierarchy."""
        found = [self._rows.get(_text(value)) for value in values]
        missing = sum(row is None for row in found)
        if missing:
            raise ParameterError(f"column {column!r}: {missing} of {len(values)} distinct values have no row in the hierarchy")
        return [[row[level] for row in found if row is not None] for level in range(len(self._shares))]

    def share(self, level: int, label: Any) -> float:
        """Return the part of the tree's values under a label."""
        return 1 / len(self._rows) if level == 0 else self._shares[level - 1][label]

    @staticmethod
    def _parents_agree(table: list[tuple[str, ...]]) -> None:
        for level in range(1, len(table[0]) - 1):
            above: dict[str, tuple[str, int]] = {}
            for at, row in enumerate(table, start=1):
                parent, first = above.setdefault(row[level], (row[level + 1], at))
                if parent != row[level + 1]:
                    raise ParameterError(
                        f"hierarchy, line {at}: level {level + 1} splits a group of level {level} (see line {first})"
                    )


@dataclass(frozen=True)
class Interval(Hierarchy):
    """Numbers in half-open intervals [origin + i·w, origin + (i+1)·w), one width a level, each a multiple of the one before.

    bottom, top: values under the one, or from the other on, are one group from level 1 on (bottom and top coding).
    The last level is `*`.
    """

    widths: tuple[float, ...]
    origin: float = 0
    bottom: float | None = None
    top: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or any(not math.isfinite(width) or width <= 0 for width in self.widths):
            raise ParameterError("an interval hierarchy needs at least one width above 0")
        for finer, coarser in itertools.pairwise(self.widths):
            if coarser <= finer or not math.isclose(coarser / finer, round(coarser / finer), rel_tol=1e-12):
                raise ParameterError(
                    f"width {coarser:g} is no multiple of {finer:g}, so a coarser interval would split a finer one"
                )
        if not all(math.isfinite(each) for each in (self.origin, self.bottom or 0, self.top or 0)):
            raise ParameterError("origin, bottom and top are finite numbers")
        if self.bottom is not None and self.top is not None and self.bottom >= self.top:
            raise ParameterError("bottom must be below top")

    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return the labels of each level; see Hierarchy."""
        numbers = [_number(value) for value in values]
        bad = sum(number is None for number in numbers)
        if bad:
            raise ParameterError(f"column {column!r}: {bad} of {len(values)} distinct values are no finite numbers")
        far = sum(
            abs(number / self.widths[0] - self.origin / self.widths[0]) >= EXACT for number in numbers if number is not None
        )
        if far:
            raise ParameterError(
                f"column {column!r}: {far} of {len(values)} distinct values are too large for intervals of {self.widths[0]:g}; "
                "choose a wider one"
            )
        return [
            *([self._label(number, width) for number in numbers if number is not None] for width in self.widths),
            [SUPPRESSED] * len(values),
        ]

    def _label(self, number: float, width: float) -> str:
        if self.bottom is not None and number < self.bottom:
            return f"< {_spelled(self.bottom)}"
        if self.top is not None and number >= self.top:
            return f">= {_spelled(self.top)}"
        # The finest index, divided exactly: a coarser floor of its own could round to the other side of a border.
        steps = (number - self.origin) / self.widths[0]
        is_border = math.isclose(steps, round(steps), rel_tol=BORDER, abs_tol=BORDER)  # 0.3 is three times 0.1
        finest = round(steps) if is_border else math.floor(steps)
        start = self.origin + finest // round(width / self.widths[0]) * width
        low = start if self.bottom is None else max(start, self.bottom)
        high = start + width if self.top is None else min(start + width, self.top)
        return f"[{_spelled(low)}, {_spelled(high)})"


def _spelled(border: float) -> str:
    """Twelve digits hide what binary fractions leave behind; whole numbers that have more are written out."""
    return str(int(border)) if abs(border) >= PLAIN and border == int(border) else f"{border:.12g}"


DATE_LEVELS = ("day", "month", "quarter", "year", "decade")


@dataclass(frozen=True)
class Date(Hierarchy):
    """Dates and times by day, month, quarter, year, decade (a choice in this order). The last level is `*`.

    Weeks are left out: they cross the borders of months and years.
    """

    levels: tuple[str, ...] = ("month", "year")

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        if not self.levels or list(self.levels) != [name for name in DATE_LEVELS if name in self.levels]:
            raise ParameterError(f"date levels are a choice of {', '.join(DATE_LEVELS)}, in this order")

    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return the labels of each level; see Hierarchy."""
        dates = [_date(value) for value in values]
        bad = sum(date is None for date in dates)
        if bad:
            raise ParameterError(f"column {column!r}: {bad} of {len(values)} distinct values are no ISO dates")
        return [
            *([_date_label(date, name) for date in dates if date is not None] for name in self.levels),
            [SUPPRESSED] * len(values),
        ]


@dataclass(frozen=True)
class Prefix(Hierarchy):
    """Codes whose left part is the coarser one (region codes, phone numbers): keep so many characters, mask the others.

    keep: the number kept at level 1, 2, …, falling. The length stays visible until the last level, `*`.
    """

    keep: tuple[int, ...]
    mask: str = "*"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", tuple(self.keep))
        falling = all(finer > coarser for finer, coarser in itertools.pairwise(self.keep))
        if not self.keep or min(self.keep) < 1 or not falling:
            raise ParameterError("the numbers of characters to keep must fall from level to level, down to 1 at least")
        if len(self.mask) != 1:
            raise ParameterError("the mask is one character")

    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return the labels of each level; see Hierarchy."""
        texts = [_text(value) for value in values]
        masked = [[text[:keep] + self.mask * (len(text) - keep) for text in texts] for keep in self.keep]
        return [*masked, [SUPPRESSED] * len(values)]


class Whole(Hierarchy):
    """The value, or nothing of it: level 0 and `*`."""

    def labels(self, values: Sequence[Any], column: str) -> list[list[Any]]:
        """Return the labels of each level; see Hierarchy."""
        return [[SUPPRESSED] * len(values)]


def as_hierarchy(given: object) -> Hierarchy:
    """Return a hierarchy from what people have: one already, a file's text, rows (value first), a frame of rows, a mapping
    from each value to its labels."""
    if isinstance(given, Hierarchy):
        return given
    if isinstance(given, str):
        return Tree.from_text(given)
    if isinstance(given, pd.DataFrame):
        return Tree(given.itertuples(index=False, name=None))
    if isinstance(given, Mapping):
        return Tree((value, *([labels] if isinstance(labels, str) else labels)) for value, labels in given.items())
    if isinstance(given, Iterable):
        return Tree(given)
    raise ParameterError(f"a hierarchy is needed (Tree, Interval, Date, Prefix, rows, text), not {type(given).__name__}")


def _numbered(labels: list[Any]) -> tuple[IntArray, list[Any]]:
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
    return codes, list(numbers)


def _objects(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        found[at] = None if _is_missing(value) else value
    return found


def _require_refinement(maps: list[IntArray], column: str) -> None:
    for level, (finer, coarser) in enumerate(itertools.pairwise(maps[1:]), start=1):
        if not len(finer):
            continue
        parent = np.zeros(int(finer.max()) + 1, dtype=np.int64)
        parent[finer] = coarser
        if (parent[finer] != coarser).any():
            raise ParameterError(f"column {column!r}: level {level + 1} of the hierarchy splits a group of level {level}")


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float | np.floating) and math.isnan(value))


def _text(value: Any) -> str:
    """The text of a value as a file has it: 39.0 is 39, since pandas makes floats of integers beside a missing value."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _date(value: Any) -> datetime.date | None:
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else pd.Timestamp(value)
    if not isinstance(value, str):
        return None
    try:
        return datetime.datetime.fromisoformat(value)
    except ValueError:
        return None


def _date_label(date: datetime.date, level: str) -> str:
    if level == "day":
        return f"{date.year:04}-{date.month:02}-{date.day:02}"
    if level == "month":
        return f"{date.year:04}-{date.month:02}"
    if level == "quarter":
        return f"{date.year:04}-Q{(date.month + 2) // 3}"
    return f"{date.year:04}" if level == "year" else f"{date.year // 10 * 10:04}s"
