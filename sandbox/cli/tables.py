"""Tables that pass through a command in batches: CSV and Parquet in, the same out, nothing left behind on failure."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from sandbox.errors import StateError, UsageError
from sandbox.sources import SourceFault, csvtext
from sandbox.sources.columns import check_names
from sandbox.sources.pipe import Fault

BATCH_ROWS = 1 << 14
CSV, PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")
_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"

Read = Callable[[], Iterable[pa.RecordBatch]]


class InputTable:
    """A file that can be read from its start as often as needed. schema: as the batches come; rows: how many there are.

    numbers: columns of a CSV that are numbers; they become int64 if every value is a whole number, else float64. All other
    columns of a CSV stay the text that they are. Raises SourceFault.
    """

    def __init__(
        self, path: Path, *, numbers: Collection[str], encoding: str | None = None, delimiter: str | None = None
    ) -> None:
        self.path = path
        self._what = repr(str(path))
        self._identity = _identity(path, self._what)
        self.is_csv = path.suffix.lower() in CSV
        if not self.is_csv and path.suffix.lower() not in PARQUET:
            raise SourceFault("kind", self._what)
        with self._faults():
            if self.is_csv:
                self._open_csv(numbers, encoding, delimiter)
            else:
                self._open_parquet()
            if not self.rows:
                raise Fault("no-rows")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the table's batches from the start. Raises SourceFault, also for a file that changed since it was opened."""
        with self._faults():
            yield from self._csv() if self.is_csv else self._parquet()
            if _identity(self.path, self._what) != self._identity:
                raise Fault("changed")

    def _open_csv(self, numbers: Collection[str], encoding: str | None, delimiter: str | None) -> None:
        path = str(self.path)
        self._encoding = csvtext.known_encoding(encoding) if encoding else csvtext.find_encoding(path)
        csvtext.survey(path, self._encoding)
        if delimiter is not None and (
            len(delimiter) != 1 or delimiter == '"' or not (delimiter == "\t" or delimiter.isprintable())
        ):
            raise Fault("delimiter")
        self._delimiter = delimiter or csvtext.find_delimiter(path, self._encoding)
        names, _ = csvtext.read_header(path, self._encoding, self._delimiter)
        check_names(names)
        # All of it is read once before anything is written: what is broken on the last line is known now.
        self.rows = 0
        whole, wrong = dict.fromkeys(numbers, True), dict.fromkeys(numbers, 0)
        for batch in csvtext.stream_texts(path, self._encoding, self._delimiter):
            self.rows += len(batch)
            for at, name in enumerate(names):
                if name in whole:
                    whole[name] = whole[name] and _all(batch.column(at), _INTEGER)
                    wrong[name] += 0 if whole[name] else _misfits(batch.column(at), _NUMBER)
        for name, count in wrong.items():
            if count:
                raise Fault("type-mismatch", column=name, rows=count, total=self.rows, declared="float", where="")
        kinds = [(pa.int64() if whole[name] else pa.float64()) if name in whole else pa.large_string() for name in names]
        self.schema = pa.schema(list(zip(names, kinds, strict=True)))

    def _csv(self) -> Iterator[pa.RecordBatch]:
        for batch in csvtext.stream_texts(str(self.path), self._encoding, self._delimiter):
            columns = [column.cast(field.type) for column, field in zip(batch.columns, self.schema, strict=True)]
            yield from _cut(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def _open_parquet(self) -> None:
        from protocols.desensitise.pipeline import plain

        with pa.parquet.ParquetFile(self.path) as file:
            self.rows = file.metadata.num_rows
            self.schema = plain(file.schema_arrow).remove_metadata()
        check_names(self.schema.names)

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        with pa.parquet.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                batch.validate(full=True)
                columns = [column.cast(field.type) for column, field in zip(batch.columns, self.schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Library texts quote cells, so that only codes leave here."""
        fault: Fault | None = None
        try:
            yield
        except Fault as found:
            fault = found
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            fault = Fault("unreadable", kind="CSV" if self.is_csv else "Parquet")
        if fault is not None:
            changed = _identity(self.path, self._what) != self._identity
            raise SourceFault.of(Fault("changed") if changed else fault, self._what)


@contextmanager
def fresh_file(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file that appears under its name only when all went well, and never in the place of another.

    Where the system can, it has no name until then, so that not even a killed process leaves anything. private: only its owner
    may read it. Raises StateError: exists already, cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise StateError(f"{str(path)!r} exists and stays as it is; name a new file")
    problem = ""
    try:
        with _nameless(path.parent, 0o600 if private else 0o644) as (file, name):
            yield file
            file.flush()
            os.fsync(file.fileno())
            folder = os.open(path.parent, os.O_RDONLY)
            try:  # with a folder's descriptor this is linkat, which follows /proc/self/fd/N; link would not
                os.link(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
    except FileExistsError:
        problem = "exists and stays as it is; name a new file"
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
    if problem:
        raise StateError(f"{str(path)!r} {problem}")


@contextmanager
def _nameless(folder: Path, mode: int) -> Iterator[tuple[IO[bytes], str]]:
    """Yield an open file of this folder, and by what it can be linked."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is not None:
        descriptor = -1
        with suppress(OSError):  # not every file system has it
            descriptor = os.open(folder, flag | os.O_RDWR, mode)
        if descriptor >= 0:
            with os.fdopen(descriptor, "wb") as file:
                yield file, f"/proc/self/fd/{descriptor}"
            return
    name = folder / f".{secrets.token_hex(8)}.part"
    try:
        with open(name, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            yield file, str(name.absolute())
    finally:
        name.unlink(missing_ok=True)


def writer(path: Path, file: IO[bytes], schema: pa.Schema) -> Any:
    """Return the writer of a file's kind, by its ending. Raises UsageError for an unknown one."""
    if path.suffix.lower() in CSV[:2]:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        return pa.csv.CSVWriter(file, schema, write_options=pa.csv.WriteOptions(delimiter=delimiter))
    if path.suffix.lower() in PARQUET:
        return pa.parquet.ParquetWriter(file, schema)
    raise UsageError(f"the kind of {path.name!r} is not known; end it in .csv, .tsv or .parquet")


def read_small(path: Path, *, limit: int, what: str, private: bool = False) -> bytes:
    """Return a small file's bytes. private: only its owner may have any right on it.

    Raises UsageError: missing, too long, not regular, or (private) open to others.
    """
    problem = ""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                problem = "is not a regular file"
            elif private and (status.st_mode & 0o077 or status.st_uid != os.geteuid()):
                problem = "may be read or written by others; make it yours alone: chmod 600"
            else:
                data = file.read(limit + 1)
                problem = f"has more than {limit} bytes" if len(data) > limit else ""
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or 'no such file'}"
    if problem:
        raise UsageError(f"{what} {str(path)!r} {problem}")
    return data


def read_text(path: Path, *, limit: int, what: str) -> str:
    """Return a small file's text, UTF-8. Raises UsageError."""
    data = read_small(path, limit=limit, what=what)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    raise UsageError(f"{what} {str(path)!r} is not UTF-8 (line {line})")


def read_key(path: Path) -> bytes:
    """Return a key: a file of at least 32 bytes, or of at least 64 hexadecimal digits, that only its owner may read."""
    data = read_small(path, limit=4096, what="the key file", private=True)
    text = data.strip()
    if re.fullmatch(rb"(?:[0-9A-Fa-f]{2}){32,}", text):
        return bytes.fromhex(text.decode("ascii"))
    if len(data) < 32:
        raise UsageError(
            f"the key file {str(path)!r} has {len(data)} bytes; 32 random ones are needed: head -c 32 /dev/urandom"
        )
    return data


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(batch), BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _all(texts: pa.Array, pattern: str) -> bool:
    return _misfits(texts, pattern) == 0


def _misfits(texts: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.invert(pc.match_substring_regex(texts, pattern)).cast(pa.int64())).as_py() or 0)


def _identity(path: Path, what: str) -> tuple[int, ...]:
    """Return what changes when somebody writes to a file. Raises SourceFault unless it is a regular file that may be read."""
    code = ""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            code = "directory"
        elif not stat.S_ISREG(status.st_mode):
            code = "not-regular"
        elif not os.access(path, os.R_OK):
            code = "permission"
    except PermissionError:
        code = "permission"
    except (OSError, ValueError):
        code = "missing"
    if code:
        raise SourceFault(code, what)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
