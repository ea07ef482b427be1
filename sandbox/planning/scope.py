"""The tables of a question, how they join, and which column a name means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from sandbox.model.asset import Asset, Column
from sandbox.planning.grammar import place, unwrap
from sandbox.planning.question import Question

MIN_INPUTS, MAX_INPUTS = 2, 4
USABLE_LIFECYCLES = {"published", "coded", "changed"}
UNUSABLE_GRADES = {"core", "secret", "unclassified"}
_KEY_HINT = "join over the full key: JOIN provider.table t ON t.key = s.key"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the question: its alias, its asset, and where it stands in the text."""

    alias: str
    asset: Asset
    start: int


@dataclass(frozen=True, slots=True)
class Found:
    """A column that a name means: input's index and the column; merged if JOIN … USING made one of several."""

    input: int
    column: Column
    start: int
    merged: bool = False

    def is_key(self, tables: list[Table]) -> bool:
        """Whether the column is part of its table's key."""
        return self.column.name in tables[self.input].asset.key


@dataclass(slots=True)
class Scope:
    """Tables in the order of the text, and the key equalities between them.

    unclassified: columns of a federated table's parts that nobody has classified, in lower case.
    """

    question: Question
    tables: list[Table] = field(default_factory=list)
    using: set[str] = field(default_factory=set)
    unclassified: frozenset[str] = frozenset()

    def find(self, node: exp.Expr, *, upto: int | None = None) -> Found:
        """Return the column that a (qualified) name means. Raises QuestionError for none and for several."""
        found = self.lookup(node, upto=upto)
        if found is None:
            name, start = node.name, place(self.question, node)
            if name.lower() in self.unclassified:
                hint = "its providers classify it; such columns take no part in any question"
                raise self.question.error(start, f"{name} is not classified yet", hint)
            raise self.question.error(start, f"no table of this question has a column {name}", self._columns_hint())
        return found

    def lookup(self, node: exp.Expr, *, upto: int | None = None) -> Found | None:
        """Return the column that a name means, or None if no table has it. Raises QuestionError for several."""
        qualifier, start = node.text("table"), place(self.question, node)
        tables = list(enumerate(self.tables[:upto]))
        if qualifier:
            tables = [(index, table) for index, table in tables if table.alias.lower() == qualifier.lower()]
            if not tables:
                names = ", ".join(table.alias for table in self.tables[:upto])
                raise self.question.error(start, f"{qualifier} is not a table here", f"tables at this place: {names}")
        hits = [(index, column) for index, table in tables if (column := self.column(table, node.name, start)) is not None]
        merged = node.name.lower() in self.using and not qualifier
        if len(hits) > 1 and not merged:
            choices = " or ".join(f"{self.tables[index].alias}.{column.name}" for index, column in hits)
            raise self.question.error(start, f"{node.name} could be a column of several tables", f"write {choices}")
        if not hits:
            return None
        return Found(hits[0][0], hits[0][1], start, merged)

    def column(self, table: Table, name: str, start: int) -> Column | None:
        """Return a table's column by name, in any case unless that is ambiguous."""
        exact = table.asset.column(name)
        alike = [column for column in table.asset.columns if column.name.lower() == name.lower()]
        if exact is None and len(alike) > 1:
            raise self.question.error(start, f"{name} could be several columns that differ in case", "write the exact name")
        return exact or (alike[0] if alike else None)

    def _columns_hint(self) -> str:
        parts = []
        for table in self.tables:
            names = [column.name for column in table.asset.columns]
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            parts.append(f"{table.alias}: {shown}")
        return "; ".join(parts)


def read_tables(question: Question, select: exp.Select, assets: Mapping[str, Asset], federations: Iterable[str] = ()) -> Scope:
    """Return the tables of FROM and JOIN, proved to be joined over one key domain. federations: names for the refusals."""
    scope = Scope(question)
    source = select.args.get("from_")
    if not isinstance(source, exp.From):
        raise question.error(
            len(question.sql.rstrip()), "there is no FROM", "name at least two tables: FROM a.t x JOIN b.u y ON …"
        )
    known = sorted({*assets, *federations})
    add_table(scope, source.this, assets, known)
    keys = _Keys(scope)
    for join in select.args.get("joins") or ():
        add_table(scope, join.this, assets, known)
        keys.add_join(join)
    if len(scope.tables) < MIN_INPUTS:
        hint = f"join {MIN_INPUTS} to {MAX_INPUTS} providers' tables over their key, or ask a federated table"
        raise question.error(scope.tables[0].start, "a question over one provider needs no joint computation", hint)
    keys.check_connected()
    return scope


def add_table(scope: Scope, node: exp.Expr, assets: Mapping[str, Asset], known: Sequence[str] = ()) -> None:
    """Take in a table that FROM or JOIN names. Raises QuestionError for one that is unknown or takes no part.

    known: names that a refusal proposes.
    """
    question, start = scope.question, place(scope.question, node)
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise question.error(start, "a table is expected here", "name tables as provider.table")
    if not node.db:
        raise question.error(place(question, node.this), f"{node.name} names no provider", "name tables as provider.table")
    start, name = place(question, node.args["db"]), f"{node.db}.{node.name}"
    matches = [asset for asset in assets.values() if asset.name.lower() == name.lower()]
    exact = [asset for asset in matches if asset.name == name]
    if not matches or (len(matches) > 1 and len(exact) != 1):
        near = difflib.get_close_matches(name, known, n=1)
        shown = [*near, *(other for other in known if other not in near)]
        listed = ", ".join(shown[:12]) + (", …" if len(shown) > 12 else "")
        raise question.error(
            start, f"there is no table {name} in the catalogue", f"tables that can be asked: {listed or 'none'}"
        )
    asset = (exact or matches)[0]
    _check_asset(scope, asset, start)
    alias = node.alias or node.name
    if any(table.alias.lower() == alias.lower() for table in scope.tables):
        raise question.error(start, f"two tables are called {alias}", "give each an alias of its own")
    scope.tables.append(Table(alias, asset, start))


