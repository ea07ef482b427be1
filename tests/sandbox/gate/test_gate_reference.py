"""The set of withheld cells equals that of a naive gate, written from the rules alone over pooled contributions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from support.gate_cases import (
    RULES,
    SEX,
    THRESHOLDS_ONLY,
    ZONE,
    Question,
    contributions,
    plan_of,
    selected,
    table_of,
)

from sandbox.gate import CellTable, Moments, ProviderNote, release
from sandbox.gate.checks import dominance

FUNCTIONS = ("count_rows", "count", "sum", "avg", "var_samp", "stddev_pop")
K = 5

people = st.lists(
    st.builds(
        lambda sex, zone, value, copies: {"sex": sex, "age": 1, "zone": zone, "value": value, "copies": copies},
        st.sampled_from(["f", "m", None]),
        st.sampled_from("xy"),
        st.one_of(st.none(), st.integers(0, 30), st.integers(0, 1000), st.just(0)),
        st.sampled_from([1, 1, 1, 2]),
    ),
    max_size=60,
)


def joined(drawn: list[dict], *, unique: bool) -> list[dict]:
    """One row per person, or as many as drawn."""
    return [dict(row, id=number) for number, row in enumerate(drawn) for _ in range(1 if unique else row["copies"])]


def bound_holds(amounts: list[int], weights: list[Fraction], share: Fraction) -> bool:
    """The proved bound, in floats with a margin decided exactly: compare squares of fractions."""
    count, total = len(amounts), Fraction(sum(amounts))
    if count < len(weights):
        return False
    mean = total / count
    spread = sum((amount - mean) ** 2 for amount in amounts)
    slack = share * total - sum(weights) * mean
    stretch = sum(weight**2 for weight in weights) - sum(weights) ** 2 / Fraction(count)
    return slack >= 0 and stretch * spread <= slack**2


def naive(question: Question, rows: list[dict], *, dominated: bool) -> set[tuple]:
    """Every withheld (labels, column, reason), by plain loops."""
    found = set()
    for labels, part in selected(question, rows).items():
        keys = {row["id"] for row in part}
        if len(keys) < K:
            found |= {(labels, name, "BELOW_K") for name in question.functions}
            continue
        amounts = contributions(part)
        with_value = [row for row in part if row["value"] is not None]
        bad: dict[str, str] = {}
        for name in question.functions:
            if name == "count_rows" or not amounts:
                continue
            if len(amounts) < K:
                bad[name] = "BELOW_K"
            elif name != "count" and dominated:
                each = list(amounts.values())
                rules = [([1], Fraction(1, 2)), ([1, 1], Fraction(67, 100)), ([Fraction(11, 10), 1], Fraction(1))]
                if sum(each) == 0 or not all(bound_holds(each, [Fraction(w) for w in ws], share) for ws, share in rules):
                    bad[name] = "DOMINANCE"
        if len(with_value) < len(part) and len(keys) - len(amounts) < K and "count" in question.functions:
            bad.setdefault("count", "SECONDARY")
        standing = [name for name in question.functions if name not in bad]
        hidden = len(with_value) < len(part) and len(keys) - len(amounts) < K
        if hidden and {"sum", "avg"} <= set(standing):
            bad["avg"] = "SECONDARY"
        if hidden and {"var_samp", "stddev_pop"} <= set(standing):
            bad["stddev_pop"] = "SECONDARY"
        found |= {(labels, name, reason) for name, reason in bad.items()}
    return found


def plain(answer) -> set[tuple]:
    return {
        (tuple(None if label.type == "null" else label.value for label in entry.labels), entry.column, entry.reason)
        for entry in answer.withheld
    }


@settings(max_examples=150, deadline=None)
@given(people, st.booleans(), st.booleans(), st.sampled_from([(), (SEX,), (SEX, ZONE)]))
def test_withheld_cells_are_those_of_the_naive_gate(drawn: list[dict], unique: bool, dominated: bool, groups: tuple) -> None:
    rows = joined(drawn, unique=unique)
    question = Question(groups=groups, functions=FUNCTIONS, unique=unique)
    plan = plan_of(question, RULES if dominated else THRESHOLDS_ONLY)
    answer = release(plan, table_of(question, rows, K))
    assert plain(answer) == naive(question, rows, dominated=dominated)
    assert all(finding.verdict in {"pass", "fail", "inconclusive"} for finding in answer.findings)


@settings(max_examples=200, deadline=None)
@given(people)
def test_released_values_are_exact(drawn: list[dict]) -> None:
    rows = joined(drawn, unique=False)
    question = Question(groups=(SEX,), functions=FUNCTIONS, unique=False)
    answer = release(plan_of(question), table_of(question, rows, K))
    for line in answer.rows:
        values = [row["value"] for row in selected(question, rows)[line[:1]] if row["value"] is not None]
        count, mean = len(values), Fraction(sum(values), len(values) or 1)
        squares = sum(((value - mean) ** 2 for value in values), Fraction(0))
        expected = [
            len(selected(question, rows)[line[:1]]),
            count,
            sum(values),
            float(mean),
            float(squares / (count - 1)) if count > 1 else None,
            math.sqrt(squares / count) if count else None,
        ]
        for name, got, want in zip(FUNCTIONS, line[1:], expected, strict=True):
            assert got is None or (got == want if name != "stddev_pop" else math.isclose(got, want, rel_tol=3e-16)), name


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, 50), st.integers(0, 2000), st.just(0)), min_size=1, max_size=25),
    st.integers(1, 100),
    st.integers(1, 50),
)
def test_dominance_never_accepts_a_dominated_cell(amounts: list[int], share: int, p: int) -> None:
    """Against the true largest contributors; with the bound's own equality decided in exact fractions."""
    total, squares = sum(amounts), sum(amount * amount for amount in amounts)
    ordered = [*sorted(amounts, reverse=True), 0]
    cases = [
        ((1,), (share, 100), ordered[0] * 100 <= share * total),
        ((1, 1), (share, 100), (ordered[0] + ordered[1]) * 100 <= share * total),
        ((100 + p, 100), (100, 1), (100 + p) * ordered[0] + 100 * ordered[1] <= 100 * total),
    ]
    for weights, bound, holds in cases:
        proved = dominance.proves(weights, bound, len(amounts), total, squares)
        assert holds or not proved
        assert proved == bound_holds(amounts, [Fraction(weight) for weight in weights], Fraction(*bound))


