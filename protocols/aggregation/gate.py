"""The gate's role: take the last mask off a sum whose survivors T parties have signed. It never sees a party's vector."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.aggregation import context as rounds
from protocols.aggregation.history import SumHistory
from protocols.aggregation.masking import MaskKeys, from_ring, gate_masks
from protocols.aggregation.member import Member
from protocols.aggregation.messages import Confirmation, GateAdvertise, MaskedSum, Openings, PublicState, Roster, Survivors
from protocols.aggregation.params import SumParams
from protocols.aggregation.party import survivor_sets
from protocols.errors import MisuseError, PeerError
from protocols.message import Message
from protocols.party import Progress, Send, Step, blame
from protocols.primitives import prf, signing
from protocols.primitives.keystream import apply_keystreams, ring_dtype
from protocols.primitives.rng import OsRng, Rng


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SumResult:
    """The sum over the survivors. values: (length,) int64, exact. survivors: names, in roster order.

    history: the gate's history with this sum in it, to be kept before the sum is used.
    """

    values: npt.NDArray[np.int64]
    survivors: tuple[str, ...]
    history: SumHistory

    def __repr__(self) -> str:
        return f"<SumResult: {len(self.values)} elements over {len(self.survivors)} parties>"


class SumGate(Member):
    """Gate G of a secure sum. Output: SumResult. Talks to the operator only.

    sign: signs with the identity that the parameters name for it. history: the sums it has taken before. state: what the
    vectors depend on, where the parameters name it.
    """

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "advertise": {Roster: "on_roster"},
        "open": {Openings: "on_openings"},
        "survivors": {Survivors: "on_survivors"},
        "confirm": {Confirmation: "on_confirmation"},
        "sum": {MaskedSum: "on_masked_sum"},
    }

    def __init__(
        self,
        name: str,
        params: SumParams,
        sign: signing.Sign,
        *,
        history: SumHistory | None = None,
        state: bytes = b"",
        rng: Rng | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(name, params, progress=progress)
        if name != params.gate.name:
            raise MisuseError(f"this role is {name}, but the parameters name {params.gate.name} as the gate")
        if state or params.state:
            self._require_state(state)
        self._state_told = PublicState(content=state) if state else None
        self._history = history or SumHistory()
        self._key = prf.KeyAgreement((rng or OsRng()).bytes(prf.KEY_BYTES))
        signature = sign(rounds.gate_statement(self._digest, self._key.public))
        self._advertise = GateAdvertise(params=self._digest, mask_key=self._key.public, signature=signature)
        self._kept: frozenset[int] = frozenset()
        self._statement = b""
        self._masks = MaskKeys((), ())
        self._sum = np.empty(0, dtype=ring_dtype(params.ring_bits))
        self._taken = 0

    def on_start(self) -> Step:
        """Advertise a fresh key, signed, after the public state where there is one."""
        self.enter("advertise")
        messages = (self._advertise,) if self._state_told is None else (self._state_told, self._advertise)
        return Step(sends=tuple(Send(recipient=self._params.operator, message=message) for message in messages))

    def on_roster(self, sender: str, roster: Roster) -> Step:
        """Check that our key stands there; keep what the parties advertised."""
        self._require_operator(sender)
        if (roster.gate_key, roster.gate_signature) != (self._key.public, self._advertise.signature):
            raise PeerError(sender, f"put another key for {self.name} into the roster")
        self._advertised = blame(sender, lambda: rounds.Advertised(self._params, self._digest, roster))
        self.enter("open")
        return Step()

    def on_openings(self, sender: str, openings: Openings) -> Step:
        """Fix the round: from here on its digest stands for all keys and nonces."""
        self._require_operator(sender)
        advertised = self._advertised
        if advertised is None:
            raise MisuseError(f"{self.name} has not seen this round's roster")
        self._context = blame(sender, lambda: rounds.round_context(self._params, self._digest, advertised, openings))
        self.enter("survivors")
        return Step()

    def on_survivors(self, sender: str, message: Survivors) -> Step:
        """Check U3 ⊆ U2, their sizes, and that these inputs were not summed over others before."""
        self._require_operator(sender)
        context = self._round()
        dealers, kept = survivor_sets(message)
        if not dealers <= set(context.nonces) or len(kept) < self._params.threshold:
            raise PeerError(sender, f"names survivors that the roster does not have, or fewer than {self._params.threshold}")
        names = [self._params.names[index] for index in sorted(kept)]
        self._history = blame(sender, lambda: self._history.with_sum(self._params.inputs, names))
        self._kept = kept
        self._statement = context.survivor_statement(dealers, kept)
        self.enter("confirm")
        return Step()

    def on_confirmation(self, sender: str, message: Confirmation) -> Step:
        """Check T signatures on the survivor set, and each survivor's identity; only then are masks derived."""
        self._require_operator(sender)
        context = self._round()
        signatures = [row.tobytes() for row in message.signatures]
        signers = message.signers.tolist()
        blame(
            sender,
            lambda: rounds.check_survivor_signatures(context, self._statement, signers, signatures, self._kept),
        )
        advertised = {index: context.advertised[index] for index in sorted(self._kept)}
        blame(sender, lambda: rounds.check_advertised(self._params, advertised))
        self._masks = blame(sender, lambda: gate_masks(context, self._kept, self._key))
        self._sum = np.empty(self._params.length, dtype=ring_dtype(self._params.ring_bits))
        self.enter("sum")
        return Step()

    def on_masked_sum(self, sender: str, message: MaskedSum) -> Step:
        """Unmask a part of the sum; the whole is the output."""
        self._require_operator(sender)
        params = self._params
        words = message.words
        if message.first != self._taken or self._taken + len(words) > params.length or 8 * words.shape[1] != params.ring_bits:
            raise PeerError(sender, "sent a part of the sum that does not follow the last one, or of another ring")
        if len(words) % 16 and self._taken + len(words) != params.length:
            raise PeerError(sender, "sent a part of the sum that does not end at a whole keystream block")
        part = self._sum[self._taken : self._taken + len(words)]
        part[:] = words.view(self._sum.dtype)[:, 0]
        apply_keystreams(part, self._taken, minus=self._masks.minus, cipher=params.cipher)
        self._taken += len(words)
        self.progress.advance(f"{self.name}: unmask", self._taken, params.length)
        if self._taken < params.length:
            return Step()
        survivors = tuple(params.names[index] for index in sorted(self._kept))
        values = from_ring(self._sum)
        values.flags.writeable = False
        self.enter("done")
        return Step(done=True, output=SumResult(values=values, survivors=survivors, history=self._history))
