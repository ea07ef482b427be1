"""Key columns as they arrive (pyarrow, numpy, pandas, Python sequences), read without any implicit cast."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError

KeyType: TypeAlias = Literal["integer", "text", "date", "timestamp", "boolean", "decimal"]
Mask: TypeAlias = npt.NDArray[np.bool_]
ColumnValues: TypeAlias = Any  # int64 array, Arrow array or list

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_INT64_MAX = 2**63 - 1
_NUMPY_KINDS: dict[str, KeyType] = {"i": "integer", "u": "integer", "b": "boolean"}
_TIMESTAMP_UNITS = ("h", "m", "s", "ms", "us", "ns")
_NULL_TYPES = ("NoneType", "NAType", "NaTType")


def read_column(column: Any, kind: KeyType, what: str) -> tuple[ColumnValues, Mask]:
    """Return a column's values and a mask of the rows that have one: (n,).

    Booleans, dates (days since 1970-01-01), timestamps (microseconds since then, UTC) and integers that fit come as an
    int64 array; all else as the Arrow array that came, or as a list. None, NaT, pandas' NA and, in columns of objects,
    NaN are NULL.
    Raises ParameterError with `what` and the row for a value that is not of the declared type; it never casts.
    """
    column = plain_column(column, what)
    if not len(column):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
    if _is_arrow(column):
        return _read_arrow(column, kind, what)
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return _read_numpy(column, kind, what)
    return _read_objects(column, kind, what)


def infer_type(column: Any, what: str) -> KeyType | None:
    """Return the key type of a column as it stands, None if it has no value. Raises ParameterError for other types."""
    column = plain_column(column, what)
    if not len(column):
        return None
    if _is_arrow(column):
        return _arrow_kind(column.type, what)
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return _numpy_kind(column.dtype, what)
    return next((_object_kind(value, f"{what}: row {row}") for row, value in enumerate(column) if not _is_null(value)), None)


def plain_column(column: Any, what: str) -> Any:
    """Return an arrow array in one chunk, a numpy array of one dimension, or a list. Raises ParameterError for all else."""
    if _is_arrow(column):
        return column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if _package(column) == "pandas" and hasattr(column, "to_numpy"):
        # Nullable integers would turn into floats, which merge neighbours beyond 2^53.
        column = column.to_numpy() if isinstance(column.dtype, np.dtype) else column.to_numpy(dtype=object)
    if isinstance(column, np.ndarray):
        if column.ndim != 1:
            raise ParameterError(f"{what} has {column.ndim} dimensions; a key column has one")
        return column.tolist() if column.dtype.kind in "OU" else column
    if isinstance(column, str | bytes) or not isinstance(column, Sequence):
        raise ParameterError(f"{what} must be an array or a sequence, not {type(column).__name__}")
    return list(column)


def _is_arrow(column: Any) -> bool:
    return _package(column) == "pyarrow"


def _package(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _read_arrow(column: Any, kind: KeyType, what: str) -> tuple[ColumnValues, Mask]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _arrow_kind(column.type, what)
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if found is None:
        return np.zeros(len(column), dtype=np.int64), valid
    _require_kind(found, kind, what)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        if kind in ("text", "decimal"):
            column.validate(full=True)
            return column, valid
        if kind == "timestamp":
            column = column.cast(pa.timestamp("us"))
        elif kind == "date":
            column = column.cast(pa.date32()).cast(pa.int32())
        elif kind == "integer" and pa.types.is_uint64(column.type) and (pc.max(column).as_py() or 0) > _INT64_MAX:
            return column, valid
        return column.cast(pa.int64()).fill_null(0).to_numpy(), valid
    except pa.ArrowInvalid:
        raise ParameterError(f"{what}: some {kind} value is not valid (UTF-8 text; timestamps in whole microseconds)") from None


def _arrow_kind(kind: Any, what: str) -> KeyType | None:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_null(kind):
        return None
    if types.is_timestamp(kind) and kind.tz is not None:
        raise ParameterError(f"{what} has a time zone; convert it to UTC without a zone")
    tests: dict[KeyType, bool] = {
        "integer": types.is_integer(kind),
        "text": types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind),
        "date": types.is_date(kind),
        "timestamp": types.is_timestamp(kind),
        "boolean": types.is_boolean(kind),
        "decimal": types.is_decimal(kind),
    }
    return _only_kind((name for name, holds in tests.items() if holds), str(kind), what)


def _read_numpy(column: npt.NDArray[Any], kind: KeyType, what: str) -> tuple[ColumnValues, Mask]:
    _require_kind(_numpy_kind(column.dtype, what), kind, what)
    if column.dtype.kind == "M":
        valid = ~np.isnat(column)
        converted = column.astype("M8[D]" if kind == "date" else "M8[us]")
        if not np.array_equal(converted.astype(column.dtype)[valid], column[valid]):
            raise ParameterError(f"{what}: some timestamp is not a whole number of microseconds")
        return np.where(valid, converted.astype(np.int64), 0), valid
    every = np.ones(len(column), dtype=np.bool_)
    if column.dtype.kind == "u" and column.size and int(column.max()) > _INT64_MAX:
        return column.tolist(), every
    return column.astype(np.int64), every


def _numpy_kind(dtype: np.dtype[Any], what: str) -> KeyType:
    if dtype.kind == "M":
        unit = np.datetime_data(dtype)[0]
        found: KeyType | None = "date" if unit == "D" else "timestamp" if unit in _TIMESTAMP_UNITS else None
    else:
        found = _NUMPY_KINDS.get(dtype.kind)
    return _only_kind(iter([found] if found else []), str(dtype), what)


def _read_objects(column: list[Any], kind: KeyType, what: str) -> tuple[ColumnValues, Mask]:
    kinds = set(map(type, column))
    suspects = {item for item in kinds if item.__name__ in _NULL_TYPES or issubclass(item, float | np.floating)}
    if suspects:
        valid = np.array([type(value) not in suspects or not _is_null(value) for value in column], dtype=np.bool_)
    else:
        valid = np.ones(len(column), dtype=np.bool_)
    odd = {item for item in kinds if not _is_kind(item, kind)}
    for row, value in enumerate(column if odd else ()):
        if type(value) in odd and valid[row]:
            _require_kind(_object_kind(value, f"{what}: row {row}"), kind, f"{what}: row {row}")
    if kind == "text":
        return column, valid
    if kind == "decimal":
        for row in np.flatnonzero(valid).tolist():
            if not column[row].is_finite():
                raise ParameterError(f"{what}: row {row} is not a finite number")
        return column, valid
    numbers = [_number(value, kind, f"{what}: row {row}") if valid[row] else 0 for row, value in enumerate(column)]
    if all(-_INT64_MAX - 1 <= number <= _INT64_MAX for number in numbers):
        return np.array(numbers, dtype=np.int64), valid
    return numbers, valid


def _is_null(value: Any) -> bool:
    return type(value).__name__ in _NULL_TYPES or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _is_kind(item: type, kind: KeyType) -> bool:
    """Tell whether values of a Python type have a key type: True is no integer, a datetime no date."""
    if kind == "integer":
        return issubclass(item, int | np.integer) and item is not bool
    if kind == "boolean":
        return issubclass(item, bool | np.bool_)
    if kind == "date":
        return issubclass(item, datetime.date) and not issubclass(item, datetime.datetime)
    return issubclass(item, {"text": str, "timestamp": datetime.datetime, "decimal": decimal.Decimal}[kind])


def _object_kind(value: object, what: str) -> KeyType:
    return _only_kind((kind for kind in get_args(KeyType) if _is_kind(type(value), kind)), type(value).__name__, what)


def _only_kind(kinds: Iterator[KeyType], found: str, what: str) -> KeyType:
    for kind in kinds:
        return kind
    raise ParameterError(f"{what} is of type {found}, which cannot be a key; use {', '.join(get_args(KeyType))}, never floats")


def _require_kind(found: KeyType, declared: KeyType, what: str) -> None:
    if found != declared:
        raise ParameterError(f"{what} is {found} where the key domain declares {declared}; convert it, nothing is cast here")


def _number(value: Any, kind: KeyType, what: str) -> int:
    if kind == "date":
        return int(value.toordinal()) - _EPOCH.toordinal()
    if kind == "timestamp":
        if value.tzinfo is not None:
            raise ParameterError(f"{what} has a time zone; convert it to UTC without a zone")
        if getattr(value, "nanosecond", 0):
            raise ParameterError(f"{what} is not a whole number of microseconds")
        return int((value - _EPOCH) // _MICROSECOND)
    return int(value)
