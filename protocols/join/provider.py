"""The provider's role: prepare, blind, and pass the others' lists on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.hello import Hello, Hellos
from protocols.join.layout import Pack, packs, slot_columns
from protocols.join.lists import (
    ListCollector,
    SealedList,
    chunk_starts,
    ciphertext_width,
    join_ciphertexts,
    split_ciphertexts,
)
from protocols.join.messages import GateHello, ListChunk, OperatorHello, ProviderHello, SealedLabels, TagTable
from protocols.join.padding import pad
from protocols.join.params import JoinParams
from protocols.join.patterns import Merged, Removed, apply_pattern_rule, merge_rare_groups
from protocols.join.prepare import ProviderRows, check_declared, merge, select
from protocols.message import Message
from protocols.paillier import PublicKey
from protocols.party import Mapper, Party, Progress, Scratch, Send, Step, blame, in_memory
from protocols.primitives import prf, ristretto255
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.psi.blinding import blind, tag_points
from protocols.psi.sealing import raise_and_reseal, reseal, seal

TAG_DST = b"public-data-sandbox/join/1/tag"
LABELS_CONTEXT = b"public-data-sandbox/join/1/labels"


class LabelBook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider tells the gate alone. labels[i] belongs to the group that everyone else knows as number i.

    merged: labels of rare groups that are part of the group "other", with merged_keys, merged_rows. removed_keys,
    removed_rows: what the pattern rule took out. vanished: labels of which it left nothing.
    """

    labels: tuple[bytes, ...]
    merged_keys: int
    merged_rows: int
    merged: tuple[bytes, ...]
    removed_keys: int
    removed_rows: int
    vanished: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<LabelBook: {len(self.labels)} labels>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """A provider's own result. rows: that it sent; dummies: so many of them. What the rules merged and removed before."""

    rows: int
    dummies: int
    merged: Merged
    removed: Removed


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
        self._index = params.provider(name)
        self._params = params
        spec = params.providers[self._index]
        own, self._merged = merge(rows), Merged(keys=0, rows=0, groups=())
        if spec.other is not None:
            own, self._merged = merge_rare_groups(own, params.min_pattern, spec.other)
        check_declared(own, spec)
        opened = spec.opens_multiplicity and not spec.unique
        own, self._removed = apply_pattern_rule(own, params.min_pattern, with_multiplicity=opened)
        if len(own) < params.min_list:
            raise ParameterError(f"{name}'s list is shorter than the minimum of {params.min_list} rows; widen the filter")
        self._rng = rng or OsRng()
        self._rows = pad(own, spec.padded_rows, self._rng) if spec.padded_rows else own
        self._dummies = len(self._rows) - len(own)
        self._mapper = mapper
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._hellos.announce(len(self._rows), name)
        others = [other for other in params.provider_names if other != name]
        self._lists = {other: ListCollector(scratch) for other in others}
        self._forwarded: set[str] = set()
        self._scalar = ristretto255.random_scalar(self._rng)

    def on_start(self) -> Step:
        """Tell everyone the parameters and the size of the list."""
        self.enter("hello")
        hello = ProviderHello(params=self._params.digest(), rows=len(self._rows))
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
        return Step(sends=sends, done=True, output=self._report())

    def _report(self) -> ProviderReport:
        return ProviderReport(rows=len(self._rows), dummies=self._dummies, merged=self._merged, removed=self._removed)

    def _in_turn(self, first: Iterator[Send], ready: list[tuple[str, SealedList]]) -> Iterator[Send]:
        yield from first
        while ready:
            yield from self._pass_on(*ready.pop(0))

    def _own_list(self) -> Iterator[Send]:
        rows, params = self._rows, self._params
        public_key = self._gate_key()
        layout = self._layout(self._index)
        tags, tag_of_row = self._tags()
        yield Send(recipient=params.operator, message=tags)
        yield Send(recipient=params.gate, message=self._labels())
        recipient = params.next_hop(self._index, self._index)
        order = permutation(self._rng, len(rows))
        for first, end in chunk_starts(len(order), params.chunk_rows):
            chosen = order[first:end]
            part = select(rows, chosen)
            arrays = [
                public_key.encrypt_packed(slot_columns(pack, part), pack.packing, rng=self._rng, mapper=self._mapper)
                for pack in layout
            ]
            points = blind(part.keys, params.key_domain.dst, self._scalar, mapper=self._mapper)
            message = ListChunk(
                owner=self.name,
                first=first,
                total=len(order),
                points=seal(points, self._hellos.seal_key, self._rng, mapper=self._mapper),
                tags=seal(tags.points[tag_of_row[chosen]], self._hellos.seal_key, self._rng, mapper=self._mapper),
                ciphertexts=join_ciphertexts(arrays, len(chosen)),
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

    def _tags(self) -> tuple[TagTable, npt.NDArray[np.int64]]:
        """Give every (group, opened multiplicity) a random tag; groups get random numbers."""
        rows, spec = self._rows, self._params.providers[self._index]
        self._number_of_group = permutation(self._rng, len(rows.labels))
        opened = spec.opens_multiplicity and not spec.unique
        pairs = np.column_stack((rows.groups, rows.multiplicities if opened else np.ones_like(rows.multiplicities)))
        distinct, tag_of_row = np.unique(pairs, axis=0, return_inverse=True)
        points = tag_points([self._rng.bytes(16) for _ in range(len(distinct))], TAG_DST, mapper=self._mapper)
        order = permutation(self._rng, len(distinct))
        table = TagTable(
            points=points[order],
            groups=self._number_of_group[distinct[order, 0]].astype(np.uint32),
            multiplicities=distinct[order, 1].astype(np.uint32),
        )
        place = np.empty(len(distinct), dtype=np.int64)
        place[order] = np.arange(len(distinct))
        return table, place[np.asarray(tag_of_row, dtype=np.int64).reshape(-1)]

    def _labels(self) -> SealedLabels:
        labels = [b""] * len(self._rows.labels)
        for group, number in enumerate(self._number_of_group.tolist()):
            labels[number] = self._rows.labels[group]
        book = LabelBook(
            labels=tuple(labels),
            merged_keys=self._merged.keys,
            merged_rows=self._merged.rows,
            merged=tuple(self._rows.labels[group] for group in self._merged.groups),
            removed_keys=self._removed.keys,
            removed_rows=self._removed.rows,
            vanished=tuple(self._rows.labels[group] for group in self._removed.groups),
        )
        context = LABELS_CONTEXT + self._params.digest() + self.name.encode()
        return SealedLabels(box=prf.seal(self._hellos.box_key, msgspec.json.encode(book), context, self._rng))

    def _layout(self, owner: int) -> tuple[Pack, ...]:
        return packs(self._params, owner, self._hellos.list_rows, self._gate_key().n.bit_length() - 1)

    def _gate_key(self) -> PublicKey:
        if self._hellos.public_key is None:
            raise PeerError(self._params.gate, "sent no public key")
        return self._hellos.public_key
