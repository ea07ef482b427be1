"""TableDefinition: what a provider says about a table before it is looked at, and the Asset that follows from its columns."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from sandbox.catalogue.values import bound_texts, code_literals, default_scale
from sandbox.errors import UsageError
from sandbox.model.asset import Asset, Column, Grade, KeyDomain, Lifecycle, Role
from sandbox.model.expression import ColumnType
from sandbox.model.source import KINDS, SourceSpec

Schema = Sequence[tuple[str, ColumnType]]

MAX_PADDED_ROWS = 10**8
MAX_IDENTIFIER = 64
MAX_COLUMN_NAME = 128
MAX_TITLE = 200
KEY_TYPES = ("integer", "text", "date")
MEASURE_TYPES = ("integer", "decimal", "float")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDefinition:
    """A provider's declarations about one table. Made by `table`; nothing has been read yet.

    data: a frame in memory, or None where `path` names a file. The other fields are `table`'s parameters.
    """

    data: Any = field(default=None, repr=False)
    path: str | None = None
    duckdb_table: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    key: tuple[str, ...]
    key_domain: str | KeyDomain | None = None
    unique: bool = False
    padded_rows: int = 0
    bounds: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    codes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    scales: Mapping[str, int] = field(default_factory=dict)
    clip: frozenset[str] = frozenset()
    roles: Mapping[str, Role] = field(default_factory=dict)
    grades: Mapping[str, Grade] = field(default_factory=dict)
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    title: str = ""

    @property
    def spec(self) -> SourceSpec:
        """How to open the data; for a frame, open it together with `data`. Raises UsageError for an unknown kind of file."""
        types = tuple(self.types.items())
        if self.path is None:
            return SourceSpec(kind="frame", types=types)
        kind = KINDS.get(Path(self.path).suffix.lower(), "duckdb" if self.duckdb_table else None)
        if kind is None:
            raise UsageError(f"the kind of {self.path!r} is not known; use one of {', '.join(KINDS)}")
        return SourceSpec(
            kind=kind,
            path=self.path,
            table=self.duckdb_table,
            encoding=self.encoding,
            delimiter=self.delimiter,
            types=types,
        )


def table(
    data: Any,
    *,
    key: str | Sequence[str],
    key_domain: str | KeyDomain | None = None,
    unique: bool = False,
    padded_rows: int = 0,
    bounds: Mapping[str, tuple[Any, Any]] | None = None,
    codes: Mapping[str, Sequence[Any]] | None = None,
    scales: Mapping[str, int] | None = None,
    clip: bool | Iterable[str] = False,
    roles: Mapping[str, Role] | None = None,
    grades: Mapping[str, Grade] | None = None,
    types: Mapping[str, ColumnType] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    table: str | None = None,
    title: str = "",
) -> TableDefinition:
    """Return a definition of a table, checked as far as that goes without looking at the data.

    data: a pandas frame, an Arrow table, or the path of a CSV, Parquet or DuckDB file (`table` names the table in it).
    key: the column or columns of the join key. key_domain: what the keys mean, for two tables to be joined: a name, or a
    KeyDomain (which may trim, fold case, apply NFKC); by default named after the key columns, compared exactly.
    unique: no key repeats. padded_rows: what others see as the size of every list that is joined from this table; dummy
    rows fill it up. bounds: {column: (lowest, highest)}, inclusive: the column is a measure.
    codes: {column: all its values}: the column is a quasi-identifier, to group and filter by.
    scales: {column: scale}; value -> integer round(value · scale); by default 1, 10^4 or a power of two, see the README.
    clip: True or column names: values beyond the bounds are moved to them instead of refusing the job.
    roles: {column: role} for columns that are neither key nor bounded nor coded, or to override. grades: {column: grade}, by
    default `general` for every column that has a role. Columns that nothing names stay unclassified and take no part.
    types: {column: type} where the data's own type, or a CSV's inferred one, is not meant. encoding, delimiter: of a CSV.

    Raises UsageError: which declaration is wrong, and what to do.
    """
    path, kept = (os.fspath(data), None) if isinstance(data, str | os.PathLike) else (None, data)
    if path is None and not (hasattr(data, "columns") and hasattr(data, "shape")):
        raise UsageError(f"a table is a pandas frame, an Arrow table or a path, not {type(data).__name__}")
    if isinstance(path, bytes):
        raise UsageError("give the path as text, not as bytes")
    names = (key,) if isinstance(key, str) else tuple(key)
    if not names or len(set(names)) != len(names):
        raise UsageError("key names one column or several different ones")
    bounds = dict(bounds or {})
    clipped = frozenset(bounds) if clip is True else frozenset(() if clip is False else clip)
    for name in sorted(clipped - set(bounds)):
        raise UsageError(f"clip names {shown(name)}, which has no bounds; declare them in bounds")
    for name in sorted(set(scales or {}) - set(bounds)):
        raise UsageError(f"scales names {shown(name)}, which has no bounds; declare them in bounds")
    if not isinstance(padded_rows, int) or not 0 <= padded_rows <= MAX_PADDED_ROWS:
        raise UsageError(f"padded_rows is 0, for no padding, or a number of rows up to {MAX_PADDED_ROWS}")
    _check_choices("roles", roles or {}, get_args(Role))
    _check_choices("grades", grades or {}, get_args(Grade))
    _check_choices("types", types or {}, get_args(ColumnType))
    check_title(title)
    return TableDefinition(
        data=kept,
        path=path,
        duckdb_table=table,
        encoding=encoding,
        delimiter=delimiter,
        key=names,
        key_domain=key_domain,
        unique=bool(unique),
        padded_rows=padded_rows,
        bounds=bounds,
        codes={name: tuple(values) for name, values in (codes or {}).items()},
        scales=dict(scales or {}),
        clip=clipped,
        roles=dict(roles or {}),
        grades=dict(grades or {}),
        types=dict(types or {}),
        title=title,
    )


def declare(
    provider: str, name: str, definition: TableDefinition, schema: Schema, *, version: int = 1, lifecycle: Lifecycle = "draft"
) -> Asset:
    """Return the asset that a definition and the source's columns make. Pure. Raises UsageError for what does not fit."""
    check_identifier(provider, what="a provider")
    check_identifier(name, what="a table")
    types = _check_schema(schema)
    for place, named in (
        ("key", definition.key),
        ("bounds", definition.bounds),
        ("codes", definition.codes),
        ("roles", definition.roles),
        ("grades", definition.grades),
        ("types", definition.types),
    ):
        for column in named:
            _check_known(place, column, types)
    domain = _key_domain(definition, types)
    return Asset(
        provider=provider,
        table=name,
        version=version,
        columns=tuple(_column(definition, column, kind) for column, kind in types.items()),
        key=definition.key,
        key_domain=domain,
        unique=definition.unique,
        padded_rows=definition.padded_rows,
        lifecycle=lifecycle,
        title=definition.title,
    )


