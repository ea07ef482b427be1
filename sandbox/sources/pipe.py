"""What the node and its worker say over the pipe: a request, an Arrow stream, frames, faults. Standard library only.

Request: 4-byte length, JSON, then (for data in memory) one Arrow IPC stream until end of file.
Reply: frames of 1-byte tag, 4-byte length, payload. `T`: the next bytes of an IPC stream with one record batch; `B`: that batch
is complete; `N`: so is its table, which has one batch at least; `D`: done, JSON; `F`: a fault, JSON. A fault may come at any
time and is the last frame.
"""

from __future__ import annotations

import datetime
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO

Place = int | str
Parameter = None | bool | int | float | str | Decimal | datetime.date | datetime.datetime

HEADER = struct.Struct(">cI")
LENGTH = struct.Struct(">I")
TABLE, BATCH, NEXT, DONE, FAULT = b"T", b"B", b"N", b"D", b"F"
CHUNK_BYTES = 1 << 20
BATCH_ROWS = 1 << 16


class Fault(Exception):  # noqa: N818  (a message on the pipe, turned into SourceFault on the other side)
    """A fault as it crosses the pipe: a code and places (line, position, column name, counts). Never a value, never a text."""

    def __init__(self, code: str, **places: Place) -> None:
        super().__init__(code)
        self.code = code
        self.places = places


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one worker may use.

    memory_bytes bounds DuckDB's memory; the process's address space is bounded to twice that and 4 GiB.
    result_bytes bounds all result tables together; timeout_s is wall-clock time from start to the last byte.
    """

    memory_bytes: int = 4 << 30
    threads: int = 2
    timeout_s: float = 600.0
    result_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One worker run: open this source, look at it (`inspect`) or run statements over `source`."""

    kind: str
    path: str
    table: str | None
    encoding: str | None
    delimiter: str | None
    types: tuple[tuple[str, str], ...]
    inspect: bool
    statements: tuple[tuple[str, tuple[Parameter, ...]], ...]
    limits: Limits

    def to_bytes(self) -> bytes:
        """Return the request as it goes over the pipe, length first."""
        body = json.dumps(
            {
                "kind": self.kind,
                "path": self.path,
                "table": self.table,
                "encoding": self.encoding,
                "delimiter": self.delimiter,
                "types": self.types,
                "inspect": self.inspect,
                "statements": [[text, [pack(value) for value in values]] for text, values in self.statements],
                "limits": [self.limits.memory_bytes, self.limits.threads, self.limits.timeout_s, self.limits.result_bytes],
            }
        ).encode()
        return LENGTH.pack(len(body)) + body

    @classmethod
    def read(cls, stream: BinaryIO) -> Request:
        """Return the request at the head of the stream; what follows is the Arrow stream, if there is one."""
        (length,) = LENGTH.unpack(stream.read(LENGTH.size))
        body = json.loads(stream.read(length))
        memory_bytes, threads, timeout_s, result_bytes = body.pop("limits")
        return cls(
            limits=Limits(memory_bytes=memory_bytes, threads=threads, timeout_s=timeout_s, result_bytes=result_bytes),
            types=tuple((name, kind) for name, kind in body.pop("types")),
            statements=tuple((text, tuple(unpack(item) for item in values)) for text, values in body.pop("statements")),
            **body,
        )


def pack(value: Parameter) -> list[str | None]:
    """Return a bound parameter as [type, text]. Raises TypeError for a type that SQL literals do not have."""
    if value is None:
        return ["null", None]
    for name, kind, to_text, _ in _PARAMETERS:
        if type(value) is kind:
            return [name, to_text(value)]
    raise TypeError(f"a parameter of type {type(value).__name__} cannot be bound; use int, float, str, bool, Decimal or dates")


def unpack(item: list[str | None]) -> Parameter:
    """Return the parameter that `pack` wrote."""
    name, text = item
    if text is None:
        return None
    return next(from_text(text) for known, _, _, from_text in _PARAMETERS if known == name)


def _isoformat(value: Parameter) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


_PARAMETERS: tuple[tuple[str, type, Callable[[Parameter], str], Callable[[str], Parameter]], ...] = (
    ("boolean", bool, str, lambda text: text == "True"),
    ("integer", int, str, int),
    ("float", float, repr, float),
    ("text", str, str, str),
    ("decimal", Decimal, str, Decimal),
    ("timestamp", datetime.datetime, _isoformat, datetime.datetime.fromisoformat),
    ("date", datetime.date, _isoformat, datetime.date.fromisoformat),
)
