"""Big integers: limb arrays to and from Python integers, and the engine that needs no compiler (gmpy2).

Legend: m modulus, r its root (m = r²) where known, a and q remainder and quotient by r, s slope: a unit t modulo r² is
t = a·(1 + s·r). Slopes of a product add up, which halves the width of table entries (see `PortableFixedBase`).
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import gmpy2
import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives.engine import Limbs

LIMB_BITS = 64
_MAX_WINDOW_BITS = 16
_MPZ_OVERHEAD_BYTES = 72  # object header, limb allocation and tuple slot of one mpz


def limbs_for(value: int) -> int:
    """Return how many 64-bit limbs hold `value` (at least one)."""
    return max(1, -(-int(value).bit_length() // LIMB_BITS))


def to_limbs(values: Iterable[int], limbs: int) -> Limbs:
    """Return (n, limbs) uint64, little-endian limbs of non-negative integers.

    Raises ParameterError with the row of a value that is negative or too wide.
    """
    numbers = list(values)
    size_bytes = limbs * 8
    try:
        data = b"".join([number.to_bytes(size_bytes, "little") for number in numbers])
    except OverflowError:
        width = limbs * LIMB_BITS
        row = next(i for i, number in enumerate(numbers) if number < 0 or number.bit_length() > width)
        raise ParameterError(f"row {row} is negative or wider than {width} bits") from None
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(len(numbers), limbs)


def from_limbs(array: Limbs) -> list[int]:
    """Return the integers of an (n, limbs) limb array."""
    data, size_bytes = _raw(array)
    return [int.from_bytes(data[i : i + size_bytes], "little") for i in range(0, len(data), size_bytes)]


def to_byte_rows(array: Limbs) -> npt.NDArray[np.uint8]:
    """Return (n, 8·limbs) uint8, each row one integer in little-endian bytes; a copy."""
    return np.ascontiguousarray(array, dtype="<u8").view(np.uint8).reshape(len(array), 8 * array.shape[1]).copy()


def from_byte_rows(rows: npt.NDArray[np.uint8]) -> Limbs:
    """Return (n, size/8) uint64 of an (n, size) uint8 array of little-endian integers; size is a multiple of 8."""
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] % 8:
        raise ParameterError("expected a two-dimensional uint8 array with rows of a multiple of 8 bytes")
    return np.ascontiguousarray(rows).view("<u8").astype(np.uint64).reshape(len(rows), rows.shape[1] // 8)


def _raw(array: Limbs) -> tuple[bytes, int]:
    return np.ascontiguousarray(array, dtype="<u8").tobytes(), array.shape[1] * 8


def read_mpz(array: Limbs) -> list[Any]:
    """Return the integers of an (n, limbs) limb array as gmpy2.mpz, for arithmetic on many of them."""
    data, size_bytes = _raw(array)
    read = gmpy2.mpz.from_bytes
    return [read(data[i : i + size_bytes], "little") for i in range(0, len(data), size_bytes)]


def digits(exponents: Limbs, widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Cut exponents into windows from the lowest bit: (n, e_limbs) -> (n, len(widths)); each width is below 64."""
    result = np.empty((len(exponents), len(widths)), dtype=np.int64)
    offset = 0
    for column, width in enumerate(widths):
        limb, shift = divmod(offset, LIMB_BITS)
        if limb >= exponents.shape[1]:
            result[:, column] = 0
        else:
            word = exponents[:, limb] >> np.uint64(shift)
            if shift + width > LIMB_BITS and limb + 1 < exponents.shape[1]:
                word = word | (exponents[:, limb + 1] << np.uint64(LIMB_BITS - shift))
            result[:, column] = word & np.uint64((1 << width) - 1)
        offset += width
    return result


