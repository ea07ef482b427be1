"""People: what an auditor's file of people makes of a table of cells: who fits so few that it tells of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError
from sandbox.gate.cells import Label, Labels
from sandbox.gate.expressions import evaluate
from sandbox.model.expression import AggregateRef, ColumnRef, ColumnType, GroupRef
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.shown import Shown, are_people, shown_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from protocols.risk import Finding

Person = Mapping[str, Label]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Auxiliary data: people of whom an attacker knows `quasi` and would like to know `sensitive`. Never leaves the auditor."""

    frame: pd.DataFrame
    quasi: tuple[str, ...]
    sensitive: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"People(<{len(self.frame)} rows>, quasi={self.quasi!r}, sensitive={self.sensitive!r})"


def people_in_cells(plan: Plan, table: pa.Table, card: ProductCard, people: People) -> tuple[Finding, ...]:
    """Attack a table of cells: who fits cells of fewer than k people, and whose label in a sensitive group the others tell.

    A column of `quasi` has the name of a group and holds its labels, or that of the source's column that the group is made
    from. `sensitive` names groups. Counts are of people where COUNT(DISTINCT key) is shown or keys are unique, else at most.
    Raises UsageError for columns that tell no group, and for values of another type, with the column and a count.
    """
    from protocols.risk import Finding

    rows = shown_rows(plan, table)
    names = [group.name for group in plan.groups]
    unknown = [name for name in people.sensitive if name not in names]
    if unknown or not all(row.is_labelled for row in rows):
        raise UsageError(f"{unknown[0]!r} is no group" if unknown else "the product does not show all of its groups")
    known = _known_groups(plan, people.quasi)
    kinds, numbers = _kinds(people)
    told = _told(known, kinds, rows)
    fits = [[rows[at] for at in found] for found in told]
    sizes = [_size(some) for some in fits]
    k = plan.rules.min_keys
    counted = [size for size in sizes if size is not None]
    alone = {at for at, size in enumerate(sizes) if size is not None and size < k}
    exposed = [row for row, at in enumerate(numbers) if at in alone]
    fitting = sum(1 for at in numbers if fits[at])
    text = f"{fitting} of {len(numbers)} people fit a cell that is shown"
    if counted:
        of = "people" if all(row.number("count_keys") is not None for row in rows) or are_people(plan) else "rows"
        text += f", of {min(counted)} {of} at the least; {len(exposed)} fit fewer than {k}"
    found = Finding(
        attack="linkage",
        verdict="FAIL" if exposed else "PASS" if counted else "INCONCLUSIVE",
        message=text if counted else f"{text}, and no number of people with it: nothing was tried",
        threshold=1 / k,
        exposed=tuple(exposed),
    )
    return (found, *(_homogeneity(plan, rows, told, numbers, names.index(name)) for name in people.sensitive))


def _homogeneity(plan: Plan, rows: list[Shown], told: list[list[int]], numbers: list[int], group: int) -> Finding:
    """People whose cells all have one label in a group that has several: whoever of them is in the data has that label."""
    from protocols.risk import Finding

    everything = {row.labels[group] for row in rows}
    one = {at for at, found in enumerate(told) if len({rows[each].labels[group] for each in found}) == 1}
    exposed = [row for row, at in enumerate(numbers) if at in one] if len(everything) > 1 else []
    cut = plan.having is not None or plan.limit is not None
    name = plan.groups[group].name
    text = f"{len(exposed)} of {len(numbers)} people fit cells of one {name!r} alone, of {len(everything)}"
    verdict = "PASS" if not exposed else "INCONCLUSIVE" if cut else "FAIL"
    note = "; HAVING or LIMIT may have left others out" if exposed and cut else ""
    return Finding(attack="homogeneity", verdict=verdict, message=text + note, exposed=tuple(exposed))  # type: ignore[arg-type]


