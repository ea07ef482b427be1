"""The engine in C++: checks of every input, and the steps that need one inversion, around the compiled kernels.

The kernels and what of them is constant-time are described in protocols/primitives/native/README.md.
"""

from __future__ import annotations

import bisect
import math

import gmpy2
import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives import _native
from protocols.primitives.bigint import LIMB_BITS, from_limbs, limbs_for, to_limbs
from protocols.primitives.engine import Limbs

_MAX_WINDOW_BITS = 16
_MAX_MODULUS_BITS = 1 << 15  # 64-bit columns hold the sums of products up to here, with room to spare
_PATHS = {
    "ifma": "AVX-512 IFMA, 8 numbers at a time",
    "avx512": "AVX-512F, 8 numbers at a time by double-precision fused multiply-adds",
    "adx": "mulx/ADX rows, one number at a time",
    "portable": "C++ with 128-bit products, one number at a time",
}


def available_paths() -> tuple[str, ...]:
    """Return the instruction paths that this processor can run, the fastest first."""
    return tuple(_native.available_paths())


def _check_limbs(array: Limbs, name: str, dimensions: int) -> None:
    if array.dtype != np.uint64 or array.ndim != dimensions:
        raise ParameterError(f"{name} must be a uint64 array of {dimensions} dimensions, not {array.dtype} of {array.ndim}")


def _bit_length(numbers: Limbs) -> int:
    """Return the bits of the longest of (..., limbs) numbers."""
    for limb in reversed(range(numbers.shape[-1])):
        top = int(numbers[..., limb].max(initial=0))
        if top:
            return limb * LIMB_BITS + top.bit_length()
    return 0


class NativeFixedBase:
    """Powers of one base, from tables that are built once. Immutable, shared by threads."""

    def __init__(self, table: _native.FixedBase, exponent_bits: int) -> None:
        self._table = table
        self._exponent_bits = exponent_bits

    @property
    def window_bits(self) -> int:
        """Exponent bits that one table answers (the widest, where they differ by one)."""
        return self._table.window_bits

    @property
    def size_bytes(self) -> int:
        """Memory that the tables take, in bytes."""
        return self._table.size_bytes

    def power(self, exponents: Limbs) -> Limbs:
        """Return base^e for each exponent: (n, e_limbs) -> (n, limbs). Which entries are read depends on the exponent.

        Raises ParameterError with the row of an exponent that is longer than the declared bits.
        """
        _check_limbs(exponents, "exponents", 2)
        limb, shift = divmod(self._exponent_bits, LIMB_BITS)
        if limb < exponents.shape[1]:
            excess = (exponents[:, limb] >> np.uint64(shift)) != 0
            excess |= np.any(exponents[:, limb + 1 :] != 0, axis=1)
            if np.any(excess):
                row = int(np.argmax(excess))
                raise ParameterError(f"the exponent in row {row} is longer than {self._exponent_bits} bits")
        return self._table.power(np.ascontiguousarray(exponents))

    def __repr__(self) -> str:
        return f"<NativeFixedBase: {self.window_bits}-bit windows, {self.size_bytes} bytes>"


