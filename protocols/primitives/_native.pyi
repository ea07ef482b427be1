"""The compiled kernels (native/bindings.cpp): shapes are checked, values are the caller's (native_engine.py)."""

import numpy as np
import numpy.typing as npt

Limbs = npt.NDArray[np.uint64]

def available_paths() -> list[str]:
    """Return the paths that this processor can run, the fastest first."""

def processor_features() -> list[str]:
    """Return the processor features in use that were found."""

class Modulus:
    """Arithmetic modulo one odd number, on one path. Immutable; its methods release the GIL."""

    def __init__(self, path: str, value: Limbs, root: Limbs) -> None:
        """Prepare it: value (limbs,), root (r,) with value = root², or (0,) if there is none."""

    @property
    def limbs(self) -> int: ...
    def first_unreduced(self, a: Limbs) -> int:
        """Return the first row that is not below the modulus, or -1."""

    def multiply(self, a: Limbs, b: Limbs) -> Limbs: ...
    def power(self, bases: Limbs, exponents: Limbs, exponent_bits: int, secret: bool) -> Limbs:
        """Return powers; no exponent is longer than exponent_bits, on which alone time and accesses depend if secret."""

    def product(self, a: Limbs, starts: npt.NDArray[np.int64]) -> Limbs: ...
    def bucket_powers(
        self, bases: Limbs, magnitudes: Limbs, negative: npt.NDArray[np.bool_], weight_bits: int
    ) -> tuple[Limbs, Limbs]:
        """Return the products over the weights that are not negative, and over those that are: (k, limbs) each."""

    def table_powers(
        self, bases: Limbs, inverses: Limbs, magnitudes: Limbs, negative: npt.NDArray[np.bool_], weight_bits: int
    ) -> Limbs:
        """Return the products over all weights; inverses (n, limbs) are read where a base has a negative weight."""

    def prefers_tables(self, n: int, rows: int, weight_bits: int, any_negative: bool) -> bool:
        """Return whether table_powers, its inversions apart, takes less time than bucket_powers."""

class FixedBase:
    """Powers of one base from tables. Immutable; `power` releases the GIL."""

    def __init__(self, modulus: Modulus, base: Limbs, inverse: Limbs, exponent_bits: int, tables: int) -> None:
        """Build tables for base (limbs,), whose inverse (limbs,), or (0,) if it has none, makes powers faster."""

    @staticmethod
    def table_bytes(modulus: Modulus, exponent_bits: int, tables: int) -> int:
        """Return what so many tables would take."""

    @property
    def window_bits(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    def power(self, exponents: Limbs) -> Limbs: ...
