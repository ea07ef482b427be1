"""What a recogniser is: a pattern, and a check of what it matched.

Patterns never use \\b or \\w: between 号 and 1 there is no word boundary. They look at ASCII digits and letters beside a match.
No class matches the row separator, and every repetition is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

SEPARATOR = "\x1e"
NO_DIGIT_BEFORE = r"(?<![0-9])(?<![0-9][.])"
NO_DIGIT_AFTER = r"(?![0-9])"
NO_ALNUM_BEFORE = r"(?<![0-9A-Za-z])"
NO_ALNUM_AFTER = r"(?![0-9A-Za-z])"
HAN = r"[\u3400-\u9fff]"
SIX_DIGITS = r"(?s)(?:[0-9].*?){6}"

Check = Callable[[re.Match[str]], bool]
Reach = Callable[[re.Match[str]], tuple[int, int]]


def _always(_: re.Match[str]) -> bool:
    return True


def _group(match: re.Match[str]) -> tuple[int, int]:
    """The group `it` where there is one, else all of the match."""
    return match.span("it") if "it" in match.re.groupindex else match.span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """One form of one kind of identifier.

    kind: its name, such as `cn_id`. accepts: check digits and the like, on the match in folded text. reach: the span of the
    identifier itself, where it is not the whole match. needs: what a text must hold for the pattern to be tried at all, as a
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
