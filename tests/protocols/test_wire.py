"""Frames: every message survives the trip, and whatever is not a well-formed frame is refused by one kind of error."""

from __future__ import annotations

import dataclasses
import json
import resource
import struct
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import families

from protocols.errors import ParameterError, ProtocolError
from protocols.message import Message, column, columns_of, message_type, register, registered_tags
from protocols.wire import MAX_BODY_BYTES, MAX_HEADER_BYTES, Envelope, decode_frame, encode_frame

assert families.FAMILIES  # imports every family, so that all messages are registered
PREFIX_BYTES = 16


@register(tag="test/1/everything")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Everything(Message):
    """One field of each kind that a message may have."""

    number: int
    text: str
    data: bytes
    flag: bool
    names: tuple[str, ...]
    wide: Any = column("uint8", 32)
    free: Any = column("uint8", 0)
    small: Any = column("uint32")
    signed: Any = column("int64")


@register(tag="test/1/counts")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Message):
    """One column of 64-bit numbers."""

    counts: Any = column("uint64")


def frame_of(message: Message) -> bytes:
    return encode_frame(message, session="00" * 16, sender="a", recipient="b", sequence=3, nonce="11" * 16)


def same(first: Message, second: Message) -> bool:
    def parts(message: Message) -> dict[str, Any]:
        found = {}
        for field in dataclasses.fields(typing.cast(Any, message)):
            value = getattr(message, field.name)
            found[field.name] = (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        return found

    return type(first) is type(second) and parts(first) == parts(second)


def everything(rows: int = 3) -> Everything:
    return Everything(
        number=-(2**40),
        text='é"\\\x00\n中',
        data=bytes(range(256)),
        flag=True,
        names=("", "x"),
        wide=np.arange(rows * 32, dtype=np.uint8).reshape(rows, 32),
        free=np.arange(rows * 5, dtype=np.uint8).reshape(rows, 5),
        small=np.arange(rows, dtype=np.uint32),
        signed=-np.arange(rows, dtype=np.int64),
    )


KEY_SIZED = {"params", "mask_key", "channel_key", "gate_key", "seed_commitment", "nonce_commitment", "nonce", "parameters"}
SIGNATURES = {"signature", "gate_signature"}
ASCENDING = {"parties", "recipients", "dealers", "signers"}


def plain_values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name in ("first", "first_row"):
        return st.integers(0, 5)
    if name in ("total", "rows"):
        return st.integers(10, 2**40)
    if name in KEY_SIZED | SIGNATURES:
        return st.binary(min_size=32, max_size=32).map(lambda half: half * (2 if name in SIGNATURES else 1))
    if hint is int:
        return st.integers(-(2**62), 2**62)
    if hint in (str, bytes, bool):
        return {str: st.text(st.characters(exclude_categories=["Cs"])), bytes: st.binary(), bool: st.booleans()}[hint]
    if typing.get_origin(hint) is tuple:
        return st.lists(plain_values("", typing.get_args(hint)[0]), max_size=4).map(tuple)
    raise AssertionError(f"no strategy for field {name}: {hint}")


def widths(name: str) -> st.SearchStrategy[int]:
    return st.sampled_from((4, 8)) if name == "words" else st.integers(1, 40)


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """Any message of one kind that its own checks accept."""
    hints, columns = typing.get_type_hints(kind), columns_of(kind)
    rows = draw(st.integers(1 if "words" in columns else 0, 5))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, kind)):
        if field.name not in columns:
            values[field.name] = draw(plain_values(field.name, hints[field.name]))
            continue
        declared = columns[field.name]
        width = None if declared.width is None else declared.width or draw(widths(field.name))
        if field.name in ASCENDING:
            indices = draw(st.lists(st.integers(0, 2**32 - 1), min_size=rows, max_size=rows, unique=True))
            values[field.name] = np.array(sorted(indices), dtype=np.uint32)
            continue
        if field.name == "kept":
            flags = draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))
            values[field.name] = np.array(flags, dtype=np.uint8).reshape(rows, 1)
            continue
        size = rows * (np.dtype(declared.kind).itemsize if width is None else width)
        array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype=declared.kind)
        values[field.name] = array if width is None else array.reshape(rows, width)
    try:
        return kind(**values)
    except ParameterError:
        assume(False)
        raise


