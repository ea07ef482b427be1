"""Bundle: a directory of two files, `bundle.json` (one canonical document) and `product.arrow`. Building, writing, reading."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal as OneOf

import msgspec

from sandbox.errors import AuditError, DocumentError, NotFound, StateError
from sandbox.model.canonical import MAX_DOCUMENT_BYTES, canonical, parse
from sandbox.model.certificate import SignedCertificate
from sandbox.model.decision import Decision
from sandbox.model.evidence import (
    Bundle,
    InputCommitment,
    LogEvidence,
    ProductRecord,
    SignedTranscript,
    payload_digest,
)
from sandbox.model.grant import SignedGrant
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard

MANIFEST = "bundle.json"
PAYLOAD = "product.arrow"
FORMAT: OneOf["public-data-sandbox/bundle/2"] = "public-data-sandbox/bundle/2"
WITHOUT_CERTIFICATE = "public-data-sandbox/bundle/1"
MAX_PAYLOAD_BYTES = 4 << 30


class _Stated(msgspec.Struct):
    format: str


def product_record(*, task: str, payload: bytes, arrow_schema: str, card: ProductCard) -> ProductRecord:
    """Return the record of a product: what the release event names."""
    return ProductRecord(
        version=1,
        task=task,
        payload=payload_digest(payload),
        payload_bytes=len(payload),
        arrow_schema=arrow_schema,
        card=card,
    )


def build_bundle(
    *,
    task: str,
    plan: Plan,
    grants: Iterable[SignedGrant],
    decision: Decision,
    commitments: Iterable[InputCommitment],
    transcripts: Iterable[SignedTranscript],
    product: ProductRecord,
    certificate: SignedCertificate,
    log: LogEvidence,
) -> bytes:
    """Return the bytes of `bundle.json`. grants: the one that was used, then its parents. Checks nothing: `verify` does."""
    return canonical(
        Bundle(
            format=FORMAT,
            task=task,
            plan=plan,
            grants=tuple(grants),
            decision=decision,
            commitments=tuple(commitments),
            transcripts=tuple(sorted(transcripts, key=lambda item: item.transcript.party)),
            product=product,
            certificate=certificate,
            log=log,
        )
    )


def write_bundle(directory: Path, manifest: bytes, payload: bytes) -> Path:
    """Write a bundle as a new directory, whole or not at all, and return it. Raises StateError if it exists or cannot be."""
    if directory.exists() or directory.is_symlink():
        raise StateError(f"{str(directory)!a} exists; a bundle is written to a new directory")
    draft = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o755)
        _write(draft / MANIFEST, manifest)
        _write(draft / PAYLOAD, payload)
        _sync(draft)
        draft.rename(directory)
        _sync(directory.parent)
    except OSError as error:
        for name in (MANIFEST, PAYLOAD):
            (draft / name).unlink(missing_ok=True)
        if draft.is_dir():
            draft.rmdir()
        raise StateError(f"the bundle {str(directory)!a} cannot be written: {error.strerror}") from None
    return directory


def copy_bundle(source: Path, directory: Path) -> Path:
    """Copy the two files of a bundle to a new directory and return it. Raises NotFound, StateError."""
    if not (source / MANIFEST).is_file():
        raise NotFound(f"there is no evidence bundle in {str(source)!a}")
    manifest = read_file(source / MANIFEST, MAX_DOCUMENT_BYTES)
    return write_bundle(directory, manifest, read_file(source / PAYLOAD, MAX_PAYLOAD_BYTES))


def read_bundle(directory: Path) -> tuple[bytes, bytes]:
    """Return manifest and payload. Raises NotFound, or AuditError for a file too few, too many, or not a plain file."""
    if not directory.is_dir():
        raise NotFound(f"there is no bundle directory {str(directory)!a}")
    extra = sorted(item.name for item in directory.iterdir() if item.name not in (MANIFEST, PAYLOAD))
    if extra:
        raise AuditError("a bundle has two files; nothing vouches for this one", place=f"file {extra[0]!a}")
    return read_file(directory / MANIFEST, MAX_DOCUMENT_BYTES), read_file(directory / PAYLOAD, MAX_PAYLOAD_BYTES)


def parse_bundle(manifest: bytes) -> Bundle:
    """Return the document of a manifest, canonical or refused. Raises AuditError: invalid; incomplete for an old format."""
    try:
        return parse(manifest, Bundle, what=MANIFEST)
    except DocumentError as error:
        if _format_of(manifest) == WITHOUT_CERTIFICATE:
            problem = f"the bundle is of the format {WITHOUT_CERTIFICATE}, which had none: nothing says what was measured"
            raise AuditError(problem, place="certificate", kind="incomplete") from None
        raise AuditError(str(error), place=MANIFEST) from None


def read_file(path: Path, limit: int) -> bytes:
    """Return a plain file's bytes; links are not followed. Raises AuditError that names the file."""
    place = f"file {path.name!a}"
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise AuditError("the file is missing", place=place, kind="incomplete") from None
    except OSError as error:
        raise AuditError(f"the file cannot be read: {error.strerror}", place=place, kind="incomplete") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise AuditError("this is not a plain file", place=place)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise AuditError(f"the file is larger than {limit} bytes", place=place)
    return data


def _format_of(manifest: bytes) -> str:
    """Return the format that a manifest states, whatever else is in it; nothing where it states none."""
    try:
        return msgspec.json.decode(manifest, type=_Stated).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return ""


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
