"""CSV as text: encoding, delimiter, records, and the line of whatever is wrong with them. Worker side.

All fields are read as text; types are a matter of `columns`. An empty field is NULL, quoted or not. Empty lines are skipped.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from sandbox.sources.pipe import CHUNK_BYTES, Fault

ENCODINGS = {
    "ascii": "utf-8",
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "iso8859-1": "latin-1",
    "cp1252": "cp1252",
    "big5": "big5",
}
DELIMITERS = (",", "\t", ";", "|")
BLOCK_BYTES = 2 << 20
"""No record may be longer. Arrow reads 32 blocks ahead of whoever consumes them, so this bounds the memory of a stream too."""
SAMPLE_CHARACTERS = 1 << 18
csv.field_size_limit(2**31 - 1)  # the module's own limit is 128 KiB; ours is BLOCK_BYTES
_NUMBER_OR_DATE = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")


def known_encoding(name: str) -> str:
    """Return the encoding as it is used here. Raises Fault for one that is not supported."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    if found not in ENCODINGS:
        raise Fault("encoding-unknown", encoding=name if name.isascii() else "?", supported=", ".join(sorted(ENCODINGS)))
    return ENCODINGS[found]


def find_encoding(path: str) -> str:
    """Return a file's encoding: a byte order mark, else strict UTF-8, else GB18030 or latin-1 where the bytes say which.

    Raises Fault `encoding-unclear` instead of guessing between the two.
    """
    with Path(path).open("rb") as file:
        head = file.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if head[0::2].count(0) > len(head) // 4:
        return "utf-16-be"
    if _decodes(path, "utf-8"):
        return "utf-8"
    pairs = high = controls = 0
    for chunk in _chunks(path):
        high += sum(byte >= 0x80 for byte in chunk)
        pairs += len(re.findall(rb"[\xb0-\xf7][\xa1-\xfe]|[\xa1-\xa9][\xa1-\xfe]", chunk))
        controls += sum(0x80 <= byte < 0xA0 for byte in chunk)
    if 2 * pairs >= 0.9 * high and _decodes(path, "gb18030"):
        return "gb18030"
    if 2 * pairs <= 0.1 * high and not controls:
        return "latin-1"
    raise Fault("encoding-unclear")


def find_delimiter(path: str, encoding: str) -> str:
    """Return the delimiter that gives the most columns with as many fields in every record of the file's first part."""
    with Path(path).open(encoding=_python_name(encoding), newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
        complete = not file.read(1)
    best, best_rank = DELIMITERS[0], (False, 0)
    for delimiter in DELIMITERS:
        widths = [len(record) for record in csv.reader(sample.splitlines(keepends=True), delimiter=delimiter) if record]
        widths = widths if complete or len(widths) < 2 else widths[:-1]
        if not widths or widths[0] < 2:
            continue
        rank = (len(set(widths)) == 1, widths[0])
        if rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def survey(path: str, encoding: str) -> None:
    """Raise Fault for an empty file, bytes that are not of the encoding, or a NUL character; with its line."""
    decoder = codecs.getincrementaldecoder(_python_name(encoding))("strict")
    lines, empty = 1, True
    for chunk in itertools.chain(_chunks(path), (b"",)):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            inside = chunk[: max(0, error.start)].count(b"\n")
            raise Fault("encoding", line=lines + inside, encoding=encoding) from None
        if "\0" in text:
            raise Fault("nul", line=lines + text.count("\n", 0, text.index("\0")))
        empty = empty and not text.strip()
        lines += text.count("\n")
    if empty:
        raise Fault("empty-file")


def read_header(path: str, encoding: str, delimiter: str) -> tuple[list[str], int]:
    """Return the column names, blanks around them dropped, and the number of lines that they take."""
    reader = _records(path, encoding, delimiter)
    line, names = next(reader)
    names = [name.strip() for name in names]
    if all(_NUMBER_OR_DATE.fullmatch(name) for name in names):
        raise Fault("no-header")
    return names, line


def read_texts(path: str, encoding: str, delimiter: str) -> tuple[list[str], pa.Table]:
    """Return the column names, and all records as an Arrow table of text columns named `0`, `1`, ...

    Raises Fault with the line of the first record that has too few or too many fields, or whose quotes never close.
    """
    names, header_lines = read_header(path, encoding, delimiter)
    positions = [str(position) for position in range(len(names))]
    sentinel = secrets.token_hex(16)
    try:
        table = pyarrow.csv.read_csv(
            pa.PythonFile(_Utf8(path, encoding, tail=delimiter.join([sentinel] * len(names)))),
            **_options(positions, header_lines, delimiter),
        )
    except pa.ArrowInvalid:
        table = None
    # An open quote swallows everything after it, the sentinel too, and pyarrow takes that for a value.
    if table is None or not table.num_rows or table.column(0)[-1].as_py() != sentinel:
        raise diagnose(path, encoding, delimiter, len(names))
    return names, table.slice(0, table.num_rows - 1)


def stream_texts(path: str, encoding: str, delimiter: str) -> Iterator[pa.RecordBatch]:
    """Yield all records in batches, in bounded memory: text columns named `0`, `1`, ... Raises Fault as `read_texts`."""
    names, header_lines = read_header(path, encoding, delimiter)
    positions = [str(position) for position in range(len(names))]
    sentinel = secrets.token_hex(16)
    source = _Utf8(path, encoding, tail=delimiter.join([sentinel] * len(names)))
    last: pa.RecordBatch | None = None
    try:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(source),
            **_options(positions, header_lines, delimiter),
        )
        for batch in reader:
            if last is not None:
                yield last
            last = batch if len(batch) else last
        broken = False
    except pa.ArrowInvalid:
        broken = True
    if broken or last is None or last.column(0)[-1].as_py() != sentinel:
        raise diagnose(path, encoding, delimiter, len(names))
    yield last.slice(0, len(last) - 1)