@pytest.mark.parametrize("tag", registered_tags())
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_kind_of_message_survives_the_trip(tag: str, data: st.DataObject) -> None:
    kind = message_type(tag)
    assert kind is not None
    message = data.draw(messages(kind))
    envelope, back = decode_frame(frame_of(message))
    assert same(message, back)
    assert (envelope.tag, envelope.sender, envelope.recipient, envelope.sequence) == (tag, "a", "b", 3)
    assert frame_of(back) == frame_of(message)


def test_received_arrays_are_read_only() -> None:
    _, back = decode_frame(frame_of(everything()))
    assert isinstance(back, Everything)
    with pytest.raises(ValueError, match="read-only"):
        back.wide[0, 0] = 1


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    """One real frame of every kind that the families send, and of the kinds of this file."""
    from protocols.local import run_local

    found: dict[str, bytes] = {"everything": frame_of(everything()), "empty": frame_of(everything(0))}
    for make in families.FAMILIES.values():
        run_local(make(), on_frame=lambda _, __, frame: found.setdefault(decode_frame(frame)[0].tag, frame))
    return found


def test_any_changed_byte_is_refused_or_changes_contents_only(samples: dict[str, bytes]) -> None:
    """No flip raises anything but ParameterError; in the body it can change payload bytes and nothing else."""
    for frame in samples.values():
        envelope, message = decode_frame(frame)
        body_at = PREFIX_BYTES + struct.unpack_from("<I", frame, 4)[0]
        for at in range(len(frame)):
            for flip in (1 << at % 8, 0xFF):
                broken = bytearray(frame)
                broken[at] ^= flip
                try:
                    other_envelope, other = decode_frame(bytes(broken))
                except ParameterError:
                    continue
                assert at >= PREFIX_BYTES, "a change of the prefix went unseen"
                if at < body_at:
                    assert (other_envelope, other) != (envelope, message)
                    continue
                assert other_envelope == envelope
                assert type(other) is type(message)
                for name in columns_of(type(message)):
                    assert getattr(other, name).shape == getattr(message, name).shape


def test_truncated_at_every_byte(samples: dict[str, bytes]) -> None:
    for frame in samples.values():
        for size in range(len(frame)):
            with pytest.raises(ParameterError):
                decode_frame(frame[:size])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    for frame in (noise, b"PDS1" + noise, b"PDS1" + struct.pack("<IQ", len(noise), 0) + noise):
        with pytest.raises(ParameterError):
            decode_frame(frame)


# Headers.


def rebuilt(frame: bytes, *, head: bytes | None = None, body: bytes | None = None) -> bytes:
    """The frame with another header or body, lengths put right."""
    head_bytes, _ = struct.unpack_from("<IQ", frame, 4)
    head = frame[PREFIX_BYTES : PREFIX_BYTES + head_bytes] if head is None else head
    body = frame[PREFIX_BYTES + head_bytes :] if body is None else body
    return b"PDS1" + struct.pack("<IQ", len(head), len(body)) + head + body


