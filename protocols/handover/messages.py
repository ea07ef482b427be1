"""Messages of a handover. The provider and the gate can read them; the operator gets none."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.message import Message, column, register

MAX_TABLE_BYTES = 1 << 31
MAX_STATEMENT_BYTES = 1 << 19
MAX_ROWS = 1 << 28


@register(tag="release/1/opened")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Message):
    """Operator -> gate: the session begins, with these parameters."""

    params: bytes


@register(tag="release/1/asked")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Message):
    """Gate -> provider: send the table, with these parameters."""

    params: bytes


@register(tag="release/1/arrived")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrived(Message):
    """Gate -> operator: the provider's table is here, whole. It says nothing of it."""


@register(tag="release/1/statement")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Message):
    """Provider -> gate: what the provider says of its table, signed; and how large the table is.

    document: a signed document, opaque here. size_bytes: of the table's file; its chunks follow. rows: tags that follow.
    """

    params: bytes
    document: bytes
    size_bytes: int
    rows: int

    def validate(self) -> None:
        """Refuse sizes that no table has."""
        if not 0 < self.size_bytes <= MAX_TABLE_BYTES or not 0 <= self.rows <= MAX_ROWS:
            raise ParameterError(f"a table has 1 to {MAX_TABLE_BYTES} bytes and at most {MAX_ROWS} rows")
        if not 0 < len(self.document) <= MAX_STATEMENT_BYTES:
            raise ParameterError(f"a statement has 1 to {MAX_STATEMENT_BYTES} bytes")


@register(tag="release/1/table-chunk")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableChunk(Message):
    """Provider -> gate: the next bytes of the table's file, in order. data: (n,) uint8."""

    data: npt.NDArray[np.uint8] = column("uint8")

    def validate(self) -> None:
        """Refuse an empty chunk."""
        if not len(self.data):
            raise ParameterError("a chunk of a table has at least one byte")


@register(tag="release/1/tags")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tags(Message):
    """Provider -> gate: the next rows' tags, (n,) uint64: equal for a person's rows of all releases of the table.

    A keyed hash under a secret of the provider; tells the gate which rows of two releases are one person's, and no key.
    """

    tags: npt.NDArray[np.uint64] = column("uint64")

    def validate(self) -> None:
        """Refuse an empty chunk."""
        if not len(self.tags):
            raise ParameterError("a chunk of tags has at least one row")
