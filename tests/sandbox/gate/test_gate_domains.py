"""Elementary values: every value of a column has a representative that all conditions and bands treat alike."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gate.expressions import evaluate
from sandbox.gate.history.domains import BeyondModel, Cuts, plain, representatives
from sandbox.gate.labels import to_literal
from sandbox.model.expression import (
    Branch,
    Case,
    ColumnRef,
    Compare,
    DateTrunc,
    Expression,
    FloorDivide,
    In,
    IsNull,
    Logic,
    Not,
)

X = ColumnRef(name="x")
OPERATORS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
INTEGERS = st.integers(-12, 12)
TEXTS = st.text(alphabet="ab", max_size=3)
DATES = st.integers(0, 800).map(lambda days: date(2023, 11, 20) + timedelta(days=days))
UNITS = st.sampled_from(["year", "quarter", "month", "week", "day"])


def conditions(paths: st.SearchStrategy[Expression], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Expression]:
    literals = values.map(to_literal)
    simple = st.one_of(
        st.builds(lambda op, left, right: Compare(op=op, left=left, right=right), OPERATORS, paths, literals),
        st.builds(lambda op, left, right: Compare(op=op, left=right, right=left), OPERATORS, paths, literals),
        st.builds(
            lambda path, some, no: In(operand=path, options=tuple(some), negated=no),
            paths,
            st.lists(literals, min_size=1, max_size=3),
            st.booleans(),
        ),
        st.builds(lambda path: IsNull(operand=path), paths),
    )
    banded = st.builds(
        lambda one, other, label: Case(
            branches=(Branch(condition=one, result=label), Branch(condition=other, result=to_literal("b"))), otherwise=None
        ),
        simple,
        simple,
        st.just(to_literal("a")),
    )
    return st.one_of(
        simple,
        st.builds(lambda one, other, op: Logic(op=op, terms=(one, other)), simple, simple, st.sampled_from(["and", "or"])),
        simple.map(lambda one: Not(operand=one)),
        banded.map(lambda band: Compare(op="=", left=band, right=to_literal("a"))),
    )


def seen(expressions: list[Expression], groups: list[Expression], value: Any) -> tuple[Any, ...]:
    return tuple(plain(evaluate(expression, lambda _: value)) for expression in (*expressions, *groups))


def check(expressions: list[Expression], groups: list[Expression], values: list[Any]) -> None:
    cuts = Cuts()
    for expression in expressions:
        cuts.add_condition(expression)
    for group in groups:
        cuts.add_group(group, [evaluate(group, lambda _, value=value: value) for value in values])
    classes = {seen(expressions, groups, one.value) for one in representatives(cuts.points.get("x", ()))}
    for value in [None, *values]:
        assert seen(expressions, groups, value) in classes


@given(
    st.lists(
        conditions(st.one_of(st.just(X), st.integers(1, 5).map(lambda d: FloorDivide(operand=X, divisor=d))), INTEGERS),
        max_size=4,
    ),
    st.lists(INTEGERS, min_size=1, max_size=8),
    st.integers(1, 6),
)
def test_integers(expressions: list[Expression], values: list[int], width: int) -> None:
    check(expressions, [FloorDivide(operand=X, divisor=width)], values)


@given(st.lists(conditions(st.just(X), TEXTS), max_size=4), st.lists(TEXTS, min_size=1, max_size=6))
def test_texts(expressions: list[Expression], values: list[str]) -> None:
    check(expressions, [X], values)


@given(
    st.lists(conditions(st.one_of(st.just(X), UNITS.map(lambda unit: DateTrunc(unit=unit, operand=X))), DATES), max_size=3),
    st.lists(DATES, min_size=1, max_size=6),
    UNITS,
)
def test_dates(expressions: list[Expression], values: list[date], unit: str) -> None:
    check(expressions, [DateTrunc(unit=unit, operand=X)], values)


def test_what_cannot_be_cut_is_beyond_the_model() -> None:
    cuts = Cuts()
    with pytest.raises(BeyondModel, match="columns with each other"):
        cuts.add_condition(Compare(op="<", left=X, right=ColumnRef(name="y")))
    with pytest.raises(BeyondModel, match="several types"):
        representatives([1, "a"])
