"""Looking for identifiers in many texts at once, with places in the texts as they were.

All rows are joined by a separator, and each pattern runs once over the whole. Full-width characters are narrowed one for
one, so that places stay; a second reading leaves out line breaks inside numbers and characters without width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from protocols.desensitise.recognisers import chinese, international, names
from protocols.desensitise.recognisers.pattern import SEPARATOR, Recogniser
from protocols.errors import ParameterError

RECOGNISERS: tuple[Recogniser, ...] = (*chinese.RECOGNISERS, *international.RECOGNISERS, *names.RECOGNISERS)
KINDS: tuple[str, ...] = tuple(dict.fromkeys(each.kind for each in RECOGNISERS))
NAME_SHARE, NAME_VALUES = 0.8, 20

_WIDE = {0xFF01 + at: 0x21 + at for at in range(94)} | {0x3000: 0x20, 0xA0: 0x20, 0x2002: 0x20, 0x2003: 0x20, 0x2009: 0x20}
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63), 0x2D)
_DIGITS = {first + digit: 0x30 + digit for first in (0x0660, 0x06F0, 0x0966, 0x1D7CE, 0x1D7D8, 0x1D7F6) for digit in range(10)}
_FOLD = _WIDE | _DASHES | _DIGITS | {0xFE6B: ord("@")}
_LEFT_OUT = re.compile(
    r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+"
    r"|(?<=[0-9A-Za-z-])[ \t]*[\r\n\v\f\u0085\u2028\u2029]+[ \t]*(?=[0-9A-Za-z])"
)


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """An identifier's place: row, start and end in characters of the text as it was given. Never its value."""

    row: int
    start: int
    end: int
    kind: str


def find(text: str, kinds: Sequence[str] = KINDS) -> list[Found]:
    """Return the identifiers in one text, in order; where two overlap, both may stand there."""
    return scan([text], kinds)


def scan(texts: Sequence[str | None], kinds: Sequence[str] = KINDS) -> list[Found]:
    """Return the identifiers of these kinds in all texts, in order of row and place, without duplicates.

    Raises ParameterError for a kind that does not exist.
    """
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise ParameterError(f"no identifier is called {', '.join(unknown)[:80]!a}; there are {', '.join(KINDS)}")
    wanted = [each for each in RECOGNISERS if each.kind in kinds]
    whole = SEPARATOR.join((text or "").replace(SEPARATOR, " ") for text in texts).translate(_FOLD)
    lengths = np.array([len(text or "") + 1 for text in texts], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    spans = {(kind, start, end) for kind, start, end in _spans(whole, wanted)}
    joined, places = _joined(whole)
    if len(places):
        spans |= {(kind, int(places[start]), int(places[end - 1]) + 1) for kind, start, end in _spans(joined, wanted)}
    found = []
    for kind, start, end in spans:
        row = int(np.searchsorted(starts, start, side="right")) - 1
        found.append(Found(row=row, start=start - int(starts[row]), end=end - int(starts[row]), kind=kind))
    return sorted(found)


def whole_names(texts: Sequence[str | None]) -> bool:
    """Whether a column consists of Chinese names: at least 80 % of its values could be one, and at least 20 different ones."""
    present = [text.strip() for text in texts if text and text.strip()]
    hits = [text for text in present if names.is_whole_name(text)]
    return len(hits) >= NAME_SHARE * max(1, len(present)) and len(set(hits)) >= NAME_VALUES


def _spans(text: str, wanted: Sequence[Recogniser]) -> Iterator[tuple[str, int, int]]:
    for recogniser in wanted:
        for match in recogniser.pattern.finditer(text):
            if recogniser.accepts(match):
                start, end = recogniser.reach(match)
                yield recogniser.kind, start, end


def _joined(text: str) -> tuple[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the text without line breaks in numbers and characters without width, and each character's place before.

    No places at all if there is nothing to leave out.
    """
    keep = np.ones(len(text), dtype=bool)
    for match in _LEFT_OUT.finditer(text):
        keep[match.start() : match.end()] = False
    if keep.all():
        return "", np.zeros(0, dtype=np.int64)
    return _LEFT_OUT.sub("", text), np.flatnonzero(keep)
