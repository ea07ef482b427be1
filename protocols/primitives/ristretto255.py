"""ristretto255 over arrays: a prime-order group whose elements have one 32-byte encoding each (RFC 9496).

Points are (n, 32) uint8 arrays of encodings, scalars (n, 32) uint8 arrays of little-endian integers in [1, ℓ), both
C-contiguous; a single point or scalar is 32 bytes. Results are new arrays. Rows are numbered from 0 in errors, which never
show a value. Arithmetic runs in a `Group`: libsodium, one row at a time with the GIL released, or C++ on vectors of rows
(native_group.py); both are constant-time in scalars.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import rbcl

from protocols.errors import ParameterError
from protocols.primitives.engine import requested_engine
from protocols.primitives.rng import Rng

Points = npt.NDArray[np.uint8]
Scalars = npt.NDArray[np.uint8]

POINT_BYTES = 32
SCALAR_BYTES = 32
UNIFORM_BYTES = 64
ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = bytes(POINT_BYTES)

_HASH_BLOCK_BYTES = 128
_HASH_BYTES = 64
_MAX_DST_BYTES = 255
_ORDER_WORDS = np.frombuffer(ORDER.to_bytes(SCALAR_BYTES, "little"), dtype="<u8")


class Group(Protocol):
    """Batch arithmetic on checked arrays. A row that cannot be computed comes back as zero bytes, the identity's encoding."""

    @property
    def description(self) -> str:
        """One line for people: the library in use, and what of it is constant-time."""
        ...

    def from_uniform(self, uniform: npt.NDArray[np.uint8]) -> Points:
        """Map (n, 64) uniform bytes to the group by RFC 9496's one-way map: (n, 32)."""
        ...

    def multiply(self, scalar: bytes, points: Points) -> Points:
        """Return scalar·P for each row; zero bytes where the encoding is not valid or P is the identity."""
        ...

    def multiply_each(self, scalars: Scalars, point: bytes) -> Points:
        """Return s·P for each scalar; zero bytes if the encoding is not valid or P is the identity."""
        ...

    def multiply_rows(self, scalars: Scalars, points: Points) -> Points:
        """Return s·P row by row; zero bytes where the encoding is not valid or P is the identity."""
        ...

    def multiply_base(self, scalars: Scalars) -> Points:
        """Return s·B for each scalar, B the standard generator."""
        ...

    def add(self, a: Points, b: Points) -> Points:
        """Return a + b row by row; zero bytes also where an encoding is not valid."""
        ...

    def subtract(self, a: Points, b: Points) -> Points:
        """Return a − b row by row; zero bytes also where an encoding is not valid."""
        ...

    def is_valid(self, points: Points) -> npt.NDArray[np.bool_]:
        """Tell for each row whether it is the canonical encoding of an element, the identity included: (n,)."""
        ...


