"""FF1's ten rounds for many numerals of one radix and length at a time.

A half of m digits is held as limbs of k digits each, k the most with radix^k <= 2^32: rows lie along arrays, limbs across,
so that any length and radix takes the same path in numpy. Symbols are the standard's (NIST SP 800-38G): u, v the halves'
lengths, b the bytes of a half as a number, d the bytes of a round's output, P and Q the blocks of its CBC-MAC.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.errors import ParameterError

MAX_RADIX = 1 << 16
ROUNDS = 10
BLOCK = 16
MAX_TWEAK_BYTES = 1 << 16

Word = np.uint64
Words = list[npt.NDArray[np.uint64]]
Digits = npt.NDArray[np.uint16]
_MASK = Word(0xFFFFFFFF)
_SHIFT = Word(32)


class Half:
    """Numbers of m digits as limbs, the least significant first. bases: what each limb is below; all below 2^32 + 1."""

    def __init__(self, radix: int, digits: int) -> None:
        step = 1
        while radix ** (step + 1) <= 1 << 32:
            step += 1
        self.radix = radix
        self.digits = digits
        self.widths = [min(step, digits - done) for done in range(0, digits, step)]
        self.bases = [Word(radix**width) for width in self.widths]

    def read(self, digits: Digits) -> Words:
        """Return limbs of (m, rows) digits, the most significant first."""
        limbs, end = [], self.digits
        for width in self.widths:
            limb = digits[end - width].astype(Word)
            for place in range(end - width + 1, end):
                limb *= Word(self.radix)
                limb += digits[place]
            limbs.append(limb)
            end -= width
        return limbs

    def write(self, limbs: Words, digits: Digits) -> None:
        """Undo `read`, into `digits`."""
        end, radix = self.digits, Word(self.radix)
        for width, limb in zip(self.widths, limbs, strict=True):
            left = limb
            for place in range(end - 1, end - width, -1):
                quotient = left // radix
                digits[place] = left - quotient * radix
                left = quotient
            digits[end - width] = left
            end -= width

    def binary(self, limbs: Words, count: int) -> Words:
        """Return the numbers in `count` words of 32 bits, the least significant first."""
        if len(limbs) == 1:
            return [limbs[0], *(np.zeros_like(limbs[0]) for _ in range(count - 1))]
        words = [limbs[-1], *(np.zeros_like(limbs[-1]) for _ in range(count - 1))]
        for base, limb in zip(self.bases[-2::-1], limbs[-2::-1], strict=True):
            carry = limb
            for at, word in enumerate(words):
                total = word * base
                total += carry
                words[at] = total & _MASK
                carry = total >> _SHIFT
        return words

    def reduce(self, words: Words) -> Words:
        """Return, modulo radix^m, numbers of 32-bit words, the most significant first."""
        limbs = []
        for base in self.bases:
            quotients, rest = [], np.zeros_like(words[0])
            for word in words:
                total = (rest << _SHIFT) | word
                quotient = total // base
                rest = total - quotient * base
                quotients.append(quotient)
            limbs.append(rest)
            words = quotients
        return limbs

    def reduce_64(self, numbers: npt.NDArray[np.uint64]) -> Words:
        """Return 64-bit numbers modulo radix^m, for halves of one limb."""
        quotient = numbers // self.bases[0]
        quotient *= self.bases[0]
        return [numbers - quotient]

    def add(self, left: Words, right: Words) -> Words:
        """Return (left + right) mod radix^m."""
        limbs: Words = []
        carry: Any = Word(0)
        for base, one, two in zip(self.bases, left, right, strict=True):
            total = one + two
            total += carry
            carry = total >= base
            total -= base * carry
            limbs.append(total)
        return limbs

    def subtract(self, left: Words, right: Words) -> Words:
        """Return (left - right) mod radix^m."""
        limbs: Words = []
        borrow: Any = Word(0)
        for base, one, two in zip(self.bases, left, right, strict=True):
            total = one + base
            total -= two
            total -= borrow
            above = total >= base
            total -= base * above
            borrow = ~above
            limbs.append(total)
        return limbs


class Feistel:
    """FF1 under one key and tweak for numerals of one radix and length. Holds the key's schedule: secret."""

    def __init__(self, *, key: bytes, tweak: bytes, radix: int, length: int) -> None:
        if len(key) not in (16, 24, 32):
            raise ParameterError(f"an AES key has 16, 24 or 32 bytes, not {len(key)}")
        if len(tweak) > MAX_TWEAK_BYTES:
            raise ParameterError(f"a tweak has at most {MAX_TWEAK_BYTES} bytes; this has {len(tweak)}")
        self._aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  (the block cipher of FF1's own CBC-MAC)
        self.length = length
        u, v = length // 2, length - length // 2
        self._halves = (Half(radix, u), Half(radix, v))
        self._b = ((radix**v - 1).bit_length() + 7) // 8
        self._d = 4 * -(-self._b // 4) + 4
        p = bytes((1, 2, 1)) + radix.to_bytes(3, "big") + bytes((10, u % 256)) + length.to_bytes(4, "big")
        p += len(tweak).to_bytes(4, "big")
        q = tweak + bytes((-len(tweak) - self._b - 1) % BLOCK)  # then the round's number and b bytes
        fixed = p + q[: len(q) - (len(q) % BLOCK)]
        self._tail = q[len(q) - (len(q) % BLOCK) :]
        state = bytes(BLOCK)
        for at in range(0, len(fixed), BLOCK):
            block = bytes(a ^ b for a, b in zip(state, fixed[at : at + BLOCK], strict=True))
            state = self._aes.update(block)
        self._state = state

    def __repr__(self) -> str:
        return "Feistel(<redacted>)"

    def encrypt(self, digits: Digits) -> Digits:
        """Return (length, rows) digits encrypted."""
        small, large = self._halves
        a, b = small.read(digits[: small.digits]), large.read(digits[small.digits :])
        for number in range(ROUNDS):
            half, other = (small, large) if number % 2 == 0 else (large, small)
            a, b = b, half.add(a, self._round(number, b, other, half))
        return self._written(a, b)

    def decrypt(self, digits: Digits) -> Digits:
        """Return (length, rows) digits decrypted."""
        small, large = self._halves
        a, b = small.read(digits[: small.digits]), large.read(digits[small.digits :])
        for number in reversed(range(ROUNDS)):
            half, other = (small, large) if number % 2 == 0 else (large, small)
            a, b = half.subtract(b, self._round(number, a, other, half)), a
        return self._written(a, b)

    def _written(self, a: Words, b: Words) -> Digits:
        small, large = self._halves
        digits = np.empty((self.length, len(a[0])), dtype=np.uint16)
        small.write(a, digits[: small.digits])
        large.write(b, digits[small.digits :])
        return digits

    def _round(self, number: int, known: Words, source: Half, target: Half) -> Words:
        """Return the round function of `known` (a number of `source`) modulo radix^m of `target`."""
        blocks = self._blocks(number, known, source)
        state = self._encrypted(np.ascontiguousarray(blocks[:, :4]))
        for at in range(4, blocks.shape[1], 4):
            state = self._encrypted((blocks[:, at : at + 4] ^ state).astype(">u4"))  # numpy gives native order
        if self._d == 8:
            return target.reduce_64(state.view(">u8")[:, 0].astype(Word))
        return target.reduce(self._stretched(state))

    def _blocks(self, number: int, known: Words, source: Half) -> npt.NDArray[np.uint32]:
        """Return the blocks that differ between rows, the state of those before added to the first: (rows, 4 n) big-endian."""
        size = len(self._tail) + 1 + self._b
        constant = bytearray(self._tail + bytes((number,)) + bytes(self._b))
        for at, byte in enumerate(self._state):
            constant[at] ^= byte
        start = np.frombuffer(constant, dtype=">u4")
        blocks = np.empty((len(known[0]), size // 4), dtype=">u4")
        blocks[:] = start
        words = source.binary(known, -(-self._b // 4))
        for place, word in enumerate(words):
            blocks[:, -1 - place] = word ^ Word(int(start[-1 - place]))
        return blocks

    def _encrypted(self, blocks: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        room = np.empty(blocks.nbytes + BLOCK - 1, dtype=np.uint8)
        self._aes.update_into(blocks.data.cast("B"), room.data)
        return room[: blocks.nbytes].view(">u4").reshape(-1, 4)

    def _stretched(self, state: npt.NDArray[np.uint32]) -> Words:
        """Return d bytes as words, the most significant first: R, then AES(R xor 1), AES(R xor 2), ... (step 6.iii)."""
        words = [state[:, at].astype(Word) for at in range(4)]
        for counter in range(1, -(-self._d // BLOCK)):
            block = state.copy()
            block[:, 3] ^= np.uint32(counter)
            extra = self._encrypted(block)
            words += [extra[:, at].astype(Word) for at in range(4)]
        return words[: self._d // 4]
