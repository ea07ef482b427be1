"""Keys and identifiers made from nothing: of the right form, and nobody's."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from protocols.desensitise.errors import DataError
from protocols.desensitise.identities import NO_PROVINCES, check_characters
from protocols.desensitise.synthesis.drawing import below
from protocols.desensitise.synthesis.fields import Field, IntArray
from protocols.primitives.rng import Rng

FIRST_KEY_DAY = datetime.date(2200, 1, 1)
BIRTHS = (datetime.date(1940, 1, 1), datetime.date(2010, 1, 1))
SURNAME = "拟"
GIVEN = "安白川丹冬帆谷海禾江静兰岭梅宁秋仁山石松田文溪晓雪云舟竹"
"""拟, "imitated", is no surname; the given names are landscapes."""


def keys(field: Field, kind: pa.DataType, numbers: IntArray) -> pa.Array:
    """Return the keys of people numbered from 0: −1, −2, … for whole numbers, `synthetic-0000001`, days from 2200 on.

    The same number is the same key in every twin, so that twins join with each other and with no real table. Raises
    DataError where a type is too narrow.
    """
    if pa.types.is_integer(kind):
        lowest, highest = np.iinfo(kind.to_pandas_dtype()).min, np.iinfo(kind.to_pandas_dtype()).max
        if int(numbers.max(initial=0)) >= (highest if lowest == 0 else -lowest):
            raise DataError(f"column {field.name!r}: {kind} has too few numbers for the keys of so many rows; make fewer")
        plain = [highest - int(at) for at in numbers] if lowest == 0 else (-1 - numbers).tolist()
        return pa.array(plain, kind)
    if pa.types.is_date(kind):
        days = (FIRST_KEY_DAY - datetime.date(1970, 1, 1)).days
        if int(numbers.max(initial=0)) > (datetime.date.max - FIRST_KEY_DAY).days:
            raise DataError(f"column {field.name!r}: there are too few dates for the keys of so many rows; make fewer")
        return pa.array((days + numbers).astype(np.int32), pa.date32()).cast(kind)
    return _texts([f"synthetic-{at + 1:07d}" for at in numbers.tolist()], kind)


def identifiers(field: Field, kind: pa.DataType, rows: int, rng: Rng) -> pa.Array:
    """Return identifiers of a form, all different."""
    numbers = np.arange(rows)
    if field.form == "cn_id":
        return _texts(_cn_ids(rng, rows), kind)
    if field.form == "cn_mobile":
        start = below(rng, 10**9, 1)[0]
        return _texts([f"2{3 + (start + at) % 7}{(start + at) // 7 % 10**9:09d}" for at in numbers.tolist()], kind)
    if field.form == "name":
        chosen = below(rng, len(GIVEN), 2 * rows).reshape(rows, 2)
        return _texts([SURNAME + GIVEN[one] + GIVEN[two] for one, two in chosen.tolist()], kind)
    if field.form == "email":
        return _texts([f"person{at + 1}@synthetic.invalid" for at in numbers.tolist()], kind)
    return keys(field, kind, numbers)


def _cn_ids(rng: Rng, rows: int) -> list[str]:
    """18 digits with a right check digit, a province code that is in no use, and a number of their own each."""
    days = below(rng, (BIRTHS[1] - BIRTHS[0]).days, rows)
    provinces = below(rng, len(NO_PROVINCES), rows)
    # District and sequence count rows, so that no two are equal below ten million.
    found = []
    for at, (day, province) in enumerate(zip(days.tolist(), provinces.tolist(), strict=True)):
        born = BIRTHS[0] + datetime.timedelta(days=day)
        found.append(f"{NO_PROVINCES[province]:02d}{at // 1000 % 10_000:04d}{born:%Y%m%d}{at % 1000:03d}")
    digits = np.array([[int(digit) for digit in text] for text in found], dtype=np.int64).reshape(-1, 17).T
    checks = check_characters(digits).tobytes().decode("ascii") if rows else ""
    return [text + check for text, check in zip(found, checks, strict=True)]


def _texts(texts: Sequence[str], kind: pa.DataType) -> pa.Array:
    return pa.array(texts, pa.large_string()).cast(kind)
