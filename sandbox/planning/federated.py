"""Questions over one federated table: its parts as inputs, and the whole domain of labels that its groups can have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from sqlglot import exp

from sandbox.errors import UsageError
from sandbox.model.asset import Asset, Column
from sandbox.model.canonical import digest
from sandbox.model.expression import Case, ColumnRef, Expression, FloorDivide, Literal
from sandbox.model.federation import Federation, one_schema
from sandbox.model.plan import ColumnUse, Group, LocalGroup, Measure, PlanInput, Use
from sandbox.planning.grammar import place
from sandbox.planning.question import Question
from sandbox.planning.scope import USABLE_LIFECYCLES, Scope, add_table

MAX_CELLS = 100_000
NULL = Literal(type="null", value="")
_DOMAIN_HINT = "group by a coded column, a bounded integer column, column // width, or CASE over literal bands"


@dataclass(frozen=True, slots=True)
class FederatedTable:
    """A federated table of a question: its declaration, its parts, and the one table that they make. start: in the text."""

    federation: Federation
    parts: tuple[Asset, ...]
    whole: Asset
    start: int


def find_federated(
    question: Question, select: exp.Select, federations: Mapping[str, Federation], assets: Mapping[str, Asset]
) -> FederatedTable | None:
    """Return the federated table that a question is over, or None if it names none. Raises QuestionError."""
    source = select.args.get("from_")
    nodes = [source.this] if isinstance(source, exp.From) else []
    nodes += [join.this for join in select.args.get("joins") or ()]
    known = {name.lower(): name for name in federations}
    named = [node for node in nodes if isinstance(node, exp.Table) and f"{node.db}.{node.name}".lower() in known]
    if not named:
        return None
    start = place(question, named[0].args["db"])
    if len(nodes) > 1:
        raise question.error(
            start, "a federated table is asked alone", "join tables of single providers, or ask it without JOIN"
        )
    federation = federations[known[f"{named[0].db}.{named[0].name}".lower()]]
    for name in federation.parts:
        if name not in assets or assets[name].lifecycle not in USABLE_LIFECYCLES:
            hint = "federate the remaining parts anew, or have its provider publish it"
            raise question.error(start, f"{name}, a part of {federation.name}, is not published", hint)
    parts = tuple(assets[name] for name in federation.parts)
    try:
        whole = one_schema(federation.name, parts)
    except UsageError as error:
        raise question.error(start, f"the parts of {federation.name} no longer have one schema", str(error)) from None
    return FederatedTable(federation, parts, whole, start)


def federated_scope(question: Question, select: exp.Select, table: FederatedTable) -> Scope:
    """Return the scope of a question over a federated table: that one table. Raises QuestionError."""
    for node in select.find_all(exp.Distinct):
        if not table.federation.disjoint:
            hint = "COUNT(*) counts rows; it can be declared disjoint, if nobody has rows in two parts"
            problem = f"different keys cannot be counted over parts of {table.whole.name} that may share people"
            raise question.error(place(question, node), problem, hint)
    unclassified = (column.name.lower() for part in table.parts for column in part.columns if column.role == "unclassified")
    scope = Scope(question, unclassified=frozenset(unclassified))
    add_table(scope, select.args["from_"].this, {table.whole.name: table.whole})
    return scope


def part_inputs(
    table: FederatedTable, scope: Scope, filters: list[Expression], groups: list[LocalGroup], measures: tuple[Measure, ...]
) -> tuple[PlanInput, ...]:
    """Return one input per part, all computing the same."""
    return tuple(
        PlanInput(
            provider=part.provider,
            asset=part.name,
            asset_version=part.version,
            asset_digest=digest(part),
            alias=scope.tables[0].alias,
            key=part.key,
            unique=part.unique,
            filters=tuple(filters),
            groups=tuple(groups),
            measures=measures,
            carries=False,
            opens_multiplicity=False,
        )
        for part in table.parts
    )


def part_uses(table: FederatedTable, uses: Iterable[ColumnUse]) -> tuple[ColumnUse, ...]:
    """Return the uses of every part's columns. The key stays at its provider: it counts people there, and joins nothing."""
    counted: tuple[Use, ...] = ("count",)
    return tuple(
        ColumnUse(asset=part.name, column=use.column, uses=counted if use.column in part.key else use.uses)
        for part in table.parts
        for use in uses
    )


