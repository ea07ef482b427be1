"""What the gate judges: decrypted cells with their labels, and each provider's note on what its pattern rule removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from sandbox.errors import UsageError
from sandbox.model.plan import Aggregate, Plan

Label = None | bool | int | float | str | Decimal | date | datetime
Labels = tuple[Label, ...]
Place = tuple[int, int]
Pair = tuple[Place, Place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of one measure x in one cell: integers on the measure's declared scale. Seen by the gate only.

    contributors: Σ z, keys with at least one value. count: Σ w·c = COUNT(x). sum: Σ w·S. squares: Σ w·Q.
    contribution_squares: Σ (w·S)² over keys. absolute_sum: Σ w·|S| over keys. None where the plan did not compute it.
    Source: the encrypted join, steps 1 and 4.
    """

    contributors: int
    count: int
    sum: int | None = None
    squares: int | None = None
    contribution_squares: int | None = None
    absolute_sum: int | None = None

    def __repr__(self) -> str:
        return "Moments(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMoments:
    """Moments of two measures over the rows of a cell in which both have a value. Seen by the gate only.

    first, second: of each measure over those rows. product: Σ of their products, an integer on the product of their scales.
    """

    first: Moments
    second: Moments
    product: int

    def __repr__(self) -> str:
        return "PairMoments(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell that reached the plan's minimum of keys. Seen by the gate only.

    labels: one per plan group, in the plan's order; None is SQL's NULL, a group of its own. keys: distinct keys.
    rows: COUNT(*). moments: by (input, measure), as the plan numbers them. pairs: by the two measures of a function.
    """

    labels: Labels
    keys: int
    rows: int
    moments: Mapping[Place, Moments] = field(default_factory=dict)
    pairs: Mapping[Pair, PairMoments] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Cell(labels={self.labels!r}, <redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNote:
    """What one input's pattern rule removed before blinding. Exact counts: the gate coarsens them before it prints.

    vanished: the label tuples (one value per local group of that input) that no longer occur in its list.
    """

    input: int
    keys_removed: int = 0
    rows_removed: int = 0
    vanished: tuple[Labels, ...] = ()

    def __repr__(self) -> str:
        return f"ProviderNote(input={self.input}, <redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTable:
    """All that a protocol hands to the gate. below: labels of the cells that stayed under the minimum of keys.

    parts: the assets that are in the sums, of a federated table. overlap: among how many of the keys that were counted one
    person may stand: the parts that may share people, else 1.
    """

    cells: tuple[Cell, ...]
    below: tuple[Labels, ...] = ()
    notes: tuple[ProviderNote, ...] = ()
    parts: tuple[str, ...] = ()
    overlap: int = 1


def empty_cell(plan: Plan) -> Cell:
    """Return the one cell of a question without GROUP BY over an empty join: COUNT 0, no value."""
    nothing = Moments(contributors=0, count=0, sum=0, squares=0, contribution_squares=0, absolute_sum=0)
    moments = {(i, j): nothing for i, entry in enumerate(plan.inputs) for j in range(len(entry.measures))}
    found = [pair for aggregate in plan.aggregates if (pair := pair_of(aggregate)) is not None]
    pairs = dict.fromkeys(found, PairMoments(first=nothing, second=nothing, product=0))
    return Cell(labels=(), keys=0, rows=0, moments=moments, pairs=pairs)


def pair_of(aggregate: Aggregate) -> Pair | None:
    """Return the two measures of a function of two columns, its first column first; None for another aggregate."""
    if aggregate.input is None or aggregate.measure is None:
        return None
    if aggregate.other_input is None or aggregate.other_measure is None:
        return None
    return (aggregate.input, aggregate.measure), (aggregate.other_input, aggregate.other_measure)


def population(cell: Cell, aggregate: Aggregate) -> Moments | None:
    """Return the moments whose count and contributors are those of an aggregate's rows; None for COUNT(*) and keys."""
    if aggregate.input is None or aggregate.measure is None:
        return None
    pair = pair_of(aggregate)
    return cell.moments[aggregate.input, aggregate.measure] if pair is None else cell.pairs[pair].first


