"""From rows to aggregates: the half that reads a table. What it returns is all that the other half gets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa

from protocols.desensitise.errors import DataError, TooFewRows
from protocols.desensitise.synthesis import cells, fields, protecting, tree
from protocols.desensitise.synthesis.aggregates import Aggregates, Atom, ColumnCounts, PairCounts, Protection
from protocols.desensitise.synthesis.fields import Field, Form, IntArray
from protocols.desensitise.synthesis.noising import Noise
from protocols.desensitise.synthesis.protecting import Tally, Unknown
from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng

MIN_COUNT = 10
MOST_GROUPS = 16
ROWS_PER_CELL = 5
COARSER = 6


class Options(TypedDict, total=False):
    """What `twin_aggregates` takes beside a table."""

    bounds: Mapping[str, tuple[Any, Any]]
    codes: Mapping[str, Sequence[Any]]
    scales: Mapping[str, int]
    clip: Sequence[str]
    key: str | Sequence[str]
    unique: bool
    identifiers: Mapping[str, Form]
    min_count: int
    epsilon: Fraction | int | None
    contribution: int
    rng: Rng


def twin_aggregates(table: pd.DataFrame | pa.Table, **options: Unpack[Options]) -> Aggregates:
    """Count a table for a synthetic twin: one-way counts of every column, two-way counts along a dependence tree.

    bounds: {column: (lowest, highest)} of numbers, dates and times. codes: {column: all its values}. scales: {column: n}: a
    number is made in steps of 1/n; by default 1 for integers, 100 for floats, a decimal's own. clip: columns whose values may
    lie beyond their bounds. key: the columns that name a person; unique: no two rows share them. identifiers: {column: form},
    made from nothing: `cn_id`, `cn_mobile`, `name`, `email`, `token`. Text without codes is known by its shape, dates and
    times without bounds by their year.

    min_count: counts of fewer rows (people, where a key may repeat; 10 by default) are merged or set to 0, all others rounded
    to its multiples, and nothing from 1 to below it follows from all of them together. epsilon: discrete Laplace noise
    instead, for ε-differential privacy of one row, or of one person of whom at most `contribution` (1) rows are counted. rng:
    draws that noise and those rows; the operating system's by default.
    Raises DataError (values that are not as declared, with row numbers), TooFewRows, ParameterError.
    """
    least = options.get("min_count", MIN_COUNT)
    if isinstance(least, bool) or not isinstance(least, int) or least < 2:
        raise ParameterError("min_count is a whole number of at least 2")
    counted = Counted(as_arrow(table), options)
    if counted.rows < least:
        raise TooFewRows(f"a table of fewer than {least} rows has no safe aggregates")
    epsilon, contribution = options.get("epsilon"), options.get("contribution", 1)
    if epsilon is None:
        if contribution != 1:
            raise ParameterError("contribution limits the rows of a person under noise: give epsilon as well")
        return _rounded(counted, least)
    return _noisy(counted, least, Noise(epsilon, contribution, options.get("rng") or OsRng()))


def key_of(options: Options) -> list[str]:
    """Return the key's columns."""
    key = options.get("key", ())
    return [key] if isinstance(key, str) else list(key)


def as_arrow(table: pd.DataFrame | pa.Table) -> pa.Table:
    """Return a table as Arrow, without metadata: pandas', for one, tells the number of rows."""
    if isinstance(table, pd.DataFrame):
        failed = None
        try:
            table = pa.Table.from_pandas(table, preserve_index=False)
        except (pa.ArrowException, TypeError) as error:
            failed = type(error).__name__
        if failed is not None:
            raise ParameterError(f"the frame has a column of mixed or unknown types ({failed}); give each column one type")
    if not isinstance(table, pa.Table):
        raise ParameterError(f"a table is a pandas frame or an Arrow table, not {type(table).__name__}")
    return table.cast(pa.schema([field.remove_metadata() for field in table.schema]))


