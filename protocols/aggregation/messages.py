"""Messages of gated secure aggregation. The operator carries all and reads all that is not sealed or masked."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.message import Message, column, register
from protocols.primitives.prf import KEY_BYTES
from protocols.primitives.shamir import SHARE_BYTES
from protocols.primitives.signing import SIGNATURE_BYTES

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint32]

HASH_BYTES = 32
MAX_STATE_BYTES = 16 << 20
SALT_BYTES = 16
# Two shares, a salt for each, the dealer's signature, the cipher's tag.
BOX_BYTES = 2 * SHARE_BYTES + 2 * SALT_BYTES + SIGNATURE_BYTES + 16


@register(tag="aggregation/1/advertise")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Advertise(Message):
    """Party -> operator: the parameters I run with, fresh keys for this round, and commitments; signed with my identity.

    mask_key, channel_key: X25519 public keys, 32 bytes. seed_commitment, nonce_commitment: SHA-256 of the self-mask's seed and
    of the nonce for the graph, both of 256 bits.
    """

    params: bytes
    mask_key: bytes
    channel_key: bytes
    seed_commitment: bytes
    nonce_commitment: bytes
    signature: bytes

    def validate(self) -> None:
        """Refuse wrong lengths."""
        _check_sizes(self, KEY_BYTES, "params", "mask_key", "channel_key", "seed_commitment", "nonce_commitment")
        _check_sizes(self, SIGNATURE_BYTES, "signature")


@register(tag="aggregation/1/gate-advertise")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateAdvertise(Message):
    """Gate -> operator: the parameters, and a fresh X25519 key with which every party shares one mask more; signed."""

    params: bytes
    mask_key: bytes
    signature: bytes

    def validate(self) -> None:
        """Refuse wrong lengths."""
        _check_sizes(self, KEY_BYTES, "params", "mask_key")
        _check_sizes(self, SIGNATURE_BYTES, "signature")


@register(tag="aggregation/1/public-state")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublicState(Message):
    """Gate -> operator -> parties: what vectors depend on, such as weights. The parameters, which all sign, name its hash."""

    content: bytes

    def validate(self) -> None:
        """Refuse a state that is empty or beyond the limit."""
        if not 0 < len(self.content) <= MAX_STATE_BYTES:
            raise ParameterError(f"a public state has 1 to {MAX_STATE_BYTES} bytes")


@register(tag="aggregation/1/roster")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Roster(Message):
    """Operator -> everyone: what all who take part have advertised, ascending by roster index, and the gate's key."""

    gate_key: bytes
    gate_signature: bytes
    parties: Indices = column("uint32")
    mask_keys: Bytes = column("uint8", KEY_BYTES)
    channel_keys: Bytes = column("uint8", KEY_BYTES)
    seed_commitments: Bytes = column("uint8", HASH_BYTES)
    nonce_commitments: Bytes = column("uint8", HASH_BYTES)
    signatures: Bytes = column("uint8", SIGNATURE_BYTES)

    def validate(self) -> None:
        """Refuse wrong lengths, and parties that are not ascending."""
        _check_sizes(self, KEY_BYTES, "gate_key")
        _check_sizes(self, SIGNATURE_BYTES, "gate_signature")
        _check_ascending(self.parties)


@register(tag="aggregation/1/opening")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opening(Message):
    """Party -> operator: my nonce for the graph, now that every commitment is known."""

    nonce: bytes

    def validate(self) -> None:
        """Refuse a wrong length."""
        _check_sizes(self, KEY_BYTES, "nonce")


@register(tag="aggregation/1/openings")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Openings(Message):
    """Operator -> everyone: the nonces of all who take part from here on, ascending by roster index."""

    parties: Indices = column("uint32")
    nonces: Bytes = column("uint8", KEY_BYTES)

    def validate(self) -> None:
        """Refuse parties that are not ascending."""
        _check_ascending(self.parties)