def persons(keys: int, overlap: int) -> int:
    """Return the fewest people that a number of keys can stand for, where one person may stand among `overlap` of them."""
    return -(-keys // overlap)


def validate(plan: Plan, table: CellTable) -> None:
    """Raise UsageError for cells that no honest run of this plan can yield; the message holds no value.

    Each label tuple occurs once and has one label per group; every aggregate finds the moments it is computed from.
    """
    seen: set[Labels] = set()
    for labels in (*(cell.labels for cell in table.cells), *table.below):
        if len(labels) != len(plan.groups):
            raise UsageError(f"a cell has {len(labels)} labels; the plan has {len(plan.groups)} groups")
        if labels in seen:
            raise UsageError("two cells carry the same labels; the join must yield each cell once")
        seen.add(labels)
    for cell in table.cells:
        _validate_cell(plan, cell)
    for note in table.notes:
        _validate_note(plan, note)


def _validate_cell(plan: Plan, cell: Cell) -> None:
    if not 0 <= cell.keys <= cell.rows:
        raise UsageError("a cell has fewer rows than keys, or a negative count; a peer sent inconsistent aggregates")
    for aggregate in plan.aggregates:
        pair = pair_of(aggregate)
        if pair is not None:
            _validate_pair(cell, pair)
        elif aggregate.input is not None and aggregate.measure is not None:
            _validate_measure(cell, aggregate.function, (aggregate.input, aggregate.measure))


def _validate_measure(cell: Cell, function: str, place: Place) -> None:
    where = f"of measure {place[1]} of input {place[0]}"
    moments = cell.moments.get(place)
    if moments is None:
        raise UsageError(f"a cell lacks the moments {where}")
    _validate_moments(cell, moments)
    if function != "count" and moments.sum is None:
        raise UsageError(f"a cell lacks the sum {where}")
    if function.startswith(("var", "stddev")) and moments.squares is None:
        raise UsageError(f"a cell lacks the squares {where}")


def _validate_moments(cell: Cell, moments: Moments) -> None:
    if not 0 <= moments.contributors <= min(cell.keys, moments.count) or moments.count > cell.rows:
        raise UsageError("a cell's contributors and counts contradict each other; a peer sent inconsistent aggregates")
    if moments.sum is not None and moments.squares is not None and moments.count * moments.squares < moments.sum**2:
        raise UsageError("a cell's sum and squares fit no data; a provider broke its bound or a peer sent garbage")


def _validate_pair(cell: Cell, pair: Pair) -> None:
    found = cell.pairs.get(pair)
    if found is None:
        raise UsageError(f"a cell lacks the moments of measures {pair[0]} and {pair[1]} together")
    first, second = found.first, found.second
    for moments in (first, second):
        _validate_moments(cell, moments)
        if moments.sum is None or moments.squares is None:
            raise UsageError(f"a cell lacks sums or squares of measures {pair[0]} and {pair[1]} together")
    if (first.count, first.contributors) != (second.count, second.contributors):
        raise UsageError("two columns are counted over different rows; a peer sent inconsistent aggregates")
    if found.product**2 > (first.squares or 0) * (second.squares or 0):
        raise UsageError("a cell's products and squares fit no data; a provider broke its bound or a peer sent garbage")


def _validate_note(plan: Plan, note: ProviderNote) -> None:
    if not 0 <= note.input < len(plan.inputs):
        raise UsageError(f"a provider's note names input {note.input}; the plan has {len(plan.inputs)} inputs")
    width = len(plan.inputs[note.input].groups)
    if any(len(labels) != width for labels in note.vanished):
        raise UsageError(f"a provider's note carries labels of another width than input {note.input} has groups")
