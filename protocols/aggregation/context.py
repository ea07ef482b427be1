"""What one round is bound to: the statements that are signed, and the context of every derived key.

A round is named by its parameters' digest (session, round, identities, thresholds) and, once everyone has advertised, by the
digest of all fresh keys, commitments and nonces. Whoever was shown other ones derives other keys and signs other statements.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from protocols.aggregation.messages import Advertise, GateAdvertise, Openings, Roster
from protocols.aggregation.params import SumParams
from protocols.errors import ParameterError
from protocols.primitives import prf, signing
from protocols.primitives.prf import length_prefixed

# Fields of an advertisement, and the roster's columns of them.
_COLUMNS = {
    "mask_key": "mask_keys",
    "channel_key": "channel_keys",
    "seed_commitment": "seed_commitments",
    "nonce_commitment": "nonce_commitments",
    "signature": "signatures",
}


def commit(what: str, params: bytes, index: int, secret: bytes) -> bytes:
    """Return a commitment to 32 uniform bytes; their entropy hides them. what: `seed` or `nonce`."""
    return hashlib.sha256(_commitment_prefix(what, params) + number(index) + secret).digest()


def _commitment_prefix(what: str, params: bytes) -> bytes:
    return b"aggregation/1/commit/%b\0%b" % (what.encode(), params)


def advertise_statement(index: int, message: Advertise) -> bytes:
    """Return what a party signs when it advertises."""
    parts = (message.params, number(index), message.mask_key, message.channel_key, message.seed_commitment)
    return length_prefixed(b"aggregation/1/advertise", *parts, message.nonce_commitment)


def gate_statement(params: bytes, mask_key: bytes) -> bytes:
    """Return what the gate signs when it advertises."""
    return length_prefixed(b"aggregation/1/gate-advertise", params, mask_key)


def number(index: int) -> bytes:
    """Return a roster index in statements and contexts."""
    return index.to_bytes(4, "big")


class Advertised:
    """What all who take part have advertised, by roster index; read row by row, since a party needs its neighbours' only."""

    def __init__(self, params: SumParams, digest: bytes, roster: Roster) -> None:
        if len(roster.parties) < params.threshold:
            raise ParameterError(
                f"sent a roster of {len(roster.parties)} parties where {params.threshold} must sign at the end"
            )
        if int(roster.parties[-1]) >= len(params.parties):
            raise ParameterError("sent a roster with a party that the parameters do not have")
        self.roster = roster
        self._digest = digest
        self._rows = {index: row for row, index in enumerate(roster.parties.tolist())}

    def __contains__(self, index: int) -> bool:
        return index in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def mask_keys(self, parties: Iterable[int]) -> list[bytes]:
        """The X25519 keys of parties' masks, in the order given."""
        return [self.roster.mask_keys[self._rows[index]].tobytes() for index in parties]

    def channel_keys(self, parties: Iterable[int]) -> list[bytes]:
        """The X25519 keys of parties' boxes and of their masks with the gate, in the order given."""
        return [self.roster.channel_keys[self._rows[index]].tobytes() for index in parties]

    def __getitem__(self, index: int) -> Advertise:
        row = self._rows[index]
        return Advertise(
            params=self._digest, **{field: getattr(self.roster, column)[row].tobytes() for field, column in _COLUMNS.items()}
        )


@dataclasses.dataclass(frozen=True, slots=True)
class RoundContext:
    """One round, named: all that its signatures and keys are bound to. Public.

    digest: of the parameters, the roster, the gate's key and the nonces. nonces: roster index -> opened nonce, of all who take
    part from here on.
    """

    params: SumParams
    digest: bytes
    advertised: Advertised
    nonces: dict[int, bytes]

    @property
    def gate_key(self) -> bytes:
        """The gate's public key of this round."""
        return self.advertised.roster.gate_key

    def derive(self, secret: bytes, label: str, *parties: int) -> bytes:
        """Return a 32-byte key for one purpose of this round between the given parties, in order. Secret."""
        return prf.derive_key(secret, f"aggregation/1/{label}", self.digest, *map(number, parties))

    def share_statement(self, dealer: int, recipient: int, seed_leaf: bytes, key_leaf: bytes) -> bytes:
        """Return what a dealer signs for each recipient: hashes of the two shares."""
        parts = (self.digest, number(dealer), number(recipient), seed_leaf, key_leaf)
        return length_prefixed(b"aggregation/1/share", *parts)

    def leaf(self, kind: str, dealer: int, recipient: int, share: bytes, salt: bytes) -> bytes:
        """Return the salted hash under which a share is signed. kind: `seed` or `key`."""
        parts = (kind.encode(), self.digest, number(dealer), number(recipient), share, salt)
        return hashlib.sha256(length_prefixed(b"aggregation/1/leaf", *parts)).digest()

    def survivor_statement(self, dealers: Collection[int], kept: Collection[int]) -> bytes:
        """Return what the parties sign before anything is unmasked: this round, U2 and U3."""
        sets = [np.array(sorted(members), dtype=">u4").tobytes() for members in (dealers, kept)]
        # Hashed, since each of T signatures hashes its whole statement again.
        return length_prefixed(b"aggregation/1/survivors", self.digest, *(hashlib.sha256(members).digest() for members in sets))


