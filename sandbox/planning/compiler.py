"""compile_question: from an operator's SQL to a Plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from sqlglot import exp

from sandbox.errors import UsageError
from sandbox.model.asset import Asset
from sandbox.model.canonical import digest
from sandbox.model.expression import AggregateRef, ColumnRef, Expression, GroupRef, IsNull
from sandbox.model.federation import Federation
from sandbox.model.plan import (
    Cipher,
    ColumnUse,
    GateRules,
    LocalGroup,
    Measure,
    Order,
    Parameters,
    Plan,
    PlanInput,
    Protocol,
    SelectItem,
    Use,
)
from sandbox.model.policy import MatchingMode
from sandbox.planning.aggregates import FUNCTION_NAMES, Cells, is_aggregate
from sandbox.planning.expressions import MAX_INTEGER, Reader, Typed
from sandbox.planning.federated import federated_scope, find_federated, part_dropped, part_inputs, part_uses, with_domains
from sandbox.planning.grammar import parse, place, unwrap
from sandbox.planning.noised import require_noise
from sandbox.planning.question import Question
from sandbox.planning.scope import Scope, read_tables

USES: tuple[Use, ...] = ("join_key", "group", "filter", "count", "sum", "mean", "variance", "moments", "train")
_MAX_NAME = 63
_CELL_HINT = "HAVING and ORDER BY take groups and aggregates of this question"


def compile_question(
    sql: str,
    *,
    assets: Mapping[str, Asset],
    federations: Mapping[str, Federation] | None = None,
    title: str,
    purpose: str,
    recipients: Sequence[str],
    rules: GateRules,
    parameters: Parameters,
    matching: MatchingMode = "blinded",
    operator: str,
    gate: str,
) -> Plan:
    """Return the Plan of a question over these assets (keyed by `provider.table`), or over one of these federated tables.

    Raises QuestionError, with the place in the text, for anything outside the accepted language; UsageError for a title,
    purpose, recipient or parameter that cannot be used.
    """
    check_texts(title, purpose, recipients)
    if rules.model is not None or rules.risk is not None:
        judges = "models, not tables" if rules.model is not None else "rows of one table, not statistics"
        raise UsageError(f"the profile {rules.profile} judges {judges}; take one of the profiles for statistics")
    reading = Reading(sql, assets, federations or {})
    cells, scope, table = reading.cells, reading.scope, reading.federated
    local, groups = cells.plan_groups(reading.group_names())
    measures = [cells.measures(index) for index in range(len(scope.tables))]
    if table is None:
        inputs, uses, dropped = _inputs(scope, reading.filters, local, measures), _uses(cells), _dropped(cells)
    else:
        inputs = part_inputs(table, scope, reading.filters[0], local[0], measures[0])
        uses, dropped = part_uses(table, _uses(cells)), part_dropped(table, _dropped(cells))
        groups = with_domains(table, scope, groups, local[0])
    plan = Plan(
        version=1,
        title=title,
        purpose=purpose,
        recipients=tuple(recipients),
        sql=sql,
        protocol=_protocol(matching, parameters.cipher, is_federated=table is not None),
        key_domain=scope.tables[0].asset.key_domain,
        inputs=inputs,
        groups=groups,
        aggregates=cells.plan_aggregates(),
        select=tuple(reading.select),
        having=reading.having,
        order_by=tuple(reading.order_by),
        limit=reading.limit,
        uses=uses,
        dropped=dropped,
        rules=rules,
        parameters=parameters,
        operator=operator,
        gate=gate,
        federation=None if table is None else table.federation,
    )
    require_noise(reading.question, plan)
    return plan


def check_texts(title: str, purpose: str, recipients: Sequence[str]) -> None:
    """Raise UsageError for a title, purpose or recipient that cannot be used."""
    for what, text in (("title", title), ("purpose", purpose), *(("recipient", name) for name in recipients)):
        if not text or not text.isprintable():
            raise UsageError(f"the {what} is empty or has control characters")
    if not recipients:
        raise UsageError("a question needs at least one recipient")


class Reading:
    """One pass over a parsed question, clause by clause in the order in which SQL evaluates them."""

    def __init__(self, sql: str, assets: Mapping[str, Asset], federations: Mapping[str, Federation]) -> None:
        self.question = Question(sql)
        self._tree = parse(self.question)
        self.federated = find_federated(self.question, self._tree, federations, assets)
        if self.federated is None:
            self.scope = read_tables(self.question, self._tree, assets, tuple(federations))
        else:
            self.scope = federated_scope(self.question, self._tree, self.federated)
        self.cells = Cells(self.question, self.scope)
        self._items = [_split(item, self.question) for item in self._tree.expressions]
        self.filters = self._read_filters()
        self._read_groups()
        self.select = self._read_select()
        self.having = self._read_having()
        self.order_by = self._read_order()
        self.limit = self._read_limit()

    def group_names(self) -> list[str]:
        """Return a name for each group: its alias, its column's name, or a description; no name twice."""
        names: list[str] = []
        chosen = {item.source.index: item.name for item in self.select if isinstance(item.source, GroupRef)}
        taken = {item.name.lower() for item in self.select}
        for index, (typed, owner) in enumerate(self.cells.groups):
            name = chosen.get(index)
            if name is None:
                columns = sorted(column for _, column in typed.columns)
                stem = columns[0] if len(columns) == 1 else "group"
                qualified = f"{self.scope.tables[owner].alias}.{stem}"
                options = (stem, qualified, *(f"{qualified}_{number}" for number in range(2, len(self.cells.groups) + 3)))
                name = next(option for option in options if option.lower() not in taken)
            taken.add(name.lower())
            names.append(name)
        return names

    def _read_filters(self) -> list[list[Expression]]:
        filters: list[list[Expression]] = [[] for _ in self.scope.tables]
        where = self._tree.args.get("where")
        pending = [where.this] if where is not None else []
        reader = self.cells.reader("filter")
        while pending:
            term = unwrap(pending.pop())
            if isinstance(term, exp.And):
                pending += [term.expression, term.this]
                continue
            typed = reader.condition(term)
            owner = self._owner(term, typed)
            filters[owner].append(typed.expression)
            match typed.expression:
                case IsNull(operand=ColumnRef(name=name), negated=True):
                    self.cells.complete.add((owner, name))
            self.cells.note(typed, "filter")
        return filters

    def _owner(self, term: exp.Expr, typed: Typed) -> int:
        first = min(typed.columns, key=lambda column: column[0])[0]
        if all(index == first for index, _ in typed.columns):
            return first
        found = sorted((self.scope.find(node).start, self.scope.find(node).input) for node in term.find_all(exp.Column))
        start = next(start for start, index in found if index != found[0][1])
        problem = "a condition over columns of several providers"
        raise self.question.error(start, problem, "each condition in WHERE is over one provider; join several by AND")

    def _read_groups(self) -> None:
        group = self._tree.args.get("group")
        for node in group.expressions if group is not None else ():
            target = self._group_target(unwrap(node))
            if is_aggregate(target):
                start = place(self.question, node)
                raise self.question.error(
                    start, "an aggregate cannot be a group", "group by columns; aggregates go to SELECT or HAVING"
                )
            self.cells.add_group(target)

    def _group_target(self, node: exp.Expr) -> exp.Expr:
        """Return what a GROUP BY term stands for: an ordinal or alias of SELECT, or itself. Columns win over aliases."""
        if isinstance(node, exp.Literal) and not node.is_string:
            return self._ordinal(node)
        if isinstance(node, exp.Column) and not node.table and self.scope.lookup(node) is None:
            return next((item for name, item, _ in self._items if name and name.lower() == node.name.lower()), node)
        return node

    def _ordinal(self, node: exp.Expr) -> exp.Expr:
        text = str(node.this)
        if not text.isdigit() or len(text) > 5 or not 1 <= int(text) <= len(self._items):
            problem = f"there is no item {text} in SELECT"
            raise self.question.error(place(self.question, node), problem, f"items count from 1 to {len(self._items)}")
        return self._items[int(text) - 1][1]

    def _read_select(self) -> list[SelectItem]:
        if not self._items:
            raise self.question.error(
                len("SELECT"), "SELECT names nothing", "select groups and aggregates: SELECT t.sex, COUNT(*) AS n"
            )
        items: list[SelectItem] = []
        for alias, node, start in self._items:
            source = self._cell(node)
            name = alias or _default_name(node)
            if len(name) > _MAX_NAME:
                raise self.question.error(start, f"the name is longer than {_MAX_NAME} characters", "use a shorter alias")
            if any(item.name.lower() == name.lower() for item in items):
                raise self.question.error(
                    start, f"two columns of the answer are called {name}", "give one another alias: AS name"
                )
            items.append(SelectItem(name=name, source=source))
        if not any(isinstance(item.source, AggregateRef) for item in items):
            problem = "nothing is aggregated"
            raise self.question.error(
                self._items[0][2], problem, "select at least one of COUNT, SUM, AVG, VAR_SAMP, STDDEV_SAMP, …"
            )
        return items

    def _cell(self, node: exp.Expr) -> GroupRef | AggregateRef:
        """Return the group or aggregate that an expression is."""
        node = unwrap(node)
        if is_aggregate(node):
            return self.cells.add_aggregate(node)
        start = place(self.question, node)
        if not isinstance(node, exp.Column | exp.IntDiv | exp.TimestampTrunc | exp.Case):
            raise self.question.error(start, "this is neither a group nor an aggregate", "select groups and aggregates")
        found = self.cells.find_group(node)
        if found is None:
            raise self.question.error(
                start,
                "this is neither grouped nor aggregated",
                "raw values stay at their provider: add it to GROUP BY, or aggregate it",
            )
        return found

    def _alias(self, node: exp.Expr) -> GroupRef | AggregateRef | None:
        if not isinstance(node, exp.Column) or node.table:
            return None
        return next((item.source for item in self.select if item.name.lower() == node.name.lower()), None)

    def _having_reference(self, node: exp.Expr) -> Typed:
        """Return what a name or call in HAVING means. A grouped column wins over an alias, as in DuckDB."""
        node = unwrap(node)
        alias = self._alias(node)
        found = self.scope.lookup(node) if alias is not None else None
        grouped = self.cells.column_group(found) if found is not None else None
        reference = grouped or alias or self._cell(node)
        return Typed(reference, self.cells.type_of(reference))

    def _read_having(self) -> Expression | None:
        having = self._tree.args.get("having")
        if having is None:
            return None
        return _CellReader(self.question, self._having_reference).condition(having.this).expression

    def _read_order(self) -> list[Order]:
        order = self._tree.args.get("order")
        terms = []
        for term in order.expressions if order is not None else ():
            node = unwrap(term.this)
            ordinal = isinstance(node, exp.Literal) and not node.is_string
            by = self._cell(self._ordinal(node)) if ordinal else self._alias(node) or self._cell(node)
            terms.append(Order(by=by, descending=bool(term.args.get("desc")), nulls_first=bool(term.args.get("nulls_first"))))
        return terms

    def _read_limit(self) -> int | None:
        limit = self._tree.args.get("limit")
        if limit is None:
            return None
        node = unwrap(limit.expression)
        text = str(node.this) if isinstance(node, exp.Literal) and not node.is_string else ""
        if not text.isdigit() or int(text[:20]) > MAX_INTEGER or len(text) > 20:
            raise self.question.error(place(self.question, node), "LIMIT takes a number of rows", "LIMIT 10")
        return int(text)


