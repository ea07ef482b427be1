"""Lists on their way: chunks collected into scratch space, and rows in the form in which they travel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.layout import Pack
from protocols.join.messages import PLACE_BYTES, TOKEN_BYTES, KeyedChunk, ListChunk
from protocols.join.params import Matching
from protocols.paillier import EncryptedArray, PublicKey
from protocols.paillier.layout import Packed
from protocols.party import Mapper, Scratch
from protocols.primitives.bigint import from_byte_rows
from protocols.psi.sealing import SEALED_BYTES

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Chunk = ListChunk | KeyedChunk

COPIED_ROWS = 512


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SealedList:
    """A whole list as received, in scratch space: points and tags (n, 64), sealed, and ciphertexts (n, width).

    Keyed matching: tokens (n, 32) in place of points, places in the table of tags (n, 4) in place of tags.
    """

    points: Bytes
    tags: Bytes
    ciphertexts: Bytes
    scratch: Scratch

    def __len__(self) -> int:
        return len(self.ciphertexts)

    def without_seals(self) -> SealedList:
        """Return the list with its ciphertexts alone, so that the space of the rest is free."""
        none = self.points[:0].copy()
        return dataclasses.replace(self, points=none, tags=none)

    def copied(self, column: Bytes, rows: Ints) -> Bytes:
        """Return some rows of one of the columns, in memory, a few at a time: each may lie on a page of its own."""
        copy = np.empty((len(rows), column.shape[1]), dtype=np.uint8)
        for first in range(0, len(rows), COPIED_ROWS):
            span = slice(first, first + COPIED_ROWS)
            copy[span] = column[rows[span]]
            self.scratch.release()
        return copy


class ListCollector:
    """Puts the chunks of one list together: in order, each row once, of the width and number that were announced.

    Chunks that arrive before the first round is over wait as they came, so that space is taken only for a list whose
    size its owner has told everyone, never on the word of one chunk.
    """

    def __init__(self, scratch: Scratch, matching: Matching = "blinded") -> None:
        self._scratch = scratch
        self._widths = (SEALED_BYTES, SEALED_BYTES) if matching == "blinded" else (TOKEN_BYTES, PLACE_BYTES)
        self._early: list[tuple[str, Chunk]] = []
        self._list: SealedList | None = None
        self._rows: int | None = None
        self._filled = 0
        self._chunks = 0

    @property
    def is_complete(self) -> bool:
        """Whether the last chunk is here; an empty list has one chunk too."""
        return bool(self._chunks) and self._filled == self._rows

    def take(self) -> SealedList | None:
        """Hand the complete list over, once, so that its space is free when the receiver has done with it; else None."""
        if not self.is_complete:
            return None
        whole, self._list = self._list, None
        return whole

    def expect(self, rows: int, width: int) -> None:
        """Make room for `rows` rows with `width` bytes of ciphertexts each, and take the chunks that came early.

        Raises ParameterError if the scratch space has no room.
        """
        try:
            self._list = SealedList(
                points=self._scratch(rows, self._widths[0]),
                tags=self._scratch(rows, self._widths[1]),
                ciphertexts=self._scratch(rows, width),
                scratch=self._scratch,
            )
        except MemoryError:
            raise ParameterError(f"no room for a list of {rows} rows; give scratch space on a disk") from None
        self._rows = rows
        early, self._early = self._early, []
        for sender, chunk in early:
            self.add(sender, chunk)

    def add(self, sender: str, chunk: Chunk) -> None:
        """Take the next chunk. Raises PeerError naming the sender for one that does not continue the list."""
        if self._rows is None:
            self._early.append((sender, chunk))
            return
        if self.is_complete or self._list is None:
            raise PeerError(sender, f"sent list {chunk.owner} again")
        if chunk.total != len(self._list):
            raise PeerError(
                sender, f"sent list {chunk.owner} with {chunk.total} rows, of which {len(self._list)} were announced"
            )
        if chunk.first != self._filled:
            raise PeerError(sender, f"sent rows of list {chunk.owner} that do not continue it")
        points, tags, ciphertexts = chunk.columns
        if ciphertexts.shape[1] != self._list.ciphertexts.shape[1]:
            raise PeerError(sender, f"sent list {chunk.owner} with ciphertexts of the wrong width")
        end = chunk.first + len(points)
        if end == chunk.first and chunk.total:
            raise PeerError(sender, f"sent an empty chunk of list {chunk.owner}")
        self._list.points[chunk.first : end] = points
        self._list.tags[chunk.first : end] = tags
        self._list.ciphertexts[chunk.first : end] = ciphertexts
        self._scratch.release()
        self._filled = end
        self._chunks += 1


def chunk_starts(total: int, chunk_rows: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of each chunk; an empty list travels as one empty chunk."""
    if total == 0:
        yield 0, 0
    for first in range(0, total, chunk_rows):
        yield first, min(total, first + chunk_rows)


def ciphertext_width(packs: tuple[Pack, ...], public_key: PublicKey) -> int:
    """Return the bytes of ciphertexts per row; 1 where there are none, since a column has no width 0."""
    return max(1, len(packs) * public_key.ciphertext_bytes)


def split_ciphertexts(matrix: Bytes, packs: tuple[Pack, ...], public_key: PublicKey, mapper: Mapper) -> list[EncryptedArray]:
    """Read and validate the ciphertexts of a chunk: (n, packs · c) -> one array per pack."""
    size = public_key.ciphertext_bytes
    return [
        EncryptedArray.from_wire(
            np.ascontiguousarray(matrix[:, at * size : (at + 1) * size]),
            public_key,
            packing=pack.packing,
            mapper=mapper,
        )
        for at, pack in enumerate(packs)
    ]


def check_ciphertexts(public_key: PublicKey, packs: tuple[Pack, ...], matrix: Bytes) -> None:
    """Validate the ciphertexts of a chunk. Raises ParameterError with row numbers."""
    split_ciphertexts(matrix, packs, public_key, map)


def stored_ciphertexts(matrix: Bytes, packs: tuple[Pack, ...], public_key: PublicKey) -> list[EncryptedArray]:
    """Read ciphertexts that were validated when they arrived: (n, packs · c) -> one array per pack."""
    size = public_key.ciphertext_bytes
    return [
        EncryptedArray(from_byte_rows(matrix[:, at * size : (at + 1) * size]), public_key, Packed(packing=pack.packing))
        for at, pack in enumerate(packs)
    ]


def join_ciphertexts(arrays: list[EncryptedArray], rows: int) -> Bytes:
    """Return fresh arrays side by side as they travel: (n, packs · c), or (n, 1) zeros if there are none."""
    if not arrays:
        return np.zeros((rows, 1), dtype=np.uint8)
    return np.concatenate([array.to_wire() for array in arrays], axis=1)
