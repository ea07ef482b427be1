"""Parsing, and the allow-list of what a parsed question may be made of: node types and, for each, its arguments."""

from __future__ import annotations

import threading

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, ParseError, TokenError

from sandbox.errors import QuestionError
from sandbox.planning.accounting import check_accounted
from sandbox.planning.question import MAX_NESTING, Question, Token
from sandbox.planning.words import check_words, unexpected

_BINARY = {"this", "expression"}
_ALLOWED: dict[type[exp.Expr], set[str]] = {
    exp.Select: {"expressions", "from_", "joins", "where", "group", "having", "order", "limit"},
    exp.From: {"this"},
    exp.Join: {"this", "kind", "on", "using"},
    exp.Table: {"this", "db", "alias"},
    exp.TableAlias: {"this"},
    exp.Identifier: {"this", "quoted"},
    exp.Column: {"this", "table"},
    exp.Alias: {"this", "alias"},
    exp.Star: set(),
    exp.Literal: {"this", "is_string"},
    exp.Boolean: {"this"},
    exp.Null: set(),
    exp.Neg: {"this"},
    exp.Paren: {"this"},
    exp.Cast: {"this", "to"},
    exp.DataType: {"this", "nested"},
    exp.Var: {"this"},
    exp.Tuple: {"expressions"},
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: {"this"},
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.IntDiv: _BINARY,
    exp.Is: _BINARY,
    exp.In: {"this", "expressions"},
    exp.Between: {"this", "low", "high"},
    exp.Case: {"this", "ifs", "default"},
    exp.If: {"this", "true"},
    exp.TimestampTrunc: {"this", "unit"},
    exp.Count: {"this", "big_int"},
    exp.Distinct: {"expressions"},
    exp.Sum: {"this"},
    exp.Avg: {"this"},
    exp.Variance: {"this"},
    exp.VariancePop: {"this"},
    exp.Stddev: {"this"},
    exp.StddevSamp: {"this"},
    exp.StddevPop: {"this"},
    exp.Corr: _BINARY,
    exp.CovarSamp: _BINARY,
    exp.CovarPop: _BINARY,
    exp.RegrSlope: _BINARY,
    exp.RegrIntercept: _BINARY,
    exp.RegrR2: _BINARY,
    exp.Where: {"this"},
    exp.Group: {"expressions"},
    exp.Having: {"this"},
    exp.Order: {"expressions"},
    exp.Ordered: {"this", "desc", "nulls_first"},
    exp.Limit: {"expression"},
}
_JOIN_HINT = "only inner joins over the full key: JOIN provider.table t ON t.key = s.key"
_ARGUMENTS = ("a function with too few or too many columns", "CORR, COVAR_… and REGR_… take two columns, other aggregates one")
_HINT = "accepted are groups, aggregates and plain conditions"
_UNKNOWN: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Dot: ("a dot after something that is no table's name", "write t.column"),
    exp.Column: ("a name of more than two parts", "write t.column"),
    exp.Table: ("this form of table is not accepted", "write provider.table t JOIN provider.table s ON t.key = s.key"),
    exp.TableAlias: ("an alias with a list of columns", "write provider.table t"),
    exp.In: ("IN needs a list of literals", "write t.column IN ('a', 'b')"),
    exp.Subquery: ("sub-queries are not accepted", "ask one flat SELECT"),
    exp.Join: (
        "this kind of join is not accepted",
        _JOIN_HINT,
    ),
    exp.Select: ("a clause that is not accepted", "SELECT, FROM, JOIN … ON, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT"),
}
_KEYWORD_OF: dict[type[exp.Expr], set[str]] = {
    exp.Boolean: {"TRUE", "FALSE"},
    exp.Null: {"NULL"},
}
_ERRORS_OF_PARSER = (ParseError, TokenError, RecursionError, ValueError, TypeError, AttributeError, LookupError)


