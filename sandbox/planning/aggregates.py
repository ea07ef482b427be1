"""Groups and aggregates of a question, as they are found: each once, with the measures that they need at the providers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from sqlglot import exp

from sandbox.model.asset import Column
from sandbox.model.expression import AggregateRef, ColumnRef, GroupRef
from sandbox.model.plan import PAIR_FUNCTIONS, Aggregate, Function, Group, LocalGroup, Measure, Use
from sandbox.planning.expressions import Reader, Typed
from sandbox.planning.grammar import place, unwrap
from sandbox.planning.question import Question
from sandbox.planning.scope import UNUSABLE_GRADES, Found, Scope

MAX_SQUARE = 10**37
FUNCTION_NAMES: dict[type[exp.Expr], Function] = {
    exp.Count: "count",
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Variance: "var_samp",
    exp.VariancePop: "var_pop",
    exp.Stddev: "stddev_samp",
    exp.StddevSamp: "stddev_samp",
    exp.StddevPop: "stddev_pop",
    exp.CovarSamp: "covar_samp",
    exp.CovarPop: "covar_pop",
    exp.Corr: "corr",
    exp.RegrSlope: "regr_slope",
    exp.RegrIntercept: "regr_intercept",
    exp.RegrR2: "regr_r2",
}
_USE_OF: dict[str, Use] = {"count": "count", "sum": "sum", "avg": "mean"}
_NUMBERS = {"integer", "decimal", "float"}
_BOUND = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,18})?")
_KEY_HINT = "a key never leaves its provider, not even as a group or condition; COUNT(DISTINCT key) counts keys"


class _Place(NamedTuple):
    """A measure of an input: a column; where another one of its table has a value; times that one or not."""

    input: int
    column: str
    given: str | None = None
    is_product: bool = False


class _Asked(NamedTuple):
    """An aggregate, with the measure or the two measures that it is of."""

    function: Function
    measure: _Place | None = None
    other: _Place | None = None


@dataclass(slots=True)
class _Need:
    """What is needed of one column as a measure."""

    column: Column
    start: int
    functions: set[Function] = field(default_factory=set)


@dataclass(slots=True)
class Cells:
    """The cells that a question defines: its groups and its aggregates, and every column's uses.

    complete: columns, as (input, name), whose rows without a value WHERE leaves out.
    """

    question: Question
    scope: Scope
    groups: list[tuple[Typed, int]] = field(default_factory=list)
    aggregates: list[_Asked] = field(default_factory=list)
    needs: dict[_Place, _Need] = field(default_factory=dict)
    uses: dict[tuple[int, str], set[Use]] = field(default_factory=dict)
    complete: set[tuple[int, str]] = field(default_factory=set)

    def reader(self, use: Use) -> Reader:
        """Return a reader of expressions over columns, for `filter` or `group`."""
        return Reader(self.question, lambda node: self._column(node, use))

    def group(self, node: exp.Expr) -> tuple[Typed, int]:
        """Return a GROUP BY expression and its input. Raises QuestionError for one that is not accepted."""
        node = unwrap(node)
        start = place(self.question, node)
        reader = self.reader("group")
        if not isinstance(node, exp.Column | exp.IntDiv | exp.TimestampTrunc | exp.Case):
            raise self.question.error(
                start, "this cannot be a group", "group by a column, t.age // 10, date_trunc or CASE over literal bands"
            )
        typed = reader.case(node) if isinstance(node, exp.Case) else reader.scalar(node)
        inputs = {index for index, _ in typed.columns}
        if len(inputs) != 1:
            problem = "a group without a column" if not inputs else "a group over columns of several providers"
            raise self.question.error(start, problem, "each group is computed at one provider; use several groups")
        if typed.type == "float":
            raise self.question.error(start, "a float column cannot be a group", "use CASE over literal bands")
        return typed, inputs.pop()

    def add_group(self, node: exp.Expr) -> GroupRef:
        """Take in a GROUP BY expression."""
        group = self.group(node)
        if group not in self.groups:
            self.groups.append(group)
            self.note(group[0], "group")
        return GroupRef(index=self.groups.index(group))

    def find_group(self, node: exp.Expr) -> GroupRef | None:
        """Return the group that an expression equals, or None."""
        group = self.group(node)
        return GroupRef(index=self.groups.index(group)) if group in self.groups else None

    def column_group(self, found: Found) -> GroupRef | None:
        """Return the group that consists of a column alone, or None."""
        plain = ColumnRef(name=found.column.name)
        hits = (i for i, (typed, owner) in enumerate(self.groups) if owner == found.input and typed.expression == plain)
        return next((GroupRef(index=index) for index in hits), None)

    def note(self, typed: Typed, use: Use) -> None:
        """Record a use of every column that an expression reads."""
        for key in typed.columns:
            self.uses.setdefault(key, set()).add(use)

    def add_aggregate(self, node: exp.Expr) -> AggregateRef:
        """Take in an aggregate, once however often it is asked."""
        function = FUNCTION_NAMES[type(node)]
        if function in PAIR_FUNCTIONS:
            found = self._pair(function, node.this, node.expression)
        else:
            found = self._count(node) if isinstance(node, exp.Count) else self._measure(function, node.this)
        if found not in self.aggregates:
            self.aggregates.append(found)
        return AggregateRef(index=self.aggregates.index(found))

    def type_of(self, reference: GroupRef | AggregateRef) -> str:
        """Return the type of a group or of an aggregate's value."""
        if isinstance(reference, GroupRef):
            return self.groups[reference.index][0].type
        asked = self.aggregates[reference.index]
        if asked.function in {"count_rows", "count_keys", "count"}:
            return "integer"
        if asked.function == "sum" and asked.measure is not None:
            return self.needs[asked.measure].column.type
        return "float"

    def measures(self, index: int) -> tuple[Measure, ...]:
        """Return one input's measures, in the order of the text."""
        own = [place for place in self.needs if place.input == index]
        return tuple(_build_measure(self.question, self.needs[place], place, own) for place in own)

    def plan_groups(self, names: list[str]) -> tuple[list[list[LocalGroup]], tuple[Group, ...]]:
        """Return the groups of each input, and the question's groups under these names."""
        local: list[list[LocalGroup]] = [[] for _ in self.scope.tables]
        groups = []
        for (typed, index), name in zip(self.groups, names, strict=True):
            kind = typed.type
            groups.append(Group(name=name, input=index, local=len(local[index]), type=kind))  # type: ignore[arg-type]
            local[index].append(LocalGroup(expression=typed.expression, type=kind))  # type: ignore[arg-type]
        return local, tuple(groups)

    def plan_aggregates(self) -> tuple[Aggregate, ...]:
        """Return the aggregates, measures counted within their input."""
        built = []
        for asked in self.aggregates:
            first, second = (self._numbered(place) for place in (asked.measure, asked.other))
            built.append(
                Aggregate(
                    function=asked.function, input=first[0], measure=first[1], other_input=second[0], other_measure=second[1]
                )
            )
        return tuple(built)

    def _numbered(self, place: _Place | None) -> tuple[int | None, int | None]:
        if place is None:
            return None, None
        return place.input, [other for other in self.needs if other.input == place.input].index(place)

    def _column(self, node: exp.Expr, use: Use) -> Typed:
        start = place(self.question, node)
        if isinstance(node, exp.Case):
            raise self.question.error(start, "CASE is accepted in GROUP BY only", "write the condition out with AND, OR, NOT")
        if is_aggregate(node):
            clause = "WHERE" if use == "filter" else "GROUP BY"
            raise self.question.error(
                start, f"an aggregate cannot stand in {clause}", "conditions on aggregates belong into HAVING"
            )
        if not isinstance(node, exp.Column):
            raise self.question.error(start, "a column or a literal is expected here", "write t.column")
        found = self.scope.find(node)
        self._check_usable(found)
        column = found.column
        return Typed(ColumnRef(name=column.name), column.type, frozenset({(found.input, column.name)}))

    def _check_usable(self, found: Found) -> None:
        column, table = found.column, self.scope.tables[found.input]
        name = f"{table.alias}.{column.name}"
        if found.is_key(self.scope.tables):
            raise self.question.error(found.start, f"{name} is a key column", _KEY_HINT)
        if column.role in {"unclassified", "direct_identifier"}:
            state = "a direct identifier" if column.role == "direct_identifier" else "not classified yet"
            raise self.question.error(found.start, f"{name} is {state}", "such columns take no part in any question")
        if column.grade in UNUSABLE_GRADES:
            state = "not graded yet" if column.grade == "unclassified" else f"of grade {column.grade}"
            raise self.question.error(found.start, f"{name} is {state}", "such columns take no part in any question")
        if column.role == "key":
            raise self.question.error(found.start, f"{name} is a key", _KEY_HINT)

    def _count(self, node: exp.Count) -> _Asked:
        inner = node.args.get("this")
        if inner is None:
            raise self.question.error(place(self.question, node), "COUNT() counts nothing", "write COUNT(*)")
        if isinstance(inner, exp.Star):
            return _Asked("count_rows")
        if isinstance(inner, exp.Distinct):
            self._check_distinct(inner)
            return _Asked("count_keys")
        return self._measure("count", inner)

    def _check_distinct(self, node: exp.Distinct) -> None:
        parts = [unwrap(part) for part in node.expressions]
        if len(parts) == 1 and isinstance(parts[0], exp.Tuple):
            parts = [unwrap(part) for part in parts[0].expressions]
        names: dict[int, list[str]] = {}
        for part in parts:
            start, hint = place(self.question, part), "COUNT(DISTINCT key) over the whole key of one table"
            found = self.scope.find(part) if isinstance(part, exp.Column) else None
            if found is None or not found.is_key(self.scope.tables):
                raise self.question.error(start, "DISTINCT counts keys only", hint)
            names.setdefault(found.input, []).append(found.column.name)
        start = place(self.question, node)
        key = {index: sorted(self.scope.tables[index].asset.key) for index in names}
        if len(names) != 1 or any(sorted(given) != key[index] for index, given in names.items()):
            raise self.question.error(
                start, "DISTINCT counts whole keys only", "COUNT(DISTINCT (t.a, t.b)) over every key column of one table"
            )

    def _measure(self, function: Function, node: exp.Expr) -> _Asked:
        found = self._measurable(function, node)
        return _Asked(function, self._need(function, found, _Place(found.input, found.column.name)))

    def _pair(self, function: Function, left: exp.Expr, right: exp.Expr) -> _Asked:
        """Take in a function of two columns. Two columns of one table are multiplied row by row at their provider."""
        first, second = self._measurable(function, left), self._measurable(function, right)
        if (first.input, first.column.name) == (second.input, second.column.name):
            raise self.question.error(
                second.start, f"{function.upper()} of a column with itself", "name two columns; VAR_POP is a column's spread"
            )
        one_table = first.input == second.input
        complete = self.complete.issuperset((found.input, found.column.name) for found in (first, second))
        places = [
            _Place(found.input, found.column.name, other.column.name if one_table and not complete else None)
            for found, other in ((first, second), (second, first))
        ]
        if one_table:
            lower, upper = sorted((first, second), key=lambda found: found.column.name)
            self._need(function, upper, _Place(first.input, upper.column.name, lower.column.name, is_product=True))
        for found, where in zip((first, second), places, strict=True):
            self._need(function, found, where)
        return _Asked(function, *places)

    def _measurable(self, function: Function, node: exp.Expr) -> Found:
        """Return the column that a function is asked of. Raises QuestionError where it cannot be."""
        node = unwrap(node)
        start, shown = place(self.question, node), function.upper()
        if not isinstance(node, exp.Column):
            problem = f"{shown} takes {'two plain columns' if function in PAIR_FUNCTIONS else 'a plain column'}"
            raise self.question.error(start, problem, "write t.column; COUNT(*) counts rows")
        found = self.scope.find(node)
        self._check_usable(found)
        if function != "count":
            self._check_measurable(found, shown)
        return found

    def _need(self, function: Function, found: Found, where: _Place) -> _Place:
        self.needs.setdefault(where, _Need(found.column, found.start)).functions.add(function)
        use: Use = "moments" if function in PAIR_FUNCTIONS else _USE_OF.get(function, "variance")
        self.uses.setdefault((where.input, where.column), set()).add(use)
        return where

    def _check_measurable(self, found: Found, shown: str) -> None:
        column, name = found.column, f"{self.scope.tables[found.input].alias}.{found.column.name}"
        if column.type not in _NUMBERS:
            hint = (
                "count with COUNT(*) and a condition"
                if column.type == "boolean"
                else "numbers are integer, decimal or float columns"
            )
            raise self.question.error(found.start, f"{shown} of {name}, which is of type {column.type}", hint)
        if column.bounds is None:
            hint = "its provider can declare bounds (lowest, highest) at registration; COUNT needs none"
            raise self.question.error(found.start, f"{shown} of {name}, which has no declared bounds", hint)


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is one of the accepted aggregates."""
    return type(node) in FUNCTION_NAMES


def _build_measure(question: Question, need: _Need, where: _Place, own: Sequence[_Place]) -> Measure:
    """Return the measure at a place. own: the places of the same input, in order."""
    column, sums = need.column, need.functions - {"count"}
    if not sums or column.bounds is None:
        return Measure(column=column.name, type=column.type, needs_sum=False, needs_squares=False)
    low, high = column.bounds
    if not (_BOUND.fullmatch(low) and _BOUND.fullmatch(high) and Fraction(low) <= Fraction(high)) or column.scale < 1:
        raise question.error(
            need.start, f"the bounds or the scale of {column.name} are unusable as declared", "have its registration corrected"
        )
    squares = bool(sums - {"sum", "avg"})
    bound = _largest(column, low, high)
    if (bound**2 if squares else bound) > MAX_SQUARE:
        raise question.error(
            need.start,
            f"the bounds of {column.name} are too wide for exact sums",
            "its provider can declare narrower bounds or a smaller scale",
        )
    return Measure(
        column=column.name,
        type=column.type,
        needs_sum=True,
        needs_squares=squares and not where.is_product,
        scale=column.scale,
        bound=bound,
        lowest=low,
        highest=high,
        clip=column.clip,
        given=where.given,
        times=_factor(where, own) if where.is_product else None,
    )


def _factor(product: _Place, own: Sequence[_Place]) -> int:
    """Return the measure that a product multiplies its column with: over the rows of both, or over all where none lacks one."""
    options = [_Place(product.input, str(product.given), given) for given in (product.column, None)]
    return own.index(next(place for place in options if place in own))


def _largest(column: Column, low: str, high: str) -> int:
    """Return the largest |integer| that a value within the bounds can become.

    Doubles are scaled in floating point, whose rounding may step over the exact product, so both are considered.
    """
    exact = max(abs(Fraction(low)), abs(Fraction(high))) * column.scale
    bound = -(-exact.numerator // exact.denominator)
    if column.type == "float":
        bound = max(bound, *(abs(round(float(end) * column.scale)) for end in (low, high)))
    return bound
