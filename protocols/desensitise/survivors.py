"""The final scan: does an identifier stand in the output? It knows the recognisers and the input, and nothing of the rules."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.errors import Survivor
from protocols.desensitise.recognisers import KINDS, scan, whole_names
from protocols.desensitise.rules.base import is_text

MIN_WHOLE_DIGITS = 10**9
MOST_DIGITS = 10**20
MIN_HAN, MIN_WORD, MIN_OTHER = 2, 2, 4
MIN_CELL = 6
ORIGINAL = "value of "
SAMPLED_NAMES = 2000


class FinalScan:
    """Reads every batch of an output beside its input.

    skip: column -> kinds that it may hold: by permission of the rule file, or all where a keyed permutation keeps the form (an
    encrypted card number is a card number); such a column is compared with its input instead. identifiers: input columns whose
    values may stand nowhere in their row.
    """

    def __init__(self, *, skip: Mapping[str, Collection[str]], identifiers: Sequence[str], permuted: Collection[str]) -> None:
        self._skip = skip
        self._identifiers = identifiers
        self._permuted = permuted
        self._found: dict[tuple[str, str], list[int]] = {}
        self._cells: dict[str, list[str | None]] = {}
        self._copies: dict[tuple[str, str], list[int]] = {}
        self._rows = 0

    def look(self, given: pa.RecordBatch, made: pa.RecordBatch) -> None:
        """Look at one batch as it came in and as it would go out."""
        for name in made.schema.names:
            column = _texts(made.column(name))
            if column is None:
                continue
            if name in self._permuted:
                self._compare(name, given.column(name), made.column(name))
                continue
            kinds = [kind for kind in KINDS if kind not in self._skip.get(name, ())]
            for hit in scan(column, kinds):
                self._note(name, hit.kind, hit.row)
            cells = self._cells.setdefault(name, [])
            if "name" in kinds and len(cells) < SAMPLED_NAMES:
                cells += [text for text in column[:SAMPLED_NAMES] if text]
        for identifier in self._identifiers:
            self._originals(identifier, given, made)
        self._rows += len(made)

    def survivors(self) -> list[Survivor]:
        """Return what was found, by column."""
        for name, cells in self._cells.items():
            if whole_names(cells) and "name" not in self._skip.get(name, ()):
                self._found.setdefault((name, "name"), [len(cells), 1])
        for (name, identifier), (count, first) in self._copies.items():
            if 2 * count > self._rows > 1:
                self._found.setdefault((name, f"{ORIGINAL}{identifier}"), [count, first])
        return [
            Survivor(column=column, kind=kind, count=count, first_row=first)
            for (column, kind), (count, first) in sorted(self._found.items())
        ]

    def _note(self, column: str, kind: str, row: int) -> None:
        entry = self._found.setdefault((column, kind), [0, self._rows + row + 1])
        entry[0] += 1

    def _compare(self, name: str, given: pa.Array, made: pa.Array) -> None:
        same = pc.fill_null(pc.equal(given.cast(pa.large_string()), made.cast(pa.large_string())), False)
        rows = pc.indices_nonzero(same).to_pylist()
        # A permutation of 10^6 or more texts leaves about one of them where it was: one in a column is chance.
        if len(rows) > 1 + len(made) // 1000:
            for row in rows:
                self._note(name, f"{ORIGINAL}{name}", row)

    def _originals(self, identifier: str, given: pa.RecordBatch, made: pa.RecordBatch) -> None:
        values = [_worth(value) for value in given.column(identifier).cast(pa.large_string()).to_pylist()]
        for name in made.schema.names:
            kind = made.schema.field(name).type
            if name in self._permuted:
                continue
            if not is_text(kind):
                self._cells_alike(identifier, name, given.column(identifier), made.column(name))
                continue
            for row, (value, text) in enumerate(zip(values, made.column(name).to_pylist(), strict=True)):
                if value and text and _stands_in(value, text):
                    self._note(name, f"{ORIGINAL}{identifier}", row)

    def _cells_alike(self, identifier: str, name: str, given: pa.Array, made: pa.Array) -> None:
        """Numbers and dates: equal in six characters and more is a copy; in fewer it may be chance, unless most rows are."""
        if pa.types.is_boolean(made.type):
            return
        spelled = _number_text(given.cast(pa.large_string()))
        alike = pc.fill_null(pc.equal(spelled, _number_text(made.cast(pa.large_string()))), False)
        for row in pc.indices_nonzero(alike).to_pylist():
            if len(spelled[row].as_py()) >= MIN_CELL:
                self._note(name, f"{ORIGINAL}{identifier}", row)
            else:
                self._copies.setdefault((name, identifier), [0, self._rows + row + 1])[0] += 1


def _number_text(column: pa.Array) -> pa.Array:
    """Return 1001.0 as 1001: a column of whole numbers is one of floats beside a missing value."""
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(column), pattern=r"[.]0+$", replacement="")


def _worth(value: str | None) -> str | None:
    """Return the value if finding it in a text means something: a word of two characters, Chinese or other, or four of any."""
    value = (value or "").strip()
    is_han = any(char >= "\u3400" for char in value)
    return value if len(value) >= (MIN_HAN if is_han else MIN_WORD if value.isalpha() else MIN_OTHER) else None


def _stands_in(value: str, text: str) -> bool:
    """Whether the value is in the text, and not only as part of a longer word or number of ASCII.

    Full-width is as good as ASCII, and capitals are as good as small letters but in words of two or three; blanks do not count
    in Chinese.
    """
    value, text = (unicodedata.normalize("NFKC", each) for each in (value, text))
    if len(value) >= MIN_OTHER:
        value, text = value.lower(), text.lower()
    blank = "" if any(char >= "\u3400" for char in value) else " "
    value, text = (blank.join(each.split()) for each in (value, text))
    at = text.find(value) if value else -1
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(value) : at + len(value) + 1]
        if not (_joins(before, value[0]) or _joins(value[-1], after)):
            return True
        at = text.find(value, at + 1)
    return False


def _joins(left: str, right: str) -> bool:
    return left.isascii() and left.isalnum() and right.isascii() and right.isalnum()


def _texts(column: pa.Array) -> list[str | None] | None:
    """Return a column's texts; of numbers only whole ones with ten digits or more. None for other types."""
    if is_text(column.type):
        return list(column.to_pylist())
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    largest = pc.max(column).as_py()
    if largest is None or largest < MIN_WHOLE_DIGITS:
        return None
    return [_spelled(value) for value in column.to_pylist()]


def _spelled(value: float | Decimal | None) -> str | None:
    if value is None or not MIN_WHOLE_DIGITS <= value < MOST_DIGITS or value != int(value):
        return None
    return str(int(value))
