"""Which arithmetic serves Ed25519 and X25519 on many rows: C++ on the lanes of a vector, or `cryptography` row by row."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np
import numpy.typing as npt

from protocols.primitives.engine import requested_engine
from protocols.primitives.ristretto255 import get_group

Rows = npt.NDArray[np.uint8]


class CurveLanes(Protocol):
    """What C++ does on rows beside ristretto255."""

    def verify(self, keys: Rows, hashes: Rows, signatures: Rows) -> npt.NDArray[np.bool_]:
        """Tell for each row whether an Ed25519 signature holds: (n, 32), (n, 64) SHA-512(R, key, message), (n, 64) -> (n,)."""
        ...

    def agree(self, scalar: bytes, publics: Rows) -> Rows:
        """Return X25519(scalar, public) for each row: (n, 32) -> (n, 32); zero bytes for a point of small order. Secret."""
        ...


def curve_lanes() -> CurveLanes | None:
    """Return the arithmetic on lanes that SANDBOX_ENGINE selects; None where `cryptography` is to serve.

    Without vector units OpenSSL is faster, so there C++ serves only if it is asked for by name. Raises ParameterError as
    `ristretto255.get_group`.
    """
    return _lanes(requested_engine())


@functools.cache
def _lanes(name: str) -> CurveLanes | None:
    group = get_group()
    try:
        from protocols.primitives.native_group import NativeGroup, has_lanes
    except ImportError:
        return None
    if not isinstance(group, NativeGroup) or not has_lanes() or (group.path == "portable" and name != "native"):
        return None
    return group
