"""The compiled keystream kernel (native/stream/bindings.cpp): shapes are checked, values are the caller's."""

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

def is_available() -> bool:
    """Return whether this processor runs the kernel."""

def apply(target: Ring, counter: int, keys: npt.NDArray[np.uint8], plus: int) -> None:
    """Add the first `plus` keys' streams to the target in place, and subtract the others', from block `counter` on."""
