"""Column types of raw data: from DuckDB's types, from a CSV's texts, by declaration; as generated SQL. Worker side.

A conversion is (expression, test): the value, and whether it is exactly what was there. NULL stays NULL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.sources.pipe import Fault

MAX_NAME = 128

_INTEGER = r"-?[1-9][0-9]{0,18}|0"
_FLOAT = r"-?(0|[1-9][0-9]{0,14})((\.[0-9]+)?([eE][+-][0-9]{1,3})?|\.[0-9]+[eE][0-9]{1,3})"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_UTC = "CAST(TRY_CAST({c} AS TIMESTAMPTZ) AS TIMESTAMP)"  # the session's zone is UTC; a plain CAST would drop the offset

INFERRED: tuple[tuple[str, str, str], ...] = (
    ("boolean", "(true|false|True|False|TRUE|FALSE)", "TRY_CAST({c} AS BOOLEAN)"),
    ("integer", _INTEGER, "TRY_CAST({c} AS BIGINT)"),
    ("float", _FLOAT, "TRY_CAST({c} AS DOUBLE)"),
    ("date", _DATE, "TRY_CAST({c} AS DATE)"),
    ("timestamp", _TIME, "TRY_CAST({c} AS TIMESTAMP)"),
    ("timestamp", _TIME + _ZONE, _UTC),
)

_DECLARED = {
    "boolean": ("(true|false|t|f|0|1)", "TRY_CAST(lower({c}) AS BOOLEAN)"),
    "integer": (r"[+-]?[0-9]+", "TRY_CAST({c} AS BIGINT)"),
    "decimal": (r"[+-]?[0-9]{1,18}(\.[0-9]{1,10})?", "TRY_CAST({c} AS DECIMAL(28, 10))"),
    "float": (r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", "TRY_CAST({c} AS DOUBLE)"),
    "date": (_DATE, "TRY_CAST({c} AS DATE)"),
    "timestamp": (_TIME + _ZONE + "?", _UTC),
}

_EXACT = {
    ("float", "integer"): ("TRY_CAST({c} AS BIGINT)", "isfinite({c}) AND CAST(TRY_CAST({c} AS BIGINT) AS DOUBLE) = {c}"),
    ("decimal", "integer"): ("TRY_CAST({c} AS BIGINT)", "TRY_CAST({c} AS BIGINT) = {c}"),
    ("integer", "float"): ("CAST({c} AS DOUBLE)", "TRY_CAST(CAST({c} AS DOUBLE) AS HUGEINT) = {c}"),
    ("integer", "decimal"): ("TRY_CAST({c} AS DECIMAL(28, 10))", "TRY_CAST({c} AS DECIMAL(28, 10)) IS NOT NULL"),
    ("integer", "boolean"): ("CAST({c} AS BOOLEAN)", "{c} IN (0, 1)"),
    ("integer", "text"): ("CAST({c} AS VARCHAR)", "true"),
    ("boolean", "integer"): ("CAST({c} AS BIGINT)", "true"),
    ("decimal", "float"): ("CAST({c} AS DOUBLE)", "true"),
    ("date", "timestamp"): ("CAST({c} AS TIMESTAMP)", "true"),
    ("timestamp", "date"): ("CAST({c} AS DATE)", "CAST(CAST({c} AS DATE) AS TIMESTAMP) = {c}"),
}

_NATIVE = (
    (r"TINYINT|SMALLINT|INTEGER|UTINYINT|USMALLINT|UINTEGER", "integer", "CAST({c} AS BIGINT)"),
    (r"BIGINT|HUGEINT", "integer", "{c}"),
    (r"UBIGINT|UHUGEINT", "integer", "CAST({c} AS HUGEINT)"),
    (r"DECIMAL\(.*\)", "decimal", "{c}"),
    (r"FLOAT", "float", "CAST({c} AS DOUBLE)"),
    (r"DOUBLE", "float", "{c}"),
    (r"VARCHAR", "text", "{c}"),
    (r'UUID|ENUM\(.*\)|"?NULL"?', "text", "CAST({c} AS VARCHAR)"),
    (r"BOOLEAN", "boolean", "{c}"),
    (r"DATE", "date", "{c}"),
    (r"TIMESTAMP", "timestamp", "{c}"),
    (r"TIMESTAMP_(S|MS|NS)|TIMESTAMPTZ(_NS)?|TIMESTAMP WITH TIME ZONE", "timestamp", "CAST({c} AS TIMESTAMP)"),
)


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A column as it lies in the source: its SQL name there, its name for people, its type, and its value as SQL."""

    sql_name: str
    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """A column of the view `source`: value is SQL over the raw table; test, where there is one, must hold for all rows."""

    name: str
    type: str
    value: str
    test: str | None = None


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def native(name: str, duckdb_type: str) -> RawColumn | None:
    """Return a DuckDB column as a raw column, or None where its type has no place here (lists, blobs, times, intervals)."""
    for pattern, kind, template in _NATIVE:
        if re.fullmatch(pattern, duckdb_type, re.DOTALL):
            return RawColumn(quoted(name), name, kind, template.format(c=quoted(name)))
    return None


def convert(raw: RawColumn, declared: str | None) -> TypedColumn:
    """Return the column as it is declared, or as it is. Raises Fault `type-conversion` where no exact conversion exists."""
    if declared is None or declared == raw.type:
        return TypedColumn(raw.name, raw.type, raw.value)
    if raw.type == "text" and declared in _DECLARED:
        pattern, template = _DECLARED[declared]
        value = template.format(c=raw.value)
        return TypedColumn(raw.name, declared, value, _matches(raw.value, pattern, value, flags="i"))
    if (raw.type, declared) not in _EXACT:
        raise Fault("type-conversion", column=raw.name, found=raw.type, declared=declared)
    template, test = _EXACT[raw.type, declared]
    return TypedColumn(raw.name, declared, template.format(c=raw.value), f"coalesce({test.format(c=raw.value)}, false)")


def counts(raw: RawColumn, forms: Sequence[int]) -> list[str]:
    """Return aggregates over a text column: its values, then how many of them are of each of these forms of INFERRED."""
    tests = [_matches(raw.value, INFERRED[form][1], INFERRED[form][2].format(c=raw.value)) for form in forms]
    return [f"count({raw.value})", *(f"count(*) FILTER (WHERE {test})" for test in tests)]


def check_names(names: list[str]) -> None:
    """Raise Fault for names that are empty, unprintable, too long, or equal but for case (DuckDB folds case)."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
            raise Fault("column-name", position=position)
        first = seen.setdefault(name.casefold(), position)
        if first != position:
            raise Fault("duplicate-name", first=first, second=position)


def _matches(text: str, pattern: str, value: str, *, flags: str = "c") -> str:
    finite = f" AND isfinite({value})" if "AS DOUBLE" in value else ""
    return f"(regexp_full_match({text}, '{pattern}', '{flags}') AND ({value}) IS NOT NULL{finite})"
