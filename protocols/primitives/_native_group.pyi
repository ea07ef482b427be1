"""The compiled ristretto255 kernels (native/group/bindings.cpp): shapes are checked, values are the caller's."""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint8]

def available_paths() -> list[str]:
    """Return the paths that this processor can run, the fastest first."""

class Group:
    """The operations on one path. Immutable; its methods release the GIL and return new arrays."""

    def __init__(self, path: str) -> None: ...
    def from_uniform(self, uniform: Rows) -> Rows: ...
    def multiply(self, scalars: Rows, points: Rows) -> Rows:
        """Return scalar·point row by row; either array may have one row for all rows of the other."""

    def multiply_fixed(self, scalars: Rows, point: Rows) -> Rows:
        """Return scalar·point for each scalar and the one point, by a table of its multiples that is made first."""

    def multiply_base(self, scalars: Rows) -> Rows: ...
    def add(self, a: Rows, b: Rows, negate: bool) -> Rows:
        """Return a + b row by row, or a − b."""

    def is_valid(self, points: Rows) -> npt.NDArray[np.bool_]: ...
    def verify(self, keys: Rows, hashes: Rows, signatures: Rows) -> npt.NDArray[np.bool_]:
        """Tell for each row whether its Ed25519 signature holds; hashes are SHA-512 of R, key and message."""

    def agree(self, scalars: Rows, points: Rows) -> Rows:
        """Return X25519 row by row, zero bytes for points of small order; `scalars` may have one row for all."""
