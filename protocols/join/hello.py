"""The first round, the same for every role: everyone says which parameters it runs with, and adds its public keys."""

from __future__ import annotations

import functools

import numpy as np

from protocols.errors import ParameterError, PeerError
from protocols.join.messages import GateHello, OperatorHello, ProviderHello
from protocols.join.params import JoinParams
from protocols.paillier import PublicKey
from protocols.party import Send, blame
from protocols.primitives import prf, ristretto255

Hello = ProviderHello | OperatorHello | GateHello
# Any scalar finds out a box key of a wrong length or of small order.
_PROBE = bytes(range(32))


class Hellos:
    """Collects the first round of one role and checks it: same parameters everywhere, each party once, usable keys."""

    def __init__(self, params: JoinParams, name: str, *, allow_insecure_key: bool) -> None:
        self._params = params
        self._digest = params.digest()
        self._awaited = {*params.provider_names, params.operator, params.gate} - {name}
        self._allow_insecure_key = allow_insecure_key
        self._list_rows: dict[str, int] = {}
        self.seal_key = b""
        self.box_key = b""
        self.provider_box_keys: dict[str, bytes] = {}
        self.public_key: PublicKey | None = None

    @property
    def complete(self) -> bool:
        """True once everyone else has spoken."""
        return not self._awaited

    @property
    def list_rows(self) -> tuple[int, ...]:
        """Rows of every list, in ring order; needs the round to be complete."""
        return tuple(self._list_rows[name] for name in self._params.provider_names)

    def announce(self, rows: int, name: str) -> None:
        """Record a provider's list size (its own, or one that arrived)."""
        self._list_rows[name] = rows

    def to_everyone(self, message: Hello, name: str) -> tuple[Send, ...]:
        """Return one's own hello for everyone else."""
        everyone = [*self._params.provider_names, self._params.operator, self._params.gate]
        return tuple(Send(recipient=other, message=message) for other in everyone if other != name)

    def take(self, sender: str, message: Hello) -> None:
        """Check and record one hello. Raises PeerError that names the sender."""
        if sender not in self._awaited:
            raise PeerError(sender, "spoke twice in the first round, or takes no part")
        expected = {self._params.operator: OperatorHello, self._params.gate: GateHello}.get(sender, ProviderHello)
        if not isinstance(message, expected):
            raise PeerError(sender, f"sent {type(message).__name__} in a role that is not its own")
        if message.params != self._digest:
            raise PeerError(sender, "runs with other parameters (plan, parties, keys or versions differ)")
        if isinstance(message, ProviderHello):
            if message.rows < self._params.min_list:
                raise PeerError(sender, f"its list is shorter than the minimum of {self._params.min_list} rows")
            padded = self._params.providers[self._params.provider(sender)].padded_rows
            if padded and message.rows != padded:
                raise PeerError(sender, f"its list is not of the {padded} rows that it is to be padded to")
            if self._params.matching == "keyed":
                blame(sender, lambda: prf.exchange(_PROBE, message.box_key))
                self.provider_box_keys[sender] = message.box_key
            elif message.box_key:
                raise PeerError(sender, "sent a key for a shared secret where keys are matched blinded")
            self.announce(message.rows, sender)
        elif isinstance(message, OperatorHello):
            blame(sender, lambda: _check_point(message.seal_key))
            self.seal_key = message.seal_key
        else:
            self.public_key = blame(sender, lambda: self._checked_key(message.public_key))
            blame(sender, lambda: prf.exchange(_PROBE, message.box_key))
            self.box_key = message.box_key
        self._awaited.discard(sender)

    def _checked_key(self, data: bytes) -> PublicKey:
        key = _read_key(data, self._allow_insecure_key)
        check_gate_key(key, self._params)
        return key


@functools.lru_cache(maxsize=4)
def _read_key(data: bytes, allow_insecure: bool) -> PublicKey:
    # One object per key in a process: its tables take tens of megabytes, and a key is public and immutable.
    return PublicKey.from_bytes(data, allow_insecure=allow_insecure)


def check_gate_key(key: PublicKey, params: JoinParams) -> None:
    """Refuse a Paillier key that is not the one agreed, by its fingerprint, size and kind of noise."""
    if key.fingerprint != params.gate_key or key.key_bits != params.key_bits or key.noise != params.noise:
        raise ParameterError("the gate's key is not the one that the parameters name")


def _check_point(encoding: bytes) -> None:
    if len(encoding) != ristretto255.POINT_BYTES:
        raise ParameterError(f"its seal key has {len(encoding)} bytes")
    ristretto255.validate(np.frombuffer(encoding, dtype=np.uint8).reshape(1, -1), "its seal key")
