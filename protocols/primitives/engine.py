"""The one small interface behind which big-number arithmetic runs, and the choice of what runs there.

Arrays of residues are *limb arrays*: shape (n, limbs), dtype uint64, little-endian, C-contiguous, each value in
[0, modulus). Exponents are limb arrays too, with a width of their own. Results are new arrays. Every method releases the GIL
where its engine can, so that a mapper of threads helps.
"""

from __future__ import annotations

import functools
import os
from typing import Protocol

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError

Limbs = npt.NDArray[np.uint64]

ENGINES = ("auto", "native", "portable")


class FixedBase(Protocol):
    """Powers of one base, from tables that are built once. Immutable, shared by threads."""

    @property
    def window_bits(self) -> int:
        """Exponent bits that one table answers."""
        ...

    @property
    def size_bytes(self) -> int:
        """Memory that the tables take."""
        ...

    def power(self, exponents: Limbs) -> Limbs:
        """Return base^e for each exponent: (n, e_limbs) -> (n, limbs). Exponents beyond the declared bits are refused."""
        ...


class Modulus(Protocol):
    """Arithmetic modulo one odd number."""

    @property
    def value(self) -> int:
        """The modulus."""
        ...

    @property
    def limbs(self) -> int:
        """Width of a residue in 64-bit limbs."""
        ...

    def multiply(self, a: Limbs, b: Limbs) -> Limbs:
        """Return a·b, elementwise: (n, limbs) with (n, limbs), or with (1, limbs) for one factor shared by all."""
        ...

    def power(self, bases: Limbs, exponents: Limbs, *, secret: bool = False) -> Limbs:
        """Return base^e elementwise; exponents are (n, e_limbs), or (1, e_limbs) for one that all share.

        With `secret` the sequence of multiplications does not depend on the exponent's bits where the engine can do so
        (its `description` says whether memory accesses and limb arithmetic are constant-time too).
        """
        ...

    def product(self, a: Limbs, starts: npt.NDArray[np.int64]) -> Limbs:
        """Return the product of each segment a[starts[i]:starts[i+1]]: starts is (k+1,), the result (k, limbs).

        An empty segment gives 1. `starts` ascends from 0 to len(a).
        """
        ...

    def invert(self, a: Limbs) -> Limbs:
        """Return a⁻¹ elementwise, by one shared inversion. Raises ParameterError with the row of a non-unit."""
        ...

    def multi_power(self, bases: Limbs, magnitudes: Limbs, negative: npt.NDArray[np.bool_]) -> Limbs:
        """Return Π_i bases_i^(±magnitude_i) for each row of weights (Straus / Pippenger, one inversion).

        bases: (n, limbs). magnitudes: (k, n, e_limbs). negative: (k, n). Result: (k, limbs).
        """
        ...

    def fixed_base(self, base: int, exponent_bits: int, budget_bytes: int) -> FixedBase:
        """Build tables for powers of `base` up to `exponent_bits`, with the largest window that fits the budget."""
        ...


class Engine(Protocol):
    """An implementation of modular arithmetic."""

    @property
    def name(self) -> str:
        """`portable` or `native`."""
        ...

    @property
    def description(self) -> str:
        """One line for people: library or instruction path in use, and what of it is constant-time."""
        ...

    def modulus(self, value: int, *, root: int | None = None) -> Modulus:
        """Prepare arithmetic modulo the odd `value`; `root` tells that value = root², which allows the split form."""
        ...


def requested_engine() -> str:
    """Return what SANDBOX_ENGINE asks for: `auto` if it is unset. Raises ParameterError on another name."""
    name = os.environ.get("SANDBOX_ENGINE", "auto")
    if name not in ENGINES:
        raise ParameterError(f"SANDBOX_ENGINE is {name!r}; use one of {', '.join(ENGINES)}")
    return name


@functools.cache
def _load(name: str) -> Engine:
    from protocols.primitives.bigint import PortableEngine

    if name == "portable":
        return PortableEngine()
    reason = native_unavailable()
    if reason is None:
        from protocols.primitives.native_engine import NativeEngine, available_paths

        # The kernels without vector units or carry chains are slower than GMP's assembly.
        if name == "native" or available_paths() != ("portable",):
            return NativeEngine()
    elif name == "native":
        raise ParameterError(f"SANDBOX_ENGINE=native, but the native engine cannot be used: {reason}")
    return PortableEngine()


def native_unavailable() -> str | None:
    """Return why the native engine cannot be used here, with what to do; None if it can."""
    try:
        import protocols.primitives._native  # noqa: F401
    except ImportError as error:
        return (
            f"its extension is not built or does not load ({type(error).__name__}); "
            "install a C++17 compiler (Debian: apt-get install g++) and reinstall the package"
        )
    return None


def get_engine(name: str | None = None) -> Engine:
    """Return the engine that `name`, else SANDBOX_ENGINE, selects. Engines are stateless and cached."""
    if name is None:
        name = requested_engine()
    elif name not in ENGINES:
        raise ParameterError(f"unknown engine {name!r}; use one of {', '.join(ENGINES)}")
    return _load(name)
