"""Redaction of free text: what the recognisers find, and what stands in other columns of the same row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import pyarrow as pa

from protocols.desensitise.recognisers import KINDS, narrowed, scan
from protocols.desensitise.rules.base import Context, Convert, Family, Spec, text_only
from protocols.errors import ParameterError

MIN_ALSO = 2
SHORT = 4
_BLANK = "[ \t\r\n]"
READINGS = 3


class Redact(Spec, tag="redact", frozen=True):
    """Identifiers in text replaced by `[kind]`.

    kinds: which; all of them by default. also: columns of the same row whose values are taken out wherever they stand in the
    text (a name that no pattern can know): in capitals or small letters, full-width, with other blanks. They must have at least
    two characters; of fewer than four that are not Chinese, only whole words are taken out, written as they are.
    """

    family: ClassVar[Family] = "redaction"
    kinds: tuple[str, ...] = KINDS
    also: tuple[str, ...] = ()

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_only(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def needs(self) -> tuple[str, ...]:
        """The columns in `also`."""
        return self.also

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            raise ParameterError(f"kinds: {', '.join(unknown) or 'none'}; there are {', '.join(KINDS)}")
        return self._redacted

    def _redacted(self, values: pa.Array, batch: pa.RecordBatch) -> pa.Array:
        texts: list[str | None] = values.to_pylist()
        for name in self.also:
            for row, other in enumerate(batch.column(name).cast(pa.large_string()).to_pylist()):
                text = texts[row]
                if text and other and len(other.strip()) >= MIN_ALSO:
                    places = [match.span() for match in _pattern(narrowed(other).strip()).finditer(narrowed(text))]
                    texts[row] = _replaced(text, [(start, end, name) for start, end in places])
        rows = list(range(len(texts)))
        for _ in range(READINGS):  # what is taken out can leave a context beside something else
            spans: dict[int, list[tuple[int, int, str]]] = {}
            for hit in scan([texts[row] for row in rows], self.kinds):
                spans.setdefault(rows[hit.row], []).append((hit.start, hit.end, hit.kind))
            for row, found in spans.items():
                texts[row] = _replaced(texts[row] or "", found)
            rows = sorted(spans)
        return pa.array(texts, pa.large_string())


def _pattern(value: str) -> re.Pattern[str]:
    """Return what finds a value in narrowed text."""
    if any(char >= "\u3400" for char in value):
        return re.compile(f"{_BLANK}{{0,3}}".join(re.escape(char) for char in value if not char.isspace()), re.IGNORECASE)
    spelled = f"{_BLANK}{{1,9}}".join(re.escape(word) for word in value.split())
    if len(value) < SHORT:
        return re.compile(f"(?<![0-9A-Za-z]){spelled}(?![0-9A-Za-z])")
    return re.compile(spelled, re.IGNORECASE)


def _replaced(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """Return the text with each run of overlapping spans replaced by the kind of its longest one."""
    merged: list[tuple[int, int, int, str]] = []  # start, end, longest, kind
    for start, end, kind in sorted(spans):
        if merged and start < merged[-1][1]:
            first, last, longest, named = merged[-1]
            merged[-1] = (first, max(last, end), *((end - start, kind) if end - start > longest else (longest, named)))
        else:
            merged.append((start, end, end - start, kind))
    parts, done = [], 0
    for start, end, _, kind in merged:
        parts += [text[done:start], f"[{kind}]"]
        done = end
    return "".join([*parts, text[done:]])
