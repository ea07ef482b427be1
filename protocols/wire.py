"""Frames: a message as bytes. A typed JSON header and the columns as one Arrow record batch, versioned and size-limited.

Layout: magic `PDS1` · header length (u32 LE) · body length (u64 LE) · header · body. The header is accepted only if encoding
what was read gives the same bytes again, so a frame has one form. The body is an uncompressed Arrow IPC stream of exactly
one record batch, or empty for a message without columns.
"""

from __future__ import annotations

import dataclasses
import struct
import typing
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols.errors import ParameterError
from protocols.message import Column, Message, columns_of, message_type

MAGIC = b"PDS1"
MAX_HEADER_BYTES = 1 << 20
MAX_BODY_BYTES = 1 << 30
MAX_ROW_BYTES = 1 << 20
_PREFIX = struct.Struct("<4sIQ")
# Schema, batch metadata, alignment and end-of-stream marker of an Arrow stream: what a body may hold beside its columns.
_ARROW_OVERHEAD_BYTES = 4096
# MetadataVersion.V5 of the Arrow format; version 4 has a second way to declare compression.
_ARROW_V5 = 4


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a frame's header that every message shares.

    session: 16 bytes hex. sequence: 0, 1, … per sender and recipient. nonce: 16 random bytes hex, so that a
    transcript's hashes tell nothing about guessable contents. rows: length of every column. widths: bytes per row of
    each column, in field order.
    """

    tag: str
    session: str
    sender: str
    recipient: str
    sequence: int
    nonce: str
    rows: int
    widths: tuple[int, ...]


_HEADER_TYPES: dict[str, type[msgspec.Struct]] = {}


def _header_type(kind: type[Message]) -> type[msgspec.Struct]:
    if kind.TAG in _HEADER_TYPES:
        return _HEADER_TYPES[kind.TAG]
    hints = typing.get_type_hints(kind)
    plain = [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if "column" not in field.metadata]
    fields = msgspec.defstruct(
        f"{kind.__name__}Fields",
        [(name, hints[name]) for name in plain],
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )
    _HEADER_TYPES[kind.TAG] = msgspec.defstruct(
        f"{kind.__name__}Header",
        [("envelope", Envelope), ("fields", fields)],
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )
    return _HEADER_TYPES[kind.TAG]


class _Peek(msgspec.Struct, frozen=True):
    envelope: Envelope


def encode_frame(message: Message, *, session: str, sender: str, recipient: str, sequence: int, nonce: str) -> bytes:
    """Return the frame of one message."""
    kind = type(message)
    arrays = [getattr(message, name) for name in columns_of(kind)]
    header_type = _header_type(kind)
    fields_type = typing.get_type_hints(header_type)["fields"]
    header = header_type(
        envelope=Envelope(
            tag=kind.TAG,
            session=session,
            sender=sender,
            recipient=recipient,
            sequence=sequence,
            nonce=nonce,
            rows=len(arrays[0]) if arrays else 0,
            widths=tuple(_row_bytes(array) for array in arrays),
        ),
        fields=fields_type(**{name: getattr(message, name) for name in fields_type.__struct_fields__}),
    )
    head = msgspec.json.encode(header, order="sorted")
    body = _encode_columns(columns_of(kind), arrays)
    if len(head) > MAX_HEADER_BYTES or len(body) > MAX_BODY_BYTES:
        raise ParameterError(f"{kind.__name__} of {len(head) + len(body)} bytes exceeds the frame limit; send smaller chunks")
    return b"".join((_PREFIX.pack(MAGIC, len(head), len(body)), head, body))


def decode_frame(frame: bytes) -> tuple[Envelope, Message]:
    """Return the envelope and the message of a frame. Raises ParameterError for anything but a well-formed one."""
    head, body = _split(frame)
    try:
        envelope = msgspec.json.decode(head, type=_Peek).envelope
        kind = message_type(envelope.tag)
        if kind is None:
            raise ParameterError("the frame's message tag is unknown")
        header = msgspec.json.decode(head, type=_header_type(kind))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ParameterError("the frame's header is malformed") from None
    if msgspec.json.encode(header, order="sorted") != head:
        raise ParameterError("the frame's header is not in canonical form")
    declared = columns_of(kind)
    if len(envelope.widths) != len(declared) or envelope.rows < 0:
        raise ParameterError(f"the frame's columns are not those of {kind.__name__}")
    arrays = _decode_columns(declared, envelope, body)
    fields = typing.cast(Any, header).fields
    return envelope, kind(**{name: getattr(fields, name) for name in fields.__struct_fields__}, **arrays)


def _split(frame: bytes) -> tuple[bytes, memoryview]:
    if len(frame) < _PREFIX.size:
        raise ParameterError(f"a frame of {len(frame)} bytes is truncated")
    magic, head_bytes, body_bytes = _PREFIX.unpack_from(frame)
    if magic != MAGIC:
        raise ParameterError("not a frame of this version")
    if head_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
        raise ParameterError("the frame declares more than the size limit")
    if len(frame) != _PREFIX.size + head_bytes + body_bytes:
        raise ParameterError(f"a frame of {len(frame)} bytes is truncated or padded")
    return frame[_PREFIX.size : _PREFIX.size + head_bytes], memoryview(frame)[_PREFIX.size + head_bytes :]


def _row_bytes(array: npt.NDArray[Any]) -> int:
    return array.shape[1] if array.ndim == 2 else array.dtype.itemsize


def _arrow_type(declared: Column, width: int) -> Any:
    return pa.binary(width) if declared.width is not None else pa.from_numpy_dtype(np.dtype(declared.kind))


def _encode_columns(declared: dict[str, Column], arrays: list[npt.NDArray[Any]]) -> bytes:
    if not arrays:
        return b""
    columns = []
    for column, array in zip(declared.values(), arrays, strict=True):
        kind = _arrow_type(column, _row_bytes(array))
        columns.append(pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(np.ascontiguousarray(array))]))
    batch = pa.record_batch(columns, names=list(declared))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _decode_columns(declared: dict[str, Column], envelope: Envelope, body: memoryview) -> dict[str, npt.NDArray[Any]]:
    if not declared:
        if len(body) or envelope.rows:
            raise ParameterError("the frame carries columns that its message does not have")
        return {}
    for (name, column), width in zip(declared.items(), envelope.widths, strict=True):
        fixed = np.dtype(column.kind).itemsize if column.width is None else column.width
        if not 1 <= width <= MAX_ROW_BYTES or (fixed and width != fixed):
            raise ParameterError(f"the frame declares column {name} with rows of {width} bytes")
    expected = envelope.rows * sum(envelope.widths)
    if not expected <= len(body) <= expected + _ARROW_OVERHEAD_BYTES + 64 * len(declared):
        raise ParameterError(f"the frame's body of {len(body)} bytes does not hold the {envelope.rows} rows declared")
    schema = pa.schema(
        [
            pa.field(name, _arrow_type(column, width))
            for (name, column), width in zip(declared.items(), envelope.widths, strict=True)
        ]
    )
    batch = _read_single_batch(body, schema)
    if batch.num_rows != envelope.rows:
        raise ParameterError("the frame's body has another number of rows than declared")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for (name, column), width in zip(declared.items(), envelope.widths, strict=True):
        data = batch.column(name)
        if data.null_count or data.offset:
            raise ParameterError("the frame's body has missing values")
        kind = np.dtype(column.kind)
        flat = np.frombuffer(data.buffers()[1], dtype=kind, count=envelope.rows * width // kind.itemsize)
        arrays[name] = flat if column.width is None else flat.reshape(envelope.rows, width)
    return arrays


def _read_single_batch(body: memoryview, schema: Any) -> Any:
    try:
        reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        if not pa.ipc.read_schema(reader.read_next_message()).equals(schema, check_metadata=True):
            raise ParameterError("the frame's columns are not of the declared types")
        message = reader.read_next_message()
        if message.type != "record batch" or not _is_plain(bytes(message.metadata)):
            raise ParameterError("the frame's body is not one uncompressed batch")
        if _has_more(reader):
            raise ParameterError("the frame's body is not exactly one batch")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
    except (pa.ArrowException, OSError, StopIteration, struct.error, EOFError):
        raise ParameterError("the frame's body is malformed") from None
    return batch


def _has_more(reader: Any) -> bool:
    try:
        reader.read_next_message()
    except StopIteration:
        return False
    return True


def _is_plain(metadata: bytes) -> bool:
    """Tell whether an Arrow message of version 5 declares no compression, in either place that a reader heeds.

    Looked up by hand (Arrow format, Message.fbs) since a compressed body is unpacked before anything else can be checked.
    """

    def field(table: int, slot: int) -> int | None:
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        if 4 + 2 * slot >= struct.unpack_from("<H", metadata, vtable)[0]:
            return None
        offset = struct.unpack_from("<H", metadata, vtable + 4 + 2 * slot)[0]
        return table + offset if offset else None

    message = struct.unpack_from("<I", metadata, 0)[0]
    version, header, extra = field(message, 0), field(message, 2), field(message, 4)
    if version is None or header is None or extra is not None:
        return False
    if struct.unpack_from("<h", metadata, version)[0] != _ARROW_V5:
        return False
    return field(header + struct.unpack_from("<I", metadata, header)[0], 3) is None
