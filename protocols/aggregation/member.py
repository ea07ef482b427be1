"""What a party and the gate share: both speak to the operator alone, and keep one round's agreed context."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from protocols.aggregation import context as rounds
from protocols.aggregation.params import SumParams
from protocols.errors import MisuseError, ParameterError, PeerError
from protocols.party import Party, Progress, Step


class Member(Party):
    """A role of a secure sum whose only peer is the operator."""

    def __init__(self, name: str, params: SumParams, *, progress: Progress | None = None) -> None:
        super().__init__(name, progress=progress)
        self._params = params
        self._digest = params.digest()
        self._advertised: rounds.Advertised | None = None
        self._context: rounds.RoundContext | None = None

    def on_absent(self, names: Collection[str]) -> Step:
        """Parties may fall silent; without the operator nothing goes on."""
        if self._params.operator in names:
            raise PeerError(self._params.operator, f"fell silent while {self.name} waits for it")
        return Step()

    def _round(self) -> rounds.RoundContext:
        if self._context is None:
            raise MisuseError(f"{self.name} has not seen this round's roster")
        return self._context

    def _require_state(self, content: bytes) -> None:
        """Raise ParameterError unless this is the state that the parameters name."""
        if hashlib.sha256(content).hexdigest() != self._params.state:
            raise ParameterError("a public state that is not the one that the parameters of this sum name")

    def _require_operator(self, sender: str) -> None:
        if sender != self._params.operator:
            raise PeerError(sender, f"is not the operator of this sum, {self._params.operator}")
