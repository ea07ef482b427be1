"""The provider's role: prepare, blind, and pass the others' lists on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.hello import Hello, Hellos
from protocols.join.layout import Pack
from protocols.join.lists import (
    ListCollector,
    SealedList,
    chunk_starts,
    ciphertext_width,
    join_ciphertexts,
    split_ciphertexts,
)
from protocols.join.messages import GateHello, ListChunk, OperatorHello, ProviderHello
from protocols.join.own import OwnList, gate_key, layout_of
from protocols.join.params import JoinParams
from protocols.join.prepare import ProviderRows
from protocols.message import Message
from protocols.paillier import PublicKey
from protocols.party import Mapper, Party, Progress, Scratch, Send, Step, blame, in_memory
from protocols.primitives import ristretto255
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.psi.blinding import blind
from protocols.psi.sealing import raise_and_reseal, reseal, seal


class JoinProvider(Party):
    """Provider P_i of the encrypted join. Sees of the others: sizes of their lists, nothing else."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "hello": {
            OperatorHello: "on_hello",
            GateHello: "on_hello",
            ProviderHello: "on_hello",
            ListChunk: "on_list_chunk",
        },
        "ring": {ListChunk: "on_list_chunk"},
    }

    def __init__(
        self,
        name: str,
        params: JoinParams,
        rows: ProviderRows,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        scratch: Scratch = in_memory,
        progress: Progress | None = None,
        allow_insecure_key: bool = False,
    ) -> None:
        """Prepare a provider's end. Raises ParameterError for rows that break what was declared of them."""
        super().__init__(name, progress=progress)
        if params.matching != "blinded":
            raise ParameterError("these parameters match keys by a shared secret; use KeyedProvider")
        self._index = params.provider(name)
        self._params = params
        self._rng = rng or OsRng()
        self._mapper = mapper
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._own = OwnList(name, params, rows, self._hellos, rng=self._rng, mapper=mapper)
        self._hellos.announce(len(self._own), name)
        others = [other for other in params.provider_names if other != name]
        self._lists = {other: ListCollector(scratch) for other in others}
        self._forwarded: set[str] = set()
        self._scalar = ristretto255.random_scalar(self._rng)

    def on_start(self) -> Step:
        """Tell everyone the parameters and the size of the list."""
        self.enter("hello")
        hello = ProviderHello(params=self._params.digest(), rows=len(self._own))
        return Step(sends=self._hellos.to_everyone(hello, self.name))

    def on_hello(self, sender: str, message: Hello) -> Step:
        """Take a hello; after the last one, send the own list, tags and labels."""
        self._hellos.take(sender, message)
        if not self._hellos.complete:
            return Step()
        self.enter("ring")
        for owner, collector in self._lists.items():
            index = self._params.provider(owner)
            collector.expect(self._hellos.list_rows[index], ciphertext_width(self._layout(index), self._gate_key()))
        sizes = dict(zip(self._params.provider_names, self._hellos.list_rows, strict=True))
        self.progress.announce({self._step_name(owner): sizes[owner] for owner in (self.name, *self._lists)})
        return self._step(self._own_list())

    def on_list_chunk(self, sender: str, message: ListChunk) -> Step:
        """Take rows of another provider's list, from the predecessor in the ring; pass the list on when it is whole."""
        predecessor = self._params.provider_names[self._index - 1]
        if sender != predecessor or message.owner not in self._lists:
            raise PeerError(sender, f"sent rows of list {message.owner} to {self.name}, out of the ring's order")
        self._lists[message.owner].add(sender, message)
        return self._step(iter(())) if self.state == "ring" else Step()

    def _step_name(self, owner: str) -> str:
        return f"{self.name}: " + ("blind and encrypt own list" if owner == self.name else f"pass on list of {owner}")

    def _step(self, first: Iterator[Send]) -> Step:
        ready = [(owner, collected) for owner, collector in self._lists.items() if (collected := collector.take()) is not None]
        self._forwarded.update(owner for owner, _ in ready)
        sends = self._in_turn(first, ready)
        if len(self._forwarded) < len(self._lists):
            return Step(sends=sends)
        self.enter("done")
        return Step(sends=sends, done=True, output=self._own.report())

    def _in_turn(self, first: Iterator[Send], ready: list[tuple[str, SealedList]]) -> Iterator[Send]:
        yield from first
        while ready:
            yield from self._pass_on(*ready.pop(0))

    def _own_list(self) -> Iterator[Send]:
        params = self._params
        tags, tag_of_row = self._own.tags()
        yield Send(recipient=params.operator, message=tags)
        yield Send(recipient=params.gate, message=self._own.labels())
        recipient = params.next_hop(self._index, self._index)
        order = permutation(self._rng, len(self._own))
        for first, end in chunk_starts(len(order), params.chunk_rows):
            chosen = order[first:end]
            part, ciphertexts = self._own.encrypted(chosen)
            points = blind(part.keys, params.key_domain.dst, self._scalar, mapper=self._mapper)
            message = ListChunk(
                owner=self.name,
                first=first,
                total=len(order),
                points=seal(points, self._hellos.seal_key, self._rng, mapper=self._mapper),
                tags=seal(tags.points[tag_of_row[chosen]], self._hellos.seal_key, self._rng, mapper=self._mapper),
                ciphertexts=ciphertexts,
            )
            self.progress.advance(self._step_name(self.name), end, len(order))
            yield Send(recipient=recipient, message=message)

    def _pass_on(self, owner: str, collected: SealedList) -> Iterator[Send]:
        params, public_key = self._params, self._gate_key()
        owner_index = params.provider(owner)
        predecessor = params.provider_names[self._index - 1]
        layout = self._layout(owner_index)
        recipient = params.next_hop(owner_index, self._index)
        order = permutation(self._rng, len(collected))
        seal_key = self._hellos.seal_key
        for first, end in chunk_starts(len(order), params.chunk_rows):
            points, tags, ciphertexts = (
                collected.copied(column, order[first:end])
                for column in (collected.points, collected.tags, collected.ciphertexts)
            )
            message = blame(
                predecessor,
                lambda points=points, tags=tags, ciphertexts=ciphertexts, first=first: ListChunk(  # type: ignore[misc]
                    owner=owner,
                    first=first,
                    total=len(order),
                    points=raise_and_reseal(points, self._scalar, seal_key, self._rng, mapper=self._mapper),
                    tags=reseal(tags, seal_key, self._rng, mapper=self._mapper),
                    ciphertexts=self._refreshed(ciphertexts, layout, public_key),
                ),
            )
            self.progress.advance(self._step_name(owner), end, len(order))
            yield Send(recipient=recipient, message=message)

    def _refreshed(
        self, matrix: npt.NDArray[np.uint8], layout: tuple[Pack, ...], public_key: PublicKey
    ) -> npt.NDArray[np.uint8]:
        arrays = split_ciphertexts(matrix, layout, public_key, self._mapper)
        return join_ciphertexts([array.rerandomise(rng=self._rng, mapper=self._mapper) for array in arrays], len(matrix))

    def _layout(self, owner: int) -> tuple[Pack, ...]:
        return layout_of(self._params, self._hellos, owner)

    def _gate_key(self) -> PublicKey:
        return gate_key(self._params, self._hellos)
