"""Who learns what from a secure sum, as data."""

from __future__ import annotations

from protocols.aggregation.params import SumParams
from protocols.disclosure import Disclosure, Learned


def disclosure(params: SumParams) -> Disclosure:
    """Return what one round with these parameters shows to whom."""
    n, t = len(params.parties), params.shares
    return Disclosure(
        protocol="aggregation/1",
        adversary=f"semi-honest operator and gate, with at most {params.colluding} of {n} parties; an active operator that "
        f"splits a round gets no sum, since {params.threshold} parties sign one survivor set",
        assumptions=(
            f"{params.gate.name} (gate) and {params.operator} (operator) do not collude; if they do, they see the sum only",
            "identities (Ed25519) are the right ones; links are authenticated",
            "computational Diffie-Hellman on Curve25519; HKDF-SHA-256 and ChaCha20 are pseudorandom",
        ),
        learned=(
            Learned(who="provider", fact="participants", about="who takes part, who dropped"),
            Learned(who="operator", fact="participants", about="who takes part, who dropped and when"),
            Learned(who="operator", fact="vector_length", about=f"{params.length} elements, each within ±{params.bound}"),
            Learned(who="gate", fact="participants", about="who is in the sum"),
            Learned(
                who="gate",
                fact="released_aggregate",
                about=f"the sum over the survivors, at least {max(params.min_parties, params.threshold)} parties",
            ),
            Learned(
                who="gate + provider",
                fact="released_aggregate",
                about="the sum over the other survivors, by subtracting its own vector",
                visibility="under_collusion",
            ),
            Learned(
                who="operator + gate",
                fact="released_aggregate",
                about="the sum, without the gate's checks; no single vector",
                visibility="under_collusion",
            ),
            Learned(
                who="operator + provider",
                fact="row_value",
                about=f"single vectors, if {t} holders of their shares collude, more than the {params.colluding} assumed",
                visibility="under_collusion",
            ),
        ),
    )
