"""What a plan does with each column, read from the plan's own computation and not only from what it declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.model.expression import (
    AggregateRef,
    Case,
    ColumnRef,
    Compare,
    DateTrunc,
    FloorDivide,
    GroupRef,
    In,
    IsNull,
    Literal,
    Logic,
    Not,
)
from sandbox.model.plan import PAIR_FUNCTIONS, Plan, PlanInput

FUNCTION_USES = {
    "count": "count",
    "sum": "sum",
    "avg": "mean",
    "var_samp": "variance",
    "var_pop": "variance",
    "stddev_samp": "variance",
    "stddev_pop": "variance",
    **dict.fromkeys(PAIR_FUNCTIONS, "moments"),
}
WITHOUT_MEASURE = ("count_rows", "count_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanUses:
    """uses: by (asset, column), sorted. problems: what in the plan points nowhere or has no known meaning."""

    assets: tuple[str, ...]
    uses: dict[tuple[str, str], tuple[str, ...]]
    problems: tuple[str, ...]


def uses_of(plan: Plan) -> PlanUses:
    """Return every use of every column: the declared ones joined with those that the plan's parts imply.

    A plan that understates its uses is so judged by what it does. Total: a plan that makes no sense yields problems.
    """
    collected = _Collector()
    for item in plan.uses:
        for use in item.uses or ("nothing",):
            collected.add(item.asset, item.column, use)
    for index, source in enumerate(plan.inputs):
        collected.read_input(source, _key_use(plan), "group" if plan.fit is None else "train")
        _implied_by_measures(plan, index, source, collected)
    _check_references(plan, collected)
    if plan.release is not None:
        for column in plan.release.columns:
            if column.used or column.type is not None:
                collected.add(plan.release.asset, column.name, "desensitise")
    if not plan.inputs:
        collected.problems.append("the plan has no inputs")
    assets = {asset for asset, _ in collected.uses} | {source.asset for source in plan.inputs}
    return PlanUses(
        assets=tuple(sorted(assets)),
        uses={place: tuple(sorted(found)) for place, found in sorted(collected.uses.items())},
        problems=tuple(collected.problems),
    )


def _key_use(plan: Plan) -> str:
    """A released table's key is hashed, under its provider's own key, for the gate to tell rows of several releases apart."""
    if plan.release is not None:
        return "desensitise"
    return "join_key" if plan.federation is None else "count"


class _Collector:
    def __init__(self) -> None:
        self.uses: dict[tuple[str, str], set[str]] = {}
        self.problems: list[str] = []

    def add(self, asset: str, column: str, use: str) -> None:
        self.uses.setdefault((asset, column), set()).add(use)

    def read_input(self, source: PlanInput, key_use: str, group_use: str) -> None:
        for column in source.key:
            self.add(source.asset, column, key_use)
        for expression in source.filters:
            self._read(source, expression, "filter")
        for group in source.groups:
            self._read(source, group.expression, group_use)

    def _read(self, source: PlanInput, expression: Any, use: str) -> None:
        columns, unknown = _columns(expression)
        for column in columns:
            self.add(source.asset, column, use)
        self.problems.extend(f"{source.asset}: a {use} has a part of unknown kind, {kind}" for kind in unknown)


def _implied_by_measures(plan: Plan, index: int, source: PlanInput, collected: _Collector) -> None:
    """A measure is used as its aggregates say; one that no aggregate names still travels, by its sums or squares.

    Over a federated table input 0 stands for every part.
    """
    stands = index if plan.federation is None else 0
    for position, measure in enumerate(source.measures):
        places = [(item.function, item.input, item.measure) for item in plan.aggregates]
        places += [(item.function, item.other_input, item.other_measure) for item in plan.aggregates]
        functions = [function for function, *place in places if place == [stands, position]]
        for function in functions:
            collected.add(source.asset, measure.column, FUNCTION_USES.get(function, function))
        if measure.given is not None or measure.times is not None:
            collected.add(source.asset, measure.column, "moments")
            collected.add(source.asset, measure.given or measure.column, "moments")
        elif plan.fit is not None:
            collected.add(source.asset, measure.column, "train")
        elif not functions:
            travels = "variance" if measure.needs_squares else "sum" if measure.needs_sum else "count"
            collected.add(source.asset, measure.column, travels)


def _check_references(plan: Plan, collected: _Collector) -> None:
    for position, item in enumerate(plan.aggregates):
        places = [(item.input, item.measure), (item.other_input, item.other_measure)]
        asked = 0 if item.function in WITHOUT_MEASURE else 2 if item.function in PAIR_FUNCTIONS else 1
        if any(place != (None, None) for place in places[asked:]):
            collected.problems.append(f"aggregate {position} ({item.function}) names a measure that it cannot have")
        if not all(_is_measure(plan, *place) for place in places[:asked]):
            collected.problems.append(f"aggregate {position} ({item.function}) points at no measure of the plan")
    for source in plan.inputs:
        if any(measure.times is not None and not _within(source.measures, measure.times) for measure in source.measures):
            collected.problems.append(f"{source.asset}: a product points at no measure of its input")
    if (plan.fit is None) != (plan.protocol != "fit/1"):
        collected.problems.append(f"the protocol {plan.protocol} and what the plan fits do not belong together")
    for group in plan.groups:
        if not _within(plan.inputs, group.input) or not _within(plan.inputs[group.input].groups, group.local):
            collected.problems.append(f"group {group.name!a} points at no group of an input")


def _is_measure(plan: Plan, index: int | None, measure: int | None) -> bool:
    return _within(plan.inputs, index) and _within(plan.inputs[index or 0].measures, measure)


def _within(parts: tuple[Any, ...], index: int | None) -> bool:
    return index is not None and 0 <= index < len(parts)


def _columns(expression: Any) -> tuple[list[str], list[str]]:
    """Columns that an expression reads, and the kinds of its unknown parts. A loop, so that no depth overflows."""
    columns: list[str] = []
    unknown: list[str] = []
    waiting = [expression]
    while waiting:
        match waiting.pop():
            case ColumnRef(name=name):
                columns.append(name)
            case Compare(left=left, right=right):
                waiting += [left, right]
            case In(operand=operand) | IsNull(operand=operand) | Not(operand=operand):
                waiting.append(operand)
            case FloorDivide(operand=operand) | DateTrunc(operand=operand):
                waiting.append(operand)
            case Logic(terms=terms):
                waiting += terms
            case Case(branches=branches):
                waiting += [branch.condition for branch in branches]
            case Literal():
                pass
            case GroupRef() | AggregateRef() as reference:
                unknown.append(type(reference).__name__)
            case other:
                unknown.append(type(other).__name__)
    return columns, unknown