class PortableGroup:
    """libsodium through rbcl, which drops the result code of additions; `Group` tells bad rows by zero bytes instead.

    The libsodium in rbcl 1.0 ignores bit 255 of an encoding. RFC 9496 refuses it where it is set, and so does this class.
    """

    description = "libsodium (rbcl), one row per call; constant-time in scalars"

    def from_uniform(self, uniform: npt.NDArray[np.uint8]) -> Points:
        from_hash = rbcl.crypto_core_ristretto255_from_hash
        return _joined([from_hash(row) for row in _rows(uniform)])

    def multiply(self, scalar: bytes, points: Points) -> Points:
        times = rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero
        return _without_bit_255(_joined([times(scalar, point) for point in _rows(points)]), points)

    def multiply_each(self, scalars: Scalars, point: bytes) -> Points:
        times = rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero
        result = _joined([times(scalar, point) for scalar in _rows(scalars)])
        return _without_bit_255(result, _one(point, POINT_BYTES, "the point").repeat(len(result), axis=0))

    def multiply_rows(self, scalars: Scalars, points: Points) -> Points:
        times = rbcl.crypto_scalarmult_ristretto255_allow_scalar_zero
        return _without_bit_255(_joined(list(map(times, _rows(scalars), _rows(points)))), points)

    def multiply_base(self, scalars: Scalars) -> Points:
        times = rbcl.crypto_scalarmult_ristretto255_base_allow_scalar_zero
        return _joined([times(scalar) for scalar in _rows(scalars)])

    def add(self, a: Points, b: Points) -> Points:
        return _without_bit_255(_joined(list(map(rbcl.crypto_core_ristretto255_add, _rows(a), _rows(b)))), a, b)

    def subtract(self, a: Points, b: Points) -> Points:
        return _without_bit_255(_joined(list(map(rbcl.crypto_core_ristretto255_sub, _rows(a), _rows(b)))), a, b)

    def is_valid(self, points: Points) -> npt.NDArray[np.bool_]:
        is_valid_point = rbcl.crypto_core_ristretto255_is_valid_point
        valid = np.array([is_valid_point(point) for point in _rows(points)], dtype=np.bool_)
        return valid & (points[:, POINT_BYTES - 1] < 128)


def get_group() -> Group:
    """Return the arithmetic that SANDBOX_ENGINE selects: C++ if its extension loads, else libsodium; stateless, cached.

    Raises ParameterError for `native` where the extension does not load, and for an unknown name.
    """
    return _load_group(requested_engine())


@functools.cache
def _load_group(name: str) -> Group:
    if name == "portable":
        return PortableGroup()
    try:
        from protocols.primitives.native_group import NativeGroup
    except ImportError as error:
        if name == "native":
            reason = f"its extension is not built or does not load ({type(error).__name__})"
            raise ParameterError(f"SANDBOX_ENGINE=native, but ristretto255 in C++ cannot be used: {reason}") from error
        return PortableGroup()
    return NativeGroup()


def hash_to_group(messages: Sequence[bytes], dst: bytes) -> Points:
    """Hash each message to a point whose discrete logarithm nobody knows: (n, 32), in the order of `messages`.

    dst: domain separation tag, 1 byte or more; different tags give unrelated points.
    Raises ParameterError for an empty tag. Source: RFC 9380, appendix B, hash_to_ristretto255 with SHA-512.
    """
    uniform = b"".join(expand_messages(messages, dst, UNIFORM_BYTES))
    return get_group().from_uniform(np.frombuffer(uniform, dtype=np.uint8).reshape(-1, UNIFORM_BYTES))


