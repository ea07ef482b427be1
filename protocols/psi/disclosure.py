"""Who learns what from an intersection, a count and an oblivious evaluation."""

from __future__ import annotations

from protocols.disclosure import Disclosure, Learned
from protocols.psi.two_party import Terms

_ASSUMPTIONS = (
    "decisional Diffie-Hellman is hard in ristretto255, and hashing to it behaves as a random oracle",
    "links are authenticated and private to their two ends",
    "a fresh scalar for each session, never used again",
)
_ADVERSARY = "semi-honest"


def intersection_disclosure(terms: Terms) -> Disclosure:
    """Return what each party of these terms learns; a role is the party's name."""
    learned = []
    for party in terms.parties:
        learned.append(Learned(who=party, fact="list_size", about="number of distinct keys in the other list"))
        if party in terms.receivers:
            learned.append(Learned(who=party, fact="intersection_size", about="number of distinct keys that both lists have"))
        if party in terms.receivers and terms.reveal == "rows":
            learned.append(Learned(who=party, fact="membership", about="which of its own keys the other list has"))
    return Disclosure(protocol=f"psi/1/{terms.reveal}", adversary=_ADVERSARY, assumptions=_ASSUMPTIONS, learned=tuple(learned))


# The client learns values of the function at its own inputs: pseudorandom bytes, no fact about anyone's rows.
OPRF_DISCLOSURE = Disclosure(
    protocol="psi/1/oprf",
    adversary=_ADVERSARY,
    assumptions=(*_ASSUMPTIONS, "the one-more gap Diffie-Hellman problem is hard in ristretto255"),
    learned=(Learned(who="server", fact="list_size", about="number of inputs that the client has evaluated"),),
)

LOOKUP_DISCLOSURE = Disclosure(
    protocol="psi/1/lookup",
    adversary=_ADVERSARY,
    assumptions=(
        *OPRF_DISCLOSURE.assumptions,
        "a prepared list serves one session: its key is made for it and used in no other",
    ),
    learned=(
        Learned(who="server", fact="list_size", about="number of distinct keys that the client looks up"),
        Learned(who="client", fact="list_size", about="number of distinct keys in the server's list"),
        Learned(who="client", fact="membership", about="which of its own keys the server's list has"),
        Learned(
            who="client + client",
            fact="membership",
            about="in one session, no more than each learns alone: tokens are the same for all clients",
            visibility="under_collusion",
        ),
    ),
)
