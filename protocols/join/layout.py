"""What a provider's ciphertexts hold: E0 (contributors), E1 (counts and sums), E2 (squared contributions), packed.

A joined row weights a provider's numbers by w, the product of the other lists' multiplicities. E0 sums with weight 1, E1
with w, E2 with w². Where all other providers' keys are unique every w is 1 and the three become one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from protocols.join.params import MAX_MULTIPLICITY, MAX_WEIGHT, JoinParams
from protocols.join.prepare import ProviderRows
from protocols.join.products import factor_packs, own_slots
from protocols.paillier import Packing, Slot

SlotColumn: TypeAlias = npt.NDArray[np.int64] | list[int]

# One letter per slot: m rows; of measure i: z contributor, c values, s Σx, a |Σx|, q Σx², d (Σx)²; among factors also e, c².
_POWER = {"z": 0, "m": 1, "c": 1, "s": 1, "a": 1, "q": 1, "d": 2}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One ciphertext per row: slots that share a weight, w to the `power`. Public.

    owner: of a pack of factors, for products and not for sums, whose list it is.
    """

    power: int
    packing: Packing
    owner: int | None = None

    @property
    def factors(self) -> bool:
        """True for factors of products."""
        return self.owner is not None


def packs(params: JoinParams, owner: int, list_rows: Sequence[int], plaintext_bits: int) -> tuple[Pack, ...]:
    """Return what each row of a provider's list carries, from public parameters alone.

    list_rows: size of every list. plaintext_bits: bits that one ciphertext holds. Slots that need more room than one
    ciphertext go into further ones. A cell joins each key once, so it has at most min(list_rows) joined rows.
    """
    heaviest = 1
    for index, provider in enumerate(params.providers):
        if index != owner and not provider.unique:
            heaviest = min(MAX_WEIGHT, heaviest * MAX_MULTIPLICITY)
    joined = max(1, min(list_rows))
    result: list[Pack] = []
    for power, slots in _by_power(list(_slots(params, owner)), merged=heaviest == 1):
        weight = joined * heaviest**power
        for group in _fitting(slots, weight, plaintext_bits):
            result.append(Pack(power=power, packing=Packing(slots=tuple(group), max_weight=weight)))
    factors = factor_packs(params, owner, list_rows, plaintext_bits)
    return (*result, *(Pack(power=0, packing=packing, owner=owner) for packing in factors))


def slot_columns(pack: Pack, rows: ProviderRows) -> list[SlotColumn]:
    """Return a provider's numbers for the slots of one pack, in slot order, for a chunk of its rows. Private.

    0 in the slots that a pack of factors shares with other lists.
    """
    own = pack.packing.slots if pack.owner is None else own_slots(pack.packing, pack.owner)
    nothing = np.zeros(len(rows), dtype=np.int64)
    return [_slot_column(slot.name, rows) if slot in own else nothing for slot in pack.packing.slots]


def _slots(params: JoinParams, owner: int) -> Iterable[Slot]:
    provider = params.providers[owner]
    rows = 1 if provider.unique else MAX_MULTIPLICITY
    if provider.carries:
        yield Slot(name="m", bound=rows)
    for number, measure in enumerate(provider.measures):
        largest = max(1, measure.bound)
        yield Slot(name=f"z{number}", bound=1)
        yield Slot(name=f"c{number}", bound=rows)
        if measure.sums:
            yield Slot(name=f"s{number}", bound=largest * rows)
        if measure.squares:
            yield Slot(name=f"q{number}", bound=largest**2 * rows)
        if measure.dominance:
            yield Slot(name=f"d{number}", bound=(largest * rows) ** 2)
            if measure.signed:
                yield Slot(name=f"a{number}", bound=largest * rows)


def _by_power(slots: list[Slot], *, merged: bool) -> list[tuple[int, list[Slot]]]:
    if merged:
        return [(0, slots)] if slots else []
    groups = [(power, [slot for slot in slots if _POWER[slot.name[0]] == power]) for power in (0, 1, 2)]
    return [(power, group) for power, group in groups if group]


def _fitting(slots: list[Slot], weight: int, plaintext_bits: int) -> list[list[Slot]]:
    groups: list[list[Slot]] = [[]]
    for slot in slots:
        trial = [*groups[-1], slot]
        if groups[-1] and Packing(slots=tuple(trial), max_weight=weight).bits > plaintext_bits:
            groups.append([slot])
        else:
            groups[-1] = trial
    return groups


def _slot_column(name: str, rows: ProviderRows) -> SlotColumn:
    kind = name[0]
    if kind == "m":
        return rows.multiplicities
    measure = rows.measures[int(name[1:].split("@", maxsplit=1)[0])]
    if kind in "zce":
        values = {"z": (measure.counts > 0).astype(np.int64), "c": measure.counts, "e": measure.counts**2}
        return values[kind]
    numbers = measure.squares if kind == "q" else measure.sums
    if kind in "sq":
        return numbers.tolist() if numbers.int64 is None else numbers.int64
    return [abs(total) if kind == "a" else total * total for total in numbers.tolist()]
