"""The operator's role: carries everyone's messages, adds masked inputs, takes all masks away but the gate's. It sees no sum."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import ClassVar

import numpy as np

from protocols.aggregation import context as rounds
from protocols.aggregation.graph import Graph
from protocols.aggregation.messages import (
    Advertise,
    Confirmation,
    Consistency,
    Delivery,
    GateAdvertise,
    MaskedInput,
    MaskedSum,
    Opening,
    Openings,
    PublicState,
    Reveal,
    Shares,
    Survivors,
)
from protocols.aggregation.params import SumParams
from protocols.aggregation.unmasking import Unmasking
from protocols.aggregation.uploads import BUFFER_BYTES, Uploads
from protocols.errors import MisuseError, PartiesLost, PeerError
from protocols.message import Message
from protocols.party import Mapper, Party, Progress, Send, Step, blame
from protocols.primitives import signing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SumOutcome:
    """What the operator learns. survivors: names of those in the sum; dropped: party -> the step in which it fell silent."""

    survivors: tuple[str, ...]
    dropped: Mapping[str, str]


class SumOperator(Party):
    """Operator O of a secure sum. Output: SumOutcome. Everything passes through it; it holds no key.

    It keeps no clock: whoever drives it calls `absent(names)` for parties that stay silent, and `awaiting` says for whom it
    waits. The round goes on without them while enough remain, else PartiesLost names them; what they send later is ignored.
    mapper: runs pieces of the unmasking side by side. buffer_bytes: room for vectors that arrive in chunks.
    """

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "advertise": {Advertise: "on_advertise", PublicState: "on_public_state", GateAdvertise: "on_gate_advertise"},
        "open": {Opening: "on_opening"},
        "share": {Shares: "on_shares"},
        "masked_input": {MaskedInput: "on_masked_input"},
        "consistency": {Consistency: "on_consistency"},
        "unmask": {Reveal: "on_reveal"},
    }

    def __init__(
        self,
        name: str,
        params: SumParams,
        *,
        mapper: Mapper = map,
        progress: Progress | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        super().__init__(name, progress=progress)
        if name != params.operator:
            raise MisuseError(f"this role is {name}, but the parameters name {params.operator} as the operator")
        self._params = params
        self._digest = params.digest()
        self._mapper = mapper
        self._waiting: set[int] = set(range(len(params.parties)))
        self._dropped: dict[int, str] = {}
        self._gate: GateAdvertise | None = None
        self._told: PublicState | None = None
        self._advertised: dict[int, Advertise] = {}
        self._nonces: dict[int, bytes] = {}
        self._roster: rounds.Advertised | None = None
        self._context: rounds.RoundContext | None = None
        self._neighbours: dict[int, frozenset[int]] = {}
        self._boxes: dict[int, Shares] = {}
        self._uploads = Uploads(params, buffer_bytes)
        self._queue: list[int] = []
        self._uploading: set[int] = set()
        self._signatures: dict[int, bytes] = {}
        self._statement = b""
        self._unmasking: Unmasking | None = None

    @property
    def awaiting(self) -> frozenset[str]:
        """Names of those who owe a message now: whom a timeout would call absent."""
        waiting = self._uploading if self._state == "masked_input" else self._waiting
        names = {self._params.names[index] for index in waiting}
        if self._state == "advertise" and self._gate is None:
            names.add(self._params.gate.name)
        return frozenset(names) if self._state not in ("new", "done", "failed") else frozenset()

    def on_start(self) -> Step:
        """Wait for everyone's keys."""
        self.enter("advertise")
        return Step()

    def receive(self, sender: str, message: Message) -> Step:
        """Take one message; one from a party that was declared absent is ignored."""
        if self._state in self.ROUNDS and any(self._params.names[index] == sender for index in self._dropped):
            return Step()
        return super().receive(sender, message)

    def on_absent(self, names: Collection[str]) -> Step:
        """Go on without these parties if enough remain."""
        if self._params.gate.name in names:
            raise PeerError(self._params.gate.name, "fell silent: without the gate there is no sum")
        for name in sorted(set(names) & set(self._params.names)):
            index = self._params.index(name)
            if index in self._dropped:
                continue
            if self._state == "open" and index in self._waiting and not self._params.is_complete:
                raise PartiesLost(
                    (name,), "fell silent before opening its nonce, on which the graph depends; begin again without it"
                )
            self._dropped[index] = self._state
            self._waiting.discard(index)
            self._uploading.discard(index)
            self._uploads.forget(index)
            self._queue = [other for other in self._queue if other != index]
        return self._advance()

    def on_advertise(self, sender: str, message: Advertise) -> Step:
        """Take a party's keys, signed for this round."""
        index = self._due(sender)
        if message.params != self._digest:
            raise PeerError(sender, "runs with other parameters (session, roster, plan, thresholds or versions differ)")
        blame(sender, lambda: rounds.check_advertised(self._params, {index: message}))
        self._advertised[index] = message
        return self._advance()

    def on_public_state(self, sender: str, message: PublicState) -> Step:
        """Take what the gate tells everyone; its hash stands in the parameters."""
        if sender != self._params.gate.name or self._told is not None:
            raise PeerError(sender, "is not the gate of this sum, or told its state twice")
        if hashlib.sha256(message.content).hexdigest() != self._params.state:
            raise PeerError(sender, "tells a public state that the parameters do not name")
        self._told = message
        return self._advance()

    def on_gate_advertise(self, sender: str, message: GateAdvertise) -> Step:
        """Take the gate's key, signed for this round."""
        if sender != self._params.gate.name or self._gate is not None:
            raise PeerError(sender, "is not the gate of this sum, or spoke twice")
        if message.params != self._digest:
            raise PeerError(sender, "runs with other parameters (session, roster, plan, thresholds or versions differ)")
        if self._params.state and self._told is None:
            raise PeerError(sender, "did not tell the public state that the parameters name")
        statement = rounds.gate_statement(message.params, message.mask_key)
        blame(sender, lambda: signing.verify(self._params.gate.key_bytes, statement, message.signature))
        self._gate = message
        return self._advance()

    def on_opening(self, sender: str, message: Opening) -> Step:
        """Take a party's nonce."""
        index = self._due(sender)
        if rounds.commit("nonce", self._digest, index, message.nonce) != self._advertised[index].nonce_commitment:
            raise PeerError(sender, "opened a nonce that does not fit its commitment")
        self._nonces[index] = message.nonce
        return self._advance()

    def on_shares(self, sender: str, message: Shares) -> Step:
        """Take a party's boxes for its neighbours; they stay sealed."""
        index = self._due(sender)
        if set(message.recipients.tolist()) != self._neighbours[index]:
            raise PeerError(sender, "dealt shares to others than its neighbours")
        self._boxes[index] = message
        return self._advance()

    def on_masked_input(self, sender: str, message: MaskedInput) -> Step:
        """Add a chunk of a masked input, once its vector is whole."""
        index = self._place(sender)
        if index not in self._uploading:
            raise PeerError(sender, "sent masked input that is not due")
        if blame(sender, lambda: self._uploads.take(index, message)):
            self._uploading.discard(index)
            self._waiting.discard(index)
            self.progress.advance(f"{self.name}: add inputs", len(self._uploads.whole), len(self._boxes))
        return self._advance()

    def on_consistency(self, sender: str, message: Consistency) -> Step:
        """Take a party's signature on U2 and U3."""
        index = self._due(sender)
        blame(sender, lambda: signing.verify(self._params.parties[index].key_bytes, self._statement, message.signature))
        self._signatures[index] = message.signature
        return self._advance()

    def on_reveal(self, sender: str, message: Reveal) -> Step:
        """Take a party's shares, one of each of its neighbours' secrets."""
        index = self._due(sender)
        blame(sender, lambda: self._opened().take(index, message))
        return self._advance()

    def _advance(self) -> Step:
        """Go on as soon as nothing more is due; raise PartiesLost when too few remain."""
        if self._state == "masked_input" and self._waiting:
            return Step(sends=self._admit())
        if self._waiting or (self._state == "advertise" and self._gate is None):
            return Step()
        steps: dict[str, Callable[[], Step]] = {
            "advertise": self._to_roster,
            "open": self._to_openings,
            "share": self._to_delivery,
            "masked_input": self._to_survivors,
            "consistency": self._to_confirmation,
            "unmask": self._to_sum,
        }
        return steps[self._state]()

    def _to_roster(self) -> Step:
        self._require_enough(self._advertised)
        if self._gate is None:
            raise MisuseError("the gate has not advertised")
        roster = rounds.write_roster(self._advertised, self._gate)
        self._roster = rounds.Advertised(self._params, self._digest, roster)
        self._expect("open", self._advertised)
        told = () if self._told is None else self._to_all(self._told, self._advertised, with_gate=False)
        return Step(sends=(*told, *self._to_all(roster, self._advertised, with_gate=True)))

    def _to_openings(self) -> Step:
        self._require_enough(self._nonces)
        order = sorted(self._nonces)
        nonces = np.frombuffer(b"".join(self._nonces[index] for index in order), dtype=np.uint8).reshape(len(order), -1)
        openings = Openings(parties=np.array(order, dtype=np.uint32), nonces=nonces)
        if self._roster is None:
            raise MisuseError("the round has no roster yet")
        self._context = rounds.round_context(self._params, self._digest, self._roster, openings)
        graph = Graph(self._params, self._nonces)
        self._neighbours = {index: graph.neighbours(index) & set(order) for index in order}
        self._expect("share", order)
        return Step(sends=self._to_all(openings, order, with_gate=True))

    def _to_delivery(self) -> Step:
        self._require_enough(self._boxes)
        self._queue = sorted(self._boxes)
        self._expect("masked_input", self._boxes)
        return Step(sends=self._admit())

    def _admit(self) -> tuple[Send, ...]:
        """Give boxes to as many parties as there is room for their vectors."""
        room = self._uploads.places - len(self._uploading)
        admitted, self._queue = self._queue[:room], self._queue[room:]
        self._uploading.update(admitted)
        return tuple(Send(recipient=self._params.names[index], message=self._delivery(index)) for index in admitted)

    def _delivery(self, recipient: int) -> Delivery:
        dealers = sorted(self._neighbours[recipient] & set(self._boxes))
        rows = [
            self._boxes[dealer].boxes[int(np.searchsorted(self._boxes[dealer].recipients, recipient))] for dealer in dealers
        ]
        return Delivery(dealers=np.array(dealers, dtype=np.uint32), boxes=np.array(rows, dtype=np.uint8))

    def _to_survivors(self) -> Step:
        kept = self._uploads.whole
        self._require_enough(kept)
        dealers = sorted(self._boxes)
        self._statement = self._round().survivor_statement(dealers, kept)
        flags = np.array([index in kept for index in dealers], dtype=np.uint8).reshape(-1, 1)
        message = Survivors(dealers=np.array(dealers, dtype=np.uint32), kept=flags)
        alive = kept - set(self._dropped)
        self._require_enough(alive)
        alone = [index for index in kept if len(self._neighbours[index] & kept) < self._params.shares]
        if alone:
            raise PartiesLost(
                self._lost(), f"{len(alone)} parties keep fewer than {self._params.shares} neighbours; begin again"
            )
        self._expect("consistency", alive)
        return Step(sends=self._to_all(message, alive, with_gate=True))

    def _to_confirmation(self) -> Step:
        self._require_enough(self._signatures)
        order = sorted(self._signatures)
        signatures = np.frombuffer(b"".join(self._signatures[index] for index in order), dtype=np.uint8)
        message = Confirmation(signers=np.array(order, dtype=np.uint32), signatures=signatures.reshape(len(order), -1))
        alive = set(order) - set(self._dropped)
        self._unmasking = Unmasking(self._round(), self._neighbours, frozenset(self._boxes), frozenset(self._uploads.whole))
        self._expect("unmask", alive)
        return Step(sends=self._to_all(message, alive, with_gate=True))

    def _to_sum(self) -> Step:
        unmasking = self._opened()
        missing = unmasking.missing()
        if missing:
            raise PartiesLost(
                self._lost(), f"too few remain to open the masks of {len(missing)} parties; begin again without them"
            )
        keys = unmasking.masks_to_remove()
        survivors = tuple(self._params.names[index] for index in sorted(self._uploads.whole))
        dropped = {self._params.names[index]: step for index, step in sorted(self._dropped.items())}
        self.enter("done")
        sends = self._masked_sum(lambda: unmasking.remove(self._uploads.total, keys, self._mapper, self.progress, self.name))
        return Step(sends=sends, output=SumOutcome(survivors=survivors, dropped=dropped), done=True)

    def _masked_sum(self, unmask: Callable[[], None]) -> Iterator[Send]:
        unmask()
        total, chunk = self._uploads.total, self._params.chunk_words
        for first in range(0, len(total), chunk):
            words = total[first : first + chunk].view(np.uint8).reshape(-1, total.itemsize)
            yield Send(recipient=self._params.gate.name, message=MaskedSum(first=first, words=words))

    def _expect(self, state: str, indices: Collection[int]) -> None:
        self._waiting = set(indices) - set(self._dropped)
        self.enter(state)

    def _to_all(self, message: Message, indices: Collection[int], *, with_gate: bool) -> tuple[Send, ...]:
        names = [self._params.names[index] for index in sorted(indices) if index not in self._dropped]
        names += [self._params.gate.name] if with_gate else []
        return tuple(Send(recipient=name, message=message) for name in names)

    def _require_enough(self, remaining: Collection[int]) -> None:
        if len(remaining) < self._params.threshold:
            raise PartiesLost(
                self._lost(),
                f"{len(remaining)} of {len(self._params.parties)} remain where {self._params.threshold} are needed",
            )

    def _lost(self) -> list[str]:
        return [self._params.names[index] for index in sorted(self._dropped)]

    def _due(self, sender: str) -> int:
        """Return the index of a party that owes the message that it sent."""
        index = self._place(sender)
        if index not in self._waiting:
            raise PeerError(sender, f"spoke twice, or where it is not its turn ({self._state})")
        self._waiting.discard(index)
        return index

    def _place(self, sender: str) -> int:
        return blame(sender, lambda: self._params.index(sender))

    def _round(self) -> rounds.RoundContext:
        if self._context is None:
            raise MisuseError("the round has no roster yet")
        return self._context

    def _opened(self) -> Unmasking:
        if self._unmasking is None:
            raise MisuseError("nothing is unmasked before the survivors are signed")
        return self._unmasking
