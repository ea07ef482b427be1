"""A party's role: mask a vector, vouch for the survivor set, and help to unmask the sum, never a single vector."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.aggregation import context as rounds
from protocols.aggregation import sharing
from protocols.aggregation.graph import Graph
from protocols.aggregation.masking import MaskKeys, check_vector, party_masks, to_ring
from protocols.aggregation.member import Member
from protocols.aggregation.messages import (
    Advertise,
    Confirmation,
    Consistency,
    Delivery,
    MaskedInput,
    Opening,
    Openings,
    PublicState,
    Reveal,
    Roster,
    Shares,
    Survivors,
)
from protocols.aggregation.params import SumParams
from protocols.errors import MisuseError, PeerError
from protocols.message import Message
from protocols.party import Progress, Send, Step, blame
from protocols.primitives import prf, signing
from protocols.primitives.keystream import apply_keystreams
from protocols.primitives.rng import OsRng, Rng

Vector = npt.NDArray[np.int64] | Callable[[bytes], npt.NDArray[np.int64]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """What a party learns. survivors: names of those in the sum; dropped: of the roster's others."""

    survivors: tuple[str, ...]
    dropped: tuple[str, ...]


class SumParty(Member):
    """Party P_i of a secure sum. Output: Participation. Talks to the operator only.

    vector: (length,) int64, within ±bound; it leaves only under masks. Where the parameters name a public state, a function
    that makes the vector of it. sign: signs with the identity that the parameters name for it. All other keys are made here,
    for this round alone.
    """

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "advertise": {PublicState: "on_public_state", Roster: "on_roster"},
        "open": {Openings: "on_openings"},
        "share": {Delivery: "on_delivery"},
        "masked_input": {Survivors: "on_survivors"},
        "consistency": {Confirmation: "on_confirmation"},
    }

    def __init__(
        self,
        name: str,
        params: SumParams,
        vector: Vector,
        sign: signing.Sign,
        *,
        rng: Rng | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(name, params, progress=progress)
        self._index = params.index(name)
        if callable(vector) != bool(params.state):
            raise MisuseError("a vector is a function of the public state if the parameters name one, and only then")
        self._vector = np.empty(0, dtype=np.int64) if callable(vector) else check_vector(vector, params.length, params.bound)
        self._make = vector if callable(vector) else None
        self._sign = sign
        self._rng = rng or OsRng()
        self._advertise, self._secrets = _fresh_keys(self._digest, self._index, sign, self._rng)
        self._neighbours: frozenset[int] = frozenset()
        self._pairs: dict[int, sharing.SharePair] = {}
        self._sent = 0
        self._kept: frozenset[int] = frozenset()
        self._statement = b""

    def on_start(self) -> Step:
        """Advertise fresh keys and commitments, signed."""
        self.enter("advertise")
        return self._tell(self._advertise)

    def on_public_state(self, sender: str, message: PublicState) -> Step:
        """Make the vector of the state that the parameters name, once."""
        self._require_operator(sender)
        if self._make is None:
            raise PeerError(sender, "told a public state twice, or one that the parameters do not name")
        blame(sender, lambda: self._require_state(message.content))
        self._vector = check_vector(self._make(message.content), self._params.length, self._params.bound)
        self._make = None
        return Step()

    def on_roster(self, sender: str, roster: Roster) -> Step:
        """Check that we stand there as we spoke and that the gate's key is the gate's; open the nonce."""
        self._require_operator(sender)
        if self._make is not None:
            raise PeerError(sender, "sent the roster before the public state that the parameters name")
        advertised = blame(sender, lambda: rounds.Advertised(self._params, self._digest, roster))
        if self._index not in advertised or advertised[self._index] != self._advertise:
            raise PeerError(sender, f"left {self.name} out of the roster, or put other keys there")
        statement = rounds.gate_statement(self._digest, roster.gate_key)
        blame(sender, lambda: signing.verify(self._params.gate.key_bytes, statement, roster.gate_signature))
        self._advertised = advertised
        self.enter("open")
        return self._tell(Opening(nonce=self._secrets.nonce))

    def on_openings(self, sender: str, openings: Openings) -> Step:
        """Derive the graph, check the neighbours' identities, and share the seed and the mask key out among them."""
        self._require_operator(sender)
        advertised = self._advertised
        if advertised is None:
            raise MisuseError(f"{self.name} has not seen this round's roster")
        context = blame(sender, lambda: rounds.round_context(self._params, self._digest, advertised, openings))
        if context.nonces.get(self._index) != self._secrets.nonce:
            raise PeerError(sender, f"left {self.name} out of the openings, or opened another nonce")
        self._neighbours = Graph(self._params, context.nonces).neighbours(self._index) & set(context.nonces)
        neighbours = {index: context.advertised[index] for index in sorted(self._neighbours)}
        blame(sender, lambda: rounds.check_advertised(self._params, neighbours))
        if len(self._neighbours) < self._params.shares:
            raise PeerError(sender, f"left {self.name} fewer than the {self._params.shares} neighbours that hold its secrets")
        self._context = context
        boxes = sharing.deal(context, self._index, self._neighbours, self._secrets, sign=self._sign, rng=self._rng)
        self.enter("share")
        packed = np.frombuffer(b"".join(boxes.values()), dtype=np.uint8).reshape(len(boxes), -1)
        return self._tell(Shares(recipients=np.array(list(boxes), dtype=np.uint32), boxes=packed))

    def on_delivery(self, sender: str, delivery: Delivery) -> Step:
        """Open the neighbours' boxes; mask the vector with everyone who dealt, and send it in chunks."""
        self._require_operator(sender)
        context = self._round()
        dealers = delivery.dealers.tolist()
        if not set(dealers) <= self._neighbours:
            raise PeerError(sender, "delivered shares of parties that are not our neighbours")
        if len(dealers) < self._params.shares:
            raise PeerError(sender, f"delivered shares of {len(dealers)} neighbours where {self._params.shares} must remain")
        boxes = {dealer: delivery.boxes[row].tobytes() for row, dealer in enumerate(dealers)}
        self._pairs = blame(sender, lambda: sharing.open_boxes(context, self._index, self._secrets, boxes))
        keys = blame(sender, lambda: party_masks(context, self._index, self._pairs, self._secrets))
        self.enter("masked_input")
        return Step(sends=self._masked(keys))

    def _masked(self, keys: MaskKeys) -> Iterator[Send]:
        params = self._params
        for first in range(0, params.length, params.chunk_words):
            self.progress.advance(f"{self.name}: mask", first, params.length)
            elements = to_ring(self._vector[first : first + params.chunk_words], params.ring_bits)
            apply_keystreams(elements, first, plus=keys.plus, minus=keys.minus, cipher=params.cipher)
            self._sent += len(elements)
            words = elements.view(np.uint8).reshape(len(elements), -1)
            yield Send(recipient=params.operator, message=MaskedInput(first=first, words=words))
        self.progress.advance(f"{self.name}: mask", params.length, params.length)

    def on_survivors(self, sender: str, message: Survivors) -> Step:
        """Check U3 ⊆ U2 and both against what we saw; sign them with the round, the roster and the gate's key."""
        self._require_operator(sender)
        context = self._round()
        if self._sent != self._params.length:
            raise PeerError(sender, f"names survivors before {self.name} has sent its input")
        dealers, kept = survivor_sets(message)
        if not dealers <= set(context.nonces) or dealers & self._neighbours != set(self._pairs):
            raise PeerError(sender, "names other dealers than those whose shares it delivered")
        if self._index not in kept:
            raise PeerError(sender, f"counts {self.name} out, although it has sent its input")
        if len(kept) < self._params.threshold:
            raise PeerError(sender, f"names {len(kept)} survivors where a sum takes {self._params.threshold}")
        # Without t neighbours in the sum, at least one of them honest, pair masks would hide this vector from nobody.
        if len(kept & self._neighbours) < self._params.shares:
            raise PeerError(sender, f"leaves {self.name} fewer than {self._params.shares} neighbours in the sum")
        self._kept = kept
        self._statement = context.survivor_statement(dealers, kept)
        self.enter("consistency")
        return self._tell(Consistency(signature=self._sign(self._statement)))

    def on_confirmation(self, sender: str, message: Confirmation) -> Step:
        """Check T signatures over what we signed ourselves; then reveal one share of each neighbour, never both."""
        self._require_operator(sender)
        context = self._round()
        signers = message.signers.tolist()
        signatures = [row.tobytes() for row in message.signatures]
        blame(
            sender,
            lambda: rounds.check_survivor_signatures(context, self._statement, signers, signatures, self._kept),
        )
        revealed = {
            dealer: sharing.reveal(context, "seed" if dealer in self._kept else "key", dealer, self._index, pair)
            for dealer, pair in sorted(self._pairs.items())
        }
        survivors = tuple(name for index, name in enumerate(self._params.names) if index in self._kept)
        dropped = tuple(name for index, name in enumerate(self._params.names) if index not in self._kept)
        self._pairs.clear()
        self.enter("done")
        step = self._tell(_reveal_message(revealed))
        return dataclasses.replace(step, output=Participation(survivors=survivors, dropped=dropped), done=True)

    def _tell(self, message: Message) -> Step:
        return Step(sends=(Send(recipient=self._params.operator, message=message),))


def survivor_sets(message: Survivors) -> tuple[frozenset[int], frozenset[int]]:
    """Return U2 and U3, which is a part of it, as roster indices."""
    kept = message.dealers[message.kept[:, 0] == 1]
    return frozenset(message.dealers.tolist()), frozenset(kept.tolist())


def _fresh_keys(digest: bytes, index: int, sign: signing.Sign, rng: Rng) -> tuple[Advertise, sharing.RoundSecrets]:
    mask, channel = rng.bytes(prf.KEY_BYTES), prf.KeyAgreement(rng.bytes(prf.KEY_BYTES))
    secrets = sharing.RoundSecrets(mask=mask, channel=channel, seed=rng.bytes(32), nonce=rng.bytes(32))
    unsigned = Advertise(
        params=digest,
        mask_key=prf.KeyAgreement(mask).public,
        channel_key=channel.public,
        seed_commitment=rounds.commit("seed", digest, index, secrets.seed),
        nonce_commitment=rounds.commit("nonce", digest, index, secrets.nonce),
        signature=bytes(signing.SIGNATURE_BYTES),
    )
    signature = sign(rounds.advertise_statement(index, unsigned))
    return dataclasses.replace(unsigned, signature=signature), secrets


def _reveal_message(revealed: dict[int, sharing.Revealed]) -> Reveal:
    def column(name: str) -> npt.NDArray[np.uint8]:
        joined = b"".join(getattr(item, name) for item in revealed.values())
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(revealed), -1)

    return Reveal(
        dealers=np.array(list(revealed), dtype=np.uint32),
        shares=column("share"),
        salts=column("salt"),
        others=column("other"),
        signatures=column("signature"),
    )
