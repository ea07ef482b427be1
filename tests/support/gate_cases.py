"""A small pooled world for the gate's tests: people, measurements, questions as plans, and cells computed by plain loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.gate import Cell, CellTable, Moments
from sandbox.model.asset import KeyDomain
from sandbox.model.expression import (
    AggregateRef,
    Branch,
    Case,
    ColumnRef,
    Compare,
    Expression,
    FloorDivide,
    GroupRef,
    In,
    Literal,
)
from sandbox.model.plan import (
    Aggregate,
    GateRules,
    Group,
    LocalGroup,
    Measure,
    Parameters,
    Plan,
    PlanInput,
    SelectItem,
)

Row = dict[str, Any]
PEOPLE, LAB = "registry.people", "lab.values"
RULES = GateRules(
    profile="test", version=1, min_keys=5, min_contributors=5, min_pattern=5, min_list=5, min_difference=5, p_percent=10
)
THRESHOLDS_ONLY = GateRules(
    profile="test",
    version=1,
    min_keys=5,
    min_contributors=5,
    min_pattern=5,
    min_list=5,
    min_difference=5,
    dominance_1=None,
    dominance_2=None,
    p_percent=None,
)


def number(value: int) -> Literal:
    """An integer literal."""
    return Literal(type="integer", value=str(value))


def text(value: str) -> Literal:
    """A text literal."""
    return Literal(type="text", value=value)


@dataclass(frozen=True)
class Band:
    """A GROUP BY expression of the people, with the same thing in Python."""

    name: str
    expression: Expression
    of: Callable[[Row], Any]
    type: str = "integer"


@dataclass(frozen=True)
class Condition:
    """A predicate on the people, with the same thing in Python (None counts as not true)."""

    expression: Expression
    of: Callable[[Row], bool]


SEX = Band("sex", ColumnRef(name="sex"), lambda row: row["sex"], "text")
AGE = Band("age", ColumnRef(name="age"), lambda row: row["age"])
ZONE = Band("zone", ColumnRef(name="zone"), lambda row: row["zone"], "text")


def age_band(width: int) -> Band:
    """age // width."""
    return Band(f"band{width}", FloorDivide(operand=ColumnRef(name="age"), divisor=width), lambda row: row["age"] // width)


def age_case(limit: int) -> Band:
    """CASE WHEN age < limit THEN 0 ELSE 1 END."""
    branch = Branch(condition=Compare(op="<", left=ColumnRef(name="age"), right=number(limit)), result=number(0))
    return Band(f"case{limit}", Case(branches=(branch,), otherwise=number(1)), lambda row: int(row["age"] >= limit))


def age_from(limit: int) -> Condition:
    """age >= limit."""
    return Condition(Compare(op=">=", left=ColumnRef(name="age"), right=number(limit)), lambda row: row["age"] >= limit)


def age_below(limit: int) -> Condition:
    """age < limit."""
    return Condition(Compare(op="<", left=ColumnRef(name="age"), right=number(limit)), lambda row: row["age"] < limit)


def sex_is(value: str) -> Condition:
    """sex = value."""
    return Condition(Compare(op="=", left=ColumnRef(name="sex"), right=text(value)), lambda row: row["sex"] == value)


def zone_in(*values: str) -> Condition:
    """zone IN (values)."""
    return Condition(In(operand=ColumnRef(name="zone"), options=tuple(map(text, values))), lambda row: row["zone"] in values)


@dataclass(frozen=True)
class Question:
    """Conditions and groups on the people; aggregates of the value that the laboratory holds."""

    groups: tuple[Band, ...] = ()
    where: tuple[Condition, ...] = ()
    functions: tuple[str, ...] = ("count_rows",)
    unique: bool = True
    more: dict[str, Any] = field(default_factory=dict)


def plan_of(
    question: Question, rules: GateRules = THRESHOLDS_ONLY, lowest: str | None = "0", highest: str | None = "1000"
) -> Plan:
    """Return the question's plan: people (unique keys) joined with laboratory values."""
    people = PlanInput(
        provider="registry",
        asset=PEOPLE,
        asset_version=1,
        asset_digest="sha256:0",
        alias="p",
        key=("id",),
        unique=True,
        filters=tuple(condition.expression for condition in question.where),
        groups=tuple(LocalGroup(expression=band.expression, type=band.type) for band in question.groups),
        measures=(),
        carries=True,
        opens_multiplicity=False,
    )
    measure = Measure(
        column="value", type="integer", needs_sum=True, needs_squares=True, bound=10**6, lowest=lowest, highest=highest
    )
    lab = PlanInput(
        provider="lab",
        asset=LAB,
        asset_version=1,
        asset_digest="sha256:0",
        alias="l",
        key=("id",),
        unique=question.unique,
        filters=(),
        groups=(),
        measures=(measure,),
        carries=False,
        opens_multiplicity=False,
    )
    groups = tuple(Group(name=band.name, input=0, local=index, type=band.type) for index, band in enumerate(question.groups))
    aggregates = tuple(
        Aggregate(function=name) if name in {"count_rows", "count_keys"} else Aggregate(function=name, input=1, measure=0)
        for name in question.functions
    )
    select = (
        *(SelectItem(name=group.name, source=GroupRef(index=index)) for index, group in enumerate(groups)),
        *(SelectItem(name=name, source=AggregateRef(index=index)) for index, name in enumerate(question.functions)),
    )
    fields: dict[str, Any] = {"having": None, "order_by": (), "limit": None} | question.more
    return Plan(
        version=1,
        title="a test",
        purpose="test",
        recipients=("operator",),
        sql="",
        protocol="join/1",
        key_domain=KeyDomain(name="person", types=("integer",)),
        inputs=(people, lab),
        groups=groups,
        aggregates=aggregates,
        select=select,
        uses=(),
        dropped=(),
        rules=rules,
        parameters=Parameters(),
        operator="operator",
        gate="manager",
        **fields,
    )


def selected(question: Question, rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the joined rows of each cell: a row has id, sex, age, zone and value."""
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if all(condition.of(row) for condition in question.where):
            cells[tuple(band.of(row) for band in question.groups)].append(row)
    return dict(cells)


def contributions(rows: Sequence[Row]) -> dict[Any, int]:
    """Return each contributor's amount: the sum of its values, for keys with at least one."""
    amounts: dict[Any, int] = {}
    for row in rows:
        if row["value"] is not None:
            amounts[row["id"]] = amounts.get(row["id"], 0) + row["value"]
    return amounts


def cell_of(labels: tuple[Any, ...], rows: Sequence[Row], *, with_absolute: bool = False) -> Cell:
    """Return the cell that an honest join yields for these joined rows."""
    values = [row["value"] for row in rows if row["value"] is not None]
    amounts = contributions(rows)
    moments = Moments(
        contributors=len(amounts),
        count=len(values),
        sum=sum(values),
        squares=sum(value * value for value in values),
        contribution_squares=sum(amount * amount for amount in amounts.values()),
        absolute_sum=sum(abs(amount) for amount in amounts.values()) if with_absolute else None,
    )
    return Cell(labels=labels, keys=len({row["id"] for row in rows}), rows=len(rows), moments={(1, 0): moments})


def table_of(question: Question, rows: Sequence[Row], k: int = 5, *, with_absolute: bool = False) -> CellTable:
    """Return what the join hands to the gate."""
    cells = selected(question, rows)
    large = {labels: part for labels, part in cells.items() if len({row["id"] for row in part}) >= k}
    return CellTable(
        cells=tuple(cell_of(labels, part, with_absolute=with_absolute) for labels, part in large.items()),
        below=tuple(labels for labels in cells if labels not in large),
    )
