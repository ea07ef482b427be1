"""Unmasking at the operator: shares of one secret of each party, put together, checked, and the masks taken away."""

from __future__ import annotations

from collections.abc import Mapping

from protocols.aggregation.context import RoundContext
from protocols.aggregation.masking import MaskKeys, masks_to_remove
from protocols.aggregation.messages import Reveal
from protocols.aggregation.sharing import Revealed, check_share, recover
from protocols.errors import ParameterError, PeerError
from protocols.party import Mapper, Progress
from protocols.primitives.keystream import Ring, apply_keystreams

# Elements that one call of the mapper unmasks; a multiple of a keystream block.
PIECE_WORDS = 1 << 18


class Unmasking:
    """Shares revealed so far: of a dealer in U3 those of its seed, of one outside those of its mask key.

    dealers: U2. kept: U3. neighbours: of every party of the round.
    """

    def __init__(
        self, context: RoundContext, neighbours: Mapping[int, frozenset[int]], dealers: frozenset[int], kept: frozenset[int]
    ) -> None:
        self._context = context
        self._neighbours = neighbours
        self._dealers = dealers
        self._kept = kept
        self._shares: dict[int, dict[int, Revealed]] = {dealer: {} for dealer in dealers}

    def take(self, holder: int, message: Reveal) -> None:
        """Take one holder's shares. Raises ParameterError for shares of others than the dealers next to it."""
        if set(message.dealers.tolist()) != self._neighbours[holder] & self._dealers:
            raise ParameterError("revealed shares of others than its neighbours")
        columns = (message.shares, message.salts, message.others, message.signatures)
        for row, dealer in enumerate(message.dealers.tolist()):
            self._shares[dealer][holder] = Revealed(*(column[row].tobytes() for column in columns))

    def missing(self) -> list[int]:
        """Return the dealers of whom fewer than t shares came."""
        return [dealer for dealer, held in self._shares.items() if len(held) < self._context.params.shares]

    def masks_to_remove(self) -> MaskKeys:
        """Reconstruct and check every secret; return the masks that they stand for. Raises PeerError that names a forger."""
        secrets = {dealer: self._recover(dealer) for dealer in sorted(self._dealers)}
        seeds = {dealer: secret for dealer, secret in secrets.items() if dealer in self._kept}
        mask_secrets = {dealer: secret for dealer, secret in secrets.items() if dealer not in self._kept}
        neighbours = {dealer: self._neighbours[dealer] for dealer in mask_secrets}
        return masks_to_remove(self._context, self._kept, seeds, mask_secrets, neighbours)

    def remove(self, total: Ring, keys: MaskKeys, mapper: Mapper, progress: Progress, name: str) -> None:
        """Take the masks away from the sum, in place, piece by piece."""

        def piece(first: int) -> int:
            part = total[first : first + PIECE_WORDS]
            apply_keystreams(part, first, plus=keys.plus, minus=keys.minus, cipher=self._context.params.cipher)
            return len(part)

        done = 0
        progress.advance(f"{name}: unmask", done, len(total))
        for size in mapper(piece, range(0, len(total), PIECE_WORDS)):
            done += size
            progress.advance(f"{name}: unmask", done, len(total))

    def _recover(self, dealer: int) -> bytes:
        kind = "seed" if dealer in self._kept else "key"
        held = self._shares[dealer]
        chosen = sorted(held)[: self._context.params.shares]
        try:
            return recover(self._context, kind, dealer, {holder: held[holder].share for holder in chosen})
        except ParameterError:
            self._accuse(kind, dealer)
            raise

    def _accuse(self, kind: str, dealer: int) -> None:
        """Find out whose fault a wrong secret is: a holder's whose share is not the dealer's, or else the dealer's."""
        names = self._context.params.names
        for holder, revealed in sorted(self._shares[dealer].items()):
            try:
                check_share(self._context, kind, dealer, holder, revealed)
            except ParameterError as error:
                raise PeerError(names[holder], f"revealed a changed share: {error}") from None
        raise PeerError(names[dealer], "dealt shares that do not meet in what it committed to")
