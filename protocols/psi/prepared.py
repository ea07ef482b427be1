"""Unbalanced use: a large list, evaluated once for a session, against which small lists are looked up.

The server evaluates the oblivious function (RFC 9497, mode 0) at its own keys once; a client learns the function at its keys
and compares. Source: Freedman, Ishai, Pinkas, Reingold 2005 (TCC); Kiss, Liu, Schneider, Asokan, Pinkas 2017 (PoPETs).
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import PeerError
from protocols.party import Mapper, Party, Progress, Send, Step
from protocols.primitives.prf import length_prefixed
from protocols.primitives.rng import OsRng, Rng
from protocols.psi import oprf
from protocols.psi.keys import EncodedKeys, KeyDomain
from protocols.psi.messages import TOKEN_BYTES, BlindedPoints, ListOffer, RaisedPoints, Tokens, opaque
from protocols.psi.oblivious import OprfClient, OprfServer
from protocols.psi.rows import CHUNK_ROWS, chunk_slices, map_rows, reporting

MAX_SERVER_ROWS = 10**8

TokenRows = npt.NDArray[np.uint8]


class PreparedList:
    """A server's list, ready for any number of clients of one session; make a new one for the next.

    Holds a fresh key, and of each distinct key F(key) shortened to 16 bytes, in ascending order: (n, 16) uint8, pseudorandom.
    Nothing of the keys themselves is kept. One client can tell lists of the same session apart, not those of two.
    """

    def __init__(
        self,
        keys: EncodedKeys,
        domain: KeyDomain,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """Evaluate every key once: one hash to the group and one multiplication each."""
        self.domain = domain
        self.key = oprf.derive_key((rng or OsRng()).bytes(32), b"prepared/1")
        inputs = oprf.domain_inputs(domain.name.encode(), sorted(set(keys.keys)))
        mapped = reporting(mapper, progress or Progress(), "prepare", len(inputs))
        values = map_rows(
            lambda part: oprf.evaluate_directly(self.key, inputs[part])[:, :TOKEN_BYTES],
            chunk_slices(len(inputs), chunk_rows),
            rows=len(inputs),
            width=TOKEN_BYTES,
            mapper=mapped,
        )
        # Sorted by value: the order tells nothing of the table's.
        self.tokens: TokenRows = values[np.argsort(opaque(values), kind="stable")]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<PreparedList: {len(self)} keys of {self.domain.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a prepared list holds a key and is not serialised")


class LookupServer(Party):
    """Holder of the large list. Sends its tokens, then evaluates. Output: the number of keys that it evaluated, int.

    max_rows: most keys of a client that are answered; each is one question "is this key in the list?".
    """

    ROUNDS: ClassVar = {
        "offer": {ListOffer: "on_offer"},
        "list": {BlindedPoints: "on_blinded"},
    }

    def __init__(
        self,
        name: str,
        client: str,
        prepared: PreparedList,
        *,
        max_rows: int,
        context: bytes = b"",
        mapper: Mapper = map,
        progress: Progress | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        super().__init__(name, progress=progress)
        self._client = client
        self._prepared = prepared
        self._context = context
        self._chunk_rows = chunk_rows
        self._inner = OprfServer(
            name,
            client,
            prepared.domain,
            prepared.key,
            max_rows=max_rows,
            context=_oprf_context(context),
            mapper=mapper,
            progress=self.progress,
            chunk_rows=chunk_rows,
        )

    def on_start(self) -> Step:
        """Wait for the client's offer: nothing leaves before its terms agree."""
        self._inner.start()
        self.enter("offer")
        return Step()

    def on_offer(self, sender: str, offer: ListOffer) -> Step:
        """Check the client's terms, then send the tokens."""
        answer = self._inner.receive(sender, offer)
        parameters = _terms_digest(self._prepared.domain, self._client, self.name, self._context)
        tokens = self._prepared.tokens
        sends = [Send(recipient=sender, message=ListOffer(parameters=parameters, rows=len(tokens)))]
        for part in chunk_slices(len(tokens), self._chunk_rows):
            sends.append(Send(recipient=sender, message=Tokens(first_row=part.start, tokens=tokens[part])))
        self.enter("done" if answer.done else "list")
        return Step(sends=sends, output=answer.output, done=answer.done)

    def on_blinded(self, sender: str, chunk: BlindedPoints) -> Step:
        """Evaluate a part of the client's list."""
        answer = self._inner.receive(sender, chunk)
        if answer.done:
            self.enter("done")
        return answer


