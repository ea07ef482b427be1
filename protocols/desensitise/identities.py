"""身份证 and mobile numbers encrypted to numbers of the same form that can be nobody's.

An identity number (GB 11643) is one mixed-radix integer: province × district × date of birth × sequence. It is permuted by
FF1 and written again with a province code that is assigned to no province, and with its check digit recomputed. A mobile
number 1[3-9]xxxxxxxxx becomes 2[3-9]xxxxxxxxx: no Chinese number of eleven digits starts with 2, since area codes with 2
have two digits and are followed by eight. With the key both are undone exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise import ff1
from protocols.desensitise.text_column import TextColumn, as_array, like
from protocols.errors import ParameterError

Invalid = Literal["refuse", "suppress"]
Numbers = npt.NDArray[np.uint64]
Digits = npt.NDArray[np.int64]

PROVINCES = (
    *(11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46),
    *(50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83, 91),
)
"""First two digits in use: GB/T 2260; 81, 82, 83 residence permits of Hong Kong, Macao and Taiwan residents; 91 foreigners'."""
NO_PROVINCES = tuple(code for code in range(16, 100) if code not in PROVINCES)[: len(PROVINCES)]
DISTRICTS = 10_000
SEQUENCES = 1_000
WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
"""The check character by (sum of weight × digit) mod 11: GB 11643, ISO 7064 MOD 11-2."""


class Calendar(NamedTuple):
    """The dates of birth that a form can hold: from the first of January of a year, for so many days."""

    first: np.datetime64
    days: int


CALENDARS = {
    18: Calendar(np.datetime64("1900-01-01"), int((np.datetime64("2100-01-01") - np.datetime64("1900-01-01")).astype(int))),
    15: Calendar(np.datetime64("1900-01-01"), int((np.datetime64("2000-01-01") - np.datetime64("1900-01-01")).astype(int))),
}
MOBILES = 7 * 10**9


def encrypt_id_numbers(values: Any, *, key: bytes, tweak: bytes = b"", invalid: Invalid = "refuse") -> Any:
    """Return 18- and 15-digit identity numbers encrypted; each keeps its length, 18 digits get a right check digit.

    values: as `ff1.encrypt` takes them; full-width digits and x are accepted, blanks around are dropped. invalid: what
    happens to a text that is no identity number (province, date or check digit): refused, or the value is suppressed.
    Raises ParameterError with the number of such rows and the first of them.
    """
    return _convert(values, _id_numbers(key, tweak, PROVINCES, NO_PROVINCES, ff1.encrypt_numbers), invalid)


def decrypt_id_numbers(values: Any, *, key: bytes, tweak: bytes = b"", invalid: Invalid = "refuse") -> Any:
    """Undo `encrypt_id_numbers`; real identity numbers are invalid here."""
    return _convert(values, _id_numbers(key, tweak, NO_PROVINCES, PROVINCES, ff1.decrypt_numbers), invalid)


def encrypt_mobiles(values: Any, *, key: bytes, tweak: bytes = b"", invalid: Invalid = "refuse") -> Any:
    """Return Chinese mobile numbers of eleven digits encrypted to eleven digits that start with 2.

    +86, 0086 and blanks or hyphens between digits are accepted and not kept. Parameters and errors as `encrypt_id_numbers`.
    """
    return _convert(values, _mobiles(key, tweak, 1, 2, ff1.encrypt_numbers), invalid, separators=True)


def decrypt_mobiles(values: Any, *, key: bytes, tweak: bytes = b"", invalid: Invalid = "refuse") -> Any:
    """Undo `encrypt_mobiles`; real mobile numbers are invalid here."""
    return _convert(values, _mobiles(key, tweak, 2, 1, ff1.decrypt_numbers), invalid, separators=True)


def check_characters(digits: Digits) -> npt.NDArray[np.uint8]:
    """Return the check characters (ASCII codes) of (17, rows) digits."""
    return CHECKS[(WEIGHTS @ digits) % 11]


Step = Callable[[Digits], tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]]


def _convert(values: Any, steps: dict[int, Step], invalid: Invalid, *, separators: bool = False) -> Any:
    """Apply the step for each length. A step takes (length, rows) codes, and gives which rows are valid and the new codes."""
    column = TextColumn(_canonical(as_array(values), separators=separators))
    codes = column.codes.copy()
    valid = ~column.present
    for length, rows in column.groups():
        if length not in steps:
            continue
        places = column.places(rows, length)
        found, fresh = steps[length](codes[places].reshape(-1, length).T.astype(np.int64))
        codes[places] = np.where(found, fresh, codes[places].reshape(-1, length).T).T.reshape(-1)
        valid[rows] = found
    if not valid.all() and invalid == "refuse":
        raise ParameterError(
            f"{int((~valid).sum())} of {column.rows} values are not of the form (digits, date or check digit), first at row "
            f'{int(np.argmin(valid))} (from 0); correct them, or suppress them with invalid = "suppress"'
        )
    return like(values, pc.if_else(pa.array(valid), column.rebuilt(codes), pa.scalar(None, pa.large_string())))


