"""Two-party intersection and its count by twice-blinded keys: one role, played by both parties."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.party import Mapper, Party, Progress, Send, Step, blame
from protocols.primitives import ristretto255
from protocols.primitives.prf import length_prefixed
from protocols.primitives.ristretto255 import Points
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.psi.blinding import blind, raise_to
from protocols.psi.keycolumn import KeyColumn
from protocols.psi.keys import EncodedKeys, KeyDomain
from protocols.psi.messages import NO_POINTS, BlindedPoints, Intake, ListOffer, RaisedPoints, opaque, point_sends
from protocols.psi.rows import CHUNK_ROWS, reporting

Reveal = Literal["rows", "count"]
MAX_PEER_ROWS = 10**8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the two parties agree on before anything is blinded; public.

    reveal: `rows` tells a receiver which of its keys both have, `count` only how many. receivers: who learns it, one party
    or both. domain: how keys are read. context: names the session or the plan, so that lists of two runs never meet.
    """

    domain: KeyDomain
    parties: tuple[str, str]
    receivers: tuple[str, ...]
    reveal: Reveal
    context: bytes = b""

    def __post_init__(self) -> None:
        if len(set(self.parties)) != 2 or not all(self.parties):
            raise ParameterError("an intersection has two parties with two names")
        if not self.receivers or not set(self.receivers) <= set(self.parties):
            raise ParameterError(f"the receivers must be one or both of {', '.join(self.parties)}")
        if self.reveal not in ("rows", "count"):
            raise ParameterError(f"reveal is {self.reveal!r}; use 'rows' or 'count'")

    def digest(self) -> bytes:
        """Return SHA-256 over all terms, the order of names aside: 32 bytes."""
        names = [name.encode() for name in (*sorted(self.parties), "", *sorted(set(self.receivers)))]
        parts = (b"psi/1", self.reveal.encode(), self.domain.digest(), self.context, *names)
        return hashlib.sha256(length_prefixed(*parts)).digest()


