"""Totals of a federated table as one vector: every combination of labels, every number that the gate needs of it.

Numbers beyond one word are carried as balanced digits of 48 bits, which add up like any other element and are put together at
the gate: exact, whatever the bounds, and below the ring's limit for up to 65,535 parts.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sandbox.errors import SourceError, UsageError
from sandbox.gate.cells import Cell, CellTable, Labels, Moments, persons
from sandbox.gate.labels import from_literal
from sandbox.model.plan import Measure, Plan
from sandbox.planning import MAX_PART_ROWS, MAX_TOTAL
from sandbox.tasks import pairs

DIGIT_BITS = 48
MAX_ELEMENTS = 1 << 24
_HALF = 1 << (DIGIT_BITS - 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One number of a cell: the fragment's column, and |number| ≤ bound at one part. digits: elements that carry it."""

    column: str
    bound: int

    @property
    def digits(self) -> int:
        """One element, or as many balanced digits as hold the bound."""
        return 1 if self.bound < _HALF else -(-(self.bound.bit_length() + 2) // DIGIT_BITS)


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How a plan's totals lie in a vector: cell by cell, in the order of the groups' domains, entry by entry."""

    domains: tuple[tuple[Any, ...], ...]
    entries: tuple[Entry, ...]

    @property
    def cells(self) -> int:
        """Number of combinations of labels; 1 without GROUP BY."""
        return math.prod(map(len, self.domains))

    @property
    def width(self) -> int:
        """Elements of one cell."""
        return sum(entry.digits for entry in self.entries)

    @property
    def length(self) -> int:
        """Elements of the vector."""
        return self.cells * self.width

    @property
    def bound(self) -> int:
        """Every element of a part's vector is within ± this."""
        return max(_HALF if entry.digits > 1 else entry.bound for entry in self.entries)

    def labels(self) -> Iterator[Labels]:
        """Yield the labels of each cell, in the vector's order."""
        return itertools.product(*self.domains)


def layout_of(plan: Plan) -> Layout:
    """Return the layout of a plan's totals. Raises UsageError for a plan whose groups have no domain, or too many cells."""
    domains = []
    for group in plan.groups:
        if not group.domain:
            raise UsageError(f"group {group.name} of the plan has no domain; compile the question again")
        domains.append(tuple(from_literal(label) for label in group.domain))
    entries = [Entry("m", MAX_PART_ROWS), Entry("persons", MAX_PART_ROWS)]
    for index, measure in enumerate(plan.inputs[0].measures):
        entries += _entries(plan, index, measure)
    layout = Layout(tuple(domains), tuple(entries))
    if layout.length > MAX_ELEMENTS:
        raise UsageError(
            f"the groups and aggregates make {layout.length} numbers, more than {MAX_ELEMENTS}; group more coarsely"
        )
    return layout


def is_judged(plan: Plan) -> bool:
    """Return whether the plan's rules bound the shares of the largest contributors."""
    rules = plan.rules
    return any(rule is not None for rule in (rules.dominance_1, rules.dominance_2, rules.p_percent))


def _entries(plan: Plan, index: int, measure: Measure) -> Iterator[Entry]:
    bound = pairs.bound(plan, (0, index))
    total = MAX_PART_ROWS * bound
    yield Entry(f"c_{index}", MAX_PART_ROWS)
    yield Entry(f"z_{index}", MAX_PART_ROWS)
    if measure.needs_sum:
        yield Entry(f"s_{index}", min(total, MAX_TOTAL))
        if is_judged(plan) and measure.times is None:
            yield Entry(f"d_{index}", min(total**2, MAX_TOTAL))
            if pairs.is_signed(plan, (0, index)):
                yield Entry(f"a_{index}", min(total, MAX_TOTAL))
    if measure.needs_squares:
        yield Entry(f"q_{index}", min(total * bound, MAX_TOTAL))


def part_vector(plan: Plan, index: int, table: Any) -> npt.NDArray[np.int64]:
    """Return a part's vector, (length,) int64, from its fragment's Arrow table: group_* and the layout's columns.

    Private to the part. Raises SourceError, with a number of rows and never a label, for labels beyond the declared ones.
    """
    layout = layout_of(plan)
    places = [{label: place for place, label in enumerate(domain)} for domain in layout.domains]
    labels = [table.column(f"group_{at}").to_pylist() for at in (group.local for group in plan.groups)]
    rows = table.column("m").to_pylist()
    cells, unknown = [], 0
    for number in range(len(rows)):
        found = [place.get(column[number]) for place, column in zip(places, labels, strict=True)]
        if None in found:
            unknown += rows[number]
        cells.append(_cell(found, places))
    if unknown:
        part = plan.inputs[index]
        told = plan.rows_told(part, unknown)
        raise SourceError(
            f"{part.asset}: {told} rows have group labels beyond the declared codes or bounds; correct one of them"
        )
    vector = np.zeros((layout.cells, layout.width), dtype=np.int64)
    at = 0
    for entry in layout.entries:
        for cell, value in zip(cells, table.column(entry.column).to_pylist(), strict=True):
            vector[cell, at : at + entry.digits] = _digits(int(value), entry)
        at += entry.digits
    return vector.reshape(-1)


def totals_table(plan: Plan, totals: npt.NDArray[np.int64], parts: Sequence[int]) -> CellTable:
    """Return what the gate judges, from the sum of the parts' vectors. parts: indices of the inputs that are in it.

    Noisy numbers are moved to the nearest possible ones first. Cells below the minimum of people keep their labels alone,
    empty ones not even these. Raises UsageError for totals that no honest parts can have.
    """
    layout = layout_of(plan)
    assets = tuple(plan.inputs[part].asset for part in parts)
    overlap = plan.overlap(len(assets))
    cells: list[Cell] = []
    below: list[Labels] = []
    for labels, elements in zip(layout.labels(), totals.reshape(layout.cells, layout.width).tolist(), strict=True):
        numbers = _numbers(layout, elements)
        if plan.rules.noise is not None:
            numbers = _consistent(plan, numbers)
        if not numbers["m"]:
            if any(numbers.values()):
                raise UsageError("a cell without rows has other totals than 0; a part sent inconsistent totals")
        elif persons(numbers["persons"], overlap) < plan.rules.min_keys:
            below.append(labels)
        else:
            moments = _moments(plan, numbers)
            found = pairs.local_pairs(plan, moments)
            cells.append(Cell(labels=labels, keys=numbers["persons"], rows=numbers["m"], moments=moments, pairs=found))
    return CellTable(cells=tuple(cells), below=tuple(below), parts=assets, overlap=overlap)


def _moments(plan: Plan, numbers: Mapping[str, int]) -> dict[tuple[int, int], Moments]:
    return {
        (0, index): Moments(
            contributors=numbers[f"z_{index}"],
            count=numbers[f"c_{index}"],
            sum=numbers.get(f"s_{index}"),
            squares=numbers.get(f"q_{index}"),
            contribution_squares=numbers.get(f"d_{index}"),
            absolute_sum=numbers.get(f"a_{index}" if pairs.is_signed(plan, (0, index)) else f"s_{index}"),
        )
        for index in range(len(plan.inputs[0].measures))
    }


def _consistent(plan: Plan, numbers: Mapping[str, int]) -> dict[str, int]:
    """Return one cell's noisy numbers moved to the nearest that some rows could have; nothing but them is looked at."""
    made = dict.fromkeys(numbers, 0)
    made["m"] = made["persons"] = max(numbers["m"], 0)
    for index, measure in enumerate(plan.inputs[0].measures):
        count = min(max(numbers[f"c_{index}"], 0), made["m"])
        made[f"c_{index}"] = made[f"z_{index}"] = count
        if f"s_{index}" in numbers:
            made[f"s_{index}"] = min(max(numbers[f"s_{index}"], -measure.bound * count), measure.bound * count)
    return made


def _cell(found: Sequence[int | None], places: Sequence[Mapping[Any, int]]) -> int:
    cell = 0
    for place, domain in zip(found, places, strict=True):
        cell = cell * len(domain) + (place or 0)
    return cell


def _digits(value: int, entry: Entry) -> list[int]:
    """Return balanced digits, lowest first, each within ±2^47."""
    if abs(value) > entry.bound:
        raise SourceError("a total is beyond what the declared bounds allow; correct the source or the bounds")
    digits = []
    for _ in range(entry.digits - 1):
        digit = (value + _HALF) % (1 << DIGIT_BITS) - _HALF
        digits.append(digit)
        value = (value - digit) >> DIGIT_BITS
    return [*digits, value]


def _numbers(layout: Layout, elements: Sequence[int]) -> dict[str, int]:
    numbers, at = {}, 0
    for entry in layout.entries:
        numbers[entry.column] = sum(elements[at + place] << (DIGIT_BITS * place) for place in range(entry.digits))
        at += entry.digits
    return numbers