class _CellReader(Reader):
    """Reads HAVING: a whole `//`, date_trunc or CASE means the group that it equals."""

    def scalar(self, node: exp.Expr) -> Typed:
        """Return a literal, a group or an aggregate."""
        node = unwrap(node)
        return self._leaf(node) if isinstance(node, exp.IntDiv | exp.TimestampTrunc | exp.Case) else super().scalar(node)


def _split(item: exp.Expr, question: Question) -> tuple[str, exp.Expr, int]:
    """Return a SELECT item's alias (or nothing), its expression, and where it starts."""
    alias = item.alias if isinstance(item, exp.Alias) else ""
    node = unwrap(item.this if isinstance(item, exp.Alias) else item)
    return alias, node, place(question, node)


def _default_name(node: exp.Expr) -> str:
    """Return the name of a SELECT item without an alias: as DuckDB names it, without the table."""
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
        names = ", ".join(column.name for column in node.find_all(exp.Column))
        return f"count(DISTINCT {names})"
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
        return "count_star()"
    if is_aggregate(node):
        arguments = [part for part in (node.this, node.args.get("expression")) if part is not None]
        return f"{FUNCTION_NAMES[type(node)]}({', '.join(unwrap(part).name for part in arguments)})"
    if isinstance(node, exp.Column):
        return node.name
    columns = ", ".join(dict.fromkeys(column.name for column in node.find_all(exp.Column)))
    if isinstance(node, exp.IntDiv):
        return f"{columns} // {unwrap(node.expression).name}"
    return f"{node.args['unit'].name.lower()} of {columns}" if isinstance(node, exp.TimestampTrunc) else f"case of {columns}"