def window_widths(exponent_bits: int, entry_bytes: int, budget_bytes: int) -> list[int]:
    """Return the fewest windows that cover an exponent and whose tables fit the budget (one bit each at worst).

    Widths differ by at most one bit, so that the budget is used up instead of stopping at a power of two.
    """
    least = -(-exponent_bits // _MAX_WINDOW_BITS)

    def widths(count: int) -> list[int]:
        width, wider = divmod(exponent_bits, count)
        return [width + 1] * wider + [width] * (count - wider)

    counts = range(least, exponent_bits + 1)
    fits = bisect.bisect_left(
        counts, True, key=lambda count: sum(1 << width for width in widths(count)) * entry_bytes <= budget_bytes
    )
    return widths(counts[min(fits, len(counts) - 1)])


class PortableFixedBase:
    """Powers of one base from gmpy2 integers: one short multiplication a window.

    With m = r², entries are kept as a and slope s of t = a·(1 + s·r): a row multiplies the a (half as wide as t) modulo
    m and only adds the slopes. Measured at m of 4096 bits: 2.0 µs instead of 3.7 µs a window. Not constant-time.
    """

    def __init__(self, modulus: int, root: int | None, base: int, exponent_bits: int, budget_bytes: int) -> None:
        if exponent_bits < 1:
            raise ParameterError("a fixed base needs at least one exponent bit")
        self._modulus = gmpy2.mpz(modulus)
        self._root = None if root is None else gmpy2.mpz(root)
        self._limbs = limbs_for(modulus)
        self._exponent_bits = exponent_bits
        entry_bytes = self._limbs * 8 + _MPZ_OVERHEAD_BYTES if root is None else 2 * (limbs_for(root) * 8 + _MPZ_OVERHEAD_BYTES)
        self._widths = window_widths(exponent_bits, entry_bytes, budget_bytes)
        self._offsets = np.array([0, *itertools.accumulate(1 << width for width in self._widths)], dtype=np.int64)
        self._size_bytes = int(self._offsets[-1]) * entry_bytes
        self._factors, self._slopes = self._tables(base)

    @property
    def window_bits(self) -> int:
        """Exponent bits that one table answers (the widest, where they differ)."""
        return self._widths[0]

    @property
    def size_bytes(self) -> int:
        """Memory that the tables take, in bytes."""
        return self._size_bytes

    def _tables(self, base: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        if self._root is None:
            return tuple(self._plain_table(gmpy2.mpz(base))), ()
        try:
            return self._sloped_tables(gmpy2.mpz(base), self._root)
        except ZeroDivisionError:
            raise ParameterError("the base of a fixed-base table shares a factor with the modulus") from None

    def _plain_table(self, base: Any) -> list[Any]:
        table, modulus = [], self._modulus
        for width in self._widths:
            power = gmpy2.mpz(1)
            for _ in range(1 << width):
                table.append(power + 0)
                power = power * base % modulus
            base = power
        return table

    def _sloped_tables(self, base: Any, root: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        quotient, step = divmod(base % self._modulus, root)
        inverse_step = gmpy2.invert(step, root)
        slope_step = quotient * inverse_step % root
        factors, slopes = [], []
        for width in self._widths:
            factor, inverse, slope = gmpy2.mpz(1), gmpy2.mpz(1), gmpy2.mpz(0)
            for _ in range(1 << width):
                # A remainder keeps the room of its dividend; the sum with 0 takes only what the number needs.
                factors.append(factor + 0)
                slopes.append(slope + 0)
                quotient, factor = divmod(factor * step, root)
                inverse = inverse * inverse_step % root
                slope = (slope + slope_step + quotient * inverse) % root
            step, inverse_step, slope_step = factor, inverse, slope
        return tuple(factors), tuple(slopes)

    def power(self, exponents: Limbs) -> Limbs:
        """Return base^e for each exponent: (n, e_limbs) -> (n, limbs). Exponents beyond the declared bits are refused."""
        _check_exponents(exponents, self._exponent_bits)
        rows = (digits(exponents, self._widths) + self._offsets[:-1]).tolist()
        modulus, root, factors, slopes = self._modulus, self._root, self._factors, self._slopes
        results = []
        for row in rows:
            product = factors[row[0]]
            for index in row[1:]:
                product = product * factors[index] % modulus
            if root is not None:
                slope = sum([slopes[index] for index in row])
                product = product * (slope % root * root + 1) % modulus
            results.append(product)
        return to_limbs(results, self._limbs)

    def __repr__(self) -> str:
        return f"<PortableFixedBase: {self.window_bits}-bit windows, {self.size_bytes} bytes>"


def _check_exponents(exponents: Limbs, exponent_bits: int) -> None:
    limb, shift = divmod(exponent_bits, LIMB_BITS)
    if limb >= exponents.shape[1]:
        return
    excess = (exponents[:, limb] >> np.uint64(shift)) != 0
    if limb + 1 < exponents.shape[1]:
        excess |= np.any(exponents[:, limb + 1 :] != 0, axis=1)
    if np.any(excess):
        raise ParameterError(f"the exponent in row {int(np.argmax(excess))} is longer than {exponent_bits} bits")


class PortableModulus:
    """Arithmetic modulo one odd number on gmpy2. Immutable."""

    def __init__(self, value: int, root: int | None) -> None:
        if value < 3 or value % 2 == 0:
            raise ParameterError("a modulus must be odd and at least 3")
        if root is not None and root * root != value:
            raise ParameterError("root² is not the modulus")
        self._value = int(value)
        self._root = None if root is None else int(root)
        self._m = gmpy2.mpz(value)
        self._limbs = limbs_for(value)

    @property
    def value(self) -> int:
        """The modulus."""
        return self._value

    @property
    def limbs(self) -> int:
        """Width of a residue in 64-bit limbs."""
        return self._limbs

    def _read(self, array: Limbs) -> list[Any]:
        if array.ndim != 2 or array.shape[1] != self._limbs:
            raise ParameterError(f"expected residues of shape (n, {self._limbs}), got {array.shape}")
        return read_mpz(array)

    def multiply(self, a: Limbs, b: Limbs) -> Limbs:
        """Return a·b, elementwise: (n, limbs) with (n, limbs), or with (1, limbs) for one factor shared by all."""
        if len(b) not in (1, len(a)):
            raise ParameterError(f"cannot multiply {len(a)} rows with {len(b)}")
        m, right = self._m, self._read(b)
        if len(right) == 1:
            factor = right[0]
            return to_limbs([x * factor % m for x in self._read(a)], self._limbs)
        return to_limbs([x * y % m for x, y in zip(self._read(a), right, strict=True)], self._limbs)

    def power(self, bases: Limbs, exponents: Limbs, *, secret: bool = False) -> Limbs:
        """Return base^e elementwise; exponents are (n, e_limbs), or (1, e_limbs) for one that all share.

        `secret` uses GMP's mpz_powm_sec (fixed sequence and memory accesses for a given width of exponent) and holds
        the GIL; a shared public exponent releases it.
        """
        if len(exponents) not in (1, len(bases)):
            raise ParameterError(f"cannot raise {len(bases)} rows to {len(exponents)} exponents")
        m, rows, powers = self._m, self._read(bases), read_mpz(exponents)
        if len(powers) == 1 and powers[0] > 0 and not secret:
            return to_limbs(gmpy2.powmod_base_list(rows, powers[0], m), self._limbs)
        if len(powers) == 1:
            powers *= len(rows)
        raised = gmpy2.powmod_sec if secret else gmpy2.powmod
        results = [raised(x, e, m) if e > 0 else gmpy2.mpz(1) for x, e in zip(rows, powers, strict=True)]
        return to_limbs(results, self._limbs)

    def product(self, a: Limbs, starts: npt.NDArray[np.int64]) -> Limbs:
        """Return the product of each segment a[starts[i]:starts[i+1]]: starts is (k+1,), the result (k, limbs).

        An empty segment gives 1. `starts` ascends from 0 to len(a); anything else is a ParameterError.
        """
        if starts.ndim != 1 or len(starts) == 0 or starts[0] != 0 or starts[-1] != len(a) or np.any(np.diff(starts) < 0):
            raise ParameterError(f"segment starts must ascend from 0 to the number of rows ({len(a)})")
        m, rows, edges = self._m, self._read(a), starts.tolist()
        results = []
        for first, last in itertools.pairwise(edges):
            product = gmpy2.mpz(1)
            for x in rows[first:last]:
                product = product * x % m
            results.append(product)
        return to_limbs(results, self._limbs)

    def invert(self, a: Limbs) -> Limbs:
        """Return a⁻¹ elementwise, by one shared inversion (Montgomery). Raises ParameterError with the row of a non-unit."""
        m, rows = self._m, self._read(a)
        prefixes = [gmpy2.mpz(1)]
        for x in rows:
            prefixes.append(prefixes[-1] * x % m)
        try:
            inverse = gmpy2.invert(prefixes[-1], m)
        except ZeroDivisionError:
            row = next(i for i, x in enumerate(rows) if gmpy2.gcd(x, m) != 1)
            raise ParameterError(f"row {row} has no inverse: it shares a factor with the modulus") from None
        results = []
        for x, prefix in zip(reversed(rows), reversed(prefixes[:-1]), strict=True):
            results.append(inverse * prefix % m)
            inverse = inverse * x % m
        results.reverse()
        return to_limbs(results, self._limbs)

    def multi_power(self, bases: Limbs, magnitudes: Limbs, negative: npt.NDArray[np.bool_]) -> Limbs:
        """Return Π_i bases_i^(±magnitude_i) for each row of weights (Pippenger's buckets, one inversion for all rows).

        bases: (n, limbs). magnitudes: (k, n, e_limbs). negative: (k, n). Result: (k, limbs).
        Raises ParameterError on other shapes, or if a base with a negative weight has no inverse.
        """
        if magnitudes.ndim != 3 or magnitudes.shape[1] != len(bases) or negative.shape != magnitudes.shape[:2]:
            raise ParameterError(f"weights of shape {magnitudes.shape[:2]} do not fit {len(bases)} rows")
        rows = self._read(bases)
        numerators, denominators = [], []
        for weights, signs in zip(magnitudes, negative, strict=True):
            numerators.append(self._pippenger(rows, np.where(signs[:, None], np.uint64(0), weights)))
            denominators.append(self._pippenger(rows, np.where(signs[:, None], weights, np.uint64(0))))
        result = to_limbs(numerators, self._limbs)
        if not np.any(negative):
            return result
        return self.multiply(result, self.invert(to_limbs(denominators, self._limbs)))

    def _pippenger(self, rows: list[Any], weights: Limbs) -> Any:
        """Return Π rows_i^weight_i: per window, rows with the same digit share one bucket."""
        used = np.flatnonzero(np.any(weights != 0, axis=1))
        product = gmpy2.mpz(1)
        if len(used) == 0:
            return product
        m, chosen = self._m, [rows[i] for i in used.tolist()]
        bits = _bit_length(weights[used])
        width = min(range(1, _MAX_WINDOW_BITS), key=lambda w: -(-bits // w) * (len(chosen) + (2 << w)))
        windows = digits(weights[used], [width] * -(-bits // width))
        for column in reversed(range(windows.shape[1])):
            for _ in range(width if product != 1 else 0):
                product = product * product % m
            buckets: dict[int, Any] = {}
            for x, digit in zip(chosen, windows[:, column].tolist(), strict=True):
                if digit:
                    held = buckets.get(digit)
                    buckets[digit] = x if held is None else held * x % m
            product = product * self._collapse(buckets) % m
        return product

    def _collapse(self, buckets: dict[int, Any]) -> Any:
        """Return Π bucket_d^d, by running products from the highest digit down."""
        m, running, total = self._m, gmpy2.mpz(1), gmpy2.mpz(1)
        for digit in range(max(buckets, default=0), 0, -1):
            held = buckets.get(digit)
            if held is not None:
                running = running * held % m
            total = total * running % m
        return total

    def fixed_base(self, base: int, exponent_bits: int, budget_bytes: int) -> PortableFixedBase:
        """Build tables for powers of `base` up to `exponent_bits`, with the largest windows that fit the budget.

        Raises ParameterError where the modulus has a known root and the base is no unit.
        """
        return PortableFixedBase(self._value, self._root, base, exponent_bits, budget_bytes)

    def __repr__(self) -> str:
        return f"<PortableModulus: {self._value.bit_length()} bits>"


def _bit_length(weights: Limbs) -> int:
    for limb in reversed(range(weights.shape[1])):
        top = int(weights[:, limb].max())
        if top:
            return limb * LIMB_BITS + top.bit_length()
    return 0


class PortableEngine:
    """Modular arithmetic on gmpy2; works wherever the package installs."""

    @property
    def name(self) -> str:
        """`portable`."""
        return "portable"

    @property
    def description(self) -> str:
        """One line for people: library in use, and what of it is constant-time."""
        return (
            f"gmpy2 {gmpy2.version()} on {gmpy2.mp_version()}; powers with a secret exponent use mpz_powm_sec, "
            "everything else (tables, products, reductions) is variable-time"
        )

    def modulus(self, value: int, *, root: int | None = None) -> PortableModulus:
        """Prepare arithmetic modulo the odd `value`; `root` tells that value = root², which halves table entries."""
        return PortableModulus(value, root)
