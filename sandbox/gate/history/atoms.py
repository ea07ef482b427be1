"""Atoms: the classes of joined rows that the conditions, bands and labels of comparable releases tell apart.

A row of the join is one row (or key) of each asset. Per asset the columns' elementary values are multiplied out and classed by
what every release's filters and groups make of them; classes of different assets are multiplied. An atom that passes a
release's filters but carries none of its labels holds nobody: an empty group is seen by its absence.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.gate.cells import Label, Labels
from sandbox.gate.expressions import evaluate
from sandbox.gate.history.comparable import identity
from sandbox.gate.history.domains import BeyondModel, Cuts, plain, representatives
from sandbox.gate.labels import from_literal
from sandbox.model.expression import ColumnRef
from sandbox.model.product import RecordedInput, ReleaseRecord

MAX_VALUES = 50_000
MAX_ATOMS = 200_000
MAX_TRIMMED = 4


@dataclass(frozen=True, slots=True)
class AssetClass:
    """Rows of one asset that nothing tells apart. views: for each fragment, the local labels, None if it leaves the rows out.

    present: measures that have a value.
    """

    views: tuple[Labels | None, ...]
    present: frozenset[str]


@dataclass(frozen=True, slots=True)
class Atom:
    """Joined rows that nothing tells apart. cells: their cell in each release or None; present: measures with a value.

    doubt: 0 where such rows are plausible, more where only unusual values (beyond all conditions, NULL) make them.
    """

    cells: tuple[int | None, ...]
    present: frozenset[tuple[str, str]]
    doubt: int


def atoms_of(records: Sequence[ReleaseRecord]) -> tuple[Atom, ...]:
    """Return the atoms that may hold somebody. Raises BeyondModel where they cannot be told exactly, or are too many."""
    assets = sorted({recorded.input.asset for record in records for recorded in record.inputs})
    fragments = {asset: _fragments(records, asset) for asset in assets}
    classes = [tuple(_classes(records, asset, list(fragments[asset].values())).items()) for asset in assets]
    size = 1
    for options in classes:
        size *= len(options)
    if size > MAX_ATOMS:
        raise BeyondModel(f"more than {MAX_ATOMS} combinations of conditions")
    places = [_Place.of(record, assets, fragments) for record in records]
    found: dict[tuple[tuple[int | None, ...], frozenset[tuple[str, str]]], int] = {}
    for combination in itertools.product(*classes):
        cells = _cells(places, [one for one, _ in combination])
        if cells is not None:
            present = frozenset(
                (asset, name) for asset, (one, _) in zip(assets, combination, strict=True) for name in one.present
            )
            doubt = max(level for _, level in combination)
            found[cells, present] = min(doubt, found.get((cells, present), doubt))
    return tuple(Atom(cells, present, doubt) for (cells, present), doubt in found.items())


@dataclass(frozen=True, slots=True)
class _Place:
    """How a release finds its cell: which view of which asset, where each group's label stands, and the cells by labels."""

    views: tuple[tuple[int, int], ...]
    labels: tuple[tuple[int, int], ...]
    cells: Mapping[Labels, int]

    @classmethod
    def of(cls, record: ReleaseRecord, assets: Sequence[str], fragments: Mapping[str, Mapping[str, RecordedInput]]) -> _Place:
        views = []
        for recorded in record.inputs:
            asset = recorded.input.asset
            views.append((assets.index(asset), list(fragments[asset]).index(identity(recorded))))
        cells = {tuple(plain(from_literal(label)) for label in cell.labels): number for number, cell in enumerate(record.cells)}
        return cls(tuple(views), tuple((group.input, group.local) for group in record.groups), cells)


def _cells(places: Sequence[_Place], combination: Sequence[AssetClass]) -> tuple[int | None, ...] | None:
    """Return the cell of a combination in each release, or None if a release's missing label shows that it is empty."""
    cells: list[int | None] = []
    for place in places:
        views = [combination[asset].views[fragment] for asset, fragment in place.views]
        kept = [view for view in views if view is not None]
        if len(kept) < len(views):
            cells.append(None)
            continue
        cell = place.cells.get(tuple(kept[source][local] for source, local in place.labels))
        if cell is None:
            return None
        cells.append(cell)
    return tuple(cells)


def _fragments(records: Sequence[ReleaseRecord], asset: str) -> dict[str, RecordedInput]:
    found: dict[str, RecordedInput] = {}
    for record in records:
        inputs = [recorded for recorded in record.inputs if recorded.input.asset == asset]
        if len(inputs) > 1:
            raise BeyondModel("a release reads one asset twice")
        found.update((identity(recorded), recorded) for recorded in inputs)
    return found


def _classes(records: Sequence[ReleaseRecord], asset: str, fragments: Sequence[RecordedInput]) -> dict[AssetClass, int]:
    cuts, measures = Cuts(), set[str]()
    for fragment in fragments:
        for expression in fragment.input.filters:
            cuts.add_condition(expression)
        measures |= {measure.column for measure in fragment.input.measures}
    for record in records:
        _cut_labels(cuts, record, asset)
    for record in records:
        for recorded in record.inputs:
            if recorded.input.asset == asset:
                measures |= {measure.column for measure in recorded.input.measures}
    for name in measures:
        cuts.points.setdefault(name, set())
    found = _evaluated(cuts, fragments, measures)
    if any(all(recorded.input.asset != asset for recorded in record.inputs) for record in records):
        found[AssetClass((None,) * len(fragments), frozenset())] = 0
    return found


def _cut_labels(cuts: Cuts, record: ReleaseRecord, asset: str) -> None:
    for position, group in enumerate(record.groups):
        entry = record.inputs[group.input].input
        if entry.asset == asset:
            seen = {from_literal(cell.labels[position]) for cell in record.cells}
            cuts.add_group(entry.groups[group.local].expression, seen)


def _evaluated(cuts: Cuts, fragments: Sequence[RecordedInput], measures: set[str]) -> dict[AssetClass, int]:
    """Every combination of the columns' elementary values, as the fragments see it; a trimmed one keeps or drops each."""
    names = list(cuts.points)
    domains = [representatives(cuts.points[name]) for name in names]
    trimmed = [number for number, fragment in enumerate(fragments) if fragment.trimmed]
    size = 2 ** len(trimmed)
    for domain in domains:
        size *= len(domain)
    if len(trimmed) > MAX_TRIMMED or size > MAX_VALUES:
        raise BeyondModel(f"more than {MAX_VALUES} combinations of one asset's column values")
    found: dict[AssetClass, int] = {}
    for values in itertools.product(*domains):
        row = {name: one.value for name, one in zip(names, values, strict=True)}
        doubt = max((one.doubt for one in values), default=0)
        views = [_view(fragment, row) for fragment in fragments]
        present = frozenset(name for name in measures if row[name] is not None)
        for dropped in itertools.product((False, True), repeat=len(trimmed)):
            gone = {number for number, one in zip(trimmed, dropped, strict=True) if one}
            kept = tuple(None if number in gone else view for number, view in enumerate(views))
            one = AssetClass(kept, present)
            found[one] = min(doubt, found.get(one, doubt))
    return found


def _view(fragment: RecordedInput, row: Mapping[str, Label]) -> Labels | None:
    def lookup(reference: object) -> Label:
        return row[reference.name] if isinstance(reference, ColumnRef) else None

    if not all(evaluate(expression, lookup) for expression in fragment.input.filters):
        return None
    return tuple(plain(evaluate(group.expression, lookup)) for group in fragment.input.groups)
