"""The operator's role: open points and tags, match, add up ciphertexts per cell, hand the sums to the gate."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.evaluation import Evaluation
from protocols.join.hello import Hello, Hellos
from protocols.join.layout import Pack, packs
from protocols.join.lists import ListCollector, SealedList, check_ciphertexts, chunk_starts, ciphertext_width
from protocols.join.messages import GateHello, KeyedChunk, ListChunk, OperatorHello, ProviderHello, TagTable
from protocols.join.params import MAX_MULTIPLICITY, JoinParams
from protocols.join.partitions import RUN_ROWS, PartitionedLists, partition_count
from protocols.message import Message
from protocols.paillier import PublicKey
from protocols.party import Mapper, Party, Progress, Scratch, Send, Step, blame, in_memory
from protocols.primitives.rng import OsRng, Rng
from protocols.psi.sealing import generate_seal_keypair, open_sealed

CHECKED_ROWS = 2048


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
        "hello": {
            ProviderHello: "on_hello",
            GateHello: "on_hello",
            TagTable: "on_tag_table",
            ListChunk: "on_list_chunk",
            KeyedChunk: "on_list_chunk",
        },
        "lists": {TagTable: "on_tag_table", ListChunk: "on_list_chunk", KeyedChunk: "on_list_chunk"},
    }

    def __init__(
        self,
        name: str,
        params: JoinParams,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        workers: Mapper = map,
        scratch: Scratch = in_memory,
        progress: Progress | None = None,
        allow_insecure_key: bool = False,
    ) -> None:
        """Prepare the operator's end. workers: runs partitions of public values and ciphertexts, on a cluster if that is one;
        mapper runs the rest, which uses secrets, in threads of this process.
        """
        super().__init__(name, progress=progress)
        params.check_name(name, params.operator)
        self._params = params
        self._rng = rng or OsRng()
        self._mapper, self._workers, self._scratch = mapper, workers, scratch
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._lists = {owner: ListCollector(scratch, params.matching) for owner in params.provider_names}
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
            self.progress.announce(self._steps())
        return self._finish_if_ready()

    def _steps(self) -> dict[str, int]:
        rows = dict(zip(self._params.provider_names, self._hellos.list_rows, strict=True))
        steps = {opening_step(self.name, owner): size for owner, size in rows.items()}
        count = partition_count(sum(rows.values()))
        return steps | {Evaluation.matching_step(self._params): count, Evaluation.adding_step(self._params): count}

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

    def on_list_chunk(self, sender: str, message: ListChunk | KeyedChunk) -> Step:
        """Take rows of a list from the last provider of its way; with keyed matching, from its owner."""
        if message.owner not in self._lists:
            raise PeerError(sender, f"sent rows of list {message.owner}, which is no provider")
        expected = ListChunk if self._params.matching == "blinded" else KeyedChunk
        if not isinstance(message, expected):
            raise PeerError(sender, f"sent {type(message).__name__} where keys are matched {self._params.matching}")
        if sender != self._params.last_hop(self._params.provider(message.owner)):
            way = "out of the ring's order" if self._params.matching == "blinded" else "which come from their owner alone"
            raise PeerError(sender, f"sent rows of list {message.owner} to {self.name}, {way}")
        self._lists[message.owner].add(sender, message)
        return self._finish_if_ready()

    def _finish_if_ready(self) -> Step:
        waiting = not all(collector.is_complete for collector in self._lists.values())
        if self.state != "lists" or waiting or len(self._tags) < len(self._lists):
            return Step()
        lists = [whole for collector in self._lists.values() if (whole := collector.take()) is not None]
        partitions = PartitionedLists(self._hellos.list_rows, self._scratch)
        lists = [self._open(index, whole, partitions) for index, whole in enumerate(lists)]
        evaluation = Evaluation(
            self._params,
            self._gate_key(),
            tuple(map(self._layout, range(len(lists)))),
            lists,
            partitions,
            rng=self._rng,
            mapper=self._mapper,
            workers=self._workers,
            progress=self.progress,
        )
        counted = evaluation.count()
        large = counted.cells[counted.keys >= self._params.min_keys]
        report = OperatorReport(
            list_rows=self._hellos.list_rows,
            common_keys=counted.common_keys,
            cells=len(counted.cells),
            cells_sent=len(large),
        )
        self.enter("done")
        messages = itertools.chain([evaluation.cells(counted)], evaluation.sums(large), evaluation.products(large))
        return Step(
            sends=(Send(recipient=self._params.gate, message=message) for message in messages), done=True, output=report
        )

    def _open(self, index: int, whole: SealedList, partitions: PartitionedLists) -> SealedList:
        """Open a list into partitions, check its ciphertexts, and return it without what is not needed any more."""
        owner, last_hop = self._params.provider_names[index], self._params.last_hop(index)
        tags = TagLookup(owner, self._tags[owner])
        check = functools.partial(check_ciphertexts, self._gate_key(), self._layout(index))
        for first, end in chunk_starts(len(whole), RUN_ROWS):
            self.progress.advance(opening_step(self.name, owner), first, len(whole))
            span = slice(first, end)
            points, places = blame(last_hop, lambda span=span: self._opened(whole, span, tags))  # type: ignore[misc]
            groups, multiplicities = tags.groups[places], tags.multiplicities[places]
            parts = (whole.ciphertexts[at : min(at + CHECKED_ROWS, end)] for at in range(first, end, CHECKED_ROWS))
            blame(last_hop, lambda parts=parts: collections.deque(self._workers(check, parts), maxlen=0))  # type: ignore[misc]
            partitions.add(index, points, groups, multiplicities)
        self.progress.advance(opening_step(self.name, owner), len(whole), len(whole))
        return whole.without_seals()

    def _opened(self, whole: SealedList, span: slice, tags: TagLookup) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Return opened points, or tokens, of some rows, (n, 32), and where their tags stand in the table, (n,)."""
        if self._params.matching == "keyed":
            return whole.points[span].copy(), tags.check(whole.tags[span].copy().view("<u4").reshape(-1).astype(np.int64))
        points = open_sealed(whole.points[span], self._seal_secret, mapper=self._mapper)
        return points, tags.find(open_sealed(whole.tags[span], self._seal_secret, mapper=self._mapper))

    def _layout(self, owner: int) -> tuple[Pack, ...]:
        return packs(self._params, owner, self._hellos.list_rows, self._gate_key().n.bit_length() - 1)

    def _gate_key(self) -> PublicKey:
        if self._hellos.public_key is None:
            raise PeerError(self._params.gate, "sent no public key")
        return self._hellos.public_key


