"""Conditions, scalars and literals of a question as typed expressions of the model."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal as OneOf

from sqlglot import exp

from sandbox.model.expression import (
    Branch,
    Case,
    Compare,
    DateTrunc,
    Expression,
    FloorDivide,
    In,
    IsNull,
    Literal,
    LiteralType,
    Logic,
    Not,
)
from sandbox.planning.grammar import place, unwrap
from sandbox.planning.question import Question

Operator = OneOf["=", "<>", "<", "<=", ">", ">="]

MAX_INTEGER = 2**63 - 1
MAX_DECIMAL_DIGITS = 18
_COMPARISONS: dict[type[exp.Expr], Operator] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_UNITS = ("year", "quarter", "month", "week", "day", "hour")
_FAMILY = {
    "integer": "number",
    "decimal": "number",
    "float": "number",
    "text": "text",
    "boolean": "boolean",
    "date": "time",
    "timestamp": "time",
}
_LITERAL_FORM = {
    "number": "a number: 40 or 0.5",
    "text": "a text literal: 'x'",
    "boolean": "TRUE or FALSE",
    "time": "DATE '2026-01-31' or TIMESTAMP '2026-01-31 08:00:00'",
}
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_CONDITION_HINT = "accepted: comparisons with literals or columns, IN, BETWEEN, IS NULL, AND, OR, NOT"


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression with its type and the (input, column) pairs that it reads."""

    expression: Expression
    type: str
    columns: frozenset[tuple[int, str]] = frozenset()

    @property
    def is_literal(self) -> bool:
        """Whether this is a constant."""
        return isinstance(self.expression, Literal)


