"""Rule files: TOML to rules, with the line and the field of whatever is wrong.

Nothing is taken for granted: every column is named, unknown fields are refused, keys and hierarchies are names of files
that the caller reads.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from protocols.desensitise.errors import RuleError
from protocols.desensitise.recognisers import KINDS
from protocols.desensitise.rules import RULES, Spec
from protocols.desensitise.rules.generalising import TreeRule
from protocols.desensitise.rules.pseudonyms import Keyed

MAX_BYTES = 1 << 20
MAX_TEXT = 200
INTEGERS = range(-(1 << 63), 1 << 63)


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file but for [columns].

    identifiers: columns whose values must stand nowhere in the output's rows. quasi, sensitive, k: what the report measures.
    may_hold: kinds of identifiers that an output column may hold, by column.
    """

    purpose: str
    recipient: str
    keys: dict[str, str] = {}
    identifiers: tuple[str, ...] = ()
    quasi: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    k: int = 5
    may_hold: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """A rule file that has been read. key_files: name -> path; tree_files: paths; both as written, for the caller to read."""

    purpose: str
    recipient: str
    columns: Mapping[str, Spec]
    key_files: Mapping[str, str]
    tree_files: tuple[str, ...]
    identifiers: tuple[str, ...]
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    k: int
    may_hold: Mapping[str, tuple[str, ...]]


def parse(text: str) -> RuleFile:
    """Return the rules of a file's text. Raises RuleError with line and field; keys and values of data never stand here."""
    if len(text.encode()) > MAX_BYTES:
        raise RuleError(f"a rule file has at most {MAX_BYTES} bytes")
    document = _document(text)
    columns = document.pop("columns", None)
    if not isinstance(columns, dict) or not columns:
        raise RuleError(f"{_place(text, 'columns')}: name every column of the table with its rule under [columns]")
    head = _convert(document, _Head, text, ())
    rules = {name: _rule(name, given, text) for name, given in columns.items()}
    _check(head, rules, text)
    trees = tuple(dict.fromkeys(rule.file for rule in rules.values() if isinstance(rule, TreeRule)))
    return RuleFile(
        purpose=head.purpose,
        recipient=head.recipient,
        columns=rules,
        key_files=head.keys,
        tree_files=trees,
        identifiers=head.identifiers,
        quasi=head.quasi,
        sensitive=head.sensitive,
        k=head.k,
        may_hold=head.may_hold,
    )


def _document(text: str) -> dict[str, Any]:
    problem = ""
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
        if _fits(document):
            return document
        problem = "a whole number of more than 64 bits"
    except tomllib.TOMLDecodeError as error:
        problem = str(error)
    except (RecursionError, ValueError):
        problem = "nested too deeply, or a number too long"
    raise RuleError(f"the rule file is not TOML: {problem}")


def _fits(value: Any) -> bool:
    """Whether all whole numbers are TOML's, of 64 bits; Python reads longer ones."""
    if isinstance(value, dict | list):
        return all(map(_fits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or value in INTEGERS


def _rule(column: str, given: Any, text: str) -> Spec:
    path = ("columns", column)
    if not isinstance(given, dict) or not isinstance(given.get("rule"), str):
        raise RuleError(f'{_place(text, *path)}: write {{ rule = "..." }} with one of {", ".join(RULES)}')
    kind = RULES.get(given["rule"])
    if kind is None:
        raise RuleError(f"{_place(text, *path, 'rule')}: there is no such rule; there are {', '.join(RULES)}")
    rule: Spec = _convert(given, kind, text, path)
    return rule


def _convert(given: Any, kind: type[Any], text: str, path: tuple[str, ...]) -> Any:
    problem = ""
    try:
        return msgspec.convert(given, kind, strict=True)
    except msgspec.ValidationError as error:
        problem = str(error)
    what, _, where = problem.partition(" - at `$")
    fields = re.findall(r"[A-Za-z_]\w*", where)
    named = re.search(r"field `([^`]*)`", what)
    raise RuleError(f"{_place(text, *path, *fields, *([named[1]] if named else []))}: {what}")


def _check(head: _Head, rules: Mapping[str, Spec], text: str) -> None:
    for name, value in (("purpose", head.purpose), ("recipient", head.recipient)):
        if not value.strip() or not value.isprintable() or len(value) > MAX_TEXT:
            raise RuleError(
                f"{_place(text, name)}: printable text of 1 to {MAX_TEXT} characters is needed; pseudonyms are bound to it"
            )
    if not 2 <= head.k <= 10_000:
        raise RuleError(f"{_place(text, 'k')}: 2 to 10,000")
    for field, names in (("identifiers", head.identifiers), ("quasi", head.quasi), ("sensitive", head.sensitive)):
        for name in names:
            if name not in rules:
                raise RuleError(f"{_place(text, field)}: there is no rule for a column {name!r}")
    for column, kinds in head.may_hold.items():
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown or column not in rules:
            raise RuleError(f"{_place(text, 'may_hold', column)}: columns with rules, and kinds of {', '.join(KINDS)}")
    for column, rule in rules.items():
        if isinstance(rule, Keyed) and rule.key not in head.keys:
            raise RuleError(f"{_place(text, 'columns', column, 'key')}: there is no key of this name under [keys]")


def _place(text: str, *path: str) -> str:
    """Return `line N, a.b.c`: the line on which the last part of the path that can be found is written."""
    line, start, lines = 0, 0, text.splitlines()
    for part in path:
        pattern = re.compile(rf"(^|[\s{{,.\[\"']){re.escape(part)}[\"']?\s*([=.\]])")
        found = next((at for at in range(start, len(lines)) if pattern.search(lines[at].split("#")[0])), None)
        if found is not None:
            line, start = found + 1, found
    shown = ".".join(part if part.isprintable() else repr(part) for part in path)[:MAX_TEXT]
    return f"line {line}, {shown}" if line else shown