class LookupClient(Party):
    """Holder of the small list. Output: (m,) int64, ascending rows of its own table whose key the server's list has.

    The keys, the blinds and the output stay here; the server learns the number of distinct keys. A wrong match of one pair
    has probability 2^-128. max_server_rows: longest list that is taken, for bounded memory.
    """

    ROUNDS: ClassVar = {
        "waiting": {ListOffer: "on_offer"},
        "lists": {Tokens: "on_tokens", RaisedPoints: "on_raised"},
    }

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
        max_server_rows: int = MAX_SERVER_ROWS,
    ) -> None:
        super().__init__(name, progress=progress)
        self._server = server
        self._place_of_row = keys.keys.numbers()
        first = np.unique(self._place_of_row, return_index=True)[1].astype(np.int64, copy=False)
        self._rows = keys.rows
        self._parameters = _terms_digest(domain, name, server, context)
        self._max_server_rows = max_server_rows
        self._tokens: TokenRows = np.empty((0, TOKEN_BYTES), dtype=np.uint8)
        self._filled = 0
        self._values: npt.NDArray[np.uint8] | None = None
        self._inner = OprfClient(
            name,
            server,
            domain,
            dataclasses.replace(keys, keys=keys.keys[first], rows=np.arange(len(first), dtype=np.int64)),
            context=_oprf_context(context),
            rng=rng,
            mapper=mapper,
            progress=self.progress,
            chunk_rows=chunk_rows,
        )

    def on_start(self) -> Step:
        """Offer the list and send it blinded."""
        step = self._inner.start()
        if step.done:
            self._values = step.output
        self.enter("waiting")
        return Step(sends=step.sends)

    def on_offer(self, sender: str, offer: ListOffer) -> Step:
        """Make room for the server's tokens."""
        self._require_server(sender)
        if offer.parameters != self._parameters:
            raise PeerError(sender, "runs on other terms (key domain, roles or context)")
        if not 0 <= offer.rows <= self._max_server_rows:
            raise PeerError(sender, f"offers {offer.rows} keys where at most {self._max_server_rows} are taken")
        self._tokens = np.empty((offer.rows, TOKEN_BYTES), dtype=np.uint8)
        self.enter("lists")
        return self._finish_if_ready()

    def on_tokens(self, sender: str, chunk: Tokens) -> Step:
        """Take a part of the server's list: in order, ascending, each token once."""
        self._require_server(sender)
        end = self._filled + len(chunk.tokens)
        if chunk.first_row != self._filled or not len(chunk.tokens) or end > len(self._tokens):
            raise PeerError(sender, f"sent {len(chunk.tokens)} tokens from row {chunk.first_row} on, after {self._filled}")
        self._tokens[self._filled : end] = chunk.tokens
        before = max(0, self._filled - 1)
        known = opaque(self._tokens[before:end])
        if np.any(known[1:] <= known[:-1]):
            raise PeerError(sender, "sent tokens that are not ascending; each key has one")
        self._filled = end
        return self._finish_if_ready()

    def on_raised(self, sender: str, chunk: RaisedPoints) -> Step:
        """Take evaluated elements."""
        step = self._inner.receive(sender, chunk)
        if step.done:
            self._values = step.output
        return self._finish_if_ready()

    def _finish_if_ready(self) -> Step:
        if self.state != "lists" or self._values is None or self._filled < len(self._tokens):
            return Step()
        own = opaque(np.ascontiguousarray(self._values[:, :TOKEN_BYTES]))
        server = opaque(self._tokens)
        places = np.searchsorted(server, own)
        found = np.zeros(len(own), dtype=bool)
        inside = places < len(server)
        found[inside] = server[places[inside]] == own[inside]
        self.enter("done")
        return Step(output=np.sort(self._rows[found[self._place_of_row]]), done=True)

    def _require_server(self, sender: str) -> None:
        if sender != self._server:
            raise PeerError(sender, f"is not the server of {self.name}")


def _oprf_context(context: bytes) -> bytes:
    return length_prefixed(b"lookup/1", context)


def _terms_digest(domain: KeyDomain, client: str, server: str, context: bytes) -> bytes:
    parts = (b"lookup/1/tokens", domain.digest(), client.encode(), server.encode(), context)
    return hashlib.sha256(length_prefixed(*parts)).digest()
