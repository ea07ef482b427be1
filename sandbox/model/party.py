"""Party: a legal person that takes part, with its roles, its owner and its key; and who belongs to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal as OneOf

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document
from sandbox.model.signature import PublicIdentity

PartyRole = OneOf["provider", "authoriser", "operator", "scenario_developer", "user", "supervisor", "service_provider"]
Status = OneOf["admitted", "suspended", "exiting", "exited"]

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}", re.ASCII)


class Party(Document, frozen=True, kw_only=True):
    """A legal person. parent: its owner's name, registered here or not; an affiliate counts as the party that owns it.

    key: `ed25519:<base64>`, the public half of what it signs with. Only an admitted party may act.
    """

    name: str
    roles: tuple[PartyRole, ...]
    key: str
    parent: str | None = None
    status: Status = "admitted"

    def __post_init__(self) -> None:
        check_name(self.name, field="name")
        if self.parent is not None:
            check_name(self.parent, field="parent")
        check_distinct(self.roles, field="roles")
        PublicIdentity.from_text(self.key)

    @property
    def identity(self) -> PublicIdentity:
        """The public key that verifies this party's signatures."""
        return PublicIdentity.from_text(self.key)


def check_name(value: str, *, field: str) -> None:
    """Return only if value is a plain name: ASCII letters, digits, `_ . : -`, at most 128. Raises DocumentError."""
    if not NAME.fullmatch(value):
        raise DocumentError(
            f"{field}: {value[:40]!r} is not a name; use ASCII letters, digits and _ . : - (at most 128), "
            "beginning with a letter, a digit or _"
        )


def check_distinct(values: tuple[str, ...], *, field: str) -> None:
    """Return only if no value is there twice. Raises DocumentError that names the field and the value."""
    twice = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if twice is not None:
        raise DocumentError(f"{field}: {twice[:40]!r} is there twice")


def owner(name: str, parties: Mapping[str, Party]) -> str | None:
    """Return the party at the top of the chain of parents; a parent that is not registered ends the chain.

    None if it cannot be told: the party itself is unknown, or the chain runs in a circle.
    """
    if name not in parties:
        return None
    seen = {name}
    while (party := parties.get(name)) is not None and party.parent is not None:
        name = party.parent
        if name in seen:
            return None
        seen.add(name)
    return name


def share_owner(first: str, second: str, parties: Mapping[str, Party]) -> bool:
    """Return whether two parties are one, or have one owner. An owner that cannot be told counts as shared."""
    if first == second:
        return True
    first_owner, second_owner = owner(first, parties), owner(second, parties)
    return first_owner is None or second_owner is None or first_owner == second_owner
