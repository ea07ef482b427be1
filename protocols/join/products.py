"""Products across providers: which sums of products a join computes, and the slots, masks and ciphertexts that they need.

All of it follows from public parameters. A *factor* is one number of a list row (c, S, Q, …); a *term* is Σ w^power · x · y
over the joined rows of a cell, x a factor of the left list, y of the right one, w the product of the third lists'
multiplicities.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from protocols.errors import EncodingOverflow
from protocols.join.params import MAX_MULTIPLICITY, MAX_WEIGHT, JoinParams, ProductSpec
from protocols.paillier import Packing, Slot

# A mask hides one value up to 2^-72, so that all the values of a run, at most 2^32, are hidden up to 2^-40.
HIDING_BITS = 72
MAX_MASKED = 1 << 32
# A mask of a value |v| ≤ b is below b · 2^GROWTH_BITS: b + 2^(bitlen(2b + 1) + HIDING_BITS) ≤ b + 6b · 2^HIDING_BITS.
GROWTH_BITS = HIDING_BITS + 3


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Term:
    """Σ w^power · left · right over the joined rows of a cell; factors by slot name: kind, measure, provider, as in `s0@1`."""

    power: int
    left: str
    right: str


@dataclasses.dataclass(frozen=True, slots=True)
class Correction:
    """One ciphertext per cell: Σ of the factors in `pack` of one side, times the masks of `factor` on the other side."""

    is_left: bool
    power: int
    factor: str
    pack: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shipment:
    """One ciphertext of a joined row: a pack of the left list times w^power, a pack of the right list, or both in one."""

    power: int
    left: int | None
    right: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """All terms between two providers. joined: most joined rows of a cell. heaviest: largest w.

    terms: each computed once. roles: for each product of the parameters, by its index, what its terms are. left, right: the
    two lists' factor packs.
    """

    left_provider: int
    right_provider: int
    joined: int
    heaviest: int
    terms: tuple[Term, ...]
    roles: Mapping[int, Mapping[str, Term]]
    left: tuple[Packing, ...]
    right: tuple[Packing, ...]

    @property
    def shipments(self) -> tuple[Shipment, ...]:
        """The ciphertexts of a joined row, in the order in which they travel: two packs of equal slots are added into one."""
        waiting = sorted({pack_of(self.right, term.right) for term in self.terms})
        found = []
        for power, left in sorted({(term.power, pack_of(self.left, term.left)) for term in self.terms}):
            right = next((pack for pack in waiting if self.right[pack] == self.left[left]), None)
            waiting = [pack for pack in waiting if pack != right]
            found.append(Shipment(power, left, right))
        return (*found, *(Shipment(0, None, right) for right in waiting))

    def slots_of(self, shipment: Shipment) -> Packing:
        """Return the slots of a shipment."""
        return self.right[shipment.right or 0] if shipment.left is None else self.left[shipment.left]

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """The ciphertexts of each cell, in the order in which they travel."""
        lefts = {Correction(True, term.power, term.right, pack_of(self.left, term.left)) for term in self.terms}
        rights = {Correction(False, term.power, term.left, pack_of(self.right, term.right)) for term in self.terms}
        return tuple(sorted(lefts | rights, key=lambda item: (not item.is_left, item.power, item.pack, item.factor)))

    def packing(self, correction: Correction) -> Packing:
        """Return the slots of a correction."""
        return (self.left if correction.is_left else self.right)[correction.pack]

    def term(self, correction: Correction, slot: str) -> Term | None:
        """Return the term to which one slot of a correction belongs, None for one that nobody asked for."""
        pair = (slot, correction.factor) if correction.is_left else (correction.factor, slot)
        term = Term(correction.power, *pair)
        return term if term in self.terms else None

    def weight(self, power: int) -> int:
        """Return the largest w^power."""
        return int(self.heaviest**power)

    def correction_weight(self, correction: Correction) -> int:
        """Return W with |any slot of this correction, before its mask| ≤ slot bound · W."""
        others = self.right if correction.is_left else self.left
        bound = next(slot.bound for pack in others for slot in pack.slots if slot.name == correction.factor)
        return (self.joined * self.weight(correction.power) * bound) << GROWTH_BITS


def pack_of(packs: Sequence[Packing], slot: str) -> int:
    """Return the pack that holds a slot."""
    return next(number for number, pack in enumerate(packs) if any(one.name == slot for one in pack.slots))


def own_slots(packing: Packing, provider: int) -> tuple[Slot, ...]:
    """Return the slots that one provider fills; in the others its rows hold 0."""
    return tuple(slot for slot in packing.slots if slot.name.endswith(f"@{provider}"))


def mask_bits(bound: int) -> int:
    """Return how many uniform bits hide |v| ≤ bound up to 2^-72."""
    return (2 * bound + 1).bit_length() + HIDING_BITS


@functools.lru_cache(maxsize=64)
def pair_plans(params: JoinParams, list_rows: tuple[int, ...], plaintext_bits: int) -> tuple[PairPlan, ...]:
    """Return the terms between every two providers that products combine, in the order in which they are sent."""
    pairs = sorted({(product.left[0], product.right[0]) for product in params.products})
    return tuple(_pair_plan(params, list_rows, plaintext_bits, *pair) for pair in pairs)


def factor_packs(params: JoinParams, owner: int, list_rows: Sequence[int], plaintext_bits: int) -> tuple[Packing, ...]:
    """Return what each row of a list carries for products, beside its sums: one packing per ciphertext.

    Packs of several lists share one packing where they fit together, so that a joined row sends one ciphertext for both. Slots
    are wide enough for masks and for Σ over a cell of a factor times the partner's mask. Raises EncodingOverflow for a key that
    is too short for one slot.
    """
    shared: list[Packing] = []
    for provider in range(len(params.providers)):
        for own in _own_packs(params, provider, list_rows, plaintext_bits):
            for number, other in enumerate(shared):
                merged = Packing(slots=(*other.slots, *own.slots), max_weight=max(other.max_weight, own.max_weight))
                if merged.bits <= plaintext_bits and not own_slots(other, provider):
                    shared[number] = merged
                    break
            else:
                shared.append(own)
    return tuple(packing for packing in shared if own_slots(packing, owner))


def _own_packs(params: JoinParams, owner: int, list_rows: Sequence[int], plaintext_bits: int) -> list[Packing]:
    slots: dict[str, Slot] = {}
    weight = 1
    joined = max(1, min(list_rows))
    for left, right, terms in _pairs_of(params, owner):
        for term in terms:
            mine, theirs = (term.left, term.right) if left == owner else (term.right, term.left)
            slots[mine] = Slot(name=mine, bound=_bound(params, mine))
            heaviest = _heaviest(params, left, right) ** term.power
            weight = max(weight, joined * heaviest * _bound(params, theirs) << (2 * GROWTH_BITS + 2))
    return [Packing(slots=tuple(group), max_weight=weight) for group in _fitting(slots.values(), weight, plaintext_bits)]


def _pairs_of(params: JoinParams, owner: int) -> Iterator[tuple[int, int, set[Term]]]:
    for product in params.products:
        if owner in (product.left[0], product.right[0]):
            yield product.left[0], product.right[0], set(_roles(params, product).values())


def _fitting(slots: Iterable[Slot], weight: int, plaintext_bits: int) -> list[list[Slot]]:
    groups: list[list[Slot]] = []
    for slot in sorted(slots, key=lambda slot: (slot.name[1:], slot.name)):
        alone = Packing(slots=(slot,), max_weight=weight).bits
        if alone > plaintext_bits:
            raise EncodingOverflow(
                f"a product across providers needs {alone} bits and the key offers {plaintext_bits}: "
                "declare tighter bounds, or use a longer key"
            )
        if groups and Packing(slots=(*groups[-1], slot), max_weight=weight).bits <= plaintext_bits:
            groups[-1].append(slot)
        else:
            groups.append([slot])
    return groups


def _pair_plan(params: JoinParams, list_rows: tuple[int, ...], plaintext_bits: int, left: int, right: int) -> PairPlan:
    roles = {
        number: _roles(params, product)
        for number, product in enumerate(params.products)
        if (product.left[0], product.right[0]) == (left, right)
    }
    return PairPlan(
        left_provider=left,
        right_provider=right,
        joined=max(1, min(list_rows)),
        heaviest=_heaviest(params, left, right),
        terms=tuple(sorted({term for terms in roles.values() for term in terms.values()})),
        roles=roles,
        left=factor_packs(params, left, list_rows, plaintext_bits),
        right=factor_packs(params, right, list_rows, plaintext_bits),
    )


def _roles(params: JoinParams, product: ProductSpec) -> dict[str, Term]:
    """Return the terms of one product by what they are.

    Kinds of factors: s Σx; c values; z contributor; q Σx²; a |Σx|; d (Σx)²; e values squared. The contribution of a key to
    Σx over rows where both have a value is w · S_x · c_y: d · e is its square, a · c its magnitude.
    """
    found = {"total": ("s", "s", 1)}
    if product.nulls:
        found |= {
            "contributors": ("z", "z", 0),
            "count": ("c", "c", 1),
            "left_total": ("s", "c", 1),
            "right_total": ("c", "s", 1),
            "left_squares": ("q", "c", 1),
            "right_squares": ("c", "q", 1),
        }
    if product.nulls and product.dominance:
        found |= {"left_contribution_squares": ("d", "e", 2), "right_contribution_squares": ("e", "d", 2)}
        if params.measure(product.left).signed:
            found["left_absolute"] = ("a", "c", 1)
        if params.measure(product.right).signed:
            found["right_absolute"] = ("c", "a", 1)
    return {role: _term(params, product, *kinds) for role, kinds in found.items()}


def _term(params: JoinParams, product: ProductSpec, left: str, right: str, power: int) -> Term:
    if _heaviest(params, product.left[0], product.right[0]) == 1:
        power = 0
    return Term(power, _slot(params, product.left, left), _slot(params, product.right, right))


def _slot(params: JoinParams, place: tuple[int, int], kind: str) -> str:
    """Return a factor's slot. A row of a unique list is one raw row: z, c and c² are one number, and so are Q and S²."""
    if params.providers[place[0]].unique:
        kind = {"z": "c", "e": "c", "q": "d"}.get(kind, kind)
    return f"{kind}{place[1]}@{place[0]}"


def _bound(params: JoinParams, slot: str) -> int:
    measure, provider = map(int, slot[1:].split("@"))
    spec = params.providers[provider]
    rows = 1 if spec.unique else MAX_MULTIPLICITY
    largest = max(1, spec.measures[measure].bound)
    bounds = {"z": 1, "c": rows, "e": rows**2, "q": largest**2 * rows, "d": (largest * rows) ** 2}
    return bounds.get(slot[0], largest * rows)


def _heaviest(params: JoinParams, left: int, right: int) -> int:
    heaviest = 1
    for index, provider in enumerate(params.providers):
        if index not in (left, right) and not provider.unique:
            heaviest = min(MAX_WEIGHT, heaviest * MAX_MULTIPLICITY)
    return heaviest
