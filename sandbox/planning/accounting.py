"""Proof that the parser left nothing out: every word of the text is in the tree, and the tree has as many of each as the text.

The parser is lenient (it drops what it does not understand, and forgives a missing AND or a stray comma); a question is not.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from sqlglot import exp

from sandbox.planning.question import Question, Token
from sandbox.planning.words import KEYWORDS, RESERVED, is_name, unexpected

_NODES_OF: dict[str, tuple[type[exp.Expr], ...]] = {
    "AND": (exp.And, exp.Between),
    "OR": (exp.Or,),
    "NOT": (exp.Not,),
    "IN": (exp.In,),
    "BETWEEN": (exp.Between,),
    "IS": (exp.Is,),
    "NULL": (exp.Null,),
    "CASE": (exp.Case,),
    "END": (exp.Case,),
    "WHEN": (exp.If,),
    "THEN": (exp.If,),
    "SELECT": (exp.Select,),
    "FROM": (exp.From,),
    "JOIN": (exp.Join,),
    "WHERE": (exp.Where,),
    "HAVING": (exp.Having,),
    "GROUP": (exp.Group,),
    "ORDER": (exp.Order,),
    "BY": (exp.Group, exp.Order),
    "LIMIT": (exp.Limit,),
    "DISTINCT": (exp.Distinct,),
}
_TWO_ARGUMENTS = (
    *(exp.TimestampTrunc, exp.Corr, exp.CovarSamp, exp.CovarPop),
    *(exp.RegrSlope, exp.RegrIntercept, exp.RegrR2),
)
_LISTS = (exp.Select, exp.Group, exp.Order, exp.In, exp.Tuple)


def check_accounted(question: Question, tree: exp.Expr) -> None:
    """Raise QuestionError at a word or comma that the tree does not account for."""
    nodes = list(tree.walk())
    names = {node.meta["start"] for node in nodes if isinstance(node, exp.Identifier) and "start" in node.meta}
    calls = {node.meta["start"] for node in nodes if isinstance(node, exp.Func) and "start" in node.meta}
    edge = (Token("mark", "", -1), *question.tokens, Token("mark", "", len(question.sql)))
    keywords: dict[str, list[Token]] = {}
    for previous, token, following in zip(edge, edge[1:], edge[2:], strict=False):
        named = is_name(previous, token, following)
        if token.kind == "word" and token.start in names and not named and token.upper in RESERVED:
            raise unexpected(question, token)
        if token.start in names or token.start in calls:
            continue
        if token.text == "," or (token.kind == "word" and token.upper in KEYWORDS and not named):
            keywords.setdefault(token.upper, []).append(token)
        elif token.kind == "quoted" or (token.kind == "word" and not _types_literal(token, following)):
            raise unexpected(question, token)
    _check_counts(question, nodes, keywords)


def _types_literal(token: Token, following: Token) -> bool:
    return token.upper in {"DATE", "TIMESTAMP"} and following.kind == "string"


def _check_counts(question: Question, nodes: list[exp.Expr], keywords: dict[str, list[Token]]) -> None:
    kinds = Counter(type(node) for node in nodes)
    expected = {word: sum(kinds[kind] for kind in of) for word, of in _NODES_OF.items()}
    expected[","] = _commas(nodes)
    expected["ELSE"] = sum(isinstance(node, exp.Case) and node.args.get("default") is not None for node in nodes)
    expected["ON"] = sum(isinstance(node, exp.Join) and node.args.get("on") is not None for node in nodes)
    expected["USING"] = sum(isinstance(node, exp.Join) and bool(node.args.get("using")) for node in nodes)
    expected["DESC"] = sum(isinstance(node, exp.Ordered) and bool(node.args.get("desc")) for node in nodes)
    for word, count in expected.items():
        found = keywords.get(word, [])
        if len(found) != count:
            raise unexpected(question, found[-1] if found else None)
    for left, right in pairwise(question.tokens):
        if left in keywords.get("NULLS", []) and right.upper not in {"FIRST", "LAST"}:
            raise unexpected(question, left)
    _check_adverbs(question, keywords)


def _check_adverbs(question: Question, keywords: dict[str, list[Token]]) -> None:
    """ASC, FIRST and LAST leave no node of their own: each must follow what it belongs to, within ORDER BY."""
    order = keywords["ORDER"][-1].start if keywords.get("ORDER") else len(question.sql)
    before = dict(zip(question.tokens[1:], question.tokens, strict=False))
    for word in ("ASC", "DESC", "NULLS", "FIRST", "LAST"):
        for token in keywords.get(word, []):
            if token.start < order or (word in {"FIRST", "LAST"} and before[token].upper != "NULLS"):
                raise unexpected(question, token)
    for token in keywords.get("INNER", []):
        follows = next((item for item in question.tokens if item.start > token.start), None)
        if follows is None or follows.upper != "JOIN":
            raise unexpected(question, token)


def _commas(nodes: list[exp.Expr]) -> int:
    lists = [node.expressions for node in nodes if isinstance(node, _LISTS)]
    lists += [node.args.get("using") or [] for node in nodes if isinstance(node, exp.Join)]
    return sum(max(0, len(items) - 1) for items in lists) + sum(isinstance(node, _TWO_ARGUMENTS) for node in nodes)