class Reader:
    """Reads conditions and scalars. `leaf` gives the meaning of a name or call; it raises QuestionError for what is none."""

    def __init__(self, question: Question, leaf: Callable[[exp.Expr], Typed]) -> None:
        self._question = question
        self._leaf = leaf

    def condition(self, node: exp.Expr) -> Typed:
        """Return a condition. Raises QuestionError for anything that is not true, false or unknown."""
        node = unwrap(node)
        if type(node) in _COMPARISONS:
            return self._compare(node)
        match node:
            case exp.And() | exp.Or():
                typed = self._logic(node)
            case exp.Not():
                typed = self._negation(node)
            case exp.In():
                typed = self._in(node)
            case exp.Between():
                typed = self._between(node)
            case exp.Is():
                typed = self._is_null(node)
            case _:
                typed = self._bare(node)
        return typed

    def scalar(self, node: exp.Expr) -> Typed:
        """Return a literal, `//`, date_trunc, or what `leaf` makes of a name or call."""
        node = unwrap(node)
        if isinstance(node, exp.Literal | exp.Boolean | exp.Null | exp.Neg | exp.Cast):
            literal = self.literal(node)
            return Typed(literal, literal.type)
        if isinstance(node, exp.IntDiv):
            return self._floor_divide(node)
        if isinstance(node, exp.TimestampTrunc):
            return self._date_trunc(node)
        if isinstance(node, exp.And | exp.Or | exp.Not | exp.In | exp.Between | exp.Is) or type(node) in _COMPARISONS:
            raise self._error(node, "a condition cannot be compared", "join conditions by AND, OR, NOT; use brackets")
        return self._leaf(node)

    def case(self, node: exp.Case) -> Typed:
        """Return a CASE whose results are literals of one type."""
        subject = node.args.get("this")
        branches, columns = [], frozenset[tuple[int, str]]()
        for branch in node.args["ifs"]:
            condition = self._branch_condition(subject, branch.this)
            branches.append(Branch(condition=condition.expression, result=self._result(branch.args["true"])))
            columns |= condition.columns
        default = node.args.get("default")
        otherwise = self._result(default) if default is not None else None
        results = [branch.result for branch in branches] + ([otherwise] if otherwise is not None else [])
        types = sorted({result.type for result in results} - {"null"})
        if len(types) != 1:
            problem = f"the results of CASE are of {' and '.join(types)}" if types else "every result of CASE is NULL"
            raise self._error(node, problem, "give literals of one type")
        return Typed(Case(branches=tuple(branches), otherwise=otherwise), types[0], columns)

    def literal(self, node: exp.Expr) -> Literal:
        """Return a constant in its canonical text form."""
        node = unwrap(node)
        if isinstance(node, exp.Null):
            return Literal(type="null", value="")
        if isinstance(node, exp.Boolean):
            return Literal(type="boolean", value="true" if node.this else "false")
        if isinstance(node, exp.Cast):
            return self._time(node)
        negative = isinstance(node, exp.Neg)
        inner = node.this if negative else node
        if not isinstance(inner, exp.Literal) or (negative and inner.is_string):
            raise self._error(node, "a literal is expected here", "write a number, 'text', TRUE, FALSE or DATE '2026-01-31'")
        if inner.is_string:
            return Literal(type="text", value=str(inner.this))
        return self._number(inner, negative=negative)

    def _number(self, node: exp.Literal, *, negative: bool) -> Literal:
        whole, point, fraction = str(node.this).partition(".")
        whole = whole.lstrip("0") or "0"
        limit = MAX_DECIMAL_DIGITS if point else len(str(MAX_INTEGER))
        if len(whole) + len(fraction) > limit or (not point and int(whole) > MAX_INTEGER):
            raise self._error(
                node, "this number has too many digits", f"integers below 2^63, decimals of {MAX_DECIMAL_DIGITS} digits"
            )
        text = whole + (f".{fraction}" if point else "")
        sign = "-" if negative and text.strip("0.") else ""
        kind: LiteralType = "decimal" if point else "integer"
        return Literal(type=kind, value=sign + text)

    def _time(self, node: exp.Cast) -> Literal:
        inner, kind = node.this, node.to.this
        if not (isinstance(inner, exp.Literal) and inner.is_string):
            raise self._error(node, "conversions are not accepted", "compare a column with a literal of its own type")
        text = str(inner.this)
        try:
            if kind == exp.DType.DATE and len(text) == len("2026-01-31"):
                return Literal(type="date", value=datetime.date.fromisoformat(text).isoformat())
            if kind in (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ) and _TIMESTAMP.fullmatch(text):
                moment, _, fraction = text.partition(".")
                value = datetime.datetime.fromisoformat(moment).replace(microsecond=int(fraction.ljust(6, "0")))
                return Literal(type="timestamp", value=value.isoformat(sep=" "))
        except ValueError:
            raise self._error(inner, "there is no such day or time", _LITERAL_FORM["time"]) from None
        raise self._error(inner, "this is not a literal of a day or time", _LITERAL_FORM["time"])

    def _compare(self, node: exp.Expr) -> Typed:
        left, right = self.scalar(node.this), self.scalar(node.expression)
        self._check_comparable(node, left, right)
        compare = Compare(op=_COMPARISONS[type(node)], left=left.expression, right=right.expression)
        return Typed(compare, "boolean", left.columns | right.columns)

    def _logic(self, node: exp.Expr) -> Typed:
        kind, op = (exp.And, "and") if isinstance(node, exp.And) else (exp.Or, "or")
        pending, terms = [node], []
        while pending:
            part = unwrap(pending.pop())
            if isinstance(part, kind):
                pending += [part.expression, part.this]
            else:
                terms.append(self.condition(part))
        columns = frozenset[tuple[int, str]]().union(*(term.columns for term in terms))
        logic = Logic(op="and" if op == "and" else "or", terms=tuple(term.expression for term in terms))
        return Typed(logic, "boolean", columns)

    def _negation(self, node: exp.Not) -> Typed:
        inner = self.condition(node.this)
        expression = inner.expression
        if isinstance(expression, In):
            expression = In(operand=expression.operand, options=expression.options, negated=not expression.negated)
        elif isinstance(expression, IsNull):
            expression = IsNull(operand=expression.operand, negated=not expression.negated)
        else:
            expression = Not(operand=expression)
        return Typed(expression, "boolean", inner.columns)

    def _in(self, node: exp.In) -> Typed:
        operand = self.scalar(node.this)
        options = node.args.get("expressions") or []
        if not options:
            raise self._error(node, "IN needs a list of literals", "t.column IN ('a', 'b')")
        literals = []
        for option in options:
            literal = self.literal(option)
            self._check_comparable(option, operand, Typed(literal, literal.type))
            literals.append(literal)
        return Typed(In(operand=operand.expression, options=tuple(literals)), "boolean", operand.columns)

    def _between(self, node: exp.Between) -> Typed:
        operand, low, high = (self.scalar(node.args[name]) for name in ("this", "low", "high"))
        self._check_comparable(node.args["low"], operand, low)
        self._check_comparable(node.args["high"], operand, high)
        terms: tuple[Expression, ...] = (
            Compare(op=">=", left=operand.expression, right=low.expression),
            Compare(op="<=", left=operand.expression, right=high.expression),
        )
        return Typed(Logic(op="and", terms=terms), "boolean", operand.columns | low.columns | high.columns)

    def _is_null(self, node: exp.Is) -> Typed:
        if not isinstance(unwrap(node.expression), exp.Null):
            raise self._error(node, "IS is accepted with NULL only", "write = TRUE, IS NULL or IS NOT NULL")
        operand = self.scalar(node.this)
        if operand.is_literal:
            raise self._error(node, "a condition over literals only", "compare a column")
        return Typed(IsNull(operand=operand.expression), "boolean", operand.columns)

    def _bare(self, node: exp.Expr) -> Typed:
        value = self.scalar(node)
        if value.is_literal:
            raise self._error(node, "a condition without a column", "leave it out")
        if value.type != "boolean":
            raise self._error(node, f"a condition is expected, not a value of type {value.type}", _CONDITION_HINT)
        truth = Literal(type="boolean", value="true")
        return Typed(Compare(op="=", left=value.expression, right=truth), "boolean", value.columns)

    def _branch_condition(self, subject: exp.Expr | None, node: exp.Expr) -> Typed:
        if subject is None:
            return self.condition(node)
        left, right = self.scalar(subject), self.scalar(node)
        self._check_comparable(node, left, right)
        return Typed(Compare(op="=", left=left.expression, right=right.expression), "boolean", left.columns | right.columns)

    def _result(self, node: exp.Expr) -> Literal:
        if isinstance(unwrap(node), exp.Column | exp.Func):
            raise self._error(node, "a result of CASE is not a literal", "give each band a literal name: THEN 'young'")
        return self.literal(node)

    def _floor_divide(self, node: exp.IntDiv) -> Typed:
        operand, divisor = self.scalar(node.this), unwrap(node.expression)
        if operand.is_literal or operand.type != "integer":
            hint = "t.age // 10; others: CASE WHEN t.x < 10 THEN 'low' WHEN t.x < 20 THEN 'middle' ELSE 'high' END"
            raise self._error(node, "// divides an integer column", hint)
        if (
            not isinstance(divisor, exp.Literal)
            or divisor.is_string
            or self.literal(divisor).type != "integer"
            or not int(divisor.this)
        ):
            raise self._error(divisor, "// divides by a positive integer literal", "t.age // 10")
        return Typed(FloorDivide(operand=operand.expression, divisor=int(divisor.this)), "integer", operand.columns)

    def _date_trunc(self, node: exp.TimestampTrunc) -> Typed:
        unit = node.args["unit"].name.lower()
        if unit not in _UNITS:
            raise self._error(node, f"date_trunc does not know {unit!r}", f"units: {', '.join(_UNITS)}")
        operand = self.scalar(node.this)
        if operand.is_literal or _FAMILY.get(operand.type) != "time":
            raise self._error(node.this, "date_trunc takes a date or timestamp column", "date_trunc('month', t.day)")
        return Typed(DateTrunc(unit=unit, operand=operand.expression), "timestamp", operand.columns)

    def _check_comparable(self, node: exp.Expr, left: Typed, right: Typed) -> None:
        """node: where the right side stands, or the comparison as a whole."""
        at = unwrap(node.expression) if type(node) in _COMPARISONS else node
        if left.is_literal and not right.is_literal and type(node) in _COMPARISONS:
            at, left, right = unwrap(node.this), right, left
        if left.is_literal:
            raise self._error(node, "a condition over literals only", "compare a column")
        if right.type == "null":
            raise self._error(at, "a comparison with NULL is never true", "write IS NULL or IS NOT NULL")
        if _FAMILY[left.type] != _FAMILY[right.type]:
            kind = f"a {right.type} literal" if right.is_literal else f"a value of type {right.type}"
            hint = f"no implicit conversion: compare it with {_LITERAL_FORM[_FAMILY[left.type]]}"
            raise self._error(at, f"a value of type {left.type} cannot be compared with {kind}", hint)

    def _error(self, node: exp.Expr, problem: str, hint: str) -> Exception:
        return self._question.error(place(self._question, node), problem, hint)
