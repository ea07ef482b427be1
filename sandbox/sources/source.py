"""Source: one provider's table, read in place and only through a worker."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa

from sandbox.model.expression import ColumnType
from sandbox.model.source import KINDS, SourceSpec
from sandbox.sources import frames
from sandbox.sources.columns import quoted
from sandbox.sources.faults import SourceFault
from sandbox.sources.pipe import Fault, Limits, Parameter, Request, pack
from sandbox.sources.process import Reply, run_worker

if TYPE_CHECKING:
    import pandas as pd

Statement = str | tuple[str, Sequence[Parameter]]
Cancellation = Callable[[], bool]

MAX_TEXT_BYTES = 4096


class Source:
    """A table that is open for questions of the sandbox's own making. Everything here stays at the provider's node.

    Made by `open_source`. spec: as it was settled (encoding, delimiter and all types filled in). left_out: (name, type) of
    columns whose type has no place here; `source` does not show them.
    """

    def __init__(self, spec: SourceSpec, *, data: pa.Table | None, limits: Limits, is_cancelled: Cancellation | None) -> None:
        self._data = data
        self._limits = limits
        self._what = f"{spec.kind} {spec.path}" if spec.path else "frame in memory"
        self._files = _files(spec)
        self._identity = _identity(self._files)
        if spec.fingerprint is not None and spec.fingerprint != self._content():
            raise SourceFault("changed-since", self._what)
        found = _end_of(self._run(spec, (), inspect=True, is_cancelled=is_cancelled))
        columns = tuple((str(name), cast(ColumnType, kind)) for name, kind in found["columns"])
        self._rows = int(found["rows"])
        self._sql_types = {str(name): str(kind) for name, kind in found["sql_types"]}
        self.left_out: tuple[tuple[str, str], ...] = tuple((str(name), str(kind)) for name, kind in found["left_out"])
        self.spec = msgspec.structs.replace(spec, encoding=found["encoding"], delimiter=found["delimiter"], types=columns)

    def __repr__(self) -> str:
        return f"<Source {self._what}: {len(self.spec.types)} columns>"

    def schema(self) -> tuple[tuple[str, ColumnType], ...]:
        """Return (name, type) per column, in the source's order."""
        return self.spec.types

    def sql_types(self) -> dict[str, str]:
        """Return DuckDB's type of each column of `source`, such as BIGINT, DECIMAL(10,2), VARCHAR, TIMESTAMP."""
        return dict(self._sql_types)

    def rows(self) -> int:
        """Return the number of rows. The provider's own knowledge: not to be sent anywhere."""
        return self._rows

    def fingerprint(self) -> str:
        """Return `sha256:<hex>` of the content. Raises SourceFault `changed` if it changed since it was opened."""
        self._check_unchanged()
        found = self._content()
        self._check_unchanged()
        return found

    def pinned(self) -> SourceSpec:
        """Return the settled spec with the fingerprint: opening it again refuses any other content."""
        return msgspec.structs.replace(self.spec, fingerprint=self.fingerprint())

    def query(self, statements: Sequence[Statement], *, is_cancelled: Cancellation | None = None) -> list[pa.Table]:
        """Return one table per statement, in order, all from one worker and one state of the source.

        A statement is SQL text, or (text, parameters) with `?` for None, bool, int, float, str, Decimal, date or naive
        datetime. It is one SELECT, made by the sandbox, over the table `source`: never a user's text. Columns come as int64 or
        decimal128(38, 0), decimal128, double, string, bool, date32, timestamp[us].
        Raises SourceFault (never with a value), Cancelled, TypeError for a parameter of another type.
        """
        tables: list[list[pa.RecordBatch]] = [[] for _ in statements]
        for number, batch in self.batches(statements, is_cancelled=is_cancelled):
            tables[number].append(batch)
        return [pa.Table.from_batches(batches) for batches in tables]

    def batches(self, statements: Sequence[Statement], *, is_cancelled: Cancellation | None = None) -> Reply:
        """Yield (number of the statement, next rows of its table) as they come: `query` in bounded memory.

        Nothing counts before the last one has come: a fault may follow, and the source is looked at once more. Each statement
        has one batch at least. To be exhausted or closed; the worker runs until then. Raises as `query`.
        """
        plain = tuple((item, ()) if isinstance(item, str) else (item[0], tuple(item[1])) for item in statements)
        for _, values in plain:
            for value in values:
                pack(value)
        return self._run(self.spec, plain, inspect=False, is_cancelled=is_cancelled)

    def check_text(self, names: Sequence[str], *, is_cancelled: Cancellation | None = None) -> None:
        """Raise SourceFault if a text column has NUL characters or values over 4,096 bytes: no key, group or code."""
        types = dict(self.spec.types)
        texts = [name for name in names if types.get(name) == "text"]
        if not texts:
            return
        counts = ", ".join(
            f"count(*) FILTER (WHERE contains({quoted(name)}, chr(0))), "
            f"count(*) FILTER (WHERE strlen({quoted(name)}) > {MAX_TEXT_BYTES})"
            for name in texts
        )
        (table,) = self.query([f"SELECT {counts} FROM source"], is_cancelled=is_cancelled)  # noqa: S608  (quoted names)
        row = [column[0].as_py() for column in table.columns]
        for at, name in enumerate(texts):
            for code, rows in (("text-nul", row[2 * at]), ("text-long", row[2 * at + 1])):
                if rows:
                    raise SourceFault(code, self._what, {"column": name, "rows": rows, "limit_bytes": MAX_TEXT_BYTES})

    def _run(
        self,
        spec: SourceSpec,
        statements: tuple[tuple[str, tuple[Parameter, ...]], ...],
        *,
        inspect: bool,
        is_cancelled: Cancellation | None,
    ) -> Reply:
        request = Request(
            kind=spec.kind,
            path=spec.path,
            table=spec.table,
            encoding=spec.encoding,
            delimiter=spec.delimiter,
            types=spec.types,
            inspect=inspect,
            statements=statements,
            limits=self._limits,
        )
        self._check_unchanged()
        try:
            found = yield from run_worker(request, data=self._data, what=self._what, is_cancelled=is_cancelled)
        except SourceFault:
            self._check_unchanged()  # a file in motion explains any fault
            raise
        self._check_unchanged()
        return found

    def _check_unchanged(self) -> None:
        if _identity(self._files) != self._identity:
            raise SourceFault("changed", self._what)

    def _content(self) -> str:
        if self._data is not None:
            return frames.fingerprint(self._data)
        state = hashlib.sha256()
        for path in self._files:
            if path.exists():
                with path.open("rb") as file:
                    state.update(hashlib.file_digest(file, "sha256").digest())
        return "sha256:" + state.hexdigest()


