"""FF1, format-preserving encryption, over whole columns: NIST SP 800-38G, algorithms 7 and 8.

A text of n characters becomes another one of n characters of the same alphabet. Whoever has the key undoes it: what comes
out is de-identified, never anonymous, and equal texts stay equal. All rows of one length run through the ten rounds
together: one AES call for each round and chunk, arithmetic on arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.desensitise.feistel import MAX_RADIX, Feistel
from protocols.desensitise.text_column import Codes, TextColumn, as_array, like
from protocols.errors import ParameterError

CHUNK_ROWS = 1 << 13
MIN_DOMAIN = 1_000_000
DIGITS = "0123456789"

Numbers = npt.NDArray[np.uint64]


def encrypt(values: Any, *, key: bytes, tweak: bytes = b"", alphabet: str = DIGITS) -> Any:
    """Return the values encrypted, in the container they came in (list, numpy, pandas, Arrow); None stays None.

    values: texts over the alphabet; lengths may differ and stay as they are. key: 16, 24 or 32 bytes, secret. tweak: public,
    binds the result to a purpose or a column: other tweaks give unrelated results. alphabet: 2 to 65,536 distinct
    characters, numbered in this order. Raises ParameterError for a character outside it, and for texts of which there are fewer
    than 10^6 of their length (NIST asks for radix^length >= 10^6).
    """
    return _convert(values, key, tweak, alphabet, decrypting=False)


def decrypt(values: Any, *, key: bytes, tweak: bytes = b"", alphabet: str = DIGITS) -> Any:
    """Undo `encrypt` under the same key, tweak and alphabet. A wrong key is not noticed: it gives other texts. Errors alike."""
    return _convert(values, key, tweak, alphabet, decrypting=True)


def encrypt_numbers(numbers: Numbers, *, size: int, key: bytes, tweak: bytes = b"") -> Numbers:
    """Return a keyed permutation of range(size): (rows,) uint64.

    FF1 on four (or two) digits of the smallest radix that covers `size`, and again for the few results that fall outside
    (cycle walking, Black and Rogaway 2002). Raises ParameterError for numbers outside range(size), or a size not in
    10^6..2^60.
    """
    return _permute(numbers, size, key, tweak, decrypting=False)


def decrypt_numbers(numbers: Numbers, *, size: int, key: bytes, tweak: bytes = b"") -> Numbers:
    """Undo `encrypt_numbers`."""
    return _permute(numbers, size, key, tweak, decrypting=True)


def _convert(values: Any, key: bytes, tweak: bytes, alphabet: str, *, decrypting: bool) -> Any:
    key, tweak = _bytes(key, "key"), _bytes(tweak, "tweak")
    table, letters = _tables(alphabet)
    column = TextColumn(as_array(values))
    codes = _wide_enough(column.codes, letters)
    result = codes.copy()
    for length, rows in column.groups():
        _check_length(len(letters), length, len(rows))
        feistel = Feistel(key=key, tweak=tweak, radix=len(letters), length=length)
        for start in range(0, len(rows), CHUNK_ROWS):
            part = rows[start : start + CHUNK_ROWS]
            places = column.places(part, length)
            digits = _digits(codes[places], table, length, part)
            digits = feistel.decrypt(digits) if decrypting else feistel.encrypt(digits)
            result[places] = letters[digits.T.reshape(-1)].astype(result.dtype)
    return like(values, column.rebuilt(result))


def _permute(numbers: Numbers, size: int, key: bytes, tweak: bytes, *, decrypting: bool) -> Numbers:
    if not MIN_DOMAIN <= size <= 1 << 60:
        raise ParameterError(f"a permutation of {size} numbers is not offered; 10^6 to 2^60")
    key, tweak = _bytes(key, "key"), _bytes(tweak, "tweak")
    if numbers.dtype.kind not in "iu":
        raise ParameterError(f"numbers are {numbers.dtype}, not integers")
    outside_of = int(((numbers < 0) | (numbers >= size)).sum())
    if outside_of:
        raise ParameterError(f"{outside_of} numbers are not in 0..{size - 1}")
    length = 2 if size <= MAX_RADIX**2 else 4
    radix = _root(size, length)
    feistel = Feistel(key=key, tweak=tweak, radix=radix, length=length)
    step: Callable[..., Any] = feistel.decrypt if decrypting else feistel.encrypt
    result = numbers.astype(np.uint64)
    for start in range(0, len(result), CHUNK_ROWS):
        part = result[start : start + CHUNK_ROWS]
        outside = np.arange(len(part))
        while len(outside):
            part[outside] = _from_digits(step(_to_digits(part[outside], radix, length)), radix)
            outside = outside[part[outside] >= size]
    return result


def _bytes(value: object, name: str) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ParameterError(f"{name} is bytes, not {type(value).__name__}")
    return bytes(value)


def _root(size: int, length: int) -> int:
    """Return the smallest radix whose power `length` is at least `size`."""
    radix = max(2, int(size ** (1 / length)) - 1)
    while radix**length < size:
        radix += 1
    return radix


def _to_digits(numbers: Numbers, radix: int, length: int) -> npt.NDArray[np.uint16]:
    digits = np.empty((length, len(numbers)), dtype=np.uint16)
    for place in reversed(range(length)):
        quotient = numbers // np.uint64(radix)
        digits[place] = numbers - quotient * np.uint64(radix)
        numbers = quotient
    return digits


def _from_digits(digits: npt.NDArray[np.uint16], radix: int) -> Numbers:
    numbers = np.zeros(digits.shape[1], dtype=np.uint64)
    for place in digits:
        numbers = numbers * np.uint64(radix) + place
    return numbers


def _tables(alphabet: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    """Return (code point -> digit, or -1; its last entry stands for all above) and (digit -> code point)."""
    if not 2 <= len(alphabet) <= MAX_RADIX or len(set(alphabet)) != len(alphabet):
        raise ParameterError(
            f"an alphabet has 2 to {MAX_RADIX} distinct characters; this has {len(set(alphabet))} of {len(alphabet)}"
        )
    letters = np.array([ord(letter) for letter in alphabet], dtype=np.uint32)
    table = np.full(max(int(letters.max()) + 2, 0x81), -1, dtype=np.int32)
    table[letters] = np.arange(len(letters), dtype=np.int32)
    return table, letters


def _wide_enough(codes: Codes, letters: npt.NDArray[np.uint32]) -> Codes:
    return codes.astype(np.uint32) if codes.dtype == np.uint8 and int(letters.max()) > 0x7F else codes


def _check_length(radix: int, length: int, rows: int) -> None:
    if length < 2 or radix**length < MIN_DOMAIN:
        least = next(n for n in range(2, 21) if radix**n >= MIN_DOMAIN)
        raise ParameterError(
            f"{rows} values have {length} characters; over {radix} characters FF1 needs at least {least}, "
            "so that there are 10^6 such texts: suppress them, or use a token"
        )


def _digits(codes: Codes, table: npt.NDArray[np.int32], length: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """Return the digits of these rows, most significant first: (length, rows). Raises ParameterError, naming the first row."""
    digits = np.take(table, codes.reshape(-1, length).T, mode="clip")
    if digits.min() < 0:
        wrong = (digits < 0).any(axis=0)
        first = int(rows[np.argmax(wrong)])
        raise ParameterError(
            f"row {first} (from 0), and {int(wrong.sum()) - 1} more near it, has characters outside the alphabet"
        )
    return digits.astype(np.uint16)


__all__ = ["DIGITS", "decrypt", "decrypt_numbers", "encrypt", "encrypt_numbers"]