def _inputs(
    scope: Scope, filters: list[list[Expression]], groups: list[list[LocalGroup]], measures: list[tuple[Measure, ...]]
) -> tuple[PlanInput, ...]:
    assets = [table.asset for table in scope.tables]
    carrier = _carrier([asset.unique for asset in assets], [bool(part) for part in measures])
    weighs = [bool(part) or index == carrier for index, part in enumerate(measures)]
    return tuple(
        PlanInput(
            provider=asset.provider,
            asset=asset.name,
            asset_version=asset.version,
            asset_digest=digest(asset),
            alias=scope.tables[index].alias,
            key=asset.key,
            unique=asset.unique,
            padded_rows=asset.padded_rows,
            filters=tuple(filters[index]),
            groups=tuple(groups[index]),
            measures=measures[index],
            carries=index == carrier,
            opens_multiplicity=not asset.unique and any(weigh for other, weigh in enumerate(weighs) if other != index),
        )
        for index, asset in enumerate(assets)
    )


def check_cipher(cipher: Cipher) -> None:
    """Raise UsageError for a cipher that masks no secure sum."""
    if cipher not in get_args(Cipher):
        raise UsageError(f"masks are by {' or '.join(get_args(Cipher))}; {cipher!a} is none of them")


def _protocol(matching: MatchingMode, cipher: Cipher, *, is_federated: bool) -> Protocol:
    check_cipher(cipher)
    if matching not in get_args(MatchingMode):
        raise UsageError(f"keys are matched {' or '.join(get_args(MatchingMode))}; {matching!a} is no way of matching")
    if not is_federated:
        if cipher != Parameters().cipher:
            raise UsageError("a join adds up no masked vectors: leave the parameter `cipher` out")
        return "join/1" if matching == "blinded" else "keyed-join/1"
    if matching != "blinded":
        raise UsageError("a federated table has no keys to match: leave the parameter `matching` out")
    return "aggregation/1"


