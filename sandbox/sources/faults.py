"""SourceFault, and the one table that says every fault in words: what, where, what to do."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.errors import SourceError
from sandbox.sources.pipe import Fault, Place


class SourceFault(SourceError):  # noqa: N818  (a kind of SourceError)
    """A source that cannot be read as declared. `code` names the fault, `places` say where; neither holds a cell's value."""

    def __init__(self, code: str, what: str, places: Mapping[str, Place] | None = None) -> None:
        self.code = code
        self.places = dict(places or {})
        problem = MESSAGES.get(code, MESSAGES["lost"])
        super().__init__(f"{what}: {problem.format_map(_Known(self.places))} [{code}]")

    @classmethod
    def of(cls, fault: Fault, what: str) -> SourceFault:
        """Return the error for a fault that came over the pipe."""
        return cls(fault.code, what, fault.places)


class _Known(dict[str, Place]):
    def __missing__(self, key: str) -> str:
        return "?"


MESSAGES = {
    # the file itself
    "missing": "no such file; give the path of the file on this machine",
    "directory": "is a directory; give one file",
    "not-regular": "is not a regular file; give a file on a disk",
    "permission": "may not be read by this account; grant it read permission",
    "kind": "its kind is not known from its name; use .csv, .tsv, .txt, .parquet, .pq, .duckdb or .ddb, or a SourceSpec",
    "changed": "changed while it was read; nothing was used. Read it again when nobody writes to it",
    "changed-since": "is not the content that was registered; register the table again if the change is meant",
    "frame-missing": "is a frame in memory that is not here any more; give the frame again",
    # its text
    "empty-file": "is empty; a CSV file starts with a line of column names",
    "no-rows": "has column names and no rows; nothing can be computed over it",
    "encoding-unknown": "encoding {encoding} is not supported; use one of {supported}",
    "encoding": "line {line} is not valid {encoding}; give the file's real encoding with encoding=",
    "encoding-unclear": "the encoding cannot be told from the bytes; give encoding=, for example 'gb18030' or 'latin-1'",
    "delimiter": "the delimiter must be one printable character or a tab, and no quote",
    "nul": "line {line} has a NUL character; the file is damaged or in another encoding",
    "ragged": "line {line} has {found} fields, the header has {expected}; repair the line, or give delimiter=",
    "open-quote": "the quoted field that starts in the record at line {line} is not closed properly; repair the quotes",
    "csv": "the text cannot be split into records; check quotes and delimiter",
    "long-line": "a record is longer than {limit_bytes} bytes; check for a quote that is never closed",
    # its columns
    "no-header": "the first line looks like data, not like column names; add a line of names",
    "column-name": "column {position} has an empty or unprintable name; name it with printable characters (at most 128)",
    "duplicate-name": "columns {first} and {second} have the same name (case does not count); rename one",
    "column-label": "column {position} is not named by text; rename it",
    "no-columns": "has no column of a type that can be used (numbers, text, booleans, dates, timestamps)",
    "mixed": "column {column!r} mixes kinds of values, or holds a kind or a size that cannot be used; convert it to one type",
    "type-unknown-column": "types names {column!r}, which is not a column; the columns are {columns}",
    "type-conversion": "column {column!r} is {found} and cannot be read as {declared}; correct its type in types",
    "type-mismatch": "column {column!r}: {rows} of {total} rows are not {declared}{where}; correct them, or declare text",
    "text-nul": "column {column!r}: {rows} rows have a NUL character; clean them before the column is used",
    "text-long": "column {column!r}: {rows} rows have more than {limit_bytes} bytes; it cannot be used as a key or group",
    # its container
    "unreadable": "is not a readable {kind} file: truncated, damaged, encrypted, or of another kind",
    "locked": "another process has the database open for writing; close it there, or read a checkpointed copy",
    "table-needed": "has {count} tables; name one with table=",
    "table-missing": "has no table of that name; it has {count} tables: {tables}",
    "table-view": "is a view; name a base table, since only stored rows are read in place",
    # the worker
    "statement": "statement {statement} is not one SELECT",
    "query-rejected": "statement {statement} does not fit the table's columns or types",
    "query-failed": "statement {statement} stopped on a value, or on a damaged part of the file",
    "memory": "needs more than the {limit_bytes} bytes of memory that a worker may use; raise the limit or read fewer columns",
    "timeout": "took longer than {limit_s} s; raise the limit or ask for less",
    "result-size": "the result is larger than {limit_bytes} bytes; raise the limit or ask for less",
    "lost": "the worker ended without a result (out of memory, killed, or damaged data)",
    "start": "the worker process could not be started; check the installation with `sandbox doctor`",
}
