"""What a recogniser is: a pattern, and a check of what it matched.

Patterns never use \\b or \\w: between 号 and 1 there is no word boundary. They look at ASCII digits and letters beside a match.
No class matches the row separator, and every repetition is bounded. People write numbers in groups: a gap is what may stand
between two digits of one number, and the groups are judged afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

SEPARATOR = "\x1e"
NO_DIGIT_BEFORE = r"(?<![0-9])"
NO_DIGIT_AFTER = r"(?![0-9])"
NO_ALNUM_BEFORE = r"(?<![0-9A-Za-z])"
NO_ALNUM_AFTER = r"(?![0-9A-Za-z])"
HAN = r"[\u3400-\u9fff]"
SIX_DIGITS = r"(?s)(?:[0-9].*?){6}"
GAP = r"[ \t._/·・•()~-]{0,3}"
GAP_OR_LINE = r"[ \t\r\n\v\f\u0085\u2028\u2029._/·・•()~-]{0,6}"
_INTEGER_PART = re.compile(r"([0-9]+)[.]$")
_BEFORE_A_LIST = " \t\r\n\x1e,;()[]、。"
_AFTER_A_FRACTION = ("", " ", "\t", ",", "\x1e")

Check = Callable[[re.Match[str]], bool]
Reach = Callable[[re.Match[str]], tuple[int, int] | None]


def _always(_: re.Match[str]) -> bool:
    return True


def _group(match: re.Match[str]) -> tuple[int, int]:
    """The group `it` where there is one, else all of the match."""
    return match.span("it") if match.re.groupindex.get("it") else match.span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """One form of one kind of identifier.

    kind: its name, such as `cn_id`. accepts: check digits and the like, on the match in folded text. reach: the span of the
    identifier itself, where it is not the whole match; None if there is none after all. What is not accepted hides nothing:
    the search goes on one character after its start. needs: what a text must hold for the pattern to be tried at all, as a
    regular expression for RE2, which is faster.
    """

    kind: str
    pattern: re.Pattern[str]
    accepts: Check = _always
    reach: Reach = field(default=_group)
    needs: str = SIX_DIGITS


def digits(text: str) -> str:
    """Return the ASCII digits and letters of a text, in upper case, without separators."""
    return re.sub(r"[^0-9A-Za-z]", "", text).upper()


def groups(text: str) -> tuple[int, ...]:
    """Return the lengths of a number's groups of digits."""
    return tuple(len(each) for each in re.findall("[0-9]+", text))


def gaps(text: str) -> set[str]:
    """Return what stands between the groups of a number, line breaks left out."""
    return {re.sub(r"[\r\n\v\f\u0085\u2028\u2029]", "", each) for each in re.findall("[^0-9]+", text)}


def is_fraction(text: str, start: int, end: int | None = None) -> bool:
    """Whether the digits at a place are the decimals of a number. "2.138…" at a list's item is none: 2 is its mark.

    end: where the digits end, if so many decimals are usual; then a mark has to begin a line, and no number to follow.
    """
    found = _INTEGER_PART.search(text[max(0, start - 6) : start])
    if not found:
        return False
    first = start - len(found[0])
    lead = text[first - 1 : first] if first else ""
    if found[1].startswith("0") or len(found[1]) > 2 or (lead and lead not in _BEFORE_A_LIST):
        return True
    return end is not None and (
        lead in (" ", "\t", ",") or (not lead.strip("\x1e") and text[end : end + 1] in _AFTER_A_FRACTION)
    )


def ends_number(text: str, end: int) -> bool:
    """Whether no digit follows."""
    return not text[end : end + 1].isdigit()


def prefixes(match: re.Match[str], what: str = "[0-9]") -> list[tuple[int, int]]:
    """Return (end, characters) of all prefixes of a match that end with a character of a class, longest first."""
    ends = [found.end() for found in re.finditer(what, match[0])]
    return [(match.start() + end, count) for count, end in reversed(list(enumerate(ends, 1)))]
