"""Client and server of an oblivious evaluation, as roles."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import PeerError
from protocols.party import Mapper, Party, Progress, Send, Step, blame
from protocols.primitives import ristretto255
from protocols.primitives.prf import length_prefixed
from protocols.primitives.rng import OsRng, Rng
from protocols.psi import oprf
from protocols.psi.keys import EncodedKeys, KeyDomain
from protocols.psi.messages import BlindedPoints, Intake, ListOffer, RaisedPoints, point_sends
from protocols.psi.rows import CHUNK_ROWS, chunk_slices, map_rows, reporting


def _terms_digest(domain: KeyDomain, client: str, server: str, context: bytes) -> bytes:
    parts = (b"oprf/1", domain.digest(), client.encode(), server.encode(), context)
    return hashlib.sha256(length_prefixed(*parts)).digest()


class OprfClient(Party):
    """Holder of keys. Output: (n, 64) uint8, the function's value for each of `keys.keys`, in that order.

    The keys, the blinds and the output stay here; the server learns n. context: as in the server, public.
    Source: RFC 9497, mode 0, one blind for each input; the input is the key domain's name and the encoded key.
    """

    ROUNDS: ClassVar = {"waiting": {RaisedPoints: "on_raised"}}

    def __init__(
        self,
        name: str,
        server: str,
        domain: KeyDomain,
        keys: EncodedKeys,
        *,
        context: bytes = b"",
        rng: Rng | None = None,
        mapper: Mapper = map,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        super().__init__(name, progress=progress)
        self._server = server
        self._parameters = _terms_digest(domain, name, server, context)
        self._inputs = oprf.domain_inputs(domain.name.encode(), keys.keys)
        self._scalars = ristretto255.random_scalars(rng or OsRng(), len(self._inputs))
        self._mapper = mapper
        self._chunk_rows = chunk_rows
        self._evaluated = Intake(len(self._inputs))

    def on_start(self) -> Step:
        """Offer the list and send it blinded."""
        rows = len(self._inputs)
        mapper = reporting(self._mapper, self.progress, "blind", rows)
        blinded = map_rows(
            lambda part: oprf.blind(self._inputs[part], self._scalars[part]),
            chunk_slices(rows, self._chunk_rows),
            rows=rows,
            width=ristretto255.POINT_BYTES,
            mapper=mapper,
        )
        offer = Send(recipient=self._server, message=ListOffer(parameters=self._parameters, rows=rows))
        sends = (offer, *point_sends(BlindedPoints, self._server, blinded, self._chunk_rows))
        if not rows:
            self.enter("done")
            return Step(sends=sends, output=np.empty((0, oprf.OUTPUT_BYTES), dtype=np.uint8), done=True)
        self.enter("waiting")
        return Step(sends=sends)

    def on_raised(self, sender: str, chunk: RaisedPoints) -> Step:
        """Take evaluated elements; unblind them once all are here."""
        if sender != self._server:
            raise PeerError(sender, f"is not the server of {self.name}")
        blame(sender, lambda: self._evaluated.add(chunk))
        if not self._evaluated.is_complete:
            return Step()
        output = blame(sender, self._finalise)
        self.enter("done")
        return Step(output=output, done=True)

    def _finalise(self) -> npt.NDArray[np.uint8]:
        evaluated = self._evaluated.points()
        return map_rows(
            lambda part: oprf.finalise(self._inputs[part], self._scalars[part], evaluated[part], first_row=part.start),
            chunk_slices(len(evaluated), self._chunk_rows),
            rows=len(evaluated),
            width=oprf.OUTPUT_BYTES,
            mapper=reporting(self._mapper, self.progress, "unblind", len(evaluated)),
        )


class OprfServer(Party):
    """Holder of the function's key. Output: the number of inputs that it evaluated, int.

    max_rows: most inputs that are answered; each shows the client one value of the function.
    """

    ROUNDS: ClassVar = {
        "offer": {ListOffer: "on_offer"},
        "list": {BlindedPoints: "on_blinded"},
    }

    def __init__(
        self,
        name: str,
        client: str,
        domain: KeyDomain,
        key: oprf.OprfKey,
        *,
        max_rows: int,
        context: bytes = b"",
        mapper: Mapper = map,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        super().__init__(name, progress=progress)
        self._client = client
        self._parameters = _terms_digest(domain, client, name, context)
        self._key = key
        self._max_rows = max_rows
        self._mapper = mapper
        self._chunk_rows = chunk_rows
        self._blinded = Intake(0)

    def on_start(self) -> Step:
        """Wait for the client's offer."""
        self.enter("offer")
        return Step()

    def on_offer(self, sender: str, offer: ListOffer) -> Step:
        """Check the client's terms and the length of its list."""
        self._require_client(sender)
        if offer.parameters != self._parameters:
            raise PeerError(sender, "runs on other terms (key domain, roles or context)")
        if offer.rows > self._max_rows:
            raise PeerError(sender, f"offers {offer.rows} inputs where at most {self._max_rows} are answered")
        self._blinded = Intake(offer.rows)
        if offer.rows:
            self.enter("list")
            return Step()
        self.enter("done")
        return Step(output=0, done=True)

    def on_blinded(self, sender: str, chunk: BlindedPoints) -> Step:
        """Evaluate a part of the client's list and send it back in the same order."""
        self._require_client(sender)
        blame(sender, lambda: self._blinded.add(chunk))
        rows = len(chunk.points)
        evaluated = blame(
            sender,
            lambda: map_rows(
                lambda part: oprf.evaluate(self._key, chunk.points[part], first_row=chunk.first_row + part.start),
                chunk_slices(rows, self._chunk_rows),
                rows=rows,
                width=ristretto255.POINT_BYTES,
                mapper=self._mapper,
            ),
        )
        self.progress.advance("evaluate", self._blinded.received, self._blinded.rows)
        message = RaisedPoints(first_row=chunk.first_row, points=evaluated)
        sends = (Send(recipient=sender, message=message),)
        if not self._blinded.is_complete:
            return Step(sends=sends)
        self.enter("done")
        return Step(sends=sends, output=self._blinded.rows, done=True)

    def _require_client(self, sender: str) -> None:
        if sender != self._client:
            raise PeerError(sender, f"is not the client of {self.name}")
