"""Products across providers, at the gate: Σ u·v less what the masks added, for each cell. The gate never sees a factor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from protocols.errors import ParameterError
from protocols.join.messages import Corrections, MaskedFactors
from protocols.join.params import JoinParams
from protocols.join.products import PairPlan, Term, pair_plans
from protocols.paillier import EncryptedArray, Packing, PrivateKey
from protocols.party import Mapper


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Exact sums of one measure over the joined rows of a cell, in integers of the measure's scale. For the gate only.

    contributors: distinct keys with a value. count: joined rows with a value. total: Σx, squares: Σx², None if not asked
    for. contribution_squares: Σ over keys of (what the key adds to Σx)². absolute: Σ over keys of |that|.
    """

    contributors: int
    count: int
    total: int | None
    squares: int | None
    contribution_squares: int | None
    absolute: int | None

    def __repr__(self) -> str:
        return "<Moments: not released>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProductMoments:
    """Σxy of one product over the joined rows of a cell, in integers of scale(x) · scale(y). For the gate only.

    left, right: each measure over the rows where both have a value; None where the parameters ask for Σxy alone.
    """

    total: int
    left: Moments | None
    right: Moments | None

    def __repr__(self) -> str:
        return "<ProductMoments: not released>"


class ProductReader:
    """Adds up what the operator sends of one pair of providers. Sees masked factors, keeps one sum per term and cell.

    keys: for each cell that reached the threshold, its distinct keys, which are its joined rows.
    """

    def __init__(self, pair: PairPlan, private_key: PrivateKey, keys: list[int], mapper: Mapper = map) -> None:
        self._pair = pair
        self._private_key = private_key
        self._mapper = mapper
        self._missing = np.array(keys, dtype=np.int64)
        self._sums: dict[Term, list[int]] = {term: [0] * len(keys) for term in pair.terms}

    def __repr__(self) -> str:
        return "<ProductReader: redacted>"

    def add(self, message: MaskedFactors) -> None:
        """Take the masked factors of a batch of joined rows. Raises ParameterError for rows that no cell has."""
        pair = self._pair
        if len(message.cells) and int(message.cells.max()) >= len(self._missing):
            raise ParameterError("sent factors of a cell that does not exist")
        self._missing -= np.bincount(message.cells, minlength=len(self._missing))
        if np.any(self._missing < 0):
            raise ParameterError("sent factors of more joined rows than a cell has keys")
        left: dict[tuple[int, str], list[int]] = {}
        right: dict[str, list[int]] = {}
        packings = [pair.slots_of(one) for one in pair.shipments]
        for one, slots in zip(pair.shipments, self._decrypted(message.factors, packings), strict=True):
            if one.left is not None:
                left |= {(one.power, name): column for name, column in slots.items()}
            if one.right is not None:
                right |= slots
        for term in pair.terms:
            totals = self._sums[term]
            for at, u, v in zip(message.cells.tolist(), left[term.power, term.left], right[term.right], strict=True):
                totals[at] += u * v

    def totals(self, message: Corrections) -> dict[Term, list[int]]:
        """Return each term's sum for every cell. Raises ParameterError if rows are missing or a sum is beyond its bound."""
        if np.any(self._missing):
            raise ParameterError("sent factors of fewer joined rows than a cell has keys")
        if len(message.ciphertexts) != len(self._missing):
            raise ParameterError("sent corrections that do not match its cells")
        pair = self._pair
        packings = [pair.packing(item) for item in pair.corrections]
        for item, slots in zip(pair.corrections, self._decrypted(message.ciphertexts, packings), strict=True):
            for name, column in slots.items():
                term = pair.term(item, name)
                if term is not None:
                    self._sums[term] = [total - added for total, added in zip(self._sums[term], column, strict=True)]
        for term, sums in self._sums.items():
            bound = pair.joined * pair.weight(term.power) * _bound(pair.left, term.left) * _bound(pair.right, term.right)
            if any(abs(total) > bound for total in sums):
                raise ParameterError("sent factors and corrections that do not belong together")
        return self._sums

    def _decrypted(
        self, matrix: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], packings: list[Packing]
    ) -> list[dict[str, list[int]]]:
        public_key = self._private_key.public_key
        size = public_key.ciphertext_bytes
        if matrix.shape[1] != len(packings) * size:
            raise ParameterError("sent products of the wrong width")
        columns = []
        for at, packing in enumerate(packings):
            part = np.ascontiguousarray(matrix[:, at * size : (at + 1) * size])
            array = EncryptedArray.from_wire(part, public_key, packing=packing, mapper=self._mapper)
            columns.append(self._private_key.decrypt_packed(array, mapper=self._mapper))
        return columns


