"""Join keys: normalised by their domain's rule and encoded so that two keys are equal exactly if their bytes are."""

from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from protocols.errors import ParameterError
from protocols.primitives.prf import length_prefixed
from protocols.psi.columns import KeyType, read_column
from protocols.psi.keycolumn import SPAN_ROWS, KeyColumn, fixed_width

DST_PREFIX = b"public-data-sandbox/join/1/"
MAX_NAME_BYTES = 200

_TAGS: dict[KeyType, bytes] = {
    "integer": b"i",
    "text": b"t",
    "date": b"d",
    "timestamp": b"s",
    "boolean": b"b",
    "decimal": b"n",
}
_SPACES = "".join(chr(code) for code in range(0x3001) if unicodedata.category(chr(code)) == "Zs")
_INT64_BYTES = 8
_HEADER_BYTES = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyDomain:
    """What the parties of a join agree on about its keys: a name, one type for each component, how text is compared.

    Text is compared code point by code point, unless the domain declares: unicode "NFKC" (compatibility forms are one),
    case "fold" (full Unicode case folding), trim (leading and trailing Unicode spaces, category Zs, as DuckDB's trim).
    They apply in this order. Raises ParameterError for an unusable declaration. Public.
    """

    name: str
    types: tuple[KeyType, ...]
    trim: bool = False
    case: Literal["fold"] | None = None
    unicode: Literal["NFKC"] | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable() or len(self.name.encode()) > MAX_NAME_BYTES:
            raise ParameterError(f"a key domain's name has 1 to {MAX_NAME_BYTES} printable bytes")
        if not self.types or any(kind not in get_args(KeyType) for kind in self.types):
            raise ParameterError(f"key domain {self.name!r} needs component types out of {', '.join(get_args(KeyType))}")
        if self.case not in (None, "fold") or self.unicode not in (None, "NFKC") or not isinstance(self.trim, bool):
            raise ParameterError(f"key domain {self.name!r}: trim is true or false, case 'fold', unicode 'NFKC'")

    @property
    def dst(self) -> bytes:
        """Domain separation tag of this domain's keys: points of two domains have nothing in common."""
        return DST_PREFIX + self.name.encode()

    def digest(self) -> bytes:
        """Return SHA-256 over everything declared: 32 bytes. Parties compare it before they blind anything."""
        comparison = (b"trim" if self.trim else b"", (self.case or "").encode(), (self.unicode or "").encode())
        types = b"".join(_TAGS[kind] for kind in self.types)
        return hashlib.sha256(length_prefixed(b"key-domain/1", self.name.encode(), types, *comparison)).digest()

    def normalise(self, text: str) -> str:
        """Return the text in the form that is compared. Applying it again changes nothing."""
        if self.unicode is not None:
            text = unicodedata.normalize(self.unicode, text)
        if self.case is not None:
            text = text.casefold()
            if self.unicode is not None:
                text = unicodedata.normalize(self.unicode, text)
        return text.strip(_SPACES) if self.trim else text


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EncodedKeys:
    """Encoded keys of the rows that have one. Private to the party that owns the rows; its repr shows counts only.

    keys: of each kept row, in row order, duplicates included. rows: (len(keys),) int64, the kept rows' numbers.
    dropped: rows in which some component is NULL, which matches nothing.
    """

    keys: KeyColumn
    rows: npt.NDArray[np.int64]
    dropped: int

    def __repr__(self) -> str:
        return f"EncodedKeys({len(self.keys)} keys, {self.dropped} rows dropped)"


def encode_keys(columns: Sequence[Any], domain: KeyDomain) -> EncodedKeys:
    """Normalise and encode the rows of a key, one column for each component of the domain.

    columns: pyarrow arrays, numpy arrays, pandas Series or sequences of Python values, of equal length. An encoding is, for
    each component, a type tag, its length and its value; the integer 1 is the same in every integer width, '01' is not 1.
    Raises ParameterError (column and row number, never a value) for a type that differs from the declared one, floats
    included, text that is not valid Unicode, and columns of unequal length.
    """
    if len(columns) != len(domain.types):
        raise ParameterError(f"key domain {domain.name!r} has {len(domain.types)} components; {len(columns)} columns came")
    parts, masks = [], []
    for position, (column, kind) in enumerate(zip(columns, domain.types, strict=True)):
        values, valid = read_column(column, kind, f"key column {position}")
        parts.append((values, kind))
        masks.append(valid)
    if any(len(mask) != len(masks[0]) for mask in masks):
        raise ParameterError(f"key columns have {', '.join(str(len(mask)) for mask in masks)} rows; they must agree")
    rows = np.flatnonzero(np.logical_and.reduce(masks)).astype(np.int64, copy=False)
    encoded = [_encode_column(values, kind, rows, domain, position) for position, (values, kind) in enumerate(parts)]
    keys = encoded[0] if len(encoded) == 1 else _joined(encoded)
    return EncodedKeys(keys=KeyColumn(keys), rows=rows, dropped=len(masks[0]) - len(rows))


