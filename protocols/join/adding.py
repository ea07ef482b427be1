"""Step 4, at the operator: ciphertexts of joined rows added up per cell, one batch of one list at a time.

A batch holds ciphertexts and public weights only, so that a mapper may run it anywhere.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from protocols.join.layout import Pack
from protocols.join.lists import stored_ciphertexts
from protocols.paillier import EncryptedArray, PublicKey
from protocols.paillier.layout import Packed
from protocols.primitives.bigint import to_limbs
from protocols.primitives.engine import Limbs

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Joined rows of one list. ciphertexts: (u, width), its rows that occur. rows: (t,), which one each joined row has.

    weights: (t,), w of each joined row. starts: (k + 1,), the segment of each cell. cells: (k,), their places among all.
    provider: the list's number.
    """

    provider: int
    ciphertexts: Bytes
    rows: Ints
    weights: Ints
    starts: Ints
    cells: Ints


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartialSums:
    """The sums of one batch: for each pack (k, limbs), and the largest Σ of weights behind one of them."""

    provider: int
    cells: Ints
    limbs: tuple[Limbs, ...]
    weights: tuple[int, ...]


def add_up(public_key: PublicKey, layouts: tuple[tuple[Pack, ...], ...], batch: Batch) -> PartialSums:
    """Return Π ciphertext^(w^power) of each cell, for every pack that is summed."""
    layout = layouts[batch.provider]
    arrays = stored_ciphertexts(batch.ciphertexts, layout, public_key)
    is_weighted = bool(np.any(batch.weights != 1))
    sums = [
        array.weighted_segment_sum(batch.rows, batch.weights**pack.power if is_weighted and pack.power else None, batch.starts)
        for pack, array in zip(layout, arrays, strict=True)
        if not pack.factors
    ]
    return PartialSums(
        provider=batch.provider,
        cells=batch.cells,
        limbs=tuple(array.limbs for array in sums),
        weights=tuple(array.layout.weight for array in sums if isinstance(array.layout, Packed)),
    )


class Totals:
    """One list's sums over all batches, for every cell that reaches the threshold: encrypted, in memory."""

    def __init__(self, layout: tuple[Pack, ...], public_key: PublicKey, cells: int) -> None:
        self._packs = [pack for pack in layout if not pack.factors]
        self._public_key = public_key
        self._limbs = [to_limbs([1] * cells, public_key.ring.limbs) for _ in self._packs]
        # A cell joins each key once: partitions hold different keys, so the sum of their largest weights fits the packing too.
        self._weights = [0] * len(self._packs)

    def add(self, part: PartialSums) -> None:
        """Add the sums of a batch to their cells."""
        ring = self._public_key.ring
        for at, limbs in enumerate(part.limbs):
            self._limbs[at][part.cells] = ring.multiply(self._limbs[at][part.cells], limbs)
            self._weights[at] += part.weights[at]

    def arrays(self) -> list[EncryptedArray]:
        """Return one array per pack, a row for each cell; not fresh."""
        return [
            EncryptedArray(limbs, self._public_key, Packed(packing=pack.packing, weight=weight))
            for pack, limbs, weight in zip(self._packs, self._limbs, self._weights, strict=True)
        ]
