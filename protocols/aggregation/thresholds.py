"""Thresholds and degree of one round, from the number of parties and the shares that may collude or drop; exact, no estimates.

T signatures on one survivor set; a graph of degree k; t shares of k open a secret. Sources: Bonawitz et al. 2017 (CCS), T;
Bell et al. 2020 (CCS), the k-regular graph and its three bounds, here with exact hypergeometric tails.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from fractions import Fraction

from protocols.errors import ParameterError

SECRECY_BITS = 41
CONNECTIVITY_BITS = 41
AVAILABILITY_BITS = 20
MIN_PARTIES = 3
# Fewer are all neighbours of each other: that is no more masks than a thousand parties' graph, and bears more collusion.
GRAPH_FROM = 50
RATE = 0.1
"""Share of the parties that may drop, and that may collude, where none is asked for."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One condition that a choice meets. value: an upper bound of its probability, exact; it is at most 2^-limit_bits."""

    what: str
    value: Fraction
    limit_bits: int

    @property
    def bits(self) -> float:
        """−log2 of the probability; infinite where the event cannot happen."""
        if not self.value:
            return math.inf
        return math.log2(self.value.denominator) - math.log2(self.value.numerator)

    def explain(self) -> str:
        """Return the bound in words."""
        found = f"2^-{self.bits:.1f}" if self.value else "cannot happen"
        return f"{self.what}: {found} (at most 2^-{self.limit_bits})"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What one round runs with, and why.

    parties: n. signatures: T, signers of the survivor set. neighbours: k, degree of the graph; n − 1 is the complete one.
    shares: t, shares that open a secret. colluding: c, parties that may work with the operator. dropping: d, parties that may
    fall silent. bounds: what can go wrong in the k-regular graph, each with its probability; empty for the complete graph,
    where nothing is left to chance.
    """

    parties: int
    signatures: int
    neighbours: int
    shares: int
    colluding: int
    dropping: int
    bounds: tuple[Bound, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everyone shares with everyone."""
        return self.neighbours == self.parties - 1

    def explain(self) -> str:
        """Return why these numbers, for people: one line for each condition."""
        n, c, d = self.parties, self.colluding, self.dropping
        lines = [
            f"n = {n} parties; the operator may have c = {c} of them, d = {d} may drop",
            f"T = {self.signatures} signatures: more than (n + c) / 2 = {(n + c) / 2:g}, so no two survivor sets both get them",
            f"n − T = {n - self.signatures} parties may be missing at the end",
        ]
        if self.is_complete:
            lines.append(
                f"complete graph, k = {self.neighbours}; t = {self.shares} shares: more than c, and no more than the T − 1 "
                "that the other signers hold"
            )
        else:
            lines.append(f"k-regular graph, k = {self.neighbours} < n / 2; t = {self.shares} shares")
        lines += [bound.explain() for bound in self.bounds]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return "<pre>" + self.explain().replace("<", "&lt;") + "</pre>"


