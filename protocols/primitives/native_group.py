"""ristretto255 in C++: the `Group` of ristretto255.py on the fastest instruction path of this processor; `CurveLanes` too.

The kernels, and what of them is constant-time, are described in protocols/primitives/native/group/README.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives import _native_group
from protocols.primitives.ristretto255 import POINT_BYTES, SCALAR_BYTES, Points, Scalars

_TABLE_FROM_ROWS = 9  # more than one vector of the widest path: from here on the table of a point repays its cost on all paths
_PATHS = {
    "ifma": "AVX-512 IFMA, 8 rows at a time",
    "avx512": "AVX-512F, 8 rows at a time",
    "avx2": "AVX2, 4 rows at a time",
    "portable": "C++ with 128-bit products, one row at a time",
}


def available_paths() -> tuple[str, ...]:
    """Return the instruction paths that this processor can run, the fastest first."""
    return tuple(_native_group.available_paths())


def has_lanes() -> bool:
    """Tell whether the extension has signatures and agreements: one that was built from older sources has ristretto255 only."""
    return hasattr(_native_group.Group, "agree")


class NativeGroup:
    """Batch arithmetic in C++. Stateless, shared by threads; every operation releases the GIL."""

    def __init__(self, path: str | None = None) -> None:
        """Choose the fastest path, or the named one (tests). Raises ParameterError where it is not available."""
        paths = available_paths()
        if path is not None and path not in paths:
            raise ParameterError(f"the path {path!r} is not available here; use one of {', '.join(paths)}")
        self._path = paths[0] if path is None else path
        self._native = _native_group.Group(self._path)

    @property
    def path(self) -> str:
        """The instruction path in use, one of `available_paths()`."""
        return self._path

    @property
    def description(self) -> str:
        """One line for people: the path, and what of it is constant-time."""
        return f"C++ path {self._path} ({_PATHS[self._path]}); constant-time in scalars"

    def from_uniform(self, uniform: npt.NDArray[np.uint8]) -> Points:
        """As in `Group`."""
        return self._native.from_uniform(np.ascontiguousarray(uniform))

    def multiply(self, scalar: bytes, points: Points) -> Points:
        """As in `Group`."""
        return self._native.multiply(_row(scalar, SCALAR_BYTES), np.ascontiguousarray(points))

    def multiply_each(self, scalars: Scalars, point: bytes) -> Points:
        """As in `Group`; from nine scalars on by a table of the point's multiples."""
        rows, points = np.ascontiguousarray(scalars), _row(point, POINT_BYTES)
        by_table = len(rows) >= _TABLE_FROM_ROWS
        return self._native.multiply_fixed(rows, points) if by_table else self._native.multiply(rows, points)

    def multiply_rows(self, scalars: Scalars, points: Points) -> Points:
        """As in `Group`."""
        return self._native.multiply(np.ascontiguousarray(scalars), np.ascontiguousarray(points))

    def multiply_base(self, scalars: Scalars) -> Points:
        """As in `Group`."""
        return self._native.multiply_base(np.ascontiguousarray(scalars))

    def add(self, a: Points, b: Points) -> Points:
        """As in `Group`."""
        return self._native.add(np.ascontiguousarray(a), np.ascontiguousarray(b), False)

    def subtract(self, a: Points, b: Points) -> Points:
        """As in `Group`."""
        return self._native.add(np.ascontiguousarray(a), np.ascontiguousarray(b), True)

    def is_valid(self, points: Points) -> npt.NDArray[np.bool_]:
        """As in `Group`."""
        return self._native.is_valid(np.ascontiguousarray(points))

    def verify(
        self, keys: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8], signatures: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.bool_]:
        """As in `lanes.CurveLanes`."""
        return self._native.verify(np.ascontiguousarray(keys), np.ascontiguousarray(hashes), np.ascontiguousarray(signatures))

    def agree(self, scalar: bytes, publics: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """As in `lanes.CurveLanes`."""
        return self._native.agree(_row(scalar, SCALAR_BYTES), np.ascontiguousarray(publics))

    def __repr__(self) -> str:
        return f"<NativeGroup: {self._path}>"


def _row(value: bytes, size: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(value, dtype=np.uint8).reshape(1, size)