def _size(rows: Sequence[Shown]) -> int | None:
    """How many people the cells hold together, None where a cell does not say, or nobody fits any."""
    sizes = [row.number("count_keys") if row.number("count_keys") is not None else row.rows for row in rows]
    known = [int(size) for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def _known_groups(plan: Plan, quasi: Sequence[str]) -> dict[int, Callable[[Person], Label]]:
    """Return, for each group that the columns tell, how its label follows from a person."""
    found: dict[int, Callable[[Person], Label]] = {}
    used: set[str] = set()
    for at, group in enumerate(plan.groups):
        expression = plan.inputs[group.input].groups[group.local].expression
        columns = _columns(expression)
        if group.name in quasi:
            found[at] = lambda person, group=group: _typed(person[group.name], group.type, group.name)  # type: ignore[misc]
            used.add(group.name)
        elif columns and columns <= set(quasi):
            found[at] = lambda person, expression=expression: evaluate(expression, lambda node: _of(person, node))  # type: ignore[misc]
            used |= columns
    idle = [name for name in quasi if name not in used]
    if idle:
        names = ", ".join(repr(group.name) for group in plan.groups) or "none"
        raise UsageError(f"{idle[0]!r} tells no group; groups are {names}, and the columns that they are made from")
    return found


def _columns(expression: Any) -> set[str]:
    """The source's columns that an expression reads."""
    if isinstance(expression, ColumnRef):
        return {expression.name}
    if isinstance(expression, tuple):
        return {name for part in expression for name in _columns(part)}
    fields = getattr(expression, "__struct_fields__", ())
    return {name for field in fields for name in _columns(getattr(expression, field))}


def _of(person: Person, node: ColumnRef | GroupRef | AggregateRef) -> Label:
    return person[node.name] if isinstance(node, ColumnRef) else None


def _kinds(people: People) -> tuple[list[Person], list[int]]:
    """Return the distinct kinds of people, and the kind of each person."""
    numbers: dict[tuple[Label, ...], int] = {}
    columns = [[_plain(value) for value in people.frame[name]] for name in people.quasi]
    found = [numbers.setdefault(values, len(numbers)) for values in zip(*columns, strict=True)]
    return [dict(zip(people.quasi, values, strict=True)) for values in numbers], found


def _told(known: Mapping[int, Callable[[Person], Label]], kinds: Iterable[Person], rows: Sequence[Shown]) -> list[list[int]]:
    """Return, for each kind of people, the rows whose labels fit as far as they are known."""
    index: dict[Labels, list[int]] = {}
    for number, row in enumerate(rows):
        index.setdefault(tuple(row.labels[at] for at in known), []).append(number)
    return [index.get(tuple(of(person) for of in known.values()), []) for person in kinds]


def _plain(value: Any) -> Label:
    """A value of a frame as a label: a missing one is None, a date that pandas keeps as a moment is that moment."""
    if value is None or value != value:  # noqa: PLR0124  (NaN and NaT)
        return None
    value = value.item() if hasattr(value, "item") and not isinstance(value, date) else value
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value  # type: ignore[no-any-return]


def _typed(value: Label, kind: ColumnType, name: str) -> Label:
    """A person's value as a label of a group's type. Raises UsageError that names the column and no value."""
    if value is None:
        return None
    try:
        return _CONVERTED[kind](value)
    except (ValueError, TypeError, InvalidOperation, KeyError):
        raise UsageError(f"column {name!r} of the people holds values that are no {kind}") from None


def _integer(value: Any) -> int:
    number = Decimal(str(value))
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()]
    return bool(value)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value)


_CONVERTED: dict[str, Callable[[Any], Label]] = {
    "integer": _integer,
    "decimal": lambda value: Decimal(str(value)),
    "float": float,
    "text": str,
    "boolean": _boolean,
    "date": _date,
    "timestamp": lambda value: value if isinstance(value, datetime) else datetime.fromisoformat(value),
}