def head_of(frame: bytes) -> bytes:
    return frame[PREFIX_BYTES : PREFIX_BYTES + struct.unpack_from("<I", frame, 4)[0]]


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.replace(b'"rows":3', b'"rows":3,"rows":3'),
        lambda head: head.replace(b'"flag":true', b'"flag":false,"flag":true'),
        lambda head: head.replace(b'"flag":true', b'"flag":1'),
        lambda head: head.replace(b'"flag":true', b'"flag":null'),
        lambda head: head.replace(b'"rows":3', b'"rows":3.0'),
        lambda head: head.replace(b'"rows":3', b'"rows":-1'),
        lambda head: head.replace(b'"rows":3', b'"rows":2'),
        lambda head: head.replace(b'"rows":3', b'"rows":1e999'),
        lambda head: head.replace(b'"rows":3', b'"rows":NaN'),
        lambda head: head.replace(b'"rows":3', b'"rows":' + b"9" * 5000),
        lambda head: head.replace(b'"rows":3', b'"rows":4611686018427387904'),
        lambda head: head.replace(b'"widths":[32,', b'"widths":[0,'),
        lambda head: head.replace(b'"widths":[32,', b'"widths":[33,'),
        lambda head: head.replace(b'"widths":[32,', b'"widths":[1048577,'),
        lambda head: head.replace(b'"widths":[32,', b'"widths":[-32,'),
        lambda head: head.replace(b'"widths":[32,5,4,8]', b'"widths":[32,5,8,8]'),
        lambda head: head.replace(b'"widths":[32,5,4,8]', b'"widths":[32,5,4,16]'),
        lambda head: head.replace(b'"widths":[32,5,4,8]', b'"widths":[32,5,4]'),
        lambda head: head.replace(b"test/1/everything", b"test/1/unheard-of"),
        lambda head: head.replace(b"test/1/everything", b"test/1/counts"),
        lambda head: head.replace(b'"flag":true', b'"flag":true,"more":1'),
        lambda head: head.replace(b'"flag":true,', b""),
        lambda head: head.replace(b'"sequence":3', b'"sequence":"3"'),
        lambda head: head.replace(b'"sender":"a"', b'"sender":"\\ud800"'),
        lambda head: head.replace(b'"sender":"a"', b'"sender":"\xff"'),
        lambda head: head.replace(b'"sender":"a"', b'"sender":"\\u0061"'),
        lambda head: head + b" ",
        lambda head: b"\xef\xbb\xbf" + head,
        lambda head: b"[" * 100_000 + b"]" * 100_000,
        lambda head: b'{"envelope":' * 60_000 + b"1" + b"}" * 60_000,
        lambda head: head.replace(b'"names":["","x"]', b'"names":' + b"[" * 100_000 + b"]" * 100_000),
        lambda head: b"{}",
        lambda head: b"null",
        lambda head: b"",
    ],
)
def test_a_header_that_is_not_canonical_or_not_typed_is_refused(change: Callable[[bytes], bytes]) -> None:
    frame = frame_of(everything())
    head = change(head_of(frame))
    assert head != head_of(frame)
    with pytest.raises(ParameterError):
        decode_frame(rebuilt(frame, head=head))


def test_a_header_with_its_names_in_another_order_is_refused() -> None:
    frame = frame_of(everything())
    document = json.loads(head_of(frame))
    turned = json.dumps({"fields": document["fields"], "envelope": document["envelope"]}, separators=(",", ":"))
    with pytest.raises(ParameterError, match="canonical"):
        decode_frame(rebuilt(frame, head=turned.encode()))


def test_declared_sizes_beyond_the_limits_are_refused_before_anything_is_read() -> None:
    for sizes in ((MAX_HEADER_BYTES + 1, 0), (0, MAX_BODY_BYTES + 1), (2**32 - 1, 2**64 - 1)):
        with pytest.raises(ParameterError, match="size limit"):
            decode_frame(b"PDS1" + struct.pack("<IQ", *sizes))
    with pytest.raises(ParameterError, match="truncated"):
        decode_frame(b"PDS1" + struct.pack("<IQ", MAX_HEADER_BYTES, MAX_BODY_BYTES) + bytes(100))


def test_a_message_too_large_for_a_frame_is_refused_by_its_sender() -> None:
    with pytest.raises(ParameterError, match="smaller chunks"):
        frame_of(dataclasses.replace(everything(), data=bytes(MAX_HEADER_BYTES)))


