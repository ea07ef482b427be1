"""Opening each kind of source inside the worker's DuckDB, as the view `source` with the types of the house."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import BinaryIO

import duckdb
import pyarrow as pa

from sandbox.sources import csvtext
from sandbox.sources.columns import INFERRED, RawColumn, TypedColumn, check_names, convert, counts, native, quoted
from sandbox.sources.pipe import Fault, Limits, Request

RAW = "raw_source"
FILE = "file_source"
INFER_AT_ONCE = 32
FIRST_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the worker found: a relation in SQL, its usable columns, those left out with their types."""

    relation: str
    columns: tuple[RawColumn, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    encoding: str | None = None
    delimiter: str | None = None


def connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    """Return an empty in-memory DuckDB without extensions, spill files, secrets or sight of Python's variables."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits.memory_bytes // (1 << 10)}KiB",
            "threads": limits.threads,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": True,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def lock(connection: duckdb.DuckDBPyConnection, path: str | None = None) -> None:
    """Close the database to everything outside but one file, for reading; nothing can be configured afterwards."""
    if path is not None:
        connection.execute("SET allowed_paths = [" + _text(path) + "]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def open_raw(connection: duckdb.DuckDBPyConnection, request: Request, stream: BinaryIO) -> Opened:
    """Open the request's source and lock the database. Raises Fault."""
    if request.kind == "csv":
        return _open_csv(connection, request)
    if request.kind == "parquet":
        return _open_parquet(connection, request)
    if request.kind == "duckdb":
        return _open_duckdb(connection, request)
    lock(connection)
    connection.register(RAW, pa.ipc.open_stream(stream).read_all())
    return _describe(connection, RAW)


def _open_csv(connection: duckdb.DuckDBPyConnection, request: Request) -> Opened:
    lock(connection)
    given = request.encoding
    encoding = csvtext.known_encoding(given) if given else csvtext.find_encoding(request.path)
    if request.inspect:
        csvtext.survey(request.path, encoding)
    delimiter = request.delimiter or csvtext.find_delimiter(request.path, encoding)
    names, table = csvtext.read_texts(request.path, encoding, delimiter)
    check_names(names)
    connection.register(RAW, table)
    columns = tuple(RawColumn(quoted(str(at)), name, "text", quoted(str(at))) for at, name in enumerate(names))
    return Opened(relation=RAW, columns=columns, encoding=encoding, delimiter=delimiter)


def _open_parquet(connection: duckdb.DuckDBPyConnection, request: Request) -> Opened:
    # An open file's own name has no glob characters and no `year=2024` in it, and cannot be exchanged for another file.
    path = f"/dev/fd/{os.open(request.path, os.O_RDONLY)}"
    lock(connection, path)
    try:
        connection.execute(
            f"CREATE VIEW {RAW} AS SELECT * FROM read_parquet({_text(path)}, hive_partitioning = false)"  # noqa: S608
        )
        return _describe(connection, RAW)
    except (duckdb.Error, UnicodeDecodeError):
        pass
    raise Fault("unreadable", kind="Parquet")


def _open_duckdb(connection: duckdb.DuckDBPyConnection, request: Request) -> Opened:
    problem = ""
    try:
        connection.execute(f"ATTACH {_text(request.path)} AS {FILE} (READ_ONLY)")
    except (duckdb.Error, UnicodeDecodeError) as error:
        problem = "locked" if "Conflicting lock" in str(error) else "unreadable"
    if problem:
        raise Fault(problem, kind="DuckDB")
    lock(connection)
    tables = _names(connection, "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?")
    schema, table = _choose(request.table, tables, _names(connection, _VIEWS))
    return _describe(connection, f"{FILE}.{quoted(schema)}.{quoted(table)}")


_VIEWS = "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal"


def _names(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    return [(str(schema), str(name)) for schema, name in connection.execute(query, [FILE]).fetchall()]


def _choose(wanted: str | None, tables: list[tuple[str, str]], views: list[tuple[str, str]]) -> tuple[str, str]:
    if wanted is None:
        if len(tables) == 1:
            return tables[0]
        raise Fault("table-needed", count=len(tables))
    fits = [(schema, name) for schema, name in tables if wanted in (f"{schema}.{name}", name)]
    if len(fits) == 1:
        return fits[0]
    if any(wanted in (f"{schema}.{name}", name) for schema, name in views):
        raise Fault("table-view")
    shown = ", ".join(f"{schema}.{name}" for schema, name in tables[:10])
    raise Fault("table-missing", count=len(tables), tables=shown or "none")


def _describe(connection: duckdb.DuckDBPyConnection, relation: str) -> Opened:
    described = [(str(row[0]), str(row[1])) for row in connection.execute(f"DESCRIBE {relation}").fetchall()]
    check_names([name for name, _ in described])
    found = [(name, kind, native(name, kind)) for name, kind in described]
    columns = tuple(column for _, _, column in found if column is not None)
    left_out = tuple((name, kind.split("(")[0]) for name, kind, column in found if column is None)
    if not columns:
        raise Fault("no-columns")
    return Opened(relation=relation, columns=columns, left_out=left_out)


def resolve(connection: duckdb.DuckDBPyConnection, opened: Opened, request: Request) -> tuple[TypedColumn, ...]:
    """Return the columns with their final types: declared, else inferred over all of a CSV's values, else as they are."""
    declared = dict(request.types)
    known = [column.name for column in opened.columns]
    for name in declared:
        if name not in known:
            raise Fault("type-unknown-column", column=name, columns=", ".join(known[:40]))
    typed = [convert(column, declared.get(column.name)) for column in opened.columns]
    if request.kind == "csv":
        untold = [at for at, column in enumerate(opened.columns) if column.name not in declared]
        for start in range(0, len(untold), INFER_AT_ONCE):
            part = untold[start : start + INFER_AT_ONCE]
            found = _infer(connection, opened.relation, [opened.columns[at] for at in part])
            for at, kind in zip(part, found, strict=True):
                # Every value was just seen to be of this type: there is nothing left to test.
                typed[at] = replace(convert(opened.columns[at], kind), test=None)
    return tuple(typed)


def _infer(connection: duckdb.DuckDBPyConnection, relation: str, columns: list[RawColumn]) -> list[str]:
    """Return the type of each text column. The first rows only rule types out; what is left is tested on all rows."""
    left = [tuple(range(len(INFERRED))) for _ in columns]
    for rows in (f"(FROM {relation} LIMIT {FIRST_ROWS})", relation):
        wanted = ", ".join(item for column, forms in zip(columns, left, strict=True) for item in counts(column, forms))
        row = iter(connection.execute(f"SELECT {wanted} FROM {rows}").fetchone() or ())  # noqa: S608
        for at, forms in enumerate(left):
            values = next(row)
            left[at] = tuple([form for form, count in zip(forms, [next(row) for _ in forms], strict=True) if count == values])
            if not values and rows == relation:
                left[at] = ()
    return [INFERRED[forms[0]][0] if forms else "text" for forms in left]


def check_rows(
    connection: duckdb.DuckDBPyConnection, opened: Opened, columns: tuple[TypedColumn, ...], request: Request
) -> int:
    """Return the number of rows. Raises Fault for none, or where rows are not what was declared, with their number."""
    tested = [(raw, column) for raw, column in zip(opened.columns, columns, strict=True) if column.test is not None]
    wanted = ["count(*)", *(f"count(*) FILTER (WHERE {raw.value} IS NOT NULL AND NOT {new.test})" for raw, new in tested)]
    row = connection.execute(f"SELECT {', '.join(wanted)} FROM {opened.relation}").fetchone() or (0,)  # noqa: S608
    rows = int(row[0])
    if not rows:
        raise Fault("no-rows")
    for (raw, column), wrong in zip(tested, row[1:], strict=True):
        if wrong:
            where = _first_line(connection, opened, raw, column, request)
            raise Fault("type-mismatch", column=column.name, rows=int(wrong), total=rows, declared=column.type, where=where)
    return rows


def _first_line(
    connection: duckdb.DuckDBPyConnection, opened: Opened, raw: RawColumn, column: TypedColumn, request: Request
) -> str:
    if opened.encoding is None or opened.delimiter is None:
        return ""
    wrong = f"{raw.value} IS NOT NULL AND NOT {column.test}"
    numbered = f"SELECT row_number() OVER () - 1 AS place, {wrong} AS wrong FROM {opened.relation}"  # noqa: S608
    query = f"SELECT min(place) FROM ({numbered}) WHERE wrong"  # noqa: S608
    row = connection.execute(query).fetchone() or (0,)
    line = csvtext.line_of(request.path, opened.encoding, opened.delimiter, int(row[0]))
    return f", first at line {line}"


def create_view(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: tuple[TypedColumn, ...]
) -> list[tuple[str, str]]:
    """Make the table visible under its fixed name, `source`; return its columns with DuckDB's types."""
    values = ", ".join(f"{column.value} AS {quoted(column.name)}" for column in columns)
    connection.execute(f"CREATE VIEW source AS SELECT {values} FROM {relation}")  # noqa: S608
    return [(str(row[0]), str(row[1])) for row in connection.execute("DESCRIBE source").fetchall()]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
