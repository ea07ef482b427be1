"""Federation: a federated table, whose parts of one schema lie at several providers and are asked as one table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sandbox.errors import UsageError
from sandbox.model.asset import Asset, Column, Grade
from sandbox.model.canonical import Document

MIN_PARTIES = 3
"""Parties behind a sum, unless owners say otherwise: of two, each can subtract its own part and see the other's."""

GRADES: tuple[Grade, ...] = ("general", "important", "core", "secret", "unclassified")
_COMPARED = ("type", "role", "codes", "bounds", "scale", "clip")


class Federation(Document, frozen=True, kw_only=True):
    """A federated table. `name` is `group.table`, as a question names it; version counts changes of the declaration.

    parts: assets, one per provider. disjoint: nobody has rows in two parts; without it one person may be in all of them, and
    thresholds are tested on the fewest people that the counts allow. min_parties: parts that must be left behind every sum.
    """

    name: str
    version: int
    parts: tuple[str, ...]
    disjoint: bool
    min_parties: int = MIN_PARTIES
    title: str = ""


def one_schema(name: str, parts: Sequence[Asset]) -> Asset:
    """Return the table that the parts make together: their declared columns, each of the highest grade that a part gives it.

    Columns that a part leaves unclassified are left out. Raises UsageError that names the part, the column and the property
    in which it differs from the first part.
    """
    first, group = parts[0], name.partition(".")
    columns = [_common(column, parts) for column in first.columns if column.role != "unclassified"]
    for part in parts[1:]:
        for column in part.columns:
            if column.role != "unclassified" and first.column(column.name) is None:
                raise UsageError(f"{part.name} declares column {column.name!a}, which {first.name} does not have; {_REMEDY}")
        if (part.key, part.key_domain) != (first.key, first.key_domain):
            raise UsageError(f"{part.name} and {first.name} differ in their key or its domain; {_REMEDY}")
    return msgspec.structs.replace(
        first,
        provider=group[0],
        table=group[2],
        version=1,
        columns=tuple(columns),
        unique=all(part.unique for part in parts),
        title="",
    )


_REMEDY = "parts of a federated table are declared alike"


def _common(column: Column, parts: Sequence[Asset]) -> Column:
    grades = [column.grade]
    for part in parts[1:]:
        found = part.column(column.name)
        if found is None or found.role == "unclassified":
            problem = "does not have" if found is None else "does not declare"
            raise UsageError(f"{part.name} {problem} column {column.name!a}, which {parts[0].name} declares; {_REMEDY}")
        for field in _COMPARED:
            if getattr(found, field) != getattr(column, field):
                raise UsageError(f"{part.name} and {parts[0].name} differ in the {field} of column {column.name!a}; {_REMEDY}")
        grades.append(found.grade)
    return msgspec.structs.replace(column, grade=max(grades, key=GRADES.index))
