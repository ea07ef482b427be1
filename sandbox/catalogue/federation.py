"""FederationDefinition: what the manager declares about a federated table, checked against its parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sandbox.catalogue.definition import check_identifier, check_title, near, shown
from sandbox.catalogue.lifecycle import PUBLIC
from sandbox.errors import NotFound, UsageError
from sandbox.model.asset import Asset
from sandbox.model.federation import MIN_PARTIES, Federation, one_schema

FEWEST_PARTIES = 2
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationDefinition:
    """A federated table's declaration. Made by `federation`; its parts have not been looked up yet."""

    parts: tuple[str, ...]
    disjoint: bool
    min_parties: int
    title: str


def federation(
    parts: Iterable[str], *, disjoint: bool = False, min_parties: int = MIN_PARTIES, title: str = ""
) -> FederationDefinition:
    """Return a definition of a federated table: parts of one schema, `provider.table` each, of different providers.

    disjoint: nobody has rows in two parts. Without it one person may be in all of them, so that fewer cells reach the minimum
    of people. min_parties: parts that must be left when others drop; below 3 only where every owner's terms say so. Raises
    UsageError.
    """
    names = (parts,) if isinstance(parts, str) else tuple(parts)
    if len(set(names)) != len(names):
        raise UsageError("a part of a federated table is named twice")
    if isinstance(min_parties, bool) or not isinstance(min_parties, int) or min_parties < FEWEST_PARTIES:
        raise UsageError(f"min_parties is a whole number of at least {FEWEST_PARTIES}: of one part, the sum is that part's")
    if not min_parties <= len(names) <= MOST_PARTS:
        raise UsageError(f"a federated table needs {min_parties} to {MOST_PARTS} parts (min_parties), not {len(names)}")
    check_title(title)
    return FederationDefinition(parts=names, disjoint=bool(disjoint), min_parties=min_parties, title=title)


def declare_federation(
    name: str, definition: FederationDefinition, assets: Mapping[str, Asset], providers: Collection[str]
) -> Federation:
    """Return version 1 of a federated table over published assets. Raises UsageError, or NotFound for a part that is none.

    assets: by `provider.table`. providers: everyone's names, none of which may stand before the dot.
    """
    group, dot, table = name.partition(".")
    if not dot:
        raise UsageError(f"{shown(name)} names no federated table; write group.table, such as census.people")
    check_identifier(group, what="a group of parts")
    check_identifier(table, what="a table")
    if group.lower() in {provider.lower() for provider in providers}:
        raise UsageError(f"{group} is a provider; a federated table belongs to several, so choose another name before the dot")
    found = []
    for part in definition.parts:
        if part not in assets or assets[part].lifecycle not in PUBLIC:
            raise NotFound(f"there is no published table {shown(part)} for {name}; near it: {near(part, assets)}")
        found.append(assets[part])
    owners = [asset.provider for asset in found]
    twice = sorted({owner for owner in owners if owners.count(owner) > 1})
    if twice:
        raise UsageError(f"two parts of {name} are of provider {twice[0]}; name one table per provider")
    one_schema(name, found)
    return Federation(
        name=name,
        version=1,
        parts=definition.parts,
        disjoint=definition.disjoint,
        min_parties=definition.min_parties,
        title=definition.title,
    )
