"""Exact elimination: rows in reduced form, each with its count and how it is made from released populations.

Whole numbers stay int, which is some ten times faster than Fraction; both are exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

Exact = int | Fraction
Vector = Mapping[int, Exact]


@dataclass(frozen=True, slots=True)
class Row:
    """A row: entries by column; rows: its count; parts: how it is made from released populations.

    In a basis it is reduced: 1 at its pivot, where no other row has an entry.
    """

    pivot: int
    entries: Vector
    rows: Exact
    parts: Vector


def reduced(basis: Sequence[Row], entries: dict[int, Exact], rows: Exact, parts: dict[int, Exact]) -> Row:
    """Return what a vector has beyond a basis: its pivot is its first column, -1 where nothing is left."""
    for known in basis:
        factor = entries.get(known.pivot)
        if factor:
            subtract(entries, known.entries, factor)
            subtract(parts, known.parts, factor)
            rows -= factor * known.rows
    return Row(min(entries, default=-1), entries, rows, parts)


def joined(basis: Sequence[Row], row: Row) -> list[Row]:
    """Return the basis with one more row, which is reduced by it and not empty."""
    scale = row.entries[row.pivot]
    unit = Row(
        row.pivot,
        {column: _over(value, scale) for column, value in row.entries.items()},
        _over(row.rows, scale),
        {number: _over(value, scale) for number, value in row.parts.items()},
    )
    return [*(_cleared(known, unit, unit.pivot) for known in basis), unit]


def within(basis: Sequence[Row], columns: Collection[int]) -> list[Row]:
    """Return a basis of the vectors of a space that are 0 outside some columns."""
    left = [row for row in basis if row.pivot in columns]
    while (found := next(((row, column) for row in left for column in row.entries if column not in columns), None)) is not None:
        spent, column = found
        left = [_cleared(row, spent, column) for row in left if row is not spent]
    again: list[Row] = []
    for row in left:
        again = joined(again, reduced(again, dict(row.entries), row.rows, dict(row.parts)))
    return again


def components(basis: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the rows in groups that share no column: the space is the direct sum of theirs."""
    groups: list[tuple[set[int], list[int]]] = []
    for number, row in enumerate(basis):
        apart = []
        columns, numbers = set(row.entries), [number]
        for group in groups:
            if columns.isdisjoint(group[0]):
                apart.append(group)
            else:
                columns |= group[0]
                numbers += group[1]
        groups = [*apart, (columns, numbers)]
    for _, numbers in groups:
        yield [basis[number] for number in sorted(numbers)]


def combined(rows: Sequence[Row]) -> tuple[Exact, Vector]:
    """Return the count of a sum of rows, and how it is made from released populations."""
    total: Exact = 0
    parts: dict[int, Exact] = {}
    for row in rows:
        total += row.rows
        subtract(parts, row.parts, -1)
    return total, parts


def subtract(target: dict[int, Exact], other: Vector, factor: Exact) -> None:
    """Take a multiple of a vector from another one, in place."""
    for key, value in other.items():
        left = target.get(key, 0) - factor * value
        if left:
            target[key] = left
        else:
            target.pop(key, None)


def _cleared(row: Row, spent: Row, column: int) -> Row:
    """Return a row less the multiple of another one that leaves nothing in a column."""
    if column not in row.entries:
        return row
    factor = _over(row.entries[column], spent.entries[column])
    entries, parts = dict(row.entries), dict(row.parts)
    subtract(entries, spent.entries, factor)
    subtract(parts, spent.parts, factor)
    return Row(row.pivot, entries, row.rows - factor * spent.rows, parts)


def _over(value: Exact, divisor: Exact) -> Exact:
    if divisor == 1:
        return value
    quotient = Fraction(value) / divisor
    return quotient.numerator if quotient.denominator == 1 else quotient
