"""The compiled keystream kernels (native/stream/bindings.cpp): shapes are checked, values are the caller's."""

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

class _Kernel:
    @staticmethod
    def is_available() -> bool:
        """Return whether this processor runs the kernel."""

    @staticmethod
    def apply(target: Ring, counter: int, keys: npt.NDArray[np.uint8], plus: int) -> None:
        """Add the first `plus` keys' streams to the target in place, and subtract the others', from byte 64 · counter on."""

chacha20: _Kernel
aes256ctr: _Kernel
