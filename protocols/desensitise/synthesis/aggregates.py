"""Aggregates: everything that a twin is made from, as one document that may leave its owner.

A count here is 0, which may stand for any number below the least count, or at least that. Nothing else about rows is in it.
"""

from __future__ import annotations

import hashlib
import html
from typing import Literal, Self

import msgspec
import pyarrow as pa
import rfc8785

from protocols.desensitise.synthesis.fields import Field
from protocols.errors import ParameterError

MAX_BYTES = 64 << 20


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen and strict."""


class Atom(_Document, frozen=True, kw_only=True):
    """Cells that are counted together, as (first, last) runs, and their rows."""

    cells: tuple[tuple[int, int], ...]
    rows: int


class ColumnCounts(_Document, frozen=True, kw_only=True):
    """One column: rows per atom, rows with NULL; groups of atoms, by number, that pairs are counted by.

    An atom of 0 rows is in no group. The number after the last atom stands for NULL.
    """

    field: Field
    atoms: tuple[Atom, ...]
    missing: int
    groups: tuple[tuple[int, ...], ...] = ()

    def group_rows(self) -> list[int]:
        """Return the rows of each group."""
        rows = [*(atom.rows for atom in self.atoms), self.missing]
        return [sum(rows[at] for at in group) for group in self.groups]


class PairCounts(_Document, frozen=True, kw_only=True):
    """Rows per group of `parent` (first index) and group of `child`: an edge of the dependence tree."""

    parent: str
    child: str
    rows: tuple[tuple[int, ...], ...]


class Protection(_Document, frozen=True, kw_only=True):
    """How counts were made safe.

    min_count: no count from 1 to below it. per: whose number it is, rows' or people's. base: counts are multiples of it.
    With noise: epsilon and rho (zCDP) of everything here together, as exact fractions, of one person with up to
    `contribution` rows; base is 1 then.
    """

    min_count: int
    per: Literal["row", "person"]
    base: int
    epsilon: str = ""
    rho: str = ""
    contribution: int = 0


class Aggregates(_Document, frozen=True, kw_only=True):
    """What `twin_aggregates` counted. rows: of the part that was counted; people: with a key, how many it names.

    arrow_schema: the serialised Arrow schema, hexadecimal, without metadata.
    """

    version: Literal[1] = 1
    rows: int
    people: int = 0
    protection: Protection
    columns: tuple[ColumnCounts, ...]
    pairs: tuple[PairCounts, ...] = ()
    arrow_schema: str

    def to_bytes(self) -> bytes:
        """Return the document as canonical JSON (RFC 8785)."""
        return rfc8785.dumps(msgspec.to_builtins(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the document that canonical JSON holds. Raises ParameterError for any other bytes."""
        found = None
        if len(data) <= MAX_BYTES:
            try:
                found = msgspec.json.decode(data, type=cls)
                if found.to_bytes() != data or not _is_whole(found):
                    found = None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
                found = None
        if found is None:
            raise ParameterError("these are no aggregates of a twin in canonical form (RFC 8785)")
        return found

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the canonical bytes."""
        return "sha256:" + hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema, without metadata."""
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.arrow_schema)))

    def column(self, name: str) -> ColumnCounts:
        """Return one column's counts. Raises ParameterError."""
        for item in self.columns:
            if item.field.name == name:
                return item
        raise ParameterError(f"no column is called {name!r}")

    def guarantee(self) -> str:
        """Say in one line how the counts were made safe."""
        safe = self.protection
        if safe.epsilon:
            whose = "one row" if safe.per == "row" else f"one person, of up to {safe.contribution} rows"
            return (
                f"discrete Laplace noise: ε = {safe.epsilon} (ρ = {safe.rho}) for {whose}; counts below {safe.min_count} are 0"
            )
        return f"no count of 1 to {safe.min_count - 1} {safe.per}s; counts are rounded to multiples of {safe.base}"

    def text(self) -> str:
        """Return everything that the document says, for people: one line a count."""
        lines = [f"aggregates of a synthetic twin, {self.digest}", self.guarantee(), f"rows: {self.rows}"]
        if self.people:
            lines.append(f"people: {self.people}")
        for item in self.columns:
            lines.append(f"column {item.field.name}: {item.field.kind}, {item.missing} missing")
            for atom in item.atoms if item.field.is_modelled else ():
                lines.append(f"  {'; '.join(item.field.label(*run) for run in atom.cells)}: {atom.rows}")
        for pair in self.pairs:
            lines.append(f"pair {pair.parent} × {pair.child}")
            lines += ["  " + " ".join(str(rows) for rows in line) for line in pair.rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"


def _is_whole(found: Aggregates) -> bool:
    """Whether the parts fit each other, so that a twin can be drawn from them."""
    try:
        names = found.schema.names
    except (pa.ArrowException, ValueError, OSError):
        return False
    if names != [item.field.name for item in found.columns] or found.rows < 0:
        return False
    return all(_is_whole_column(item) for item in found.columns) and _is_forest(found, names)


def _is_whole_column(item: ColumnCounts) -> bool:
    runs = [run for atom in item.atoms for run in atom.cells]
    places = [at for group in item.groups for at in group]
    return (
        bool(item.atoms)
        and all(0 <= first <= last < item.field.cells for first, last in runs)
        and all(0 <= at <= len(item.atoms) for at in places)
        and min(item.missing, *(atom.rows for atom in item.atoms)) >= 0
    )


def _is_forest(found: Aggregates, names: list[str]) -> bool:
    """Whether pairs have the shape of their groups, each child has one parent, and parents come before their children."""
    groups = {item.field.name: len(item.groups) for item in found.columns}
    children = [pair.child for pair in found.pairs]
    if len(set(children)) != len(children):
        return False
    done = {name for name in names if name not in children}
    for pair in found.pairs:
        shape = (groups.get(pair.parent, -1), groups.get(pair.child, -1))
        fits = len(pair.rows) == shape[0] and all(len(line) == shape[1] and min(line) >= 0 for line in pair.rows)
        if pair.parent not in done or not fits:
            return False
        done.add(pair.child)
    return True