class Intersecting(Party):
    """Holder of one list. Output: (k,) int64, ascending rows of its own table whose key both have (`rows`), their number as
    int (`count`), or None for a party that is not a receiver.

    keys: of equal ones, the first row stands for all. min_peer_rows: shortest list of a peer that is answered,
    against probing with a handful of keys. max_peer_rows: longest, for bounded memory.
    The scalar, the permutation and the keys stay here. Source: Meadows 1986; Huberman, Franklin, Hogg 1999 (EC '99).
    """

    ROUNDS: ClassVar = {
        "offer": {ListOffer: "on_offer"},
        "lists": {BlindedPoints: "on_blinded", RaisedPoints: "on_raised"},
    }

    def __init__(
        self,
        name: str,
        terms: Terms,
        keys: EncodedKeys,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
        min_peer_rows: int = 0,
        max_peer_rows: int = MAX_PEER_ROWS,
    ) -> None:
        super().__init__(name, progress=progress)
        if name not in terms.parties:
            raise ParameterError(f"{name} is not one of {', '.join(terms.parties)}")
        self._terms = terms
        self._peer = next(party for party in terms.parties if party != name)
        self._rng = rng or OsRng()
        self._mapper = mapper
        self._chunk_rows = chunk_rows
        self._accepted_rows = range(min_peer_rows, max_peer_rows + 1)
        self._keys, self._rows = _shuffled_distinct(keys, self._rng)
        self._scalar = ristretto255.random_scalar(self._rng)
        self._blinded = NO_POINTS
        self._theirs = Intake(0)
        self._mine_raised = Intake(0)
        self._theirs_raised: Points | None = None

    def on_start(self) -> Step:
        """Offer the list; nothing blinded leaves before the peer has shown the same terms."""
        self.enter("offer")
        offer = ListOffer(parameters=self._terms.digest(), rows=len(self._keys))
        return Step(sends=(Send(recipient=self._peer, message=offer),))

    def on_offer(self, sender: str, offer: ListOffer) -> Step:
        """Check the peer's terms and length, then send our points."""
        self._require_peer(sender)
        if offer.parameters != self._terms.digest():
            raise PeerError(sender, "runs on other terms (key domain, receivers, what is revealed, or context)")
        if offer.rows not in self._accepted_rows:
            low, high = self._accepted_rows.start, self._accepted_rows.stop - 1
            raise PeerError(sender, f"offers {offer.rows} keys where {low} to {high} are accepted")
        self.enter("lists")
        self._theirs = Intake(offer.rows)
        self._mine_raised = Intake(len(self._keys) if self._learns(self.name) else 0)
        mapper = reporting(self._mapper, self.progress, "blind", len(self._keys))
        dst = self._terms.domain.dst
        self._blinded = blind(self._keys, dst, self._scalar, mapper=mapper, chunk_rows=self._chunk_rows)
        return self._next(point_sends(BlindedPoints, self._peer, self._blinded, self._chunk_rows))

    def on_blinded(self, sender: str, chunk: BlindedPoints) -> Step:
        """Take a part of the peer's list; raise it once it is whole."""
        self._require_peer(sender)
        blame(sender, lambda: self._theirs.add(chunk))
        return self._next(())

    def on_raised(self, sender: str, chunk: RaisedPoints) -> Step:
        """Take a part of our own list, raised by the peer."""
        self._require_peer(sender)
        blame(sender, lambda: self._mine_raised.add(chunk))
        return self._next(())

    def _next(self, sends: Iterable[Send]) -> Step:
        """Raise the peer's list as soon as it is whole, and finish when nothing more is due."""
        if self._theirs.is_complete and self._theirs_raised is None:
            self._theirs_raised = blame(self._peer, lambda: self._raise(self._theirs.points()))
            sends = itertools.chain(sends, self._answer(self._theirs_raised))
        if self._theirs_raised is None or not self._mine_raised.is_complete:
            return Step(sends=sends)
        output = self._result(self._theirs_raised) if self._learns(self.name) else None
        self.enter("done")
        return Step(sends=sends, output=output, done=True)

    def _raise(self, points: Points) -> Points:
        _require_distinct(points)
        if np.isin(opaque(points), opaque(self._blinded)).any():
            raise ParameterError("sent points of our own list back as its own")
        mapper = reporting(self._mapper, self.progress, "raise", len(points))
        return raise_to(points, self._scalar, mapper=mapper, chunk_rows=self._chunk_rows)

    def _answer(self, raised: Points) -> Iterator[Send]:
        if not self._learns(self._peer):
            return iter(())
        if self._terms.reveal == "count":
            raised = raised[permutation(self._rng, len(raised))]
        return point_sends(RaisedPoints, self._peer, raised, self._chunk_rows)

    def _result(self, theirs_raised: Points) -> npt.NDArray[np.int64] | int:
        mine_raised = self._mine_raised.points()
        blame(self._peer, lambda: _require_distinct(mine_raised))
        blame(self._peer, lambda: ristretto255.validate(mine_raised))
        is_common = np.isin(opaque(mine_raised), opaque(theirs_raised))
        if self._terms.reveal == "count":
            return int(is_common.sum())
        return np.sort(self._rows[is_common])

    def _learns(self, party: str) -> bool:
        return party in self._terms.receivers

    def _require_peer(self, sender: str) -> None:
        if sender != self._peer:
            raise PeerError(sender, f"takes no part in the intersection of {self.name} and {self._peer}")


def _shuffled_distinct(keys: EncodedKeys, rng: Rng) -> tuple[KeyColumn, npt.NDArray[np.int64]]:
    """Return the distinct keys in random order, and for each the table row where it stands first."""
    _, first = np.unique(keys.keys.numbers(), return_index=True)
    shuffled = first[permutation(rng, len(first))]
    return keys.keys[shuffled], keys.rows[shuffled]


def _require_distinct(points: Points) -> None:
    repeated = len(points) - len(np.unique(opaque(points)))
    if repeated:
        raise ParameterError(f"sent {repeated} points more than once; a list has distinct keys")
