"""Messages of the encrypted join. Column shapes are (rows, bytes) uint8; who can read what is said with each."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.join.params import MAX_LIST_ROWS
from protocols.message import Message, column, register
from protocols.primitives.ristretto255 import POINT_BYTES
from protocols.psi.sealing import SEALED_BYTES

Bytes = npt.NDArray[np.uint8]

TOKEN_BYTES = 32
PLACE_BYTES = 4


@register(tag="join/1/provider-hello")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHello(Message):
    """Provider -> everyone: the parameters that I run with, and how many rows my list has (revealed).

    box_key: keyed matching, the X25519 key to which the providers' shared key is sealed for me; empty elsewhere.
    """

    params: bytes
    rows: int
    box_key: bytes = b""

    def validate(self) -> None:
        """Refuse a row count that no list has."""
        if not 0 <= self.rows <= MAX_LIST_ROWS:
            raise ParameterError(f"a list has 0 to {MAX_LIST_ROWS} rows")


@register(tag="join/1/operator-hello")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperatorHello(Message):
    """Operator -> everyone: the parameters, and the public point to which points and tags are sealed, fresh per session."""

    params: bytes
    seal_key: bytes


@register(tag="join/1/gate-hello")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateHello(Message):
    """Gate -> everyone: the parameters, its Paillier public key, and the X25519 key to which labels are sealed."""

    params: bytes
    public_key: bytes
    box_key: bytes


@register(tag="join/1/list-chunk")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListChunk(Message):
    """Provider -> next provider, at last -> operator: rows of list `owner`, shuffled.

    points: (n, 64), H(key)^(product of the scalars so far), sealed to the operator. tags: (n, 64), group tags, sealed to the
    operator. ciphertexts: (n, packs · c), Paillier ciphertexts of c bytes under the gate's key, fresh; width 1, all zero, where
    the owner sends none. first, total: this chunk's place; total is the list's size, which everyone knows.
    """

    owner: str
    first: int
    total: int
    points: Bytes = column("uint8", SEALED_BYTES)
    tags: Bytes = column("uint8", SEALED_BYTES)
    ciphertexts: Bytes = column("uint8", 0)

    @property
    def columns(self) -> tuple[Bytes, Bytes, Bytes]:
        """What stands for keys, for tags and for values, in this order."""
        return self.points, self.tags, self.ciphertexts

    def validate(self) -> None:
        """Refuse a chunk that reaches beyond its list."""
        check_place(self.first, self.total, len(self.points))


@register(tag="keyed-join/1/list-chunk")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeyedChunk(Message):
    """Provider -> operator, keyed matching: rows of my list `owner`, in the order of their tokens.

    tokens: (n, 32), HMAC of the key under a secret that only providers share. places: (n, 4), little-endian u32, where each
    row's tag stands in my table. ciphertexts, first, total: as in `ListChunk`.
    """

    owner: str
    first: int
    total: int
    tokens: Bytes = column("uint8", TOKEN_BYTES)
    places: Bytes = column("uint8", PLACE_BYTES)
    ciphertexts: Bytes = column("uint8", 0)

    @property
    def columns(self) -> tuple[Bytes, Bytes, Bytes]:
        """What stands for keys, for tags and for values, in this order."""
        return self.tokens, self.places, self.ciphertexts

    def validate(self) -> None:
        """Refuse a chunk that reaches beyond its list."""
        check_place(self.first, self.total, len(self.tokens))


def check_place(first: int, total: int, rows: int) -> None:
    """Refuse a chunk that reaches beyond its list."""
    if not 0 <= first <= total - rows:
        raise ParameterError(f"a chunk of {rows} rows at {first} does not fit a list of {total}")


@register(tag="keyed-join/1/shared-key")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SharedKey(Message):
    """First provider -> every other provider, keyed matching: the key of this session's tokens, sealed to the recipient."""

    box: bytes


@register(tag="join/1/tag-table")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TagTable(Message):
    """Provider -> operator: what an opened tag stands for.

    points: (t, 32), every tag's point. groups: (t,) uint32, the random number of its local group, without a label.
    multiplicities: (t,) uint32, rows per key, where they are opened; 1 elsewhere.
    """

    points: Bytes = column("uint8", POINT_BYTES)
    groups: npt.NDArray[np.uint32] = column("uint32")
    multiplicities: npt.NDArray[np.uint32] = column("uint32")


@register(tag="join/1/labels")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SealedLabels(Message):
    """Provider -> gate: the labels of my groups and what the pattern rule removed, sealed to the gate."""

    box: bytes


@register(tag="join/1/cells")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cells(Message):
    """Operator -> gate: the cells of the join.

    groups: (c, 4 · providers), the local groups' numbers, little-endian u32 per provider in ring order.
    keys: (c,) uint64, distinct keys of the cell; 0 for a cell below the threshold, whose count stays with the operator.
    """

    groups: Bytes = column("uint8", 0)
    keys: npt.NDArray[np.uint64] = column("uint64")


@register(tag="join/1/cell-sums")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CellSums(Message):
    """Operator -> gate: encrypted sums of one provider's measures, for the cells that reach the threshold, in their order.

    ciphertexts: (cells, packs · c), re-randomised towards the gate.
    """

    provider: str
    ciphertexts: Bytes = column("uint8", 0)


@register(tag="join/1/masked-factors")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFactors(Message):
    """Operator -> gate: factors of joined rows between providers number `left` and `right`, every one under a mask of its own.

    cells: (n,) uint32, which of the cells that reach the threshold, in their order. factors: (n, sent packs · c), the left
    list's and then the right list's, re-randomised towards the gate.
    """

    left: int
    right: int
    cells: npt.NDArray[np.uint32] = column("uint32")
    factors: Bytes = column("uint8", 0)


@register(tag="join/1/corrections")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Corrections(Message):
    """Operator -> gate: what the masks between providers `left` and `right` add to each sum of products, encrypted.

    ciphertexts: (cells, corrections · c), for the cells that reach the threshold, re-randomised towards the gate; each slot
    under a mask that cancels in the sum of two, or in none.
    """

    left: int
    right: int
    ciphertexts: Bytes = column("uint8", 0)
