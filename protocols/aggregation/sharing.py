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
    links = _links(context, secrets, order)
    boxes = {}
    for recipient, seed, key in zip(order, seeds, keys, strict=True):
        seed_salt, key_salt = rng.bytes(SALT_BYTES), rng.bytes(SALT_BYTES)
        leaves = (
            context.leaf("seed", dealer, recipient, seed, seed_salt),
            context.leaf("key", dealer, recipient, key, key_salt),
        )
        signature = sign(context.share_statement(dealer, recipient, *leaves))
        plain = b"".join((seed, key, seed_salt, key_salt, signature))
        box_key = context.derive(links[recipient], "share-box", dealer, recipient)
        boxes[recipient] = ChaCha20Poly1305(box_key).encrypt(_NONCE, plain, None)
    return boxes


def open_boxes(
    context: RoundContext, recipient: int, secrets: RoundSecrets, boxes: Mapping[int, bytes]
) -> dict[int, SharePair]:
    """Return the shares that each dealer sealed to us, by roster index.

    Raises ParameterError that names the dealer of a foreign or changed box, or of one without its signature.
    """
    links = _links(context, secrets, boxes)
    pairs = {dealer: _open_box(context, dealer, recipient, links[dealer], box) for dealer, box in boxes.items()}
    _check_shares(context, "seed", recipient, {d: reveal(context, "seed", d, recipient, pair) for d, pair in pairs.items()})
    return pairs


def _open_box(context: RoundContext, dealer: int, recipient: int, link: bytes, box: bytes) -> SharePair:
    box_key = context.derive(link, "share-box", dealer, recipient)
    try:
        plain = ChaCha20Poly1305(box_key).decrypt(_NONCE, box, None)
    except InvalidTag:
        raise ParameterError(f"the box of {context.params.names[dealer]} was not sealed to us in this round") from None
    cuts = [0, SHARE_BYTES, 2 * SHARE_BYTES, 2 * SHARE_BYTES + SALT_BYTES, 2 * SHARE_BYTES + 2 * SALT_BYTES, len(plain)]
    seed, key, seed_salt, key_salt, signature = (plain[cuts[i] : cuts[i + 1]] for i in range(5))
    return SharePair(seed=seed, key=key, seed_salt=seed_salt, key_salt=key_salt, signature=signature)


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
    _check_shares(context, kind, recipient, {dealer: revealed})


def _check_shares(context: RoundContext, kind: str, recipient: int, revealed: Mapping[int, Revealed]) -> None:
    """The same for shares of several dealers, {dealer: share}; the error names the first whose signature does not hold."""
    signed = []
    for dealer, each in revealed.items():
        leaf = context.leaf(kind, dealer, recipient, each.share, each.salt)
        leaves = (leaf, each.other) if kind == "seed" else (each.other, leaf)
        statement = context.share_statement(dealer, recipient, *leaves)
        signed.append(signing.Signed(context.params.parties[dealer].key_bytes, statement, each.signature))
    try:
        signing.verify_each(signed)
    except signing.BadSignatureError as error:
        name = context.params.names[list(revealed)[error.row]]
        raise ParameterError(f"the share of {name} does not bear its signature") from None


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


def _links(context: RoundContext, secrets: RoundSecrets, peers: Collection[int]) -> dict[int, bytes]:
    """Agree with all peers at once, and remember it: the same links carry our boxes and theirs."""
    new = [peer for peer in peers if peer not in secrets.links]
    shared = secrets.channel.exchange_each(context.advertised.channel_keys(new))
    secrets.links.update(zip(new, shared, strict=True))
    return secrets.links