class NativeModulus:
    """Arithmetic modulo one odd number, in C++. Immutable, shared by threads; the heavy parts release the GIL."""

    def __init__(self, path: str, value: int, root: int | None) -> None:
        if value < 3 or value % 2 == 0:
            raise ParameterError("a modulus must be odd and at least 3")
        if value.bit_length() > _MAX_MODULUS_BITS:
            raise ParameterError(f"the native engine takes moduli of at most {_MAX_MODULUS_BITS} bits")
        if root is not None and (root < 0 or root * root != value):
            raise ParameterError("root² is not the modulus")
        self._value = int(value)
        self._limbs = limbs_for(value)
        roots = np.zeros(0, dtype=np.uint64) if root is None else to_limbs([root], limbs_for(root))[0]
        self._native = _native.Modulus(path, to_limbs([value], self._limbs)[0], roots)

    @property
    def value(self) -> int:
        """The modulus."""
        return self._value

    @property
    def limbs(self) -> int:
        """Width of a residue in 64-bit limbs."""
        return self._limbs

    def _residues(self, array: Limbs, name: str) -> Limbs:
        """Return (n, limbs) residues as the kernels take them. Raises ParameterError on other arrays and values."""
        _check_limbs(array, name, 2)
        if array.shape[1] != self._limbs:
            raise ParameterError(f"{name} must have shape (n, {self._limbs}), not {array.shape}")
        array = np.ascontiguousarray(array)
        row = self._native.first_unreduced(array)
        if row >= 0:
            raise ParameterError(f"row {row} of {name} is not below the modulus")
        return array

    def multiply(self, a: Limbs, b: Limbs) -> Limbs:
        """Return a·b, elementwise: (n, limbs) with (n, limbs), or with (1, limbs) for one factor shared by all.

        Raises ParameterError on other shapes and on values that are not below the modulus.
        """
        if len(b) not in (1, len(a)):
            raise ParameterError(f"cannot multiply {len(a)} rows with {len(b)}")
        return self._native.multiply(self._residues(a, "a"), self._residues(b, "b"))

    def power(self, bases: Limbs, exponents: Limbs, *, secret: bool = False) -> Limbs:
        """Return base^e elementwise; exponents are (n, e_limbs), or (1, e_limbs) for one that all share.

        Fixed windows. With `secret`, time and memory accesses depend on the width e_limbs alone: every table entry is
        read for each lookup. Else the schedule stops at the longest exponent's bits. Raises ParameterError as `multiply`.
        """
        _check_limbs(exponents, "exponents", 2)
        if len(exponents) not in (1, len(bases)):
            raise ParameterError(f"cannot raise {len(bases)} rows to {len(exponents)} exponents")
        exponent_bits = exponents.shape[1] * LIMB_BITS if secret else _bit_length(exponents)
        return self._native.power(self._residues(bases, "bases"), np.ascontiguousarray(exponents), exponent_bits, secret)

    def product(self, a: Limbs, starts: npt.NDArray[np.int64]) -> Limbs:
        """Return the product of each segment a[starts[i]:starts[i+1]]: starts is (k+1,), the result (k, limbs).

        An empty segment gives 1. `starts` ascends from 0 to len(a); anything else is a ParameterError.
        """
        rows = self._residues(a, "a")
        if starts.ndim != 1 or len(starts) == 0 or starts[0] != 0 or starts[-1] != len(a) or np.any(np.diff(starts) < 0):
            raise ParameterError(f"segment starts must ascend from 0 to the number of rows ({len(a)})")
        return self._native.product(rows, np.ascontiguousarray(starts, dtype=np.int64))

    def invert(self, a: Limbs) -> Limbs:
        """Return a⁻¹ elementwise, by a tree of products and one inversion of its root (not constant-time).

        Raises ParameterError with the row of a non-unit.
        """
        rows = self._residues(a, "a")
        if len(rows) == 0:
            return rows.copy()
        levels = [rows]
        while len(levels[-1]) > 1:
            level = levels[-1]
            pairs = len(level) // 2
            products = self._product_of(level[0 : 2 * pairs : 2], level[1 : 2 * pairs : 2])
            levels.append(np.concatenate([products, level[2 * pairs :]]))
        inverses = self._inverse_of_root(levels[-1], rows)
        for level in reversed(levels[:-1]):
            pairs = len(level) // 2
            below = np.empty_like(level)
            below[0 : 2 * pairs : 2] = self._product_of(inverses[:pairs], level[1 : 2 * pairs : 2])
            below[1 : 2 * pairs : 2] = self._product_of(inverses[:pairs], level[0 : 2 * pairs : 2])
            below[2 * pairs :] = inverses[pairs:]
            inverses = below
        return inverses

    def _product_of(self, a: Limbs, b: Limbs) -> Limbs:
        return self._native.multiply(np.ascontiguousarray(a), np.ascontiguousarray(b))

    def _inverse_of_root(self, root: Limbs, rows: Limbs) -> Limbs:
        try:
            inverse = gmpy2.invert(from_limbs(root)[0], self._value)
        except ZeroDivisionError:
            row = next(i for i, x in enumerate(from_limbs(rows)) if math.gcd(x, self._value) != 1)
            raise ParameterError(f"row {row} has no inverse: it shares a factor with the modulus") from None
        return to_limbs([int(inverse)], self._limbs)

    def multi_power(self, bases: Limbs, magnitudes: Limbs, negative: npt.NDArray[np.bool_]) -> Limbs:
        """Return Π_i bases_i^(±magnitude_i) for each row of weights: by Pippenger's buckets, or Straus's tables for few bases.

        One inversion serves all rows.
        bases: (n, limbs). magnitudes: (k, n, e_limbs). negative: (k, n) bool. Result: (k, limbs). Weights are public:
        they steer the memory accesses. Raises ParameterError on other shapes and types, on values that are not below
        the modulus, or if a base with a negative weight has no inverse.
        """
        _check_limbs(magnitudes, "magnitudes", 3)
        if magnitudes.shape[1] != len(bases) or negative.shape != magnitudes.shape[:2] or negative.dtype != np.bool_:
            raise ParameterError(
                f"weights of shape {magnitudes.shape[:2]} and signs of shape {negative.shape} do not fit {len(bases)} rows"
            )
        rows, weights, signs = self._residues(bases, "bases"), np.ascontiguousarray(magnitudes), np.ascontiguousarray(negative)
        signs = signs & np.any(weights != 0, axis=2)
        weight_bits, any_negative = _bit_length(weights), bool(np.any(signs))
        try:
            if self._native.prefers_tables(len(rows), len(weights), weight_bits, any_negative):
                inverses = self._inverses_where(rows, np.any(signs, axis=0))
                return self._native.table_powers(rows, inverses, weights, signs, weight_bits)
            numerators, denominators = self._native.bucket_powers(rows, weights, signs, weight_bits)
            return self._native.multiply(numerators, self.invert(denominators)) if any_negative else numerators
        except ParameterError:
            row = next(i for i in np.flatnonzero(np.any(signs, axis=0)) if not self._has_inverse(rows[i]))
            raise ParameterError(f"the base in row {row} has a negative weight and no inverse") from None

    def _inverses_where(self, rows: Limbs, wanted: npt.NDArray[np.bool_]) -> Limbs:
        inverses = np.zeros_like(rows)
        inverses[wanted] = self.invert(rows[wanted])
        return inverses

    def _has_inverse(self, row: Limbs) -> bool:
        return math.gcd(from_limbs(row[None, :])[0], self._value) == 1

    def fixed_base(self, base: int, exponent_bits: int, budget_bytes: int) -> NativeFixedBase:
        """Build tables for powers of `base` up to `exponent_bits`, with the largest windows that fit the budget.

        Powers of a base that has an inverse take a fifth less time where the modulus is a square with known root.
        One-bit windows are the least, whatever the budget. Raises ParameterError on a base outside [0, value).
        """
        if not 0 <= base < self._value:
            raise ParameterError("the base of a fixed-base table is not below the modulus")
        if exponent_bits < 1:
            raise ParameterError("a fixed base needs at least one exponent bit")
        counts = range(-(-exponent_bits // _MAX_WINDOW_BITS), exponent_bits + 1)
        fits = bisect.bisect_left(
            counts,
            True,
            key=lambda tables: _native.FixedBase.table_bytes(self._native, exponent_bits, tables) <= budget_bytes,
        )
        tables = counts[min(fits, len(counts) - 1)]
        row, inverse = to_limbs([base], self._limbs)[0], self._inverse_if_any(base)
        return NativeFixedBase(_native.FixedBase(self._native, row, inverse, exponent_bits, tables), exponent_bits)

    def _inverse_if_any(self, base: int) -> Limbs:
        """Return (limbs,) of base⁻¹, or (0,) where there is none."""
        try:
            inverse = int(gmpy2.invert(base, self._value))
        except ZeroDivisionError:
            return np.zeros(0, dtype=np.uint64)
        row: Limbs = to_limbs([inverse], self._limbs)[0]
        return row

    def __repr__(self) -> str:
        return f"<NativeModulus: {self._value.bit_length()} bits>"


class NativeEngine:
    """Modular arithmetic in C++, on the fastest instruction path of this processor."""

    def __init__(self, path: str | None = None) -> None:
        """Choose the fastest path, or the named one (tests). Raises ParameterError where it is not available."""
        paths = available_paths()
        if path is not None and path not in paths:
            raise ParameterError(f"the path {path!r} is not available here; use one of {', '.join(paths)}")
        self._path = paths[0] if path is None else path
        self._is_forced = path is not None

    @property
    def name(self) -> str:
        """`native`."""
        return "native"

    @property
    def path(self) -> str:
        """The instruction path in use, one of `available_paths()`."""
        return self._path

    @property
    def description(self) -> str:
        """One line for people: the path and why it runs, and what of it is constant-time."""
        features = ", ".join(_native.processor_features()) or "none of bmi2, adx, avx512f, avx512ifma"
        reason = "asked for by name" if self._is_forced else f"the fastest that this processor allows (it has {features})"
        return (
            f"C++ path {self._path} ({_PATHS[self._path]}), {reason}; powers with a secret exponent run on a "
            "fixed schedule and read whole tables, everything else reads by address"
        )

    def modulus(self, value: int, *, root: int | None = None) -> NativeModulus:
        """Prepare arithmetic modulo the odd `value`; `root` tells that value = root², which allows the split form."""
        return NativeModulus(self._path, value, root)