def _canonical(column: pa.Array, *, separators: bool) -> pa.Array:
    """Return texts in ASCII digits: full-width forms narrowed, blanks around dropped, x in upper case."""
    column = pc.utf8_upper(pc.utf8_trim_whitespace(pc.utf8_normalize(column, form="NFKC")))
    if separators:
        column = pc.replace_substring_regex(column, pattern=r"^(\+|00)86[ -]?", replacement="")
        column = pc.replace_substring_regex(column, pattern=r"([0-9])[ -]([0-9])", replacement=r"\1\2")
    return column


def _id_numbers(
    key: bytes, tweak: bytes, known: tuple[int, ...], wanted: tuple[int, ...], permute: Callable[..., Numbers]
) -> dict[int, Step]:
    place_of = np.full(100, -1, dtype=np.int64)
    place_of[list(known)] = np.arange(len(known))
    code_of = np.array(wanted, dtype=np.int64)

    def step(length: int) -> Step:
        calendar = CALENDARS[length]
        size = len(known) * DISTRICTS * calendar.days * SEQUENCES
        year_digits = 4 if length == 18 else 2

        def run(codes: Digits) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
            digits = codes[:17] - 48
            valid = ((digits >= 0) & (digits <= 9)).all(axis=0)
            digits = np.where(valid, digits, 0)
            if length == 18:
                valid &= codes[17] == check_characters(digits)
            province, rest = place_of[_number(digits[:2])], digits[6:]
            days, is_date = _day_numbers(rest[: year_digits + 4], calendar)
            valid &= is_date & (province >= 0)
            number = (np.maximum(province, 0) * DISTRICTS + _number(digits[2:6])) * calendar.days + np.where(is_date, days, 0)
            number = number * SEQUENCES + _number(rest[year_digits + 4 :])
            fresh = np.zeros_like(number)
            # The tweak names the form, so that 15 and 18 digits are two unrelated permutations.
            fresh[valid] = permute(number[valid].astype(np.uint64), size=size, key=key, tweak=tweak + b"/id-%d" % length)
            return valid, _written(fresh, code_of, calendar, length)

        return run

    return {length: step(length) for length in CALENDARS}


def _written(numbers: Digits, code_of: npt.NDArray[np.int64], calendar: Calendar, length: int) -> npt.NDArray[np.uint8]:
    numbers, sequence = np.divmod(numbers, SEQUENCES)
    numbers, days = np.divmod(numbers, calendar.days)
    province, district = np.divmod(numbers, DISTRICTS)
    date = calendar.first + days
    year = date.astype("datetime64[Y]").astype(np.int64) + 1970
    month = date.astype("datetime64[M]").astype(np.int64) % 12 + 1
    day = (date - date.astype("datetime64[M]")).astype(np.int64) + 1
    parts = [(code_of[province], 2), (district, 4), (year, 4) if length == 18 else (year % 100, 2)]
    parts += [(month, 2), (day, 2), (sequence, 3)]
    digits = np.concatenate([_spelled(number, width) for number, width in parts])
    codes = (digits + 48).astype(np.uint8)
    return np.concatenate((codes, check_characters(digits)[None])) if length == 18 else codes


def _day_numbers(digits: Digits, calendar: Calendar) -> tuple[Digits, npt.NDArray[np.bool_]]:
    """Return the day of each [yy]yymmdd, counted from the calendar's first, and whether there is such a date."""
    year = _number(digits[:-4]) + (0 if len(digits) == 8 else 1900)
    month, day = _number(digits[-4:-2]), _number(digits[-2:])
    is_date = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1900)
    months = (year - 1970) * 12 + np.where(is_date, month, 1) - 1
    date = months.astype("datetime64[M]").astype("datetime64[D]") + (np.where(is_date, day, 1) - 1)
    is_date &= date.astype("datetime64[M]").astype(np.int64) == months
    days = (date - calendar.first).astype(np.int64)
    return days, is_date & (days >= 0) & (days < calendar.days)


def _mobiles(key: bytes, tweak: bytes, known: int, wanted: int, permute: Callable[..., Numbers]) -> dict[int, Step]:
    def run(codes: Digits) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
        digits = codes - 48
        valid = ((digits >= 0) & (digits <= 9)).all(axis=0) & (digits[0] == known) & (digits[1] >= 3)
        number = _number(digits[1:]) - 3 * 10**9
        fresh = np.zeros_like(number)
        fresh[valid] = permute(number[valid].astype(np.uint64), size=MOBILES, key=key, tweak=tweak + b"/mobile")
        return valid, (_spelled(fresh + (wanted * 10**10 + 3 * 10**9), 11) + 48).astype(np.uint8)

    return {11: run}


def _number(digits: Digits) -> Digits:
    number = np.zeros(digits.shape[1], dtype=np.int64)
    for place in digits:
        number = number * 10 + place
    return number


def _spelled(numbers: Digits, width: int) -> Digits:
    digits = np.empty((width, len(numbers)), dtype=np.int64)
    for place in reversed(range(width)):
        numbers, digits[place] = np.divmod(numbers, 10)
    return digits
