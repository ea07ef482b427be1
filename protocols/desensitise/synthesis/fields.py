"""Fields: what is declared of each column, and the cells that follow from it. No value of a row takes part.

A column's values lie in cells that its declaration fixes before anything is counted: ranges within declared bounds, codes,
calendar years, shapes of text. Everything that is counted later is counted in cells, and NULL is one more of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols.errors import ParameterError

Kind = Literal["number", "codes", "date", "timestamp", "text", "identifier", "key"]
Form = Literal["cn_id", "cn_mobile", "name", "email", "token"]
IntArray = npt.NDArray[np.int64]

BINS = 40
MAX_STEPS = 1 << 52
MAX_CODES = 10_000
FLOAT_SCALE = 100
YEARS = (1900, 2100)
CHARACTERS = ("digits", "letters", "letters and digits", "Han", "mixed")
LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 19, 25, 33, 65, 129, 257)
"""A shape of text is a class of characters and a range of lengths: from one of these up to before the next."""
DAY_S = 86_400


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One declared column.

    low, high: inclusive, of a number as decimal text, of a date or time as ISO text; empty for calendar years from 1900 to
    2099. steps: values from low to high, minus one. codes: as text in the column's own type. form: of an identifier.
    unique: of a key. clip: what lies beyond the bounds counts as at the bound.
    """

    name: str
    kind: Kind
    low: str = ""
    high: str = ""
    steps: int = 0
    codes: tuple[str, ...] = ()
    form: str = ""
    unique: bool = False
    clip: bool = False

    @property
    def is_modelled(self) -> bool:
        """Whether its values are counted; keys and identifiers are made from nothing."""
        return self.kind not in ("identifier", "key")

    @property
    def is_ordered(self) -> bool:
        """Whether cells have an order, so that small ones merge with their neighbours."""
        return self.kind in ("number", "date", "timestamp")

    @property
    def cells(self) -> int:
        """Number of cells, the one for NULL not counted."""
        if self.is_ordered:
            return len(self.edges()) - 1
        if self.kind == "codes":
            return len(self.codes)
        return len(CHARACTERS) * (len(LENGTHS) - 1) if self.kind == "text" else 1

    def edges(self) -> IntArray:
        """Return where cells begin, and the end of the last, shape (cells + 1,): in steps, days or seconds of Unix time."""
        if self.kind == "number":
            return _cut(0, self.steps + 1)
        unit = 1 if self.kind == "date" else DAY_S
        if not self.low:
            return np.array([_days(datetime.date(year, 1, 1)) * unit for year in range(YEARS[0], YEARS[1] + 1)])
        return _cut(self.first(), self.last() + 1)

    def first(self) -> int:
        """The declared low of a date in days, of a time in seconds of Unix time."""
        return _moment(self.kind, self.low)

    def last(self) -> int:
        """The declared high in the same unit."""
        return _moment(self.kind, self.high)

    def label(self, first: int, last: int) -> str:
        """Return a run of cells as text for people."""
        if self.kind == "codes":
            return self.codes[first] if first == last else f"{self.codes[first]} … {self.codes[last]}"
        if self.kind == "text":
            return (
                ", ".join(_shape(cell) for cell in range(first, last + 1)) if last - first < 3 else f"{last - first + 1} shapes"
            )
        if not self.is_ordered:
            return "present"
        edges = self.edges()
        low, high = int(edges[first]), int(edges[last + 1]) - 1
        if self.kind == "number":
            span = Decimal(self.high) - Decimal(self.low)
            ends = [Decimal(self.low) + (span * end / self.steps if self.steps else 0) for end in (low, high)]
            return " to ".join(f"{end.normalize():f}" for end in ends)
        unit = 1 if self.kind == "date" else DAY_S
        return " to ".join(
            (datetime.date(1970, 1, 1) + datetime.timedelta(days=end // unit)).isoformat() for end in (low, high)
        )


def declare(
    schema: pa.Schema,
    *,
    bounds: Mapping[str, tuple[Any, Any]] | None = None,
    codes: Mapping[str, Sequence[Any]] | None = None,
    scales: Mapping[str, int] | None = None,
    clip: Sequence[str] = (),
    key: Sequence[str] = (),
    unique: bool = False,
    identifiers: Mapping[str, Form] | None = None,
) -> tuple[Field, ...]:
    """Return one field a column, from a schema and declarations alone.

    The parameters are those of `twin_aggregates`. Raises ParameterError: an unknown column, a number without bounds or codes,
    a type that has no safe bins.
    """
    bounds, codes, scales, identifiers = dict(bounds or {}), dict(codes or {}), dict(scales or {}), dict(identifiers or {})
    names = list(schema.names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise ParameterError(f"columns have different names, at least one: {', '.join(map(repr, twice)) or 'none is there'}")
    unknown = sorted({*bounds, *codes, *scales, *clip, *key, *identifiers} - set(names))
    if unknown:
        raise ParameterError(f"no column is called {', '.join(map(repr, unknown))}; there are {', '.join(names)}")
    open_ended = [
        field.name
        for field in schema
        if _is_number(_plain(field.type)) and field.name not in {*bounds, *codes, *key, *identifiers}
    ]
    if open_ended:
        raise ParameterError(
            f"numbers need declared bounds or codes, since bins that follow from values are not safe: {', '.join(open_ended)}"
        )
    return tuple(
        _key(item, unique)
        if item.name in key
        else _identifier(item, identifiers[item.name])
        if item.name in identifiers
        else _coded(item, codes[item.name])
        if item.name in codes
        else _ranged(item, bounds.get(item.name), scales.get(item.name), item.name in clip)
        for item in schema
    )


def _key(item: pa.Field, unique: bool) -> Field:
    kind = _plain(item.type)
    if not (pa.types.is_integer(kind) or _is_text(kind) or pa.types.is_date(kind)):
        raise ParameterError(f"key column {item.name!r} is {kind}; keys are whole numbers, text or dates")
    return Field(name=item.name, kind="key", unique=unique)


def _identifier(item: pa.Field, form: Form) -> Field:
    if form not in get_args(Form):
        raise ParameterError(f"{item.name!r}: a form of identifier is one of {', '.join(get_args(Form))}")
    kind = _plain(item.type)
    if not (_is_text(kind) or (pa.types.is_integer(kind) and form == "token")):
        raise ParameterError(f"identifier {item.name!r} is {kind}; identifiers are text, or whole numbers of the form token")
    return Field(name=item.name, kind="identifier", form=form)


def _coded(item: pa.Field, values: Sequence[Any]) -> Field:
    kind = _plain(item.type)
    if not 1 <= len(values) <= MAX_CODES:
        raise ParameterError(f"the code list of {item.name!r} has from 1 to {MAX_CODES} values")
    failed = False
    try:
        texts = tuple(pa.array(list(values)).cast(kind).cast(pa.string()).to_pylist())
    except (pa.ArrowException, TypeError, ValueError):
        failed = True
    if failed or None in texts or len(set(texts)) != len(texts):
        raise ParameterError(f"the code list of {item.name!r} has values of its type, {kind}, each once and none missing")
    return Field(name=item.name, kind="codes", codes=texts)


def _ranged(item: pa.Field, ends: tuple[Any, Any] | None, scale: int | None, clip: bool) -> Field:
    kind = _plain(item.type)
    if pa.types.is_boolean(kind):
        return Field(name=item.name, kind="codes", codes=("false", "true"))
    if _is_text(kind) and ends is None:
        return Field(name=item.name, kind="text")
    if _is_number(kind) and ends is not None:
        return _number(item, ends, scale, clip)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _dated(item, "date" if pa.types.is_date(kind) else "timestamp", ends, clip)
    raise ParameterError(f"column {item.name!r} is {kind}, which has no safe bins; leave it out")


def _number(item: pa.Field, ends: tuple[Any, Any], scale: int | None, clip: bool) -> Field:
    kind = _plain(item.type)
    try:
        low, high = (Decimal(str(end)) for end in ends)
        fits = low <= high and low.is_finite() and high.is_finite()
    except (ArithmeticError, ValueError, TypeError):
        fits = False
    if fits and pa.types.is_integer(kind):
        fits = low == low.to_integral_value() and high == high.to_integral_value()
    if not fits:
        raise ParameterError(f"the bounds of {item.name!r} are two finite numbers of its type, {kind}, the lower first")
    if scale is None:
        scale = 1 if pa.types.is_integer(kind) else 10**kind.scale if pa.types.is_decimal(kind) else FLOAT_SCALE
    if pa.types.is_integer(kind):
        scale = 1
    steps = min(int((high - low) * scale), MAX_STEPS)
    return Field(name=item.name, kind="number", low=str(low), high=str(high), steps=steps, clip=clip)


def _dated(item: pa.Field, kind: Kind, ends: tuple[Any, Any] | None, clip: bool) -> Field:
    if ends is None:
        return Field(name=item.name, kind=kind, clip=True)
    try:
        low, high = (end if isinstance(end, str) else end.isoformat() for end in ends)
        fits = _moment(kind, low) <= _moment(kind, high)
    except (AttributeError, ValueError):
        fits = False
    if not fits:
        raise ParameterError(f"the bounds of {item.name!r} are two {kind}s, the earlier first")
    return Field(name=item.name, kind=kind, low=low, high=high, clip=clip)


def _cut(first: int, end: int) -> IntArray:
    """Cut [first, end) into up to BINS runs of nearly the same width."""
    bins = min(BINS, end - first)
    return np.array([first + (end - first) * at // bins for at in range(bins + 1)], dtype=np.int64)


def _shape(cell: int) -> str:
    sort, length = divmod(cell, len(LENGTHS) - 1)
    low, high = LENGTHS[length], LENGTHS[length + 1] - 1
    return f"{CHARACTERS[sort]} × {low}" + ("" if low == high else f" to {high}")


def _moment(kind: Kind, text: str) -> int:
    if kind == "date":
        return _days(datetime.date.fromisoformat(text))
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return int(found.timestamp())


def _days(date: datetime.date) -> int:
    return (date - datetime.date(1970, 1, 1)).days


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