def check_identifier(name: str, *, what: str) -> None:
    """Raise UsageError unless a name is an ASCII identifier, [A-Za-z_][A-Za-z0-9_]*, at most 64 long."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or len(name) > MAX_IDENTIFIER:
        rule = f"use ASCII letters, digits and _, not first a digit, at most {MAX_IDENTIFIER}"
        raise UsageError(f"{what} cannot be called {ascii(name)[:80]}; {rule}")


def check_title(title: str) -> None:
    """Raise UsageError for a title with control characters or mark-up, or longer than 200."""
    if not isinstance(title, str) or not title.isprintable() or len(title) > MAX_TITLE or "<" in title:
        raise UsageError(f"a title is one line of at most {MAX_TITLE} printable characters without <")


def shown(name: object) -> str:
    """Return a name as it may stand in an error or a terminal: quoted, unprintable characters escaped, shortened."""
    text = repr(name)
    return text if len(text) <= 80 else text[:77] + "..."


def near(name: str, known: Iterable[str]) -> str:
    """Return the known names that look like one, or the first few, for a hint."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return ", ".join(close or names[:10]) or "none"


def _check_choices(place: str, given: Mapping[str, str], choices: tuple[str, ...]) -> None:
    for name, choice in given.items():
        if choice not in choices:
            raise UsageError(f"{place} says {shown(choice)} for {shown(name)}; use one of {', '.join(choices)}")


