"""Profile: the only thing about the rows that leaves with an asset: rows, missing, distinct, counts in declared bins.

Bins come from the declaration (bounds, codes), never from the data; small counts are suppressed, and so is whatever would give
them away by subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sandbox.errors import UsageError
from sandbox.model.asset import Asset, Column
from sandbox.model.canonical import Document

BINS = 10
MAX_CODES_SHOWN = 50
MIN_COUNT = 10


class Bin(Document, frozen=True, kw_only=True):
    """Rows of one declared range or code; None where suppressed."""

    label: str
    rows: int | None


class ColumnProfile(Document, frozen=True, kw_only=True):
    """missing: rows with NULL, None where suppressed. distinct: different values. bins: empty without bounds or codes."""

    name: str
    type: str
    missing: int | None
    distinct: int | None
    bins: tuple[Bin, ...]


class Profile(Document, frozen=True, kw_only=True):
    """An asset's profile. rows is None, and all else empty, where the table itself is too small to be described."""

    asset: str
    version: int
    rows: int | None
    min_count: int
    columns: tuple[ColumnProfile, ...]


def profile_statement(asset: Asset) -> tuple[str, tuple[str, ...]]:
    """Return one SELECT over `source`, of one row of counts, and its parameters. Columns without a role are not read."""
    counts, parameters = ["count(*)"], []
    for column in _described(asset):
        quoted = '"' + column.name.replace('"', '""') + '"'
        counts += [f"count({quoted})", f"count(DISTINCT {quoted})"]
        for _, condition, values in _bins(column):
            counts.append(f"count(*) FILTER (WHERE {condition.format(c=quoted)})")
            parameters += values
    return f"SELECT {', '.join(counts)} FROM source", tuple(parameters)  # noqa: S608  (quoted names, bound values)


def read_profile(asset: Asset, counts: Sequence[int], *, min_count: int = MIN_COUNT) -> Profile:
    """Return the profile that `profile_statement`'s row makes. Raises UsageError if the row is of another declaration."""
    columns = _described(asset)
    if len(counts) != 1 + sum(2 + len(_bins(column)) for column in columns):
        raise UsageError(f"the counts are not of version {asset.version} of {asset.name}; count them again")
    rows, at = counts[0], 1
    described = []
    for column in columns:
        bins = _bins(column)
        found = counts[at : at + 2 + len(bins)]
        at += len(found)
        described.append(_describe(column, rows, found, [label for label, _, _ in bins], min_count))
    small = rows < min_count
    return Profile(
        asset=asset.name,
        version=asset.version,
        rows=None if small else rows,
        min_count=min_count,
        columns=() if small else tuple(described),
    )


def suppress(counts: Sequence[int], min_count: int) -> list[int | None]:
    """Return counts of a whole's parts with small ones as None, and as many more as keep those from being worked out.

    Suppressed parts are none, or at least two with min_count rows together (as far as there are such parts). 0 stays.
    """
    hidden = {at for at, count in enumerate(counts) if 0 < count < min_count}
    others = sorted((count, at) for at, count in enumerate(counts) if count >= min_count)
    while hidden and others and (len(hidden) < 2 or sum(counts[at] for at in hidden) < min_count):
        hidden.add(others.pop(0)[1])
    return [None if at in hidden else count for at, count in enumerate(counts)]


def _describe(column: Column, rows: int, found: Sequence[int], labels: list[str], min_count: int) -> ColumnProfile:
    present, distinct, *inside = found
    missing = rows - present
    parts = suppress([missing, *inside, present - sum(inside)], min_count)
    shown = parts[1:-1] if labels else []
    return ColumnProfile(
        name=column.name,
        type=column.type,
        missing=parts[0],
        distinct=distinct if present >= min_count else None,
        bins=tuple(Bin(label=label, rows=count) for label, count in zip(labels, shown, strict=True)),
    )


def _described(asset: Asset) -> list[Column]:
    return [column for column in asset.columns if column.role != "unclassified" and column.grade not in ("core", "secret")]


def _bins(column: Column) -> list[tuple[str, str, list[str]]]:
    """Return (label, condition with {c}, parameters) per bin; disjoint, so that bins and missing add up to at most all rows."""
    if column.codes is not None:
        if len(column.codes) > MAX_CODES_SHOWN:
            return []
        return [(code.value, "CAST({c} AS VARCHAR) = ?", [code.value]) for code in column.codes]
    if column.bounds is None or column.bounds[0] == column.bounds[1]:
        return []
    low, high = (Decimal(end) for end in column.bounds)
    edges = [low + (high - low) * step / BINS for step in range(BINS)] + [high]
    bins = []
    for at in range(BINS):
        last = at == BINS - 1
        condition = "{c} >= CAST(? AS DOUBLE) AND {c} " + ("<=" if last else "<") + " CAST(? AS DOUBLE)"
        label = f"{edges[at].normalize():f} to {'' if last else 'under '}{edges[at + 1].normalize():f}"
        bins.append((label, condition, [str(edges[at]), str(edges[at + 1])]))
    return bins
