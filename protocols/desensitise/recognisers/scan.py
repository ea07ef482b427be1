"""Looking for identifiers in many texts at once, with places in the texts as they were.

Rows are joined by a separator, and each pattern runs once over all that could match. Full-width characters are narrowed one for
one, so that places stay; a second reading leaves out line breaks inside numbers and characters without width, a third has
digits for numbers that are written in characters.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.recognisers import chinese, international, names
from protocols.desensitise.recognisers.pattern import SEPARATOR, Recogniser
from protocols.errors import ParameterError

RECOGNISERS: tuple[Recogniser, ...] = (*chinese.RECOGNISERS, *international.RECOGNISERS, *names.RECOGNISERS)
KINDS: tuple[str, ...] = tuple(dict.fromkeys(each.kind for each in RECOGNISERS))
NAME_SHARE, NAME_VALUES = 0.8, 20

_WIDE = {0xFF01 + at: 0x21 + at for at in range(94)}
_DASHES = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xFE63), 0x2D)
_BLANKS = dict.fromkeys((0x3000, 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F), 0x20)
_DIGITS = {code: 0x30 + digit for code in range(0x80, 0x1FC00) if (digit := unicodedata.digit(chr(code), -1)) >= 0}
"""Digits of all scripts, superscripts and circled ones."""
_X = dict.fromkeys((0xD7, 0x3A7, 0x3C7, 0x425, 0x445, 0x2169, 0x2179), ord("X"))
_FOLD = _DIGITS | _WIDE | _DASHES | _BLANKS | _X | {0xFE6B: ord("@")}
_LEFT_OUT = re.compile(
    r"[\u00ad\u0300-\u036f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u20e3\ufe00-\ufe0f\ufeff]+"
    r"|(?<=[0-9A-Za-z@.-])[ \t]*[\r\n\v\f\u0085\u2028\u2029]+[ \t]*(?=[0-9A-Za-z@.-])"
)
_NUMERALS = str.maketrans("〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺", "001234567891234567891")
_SPELLED = re.compile("[〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺]{3,}")
_ELEVEN_SPELLED = re.compile(
    "(?:[〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺][^〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺]{0,3}){11}"
)


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """An identifier's place: row, start and end in characters of the text as it was given. Never its value."""

    row: int
    start: int
    end: int
    kind: str


def narrowed(text: str) -> str:
    """Return a text of the same length in which digits, letters, blanks and hyphens of all widths and scripts are ASCII's."""
    return text.replace(SEPARATOR, " ").translate(_FOLD)


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
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        if text:
            rows.setdefault(text, []).append(row)
    found = [
        Found(row=row, start=start, end=end, kind=kind) for kind, places, start, end in _found(rows, wanted) for row in places
    ]
    return sorted(found)


def _found(rows: dict[str, list[int]], wanted: Sequence[Recogniser]) -> Iterator[tuple[str, list[int], int, int]]:
    """Yield (kind, rows, start, end) in distinct texts, each once."""
    folded = [narrowed(text) for text in rows]
    spans = set(_spans(folded, wanted))
    broken = [row for row, text in enumerate(folded) if _LEFT_OUT.search(text)]
    if broken:
        joined = [_joined(folded[row]) for row in broken]
        for kind, at, start, end in _spans([text for text, _ in joined], wanted):
            places = joined[at][1]
            spans.add((kind, broken[at], places[start], places[end - 1] + 1))
    written = [row for row, text in enumerate(folded) if _ELEVEN_SPELLED.search(text)]
    for kind, at, start, end in _spans([_in_digits(folded[row]) for row in written], wanted):
        spans.add((kind, written[at], start, end))
    places_of = list(rows.values())
    for kind, at, start, end in spans:
        yield kind, places_of[at], start, end


def whole_names(texts: Sequence[str | None]) -> bool:
    """Whether a column consists of Chinese names: at least 80 % of its values could be one, and at least 20 different ones."""
    present = [text.strip() for text in texts if text and text.strip()]
    hits = [text for text in present if names.is_whole_name(text)]
    return len(hits) >= NAME_SHARE * max(1, len(present)) and len(set(hits)) >= NAME_VALUES


def _spans(texts: Sequence[str], wanted: Sequence[Recogniser]) -> Iterator[tuple[str, int, int, int]]:
    """Yield (kind, row, start, end). Texts that have what a pattern needs are joined, and the pattern runs over all of them."""
    column = pa.array(texts, pa.large_string())
    for needs, recognisers in itertools.groupby(sorted(wanted, key=_needs), _needs):
        chosen = np.flatnonzero(pc.match_substring_regex(column, needs).to_numpy(zero_copy_only=False))
        if not len(chosen):
            continue
        starts = np.concatenate(([0], np.cumsum([len(texts[int(at)]) + 1 for at in chosen])))
        whole = SEPARATOR.join(texts[int(at)] for at in chosen)
        for recogniser in recognisers:
            for start, end in _matches(recogniser, whole):
                at = int(np.searchsorted(starts, start, side="right")) - 1
                yield recogniser.kind, int(chosen[at]), start - int(starts[at]), end - int(starts[at])


def _matches(recogniser: Recogniser, text: str) -> Iterator[tuple[int, int]]:
    """Yield spans. What only looks like one hides nothing that begins within it: "5 4111…" is no card, and 4111… is one."""
    at = 0
    while match := recogniser.pattern.search(text, at):
        span = recogniser.reach(match) if recogniser.accepts(match) else None
        at = match.start() + 1
        if span:
            yield span
            at = max(at, span[1])


def _in_digits(text: str) -> str:
    return _SPELLED.sub(lambda run: run[0].translate(_NUMERALS), text)


def _needs(recogniser: Recogniser) -> str:
    return recogniser.needs


def _joined(text: str) -> tuple[str, list[int]]:
    """Return a text without line breaks in numbers and characters without width, and each character's place before."""
    places: list[int] = []
    done = 0
    for match in _LEFT_OUT.finditer(text):
        places += range(done, match.start())
        done = match.end()
    return _LEFT_OUT.sub("", text), [*places, *range(done, len(text))]
