"""Which words may stand where, judged on tokens: the parser sees only text whose every word is known to this page."""

from __future__ import annotations

from itertools import pairwise

from sandbox.errors import QuestionError
from sandbox.planning.question import Question, Token

AGGREGATES = {
    *("COUNT", "SUM", "AVG", "VAR_SAMP", "VARIANCE", "VAR_POP", "STDDEV_SAMP", "STDDEV", "STDDEV_POP"),
    *("CORR", "COVAR_SAMP", "COVAR_POP", "REGR_SLOPE", "REGR_INTERCEPT", "REGR_R2"),
}
_FUNCTIONS = AGGREGATES | {"DATE_TRUNC"}
_CLAUSES = {"SELECT", "FROM", "JOIN", "INNER", "GROUP", "ORDER", "LIMIT", "ASC", "DESC", "NULLS", "FIRST", "LAST", "AS"}
_BEFORE_BRACKET = {
    *("SELECT", "ON", "USING", "WHERE", "HAVING", "BY", "DISTINCT"),
    *("AND", "OR", "NOT", "IN", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE"),
}
KEYWORDS = _CLAUSES | _BEFORE_BRACKET | {"IS", "NULL", "TRUE", "FALSE", "END"}

RESERVED = KEYWORDS - {"FIRST", "LAST", "NULLS", "END"}
_ITEMS = {"CASE", "END", "NOT", "NULL", "TRUE", "FALSE", "ASC", "DESC", "FIRST", "LAST"}

_FUNCTION_HINT = (
    "accepted: COUNT, SUM, AVG, VAR_SAMP, VAR_POP, STDDEV_SAMP, STDDEV_POP of a column, CORR, COVAR_SAMP, COVAR_POP, "
    "REGR_SLOPE, REGR_INTERCEPT, REGR_R2 of two, and date_trunc('unit', column)"
)
_JOIN_HINT = "only inner joins over the full key: JOIN provider.table t ON t.key = s.key"
_QUANTILE_HINT = "ask a histogram (t.x // 100 AS bin, COUNT(*) … GROUP BY bin); Product.quantiles finds the bins of quantiles"
_QUANTILES = {"MEDIAN", "QUANTILE", "QUANTILE_CONT", "QUANTILE_DISC", "APPROX_QUANTILE", "PERCENTILE_CONT", "HISTOGRAM"}
_NAME_HINT = "if it is a column's name, write it with its table: t.name"
_REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("UNION", "INTERSECT", "EXCEPT"), ("set operations are not accepted", "ask one SELECT per question")),
    **dict.fromkeys(
        ("OVER", "PARTITION", "WINDOW", "QUALIFY"), ("window functions are not accepted", "use GROUP BY and HAVING")
    ),
    "FILTER": ("FILTER is not accepted", "put the condition into WHERE"),
    **dict.fromkeys(("TABLESAMPLE", "SAMPLE"), ("samples are not accepted", "ask over all rows")),
    **dict.fromkeys(
        ("CROSS", "LEFT", "RIGHT", "FULL", "OUTER", "SEMI", "ANTI", "ASOF", "NATURAL", "POSITIONAL", "LATERAL"),
        ("this kind of join is not accepted", _JOIN_HINT),
    ),
    **dict.fromkeys(("WITH", "RECURSIVE", "EXISTS", "VALUES"), ("sub-queries are not accepted", "ask one flat SELECT")),
    **dict.fromkeys(("ANY", "ALL", "SOME"), ("ANY, ALL and SOME are not accepted", "name columns and literals")),
    **dict.fromkeys(
        ("CAST", "TRY_CAST", "INTERVAL", "EXTRACT", "COLLATE"),
        ("conversions are not accepted", "compare a column with a literal of its own type, for times DATE '2026-01-31'"),
    ),
    **dict.fromkeys(
        ("LIKE", "ILIKE", "SIMILAR", "GLOB", "ESCAPE"),
        ("pattern matching is not accepted", "use =, IN, BETWEEN or comparisons with literals"),
    ),
    **dict.fromkeys(("COLUMNS", "EXCLUDE", "REPLACE"), ("column patterns are not accepted", "name each column")),
    **dict.fromkeys(("ROLLUP", "CUBE", "GROUPING"), ("grouping sets are not accepted", "ask one GROUP BY per question")),
    **dict.fromkeys(("PIVOT", "UNPIVOT"), ("pivoting is not accepted", "use GROUP BY")),
    **dict.fromkeys(("OFFSET", "FETCH"), ("OFFSET is not accepted", "use LIMIT")),
}


def check_words(question: Question) -> None:
    """Raise QuestionError at the first word or mark that the accepted language does not know in its place."""
    tokens = question.tokens
    if tokens[0].kind != "word" or tokens[0].upper != "SELECT":
        raise question.error(tokens[0].start, "the question does not start with SELECT", "write SELECT … FROM … JOIN …")
    nothing = Token("mark", "", len(question.sql))
    padded = (nothing, nothing, *tokens, nothing)
    for index in range(2, len(padded) - 1):
        before, previous, token, following = padded[index - 2 : index + 2]
        if token.kind == "mark":
            _check_mark(question, before, previous, token, following)
        elif token.kind == "word":
            _check_word(question, before, previous, token, following)
        elif token.kind == "quoted" and following.text == "(":
            raise question.error(token.start, "functions with quoted names are not accepted", _FUNCTION_HINT)
    _check_strings(question)


