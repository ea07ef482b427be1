"""Masks: which keystreams a party adds, and which the operator and the gate take away again."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from protocols.aggregation.context import RoundContext
from protocols.aggregation.sharing import RoundSecrets
from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives import prf
from protocols.primitives.keystream import Ring, ring_dtype

TILE_WORDS = 1 << 15


@dataclasses.dataclass(frozen=True, slots=True)
class MaskKeys:
    """Keys of the keystreams that are added and subtracted. Secret, each used for one vector of one round."""

    plus: tuple[bytes, ...]
    minus: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<MaskKeys: {len(self.plus)} added, {len(self.minus)} subtracted>"


def party_masks(context: RoundContext, index: int, neighbours: Collection[int], secrets: RoundSecrets) -> MaskKeys:
    """Return the masks of one party: its own, the gate's, and one with each neighbour that dealt shares."""
    gate = context.derive(secrets.channel.exchange(context.gate_key), "gate-mask", index)
    plus, minus = [self_mask(context, index, secrets.seed), gate], list[bytes]()
    for neighbour, key in pair_masks(context, index, neighbours, prf.KeyAgreement(secrets.mask)).items():
        (plus if index < neighbour else minus).append(key)
    return MaskKeys(tuple(plus), tuple(minus))


def self_mask(context: RoundContext, index: int, seed: bytes) -> bytes:
    """Return the key of a party's own mask, from its seed."""
    return context.derive(seed, "self-mask", index)


def pair_masks(context: RoundContext, index: int, neighbours: Collection[int], own: prf.KeyAgreement) -> dict[int, bytes]:
    """Return the key that a party shares with each neighbour, from either one's secret, by roster index.

    The one of lower index adds that keystream, the other subtracts it.
    """
    order = sorted(neighbours)
    shared = own.exchange_each(context.advertised.mask_keys(order))
    return {
        neighbour: context.derive(secret, "pair-mask", min(index, neighbour), max(index, neighbour))
        for neighbour, secret in zip(order, shared, strict=True)
    }


def masks_to_remove(
    context: RoundContext,
    kept: Collection[int],
    seeds: dict[int, bytes],
    mask_secrets: dict[int, bytes],
    neighbours: dict[int, frozenset[int]],
) -> MaskKeys:
    """Return the keystreams that turn the sum of masked inputs over U3 into the sum under the gate's masks.

    seeds: of everyone in U3. mask_secrets: of everyone in U2 without U3. neighbours: of the latter.
    """
    plus, minus = list[bytes](), [self_mask(context, index, seeds[index]) for index in sorted(kept)]
    for dropped, secret in sorted(mask_secrets.items()):
        own = prf.KeyAgreement(secret)
        for neighbour, key in pair_masks(context, dropped, neighbours[dropped] & set(kept), own).items():
            (minus if neighbour < dropped else plus).append(key)
    return MaskKeys(tuple(plus), tuple(minus))


def gate_masks(context: RoundContext, kept: Iterable[int], gate_key: prf.KeyAgreement) -> MaskKeys:
    """Return the keystreams that the gate takes away: one for each party in the sum."""
    order = sorted(kept)
    shared = gate_key.exchange_each(context.advertised.channel_keys(order))
    keys = (context.derive(secret, "gate-mask", index) for index, secret in zip(order, shared, strict=True))
    return MaskKeys((), tuple(keys))


def check_vector(vector: npt.NDArray[np.int64], length: int, bound: int) -> npt.NDArray[np.int64]:
    """Return a read-only view of an input vector, (length,) int64, after checking every element against ±bound.

    Raises ParameterError for another type or shape, EncodingOverflow with the count and first place of what is out of bounds.
    """
    if not isinstance(vector, np.ndarray) or vector.dtype != np.int64 or vector.ndim != 1:
        raise ParameterError("a vector to be summed is a one-dimensional int64 array; scale and round floats first")
    if len(vector) != length:
        raise ParameterError(f"the vector has {len(vector)} elements where the sum has {length}")
    # By comparison: the absolute value of int64's minimum is negative.
    high, low = (bound, -bound) if bound <= np.iinfo(np.int64).max else (np.iinfo(np.int64).max, np.iinfo(np.int64).min)
    if any(part.max() > high or part.min() < low for part in _tiles(vector)):
        outside = (vector > high) | (vector < low)
        raise EncodingOverflow(
            f"{int(outside.sum())} elements, the first at {int(outside.argmax())}, are beyond the declared bound of ±{bound}"
        )
    view = vector.view()
    view.flags.writeable = False
    return view


def _tiles(vector: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield pieces that stay in the second-level cache for the next pass over them."""
    for first in range(0, len(vector), TILE_WORDS):
        yield vector[first : first + TILE_WORDS]


def to_ring(vector: npt.NDArray[np.int64], ring_bits: int) -> Ring:
    """Return int64 values as elements of Z_2^ring_bits: negative ones wrap."""
    ring: Ring = vector.astype(ring_dtype(ring_bits))
    return ring


def from_ring(elements: Ring) -> npt.NDArray[np.int64]:
    """Return ring elements as centred int64: the upper half is negative."""
    signed = elements.view(np.dtype("<i4") if elements.itemsize == 4 else np.dtype("<i8"))
    return signed.astype(np.int64)