def _check_schema(schema: Schema) -> dict[str, ColumnType]:
    types: dict[str, ColumnType] = {}
    folded: dict[str, int] = {}
    for position, (name, kind) in enumerate(schema, start=1):
        if not name.strip() or not name.isprintable() or len(name) > MAX_COLUMN_NAME:
            raise UsageError(f"column {position} has an empty, unprintable or too long name: {shown(name)}; rename it")
        first = folded.setdefault(name.casefold(), position)
        if first != position:
            raise UsageError(f"columns {first} and {position} have the same name but for case: {shown(name)}; rename one")
        types[name] = kind
    return types


def _check_known(place: str, name: str, types: Mapping[str, ColumnType]) -> None:
    if name not in types:
        hint = near(name, types) if isinstance(name, str) else ", ".join(list(types)[:10])
        raise UsageError(f"{place} names {shown(name)}, which is not a column; did you mean: {hint}")


def _key_domain(definition: TableDefinition, types: Mapping[str, ColumnType]) -> KeyDomain:
    for name in definition.key:
        if types[name] not in KEY_TYPES:
            raise UsageError(
                f"key column {shown(name)} is {types[name]}; keys are integer, text or date: "
                f"declare types={{{shown(name)}: 'integer'}} if its values are whole numbers"
            )
    found = tuple(types[name] for name in definition.key)
    given = definition.key_domain
    if isinstance(given, KeyDomain):
        if given.types != found:
            raise UsageError(
                f"key domain {shown(given.name)} is over ({', '.join(given.types)}), the key columns are ({', '.join(found)}); "
                "correct one of them, or declare types"
            )
        check_identifier(given.name, what="a key domain")
        return given
    name = "_".join(definition.key) if given is None else given
    if given is None and not _IDENTIFIER.fullmatch(name):
        raise UsageError("name the key domain: key_domain='...'; it cannot be called after the key columns")
    check_identifier(name, what="a key domain")
    return KeyDomain(name=name, types=cast(Any, found))


def _column(definition: TableDefinition, name: str, kind: ColumnType) -> Column:
    role = _role(definition, name)
    grade: Grade = definition.grades.get(name, "unclassified" if role == "unclassified" else "general")
    codes = code_literals(shown(name), kind, definition.codes[name]) if name in definition.codes else None
    if name not in definition.bounds:
        return Column(name=name, type=kind, role=role, grade=grade, codes=codes)
    if kind not in MEASURE_TYPES:
        raise UsageError(
            f"bounds are given for {shown(name)}, which is {kind}; only numbers have bounds. If it should be numbers, "
            f"types={{{shown(name)}: 'integer'}} tells where it is not"
        )
    bounds = bound_texts(shown(name), kind, definition.bounds[name])
    scale = definition.scales.get(name, default_scale(kind, bounds))
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= 10**18:
        raise UsageError(f"the scale of {shown(name)} is a whole number of at least 1 and at most 10^18")
    return Column(
        name=name, type=kind, role=role, grade=grade, codes=codes, bounds=bounds, scale=scale, clip=name in definition.clip
    )


def _role(definition: TableDefinition, name: str) -> Role:
    given = definition.roles.get(name)
    if name in definition.key:
        if given not in (None, "key"):
            raise UsageError(f"{shown(name)} is in the key and cannot have role {given}")
        return "key"
    if given is not None:
        return given
    if name in definition.codes:
        return "quasi_identifier"
    return "measure" if name in definition.bounds else "unclassified"
