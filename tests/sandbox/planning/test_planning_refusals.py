"""Every refusal names its place: line, column, the line itself with a caret, and what would be allowed."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_assets import ASSETS, FLIGHTS, HEALTH, MEASUREMENTS, PATIENTS, compiled

from sandbox.errors import QuestionError, UsageError, exit_code

TABLES = "FROM registry.patients p JOIN lab.measurements l ON l.id = p.id"

# The mark ^ stands before the character that the caret must point at.
REFUSED = [
    # the list of bad questions that the threat model names
    ("SELECT COUNT(*) FROM ^(SELECT * FROM registry.patients) p JOIN lab.measurements l ON l.id = p.id", "sub-quer"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = (^SELECT 1)", "sub-quer"),
    (f"SELECT COUNT(*) ^OVER () {TABLES}", "window"),
    (f"SELECT COUNT(*) {TABLES} ^QUALIFY 1 = 1", "window"),
    (f"SELECT COUNT(*) {TABLES} ^UNION SELECT COUNT(*) {TABLES}", "set operations"),
    ("SELECT COUNT(*) FROM registry.patients p ^CROSS JOIN lab.measurements l", "join"),
    ("SELECT COUNT(*) FROM registry.patients p, ^lab.measurements l", "without a join condition"),
    ("SELECT COUNT(*) FROM registry.patients p ^LEFT JOIN lab.measurements l ON l.id = p.id", "join"),
    ("SELECT COUNT(*) FROM registry.patients p ^ASOF JOIN lab.measurements l ON l.id >= p.id", "join"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN lab.measurements l ON ^l.id > p.id", "key columns only"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN lab.measurements l ON l.id = p.id AND ^l.days = 3", "key columns only"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN lab.measurements l ON ^l.days = p.id", "not a key"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age > ^l.days", "several providers"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age > 3 OR ^l.days = 2", "several providers"),
    (f"SELECT ^* {TABLES}", "raw columns"),
    (f"SELECT p.^* {TABLES}", "raw columns"),
    (f"SELECT ^p.age {TABLES}", "neither grouped nor aggregated"),
    (f"SELECT ^p.age, COUNT(*) {TABLES} GROUP BY p.male", "neither grouped nor aggregated"),
    (f"SELECT ^p.male {TABLES} GROUP BY p.male", "nothing is aggregated"),
    (f"SELECT ^p.id, COUNT(*) {TABLES} GROUP BY 1", "key"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^p.id", "key"),
    (f"SELECT COUNT(DISTINCT ^p.name) {TABLES}", "keys only"),
    (f"SELECT SUM(^DISTINCT l.repeats) {TABLES}", "DISTINCT"),
    (f"SELECT ^DISTINCT p.male, COUNT(*) {TABLES} GROUP BY 1", "DISTINCT"),
    (f"SELECT COUNT(*) ^FILTER (WHERE id = 42) {TABLES}", "FILTER"),
    (f"SELECT CASE WHEN ^p.id = 42 THEN 1 END AS x, COUNT(*) {TABLES} GROUP BY x", "key"),
    (f"SELECT SUM(^CASE WHEN p.id = 42 THEN 1 END) {TABLES}", "plain column"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^p.id = 42", "key"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = 3 OR ^l.id IN (1, 2)", "key"),
    (f"SELECT COUNT(*) {TABLES} HAVING ^p.id = 42", "key"),
    *((f"SELECT ^{name}(p.age) {TABLES}", "not a function") for name in ("list", "string_agg", "any_value", "max", "error")),
    (f"SELECT ^first(p.age) {TABLES}", "not"),
    (f"SELECT ^CAST(p.name AS INTEGER) {TABLES}", "conversions"),
    (f"SELECT p.name^::INTEGER {TABLES}", "cannot be used"),
    ("SELECT COUNT(*) FROM ^query('SELECT 1') p JOIN lab.measurements l ON l.id = p.id", "not a function"),
    ("SELECT COUNT(*) FROM ^read_csv('/etc/passwd') p JOIN lab.measurements l ON l.id = p.id", "not a function"),
    (f"SELECT ^COLUMNS('.*') {TABLES}", "column patterns"),
    (f"SELECT COUNT(*) ^-- all of them\n{TABLES}", "comments"),
    (f"SELECT ^/*+ hint */ COUNT(*) {TABLES}", "comments"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.^аge = 3", "CYRILLIC SMALL LETTER A"),
    (f'SELECT COUNT(*) {TABLES} WHERE p."^аge" = 3', "CYRILLIC SMALL LETTER A"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age =^\u00a03", "NO-BREAK SPACE"),
    (f"SELECT COUNT(*) {TABLES} WHERE l.test = 'a^\u202eb'", "U+202E"),
    (f"SELECT COUNT(*)^\x1b[31m {TABLES}", "U+001B"),
    # functions of two columns
    (f"SELECT CORR(p.age, ^p.age) {TABLES}", "with itself"),
    (f"SELECT CORR(l.value, ^p.id) {TABLES}", "key"),
    (f"SELECT CORR(l.value, ^3) {TABLES}", "two plain columns"),
    (f"SELECT COVAR_POP(^l.test, p.age) {TABLES}", "of type text"),
    (f"SELECT REGR_SLOPE(p.age, ^l.unbounded) {TABLES}", "no declared bounds"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^CORR(p.age, l.value) > 0.5", "belong into HAVING"),
    (f"SELECT ^REGR_COUNT(p.age, l.value) {TABLES}", "not a function"),
    (f"SELECT CORR(l.value, p.age) ^FILTER (WHERE p.age > 3) {TABLES}", "FILTER"),
    (f"SELECT COUNT(*), ^REGR_R2(l.value) {TABLES}", "too few or too many columns"),
    (f"SELECT ^REGR_SLOPE(l.value) {TABLES}", "too few or too many columns"),
    (f"SELECT CORR(l.value^) {TABLES}", "too few or too many columns"),
    (f"SELECT COVAR_POP(l.value, p.age, 3^) {TABLES}", "too few or too many columns"),
    (f"SELECT AVG(l.value, p.age^) {TABLES}", "too few or too many columns"),
    # names
    ("SELECT COUNT(*) FROM ^patients p JOIN lab.measurements l ON l.id = p.id", "names no provider"),
    ("SELECT COUNT(*) FROM ^registry.nobody p JOIN lab.measurements l ON l.id = p.id", "catalogue"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN ^registry.patients q ON p.id = q.id", "two tables of provider"),
    ("SELECT COUNT(*) FROM ^registry.patients p", "one provider"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN ^airline.flights f ON f.origin = p.id", "two domains"),
    ("SELECT COUNT(*) FROM registry.patients p JOIN ^lab.measurements p ON p.id = p.id", "two tables are called"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^p.agee = 3", "no table of this question has a column"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^q.age = 3", "not a table here"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^id = 3", "several tables"),
    ("SELECT COUNT(*) FROM airline.flights f JOIN ^met.weather w ON f.origin = w.origin", "not joined over its key column day"),
    ("SELECT COUNT(*) FROM airline.flights f JOIN met.weather w ON ^f.origin = w.day AND f.day = w.origin", "different parts"),
    ("SELECT COUNT(DISTINCT ^f.origin) FROM airline.flights f JOIN met.weather w USING (origin, day)", "whole keys"),
    (
        "SELECT COUNT(*) FROM registry.patients p JOIN lab.measurements l ON ^e.id = p.id JOIN hospital.events e USING (id)",
        "not a table",
    ),
    # columns that take no part
    (f"SELECT COUNT(*) {TABLES} WHERE ^p.name = 'x'", "direct identifier"),
    (f"SELECT COUNT(^p.name) {TABLES}", "direct identifier"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^p.note", "not classified"),
    (f"SELECT SUM(^p.secret_score) {TABLES}", "grade core"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^p.ungraded", "not graded"),
    (f"SELECT COUNT(^p.id) {TABLES}", "key"),
    # types
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^'01'", "integer cannot be compared with a text"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^'01' = p.age", "integer cannot be compared with a text"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age IN (1, ^'2')", "integer cannot be compared with a text"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age BETWEEN 1 AND ^'2'", "integer cannot be compared with a text"),
    (f"SELECT COUNT(*) {TABLES} WHERE l.test = ^5", "text cannot be compared with a integer"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.born >= ^'2026-01-31'", "date cannot be compared with a text"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.born >= DATE ^'2026-02-31'", "no such day"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^NULL", "NULL"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^TRUE", "boolean"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^p.age", "a condition is expected"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^1 = 1", "literals only"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^9223372036854775808", "too many digits"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^1e5", "form of number"),
    (f"SELECT AVG(^p.insured) {TABLES}", "boolean"),
    (f"SELECT SUM(^l.test) {TABLES}", "text"),
    (f"SELECT AVG(^l.unbounded) {TABLES}", "no declared bounds"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^l.value", "float column cannot be a group"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY p.age // ^0", "positive integer"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^date_trunc('eon', p.born)", "eon"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^CASE WHEN p.age < 3 THEN 'a' ELSE 1 END", "integer and text"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY CASE WHEN p.age < 3 THEN ^p.age END", "not a literal"),
    # clauses
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^2", "no item 2"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^1", "aggregate cannot be a group"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^ALL", "not accepted"),
    (f"SELECT COUNT(*) {TABLES} GROUP BY ^ROLLUP (p.male)", "grouping sets"),
    (f"SELECT COUNT(*) {TABLES} WHERE ^COUNT(*) > 3", "HAVING"),
    (f"SELECT SUM(^SUM(l.repeats)) {TABLES}", "plain column"),
    (
        f"SELECT COUNT(*) AS n, COUNT(DISTINCT p.id) AS ^n {TABLES}".replace("^n", "n").replace(
            "COUNT(DISTINCT", "^COUNT(DISTINCT"
        ),
        "called n",
    ),
    (f"SELECT COUNT(*) {TABLES} LIMIT 5 ^OFFSET 2", "OFFSET"),
    (f"SELECT COUNT(*) {TABLES} LIMIT ^'x'", "number of rows"),
    (f"SELECT COUNT(*) {TABLES} ORDER BY ^p.male", "neither grouped"),
    (f"SELECT COUNT(*) {TABLES} WHERE l.test ^LIKE 'h%'", "pattern"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age ^+ 1 = 3", "cannot be used"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age ^- 1 = 3", "arithmetic"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age ^* 2 = 3", "COUNT(*) only"),
    (f"SELECT COUNT(*) {TABLES} ^TABLESAMPLE 10 ROWS", "samples"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age BETWEEN 1 ^2", "two literals in a row"),
    (f"SELECT COUNT(*)^, {TABLES}", "comma"),
    (f"SELECT COUNT(*) {TABLES} WHERE p.age = ^?", "cannot be used"),
    (f"SELECT COUNT(*) {TABLES}; ^SELECT 1", "more than one statement"),
    ("^DROP TABLE registry.patients", "SELECT"),
    (f"SELECT COUNT(*) {TABLES} WHERE l.test = ^'open", "closing quote"),
]


@pytest.mark.parametrize(("marked", "problem"), REFUSED)
def test_refusal_points_at_its_place(marked: str, problem: str) -> None:
    sql = marked.replace("^", "", 1)
    offset = marked.index("^")
    with pytest.raises(QuestionError) as caught:
        compiled(sql)
    error = caught.value
    line = sql.count("\n", 0, offset) + 1
    column = offset - (sql.rfind("\n", 0, offset) + 1) + 1
    assert problem in error.problem + error.hint
    assert (error.line, error.column) == (line, column), str(error)
    assert error.hint
    assert exit_code(error) == 2


@pytest.mark.parametrize(("marked", "problem"), REFUSED)
def test_refusal_points_at_its_place_over_many_lines(marked: str, problem: str) -> None:
    """The same questions, a clause to a line, with Windows line ends: the caret stands under the right character."""
    for word in ("FROM", "JOIN", "WHERE", "GROUP BY"):
        marked = marked.replace(f" {word} ", f"\r\n  {word} ")
    sql = marked.replace("^", "", 1)
    offset = marked.index("^")
    with pytest.raises(QuestionError) as caught:
        compiled(sql)
    shown = str(caught.value).split("\n")
    caret = shown[2].index("^")
    assert shown[1].isprintable()
    if sql[offset].isascii() and sql[offset].isprintable():
        assert shown[1][caret] == sql[offset]
    assert caught.value.line == sql.count("\n", 0, offset) + 1


def test_text_that_is_too_long_or_too_deep() -> None:
    before = time.monotonic()
    for sql in (
        "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
        "SELECT COUNT(*) " + "x" * 1_000_000,
        "SELECT " + "(" * 20_000,
        f"SELECT COUNT(*) {TABLES} WHERE " + "NOT " * 15_000 + "p.insured",
        f"SELECT COUNT(*) {TABLES} WHERE " + "(" * 41 + "p.insured" + ")" * 41,
        f"SELECT COUNT(*) {TABLES} GROUP BY " + "CASE WHEN " * 100,
        "SELECT" + " -" * 30_000 + "1",
    ):
        with pytest.raises(QuestionError):
            compiled(sql)
    assert time.monotonic() - before < 10


def test_forty_levels_are_accepted_however_deep_the_caller_stands() -> None:
    sql = f"SELECT COUNT(*) {TABLES} WHERE " + "(" * 20 + "NOT (" * 10 + "p.insured" + ")" * 30

    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            assert compiled(sql).inputs[0].filters

    deeper(400)


def test_long_flat_conditions_are_accepted() -> None:
    terms = " AND ".join(f"p.age <> {number % 90}" for number in range(2_000))
    assert len(compiled(f"SELECT COUNT(*) {TABLES} WHERE {terms}").inputs[0].filters) == 2_000
    either = " OR ".join(f"p.age = {number % 90}" for number in range(2_000))
    assert len(compiled(f"SELECT COUNT(*) {TABLES} WHERE {either}").inputs[0].filters) == 1


def test_empty_questions() -> None:
    for sql in ("", " \n\t", ";", "SELECT", "SELECT FROM"):
        with pytest.raises(QuestionError):
            compiled(sql)


def test_tables_that_may_not_be_asked() -> None:
    for change in ({"lifecycle": "draft"}, {"lifecycle": "cancelled"}, {"key": ("days",), "columns": MEASUREMENTS.columns[1:]}):
        asset = msgspec.structs.replace(MEASUREMENTS, **change)
        if "key" in change:
            assert compiled(f"SELECT COUNT(*) {TABLES.replace('l.id', 'l.days')}", {**ASSETS, asset.name: asset})
            continue
        with pytest.raises(QuestionError, match="not published"):
            compiled(HEALTH, {**ASSETS, asset.name: asset})
    key = msgspec.structs.replace(PATIENTS.columns[0], grade="core")
    asset = msgspec.structs.replace(PATIENTS, columns=(key, *PATIENTS.columns[1:]))
    with pytest.raises(QuestionError, match="grade core"):
        compiled(HEALTH, {**ASSETS, asset.name: asset})
    asset = msgspec.structs.replace(FLIGHTS, key=("origin",))
    with pytest.raises(QuestionError, match="does not fit its key domain"):
        compiled("SELECT COUNT(*) FROM airline.flights f JOIN met.weather w USING (origin)", {**ASSETS, asset.name: asset})


def test_five_tables_are_too_many() -> None:
    assets = {f"p{number}.t": msgspec.structs.replace(PATIENTS, provider=f"p{number}", table="t") for number in range(5)}
    joins = " ".join(f"JOIN p{number}.t t{number} ON t{number}.id = t0.id" for number in range(1, 5))
    with pytest.raises(QuestionError, match="more than 4 tables"):
        compiled("SELECT COUNT(*) FROM p0.t t0 " + joins, assets)


def test_recipients_and_purpose_are_printable() -> None:
    from sandbox.model.plan import Parameters
    from sandbox.planning import compile_question, rules_for

    good = {"title": "t", "purpose": "p", "recipients": ("r",), "operator": "o", "gate": "g"}
    for bad in ({"title": ""}, {"purpose": "a\x1b[0m"}, {"recipients": ()}, {"recipients": ("a\nb",)}):
        with pytest.raises(UsageError):
            compile_question(
                HEALTH, assets=ASSETS, rules=rules_for("statistics-open"), parameters=Parameters(), **{**good, **bad}
            )


WORDS = (HEALTH + " p.age // 10 CASE WHEN p.age < 3 THEN 'a' ELSE NULL END date_trunc ( 'month' , p.born ) HAVING ORDER BY "
    "DISTINCT p.id DATE '2020-01-01' NOT IN ( 1 , - 2 ) BETWEEN 1 AND 2.5 IS NULL DESC NULLS LAST LIMIT 5 ; * over row struct "
    "values map union filter interval \"p\" '' exists with as ( ) ( ) . = first array if").split()  # fmt: skip


def refusal_of(sql: str) -> QuestionError | None:
    """Return the refusal of a question, or None if it is accepted. Any other exception fails the test."""
    try:
        compiled(sql)
    except QuestionError as error:
        return error
    return None


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_any_text_is_a_plan_or_a_question_error(text: str) -> None:
    for sql in (text, "SELECT " + text, f"SELECT COUNT(*) {TABLES} " + text):
        refusal_of(sql)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_questions_are_plans_or_question_errors(data: st.DataObject) -> None:
    words = HEALTH.split(" ")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(words) - 1))
        words[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(WORDS), max_size=2))
        words = words or ["SELECT"]
    error = refusal_of(" ".join(words))
    assert error is None or (error.line and error.column and error.hint)