def choose(
    parties: int, *, threshold: int | None = None, dropout: float | None = None, corruption: float | None = None
) -> Thresholds:
    """Return the thresholds for n parties: a regular graph from GRAPH_FROM on where its degree is below n / 2, else complete.

    threshold: T, ⌊2n/3⌋ + 1 unless given. dropout, corruption: shares of the parties that may drop, or collude with the
    operator; RATE each for the regular graph's bounds unless given. In the complete graph T alone says how many may. Raises
    ParameterError, also where T cannot bear the rates that are asked for.
    """
    if parties < 2:
        raise ParameterError(f"{parties} parties cannot hide anything in a sum; it takes {MIN_PARTIES}")
    rates = [RATE if share is None else share for share in (corruption, dropout)]
    if not all(0 <= share < 1 for share in rates):
        raise ParameterError("dropout and corruption are shares of the parties, from 0 to below 1")
    signatures = 2 * parties // 3 + 1 if threshold is None else threshold
    signatures = min(signatures, parties)
    if not parties < 2 * signatures or (threshold is not None and threshold > parties):
        raise ParameterError(f"the threshold of {parties} parties is from {parties // 2 + 1} to {parties}, not {threshold}")
    colluding, dropping = (math.ceil(Fraction(share).limit_denominator(10**6) * parties) for share in rates)
    if dropout is not None and dropping > parties - signatures:
        raise _beyond(parties, signatures, parties - signatures, "be missing at the end: a lower threshold", dropping)
    if parties >= GRAPH_FROM and 2 * signatures > parties + colluding:
        found = _regular(parties, colluding, dropping)
        if found is not None:
            degree, shares = found
            bounds = tuple(bounds_of(parties, degree, shares, colluding, dropping))
            return Thresholds(
                parties=parties,
                signatures=signatures,
                neighbours=degree,
                shares=shares,
                colluding=colluding,
                dropping=dropping,
                bounds=bounds,
            )
    shares = max(1, signatures - 1)
    borne = max(0, min(2 * signatures - parties - 1, shares - 1, parties - 2))
    if corruption is not None and colluding > borne:
        raise _beyond(parties, signatures, borne, "collude: a higher threshold", colluding)
    return Thresholds(
        parties=parties,
        signatures=signatures,
        neighbours=parties - 1,
        shares=shares,
        colluding=borne,
        dropping=parties - signatures,
    )


def _beyond(parties: int, signatures: int, most: int, what: str, asked: int) -> ParameterError:
    return ParameterError(f"of {parties} parties with T = {signatures}, {most} may {what}, or more parties, would bear {asked}")


def bounds_of(n: int, k: int, t: int, c: int, d: int) -> Iterator[Bound]:
    """Yield the three bounds of a k-regular graph on a random permutation, exactly."""
    yield Bound(
        what=f"some party has {t} colluders among its {k} neighbours",
        value=n * hypergeometric_at_least(n - 1, c, k, t),
        limit_bits=SECRECY_BITS,
    )
    yield Bound(
        what=f"some party has fewer than {t} neighbours left",
        value=n * (1 - hypergeometric_at_least(n - 1, n - 1 - d, k, t)),
        limit_bits=AVAILABILITY_BITS,
    )
    yield Bound(
        what="the graph of honest parties that stay falls apart",
        value=disconnected(n, k, c + d),
        limit_bits=CONNECTIVITY_BITS,
    )


def hypergeometric_at_least(population: int, marked: int, drawn: int, least: int) -> Fraction:
    """Return Pr[at least `least` marked among `drawn` of `population` without replacement]."""
    ways = sum(
        math.comb(marked, hits) * math.comb(population - marked, drawn - hits) for hits in range(max(0, least), drawn + 1)
    )
    return Fraction(ways, math.comb(population, drawn))


def disconnected(n: int, k: int, gone: int) -> Fraction:
    """Bound the chance that `gone` removed parties cut a Harary graph of degree k: two runs of k/2 neighbours on the ring."""
    chance = Fraction(n * (n - k - 1), 2)
    for index in range(k):
        chance *= Fraction(max(0, gone - index), n - index)
    return chance


@functools.lru_cache(maxsize=64)
def _regular(n: int, c: int, d: int) -> tuple[int, int] | None:
    """Return the smallest even degree below n / 2, with the smallest t, that meet all bounds; None if there is none."""
    for k in range(2, (n + 1) // 2, 2):
        t = _least_shares(n, k, c)
        if t <= k and all(bound.value * (1 << bound.limit_bits) <= 1 for bound in bounds_of(n, k, t, c, d)):
            return k, t
    return None


def _least_shares(n: int, k: int, c: int) -> int:
    """Return the smallest t that keeps secrets from c colluders; k + 1 if none does."""
    whole, ways, t = math.comb(n - 1, k), 0, k + 1
    while t > 1:
        ways += math.comb(c, t - 1) * math.comb(n - 1 - c, k - t + 1)
        if (n * ways) << SECRECY_BITS > whole:
            break
        t -= 1
    return t