# Bodies. The message has one column of three 64-bit numbers.


def stream(
    batches: list[Any], *, schema: Any = None, options: dict[str, Any] | None = None, metadata: dict[bytes, bytes] | None = None
) -> bytes:
    sink = pa.BufferOutputStream()
    schema = schema or batches[0].schema
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**(options or {}))) as writer:
        for batch in batches:
            writer.write_batch(batch, custom_metadata=metadata)
    return bytes(sink.getvalue())


def batch_of(values: Any, name: str = "counts") -> Any:
    return pa.record_batch([values], names=[name])


NUMBERS = pa.array([1, 2, 3], pa.uint64())


def bad_bodies() -> dict[str, bytes]:
    good = batch_of(NUMBERS)
    schema = good.schema
    return {
        "zstd": stream([good], options={"compression": "zstd"}),
        "lz4": stream([good], options={"compression": "lz4"}),
        "format version 4": stream([good], options={"metadata_version": pa.ipc.MetadataVersion.V4}),
        "format version 4 with its own compression key": stream(
            [good],
            options={"metadata_version": pa.ipc.MetadataVersion.V4},
            metadata={b"ARROW:experimental_compression": b"zstd"},
        ),
        "metadata on the batch": stream([good], metadata={b"a": b"b"}),
        "other dtype, same width": stream([batch_of(pa.array([1, 2, 3], pa.int64()))]),
        "floats": stream([batch_of(pa.array([1.0, 2.0, 3.0]))]),
        "other dtype, other width": stream([batch_of(pa.array([1, 2, 3], pa.uint32()))]),
        "bytes": stream([batch_of(pa.array([bytes(8)] * 3, pa.binary(8)))]),
        "variable bytes": stream([batch_of(pa.array([bytes(8)] * 3, pa.binary()))]),
        "text": stream([batch_of(pa.array(["a", "b", "c"]))]),
        "lists": stream([batch_of(pa.array([[1], [2], [3]]))]),
        "missing value": stream([batch_of(pa.array([1, None, 3], pa.uint64()))]),
        "extension type": stream([batch_of(pa.ExtensionArray.from_storage(pa.opaque(pa.uint64(), "x", "y"), NUMBERS))]),
        "dictionary": stream([batch_of(NUMBERS.dictionary_encode())]),
        "other name": stream([batch_of(NUMBERS, "others")]),
        "not nullable": stream(
            [pa.record_batch([NUMBERS], schema=(plain := pa.schema([pa.field("counts", pa.uint64(), nullable=False)])))],
            schema=plain,
        ),
        "metadata on the schema": stream([good.replace_schema_metadata({b"a": b"b"})]),
        "metadata on the field": stream(
            [pa.record_batch([NUMBERS], schema=pa.schema([schema.field(0).with_metadata({b"a": b"b"})]))]
        ),
        "two columns": stream([pa.record_batch([NUMBERS, NUMBERS], names=["counts", "more"])]),
        "same column twice": stream([pa.record_batch([NUMBERS, NUMBERS], names=["counts", "counts"])]),
        "no column": stream([pa.record_batch([pa.array([], pa.uint64())], names=["counts"])]),
        "two batches": stream([good, good]),
        "batch and an empty one": stream([good, good.slice(0, 0)]),
        "empty batch first": stream([good.slice(0, 0), good]),
        "too few rows": stream([good.slice(0, 2)]),
        "too many rows": stream([batch_of(pa.array([1, 2, 3, 4], pa.uint64()))]),
        "no batch": stream([], schema=schema),
        "batch first, no schema": stream([good])[len(stream([], schema=schema)) - 8 :],
        "dictionary batch before the batch": without_end(stream([], schema=schema)) + dictionary_message() + tail(good),
        "file format": file_format(good),
        "nothing": b"",
        "zeros": bytes(200),
    }


def without_end(body: bytes) -> bytes:
    return body[:-8]