def _options(positions: list[str], header_lines: int, delimiter: str) -> dict[str, Any]:
    """How pyarrow is to read: every field as text, an empty one as NULL, quoted line breaks inside fields."""
    return {
        "read_options": pyarrow.csv.ReadOptions(
            column_names=positions, skip_rows=header_lines, block_size=BLOCK_BYTES, use_threads=False
        ),
        "parse_options": pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(positions, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    }


def diagnose(path: str, encoding: str, delimiter: str, width: int) -> Fault:
    """Return the fault of the first record that is not `width` fields, or not closed, by reading the file slowly."""
    line = 0
    try:
        for line, record in _records(path, encoding, delimiter, strict=True):
            if len(record) != width:
                return Fault("ragged", line=line, found=len(record), expected=width)
    except csv.Error:
        return Fault("open-quote", line=line + 1)
    if Path(path).stat().st_size > BLOCK_BYTES:
        return Fault("long-line", limit_bytes=BLOCK_BYTES)
    return Fault("csv")


def line_of(path: str, encoding: str, delimiter: str, row: int) -> int:
    """Return the line on which data row `row` (0 is the first after the header) ends."""
    records = _records(path, encoding, delimiter)
    return next(itertools.islice(records, row + 1, None), (0, []))[0]


def _records(path: str, encoding: str, delimiter: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    with Path(path).open(encoding=_python_name(encoding), newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=strict)
        for record in reader:
            if record:
                yield reader.line_num, record


def _python_name(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _chunks(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _decodes(path: str, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class _Utf8:
    """A file as UTF-8 bytes without byte order mark, and one more line at its end."""

    def __init__(self, path: str, encoding: str, tail: str) -> None:
        self._decoder = codecs.getincrementaldecoder(_python_name(encoding))("strict")
        self._chunks: Iterator[bytes] = itertools.chain(_chunks(path), (b"",))
        self._tail = f"\n{tail}\n"
        self._held = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while size < 0 or len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            text = self._decoder.decode(chunk, final=not chunk)
            self._held += (text if chunk else text + self._tail).encode()
        result, self._held = (self._held, b"") if size < 0 else (self._held[:size], self._held[size:])
        return result

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Drop what is held."""
        self.closed = True
        self._held = b""
