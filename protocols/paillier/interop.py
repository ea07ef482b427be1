"""Exchange with phe (python-paillier): keys and numbers, both ways. phe is optional, and imported only here, when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gmpy2

from protocols.errors import EncodingOverflow, ParameterError
from protocols.paillier.array import EncryptedArray
from protocols.paillier.keys import PublicKey
from protocols.paillier.private import PrivateKey
from protocols.primitives.bigint import from_limbs, to_byte_rows, to_limbs

_BASE_BITS = 4  # phe's exponents count powers of 16


def _phe() -> Any:
    try:
        import phe
    except ImportError:
        raise ParameterError('phe is not installed: pip install "public-data-sandbox[phe]"') from None
    return phe


def public_key_to_phe(public_key: PublicKey) -> Any:
    """Return the phe.PaillierPublicKey of the same modulus. Raises ParameterError if phe is missing."""
    return _phe().PaillierPublicKey(public_key.n)


def public_key_from_phe(public_key: Any, *, allow_insecure: bool = False) -> PublicKey:
    """Return a key with full noise for a phe.PaillierPublicKey. Raises ParameterError unless it passes `PublicKey.check`."""
    key = PublicKey(n=int(public_key.n), h=None, noise="full")
    key.check(allow_insecure=allow_insecure)
    return key


def private_key_to_phe(private_key: PrivateKey) -> Any:
    """Return the phe.PaillierPrivateKey of the same primes. Secret, and phe prints and pickles it without protection."""
    return _phe().PaillierPrivateKey(public_key_to_phe(private_key.public_key), *private_key.primes)


def private_key_from_phe(private_key: Any, *, allow_insecure: bool = False) -> PrivateKey:
    """Return the key with full noise for a phe.PaillierPrivateKey. Raises ParameterError as `public_key_from_phe`."""
    public_key = public_key_from_phe(private_key.public_key, allow_insecure=allow_insecure)
    return PrivateKey(public_key, (int(private_key.p), int(private_key.q)))


def numbers_to_phe(array: EncryptedArray) -> list[Any]:
    """Return one phe.EncryptedNumber a row, and consume freshness.

    Raises NotFresh, and ParameterError for a packed array or a scale that is no power of 16 (phe knows no other).
    """
    exponent, rest = divmod(array.scale.bit_length() - 1, _BASE_BITS)
    if rest or array.scale != 1 << (exponent * _BASE_BITS):
        raise ParameterError(f"scale {array.scale} is no power of 16, and phe knows no other: use 1, 2**4, 2**8, ...")
    phe, public_key = _phe(), public_key_to_phe(array.public_key)
    rows = from_limbs(array.limbs)
    array.to_wire()
    return [phe.EncryptedNumber(public_key, row, exponent=-exponent) for row in rows]


def numbers_from_phe(numbers: Sequence[Any], public_key: PublicKey, *, bound: Any = None) -> EncryptedArray:
    """Return the array of phe.EncryptedNumber objects, brought to their smallest exponent; not fresh.

    public_key: of the same modulus, with full noise. bound: largest magnitude of a value, which phe does not carry.
    Raises ParameterError for another key or anything that is no ciphertext, EncodingOverflow if the bound does not fit.
    """
    if public_key.noise != "full":
        raise ParameterError("phe's ciphertexts have full noise: use the key of interop.public_key_from_phe")
    if any(int(number.public_key.n) != public_key.n for number in numbers):
        raise ParameterError("a number is encrypted under another key")
    exponents = [int(number.exponent) for number in numbers]
    lowest = min([0, *exponents])
    if (max([0, *exponents]) - lowest) * _BASE_BITS > public_key.key_bits:
        raise EncodingOverflow("the exponents are too far apart for this key")
    square = gmpy2.mpz(public_key.n) ** 2
    raw = [int(number.ciphertext(be_secure=False)) for number in numbers]
    if any(not 0 < row < square for row in raw):
        raise ParameterError("a number is no ciphertext of this key")
    raised = [
        gmpy2.powmod(row, 1 << (_BASE_BITS * (exponent - lowest)), square) for row, exponent in zip(raw, exponents, strict=True)
    ]
    matrix = to_byte_rows(to_limbs(raised, public_key.ring.limbs))
    return EncryptedArray.from_wire(matrix, public_key, scale=1 << (_BASE_BITS * -lowest), bound=bound)
