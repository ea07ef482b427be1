"""Who learns what from an encrypted join, as data."""

from __future__ import annotations

from protocols.disclosure import Disclosure, Learned
from protocols.join.params import JoinParams


def disclosure(params: JoinParams) -> Disclosure:
    """Return what one run with these parameters shows to whom."""
    opened = [provider.name for provider in params.providers if provider.opens_multiplicity and not provider.unique]
    pattern = f"per {'blinded key' if params.matching == 'blinded' else 'token of a key'}: its unlabelled group numbers"
    if opened:
        pattern += ", and how many rows it stands for at " + ", ".join(opened)
    padded = [f"{provider.name} to {provider.padded_rows}" for provider in params.providers if provider.padded_rows]
    sizes = f"; padded: {', '.join(padded)}" if padded else ""
    return Disclosure(
        protocol=params.protocol,
        adversary="semi-honest parties on authenticated links",
        assumptions=(
            f"{params.gate} (gate) colludes with nobody, and shares no owner with {params.operator} (operator) or a provider",
            f"decisional composite residuosity with short exponents (Paillier, noise {params.noise!r}, {params.key_bits} bits)",
            *_matching_assumptions(params),
        ),
        learned=(
            Learned(who="provider", fact="participants", about="who takes part"),
            Learned(who="provider", fact="list_size", about=f"rows of each other provider's list{sizes}"),
            Learned(who="operator", fact="list_size", about=f"rows of each list{sizes}"),
            Learned(who="operator", fact="intersection_size", about="sizes of all partial intersections of the lists"),
            Learned(
                who="operator", fact="group_histogram", about=f"how many rows each unlabelled group of each list has{sizes}"
            ),
            Learned(who="operator", fact="blinded_pattern", about=pattern),
            Learned(who="operator", fact="cell_count", about="distinct keys of each unlabelled cell, small ones too"),
            Learned(who="gate", fact="group_label", about="labels of every provider's groups, and which cells exist"),
            Learned(who="gate", fact="list_size", about=f"rows of each list, and how many the rules merged and removed{sizes}"),
            Learned(
                who="gate",
                fact="released_aggregate",
                about=f"counts and sums of cells with at least {params.min_keys} distinct keys; nothing of smaller ones",
            ),
            *_masked(params),
            *_with_operator(params),
            Learned(
                who="gate + provider",
                fact="row_value",
                about="values of other providers' rows without their keys; excluded by assumption",
                visibility="under_collusion",
            ),
            Learned(
                who="gate + operator",
                fact="row_value",
                about="values and groups of every row without its key; excluded by assumption",
                visibility="under_collusion",
            ),
        ),
    )


def _matching_assumptions(params: JoinParams) -> tuple[str, ...]:
    if params.matching == "blinded":
        return ("decisional Diffie-Hellman in ristretto255; SHA-512 as a random oracle",)
    return (
        f"no provider colludes with {params.operator} (operator) or {params.gate} (gate), and all keep their shared key",
        "HMAC-SHA-256 as a pseudorandom function",
    )


def _with_operator(params: JoinParams) -> tuple[Learned, ...]:
    membership = Learned(
        who="operator + provider",
        fact="membership",
        about=f"of the provider's own keys: which other lists hold them and in which unlabelled group, at best up to "
        f"groups of {params.min_pattern} keys with one pattern"
        + ("; of other keys nothing" if params.matching == "blinded" else ""),
        visibility="under_collusion",
    )
    if params.matching == "blinded":
        return (membership,)
    opened = Learned(
        who="operator + provider",
        fact="key",
        about="every key of every list that can be guessed, with its unlabelled groups: each provider can make all tokens",
        visibility="under_collusion",
    )
    return (membership, opened)


def _masked(params: JoinParams) -> tuple[Learned, ...]:
    if not params.products:
        return ()
    about = (
        f"numbers of the joined rows of cells with at least {params.min_keys} distinct keys, each under a mask of its own: "
        "of all of them together it learns no more than their sums of products, up to 2^-40"
    )
    return (Learned(who="gate", fact="masked_value", about=about),)