def tail(batch: Any) -> bytes:
    """The stream after its schema."""
    return stream([batch])[len(stream([], schema=batch.schema)) - 8 :]


def dictionary_message() -> bytes:
    reader = pa.ipc.MessageReader.open_stream(stream([batch_of(NUMBERS.dictionary_encode())]))
    reader.read_next_message()
    return bytes(reader.read_next_message().serialize())


def file_format(batch: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("why", sorted(bad_bodies()))
def test_a_body_that_is_not_one_plain_batch_of_the_declared_columns_is_refused(why: str) -> None:
    frame = frame_of(Counts(counts=np.array([1, 2, 3], dtype=np.uint64)))
    with pytest.raises(ParameterError):
        decode_frame(rebuilt(frame, body=bad_bodies()[why]))


def test_a_good_body_made_by_hand_is_accepted() -> None:
    frame = frame_of(Counts(counts=np.array([1, 2, 3], dtype=np.uint64)))
    _, back = decode_frame(rebuilt(frame, body=stream([batch_of(NUMBERS)])))
    assert typing.cast(Counts, back).counts.tolist() == [1, 2, 3]


@pytest.mark.parametrize("hidden", ["only batch", "behind an empty batch", "old format"])
def test_a_small_frame_cannot_make_the_decoder_unpack_a_large_body(hidden: str) -> None:
    rows = 40_000_000  # 320 MB of zeros, which compress to a few tens of kilobytes
    zeros = batch_of(pa.Array.from_buffers(pa.uint64(), rows, [None, pa.py_buffer(np.zeros(rows, dtype=np.uint64))]))
    options: dict[str, Any] = {"compression": pa.Codec("zstd", compression_level=1)}
    bomb = stream([zeros], options=options)
    if hidden == "behind an empty batch":
        start = len(stream([], schema=zeros.schema)) - 8
        bomb = without_end(stream([zeros.slice(0, 0)])) + bomb[start:]
    if hidden == "old format":
        options["metadata_version"] = pa.ipc.MetadataVersion.V4
        bomb = stream([zeros], options=options, metadata={b"ARROW:experimental_compression": b"zstd"})
    del zeros
    assert len(bomb) < rows
    claimed = -(-len(bomb) // 8)  # as many rows as make the body's size plausible
    head = json.loads(head_of(frame_of(Counts(counts=np.zeros(1, dtype=np.uint64)))))
    head["envelope"]["rows"] = claimed - 8
    frame = rebuilt(frame_of(everything()), head=json.dumps(head, separators=(",", ":"), sort_keys=True).encode(), body=bomb)
    pool = pa.default_memory_pool()
    before, peak = pool.bytes_allocated(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ParameterError, match=r"uncompressed|exactly one"):
        decode_frame(frame)
    assert pool.bytes_allocated() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 50_000  # KiB


def test_columns_where_none_belong_are_refused() -> None:
    frame = families.some_frame_without_columns()
    for body in (b"\0", stream([batch_of(NUMBERS)])):
        with pytest.raises(ParameterError, match="does not have"):
            decode_frame(rebuilt(frame, body=body))


def test_errors_show_no_contents() -> None:
    message = dataclasses.replace(everything(), text="CANARY-TEXT")
    frame = frame_of(message)
    for broken in (
        rebuilt(frame, head=head_of(frame).replace(b'"flag":true', b'"flag":1')),
        rebuilt(frame, body=b"CANARY-TEXT"),
    ):
        with pytest.raises(ProtocolError) as caught:
            decode_frame(broken)
        assert "CANARY" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_an_envelope_names_its_parts() -> None:
    envelope, _ = decode_frame(frame_of(everything()))
    assert envelope == Envelope(
        tag="test/1/everything",
        session="00" * 16,
        sender="a",
        recipient="b",
        sequence=3,
        nonce="11" * 16,
        rows=3,
        widths=(32, 5, 4, 8),
    )
