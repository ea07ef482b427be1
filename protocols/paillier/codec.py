"""Self-describing bytes of an array of ciphertexts: a canonical JSON header, then the rows."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.paillier.layout import Layout, Numbers, Packed
from protocols.paillier.packing import Packing, Slot

_MAGIC = b"PPA1"
_MAX_HEADER_BYTES = 1 << 20


class _Slot(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    bound: str
    name: str
    scale: str


class _Header(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    bound: str
    fingerprint: str
    max_weight: str
    rows: int
    scale: str
    slots: tuple[_Slot, ...]
    weight: str


def encode(matrix: npt.NDArray[np.uint8], fingerprint: str, layout: Layout) -> bytes:
    """Return magic, header length (4 bytes, little-endian), header, rows. Numbers in the header are hex strings."""
    header = _header_bytes(fingerprint, len(matrix), layout)
    return _MAGIC + len(header).to_bytes(4, "little") + header + matrix.tobytes()


def decode(data: bytes, fingerprint: str, ciphertext_bytes: int) -> tuple[npt.NDArray[np.uint8], Layout]:
    """Return rows (n, ciphertext_bytes) and layout. Raises ParameterError for another key, truncated or padded data."""
    if data[:4] != _MAGIC or len(data) < 8:
        raise ParameterError("not an encrypted array")
    size = int.from_bytes(data[4:8], "little")
    header_bytes = bytes(data[8 : 8 + size])
    if size > _MAX_HEADER_BYTES or len(header_bytes) != size:
        raise ParameterError("the header of an encrypted array is truncated")
    header = _parse(header_bytes)
    layout = _layout(header)
    if _header_bytes(header.fingerprint, header.rows, layout) != header_bytes:
        raise ParameterError("the header of an encrypted array is not in canonical form")
    if header.fingerprint != fingerprint:
        raise ParameterError("the array is encrypted under another key")
    body = memoryview(data)[8 + size :]
    if len(body) != header.rows * ciphertext_bytes:
        raise ParameterError(
            f"{header.rows} rows need {header.rows * ciphertext_bytes} bytes, and {len(body)} follow the header"
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(header.rows, ciphertext_bytes), layout


def _parse(data: bytes) -> _Header:
    try:
        header = msgspec.json.decode(data, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ParameterError("the header of an encrypted array is malformed") from None
    if header.rows < 0:
        raise ParameterError("the header of an encrypted array is malformed")
    return header


def _header_bytes(fingerprint: str, rows: int, layout: Layout) -> bytes:
    document: dict[str, Any] = {"fingerprint": fingerprint, "rows": rows, "slots": []}
    if isinstance(layout, Numbers):
        document |= {"scale": f"{layout.scale:x}", "bound": f"{layout.bound:x}", "weight": "", "max_weight": ""}
    else:
        document |= {"scale": "", "bound": "", "weight": f"{layout.weight:x}", "max_weight": f"{layout.packing.max_weight:x}"}
        document["slots"] = [
            {"name": slot.name, "bound": f"{slot.bound:x}", "scale": f"{slot.scale:x}"} for slot in layout.packing.slots
        ]
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _layout(header: _Header) -> Layout:
    try:
        if not header.slots:
            return Numbers(scale=int(header.scale, 16), bound=int(header.bound, 16))
        slots = tuple(Slot(name=s.name, bound=int(s.bound, 16), scale=int(s.scale, 16)) for s in header.slots)
        packing = Packing(slots=slots, max_weight=int(header.max_weight, 16))
        return Packed(packing=packing, weight=int(header.weight, 16))
    except ValueError:
        raise ParameterError("the header of an encrypted array is malformed") from None