def part_dropped(table: FederatedTable, dropped: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that no part reads."""
    prefix = f"{table.whole.name}."
    return tuple(f"{part.name}.{name.removeprefix(prefix)}" for part in table.parts for name in dropped)


def with_domains(table: FederatedTable, scope: Scope, groups: tuple[Group, ...], local: list[LocalGroup]) -> tuple[Group, ...]:
    """Return the groups with every label that each can have, so that no part shows which ones it holds.

    Raises QuestionError for a group without a declared domain, or where all of them make more than MAX_CELLS cells.
    """
    found, cells = [], 1
    for group in groups:
        domain = domain_of(local[group.local].expression, table.whole)
        if domain is None:
            problem = f"the labels of group {group.name} follow from no declaration of {table.whole.name}"
            raise scope.question.error(table.start, problem, _DOMAIN_HINT)
        cells *= len(domain)
        if cells > MAX_CELLS:
            problem = f"the groups make more than {MAX_CELLS} cells"
            raise scope.question.error(table.start, problem, "every combination of labels is a cell here: group more coarsely")
        found.append(Group(name=group.name, input=0, local=group.local, type=group.type, domain=domain))
    return tuple(found)


def domain_of(expression: Expression, asset: Asset) -> tuple[Literal, ...] | None:
    """Return every label of a GROUP BY expression by the declarations of its column, or None if they do not say."""
    if isinstance(expression, Case):
        ends = [branch.result for branch in expression.branches]
        ends.append(NULL if expression.otherwise is None else expression.otherwise)
        distinct = dict.fromkeys(NULL if end.type == "null" else end for end in ends)
        return tuple(sorted(distinct, key=lambda end: end == NULL))
    if isinstance(expression, FloorDivide):
        numbers = _numbers(expression, asset)
        return None if numbers is None else (*(_integer(number) for number in numbers), NULL)
    column = asset.column(expression.name) if isinstance(expression, ColumnRef) else None
    if column is None:
        return None
    if column.codes is not None:
        return (*column.codes, NULL)
    if column.type == "boolean":
        return (Literal(type="boolean", value="false"), Literal(type="boolean", value="true"), NULL)
    numbers = _bounded(column)
    return None if numbers is None else (*(_integer(number) for number in numbers), NULL)


def _numbers(expression: Expression, asset: Asset) -> list[int] | None:
    """Return the values of an integer expression, ascending."""
    if isinstance(expression, FloorDivide):
        inner = _range(expression.operand, asset)
        if inner is None:
            return None
        low, high, values = inner
        if values is not None:
            return sorted({value // expression.divisor for value in values})
        first, last = low // expression.divisor, high // expression.divisor
        return None if last - first >= MAX_CELLS else list(range(first, last + 1))
    return None


def _range(expression: Expression, asset: Asset) -> tuple[int, int, list[int] | None] | None:
    """Return the lowest and highest value of an integer expression, and the values where they are few enough to list."""
    if isinstance(expression, FloorDivide):
        values = _numbers(expression, asset)
        return None if not values else (values[0], values[-1], values)
    column = asset.column(expression.name) if isinstance(expression, ColumnRef) else None
    if column is None or column.type != "integer":
        return None
    if column.codes is not None:
        codes = sorted(int(code.value) for code in column.codes)
        return codes[0], codes[-1], codes
    if column.bounds is None:
        return None
    low, high = math.ceil(Fraction(column.bounds[0])), math.floor(Fraction(column.bounds[1]))
    return (low, high, None) if low <= high else None


def _bounded(column: Column) -> list[int] | None:
    if column.type != "integer" or column.bounds is None:
        return None
    low, high = math.ceil(Fraction(column.bounds[0])), math.floor(Fraction(column.bounds[1]))
    return None if high - low >= MAX_CELLS else list(range(low, high + 1))


def _integer(value: int) -> Literal:
    return Literal(type="integer", value=str(value))