class ProductInbox:
    """All products of one join at the gate. Messages that arrive before the cells are known wait as they came."""

    def __init__(self, params: JoinParams, private_key: PrivateKey, mapper: Mapper = map) -> None:
        self._params = params
        self._private_key = private_key
        self._mapper = mapper
        self._places = {(product.left[0], product.right[0]) for product in params.products}
        self._waiting: list[MaskedFactors | Corrections] = []
        self._readers: dict[tuple[int, int], ProductReader] | None = None
        self._roles: dict[int, tuple[tuple[int, int], Mapping[str, Term]]] = {}
        self._totals: dict[tuple[int, int], dict[Term, list[int]]] = {}

    def __repr__(self) -> str:
        return "<ProductInbox: redacted>"

    @property
    def complete(self) -> bool:
        """True once every pair's corrections have come."""
        return len(self._totals) == len(self._places)

    def open(self, list_rows: tuple[int, ...], keys: list[int]) -> None:
        """Say how large the lists are and how many keys each cell has that reached the threshold; once."""
        if self._readers is not None:
            return
        plans = pair_plans(self._params, list_rows, self._private_key.public_key.n.bit_length() - 1)
        places = [(plan.left_provider, plan.right_provider) for plan in plans]
        self._readers = {
            place: ProductReader(plan, self._private_key, keys, self._mapper) for place, plan in zip(places, plans, strict=True)
        }
        self._roles = {
            number: (place, roles) for place, plan in zip(places, plans, strict=True) for number, roles in plan.roles.items()
        }
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.take(message)

    def take(self, message: MaskedFactors | Corrections) -> None:
        """Take what the operator sent. Raises ParameterError for what does not belong to this join."""
        place = (message.left, message.right)
        if place not in self._places or place in self._totals:
            raise ParameterError("sent products that were not agreed, or sent them again")
        if self._readers is None:
            self._waiting.append(message)
        elif isinstance(message, MaskedFactors):
            self._readers[place].add(message)
        else:
            self._totals[place] = self._readers[place].totals(message)

    def products(self, cell: int) -> tuple[ProductMoments, ...]:
        """Return the products' moments in one cell, in the order of the parameters."""
        return tuple(
            product_moments(self._params, number, roles, self._totals[place], cell)
            for number, (place, roles) in sorted(self._roles.items())
        )


def product_moments(
    params: JoinParams, number: int, roles: Mapping[str, Term], totals: Mapping[Term, list[int]], cell: int
) -> ProductMoments:
    """Return one product's moments in one cell from the terms' sums."""
    values = {role: totals[term][cell] for role, term in roles.items()}
    if not params.products[number].nulls:
        return ProductMoments(total=values["total"], left=None, right=None)

    def side(name: str) -> Moments:
        return Moments(
            contributors=values["contributors"],
            count=values["count"],
            total=values[f"{name}_total"],
            squares=values.get(f"{name}_squares"),
            contribution_squares=values.get(f"{name}_contribution_squares"),
            absolute=values.get(f"{name}_absolute"),
        )

    return ProductMoments(total=values["total"], left=side("left"), right=side("right"))


def _bound(packs: tuple[Packing, ...], name: str) -> int:
    return next(slot.bound for packing in packs for slot in packing.slots if slot.name == name)