class TagLookup:
    """Finds opened tags in a provider's table. groups, multiplicities: what each entry stands for."""

    def __init__(self, owner: str, table: TagTable) -> None:
        """Raises PeerError, naming the owner, for a table that repeats a tag."""
        self._owner = owner
        self._names, self._places = np.unique(_opaque(table.points), return_index=True)
        if len(self._names) < len(table.points):
            raise PeerError(owner, f"{len(table.points) - len(self._names)} entries of its table of tags repeat one")
        self.groups, self.multiplicities = table.groups, table.multiplicities

    def find(self, tags: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Return where (n, 32) opened tags stand: (n,). Raises ParameterError for an unknown tag."""
        if not len(tags):
            return np.zeros(0, dtype=np.int64)
        sought = _opaque(tags)
        at = np.minimum(np.searchsorted(self._names, sought), max(0, len(self._names) - 1))
        unknown = len(sought) if not len(self._names) else int((self._names[at] != sought).sum())
        if unknown:
            raise ParameterError(f"delivered {unknown} rows of list {self._owner} with unknown tags")
        return self._places[at].astype(np.int64)

    def check(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return places in the table as they came. Raises ParameterError for one beyond it."""
        unknown = int((places >= len(self.groups)).sum())
        if unknown:
            raise ParameterError(f"delivered {unknown} rows of list {self._owner} with unknown tags")
        return places


def opening_step(operator: str, owner: str) -> str:
    """The name of the step that opens a list, counted in rows."""
    return f"{operator}: open list of {owner}"


def _opaque(points: npt.NDArray[np.uint8]) -> npt.NDArray[np.bytes_]:
    """Return (n, 32) points as one sortable value each."""
    return np.ascontiguousarray(points).view("S32").reshape(-1)
