"""Products across providers, at the operator: mask the factors of every joined row, and say on ciphertext what the masks add.

With u = w·x + r and v = y + ρ, Σ u·v = Σ w·x·y + Σ w·x·ρ + Σ y·r + Σ r·ρ. The gate gets u and v, and the last three sums in
two ciphertexts whose masks t cancel: L = Σ w·x·ρ + t from the left list, R = Σ y·r + Σ r·ρ − t from the right one. Nothing
comes back.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.join.messages import Corrections, MaskedFactors
from protocols.join.products import GROWTH_BITS, MAX_MASKED, Correction, PairPlan, Term, mask_bits, own_slots, pack_of
from protocols.paillier import EncryptedArray, Packing, PublicKey
from protocols.paillier.layout import Packed
from protocols.party import Mapper
from protocols.primitives.bigint import to_limbs
from protocols.primitives.engine import Limbs
from protocols.primitives.rng import Rng

Ints = npt.NDArray[np.int64]
Masks = dict[str, list[int]]


def masks(rng: Rng, count: int, bound: int) -> list[int]:
    """Return `count` uniform integers in [bound, bound + M), M = 2^mask_bits(bound), more than (2·bound + 1) · 2^72.

    |v| ≤ bound plus such a mask is in [0, 2·bound + M), and for two values its distributions are less than 2^-72 apart.
    """
    bits = mask_bits(bound)
    size, excess = -(-bits // 8), -bits % 8
    data = rng.bytes(size * count)
    return [bound + (int.from_bytes(data[at : at + size], "little") >> excess) for at in range(0, size * count, size)]


class ProductMasker:
    """What the operator sends of one pair of providers. Call `factors` for batches of joined rows, then `corrections`.

    cells: how many cells reach the threshold.
    Raises ParameterError where a run would mask more than 2^32 numbers.
    """

    def __init__(
        self,
        pair: PairPlan,
        public_key: PublicKey,
        cells: int,
        *,
        rng: Rng,
        mapper: Mapper = map,
    ) -> None:
        self._pair = pair
        self._public_key = public_key
        self._rng, self._mapper = rng, mapper
        self._cells = cells
        self._encrypted = {item: to_limbs([1] * cells, public_key.ring.limbs) for item in pair.corrections}
        self._plain: dict[Term, list[int]] = {term: [0] * cells for term in pair.terms}
        self._masked = 0

    def __repr__(self) -> str:
        return "<ProductMasker: redacted>"

    def factors(
        self, left: Sequence[EncryptedArray], right: Sequence[EncryptedArray], weights: Ints, cells: Ints
    ) -> MaskedFactors:
        """Return one message for a batch of joined rows, and remember what its masks add.

        left, right: both lists' factors, one array per pack, a row for each of n joined rows. weights: (n,), w ≥ 1.
        cells: (n,), ascending.
        """
        pair = self._pair
        powers = {one.power: [int(weight) ** one.power for weight in weights.tolist()] for one in pair.shipments}
        left_masks: dict[tuple[int, str], list[int]] = {}
        right_masks: Masks = {}
        sent = []
        for one in pair.shipments:
            packing, parts = pair.slots_of(one), []
            columns: Masks = {slot.name: [0] * len(cells) for slot in packing.slots}
            if one.left is not None:
                parts.append(left[one.left])
                if pair.weight(one.power) > 1:
                    parts[0] = parts[0] * np.array(powers[one.power], dtype=object)
                drawn = self._draw(packing, pair.left_provider, pair.weight(one.power), len(cells))
                left_masks |= {(one.power, name): column for name, column in drawn.items()}
                columns |= drawn
            if one.right is not None:
                parts.append(right[one.right])
                right_masks |= (drawn := self._draw(packing, pair.right_provider, 1, len(cells)))
                columns |= drawn
            array = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            weight = pair.weight(one.power) << GROWTH_BITS
            sent.append(self._rerandomised(array.plus_packed(list(columns.values()), weight=weight)))
        self._remember((left, right), cells, powers, left_masks, right_masks)
        return MaskedFactors(
            left=pair.left_provider,
            right=pair.right_provider,
            cells=cells.astype(np.uint32),
            factors=np.concatenate(sent, axis=1),
        )

    def corrections(self) -> Corrections:
        """Return the corrections of all cells, masked and re-randomised."""
        pair = self._pair
        sent = []
        plain = {item: self._masks_of(item) for item in pair.corrections if item.is_left}
        for item in pair.corrections:
            packing, weight = pair.packing(item), pair.correction_weight(item)
            columns = plain[item] if item.is_left else self._cancelling(item, plain)
            array = EncryptedArray(self._encrypted[item], self._public_key, Packed(packing=packing, weight=weight))
            array = array.plus_packed([columns[slot.name] for slot in packing.slots], weight=weight << (GROWTH_BITS + 1))
            sent.append(self._rerandomised(array))
        return Corrections(left=pair.left_provider, right=pair.right_provider, ciphertexts=np.concatenate(sent, axis=1))

    def _draw(self, packing: Packing, provider: int, weight: int, count: int) -> Masks:
        slots = own_slots(packing, provider)
        self._masked += count * len(slots)
        if self._masked > MAX_MASKED:
            raise ParameterError(f"the products mask more than {MAX_MASKED} numbers: filter the lists, or ask of fewer columns")
        return {slot.name: masks(self._rng, count, slot.bound * weight) for slot in slots}

    def _rerandomised(self, array: EncryptedArray) -> npt.NDArray[np.uint8]:
        return array.rerandomise(rng=self._rng, mapper=self._mapper, towards_owner=True).to_wire()

    def _remember(
        self,
        sides: tuple[Sequence[EncryptedArray], Sequence[EncryptedArray]],
        cells: Ints,
        powers: dict[int, list[int]],
        left_masks: dict[tuple[int, str], list[int]],
        right_masks: Masks,
    ) -> None:
        pair = self._pair
        starts = np.flatnonzero(np.r_[True, np.diff(cells) != 0]) if len(cells) else np.zeros(0, dtype=np.int64)
        segments = list(zip(starts.tolist(), [*starts[1:].tolist(), len(cells)], strict=True))
        touched = cells[starts]
        for items in _by_base(pair.corrections):
            first = items[0]
            array = sides[0 if first.is_left else 1][first.pack]
            weights = [
                [weight * mask for weight, mask in zip(powers[item.power], right_masks[item.factor], strict=True)]
                if item.is_left
                else left_masks[item.power, item.factor]
                for item in items
            ]
            dot = functools.partial(_segment_dot, array, weights)
            ring = self._public_key.ring
            for at, results in zip(touched.tolist(), self._mapper(dot, segments), strict=True):
                for item, result in zip(items, results, strict=True):
                    self._encrypted[item][at] = ring.multiply(self._encrypted[item][at : at + 1], result.reshape(1, -1))[0]
        for term in pair.terms:
            ours, theirs, totals = left_masks[term.power, term.left], right_masks[term.right], self._plain[term]
            for at, mine, other in zip(cells.tolist(), ours, theirs, strict=True):
                totals[at] += mine * other

    def _masks_of(self, item: Correction) -> Masks:
        pair, packing = self._pair, self._pair.packing(item)
        provider = pair.left_provider if item.is_left else pair.right_provider
        nothing = {slot.name: [0] * self._cells for slot in packing.slots}
        return nothing | self._draw(packing, provider, pair.correction_weight(item), self._cells)

    def _cancelling(self, item: Correction, left: dict[Correction, Masks]) -> Masks:
        """Return Σ r·ρ − t for slots that a left correction's mask t belongs to, a mask of its own for every other slot."""
        columns = self._masks_of(item)
        for slot in self._pair.packing(item).slots:
            term = self._pair.term(item, slot.name)
            if term is not None:
                pack = pack_of(self._pair.left, term.left)
                added = left[Correction(True, term.power, term.right, pack)][term.left]
                columns[slot.name] = [own - mask for own, mask in zip(self._plain[term], added, strict=True)]
        return columns


def _segment_dot(array: EncryptedArray, weights: list[list[int]], segment: tuple[int, int]) -> Limbs:
    """Return Σ weight · factor over one cell's rows, for each list of weights: (k, limbs)."""
    first, end = segment
    matrix = np.array([row[first:end] for row in weights], dtype=object).reshape(len(weights), end - first)
    return array[first:end].dot(matrix).limbs


def _by_base(corrections: Sequence[Correction]) -> Iterator[list[Correction]]:
    """Yield the corrections that are powers of the same ciphertexts together."""
    bases: dict[tuple[bool, int], list[Correction]] = {}
    for item in corrections:
        bases.setdefault((item.is_left, item.pack), []).append(item)
    yield from bases.values()