def test_dominance_is_tight_where_all_others_are_equal() -> None:
    """One contributor of 10 and ten of 1: exactly one half; the bound is attained, so (1,50) passes and (1,49) does not."""
    amounts = [10, *[1] * 10]
    total, squares = sum(amounts), sum(amount * amount for amount in amounts)
    assert dominance.proves((1,), (50, 100), len(amounts), total, squares)
    assert not dominance.proves((1,), (49, 100), len(amounts), total, squares)
    assert not dominance.proves((1,), (50, 100), len(amounts), total + 1, squares + 21)


@pytest.mark.parametrize("size", [10, 20, 100])
def test_ordinary_cells_pass(size: int) -> None:
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 30 + (n * 37) % 60} for n in range(size)]
    question = Question(functions=FUNCTIONS)
    assert release(plan_of(question, RULES), table_of(question, rows, K)).withheld == ()


def judge(values: list[int], *, lowest: str | None, highest: str | None, with_absolute: bool) -> tuple[list[str], str]:
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": value} for n, value in enumerate(values)]
    question = Question(functions=("count", "sum"))
    table = table_of(question, rows, K, with_absolute=with_absolute)
    answer = release(plan_of(question, RULES, lowest=lowest, highest=highest), table)
    verdict = next(finding.verdict for finding in answer.findings if finding.check == "dominance")
    return [entry.reason for entry in answer.withheld], verdict