def is_name(previous: Token, token: Token, following: Token) -> bool:
    """Whether a word is a name by its place: beside a dot, or after AS."""
    if token.kind != "word":
        return token.kind == "quoted"
    return "." in (previous.text, following.text) or (previous.kind == "word" and previous.upper == "AS")


def _check_word(question: Question, before: Token, previous: Token, token: Token, following: Token) -> None:
    word, called = token.upper, following.text == "("
    if is_name(previous, token, following):
        if called:
            raise question.error(token.start, "methods are not accepted", _FUNCTION_HINT)
        return
    if previous.kind in {"number", "string"} and word not in KEYWORDS:
        raise unexpected(question, token)
    if word == "AS" and (following.kind not in {"word", "quoted"} or following.upper in RESERVED or _opens(previous)):
        raise question.error(
            token.start, "AS without a name to give", "write expression AS name; quote a name that is a keyword"
        )
    if word == "SELECT" and previous.text:
        raise question.error(token.start, "sub-queries are not accepted", "ask one flat SELECT")
    if word == "DISTINCT" and not (previous.text == "(" and before.upper == "COUNT"):
        raise question.error(token.start, "DISTINCT is not accepted here", "only COUNT(DISTINCT key) counts distinct keys")
    if word == "FROM" and called:
        raise question.error(following.start, "sub-queries are not accepted", "name tables as provider.table")
    if word == "JOIN" and called:
        raise question.error(following.start, "sub-queries and nested joins are not accepted", _JOIN_HINT)
    if word in KEYWORDS and not (called and word not in _BEFORE_BRACKET):
        return
    if word in _REFUSED:
        problem, hint = _REFUSED[word]
        raise question.error(token.start, problem, hint if called else f"{hint}; {_NAME_HINT}")
    if called and word not in _FUNCTIONS:
        hint = _QUANTILE_HINT if word in _QUANTILES else _FUNCTION_HINT
        raise question.error(token.start, f"{token.text} is not a function that can be asked", hint)


def _opens(token: Token) -> bool:
    """Whether no expression can end at a token."""
    return (token.kind == "word" and token.upper in RESERVED - {"NULL", "TRUE", "FALSE"}) or token.text in {"", "(", ","}


def _check_mark(question: Question, before: Token, previous: Token, token: Token, following: Token) -> None:
    if token.text == "*":
        if previous.text == "(" and before.upper == "COUNT" and following.text == ")":
            return
        if previous.upper in {"SELECT", ",", "."}:
            raise question.error(token.start, "* would show raw columns", "select groups and aggregates by name")
        raise question.error(token.start, "* is accepted in COUNT(*) only", _FUNCTION_HINT)
    if token.text == "," and (_ends_list(following) or _ends_list(previous) or previous.text == "(" or following.text == ")"):
        raise question.error(token.start, "a comma without an item beside it", "separate items by single commas")
    if token.text == "-" and following.kind != "number":
        raise question.error(token.start, "- is accepted before a number only", "compare a column with a literal: t.x >= -5")
    if token.text == "-" and previous.kind in {"number", "string", "quoted"} | (
        {"word"} if previous.upper not in KEYWORDS else set()
    ):
        raise question.error(token.start, "arithmetic is not accepted", "only // divides a column into bands")
    if token.text == ";" and following.text:
        raise question.error(following.start, "more than one statement", "ask one question at a time")


def _ends_list(token: Token) -> bool:
    """Whether a token can be no item of a list, seen from the comma beside it."""
    if token.kind == "word":
        return token.upper in KEYWORDS - _ITEMS
    return token.kind == "mark" and token.text in {"", ",", ";", "."}


def _check_strings(question: Question) -> None:
    """Literals never touch each other (some engines join them), and date_trunc names its unit by one."""
    for left, right in pairwise(question.tokens):
        if left.kind in {"string", "number"} and right.kind in {"string", "number", "quoted"}:
            raise question.error(right.start, "two literals in a row", "AND, a comma or an operator is missing between them")
        if left.kind == "string" and right.text == "(":
            raise question.error(right.start, "a bracket after a text literal", "text literals are compared with columns")
        if left.text == "." and right.kind not in {"word", "quoted"}:
            raise question.error(right.start, "a name is expected after the dot", "write provider.table or table.column")
    for name, bracket, unit in zip(question.tokens, question.tokens[1:], question.tokens[2:], strict=False):
        if name.kind == "word" and name.upper == "DATE_TRUNC" and bracket.text == "(" and unit.kind != "string":
            raise question.error(unit.start, "date_trunc needs its unit as a text literal", "date_trunc('month', t.day)")


def unexpected(question: Question, token: Token | None) -> QuestionError:
    """Return the error for a token that has no place in the grammar, or for a text that ends too soon."""
    if token is None:
        return question.error(
            len(question.sql.rstrip()), "the question ends too soon", "close brackets and finish the last clause"
        )
    shown = token.text if len(token.text) <= 40 else token.text[:40] + "…"
    return question.error(
        token.start,
        f"{shown} is not expected here",
        "the order is SELECT, FROM, JOIN … ON, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT",
    )
