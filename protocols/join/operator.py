"""The operator's role: open points and tags, match, add up ciphertexts per cell, hand the sums to the gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from protocols.errors import PeerError
from protocols.join.hello import Hello, Hellos
from protocols.join.layout import Pack, packs
from protocols.join.lists import ListCollector, SealedList, ciphertext_width, join_ciphertexts, split_ciphertexts
from protocols.join.masking import ProductMasker
from protocols.join.matching import Matched, OpenedList, match, weights
from protocols.join.messages import Cells, CellSums, GateHello, ListChunk, OperatorHello, ProviderHello, TagTable
from protocols.join.params import MAX_MULTIPLICITY, JoinParams
from protocols.join.products import pair_plans
from protocols.message import Message
from protocols.paillier import EncryptedArray, PublicKey
from protocols.party import Mapper, Party, Progress, Scratch, Send, Step, blame, in_memory
from protocols.primitives.rng import OsRng, Rng
from protocols.psi.sealing import generate_seal_keypair, open_sealed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperatorReport:
    """What the operator may keep of a run. list_rows: size of each list. common_keys: keys in all of them.

    cells: cells of the join, and how many of them reached the threshold.
    """

    list_rows: tuple[int, ...]
    common_keys: int
    cells: int
    cells_sent: int


class JoinOperator(Party):
    """Operator O of the encrypted join. Holds no key that decrypts a value; sees blinded keys, unlabelled tags, counts."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "hello": {ProviderHello: "on_hello", GateHello: "on_hello", TagTable: "on_tag_table", ListChunk: "on_list_chunk"},
        "lists": {TagTable: "on_tag_table", ListChunk: "on_list_chunk"},
    }

    def __init__(
        self,
        name: str,
        params: JoinParams,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        scratch: Scratch = in_memory,
        progress: Progress | None = None,
        allow_insecure_key: bool = False,
    ) -> None:
        super().__init__(name, progress=progress)
        params.check_name(name, params.operator)
        self._params = params
        self._rng = rng or OsRng()
        self._mapper = mapper
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._lists = {owner: ListCollector(scratch) for owner in params.provider_names}
        self._tags: dict[str, TagTable] = {}
        self._seal_key, self._seal_secret = generate_seal_keypair(self._rng)

    def on_start(self) -> Step:
        """Tell everyone the parameters and the point to which everything is sealed."""
        self.enter("hello")
        hello = OperatorHello(params=self._params.digest(), seal_key=self._seal_key)
        return Step(sends=self._hellos.to_everyone(hello, self.name))

    def on_hello(self, sender: str, message: Hello) -> Step:
        """Take a hello."""
        self._hellos.take(sender, message)
        if self._hellos.complete:
            self.enter("lists")
            for index, owner in enumerate(self._params.provider_names):
                width = ciphertext_width(self._layout(index), self._gate_key())
                self._lists[owner].expect(self._hellos.list_rows[index], width)
        return self._finish_if_ready()

    def on_tag_table(self, sender: str, message: TagTable) -> Step:
        """Take a provider's table of tags."""
        if sender not in self._lists or sender in self._tags:
            raise PeerError(sender, "sent a table of tags again, or is no provider")
        if np.any(message.multiplicities < 1) or np.any(message.multiplicities > MAX_MULTIPLICITY):
            raise PeerError(sender, "sent a multiplicity out of range")
        spec = self._params.providers[self._params.provider(sender)]
        if (spec.unique or not spec.opens_multiplicity) and np.any(message.multiplicities != 1):
            raise PeerError(sender, "sent multiplicities, which its list does not open")
        self._tags[sender] = message
        return self._finish_if_ready()

    def on_list_chunk(self, sender: str, message: ListChunk) -> Step:
        """Take rows of a list from the last provider of its way."""
        if message.owner not in self._lists:
            raise PeerError(sender, f"sent rows of list {message.owner}, which is no provider")
        owner = self._params.provider(message.owner)
        if sender != self._params.provider_names[owner - 1]:
            raise PeerError(sender, f"sent rows of list {message.owner} to {self.name}, out of the ring's order")
        self._lists[message.owner].add(sender, message)
        return self._finish_if_ready()

    def _finish_if_ready(self) -> Step:
        collected = {owner: whole for owner, collector in self._lists.items() if (whole := collector.complete) is not None}
        if self.state != "lists" or len(self._tags) < len(self._lists) or len(collected) < len(self._lists):
            return Step()
        opened = [self._open(owner, collected[owner]) for owner in self._params.provider_names]
        self.progress.advance(f"{self.name}: match", 0, 1)
        matched = match(opened)
        self.progress.advance(f"{self.name}: match", 1, 1)
        large = matched.keys >= self._params.min_keys
        report = OperatorReport(
            list_rows=self._hellos.list_rows,
            common_keys=matched.common_keys,
            cells=len(matched.cells),
            cells_sent=int(large.sum()),
        )
        self.enter("done")
        return Step(sends=self._sums(matched, opened, collected), done=True, output=report)

    def _open(self, owner: str, collected: SealedList) -> OpenedList:
        index = self._params.provider(owner)
        last_hop = self._params.provider_names[index - 1]
        step = f"{self.name}: open list of {owner}"
        self.progress.advance(step, 0, len(collected))
        points = blame(last_hop, lambda: open_sealed(collected.points, self._seal_secret, mapper=self._mapper))
        tags = blame(last_hop, lambda: open_sealed(collected.tags, self._seal_secret, mapper=self._mapper))
        table = self._tags[owner]
        place = {point.tobytes(): at for at, point in enumerate(table.points)}
        if len(place) < len(table.points):
            raise PeerError(owner, f"{len(table.points) - len(place)} entries of its table of tags repeat one")
        rows = np.array([place.get(tag.tobytes(), -1) for tag in tags], dtype=np.int64)
        if np.any(rows < 0):
            raise PeerError(last_hop, f"delivered {int((rows < 0).sum())} rows of list {owner} with unknown tags")
        self.progress.advance(step, len(collected), len(collected))
        return OpenedList(
            owner=owner,
            last_hop=last_hop,
            points=points,
            groups=table.groups[rows].astype(np.int64),
            multiplicities=table.multiplicities[rows].astype(np.int64),
        )

    def _sums(self, matched: Matched, opened: list[OpenedList], collected: dict[str, SealedList]) -> Iterator[Send]:
        large = matched.keys >= self._params.min_keys
        yield Send(
            recipient=self._params.gate,
            message=Cells(
                groups=np.ascontiguousarray(matched.cells.astype("<u4"))
                .view(np.uint8)
                .reshape(len(matched.cells), 4 * len(opened)),
                keys=np.where(large, matched.keys, 0).astype(np.uint64),
            ),
        )
        for index, spec in enumerate(self._params.providers):
            if spec.sends_ciphertexts:
                sums = self._provider_sums(index, matched, opened, collected[spec.name], np.flatnonzero(large).tolist())
                yield Send(recipient=self._params.gate, message=CellSums(provider=spec.name, ciphertexts=sums))
        yield from self._products(matched, opened, collected, np.flatnonzero(large))

    def _products(
        self, matched: Matched, opened: list[OpenedList], collected: dict[str, SealedList], cells: np.ndarray[Any, Any]
    ) -> Iterator[Send]:
        """Send, for every two providers with products, masked factors of the joined rows of large cells, then corrections."""
        public_key, names = self._gate_key(), self._params.provider_names
        sizes = np.diff(matched.starts)[cells]
        used = np.concatenate([np.arange(*matched.starts[cell : cell + 2]) for cell in cells] or [np.zeros(0, dtype=np.int64)])
        cell_of_row = np.repeat(np.arange(len(cells)), sizes)
        for pair in pair_plans(self._params, self._hellos.list_rows, public_key.n.bit_length() - 1):
            sides = (pair.left_provider, pair.right_provider)
            step = f"{self.name}: mask products of {names[sides[0]]} and {names[sides[1]]}"
            row_weights = weights(matched, opened, *sides)
            left, right = (self._factors(side, collected[names[side]]) for side in sides)
            masker = ProductMasker(pair, public_key, left, right, len(cells), rng=self._rng, mapper=self._mapper)
            for first in range(0, len(used), self._params.chunk_rows):
                rows = used[first : first + self._params.chunk_rows]
                message = masker.factors(
                    matched.rows[rows][:, sides], row_weights[rows], cell_of_row[first : first + self._params.chunk_rows]
                )
                self.progress.advance(step, first + len(rows), len(used))
                yield Send(recipient=self._params.gate, message=message)
            yield Send(recipient=self._params.gate, message=masker.corrections())

    def _factors(self, index: int, collected: SealedList) -> list[EncryptedArray]:
        layout = self._layout(index)
        last_hop = self._params.provider_names[index - 1]
        arrays = blame(last_hop, lambda: split_ciphertexts(collected.ciphertexts, layout, self._gate_key(), self._mapper))
        return [array for array, pack in zip(arrays, layout, strict=True) if pack.factors]

    def _provider_sums(
        self, index: int, matched: Matched, opened: list[OpenedList], collected: SealedList, cells: list[int]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        public_key = self._gate_key()
        layout = self._layout(index)
        name = self._params.provider_names[index]
        last_hop = self._params.provider_names[index - 1]
        row_weights = weights(matched, opened, index)
        results: list[EncryptedArray] = []
        segments = [(int(matched.starts[cell]), int(matched.starts[cell + 1])) for cell in cells]
        used = np.concatenate([np.arange(*segment) for segment in segments]) if segments else np.zeros(0, dtype=np.int64)
        starts = np.concatenate(([0], np.cumsum([end - first for first, end in segments]))).astype(np.int64)
        arrays = blame(last_hop, lambda: split_ciphertexts(collected.ciphertexts, layout, public_key, self._mapper))
        for done, (pack, array) in enumerate(zip(layout, arrays, strict=True)):
            if pack.factors:
                continue
            self.progress.advance(f"{self.name}: add up {name}", done, len(layout))
            total = array.weighted_segment_sum(
                matched.rows[used, index],
                row_weights[used] ** pack.power if pack.power else None,
                starts,
                mapper=self._mapper,
            )
            results.append(total.rerandomise(rng=self._rng, mapper=self._mapper, towards_owner=True))
        self.progress.advance(f"{self.name}: add up {name}", len(layout), len(layout))
        return join_ciphertexts(results, len(cells))

    def _layout(self, owner: int) -> tuple[Pack, ...]:
        return packs(self._params, owner, self._hellos.list_rows, self._gate_key().n.bit_length() - 1)

    def _gate_key(self) -> PublicKey:
        if self._hellos.public_key is None:
            raise PeerError(self._params.gate, "sent no public key")
        return self._hellos.public_key