def test_amounts_of_either_sign_need_their_absolute_sum() -> None:
    mixed = [(-1) ** n * (20 + n) for n in range(20)]
    assert judge(mixed, lowest="-100", highest="100", with_absolute=False) == (["DOMINANCE"], "inconclusive")
    assert judge(mixed, lowest="-100", highest="100", with_absolute=True) == ([], "pass")
    assert judge([-value for value in range(20, 40)], lowest="-100", highest="0", with_absolute=False) == ([], "pass")
    assert judge([*[1, -1] * 10, 500], lowest="-1000", highest="1000", with_absolute=True) == (["DOMINANCE"], "fail")


def test_a_total_of_zero_tells_every_amount_and_is_withheld() -> None:
    assert judge([0] * 20, lowest="0", highest="9", with_absolute=False) == (["DOMINANCE"], "fail")
    assert judge([0] * 19 + [5], lowest="0", highest="9", with_absolute=False) == (["DOMINANCE"], "fail")


def test_missing_or_contradicting_squares_are_not_provable() -> None:
    question = Question(functions=("sum",))
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 30} for n in range(20)]
    cell = table_of(question, rows, K).cells[0]
    for squares in (None, 1):
        moments = Moments(contributors=20, count=20, sum=600, squares=18000, contribution_squares=squares)
        table = CellTable(cells=(type(cell)(labels=(), keys=20, rows=20, moments={(1, 0): moments}),))
        answer = release(plan_of(question, RULES), table)
        assert [entry.reason for entry in answer.withheld] == ["DOMINANCE"]


def test_no_values_is_null_and_not_withheld() -> None:
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": None} for n in range(12)]
    question = Question(groups=(SEX,), functions=("count_rows", "count", "sum", "avg"))
    answer = release(plan_of(question, RULES), table_of(question, rows, K))
    assert answer.rows == (("f", 12, 0, None, None),)
    assert answer.withheld == ()
    assert [(entry.column, entry.reason) for entry in answer.no_values] == [("sum", "NO_VALUES"), ("avg", "NO_VALUES")]


def test_an_empty_join_without_groups_is_one_row_of_count_zero() -> None:
    question = Question(functions=("count_rows", "count", "sum"))
    answer = release(plan_of(question, RULES), CellTable(cells=()))
    assert answer.rows == ((0, 0, None),)
    assert not answer.nothing_released
    below = release(plan_of(question, RULES), CellTable(cells=(), below=((),)))
    assert below.rows == ((None, None, None),)
    assert below.nothing_released
    grouped = Question(groups=(SEX,), functions=("count_rows",))
    assert release(plan_of(grouped, RULES), CellTable(cells=())).rows == ()


def test_a_group_that_vanished_at_its_provider_stays_as_rare() -> None:
    question = Question(groups=(SEX,), functions=("count_rows",))
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 1} for n in range(12)]
    table = table_of(question, rows, K)
    note = ProviderNote(input=0, keys_removed=2, rows_removed=2, vanished=(("m",),))
    answer = release(plan_of(question), CellTable(cells=table.cells, notes=(note,)))
    assert answer.rows == (("f", 12), ("m", None))
    assert [entry.reason for entry in answer.withheld] == ["RARE_GROUP"]
    assert answer.record.inputs[0].trimmed


def test_k_of_contributors_may_differ_from_k_of_keys() -> None:
    rules = structs.replace(THRESHOLDS_ONLY, min_contributors=8)
    rows = [{"id": n, "sex": "f", "age": 1, "zone": "x", "value": 3 if n < 6 else None} for n in range(30)]
    question = Question(functions=("count_rows", "sum"))
    answer = release(plan_of(question, rules), table_of(question, rows, K))
    assert [(entry.column, entry.reason) for entry in answer.withheld] == [("sum", "BELOW_K")]