@register(tag="aggregation/1/shares")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shares(Message):
    """Party -> operator: a box for each neighbour, sealed to it; ascending by recipient.

    boxes: (m, 178), a share of the seed and one of the mask key, their salts and my signature.
    """

    recipients: Indices = column("uint32")
    boxes: Bytes = column("uint8", BOX_BYTES)

    def validate(self) -> None:
        """Refuse recipients that are not ascending."""
        _check_ascending(self.recipients)


@register(tag="aggregation/1/delivery")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Message):
    """Operator -> party: the boxes that its neighbours sealed to it, ascending by dealer. Whose is missing has dropped."""

    dealers: Indices = column("uint32")
    boxes: Bytes = column("uint8", BOX_BYTES)

    def validate(self) -> None:
        """Refuse dealers that are not ascending."""
        _check_ascending(self.dealers)


@register(tag="aggregation/1/masked-input")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MaskedInput(Message):
    """Party -> operator: elements first … of its vector under all its masks, uniform to anyone who lacks one of them.

    words: (m, 4) or (m, 8), ring elements, little-endian.
    """

    first: int
    words: Bytes = column("uint8", 0)

    def validate(self) -> None:
        """Refuse other widths than a ring's, and no elements."""
        _check_words(self.first, self.words)


@register(tag="aggregation/1/survivors")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Survivors(Message):
    """Operator -> party: who dealt shares (U2) and whose masked input is in the sum (U3), ascending roster indices.

    kept: 1 where a dealer is in the sum.
    """

    dealers: Indices = column("uint32")
    kept: Bytes = column("uint8", 1)

    def validate(self) -> None:
        """Refuse dealers that are not ascending, and flags that are none."""
        _check_ascending(self.dealers)
        if np.any(self.kept > 1):
            raise ParameterError("kept is 0 or 1")


@register(tag="aggregation/1/consistency")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consistency(Message):
    """Party -> operator: my signature over session, round, parameters, roster, the gate's key, U2 and U3."""

    signature: bytes

    def validate(self) -> None:
        """Refuse a wrong length."""
        _check_sizes(self, SIGNATURE_BYTES, "signature")


@register(tag="aggregation/1/confirmation")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(Message):
    """Operator -> party: at least T signatures over the statement that it signed itself, ascending by signer."""

    signers: Indices = column("uint32")
    signatures: Bytes = column("uint8", SIGNATURE_BYTES)

    def validate(self) -> None:
        """Refuse signers that are not ascending: one of them twice among them."""
        _check_ascending(self.signers)


@register(tag="aggregation/1/reveal")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reveal(Message):
    """Party -> operator: for each dealer whose box it holds, one share: of the seed if it is in U3, of the mask key if not.

    shares: (m, 33). salts: (m, 16). others: (m, 32), hash of the share that stays here. signatures: (m, 64), the dealer's.
    """

    dealers: Indices = column("uint32")
    shares: Bytes = column("uint8", SHARE_BYTES)
    salts: Bytes = column("uint8", SALT_BYTES)
    others: Bytes = column("uint8", HASH_BYTES)
    signatures: Bytes = column("uint8", SIGNATURE_BYTES)

    def validate(self) -> None:
        """Refuse dealers that are not ascending."""
        _check_ascending(self.dealers)


@register(tag="aggregation/1/masked-sum")
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MaskedSum(Message):
    """Operator -> gate: elements first … of the sum over U3, under the gate's masks only. Words as in MaskedInput."""

    first: int
    words: Bytes = column("uint8", 0)

    def validate(self) -> None:
        """Refuse other widths than a ring's, and no elements."""
        _check_words(self.first, self.words)


def _check_sizes(message: Message, size: int, *names: str) -> None:
    for name in names:
        if len(getattr(message, name)) != size:
            raise ParameterError(f"{name} has {len(getattr(message, name))} bytes, not {size}")


def _check_ascending(indices: Indices) -> None:
    if np.any(indices[1:] <= indices[:-1]):
        raise ParameterError("indices are ascending, each once")


def _check_words(first: int, words: Bytes) -> None:
    if first < 0 or not len(words) or words.shape[1] not in (4, 8):
        raise ParameterError("ring elements have 4 or 8 bytes and a place from 0")
