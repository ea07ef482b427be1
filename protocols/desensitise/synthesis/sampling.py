"""From aggregates to a twin: the half that never sees a row. Everything here is a function of one document and a generator."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.recognisers.scan import scan
from protocols.desensitise.synthesis import made, tree
from protocols.desensitise.synthesis.aggregates import Aggregates, ColumnCounts, PairCounts
from protocols.desensitise.synthesis.drawing import below, choose, uniform
from protocols.desensitise.synthesis.fields import LENGTHS, Field, IntArray
from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, SeededRng

MAX_ROWS = 10_000_000
LABEL = "synthetic"
HAN = "的一是不了人我在有他这中大来上个国和也子时道说出而要于就下得可你年生自会那后能对着事其里所去行过家十用发天如然作方成者多"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALPHABETS = ("0123456789", LETTERS, LETTERS + "0123456789", HAN, LETTERS + " -0123456789")


def sample_twin(
    aggregates: Aggregates, rows: int | None = None, *, seed: int | None = None, rng: Rng | None = None
) -> pa.Table:
    """Return a synthetic table of the schema that was counted, drawn from aggregates alone.

    rows: as many as were counted, by default. seed: the same seed gives the same table from the same aggregates; without it
    (and without rng) the operating system's generator draws. Nothing secret depends on these draws. The schema's metadata say
    `synthetic`, the aggregates' digest and the seed. Raises ParameterError, DataError (a key's type is too narrow).
    """
    count = aggregates.rows if rows is None else rows
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_ROWS:
        raise ParameterError(f"a twin has from 1 to {MAX_ROWS} rows")
    rng = seeded(seed) if seed is not None else rng or OsRng()
    groups = _groups(aggregates, count, rng)
    schema = aggregates.schema
    owners = _owners(aggregates, count, rng)
    columns = []
    for item, field in zip(aggregates.columns, schema, strict=True):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if item.field.kind == "key":
            found = made.keys(item.field, kind, np.arange(count) if item.field.unique else owners)
        elif item.field.kind == "identifier":
            found = _with_missing(made.identifiers(item.field, kind, count, rng), item, rng)
        else:
            found = _values(item, kind, groups.get(item.field.name), count, rng)
        columns.append(found.dictionary_encode().cast(field.type) if pa.types.is_dictionary(field.type) else found)
    label = {LABEL: "true", "synthetic.aggregates": aggregates.digest, "synthetic.guarantee": aggregates.guarantee()}
    if seed is not None:
        label["synthetic.seed"] = str(seed)
    return pa.Table.from_arrays(columns, schema=schema.with_metadata(label))


def seeded(seed: int, purpose: str = "sample") -> Rng:
    """Return the generator of a seed; not for noise or anything secret."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ParameterError("a seed is a whole number")
    return SeededRng(hashlib.sha256(f"synthetic twin, {purpose}, {seed}".encode()).digest())


def _owners(aggregates: Aggregates, count: int, rng: Rng) -> IntArray:
    """Whose row each is, where a key may repeat: as many rows for a person, on average, as were counted."""
    people = max(1, round(aggregates.people * count / max(1, aggregates.rows))) if aggregates.people else count
    return below(rng, people, count)


def _groups(aggregates: Aggregates, count: int, rng: Rng) -> dict[str, IntArray]:
    """Return the group of each row for the columns of the tree, parents first."""
    found: dict[str, IntArray] = {}
    for pair in aggregates.pairs:
        if pair.parent not in found:
            found[pair.parent] = choose(rng, aggregates.column(pair.parent).group_rows(), count)
        found[pair.child] = _child(pair, aggregates, found[pair.parent], rng)
    return found


def _child(pair: PairCounts, aggregates: Aggregates, above: IntArray, rng: Rng) -> IntArray:
    down, across = (aggregates.column(name).group_rows() for name in (pair.parent, pair.child))
    table = tree.completed(np.array(pair.rows, dtype=np.int64), down, across, aggregates.protection.min_count)
    total = np.cumsum(table / np.maximum(table.sum(axis=1, keepdims=True), 1e-300), axis=1)
    drawn = uniform(rng, len(above))
    place = (total[above] <= drawn[:, None]).sum(axis=1).astype(np.int64)
    return np.asarray(np.minimum(place, table.shape[1] - 1), dtype=np.int64)


