"""Checkpoints: C2SP signed notes over a log's origin, size and root, with the cosignatures of witnesses.

Sources: C2SP signed-note (signature type 0x01), tlog-checkpoint, tlog-cosignature (`cosignature/v1`, type 0x04).
Stricter than C2SP in two points: a signature by a key that is not in the trust file is refused where C2SP ignores it, and
the lines stand in one order (the log's, then witnesses by name), so that no byte of a checkpoint can change unseen.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sandbox.audit.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from sandbox.audit.trust import LogTrust, check_origin
from sandbox.errors import AuditError, DocumentError
from sandbox.model.signature import SIGNATURE_BYTES, PrivateIdentity, PublicIdentity

NOTE_TYPE = 0x01
COSIGNATURE_TYPE = 0x04
KEY_ID_BYTES = 4
TIMESTAMP_BYTES = 8
MAX_TIMESTAMP = 2**63 - 1
MAX_NOTE_BYTES = 1 << 16
MAX_SIGNATURES = 64
DASH = "\u2014 "
_LINES_OF_A_CHECKPOINT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, and the bytes after it."""

    name: str
    key_id: bytes
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's statement of its size and root. An empty log has the root SHA-256(""). Source: C2SP tlog-checkpoint."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text: origin, size and base64 root, one line each. No extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def digest(self) -> str:
        """Return `sha256:<hex>` over the note text: what an event names that relied on this checkpoint."""
        return "sha256:" + hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint whose signatures verified. cosigned: witness name -> POSIX time of its cosignature."""

    checkpoint: Checkpoint
    note: str
    cosigned: Mapping[str, int]

    def quorum_time(self, quorum: int) -> datetime.datetime:
        """Return when the quorum was complete, by the witnesses' own clocks; callers have required the quorum before."""
        return datetime.datetime.fromtimestamp(sorted(self.cosigned.values())[quorum - 1], tz=datetime.UTC)


def key_id(name: str, kind: int, key: PublicIdentity) -> bytes:
    """Return SHA-256(name ‖ 0x0A ‖ kind ‖ key)[:4]. Source: C2SP signed-note."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key.to_bytes()).digest()[:KEY_ID_BYTES]


def sign_checkpoint(checkpoint: Checkpoint, identity: PrivateIdentity) -> str:
    """Return the note of a checkpoint, signed by its log; the key's name is the origin."""
    text = checkpoint.text()
    return f"{text}\n" + signature_line(text, checkpoint.origin, identity)


def signature_line(text: str, name: str, identity: PrivateIdentity) -> str:
    """Return the signature line of a plain note signature over text."""
    return _line(name, key_id(name, NOTE_TYPE, identity.public) + identity.sign_raw(text.encode()))


def cosignature_line(checkpoint: Checkpoint, name: str, identity: PrivateIdentity, *, timestamp: int) -> str:
    """Return a witness's cosignature line: key id, 8-byte big-endian POSIX time, signature. Source: C2SP tlog-cosignature."""
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise DocumentError(f"{timestamp} is not a POSIX time")
    signature = identity.sign_raw(_cosigned_message(checkpoint.text(), timestamp))
    body = timestamp.to_bytes(TIMESTAMP_BYTES, "big") + signature
    return _line(name, key_id(name, COSIGNATURE_TYPE, identity.public) + body)


def with_cosignatures(note: str, lines: Iterable[str]) -> str:
    """Return the log's own note with the cosignature lines, in the one order that is accepted."""
    return note + "".join(sorted(lines, key=lambda line: line.split(" ")[1]))


def parse_note(note: str, *, place: str = "checkpoint") -> tuple[str, tuple[NoteSignature, ...]]:
    """Return a note's text and signature lines; nothing is verified yet. Raises AuditError (invalid) that names the line."""
    _check_characters(note, place=place)
    text, gap, block = note.rpartition("\n\n")
    if not gap or not block.endswith("\n"):
        raise AuditError("a note is text, an empty line, and signature lines that each end in a newline", place=place)
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise AuditError(f"the note has {len(lines)} signature lines; the limit is {MAX_SIGNATURES}", place=place)
    return text + "\n", tuple(_parse_line(line, place=f"{place}, signature {index}") for index, line in enumerate(lines))


def parse_checkpoint(text: str, *, place: str = "checkpoint") -> Checkpoint:
    """Return the checkpoint of a note text: exactly three lines. Raises AuditError (invalid) that names the line."""
    lines = text.split("\n")
    if len(lines) != _LINES_OF_A_CHECKPOINT + 1 or lines[-1]:
        raise AuditError("a checkpoint is three lines: origin, size, root; nothing before, between or after", place=place)
    origin, size_text, root_text = lines[:3]
    try:
        check_origin(origin)
    except DocumentError:
        raise AuditError("the origin is printable ASCII without spaces and `+`", place=f"{place}, line 1") from None
    size = int(size_text) if size_text.isascii() and size_text.isdigit() and len(size_text) < 20 else -1
    if str(size) != size_text or size > MAX_SIZE:
        raise AuditError("the size is a decimal number without leading zeroes, below 2^63", place=f"{place}, line 2")
    root = _base64(root_text, place=f"{place}, line 3")
    if len(root) != HASH_BYTES:
        raise AuditError(f"the root has {HASH_BYTES} bytes, not {len(root)}", place=f"{place}, line 3")
    if size == 0 and root != EMPTY_ROOT:
        raise AuditError("the root of an empty log is SHA-256 of nothing", place=f"{place}, line 3")
    return Checkpoint(origin=origin, size=size, root=root)