def _carrier(unique: list[bool], measured: list[bool]) -> int:
    """Return which input carries COUNT(*): one with measures and repeated keys, or measures, or repeated keys, or the first.

    Its own multiplicity then stays encrypted with the rest of its numbers.
    """
    everyone = range(len(unique))
    choices = (
        [index for index in everyone if measured[index] and not unique[index]],
        [index for index in everyone if measured[index]],
        [index for index in everyone if not unique[index] and not any(measured)],
    )
    return next((found[0] for found in choices if found), 0)


def _uses(cells: Cells) -> tuple[ColumnUse, ...]:
    found: list[ColumnUse] = []
    for index, table in enumerate(cells.scope.tables):
        for column in table.asset.columns:
            uses = set(cells.uses.get((index, column.name), ()))
            if column.name in table.asset.key:
                uses.add("join_key")
            if uses:
                ordered = tuple(use for use in USES if use in uses)
                found.append(ColumnUse(asset=table.asset.name, column=column.name, uses=ordered))
    return tuple(found)


def _dropped(cells: Cells) -> tuple[str, ...]:
    return tuple(
        f"{table.asset.name}.{column.name}"
        for index, table in enumerate(cells.scope.tables)
        for column in table.asset.columns
        if (index, column.name) not in cells.uses and column.name not in table.asset.key
    )