def _values(item: ColumnCounts, kind: pa.DataType, group: IntArray | None, count: int, rng: Rng) -> pa.Array:
    rows = np.array([*(atom.rows for atom in item.atoms), item.missing], dtype=np.float64)
    if not rows.any():
        rows[:-1] = 1  # nothing may be told of this column: any declared value, and none missing
    if group is None:
        atom = choose(rng, rows, count)
    else:
        atom = np.zeros(count, dtype=np.int64)
        for at, members in enumerate(item.groups):
            mine = np.flatnonzero(group == at)
            atom[mine] = np.array(members)[choose(rng, rows[list(members)], len(mine))]
    missing = atom == len(item.atoms)
    cell = _cells(item, np.where(missing, 0, atom), rng)
    return _decode(item.field, kind, cell, missing, rng)


def _cells(item: ColumnCounts, atom: IntArray, rng: Rng) -> IntArray:
    """Return a cell of each row's atom, all of them alike."""
    listed = [[at for first, last in each.cells for at in range(first, last + 1)] for each in item.atoms]
    starts = np.cumsum([0, *(len(each) for each in listed)])
    sizes = np.diff(starts)
    return np.concatenate([np.array(each) for each in listed])[starts[atom] + below(rng, sizes[atom], len(atom))]


def _decode(field: Field, kind: pa.DataType, cell: IntArray, missing: IntArray, rng: Rng) -> pa.Array:
    if field.kind == "codes":
        listed = pa.array(field.codes, pa.string()).cast(kind)
        return listed.take(pa.array(np.where(missing, 0, cell), mask=missing))
    if field.kind == "text":
        return pa.array(_texts(cell, rng), pa.large_string(), mask=missing).cast(kind)
    edges = field.edges()
    place = edges[cell] + below(rng, edges[cell + 1] - edges[cell], len(cell))
    if field.kind == "number":
        return _numbers(field, kind, place, missing)
    if field.kind == "date":
        return pa.array(place.astype(np.int32), pa.int32(), mask=missing).cast(pa.date32()).cast(kind)
    unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    return pa.array(place * unit, pa.int64(), mask=missing).cast(kind)


def _numbers(field: Field, kind: pa.DataType, place: IntArray, missing: IntArray) -> pa.Array:
    low, high, steps = Decimal(field.low), Decimal(field.high), max(1, field.steps)
    if pa.types.is_floating(kind):
        plain = float(low) + place * (float(high - low) / steps)
        return pa.array(np.clip(np.round(plain, 9), float(low), float(high)), pa.float64(), mask=missing).cast(kind, safe=False)
    distinct, back = np.unique(place, return_inverse=True)
    if pa.types.is_decimal(kind):
        exact = [low + (high - low) * at / steps for at in distinct.tolist()]
        unit = Decimal(1).scaleb(-kind.scale)
        table = pa.array([min(max(each.quantize(unit), low), high) for each in exact], kind)
    else:
        table = pa.array([int(low) + int(high - low) * at // steps for at in distinct.tolist()], kind)
    return table.take(pa.array(back.reshape(-1), mask=missing))


def _texts(cell: IntArray, rng: Rng) -> list[str]:
    """Return random texts of the cells' shapes. One that happens to look like somebody's identifier is replaced by x's."""
    found = [""] * len(cell)
    sort, place = np.divmod(cell, len(LENGTHS) - 1)
    low = np.array(LENGTHS)[place]
    lengths = low + below(rng, np.array(LENGTHS)[place + 1] - low, len(cell))
    for which, length in sorted(set(zip(sort.tolist(), lengths.tolist(), strict=True))):
        rows = np.flatnonzero((sort == which) & (lengths == length))
        letters = np.array(list(ALPHABETS[which]))
        chosen = letters[below(rng, len(letters), len(rows) * length)].reshape(len(rows), length)
        for row, text in zip(rows.tolist(), chosen, strict=True):
            found[row] = "".join(text)
    for hit in scan(found):
        found[hit.row] = "x" * len(found[hit.row])
    return found


def _with_missing(column: pa.Array, item: ColumnCounts, rng: Rng) -> pa.Array:
    if not item.missing:
        return column
    share = item.missing / (item.missing + sum(atom.rows for atom in item.atoms))
    absent = pa.array(uniform(rng, len(column)) < share)
    return pc.if_else(absent, pa.scalar(None, column.type), column)
