"""This project's secure sum as a contender: one party against a made-up round of 1,000, and the operator's unmasking."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.append(str(Path(__file__).parent.parent))

import serving

from protocols import aggregation
from protocols.aggregation import context as rounds
from protocols.aggregation.graph import Graph
from protocols.aggregation.messages import Confirmation, Delivery, GateAdvertise, Openings, Survivors
from protocols.channel import Endpoint
from protocols.party import Progress
from protocols.primitives import keystream, signing
from protocols.primitives.prf import KeyAgreement
from protocols.primitives.rng import SeededRng

PARTIES = 1000
MASKS = 50
CIPHER = sys.argv[1] if len(sys.argv) > 1 else "chacha20"


class Round:
    """What the operator of a round sends to its first party; made without anyone's vector.

    The party draws from a seed, so that each time it runs anew, the messages fit.
    """

    def __init__(self, length: int) -> None:
        self.identities = [Ed25519PrivateKey.generate() for _ in range(PARTIES)]
        gate, gate_key = Ed25519PrivateKey.generate(), KeyAgreement(os.urandom(32))
        names = {f"p{index}": key.public_key().public_bytes_raw() for index, key in enumerate(self.identities)}
        self.params = aggregation.plan_sum(
            names,
            operator="operator",
            gate="gate",
            gate_key=gate.public_key().public_bytes_raw(),
            length=length,
            bound=1000,
            session=os.urandom(16),
            plan="benchmark",
            inputs="benchmark",
            cipher=CIPHER,
        )
        self.vector = np.arange(length, dtype=np.int64) % 1000
        self.seed = os.urandom(32)
        parties = [self.party(index) for index in range(PARTIES)]
        digest = self.params.digest()
        signature = gate.sign(rounds.gate_statement(digest, gate_key.public))
        advertised = {index: next(iter(party.start().sends)).message for index, party in enumerate(parties)}
        self.roster = rounds.write_roster(
            advertised, GateAdvertise(params=digest, mask_key=gate_key.public, signature=signature)
        )
        nonces = {index: party._secrets.nonce for index, party in enumerate(parties)}
        everyone = np.arange(PARTIES, dtype=np.uint32)
        self.openings = Openings(parties=everyone, nonces=_rows(nonces.values()))
        self.context = rounds.round_context(
            self.params, digest, rounds.Advertised(self.params, digest, self.roster), self.openings
        )
        self.graph = Graph(self.params, nonces)
        dealers = sorted(self.graph.neighbours(0))
        boxes = []
        for index in dealers:
            parties[index].receive("operator", self.roster)
            shares = next(iter(parties[index].receive("operator", self.openings).sends)).message
            boxes.append(shares.boxes[int(np.searchsorted(shares.recipients, 0))])
        self.delivery = Delivery(dealers=np.array(dealers, dtype=np.uint32), boxes=np.array(boxes))
        self.survivors = Survivors(dealers=everyone, kept=np.ones((PARTIES, 1), dtype=np.uint8))
        statement = self.context.survivor_statement(range(PARTIES), range(PARTIES))
        signatures = [key.sign(statement) for key in self.identities[: self.params.threshold]]
        self.confirmation = Confirmation(signers=everyone[: self.params.threshold], signatures=_rows(signatures))

    def party(self, index: int) -> Any:
        rng = SeededRng(self.seed + index.to_bytes(4, "big"))
        return aggregation.SumParty(f"p{index}", self.params, self.vector, self.identities[index].sign, rng=rng)


def _rows(items: Any) -> Any:
    rows = list(items)
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1)


class Ours(serving.Contender):
    """int64 vectors in, messages out."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        vectors = {name: np.arange(100) for name in ("a", "b", "c")}
        assert aggregation.secure_sum(vectors).values.tolist() == list(range(0, 300, 3))
        return {"engine": keystream.engine_description()}

    def mask(self, count: int) -> Callable[[], object]:
        vector = np.arange(count, dtype=np.int64) % 1000

        def work() -> None:
            keys = [os.urandom(32) for _ in range(MASKS)]
            for first in range(0, count, 1 << 18):
                elements = vector[first : first + (1 << 18)].astype(np.uint32)
                keystream.apply_keystreams(elements, first, plus=keys[: MASKS // 2], minus=keys[MASKS // 2 :], cipher=CIPHER)

        return work

    def client(self, count: int) -> Callable[[], object]:
        made = Round(count)

        def work() -> None:
            signing._accepted.clear()
            party = made.party(0)
            sent = [*party.start().sends]
            for message in (made.roster, made.openings, made.delivery, made.survivors, made.confirmation):
                sent += party.receive("operator", message).sends
            assert party.state == "done"

        return work

    def framed(self, count: int) -> Callable[[], object]:
        made = Round(count)
        names = {"session": bytes.fromhex(made.params.session)}
        operator = Endpoint(name="operator", **names)
        messages = (made.roster, made.openings, made.delivery, made.survivors, made.confirmation)
        arriving = [operator.pack("p0", message) for message in messages]

        def work() -> None:
            signing._accepted.clear()
            party, end = made.party(0), Endpoint(name="p0", **names)
            for send in party.start().sends:
                end.pack("operator", send.message)
            for frame in arriving:
                for send in party.receive("operator", end.unpack("operator", frame)).sends:
                    end.pack("operator", send.message)
            assert party.state == "done"

        return work

    def unmask_100(self, count: int) -> Callable[[], object]:
        return self._unmask(count, 100)

    def unmask_1000(self, count: int) -> Callable[[], object]:
        return self._unmask(count, 1000)

    def _unmask(self, count: int, parties: int) -> Callable[[], object]:
        """Own masks of nine tenths, and for each of the others those with its neighbours who stay."""
        chosen = aggregation.choose(parties)
        dropped = parties // 10
        pairs = dropped * chosen.neighbours * (parties - dropped) // (parties - 1)
        keys = [os.urandom(32) for _ in range(parties - dropped + pairs)]
        total = np.zeros(count, dtype=np.uint32)
        progress = Progress()

        def work() -> None:
            for first in range(0, count, 1 << 18):
                keystream.apply_keystreams(total[first : first + (1 << 18)], first, minus=keys, cipher=CIPHER)
                progress.check()

        return work


if __name__ == "__main__":
    serving.serve(Ours())