def parse(question: Question) -> exp.Select:
    """Return the parsed question, made of allowed nodes only. Raises QuestionError with the place of the first fault."""
    check_words(question)
    tree = _parse(question)
    if not isinstance(tree, exp.Select):
        raise question.error(0, "this is not a SELECT", "write SELECT … FROM … JOIN …")
    for join in tree.args.get("joins") or ():
        if join.args.get("on") is None and not join.args.get("using"):
            raise question.error(place(question, join.this), "a table without a join condition", _JOIN_HINT)
    for pair in tree.find_all(exp.RegrSlope, exp.RegrIntercept, exp.RegrR2):
        if pair.args.get("expression") is None:  # the parser asks for one argument only
            raise question.error(place(question, pair), *_ARGUMENTS)
    check_accounted(question, tree)
    for node in tree.walk():
        _check_node(question, node)
    return tree


def place(question: Question, node: exp.Expr) -> int:
    """Return the offset at which a node starts in the text."""
    keywords = _KEYWORD_OF.get(type(node))
    if keywords and node.parent is not None:
        start = place(question, node.parent)
        found = _first(question, start, keywords)
        return start if found is None else found.start
    own = node.meta.get("start")
    if isinstance(own, int):
        return own
    starts: list[int] = [child.meta["start"] for child in node.walk() if "start" in child.meta]
    if not starts:
        return place(question, node.parent) if node.parent is not None else 0
    lowest = min(starts)
    if isinstance(node, exp.Case):
        return max(
            (token.start for token in question.tokens if token.upper == "CASE" and token.start <= lowest), default=lowest
        )
    return lowest


def unwrap(node: exp.Expr) -> exp.Expr:
    """Return the node inside any brackets."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _first(question: Question, start: int, words: set[str]) -> Token | None:
    return next((token for token in question.tokens if token.start >= start and token.upper in words), None)


def _parse(question: Question) -> exp.Expr:
    """Parse in a fresh thread: its whole stack is free, so the permitted nesting fits however deep the caller stands."""
    outcome: list[exp.Expr | QuestionError] = []
    thread = threading.Thread(target=lambda: outcome.append(_attempt(question)), name="parse-question")
    thread.start()
    thread.join()
    if not outcome or isinstance(outcome[0], QuestionError):
        raise (
            outcome[0]
            if outcome and isinstance(outcome[0], QuestionError)
            else question.error(0, "the question cannot be read")
        )
    return outcome[0]


def _attempt(question: Question) -> exp.Expr | QuestionError:
    dialect = Dialect.get_or_raise("duckdb")
    try:
        tokens = dialect.tokenize(question.sql)
        trees = dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, question.sql)
    except ParseError as error:
        return _syntax_error(question, error, {(token.line, token.col): token.start for token in tokens})
    except RecursionError:
        return question.error(0, f"nested deeper than {MAX_NESTING} levels", "flatten brackets, CASE and NOT")
    except _ERRORS_OF_PARSER:  # the parser is not total: what it stumbles over is no question
        return question.error(0, "the question cannot be read", "write SELECT … FROM … JOIN … ON … GROUP BY …")
    found = [tree for tree in trees if tree is not None]
    return found[0] if len(found) == 1 else question.error(0, "one question is expected", "ask one SELECT")


def _syntax_error(question: Question, error: ParseError, places: dict[tuple[int, int], int]) -> QuestionError:
    """Return the error at the token that the parser stumbled over, or at the end if it wanted more text."""
    detail = error.errors[0] if error.errors else {}
    start = places.get((detail.get("line", 0), detail.get("col", 0)))
    token = next((token for token in question.tokens if token.start == start), None)
    problem = str(detail.get("description"))
    aggregates = tuple(f".{kind.__name__}'>" for kind in _ALLOWED if issubclass(kind, exp.AggFunc))
    is_short = problem.startswith("Required keyword") and problem.endswith(aggregates)
    if token is not None and (is_short or problem.startswith("The number of provided arguments")):
        return question.error(token.start, *_ARGUMENTS)
    wants_more = problem.startswith(("Expecting", "Expected"))
    return unexpected(question, None if token is question.tokens[-1] and wants_more else token)


def _check_node(question: Question, node: exp.Expr) -> None:
    allowed = _ALLOWED.get(type(node))
    if allowed is None:
        problem, hint = _UNKNOWN.get(type(node), (f"{node.key.upper()} is not accepted", _HINT))
        raise question.error(place(question, node), problem, hint)
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, []):
            problem, hint = _UNKNOWN.get(type(node), (f"this form of {node.key.upper()} is not accepted", _HINT))
            raise question.error(place(question, value if isinstance(value, exp.Expr) else node), problem, hint)
