"""A question's text: what may stand in it before any grammar is asked, and the place of everything in it."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import cast

from sandbox.errors import QuestionError

MAX_BYTES = 64 << 10
MAX_NESTING = 40
_EXCERPT_TAIL = 60

Kind = OneOf["word", "quoted", "string", "number", "mark"]

_PIECE = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>'[^']*(?:''[^']*)*')
    |(?P<quoted>"[^"]*(?:""[^"]*)*")
    |(?P<comment>--|/\*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][0-9A-Za-z_.]*)
    |(?P<mark>//|<>|!=|<=|>=|==|[(),.=<>*;-])""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_PREFIXED_STRINGS = {"DATE", "TIMESTAMP"}
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_CHARACTERS = {
    "'": "the text literal has no closing quote",
    '"': "the quoted name has no closing quote",
    "/": "/ is not accepted; // divides a column into bands",
    ":": "casts are not accepted; write DATE '2026-01-31' or TIMESTAMP '2026-01-31 08:00:00' for times",
    "$": "parameters and dollar quotes are not accepted; write the literal",
    "?": "parameters are not accepted; write the literal",
    "+": "arithmetic is not accepted; only // divides a column into bands",
    "%": "arithmetic is not accepted; only // divides a column into bands",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One lexical unit, at a character offset of the text."""

    kind: Kind
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The text in upper case, for keywords; a quoted name is never a keyword."""
        return self.text.upper()


class Question:
    """The text of a question, its tokens and its places.

    Raises QuestionError for a text that is too long, too deep, has control characters, comments, characters beyond ASCII
    outside text literals, or marks that the accepted language has no use for.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._lines = [0, *(match.end() for match in re.finditer("\n", sql))]
        self._check_size()
        self._check_characters()
        self.tokens = tuple(self._scan())
        self._check_nesting()

    def error(self, offset: int, problem: str, hint: str = "") -> QuestionError:
        """Return the error for a character offset. The excerpt is printable and keeps its columns."""
        line = bisect_right(self._lines, offset) - 1
        column = offset - self._lines[line]
        text = self.sql[self._lines[line] : offset + _EXCERPT_TAIL].split("\n", 1)[0].rstrip("\r")
        excerpt = "".join(character if character.isprintable() else " " for character in text)
        return QuestionError(problem, line=line + 1, column=column + 1, excerpt=excerpt, hint=hint)

    def _check_size(self) -> None:
        if len(self.sql) > MAX_BYTES or len(self.sql.encode(errors="replace")) > MAX_BYTES:
            raise QuestionError(f"the question is longer than {MAX_BYTES >> 10} KiB", hint="ask in several, shorter questions")
        if not self.sql.strip():
            raise QuestionError("the question is empty", hint="write SELECT … FROM provider.table JOIN …")

    def _check_characters(self) -> None:
        for offset, character in enumerate(self.sql):
            if not _is_safe(character) and character not in "\t\r\n":
                name = f"U+{ord(character):04X}"
                raise self.error(
                    offset, f"control or invisible character {name}", "delete it; new lines, tabs and blanks are accepted"
                )

    def _scan(self) -> Iterator[Token]:
        offset = 0
        previous: Token | None = None
        while offset < len(self.sql):
            match = _PIECE.match(self.sql, offset)
            if match is None:
                raise self._stray(offset)
            kind, text = match.lastgroup, match.group()
            if kind == "comment":
                raise self.error(offset, "comments are not accepted", "put remarks into the job's title")
            if kind != "space":
                token = Token(cast(Kind, kind), text, offset)
                self._check_token(token, previous)
                yield token
                previous = token
            offset = match.end()

    def _check_token(self, token: Token, previous: Token | None) -> None:
        if token.kind == "number" and not _NUMBER.fullmatch(token.text):
            raise self.error(
                token.start, "this form of number is not accepted", "write digits, with a point if needed: 40, 0.5"
            )
        if token.kind == "quoted" and not (token.text.isascii() and len(token.text) > 2):
            place = next((i for i, character in enumerate(token.text) if not character.isascii()), 0)
            raise self._not_ascii(token.start + place) if place else self.error(token.start, "the quoted name is empty")
        if token.kind == "string" and previous is not None and previous.kind == "word":
            touching = previous.start + len(previous.text) == token.start
            if touching and len(previous.text) <= 1 and previous.upper not in _PREFIXED_STRINGS:
                raise self.error(previous.start, "prefixed text literals are not accepted", "write a plain literal: 'text'")

    def _stray(self, offset: int) -> QuestionError:
        character = self.sql[offset]
        if not character.isascii():
            return self._not_ascii(offset)
        hint = _CHARACTERS.get(character, "accepted are names, literals, ( ) , . * // and comparisons")
        return self.error(offset, f"{character} cannot be used here", hint)

    def _not_ascii(self, offset: int) -> QuestionError:
        character = self.sql[offset]
        name = unicodedata.name(character, "a character without a name")
        problem = f"U+{ord(character):04X} ({name}) in a name"
        return self.error(
            offset, problem, "names are ASCII letters, digits and _; other characters only inside 'text literals'"
        )

    def _check_nesting(self) -> None:
        """Count brackets, CASEs and runs of prefixes as levels: the parser's stack grows with each."""
        levels: list[int] = []
        depth = run = 0
        for token in self.tokens:
            word = token.upper if token.kind in {"word", "mark"} else ""
            if word in {"NOT", "-"}:
                run += 1
            elif word in {"(", "CASE"}:
                levels.append(1 + run)
                depth, run = depth + 1 + run, 0
            else:
                run = 0
                if word in {")", "END"} and levels:
                    depth -= levels.pop()
            if depth + run > MAX_NESTING:
                raise self.error(token.start, f"nested deeper than {MAX_NESTING} levels", "flatten brackets, CASE and NOT")


def _is_safe(character: str) -> bool:
    return (character.isascii() and character.isprintable()) or unicodedata.category(character) not in _UNSAFE_CATEGORIES
