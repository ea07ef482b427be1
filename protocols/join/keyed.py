"""Keyed matching: a provider whose list goes straight to the operator, under tokens that only providers can make.

No ring and no blinding: token = HMAC-SHA-256(K, key domain ‖ key), K fresh for the session and known to every provider. A
hash a row instead of a dozen multiplications. One provider that colludes with the operator opens every provider's keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.hello import Hello, Hellos
from protocols.join.lists import chunk_starts
from protocols.join.messages import PLACE_BYTES, TOKEN_BYTES, GateHello, KeyedChunk, OperatorHello, ProviderHello, SharedKey
from protocols.join.own import OwnList
from protocols.join.params import JoinParams
from protocols.join.prepare import ProviderRows
from protocols.message import Message
from protocols.party import Mapper, Party, Progress, Scratch, Send, Step, blame, in_memory
from protocols.primitives import prf
from protocols.primitives.rng import OsRng, Rng
from protocols.psi.keycolumn import KeyColumn

KEY_CONTEXT = b"public-data-sandbox/keyed-join/1/key"
TOKEN_ROWS = 4096

Bytes = npt.NDArray[np.uint8]


class KeyedProvider(Party):
    """Provider of a join with keyed matching. Sees of the others: sizes of their lists, and the key that all of them share."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "hello": {
            OperatorHello: "on_hello",
            GateHello: "on_hello",
            ProviderHello: "on_hello",
            SharedKey: "on_shared_key",
        },
        "key": {SharedKey: "on_shared_key"},
    }

    def __init__(
        self,
        name: str,
        params: JoinParams,
        rows: ProviderRows,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        scratch: Scratch = in_memory,
        progress: Progress | None = None,
        allow_insecure_key: bool = False,
    ) -> None:
        """Prepare a provider's end. Raises ParameterError for rows that break what was declared of them."""
        super().__init__(name, progress=progress)
        if params.matching != "keyed":
            raise ParameterError("these parameters match keys blinded; use JoinProvider")
        self._params = params
        self._rng = rng or OsRng()
        self._mapper, self._scratch = mapper, scratch
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._own = OwnList(name, params, rows, self._hellos, rng=self._rng, mapper=mapper)
        self._hellos.announce(len(self._own), name)
        self._box_key, self._box_secret = prf.generate_box_keypair(self._rng)
        self._deals = self._own.index == 0
        self._shared = self._rng.bytes(prf.KEY_BYTES) if self._deals else b""

    def on_start(self) -> Step:
        """Tell everyone the parameters and the size of the list, and providers where to seal the shared key."""
        self.enter("hello")
        hello = ProviderHello(params=self._params.digest(), rows=len(self._own), box_key=self._box_key)
        return Step(sends=self._hellos.to_everyone(hello, self.name))

    def on_hello(self, sender: str, message: Hello) -> Step:
        """Take a hello; after the last one the first provider deals the key."""
        self._hellos.take(sender, message)
        if not self._hellos.complete:
            return Step()
        self.progress.announce({self._step_name: len(self._own)})
        if self._deals or self._shared:
            return self._finish()
        self.enter("key")
        return Step()

    def on_shared_key(self, sender: str, message: SharedKey) -> Step:
        """Open the key of this session; only the first provider deals one."""
        dealer = self._params.provider_names[0]
        if sender != dealer or self._deals or self._shared:
            raise PeerError(sender, "dealt a key again, or is not the provider that deals it")
        self._shared = blame(sender, lambda: prf.open_box(self._box_secret, message.box, self._context(self.name)))
        if len(self._shared) != prf.KEY_BYTES:
            raise PeerError(sender, f"dealt a key of {len(self._shared)} bytes")
        return self._finish() if self._hellos.complete else Step()

    def _finish(self) -> Step:
        self.enter("done")
        return Step(sends=self._sends(), done=True, output=self._own.report())

    def _sends(self) -> Iterator[Send]:
        params = self._params
        if self._deals:
            for other, box_key in self._hellos.provider_box_keys.items():
                box = prf.seal(box_key, self._shared, self._context(other), self._rng)
                yield Send(recipient=other, message=SharedKey(box=box))
        tags, places = self._own.tags()
        yield Send(recipient=params.operator, message=tags)
        yield Send(recipient=params.gate, message=self._own.labels())
        tokens = self._scratch(len(self._own), TOKEN_BYTES)
        made_tokens(self._own.rows.keys, params.key_domain.dst, self._shared, tokens)
        # In the order of tokens, ties in that of random tags: nothing is left of the table's order.
        order = np.lexsort((places, tokens.view(f"S{TOKEN_BYTES}").reshape(-1)))
        for first, end in chunk_starts(len(order), params.chunk_rows):
            chosen = order[first:end]
            _, ciphertexts = self._own.encrypted(chosen)
            message = KeyedChunk(
                owner=self.name,
                first=first,
                total=len(order),
                tokens=tokens[chosen],
                places=places[chosen].astype("<u4").view(np.uint8).reshape(len(chosen), PLACE_BYTES),
                ciphertexts=ciphertexts,
            )
            self.progress.advance(self._step_name, end, len(order))
            yield Send(recipient=params.operator, message=message)

    @property
    def _step_name(self) -> str:
        return f"{self.name}: make tokens and encrypt own list"

    def _context(self, recipient: str) -> bytes:
        return prf.length_prefixed(KEY_CONTEXT, self._params.digest(), recipient.encode())


def made_tokens(keys: KeyColumn, dst: bytes, shared: bytes, tokens: Bytes) -> None:
    """Write HMAC-SHA-256(shared, dst ‖ key) of each encoded key into (n, 32) `tokens`, in their order."""
    started = hmac.new(shared, prf.length_prefixed(dst), hashlib.sha256)
    for first, end in chunk_starts(len(keys), TOKEN_ROWS):
        digests = []
        for key in keys[first:end]:
            one = started.copy()
            one.update(key)
            digests.append(one.digest())
        tokens[first:end] = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, TOKEN_BYTES)