def _end_of(reply: Reply) -> dict[str, Any]:
    """Return what a reply without statements ends with."""
    try:
        while True:
            next(reply)
    except StopIteration as end:
        return dict(end.value)


def open_source(
    source: SourceSpec | str | os.PathLike[str] | pd.DataFrame | pa.Table,
    *,
    frame: pd.DataFrame | pa.Table | None = None,
    limits: Limits | None = None,
    is_cancelled: Cancellation | None = None,
) -> Source:
    """Return a source that has been looked at once, whole: columns and types are settled, and there is at least one row.

    source: a spec, a path (the kind from its name), a pandas frame or an Arrow table. frame: the data, for a spec of kind
    `frame` (to declare types). Nothing is copied to disk. Raises SourceFault, Cancelled.
    """
    spec, data = _spec(source, frame)
    what = f"{spec.kind} {spec.path}" if spec.path else "frame in memory"
    fault = None
    try:
        _check_delimiter(spec)
        table, left_out = (None, ()) if data is None else frames.settle(_arrow(data))
    except Fault as caught:
        fault = caught
    if fault is not None:
        raise SourceFault.of(fault, what)
    opened = Source(spec, data=table, limits=limits or Limits(), is_cancelled=is_cancelled)
    opened.left_out = (*left_out, *opened.left_out)
    return opened


def _spec(
    source: SourceSpec | str | os.PathLike[str] | pd.DataFrame | pa.Table, frame: pd.DataFrame | pa.Table | None
) -> tuple[SourceSpec, pd.DataFrame | pa.Table | None]:
    if isinstance(source, SourceSpec):
        if source.kind == "frame":
            if frame is None:
                raise SourceFault("frame-missing", "frame in memory")
            return source, frame
        return msgspec.structs.replace(source, path=str(_readable(source.path))), None
    if isinstance(source, str | os.PathLike):
        path = _readable(source)
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            raise SourceFault("kind", str(path))
        return SourceSpec(kind=kind, path=str(path)), None
    return SourceSpec(kind="frame"), source


def _readable(given: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a regular file that may be read. Raises SourceFault."""
    what, code = repr(os.fspath(given)), ""
    try:
        path = Path(given).expanduser().resolve(strict=True)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            code = "directory"
        elif not stat.S_ISREG(mode):
            code = "not-regular"
        elif not os.access(path, os.R_OK):
            code = "permission"
    except PermissionError:
        code = "permission"
    except (OSError, ValueError, RuntimeError):
        code = "missing"
    if code:
        raise SourceFault(code, what)
    return path


def _files(spec: SourceSpec) -> tuple[Path, ...]:
    if not spec.path:
        return ()
    wal = (Path(f"{spec.path}.wal"),) if spec.kind == "duckdb" else ()
    return (Path(spec.path), *wal)


def _identity(files: tuple[Path, ...]) -> tuple[tuple[int, ...] | None, ...]:
    """Return what changes whenever somebody writes to a file or puts another in its place."""
    found: list[tuple[int, ...] | None] = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return tuple(found)


def _arrow(data: pd.DataFrame | pa.Table) -> pa.Table:
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return frames.from_pandas(data)
    raise SourceFault("kind", f"object of type {type(data).__name__}")


def _check_delimiter(spec: SourceSpec) -> None:
    given = spec.delimiter
    if given is not None and (
        len(given) != 1 or not given.isascii() or given == '"' or not (given == "\t" or given.isprintable())
    ):
        raise Fault("delimiter")
