"""Secrets of a party for one round, and their shares: dealt, sealed, opened, checked and put together again."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocols.aggregation.context import RoundContext, commit
from protocols.aggregation.messages import SALT_BYTES
from protocols.errors import ParameterError
from protocols.primitives import prf, shamir, signing
from protocols.primitives.rng import Rng
from protocols.primitives.shamir import SHARE_BYTES

# A box's key is derived for one dealer, recipient and round, and seals one message.
_NONCE = bytes(12)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoundSecrets:
    """A party's secrets of one round, all fresh, none used again. Never sent, never printed.

    mask: X25519 scalar of the pair masks, shared out. channel: X25519 key of boxes and of the gate's mask, never shared.
    seed: of the self-mask, shared out. nonce: for the graph, public once all are committed. links: what the channel key
    has agreed on with each neighbour, by roster index.
    """

    mask: bytes
    channel: prf.KeyAgreement
    seed: bytes
    nonce: bytes
    links: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        return "RoundSecrets(<redacted>)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SharePair:
    """What a dealer gives one neighbour: a share of each secret, and the dealer's signature over the hashes of both. Secret."""

    seed: bytes
    key: bytes
    seed_salt: bytes
    key_salt: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "SharePair(<redacted>)"


def deal(
    context: RoundContext, dealer: int, recipients: Collection[int], secrets: RoundSecrets, *, sign: signing.Sign, rng: Rng
) -> dict[int, bytes]:
    """Return a sealed box for each recipient, by roster index."""
    order = sorted(recipients)
    points = [index + 1 for index in order]
    seeds = shamir.share(secrets.seed, context.params.shares, points, rng)
    keys = shamir.share(secrets.mask, context.params.shares, points, rng)
    boxes = {}
    for recipient, seed, key in zip(order, seeds, keys, strict=True):
        seed_salt, key_salt = rng.bytes(SALT_BYTES), rng.bytes(SALT_BYTES)
        leaves = (
            context.leaf("seed", dealer, recipient, seed, seed_salt),
            context.leaf("key", dealer, recipient, key, key_salt),
        )
        signature = sign(context.share_statement(dealer, recipient, *leaves))
        plain = b"".join((seed, key, seed_salt, key_salt, signature))
        box_key = _box_key(context, secrets, recipient, dealer, recipient)
        boxes[recipient] = ChaCha20Poly1305(box_key).encrypt(_NONCE, plain, None)
    return boxes


def open_box(context: RoundContext, dealer: int, recipient: int, secrets: RoundSecrets, box: bytes) -> SharePair:
    """Return the shares that a dealer sealed to us. Raises ParameterError for a foreign or changed box, or a bad signature."""
    try:
        plain = ChaCha20Poly1305(_box_key(context, secrets, dealer, dealer, recipient)).decrypt(_NONCE, box, None)
    except InvalidTag:
        raise ParameterError(f"the box of {context.params.names[dealer]} was not sealed to us in this round") from None
    cuts = [0, SHARE_BYTES, 2 * SHARE_BYTES, 2 * SHARE_BYTES + SALT_BYTES, 2 * SHARE_BYTES + 2 * SALT_BYTES, len(plain)]
    seed, key, seed_salt, key_salt, signature = (plain[cuts[i] : cuts[i + 1]] for i in range(5))
    pair = SharePair(seed=seed, key=key, seed_salt=seed_salt, key_salt=key_salt, signature=signature)
    check_share(
        context,
        "seed",
        dealer,
        recipient,
        Revealed(seed, seed_salt, other_leaf(context, "seed", dealer, recipient, pair), signature),
    )
    return pair


@dataclasses.dataclass(frozen=True, slots=True)
class Revealed:
    """One share as its holder reveals it, with what proves that it is the dealer's."""

    share: bytes
    salt: bytes
    other: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "Revealed(<redacted>)"


def reveal(context: RoundContext, kind: str, dealer: int, recipient: int, pair: SharePair) -> Revealed:
    """Return the share of one secret of a dealer, `seed` or `key`; the other one stays here."""
    share, salt = (pair.seed, pair.seed_salt) if kind == "seed" else (pair.key, pair.key_salt)
    return Revealed(share, salt, other_leaf(context, kind, dealer, recipient, pair), pair.signature)


def other_leaf(context: RoundContext, kind: str, dealer: int, recipient: int, pair: SharePair) -> bytes:
    """Return the salted hash of the share that is not of this kind."""
    if kind == "seed":
        return context.leaf("key", dealer, recipient, pair.key, pair.key_salt)
    return context.leaf("seed", dealer, recipient, pair.seed, pair.seed_salt)


def check_share(context: RoundContext, kind: str, dealer: int, recipient: int, revealed: Revealed) -> None:
    """Check that the dealer gave this share of this kind to this recipient in this round. Raises ParameterError."""
    leaf = context.leaf(kind, dealer, recipient, revealed.share, revealed.salt)
    leaves = (leaf, revealed.other) if kind == "seed" else (revealed.other, leaf)
    statement = context.share_statement(dealer, recipient, *leaves)
    try:
        signing.verify(context.params.parties[dealer].key_bytes, statement, revealed.signature)
    except ParameterError:
        raise ParameterError(f"the share of {context.params.names[dealer]} does not bear its signature") from None


def recover(context: RoundContext, kind: str, dealer: int, shares: Mapping[int, bytes]) -> bytes:
    """Return a dealer's seed or mask key from t shares, {recipient: share}, checked against what it advertised. Secret.

    Raises ParameterError if the result is not the secret behind the commitment, or behind the public key.
    """
    secret = shamir.reconstruct({recipient + 1: share for recipient, share in shares.items()})
    advertised = context.advertised[dealer]
    if kind == "seed":
        holds = commit("seed", advertised.params, dealer, secret) == advertised.seed_commitment
    else:
        holds = prf.KeyAgreement(secret).public == advertised.mask_key
    if not holds:
        raise ParameterError(f"the shares of {context.params.names[dealer]} do not meet in what it committed to")
    return secret


def _box_key(context: RoundContext, secrets: RoundSecrets, peer: int, dealer: int, recipient: int) -> bytes:
    if peer not in secrets.links:
        secrets.links[peer] = secrets.channel.exchange(context.advertised[peer].channel_key)
    return context.derive(secrets.links[peer], "share-box", dealer, recipient)