def open_checkpoint(note: str, trust: LogTrust, *, place: str = "checkpoint") -> SignedCheckpoint:
    """Return a checkpoint after verifying origin and every signature line. Does not ask for the quorum.

    Raises AuditError: untrusted for a foreign origin or a key that is not in the trust file, invalid for the rest.
    """
    text, signatures = parse_note(note, place=place)
    checkpoint = parse_checkpoint(text, place=place)
    if checkpoint.origin != trust.origin:
        problem = f"the origin is {checkpoint.origin!a}, the trust file's log is {trust.origin!a}"
        raise AuditError(problem, place=f"{place}, line 1", kind="untrusted")
    _verify_log_signature(text, signatures[0], trust, place=f"{place}, signature 0 ({signatures[0].name!a})")
    cosigned: dict[str, int] = {}
    for index, signature in enumerate(signatures[1:], start=1):
        here = f"{place}, signature {index} ({signature.name!a})"
        if cosigned and signature.name <= max(cosigned):
            raise AuditError("signatures stand there twice, or not in the order of their names", place=here)
        cosigned[signature.name] = _verify_cosignature(text, signature, trust, place=here)
    return SignedCheckpoint(checkpoint=checkpoint, note=note, cosigned=MappingProxyType(cosigned))


def require_quorum(signed: SignedCheckpoint, trust: LogTrust, *, place: str = "checkpoint") -> None:
    """Return only if enough witnesses cosigned. Raises AuditError (incomplete) that says how many are missing."""
    if len(signed.cosigned) < trust.quorum:
        problem = f"{len(signed.cosigned)} of the {trust.quorum} witnesses needed have cosigned size {signed.checkpoint.size}"
        raise AuditError(problem, place=place, kind="incomplete")


def verify_cosignature_line(line: str, checkpoint: Checkpoint, trust: LogTrust, *, place: str) -> str:
    """Return the name of the witness whose cosignature line (with its newline) verifies. Raises AuditError."""
    if not line.endswith("\n"):
        raise AuditError("a signature line ends in a newline", place=place)
    _check_characters(line, place=place)
    signature = _parse_line(line[:-1], place=place)
    _verify_cosignature(checkpoint.text(), signature, trust, place=place)
    return signature.name


def _verify_log_signature(text: str, signature: NoteSignature, trust: LogTrust, *, place: str) -> None:
    if signature.name != trust.origin or signature.key_id != key_id(trust.origin, NOTE_TYPE, trust.key):
        raise AuditError("the first signature is not by the log's key in the trust file", place=place, kind="untrusted")
    trust.key.verify_raw(text.encode(), signature.body, place=place)


def _verify_cosignature(text: str, signature: NoteSignature, trust: LogTrust, *, place: str) -> int:
    key = trust.witnesses.get(signature.name)
    if key is None or signature.key_id != key_id(signature.name, COSIGNATURE_TYPE, key):
        raise AuditError("the key is not that of a witness in the trust file", place=place, kind="untrusted")
    if len(signature.body) != TIMESTAMP_BYTES + SIGNATURE_BYTES:
        raise AuditError(f"a cosignature has {TIMESTAMP_BYTES + SIGNATURE_BYTES} bytes after its key id", place=place)
    timestamp = int.from_bytes(signature.body[:TIMESTAMP_BYTES], "big")
    if timestamp > _LATEST:
        raise AuditError("the cosignature's time lies beyond the year 9999", place=place)
    key.verify_raw(_cosigned_message(text, timestamp), signature.body[TIMESTAMP_BYTES:], place=place)
    return timestamp


def _cosigned_message(text: str, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def _line(name: str, body: bytes) -> str:
    return f"{DASH}{name} {base64.b64encode(body).decode()}\n"


def _parse_line(line: str, *, place: str) -> NoteSignature:
    name, gap, encoded = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not gap or not name or "+" in name or not name.isprintable():
        raise AuditError("a signature line is an em dash, a key name and base64, one space between", place=place)
    body = _base64(encoded, place=place)
    if len(body) <= KEY_ID_BYTES:
        raise AuditError("a signature is a 4-byte key id and the signature's bytes", place=place)
    return NoteSignature(name=name, key_id=body[:KEY_ID_BYTES], body=body[KEY_ID_BYTES:])


def _base64(text: str, *, place: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if not value or base64.b64encode(value).decode() != text:
        raise AuditError("this is not canonical base64 (RFC 4648 section 4)", place=place)
    return value


def _check_characters(note: str, *, place: str) -> None:
    if len(note) > MAX_NOTE_BYTES:
        raise AuditError(f"the note has {len(note)} characters; the limit is {MAX_NOTE_BYTES}", place=place)
    for number, line in enumerate(note.split("\n"), start=1):
        bad = next((char for char in line if char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff"), None)
        if bad is not None:
            raise AuditError(f"the control character {bad!a} is not allowed in a note", place=f"{place}, line {number}")


_LATEST = int(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC).timestamp())
