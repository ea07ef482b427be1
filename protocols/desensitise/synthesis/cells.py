"""Cells of values: which cell of its field each value lies in. The only place where rows are read."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.errors import DataError
from protocols.desensitise.synthesis.fields import CHARACTERS, LENGTHS, Field, IntArray

FloatArray = npt.NDArray[np.float64]


def encode(field: Field, column: pa.ChunkedArray) -> IntArray:
    """Return each value's cell, shape (rows,), from 0; a missing value, NaN included, has the number `field.cells`.

    Raises DataError for values beyond declared bounds or codes: column, how many, the first row; never a value.
    """
    values = _plain(column)
    missing = np.asarray(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False), dtype=np.bool_)
    if field.kind == "codes":
        found = _coded(field, values)
        _refuse(field, (found < 0) & ~missing, "no declared code")
    elif field.kind == "text":
        found = _shapes(values)
    elif field.is_ordered:
        found = _ranged(field, values, missing)
    else:
        found = np.zeros(len(values), dtype=np.int64)
    return np.where(missing, field.cells, found)


def positions(field: Field, column: pa.ChunkedArray) -> FloatArray:
    """Return numbers, dates and times as floats, NaN where missing: what an attacker measures distances by."""
    values = _plain(column)
    if field.kind == "date":
        values = values.cast(pa.date32()).cast(pa.int32())
    elif field.kind == "timestamp":
        values = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.int64())
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def people(columns: list[pa.ChunkedArray]) -> IntArray:
    """Return one number a person, shape (rows,), from 0 without gaps, by their key; every row without a whole key is alone."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    alone = np.zeros(len(number), dtype=np.bool_)
    for column in columns:
        found = _plain(column).dictionary_encode()
        codes = np.asarray(pc.fill_null(found.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        alone |= codes < 0
        number = np.unique(number * (len(found.dictionary) + 1) + codes + 1, return_inverse=True)[1].reshape(-1)
    number = np.where(alone, len(number) + np.arange(len(number)), number)
    return np.unique(number, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _coded(field: Field, values: pa.Array) -> IntArray:
    listed = pa.array(field.codes, pa.string()).cast(values.type)
    places = pc.index_in(values, value_set=listed)
    return np.asarray(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _ranged(field: Field, values: pa.Array, missing: npt.NDArray[np.bool_]) -> IntArray:
    edges = field.edges()
    if field.kind == "number":
        low, high = float(Decimal(field.low)), float(Decimal(field.high))
        places = positions(field, pa.chunked_array([values]))
        outside = (places < low) | (places > high)
        steps = (places - low) * (field.steps / (high - low) if high > low else 0.0)
        grid = np.rint(np.clip(np.where(missing, 0.0, steps), 0, field.steps)).astype(np.int64)
    else:
        unit = 1 if field.kind == "date" else 1_000_000
        grid = np.where(missing, 0, positions(field, pa.chunked_array([values])) // unit).astype(np.int64)
        outside = (grid < edges[0]) | (grid >= edges[-1])
    if not field.clip:
        _refuse(field, outside & ~missing, "outside the declared bounds")
    found: IntArray = np.searchsorted(edges, grid, side="right").astype(np.int64) - 1
    return np.clip(found, 0, len(edges) - 2)


def _shapes(values: pa.Array) -> IntArray:
    lengths = np.asarray(pc.fill_null(pc.utf8_length(values), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    sort = np.full(len(values), len(CHARACTERS) - 1, dtype=np.int64)
    for at, pattern in reversed(list(enumerate((r"^[0-9]+$", r"^[A-Za-z]+$", r"^[A-Za-z0-9]+$", r"^\p{Han}+$")))):
        hit = pc.fill_null(pc.match_substring_regex(values, pattern), False)
        sort[np.asarray(hit.to_numpy(zero_copy_only=False), dtype=np.bool_)] = at
    place = np.clip(np.searchsorted(LENGTHS, lengths, side="right") - 1, 0, len(LENGTHS) - 2)
    return sort * (len(LENGTHS) - 1) + place


def _refuse(field: Field, wrong: npt.NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        raise DataError(
            f"column {field.name!r}: {int(wrong.sum())} values, first in row {int(wrong.argmax()) + 1}, are {what}; "
            "correct the declaration, or the data"
        )


def _plain(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):  # no chunk, or more than one array can hold
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(whole.type):
        return whole.cast(whole.type.value_type)
    if pa.types.is_date64(whole.type):
        return whole.cast(pa.date32())
    return whole