class Counted:
    """A table as cell numbers. places: of each column, (rows,) cells; people: (rows,) numbers, or None where a row is a person.

    Raises ParameterError for declarations that do not fit the schema, DataError for values that do not fit them.
    """

    def __init__(self, table: pa.Table, options: Options) -> None:
        key, unique = key_of(options), options.get("unique", False)
        self.schema, self.rows = table.schema, table.num_rows
        self.fields = fields.declare(
            table.schema,
            bounds=options.get("bounds"),
            codes=options.get("codes"),
            scales=options.get("scales"),
            clip=options.get("clip", ()),
            key=key,
            unique=unique,
            identifiers=options.get("identifiers"),
        )
        self.people = cells.people([table.column(name) for name in key]) if key else None
        if unique and self.people is not None:
            repeated = self.rows - int(self.people.max(initial=-1)) - 1
            if repeated:
                raise DataError(f"key {', '.join(map(repr, key))}: {repeated} rows repeat one; it is declared unique")
            self.people = None
        self.places = {item.name: cells.encode(item, table.column(item.name)) for item in self.fields}

    def keep(self, rows: IntArray) -> None:
        """Count only some rows from now on."""
        self.places = {name: place[rows] for name, place in self.places.items()}
        self.people = None if self.people is None else self.people[rows]
        self.rows = len(rows)

    @property
    def number_of_people(self) -> int:
        """Different keys."""
        return self.rows if self.people is None else len(np.unique(self.people))

    def tally(self, place: IntArray, size: int) -> Tally:
        """Return rows and people per cell; places below 0 are left out."""
        inside = place >= 0
        rows = np.bincount(place[inside], minlength=size)
        if self.people is None:
            return Tally(rows, rows)
        pairs = np.unique(place[inside] * (int(self.people.max(initial=0)) + 1) + self.people[inside])
        return Tally(rows, np.bincount(pairs // (int(self.people.max(initial=0)) + 1), minlength=size))

    def whole(self) -> Tally:
        """Return the number of rows and people."""
        return Tally(np.array(self.rows), np.array(self.number_of_people))

    def of_cells(self, item: Field) -> Tally:
        """Return rows and people per cell of a column, NULL last."""
        return self.tally(self.places[item.name], item.cells + 1)

    def of_pair(self, one: ColumnCounts, other: ColumnCounts) -> Tally:
        """Return rows and people per pair of groups, (groups, groups)."""
        left, right = (_grouped(self.places[item.field.name], item) for item in (one, other))
        shape = (len(one.groups), len(other.groups))
        flat = self.tally(np.where((left < 0) | (right < 0), -1, left * shape[1] + right), shape[0] * shape[1])
        return Tally(flat.rows.reshape(shape), flat.people.reshape(shape))


def _rounded(counted: Counted, least: int) -> Aggregates:
    base = least
    for _ in range(COARSER):
        found, unknowns = _with_base(counted, least, base)
        if not protecting.told(unknowns, least):
            return found
        base *= 2
    raise TooFewRows("the counts of this table tell small ones by subtraction however they are rounded; use epsilon")


def _with_base(counted: Counted, least: int, base: int) -> tuple[Aggregates, list[Unknown]]:
    total = int(protecting.safe(counted.whole(), least, base))
    if not total:
        raise TooFewRows(f"a table of fewer than {least} people has no safe aggregates")
    most = _most_groups(total, least)
    columns = [_column(counted, item, least, base, most) for item in counted.fields]
    modelled = [item for item in columns if len(item.groups) > 1]
    tables = {
        (one, other): protecting.safe(counted.of_pair(modelled[one], modelled[other]), least, base)
        for one in range(len(modelled))
        for other in range(one + 1, len(modelled))
    }
    scores = {}
    for edge, table in tables.items():
        one, other = (modelled[at] for at in edge)
        whole = tree.completed(table, one.group_rows(), other.group_rows(), least)
        if tree.is_more_than_chance(whole):
            scores[edge] = tree.information(whole)
    edges = tree.spanning(len(modelled), list(scores), lambda open_: max(open_, key=lambda edge: (scores[edge], edge)))
    pairs = [
        _pair(modelled, parent, child, tables[parent, child] if parent < child else tables[child, parent].T)
        for parent, child in tree.rooted(len(modelled), edges)
    ]
    found = Aggregates(
        rows=total,
        people=0 if counted.people is None else -(-counted.number_of_people // base) * base,
        protection=Protection(min_count=least, per="row" if counted.people is None else "person", base=base),
        columns=tuple(columns),
        pairs=tuple(pairs),
        arrow_schema=counted.schema.serialize().to_pybytes().hex(),
    )
    return found, known(found)


def known(found: Aggregates) -> list[Unknown]:
    """Return the true counts behind rounded aggregates as far as these tell them, all together.

    Every column's groups and rest, and every pair's rows and columns, add up to each other; bounds narrow one another until
    nothing moves. This is the outer bound of interval reasoning, not of integer programming, which the tests compare it with.
    """
    least, base, per_row = found.protection.min_count, found.protection.base, found.protection.per == "row"

    def of(numbers: Any) -> Unknown:
        return Unknown.of(numbers, least, base, per_row=per_row)

    total, schema = of([found.rows]), found.schema
    parts, groups, rest = [], {}, {}
    for item in found.columns:
        numbers = of([*(atom.rows for atom in item.atoms), item.missing])
        if not schema.field(item.field.name).nullable:
            numbers.high[-1] = 0
        inside = [list(group) for group in item.groups]
        outside = [at for at in range(len(item.atoms) + 1) if all(at not in group for group in inside)]
        parts.append((numbers, inside, outside))
        groups[item.field.name] = Unknown(
            np.array([numbers.low[group].sum() for group in inside]), np.array([numbers.high[group].sum() for group in inside])
        )
        rest[item.field.name] = float(numbers.high[outside].sum())
    pairs = [of(pair.rows) for pair in found.pairs]
    for _ in range(protecting.ROUNDS):
        before = _width(total, *(item[0] for item in parts), *groups.values(), *pairs)
        for (numbers, inside, outside), sums in zip(parts, groups.values(), strict=True):
            for at, group in enumerate(inside):
                _tighten(sums, [at], numbers, group)
            _tighten_total(total, sums, numbers, outside)
        for pair, unknown in zip(found.pairs, pairs, strict=True):
            _tighten_margin(groups[pair.parent], unknown, rest[pair.child], axis=1)
            _tighten_margin(groups[pair.child], unknown, rest[pair.parent], axis=0)
        if before == _width(total, *(item[0] for item in parts), *groups.values(), *pairs):
            break
    return [*(item[0] for item in parts), *pairs]


def _width(*unknowns: Unknown) -> list[tuple[float, float]]:
    """What changes whenever a bound moves."""
    return [(float(each.low.sum()), float(each.high[np.isfinite(each.high)].sum())) for each in unknowns]


def _tighten(sums: Unknown, place: list[int], numbers: Unknown, chosen: list[int]) -> None:
    whole = Unknown(sums.low[place], sums.high[place])
    parts = [Unknown(numbers.low[[at]], numbers.high[[at]]) for at in chosen]
    protecting.tighten(whole, parts)
    sums.low[place], sums.high[place] = whole.low, whole.high
    for at, part in zip(chosen, parts, strict=True):
        numbers.low[at], numbers.high[at] = part.low[0], part.high[0]


def _tighten_total(total: Unknown, sums: Unknown, numbers: Unknown, outside: list[int]) -> None:
    inner = [Unknown(sums.low[[at]], sums.high[[at]]) for at in range(len(sums.low))]
    outer = [Unknown(numbers.low[[at]], numbers.high[[at]]) for at in outside]
    protecting.tighten(total, [*inner, *outer])
    for at, part in enumerate(inner):
        sums.low[at], sums.high[at] = part.low[0], part.high[0]
    for at, part in zip(outside, outer, strict=True):
        numbers.low[at], numbers.high[at] = part.low[0], part.high[0]


def _tighten_margin(sums: Unknown, pair: Unknown, rest: float, *, axis: int) -> None:
    """Rows of a pair's table and those that it leaves out (0 to `rest`) add up to the margin."""
    low, high = np.moveaxis(pair.low, axis, 0), np.moveaxis(pair.high, axis, 0)
    parts = [Unknown(low[at].copy(), high[at].copy()) for at in range(len(low))]
    left_out = Unknown(np.zeros(len(sums.low)), np.full(len(sums.low), rest))
    protecting.tighten(sums, [*parts, left_out])
    pair.low = np.moveaxis(np.stack([part.low for part in parts]), 0, axis)
    pair.high = np.moveaxis(np.stack([part.high for part in parts]), 0, axis)


def _noisy(counted: Counted, least: int, noise: Noise) -> Aggregates:
    by_person = counted.people is not None
    if counted.people is not None:
        counted.keep(noise.limited(counted.people))
    elif noise.contribution != 1:
        raise ParameterError("contribution is for tables whose key may repeat; here a row is a person")
    modelled = [item for item in counted.fields if item.is_modelled]
    share = noise.third / (len(modelled) + by_person) if modelled else noise.third
    people = int(noise.counts(np.array([counted.number_of_people]), share)[0]) if by_person else 0
    fine = {item.name: noise.counts(counted.of_cells(item).rows, share) for item in modelled}
    # One limit for all counts, above most of the noise: what lies below it is mostly noise.
    told = max(least, math.ceil(3 * noise.scale(min(share, noise.third / max(1, len(modelled) - 1)))))
    # Every column's noisy counts add up to the rows; the fewer they are, the less noise is in their sum.
    sums = [(int(each.sum()), Fraction(1, len(each))) for each in fine.values()]
    total = round(sum(rows * weight for rows, weight in sums) / max(Fraction(1, 10**9), sum(weight for _, weight in sums)))
    if total < told:
        raise TooFewRows(f"fewer than {told} rows are left, which the noise hides; take a larger epsilon")
    most = _most_groups(total, told)
    columns = [
        _noisy_column(item, fine[item.name], told, most) if item.is_modelled else _made(item, total, 0)
        for item in counted.fields
    ]
    grouped = [item for item in columns if len(item.groups) > 1]
    pairs = []
    if len(grouped) > 1:
        chosen, each = _noisy_edges(counted, grouped, noise)
        for parent, child in tree.rooted(len(grouped), chosen):
            table = noise.counts(counted.of_pair(grouped[parent], grouped[child]).rows, each)
            pairs.append(_pair(grouped, parent, child, np.where(table < told, 0, table)))
    return Aggregates(
        rows=total,
        people=max(people, told) if by_person else 0,
        protection=Protection(
            min_count=told,
            per="person" if by_person else "row",
            base=1,
            epsilon=str(noise.spent),
            rho=str(noise.rho),
            contribution=noise.contribution,
        ),
        columns=tuple(columns),
        pairs=tuple(pairs),
        arrow_schema=counted.schema.serialize().to_pybytes().hex(),
    )


def _noisy_edges(counted: Counted, grouped: list[ColumnCounts], noise: Noise) -> tuple[list[tree.Edge], Fraction]:
    """Choose a tree by noisy scores; return it with the part of ε that is left for each of its tables."""
    number = len(grouped) - 1
    scores = dependence(counted, grouped)
    chosen = tree.spanning(
        len(grouped), list(scores), lambda open_: open_[noise.largest([scores[edge] for edge in open_], noise.third / number)]
    )
    return chosen, noise.third / number


def dependence(counted: Counted, grouped: Sequence[ColumnCounts]) -> dict[tree.Edge, int]:
    """Return how far each pair's table lies from what its noisy margins say of independent columns: Σ |count − expected|.

    Expected counts are whole numbers of what is published already, so that a row more or less moves a score by one at most.
    """
    scores = {}
    for one in range(len(grouped)):
        for other in range(one + 1, len(grouped)):
            down, across = (np.array(grouped[at].group_rows()) for at in (one, other))
            expected = down[:, None] * across // max(1, int(down.sum()))
            scores[one, other] = int(np.abs(counted.of_pair(grouped[one], grouped[other]).rows - expected).sum())
    return scores


def _column(counted: Counted, item: Field, least: int, base: int, most: int) -> ColumnCounts:
    tally = counted.of_cells(item)
    missing = int(protecting.safe(Tally(tally.rows[-1:], tally.people[-1:]), least, base)[0])
    if not item.is_modelled:
        return _made(item, int(protecting.safe(Tally(tally.rows[:1], tally.people[:1]), least, base)[0]), missing)
    atoms = protecting.merge(item, tally.people[:-1], least)
    home = _atom_of_cell(item, atoms)
    merged = counted.tally(home[counted.places[item.name]], len(atoms) + 1)
    rows = protecting.safe(Tally(merged.rows[:-1], merged.people[:-1]), least, base).tolist()
    return _with_groups(item, atoms, rows, missing, most)


def _noisy_column(item: Field, noisy: IntArray, told: int, most: int) -> ColumnCounts:
    atoms = protecting.merge(item, noisy[:-1], told)
    sums = np.bincount(_atom_of_cell(item, atoms)[:-1], weights=noisy[:-1], minlength=len(atoms)).astype(np.int64)
    rows = np.where(sums < told, 0, sums).tolist()
    missing = int(noisy[-1])
    return _with_groups(item, atoms, rows, missing if missing >= told else 0, most)


def _with_groups(item: Field, atoms: Sequence[protecting.Runs], rows: Sequence[int], missing: int, most: int) -> ColumnCounts:
    return ColumnCounts(
        field=item,
        atoms=tuple(Atom(cells=runs, rows=count) for runs, count in zip(atoms, rows, strict=True)),
        missing=missing,
        groups=protecting.group(item, atoms, rows, missing, most),
    )


def _made(item: Field, rows: int, missing: int) -> ColumnCounts:
    """A key or an identifier: made from nothing but how often it is missing."""
    return ColumnCounts(field=item, atoms=(Atom(cells=((0, 0),), rows=rows),), missing=missing)


def _pair(columns: list[ColumnCounts], parent: int, child: int, table: IntArray) -> PairCounts:
    lines = tuple(tuple(line) for line in table.tolist())
    return PairCounts(parent=columns[parent].field.name, child=columns[child].field.name, rows=lines)


def _most_groups(rows: int, unit: int) -> int:
    """So many groups a column that a pair's cell has several times the least count on average."""
    return max(2, min(MOST_GROUPS, math.isqrt(rows // (ROWS_PER_CELL * unit))))


def _atom_of_cell(item: Field, atoms: Sequence[protecting.Runs]) -> IntArray:
    """Return each cell's atom, shape (cells + 1,); NULL is the number after the last."""
    home = np.full(item.cells + 1, len(atoms), dtype=np.int64)
    for at, runs in enumerate(atoms):
        for first, last in runs:
            home[first : last + 1] = at
    return home


def _grouped(place: IntArray, item: ColumnCounts) -> IntArray:
    """Return each row's group, or -1."""
    group_of = np.full(len(item.atoms) + 1, -1, dtype=np.int64)
    for at, group in enumerate(item.groups):
        group_of[list(group)] = at
    return group_of[_atom_of_cell(item.field, [atom.cells for atom in item.atoms])][place]