def _check_asset(scope: Scope, asset: Asset, start: int) -> None:
    question = scope.question
    if len(scope.tables) == MAX_INPUTS:
        raise question.error(start, f"more than {MAX_INPUTS} tables", f"join {MIN_INPUTS} to {MAX_INPUTS} providers' tables")
    if any(table.asset.provider == asset.provider for table in scope.tables):
        raise question.error(
            start, f"two tables of provider {asset.provider}", "name one table per provider; let it join its own tables first"
        )
    if asset.lifecycle not in USABLE_LIFECYCLES:
        raise question.error(start, f"{asset.name} is {asset.lifecycle}, not published", "only published tables can be asked")
    if scope.tables and scope.tables[0].asset.key_domain != asset.key_domain:
        ours, theirs = scope.tables[0].asset.key_domain.name, asset.key_domain.name
        names = f"{ours} and {theirs}" if ours != theirs else f"{ours}, declared differently"
        raise question.error(
            start, f"keys of two domains: {names}", "join tables of one key domain; ask a second question for the other"
        )
    columns = [asset.column(name) for name in asset.key]
    types = tuple(column.type for column in columns if column is not None)
    if not asset.key or types != asset.key_domain.types:
        declared = ", ".join(asset.key_domain.types)
        raise question.error(
            start, f"the key of {asset.name} does not fit its key domain ({declared})", "have its registration corrected"
        )
    for column in columns:
        if column is not None and (column.grade in UNUSABLE_GRADES or column.role == "unclassified"):
            state = "unclassified" if column.role == "unclassified" else f"of grade {column.grade}"
            raise question.error(
                start, f"key column {asset.name}.{column.name} is {state}", "such columns take no part in anything"
            )


class _Keys:
    """Key equalities: for each component of the key, which inputs are already known to be equal."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._question = scope.question
        self._classes: list[list[set[int]]] = [[] for _ in scope.tables[0].asset.key]

    def add_join(self, join: exp.Join) -> None:
        """Take in one JOIN's condition. Raises QuestionError unless it consists of key equalities."""
        newest = len(self._scope.tables) - 1
        start = self._scope.tables[newest].start
        if join.args.get("kind") not in (None, "", "INNER"):
            raise self._question.error(start, "this kind of join is not accepted", _KEY_HINT)
        condition, using = join.args.get("on"), join.args.get("using") or []
        for name in using:
            self._add_using(name, newest)
        terms = [condition] if condition is not None else []
        while terms:
            term = unwrap(terms.pop())
            if isinstance(term, exp.And):
                terms += [term.expression, term.this]
            else:
                self._add_equality(term)

    def check_connected(self) -> None:
        """Raise QuestionError unless every component of the key joins every table."""
        everyone = set(range(len(self._scope.tables)))
        for component, classes in enumerate(self._classes):
            reached = next((group for group in classes if 0 in group), {0})
            if reached != everyone:
                table = self._scope.tables[min(everyone - reached)]
                problem = f"{table.alias} is not joined over its key column {table.asset.key[component]}"
                raise self._question.error(table.start, problem, _KEY_HINT)

    def _add_using(self, name: exp.Expr, newest: int) -> None:
        start = place(self._question, name)
        hits = [
            Found(index, column, start)
            for index, table in enumerate(self._scope.tables)
            if (column := self._scope.column(table, name.name, start)) is not None
        ]
        lefts, right = [hit for hit in hits if hit.input < newest], next((hit for hit in hits if hit.input == newest), None)
        if not lefts or right is None:
            raise self._question.error(start, f"{name.name} is not a column of both sides", _KEY_HINT)
        merged = name.name.lower() in self._scope.using
        if len(lefts) > 1 and not merged:
            raise self._question.error(start, f"{name.name} could be a column of several tables", _KEY_HINT)
        for left in lefts:
            self._join(left, right, start)
        self._scope.using.add(name.name.lower())

    def _add_equality(self, term: exp.Expr) -> None:
        start = place(self._question, term)
        sides = [unwrap(term.this), unwrap(term.expression)] if isinstance(term, exp.EQ) else []
        if not sides or not all(isinstance(side, exp.Column) for side in sides):
            raise self._question.error(
                start, "a join condition compares key columns only", f"{_KEY_HINT}; put other conditions into WHERE"
            )
        count = len(self._scope.tables)
        left, right = (self._scope.find(side, upto=count) for side in sides)
        self._join(left, right, left.start)

    def _join(self, left: Found, right: Found, start: int) -> None:
        tables = self._scope.tables
        for side in (left, right):
            if not side.is_key(tables):
                key = ", ".join(tables[side.input].asset.key)
                name = f"{tables[side.input].alias}.{side.column.name}"
                raise self._question.error(
                    side.start, f"{name} is not a key column", f"the key of {tables[side.input].asset.name} is {key}"
                )
        if left.input == right.input:
            raise self._question.error(start, "a join condition within one table", _KEY_HINT)
        component = tables[left.input].asset.key.index(left.column.name)
        if component != tables[right.input].asset.key.index(right.column.name):
            names = f"{left.column.name} and {right.column.name}"
            raise self._question.error(
                start, f"{names} are different parts of the key", "compare each part of the key with its own"
            )
        classes = self._classes[component]
        touched = [group for group in classes if left.input in group or right.input in group]
        merged = {left.input, right.input}.union(*touched)
        self._classes[component] = [group for group in classes if group not in touched] + [merged]