def _encode_column(values: Any, kind: KeyType, rows: npt.NDArray[np.int64], domain: KeyDomain, position: int) -> Any:
    """Encode the chosen rows of one component, as an Arrow array: int64 arrays and plain text in one go, all else in spans."""
    tag = _TAGS[kind]
    if isinstance(values, np.ndarray):
        return _encode_int64(tag, values[rows])
    encode: Callable[[Any], bytes] = _encode_integer if kind == "integer" else _encode_decimal
    if kind == "text":
        plain = not (domain.trim or domain.case or domain.unicode)
        if plain and not isinstance(values, list):
            return _prefixed(tag, values.take(pa.array(rows)).cast(pa.large_string()).cast(pa.large_binary()))
        encode = str.encode if plain else lambda text: domain.normalise(text).encode()
    spans = []
    for first in range(0, len(rows), SPAN_ROWS):
        chosen = rows[first : first + SPAN_ROWS]
        items = [values[row] for row in chosen.tolist()] if isinstance(values, list) else values.take(chosen).to_pylist()
        spans.append(_encode_span(encode, items, chosen, position))
    return _prefixed(tag, pa.concat_arrays(spans) if spans else pa.array([], type=pa.large_binary()))


def _encode_span(encode: Callable[[Any], bytes], items: list[Any], rows: npt.NDArray[np.int64], position: int) -> Any:
    payloads: list[bytes] = []
    try:
        payloads.extend(map(encode, items))
    except UnicodeEncodeError:
        row = rows[len(payloads)]
        raise ParameterError(f"key column {position}: row {row} is not valid Unicode (a lone surrogate)") from None
    return pa.array(payloads, type=pa.large_binary())


def _prefixed(tag: bytes, payloads: Any) -> Any:
    """Put the type tag and the length (4 bytes, big-endian) before each payload."""
    lengths = pc.binary_length(payloads).to_numpy()
    if len(lengths) and int(lengths.max()) >= 1 << 32:
        raise ParameterError("a component of a key has 4 GiB or more")
    headers = np.empty((len(payloads), _HEADER_BYTES), dtype=np.uint8)
    headers[:, :1] = np.frombuffer(tag, dtype=np.uint8)
    headers[:, 1:] = lengths.astype(">u4").view(np.uint8).reshape(-1, 4)
    return _joined([fixed_width(headers), payloads])


def _encode_int64(tag: bytes, values: npt.NDArray[np.int64]) -> Any:
    header = tag + _INT64_BYTES.to_bytes(4, "big")
    table = np.empty((len(values), len(header) + _INT64_BYTES), dtype=np.uint8)
    table[:, : len(header)] = np.frombuffer(header, dtype=np.uint8)
    table[:, len(header) :] = values.astype(">i8").view(np.uint8).reshape(-1, _INT64_BYTES)
    return fixed_width(table)


def _joined(arrays: list[Any]) -> Any:
    return pc.binary_join_element_wise(*arrays, pa.scalar(b"", type=pa.large_binary()))


def _encode_integer(value: int) -> bytes:
    """Two's complement, big-endian, 8 bytes or as many as it takes: one form for each integer."""
    return value.to_bytes(max(_INT64_BYTES, value.bit_length() // 8 + 1), "big", signed=True)


def _encode_decimal(value: Any) -> bytes:
    """Coefficient without trailing zeros, and exponent: 1.0 and 1.00 are one key, as in SQL."""
    sign, digits, exponent = value.as_tuple()
    coefficient = "".join(map(str, digits)).lstrip("0")
    stripped = coefficient.rstrip("0")
    if not stripped:
        return b"0"
    return f"{'-' if sign else ''}{stripped}e{exponent + len(coefficient) - len(stripped)}".encode()