def expand_messages(messages: Sequence[bytes], dst: bytes, size: int) -> list[bytes]:
    """Return `size` uniform bytes for each message (RFC 9380, section 5.3.1, expand_message_xmd with SHA-512).

    Tags over 255 bytes are hashed first (section 5.3.3). Raises ParameterError for an empty tag or a size outside 1..16320.
    """
    blocks = -(-size // _HASH_BYTES)
    if not dst:
        raise ParameterError("the domain separation tag is empty; name the protocol, its version and the domain")
    if not 1 <= blocks <= _MAX_DST_BYTES:
        raise ParameterError(f"expand_message_xmd yields 1 to {_MAX_DST_BYTES * _HASH_BYTES} bytes, not {size}")
    if len(dst) > _MAX_DST_BYTES:
        dst = hashlib.sha512(b"H2C-OVERSIZE-DST-" + dst).digest()
    dst_prime = dst + len(dst).to_bytes(1, "big")
    padded = hashlib.sha512(bytes(_HASH_BLOCK_BYTES))
    suffix = size.to_bytes(2, "big") + b"\x00" + dst_prime
    return [_expand(padded.copy(), message, suffix, dst_prime, blocks)[:size] for message in messages]


def multiply(scalar: bytes, points: Points, *, first_row: int = 0) -> Points:
    """Return scalar·P for each row: (n, 32).

    first_row: number of the first row in errors, for a caller that works in chunks. Raises ParameterError for a scalar
    outside [1, ℓ), and with its row number for an encoding that is not valid or the identity: an input from outside
    needs no `validate` before this.
    """
    _require_scalars(_one(scalar, SCALAR_BYTES, "the scalar"), "the scalar")
    _require_shape(points, "points")
    result = get_group().multiply(scalar, points)
    if not result.any(axis=1).all():
        validate(points, first_row=first_row)
    return result


def multiply_each(scalars: Scalars, point: bytes) -> Points:
    """Return s·P for each row of scalars: (n, 32). Raises ParameterError as `multiply` does."""
    _require_scalars(scalars, "scalars")
    validate(_one(point, POINT_BYTES, "the point"), "the point")
    return get_group().multiply_each(scalars, point)


def multiply_rows(scalars: Scalars, points: Points, *, first_row: int = 0) -> Points:
    """Return s·P row by row: (n, 32). Conditions and errors are those of `multiply`; the lengths must agree."""
    _require_scalars(scalars, "scalars")
    _require_pair(scalars, points)
    result = get_group().multiply_rows(scalars, points)
    if not result.any(axis=1).all():
        validate(points, first_row=first_row)
    return result


def multiply_base(scalars: Scalars) -> Points:
    """Return s·B for each row of scalars, B the standard generator: (n, 32). Raises ParameterError for a bad scalar."""
    _require_scalars(scalars, "scalars")
    return get_group().multiply_base(scalars)


def add(a: Points, b: Points, *, first_row: int = 0) -> Points:
    """Return a + b row by row: (n, 32). The identity may go in and come out.

    first_row: as in `multiply`. Raises ParameterError for unequal lengths, and with its row number for an encoding that is
    not valid.
    """
    _require_pair(a, b)
    return _checked_sum(get_group().add(a, b), a, b, first_row)


def subtract(a: Points, b: Points, *, first_row: int = 0) -> Points:
    """Return a − b row by row: (n, 32). Conditions and errors are those of `add`."""
    _require_pair(a, b)
    return _checked_sum(get_group().subtract(a, b), a, b, first_row)


def validate(points: Points, what: str = "points", *, first_row: int = 0) -> None:
    """Accept only canonical encodings of elements other than the identity.

    what: name of the array in the error. first_row: as in `multiply`. Raises ParameterError with the first bad row, its
    fault and how many rows are bad.
    """
    refuse_identity(points, what, first_row=first_row)
    _refuse_rows(~get_group().is_valid(points), what, "not the canonical encoding of a ristretto255 element", first_row)


def refuse_identity(points: Points, what: str = "points", *, first_row: int = 0) -> None:
    """Accept rows that are not the identity's encoding, without a look at whether they are valid. Errors as `validate`."""
    _require_shape(points, what)
    _refuse_rows(np.logical_not(points.any(axis=1)), what, "the identity", first_row)


def random_scalars(rng: Rng, count: int) -> Scalars:
    """Return `count` scalars, uniform in [1, ℓ): (count, 32). Each takes 64 bytes of `rng`: the bias is below 2^-259."""
    scalars = _reduced(rng.bytes(UNIFORM_BYTES * count))
    while not scalars.any(axis=1).all():
        zero = ~scalars.any(axis=1)
        scalars[zero] = _reduced(rng.bytes(UNIFORM_BYTES * int(zero.sum())))
    return scalars


def random_scalar(rng: Rng) -> bytes:
    """Return one scalar, uniform in [1, ℓ): 32 bytes."""
    return random_scalars(rng, 1).tobytes()


def invert_scalars(scalars: Scalars) -> Scalars:
    """Return s⁻¹ mod ℓ for each row, in constant time: (n, 32). Raises ParameterError for a scalar outside [1, ℓ)."""
    _require_scalars(scalars, "scalars")
    return _joined([rbcl.crypto_core_ristretto255_scalar_invert(scalar) for scalar in _rows(scalars)])


def hash_to_scalar(message: bytes, dst: bytes) -> bytes:
    """Hash a message to a scalar in [0, ℓ): 32 bytes (RFC 9497, section 4.1). Zero has a chance of 2^-252."""
    return _reduced(expand_messages([message], dst, UNIFORM_BYTES)[0]).tobytes()


def point_rows(points: Points) -> list[bytes]:
    """Return the encodings as one bytes object per row, for dictionaries and sets."""
    _require_shape(points, "points")
    return _rows(points)


def _expand(first: hashlib._Hash, message: bytes, suffix: bytes, dst_prime: bytes, blocks: int) -> bytes:
    first.update(message)
    first.update(suffix)
    b_0 = first.digest()
    output = [hashlib.sha512(b_0 + b"\x01" + dst_prime).digest()]
    for index in range(2, blocks + 1):
        mixed = (int.from_bytes(b_0, "big") ^ int.from_bytes(output[-1], "big")).to_bytes(_HASH_BYTES, "big")
        output.append(hashlib.sha512(mixed + index.to_bytes(1, "big") + dst_prime).digest())
    return b"".join(output)


def _reduced(uniform: bytes) -> Scalars:
    reduce = rbcl.crypto_core_ristretto255_scalar_reduce
    return _joined([reduce(uniform[at : at + UNIFORM_BYTES]) for at in range(0, len(uniform), UNIFORM_BYTES)])


def _rows(array: npt.NDArray[np.uint8]) -> list[bytes]:
    width = array.shape[1]
    data = array.tobytes()
    return [data[at : at + width] for at in range(0, len(data), width)]


def _joined(rows: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytearray(b"".join(rows)), dtype=np.uint8).reshape(-1, POINT_BYTES)


def _without_bit_255(result: Points, *operands: Points) -> Points:
    for operand in operands:
        result[operand[:, POINT_BYTES - 1] >= 128] = 0
    return result


def _one(value: bytes, size: int, what: str) -> npt.NDArray[np.uint8]:
    if not isinstance(value, bytes) or len(value) != size:
        raise ParameterError(f"{what} must be {size} bytes")
    return np.frombuffer(value, dtype=np.uint8).reshape(1, size)


def _require_shape(array: npt.NDArray[np.uint8], what: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != POINT_BYTES:
        raise ParameterError(f"{what} must be an (n, {POINT_BYTES}) uint8 array")


def _require_pair(a: Points, b: Points) -> None:
    _require_shape(a, "first operand")
    _require_shape(b, "second operand")
    if len(a) != len(b):
        raise ParameterError(f"the operands have {len(a)} and {len(b)} rows")


def _require_scalars(scalars: Scalars, what: str) -> None:
    _require_shape(scalars, what)
    words = np.ascontiguousarray(scalars).view("<u8")
    below = np.zeros(len(words), dtype=np.bool_)
    for column in range(words.shape[1]):
        below = (words[:, column] < _ORDER_WORDS[column]) | ((words[:, column] == _ORDER_WORDS[column]) & below)
    _refuse_rows(~below | ~scalars.any(axis=1), what, "not in [1, group order)", 0)


def _refuse_rows(bad: npt.NDArray[np.bool_], what: str, fault: str, first_row: int) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise ParameterError(f"{what}: row {first_row + rows[0]} is {fault} ({len(rows)} of {len(bad)} rows refused)")


def _checked_sum(result: Points, a: Points, b: Points, first_row: int) -> Points:
    """Tell a sum that is the identity from a bad operand: the operands are looked at only if some sum is zero bytes."""
    if not result.any(axis=1).all():
        for operand, what in ((a, "first operand"), (b, "second operand")):
            fault = "not the canonical encoding of a ristretto255 element"
            _refuse_rows(~get_group().is_valid(operand), what, fault, first_row)
    return result
