"""Documents as bytes: RFC 8785 canonical JSON, accepted only in that one form; and their digests and signatures' input."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec
import rfc8785

from sandbox.errors import DocumentError

T = TypeVar("T")
SAFE_INTEGER = 2**53 - 1
MAX_DOCUMENT_BYTES = 64 << 20


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """Base of all documents: frozen, strict, no unknown fields."""


def canonical(document: object) -> bytes:
    """Return the canonical bytes of a document: RFC 8785; integers beyond 2^53 as strings, bytes as hex."""
    return rfc8785.dumps(_plain(msgspec.to_builtins(document, builtin_types=(bytes,))))


def digest(document: object) -> str:
    """Return the SHA-256 of a document's canonical bytes, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def parse(data: bytes, kind: type[T], *, what: str) -> T:
    """Return a document from its canonical bytes. Raises DocumentError for any other form of the same content, or none.

    Duplicate keys, NaN, unknown fields, deep nesting and 5,000-digit integers all end here, since none survives re-encoding.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"{what} has {len(data)} bytes; the limit is {MAX_DOCUMENT_BYTES}")
    try:
        value = msgspec.convert(msgspec.json.decode(data), kind, strict=False)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise DocumentError(f"{what} is not JSON that can be read") from None
    try:
        same = canonical(value) == data
    except (rfc8785.CanonicalizationError, RecursionError, ValueError):
        same = False
    if not same:
        raise DocumentError(f"{what} is not in canonical form (RFC 8785)")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