def write_roster(advertised: Mapping[int, Advertise], gate: GateAdvertise) -> Roster:
    """Return the roster of these advertisements."""
    order = sorted(advertised)

    def column(field: str) -> npt.NDArray[np.uint8]:
        joined = b"".join(getattr(advertised[index], field) for index in order)
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(order), -1)

    return Roster(
        gate_key=gate.mask_key,
        gate_signature=gate.signature,
        parties=np.array(order, dtype=np.uint32),
        **{name: column(field) for field, name in _COLUMNS.items()},
    )


def round_context(params: SumParams, digest: bytes, advertised: Advertised, openings: Openings) -> RoundContext:
    """Return the round that these advertisements and openings make.

    digest: of the parameters. Raises ParameterError for an opening that does not fit, or is missing where the graph needs it.
    """
    nonces = {index: openings.nonces[row].tobytes() for row, index in enumerate(openings.parties.tolist())}
    if not set(nonces) <= set(advertised) or len(nonces) < params.threshold:
        raise ParameterError("opened nonces of other parties than the roster's, or of too few")
    if not params.is_complete and len(nonces) != len(advertised):
        # Leaving some out after all were seen would be a choice between graphs.
        raise ParameterError("left nonces out, although the graph depends on all of them")
    roster = advertised.roster
    expected = {index: roster.nonce_commitments[row].tobytes() for row, index in enumerate(roster.parties.tolist())}
    prefix = _commitment_prefix("nonce", digest)
    for index, nonce in nonces.items():
        if hashlib.sha256(prefix + number(index) + nonce).digest() != expected[index]:
            raise ParameterError(f"opened a nonce of {params.names[index]} that does not fit its commitment")
    columns = [roster.parties, *(getattr(roster, name) for name in _COLUMNS.values()), openings.parties, openings.nonces]
    parts = (roster.gate_key, roster.gate_signature, *(column.tobytes() for column in columns))
    return RoundContext(
        params, hashlib.sha256(length_prefixed(b"aggregation/1/round", digest, *parts)).digest(), advertised, nonces
    )


def check_advertised(params: SumParams, messages: Mapping[int, Advertise]) -> None:
    """Check parties' signatures on what they advertised, by roster index. Raises ParameterError with the first bad one."""
    order = list(messages)
    signed = [
        signing.Signed(params.parties[index].key_bytes, advertise_statement(index, message), message.signature)
        for index, message in messages.items()
    ]
    try:
        signing.verify_each(signed)
    except signing.BadSignatureError as error:
        name = params.names[order[error.row]]
        raise ParameterError(f"the keys of {name} are not signed with its identity for this round") from None


def check_survivor_signatures(
    context: RoundContext, statement: bytes, signers: Sequence[int], signatures: Sequence[bytes], allowed: Collection[int]
) -> None:
    """Check that at least T parties of `allowed` signed the statement. Raises ParameterError."""
    params = context.params
    if len(signers) < params.threshold:
        raise ParameterError(f"shows {len(signers)} signatures on the survivor set where {params.threshold} are needed")
    if not set(signers) <= set(allowed):
        raise ParameterError("shows a signature of a party that is not in the survivor set")
    keys = [params.parties[index].key_bytes for index in signers]
    try:
        signing.verify_each([signing.Signed(key, statement, each) for key, each in zip(keys, signatures, strict=True)])
    except signing.BadSignatureError as error:
        name = params.names[signers[error.row]]
        raise ParameterError(f"shows a signature of {name} on another survivor set, round, roster or gate key") from None
