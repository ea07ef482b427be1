"""Who learns what from a released table, as data."""

from __future__ import annotations

from protocols.disclosure import Disclosure, Learned
from protocols.handover.roles import HandoverParams


def disclosure(params: HandoverParams, *, columns: tuple[str, ...], keyed: bool) -> Disclosure:
    """Return what a handover and the release after it show to whom. columns: of the released table."""
    shown = ", ".join(columns)
    key_holder = (
        (
            Learned(
                who="provider + recipient",
                fact="row_value",
                about="whose rows they are: the provider has the key of the pseudonyms",
                visibility="under_collusion",
            ),
        )
        if keyed
        else ()
    )
    return Disclosure(
        protocol="release/1",
        adversary=f"semi-honest {params.gate}; recipients who know everybody's quasi-identifiers and pool what was released",
        assumptions=(
            f"{params.provider} applies the rules to the table that it committed to; {params.gate} judges what it sends",
            "quasi-identifiers are declared: what no declaration and no job names is taken as unknown to attackers",
            "recipients do nothing that their licence forbids; k-anonymity is no proof against knowledge that nobody declared",
        ),
        learned=(
            Learned(who="operator", fact="participants", about="that the table was handed over; no frame of it"),
            Learned(who="gate", fact="released_rows", about=f"the desensitised table, one row a person: {shown}"),
            Learned(who="gate", fact="list_size", about="rows of the table, also those that the rules leave out"),
            Learned(
                who="gate",
                fact="row_tag",
                about=f"which rows of several releases are one person's, by a keyed hash that only {params.provider} can make",
            ),
            Learned(
                who="recipient",
                fact="released_rows",
                about=f"a table of rows, if the gate passes it whole, in no order: {shown}; and how many rows were left out",
            ),
            *key_holder,
        ),
    )
