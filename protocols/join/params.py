"""Parameters of one encrypted join, agreed by everyone before anything is sent, and what follows from them."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from protocols.errors import ParameterError
from protocols.psi.keys import KeyDomain

MULTIPLICITY_BITS = 20
MAX_MULTIPLICITY = 1 << MULTIPLICITY_BITS
# Largest product of the other lists' multiplicities for one row; its square stays below 2^62.
MAX_WEIGHT = 1 << 31
MAX_LIST_ROWS = 10**8
Noise = Literal["djn", "subgroup"]
Matching = Literal["blinded", "keyed"]


class MeasureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of one provider, as integers |x| ≤ bound.

    sums, squares: whether Σx and Σx² are asked for; counts of values always are. signed: x may be negative.
    dominance: whether Σ over keys of the squared contribution is computed, for shares of the largest contributors.
    """

    bound: int
    sums: bool
    squares: bool
    signed: bool
    dominance: bool


class ProviderSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's list. unique: its keys do not repeat. carries: its rows carry the encrypted row count.

    opens_multiplicity: the operator learns how many rows each of its blinded rows stands for. padded_rows: size that the list
    is padded to, 0 for its own. other: label of the group that groups with fewer than `min_pattern` keys become before
    the pattern rule; without it their rows are removed.
    """

    name: str
    unique: bool
    carries: bool
    opens_multiplicity: bool
    measures: tuple[MeasureSpec, ...]
    padded_rows: int = 0
    other: bytes | None = None

    @property
    def sends_ciphertexts(self) -> bool:
        """True if its rows carry anything encrypted under the gate's key."""
        return self.carries or bool(self.measures)


class ProductSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A sum of products Σxy over the joined rows of a cell. left, right: (provider, measure), left before right in the ring.

    nulls: also the moments of both measures over rows where both have a value; without it Σxy alone, for lists without NULLs
    in these measures. dominance: among those moments sums that bound the largest contributors' shares.
    """

    left: tuple[int, int]
    right: tuple[int, int]
    nulls: bool
    dominance: bool


class JoinParams(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that all roles must agree on; its digest is the first thing that they exchange.

    plan: digest of the question being answered. providers: 2 to 4, in ring order. key_bits, noise: of the gate's Paillier
    key. min_keys: distinct keys behind a cell that the gate may decrypt. min_pattern: keys that share a per-key pattern.
    min_list: rows of a list. chunk_rows: rows of one frame. products: sums of products of two providers' measures.
    matching: `blinded`, or `keyed`, where providers share a key that operator and gate never see.
    """

    plan: str
    key_domain: KeyDomain
    providers: tuple[ProviderSpec, ...]
    operator: str
    gate: str
    gate_key: str
    key_bits: int
    noise: Noise
    min_keys: int
    min_pattern: int
    min_list: int
    chunk_rows: int = 2048
    products: tuple[ProductSpec, ...] = ()
    matching: Matching = "blinded"

    def __post_init__(self) -> None:
        names = [*self.provider_names, self.operator, self.gate]
        if not 2 <= len(self.providers) <= 4:
            raise ParameterError(f"a join takes 2 to 4 providers, not {len(self.providers)}")
        if len(set(names)) != len(names):
            raise ParameterError("every party of a join needs a name of its own: " + ", ".join(names))
        if sum(provider.carries for provider in self.providers) != 1:
            raise ParameterError("exactly one provider carries the row count")
        for index, provider in enumerate(self.providers):
            weighted = any(other.sends_ciphertexts for at, other in enumerate(self.providers) if at != index)
            if weighted and not (provider.unique or provider.opens_multiplicity):
                raise ParameterError(f"{provider.name}'s multiplicity weights another provider's sums and must be opened")
        if min(self.min_keys, self.min_pattern, self.chunk_rows) < 1 or self.min_list < 0:
            raise ParameterError("minimum sizes and chunk_rows must be at least 1")
        for provider in self.providers:
            if provider.padded_rows and not self.min_list <= provider.padded_rows <= MAX_LIST_ROWS:
                raise ParameterError(
                    f"{provider.name}'s list is padded to {provider.padded_rows} rows; "
                    f"choose {self.min_list} to {MAX_LIST_ROWS}, or do not pad it"
                )
        for product in self.products:
            self._check_product(product)
        if len({(product.left, product.right) for product in self.products}) != len(self.products):
            raise ParameterError("a product of two measures is named twice")

    def _check_product(self, product: ProductSpec) -> None:
        places = (product.left, product.right)
        known = all(
            0 <= provider < len(self.providers) and 0 <= measure < len(self.providers[provider].measures)
            for provider, measure in places
        )
        if not known or product.left[0] >= product.right[0]:
            raise ParameterError("a product names two measures, the left one's provider before the right one's in the ring")
        if not product.nulls and product.dominance:
            raise ParameterError("dominance of a product is judged by its moments over rows where both have a value")

    def measure(self, place: tuple[int, int]) -> MeasureSpec:
        """Return a measure by (provider, measure)."""
        return self.providers[place[0]].measures[place[1]]

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The providers' names in ring order."""
        return tuple(provider.name for provider in self.providers)

    def provider(self, name: str) -> int:
        """Return a provider's index in the ring. Raises ParameterError for a stranger."""
        if name not in self.provider_names:
            raise ParameterError(f"{name} is no provider of this join")
        return self.provider_names.index(name)

    def digest(self) -> bytes:
        """Return SHA-256 over the canonical encoding of all parameters, 32 bytes."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "key_domain"}
        head = b"public-data-sandbox/join/1/params" + self.key_domain.digest()
        return hashlib.sha256(head + msgspec.json.encode(fields, order="sorted")).digest()

    @property
    def protocol(self) -> str:
        """The protocol's name and version, by its way of matching."""
        return "join/1" if self.matching == "blinded" else "keyed-join/1"

    def last_hop(self, owner: int) -> str:
        """Return who hands list `owner` to the operator: the last provider of its way, or with keyed matching its owner."""
        return self.provider_names[owner - 1 if self.matching == "blinded" else owner]

    def next_hop(self, owner: int, holder: int) -> str:
        """Return where list `owner` goes after provider `holder`: the next one in the ring, or the operator at its end."""
        following = (holder + 1) % len(self.providers)
        return self.operator if following == owner else self.provider_names[following]

    def check_name(self, name: str, expected: str) -> None:
        """Refuse a role that was made under another name than the parameters give it."""
        if name != expected:
            raise ParameterError(f"this role is {name}, but the parameters name {expected}")
