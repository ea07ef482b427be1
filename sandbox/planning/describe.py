"""A plan in words: what each provider reads and returns, what is joined, what the gate will check, what the answer holds."""

from __future__ import annotations

import math

from sandbox.model.expression import (
    AggregateRef,
    Case,
    ColumnRef,
    Compare,
    DateTrunc,
    Expression,
    FloorDivide,
    GroupRef,
    In,
    IsNull,
    Literal,
    Logic,
    Not,
)
from sandbox.model.federation import Federation
from sandbox.model.fit import FitSpec, ModelRules
from sandbox.model.plan import Aggregate, Order, Plan, PlanInput
from sandbox.planning.describe_release import release_lines
from sandbox.planning.generate import columns_of
from sandbox.planning.lines import Line


def describe(plan: Plan, *, fewest: int = 0) -> tuple[Line, ...]:
    """Return a plan's steps in order, for people. Who learns what and what policies say is not part of it.

    fewest: parts of a federated table that its protocol needs to the end.
    """
    if plan.release is not None:
        return release_lines(plan, plan.release)
    if plan.federation is None:
        lines = _joined(plan)
    else:
        lines = (_federated if plan.fit is None else _fitted)(plan, plan.federation, fewest)
    lines += [Line(step="gate", subject=plan.gate, text=text) for text in _rules(plan)]
    lines += [Line(step="answer", subject=plan.gate, text=text) for text in _answer(plan)]
    return tuple(lines)


def _joined(plan: Plan) -> list[Line]:
    lines = [line for part in plan.inputs for line in _provider(plan, part)]
    key = ", ".join(f"{part.alias}.{'+'.join(part.key)}" for part in plan.inputs)
    keys = "tokens, made with a secret that the providers share," if plan.protocol == "keyed-join/1" else "blinded keys"
    lines.append(Line(step="join", subject=plan.operator, text=f"joins {keys} of domain {plan.key_domain.name}: {key}"))
    lines.append(Line(step="cells", subject=plan.operator, text=f"computes, on ciphertext, {_cells(plan, 'joined rows')}"))
    crossed = [item for item in plan.aggregates if item.other_input is not None and item.other_input != item.input]
    if crossed:
        shown = ", ".join(_aggregate(plan, item) for item in crossed)
        lines.append(Line(step="cells", subject=plan.operator, text=f"sends, masked, numbers of each joined row for {shown}"))
    return lines


def _federated(plan: Plan, federation: Federation, fewest: int) -> list[Line]:
    """One part stands for all, since all compute the same."""
    cells = math.prod(len(group.domain or ()) for group in plan.groups)
    lines = _parts(plan, federation)
    lines += [Line(step=line.step, subject="each part", text=line.text) for line in _provider(plan, plan.inputs[0])]
    masks = f"masks by {plan.parameters.cipher}"
    text = f"adds the parts' masked totals of {cells} cells ({masks}), and never sees one; {_cells(plan, 'rows')}"
    lines.append(Line(step="add", subject=plan.operator, text=text))
    lines.append(_goes_on(plan, max(federation.min_parties, fewest)))
    return lines


def _fitted(plan: Plan, federation: Federation, fewest: int) -> list[Line]:
    part, fit = plan.inputs[0], plan.fit
    if fit is None:
        return []
    read = ", ".join((*part.key, *_columns(part)))
    versions = "" if len({entry.asset_version for entry in plan.inputs}) > 1 else f" (version {part.asset_version})"
    bounds = ", ".join(f"{item.column} ({item.lowest} to {item.highest})" for item in part.measures)
    lines = [
        *_parts(plan, federation),
        Line(step="read", subject="each part", text=f"reads {read}{versions}; bounds: {bounds}"),
    ]
    lines += [
        Line(step="filter", subject="each part", text=f"keeps rows where {show_expression(plan, condition)}")
        for condition in part.complete
    ]
    clipped = [measure.column for measure in part.measures if measure.clip]
    if clipped:
        lines.append(Line(step="filter", subject="each part", text=f"clips to the declared bounds: {', '.join(clipped)}"))
    target = "" if fit.target is None else f" of {fit.target}"
    text = (
        f"sends, masked, in each round, sums over its rows for a {fit.kind} model{target}; no row, no key and no label leaves"
    )
    lines.append(Line(step="return", subject="each part", text=text))
    parameters = ", ".join(f"{name} = {value}" for name, value in _parameters(fit))
    text = f"works out the next round from each round's sums ({parameters or 'no parameters'}), and tells every part"
    lines.append(Line(step="fit", subject=plan.gate, text=text))
    text = f"adds the parts' masked sums of every round (masks by {plan.parameters.cipher}), and never sees one"
    lines += [Line(step="add", subject=plan.operator, text=text), _goes_on(plan, max(federation.min_parties, fewest))]
    return lines


def _parameters(fit: FitSpec) -> list[tuple[str, object]]:
    fields = [(name, getattr(fit.estimator, name)) for name in fit.estimator.__struct_fields__]
    return [(name, f"{len(value)} given centres" if isinstance(value, tuple) else value) for name, value in fields]


def _parts(plan: Plan, federation: Federation) -> list[Line]:
    people = "nobody has rows in two of them" if federation.disjoint else "one person may have rows in all of them"
    parts = ", ".join(part.asset for part in plan.inputs)
    return [Line(step="read", subject="each part", text=f"{len(plan.inputs)} parts of {federation.name}, {people}: {parts}")]


def _goes_on(plan: Plan, left: int) -> Line:
    text = f"goes on without parts that fall silent, while at least {left} are left; the product names them"
    return Line(step="add", subject=plan.operator, text=text)


def show_expression(plan: Plan, expression: Expression) -> str:
    """Return an expression of a plan as people read it; references appear by the group's or aggregate's name."""
    match expression:
        case Literal():
            text = _literal(expression)
        case ColumnRef():
            text = expression.name
        case GroupRef():
            text = plan.groups[expression.index].name
        case AggregateRef():
            text = _aggregate(plan, plan.aggregates[expression.index])
        case Compare():
            text = f"{show_expression(plan, expression.left)} {expression.op} {show_expression(plan, expression.right)}"
        case In():
            options = ", ".join(_literal(option) for option in expression.options)
            text = f"{show_expression(plan, expression.operand)} {'NOT ' * expression.negated}IN ({options})"
        case IsNull():
            text = f"{show_expression(plan, expression.operand)} IS {'NOT ' * expression.negated}NULL"
        case Logic():
            text = f" {expression.op.upper()} ".join(_bracketed(plan, term) for term in expression.terms)
        case Not():
            text = f"NOT {_bracketed(plan, expression.operand)}"
        case FloorDivide():
            text = f"{show_expression(plan, expression.operand)} // {expression.divisor}"
        case DateTrunc():
            text = f"date_trunc('{expression.unit}', {show_expression(plan, expression.operand)})"
        case Case():
            text = _case(plan, expression)
    return text


def _provider(plan: Plan, part: PlanInput) -> list[Line]:
    read = [*part.key, *_columns(part)]
    lines = [
        Line(step="read", subject=part.provider, text=f"reads {', '.join(read)} of {part.asset} (version {part.asset_version})")
    ]
    for condition in part.filters:
        lines.append(Line(step="filter", subject=part.provider, text=f"keeps rows where {show_expression(plan, condition)}"))
    returned = ["rows"]
    for measure in part.measures:
        if measure.times is not None:
            returned.append(f"sum of {measure.column} times {measure.given}")
            continue
        returned.append(f"values of {measure.column}" + (f" where {measure.given} has one" if measure.given else ""))
        if measure.needs_sum:
            returned.append(f"sum of {measure.column} (between {measure.lowest} and {measure.highest}, scale {measure.scale})")
        if measure.needs_squares:
            returned.append(f"sum of squares of {measure.column}")
    by = "".join(f" and {show_expression(plan, group.expression)}" for group in part.groups)
    if plan.federation is None:
        text = f"sends, encrypted, for each key{by}: {', '.join(returned)}"
    else:
        listed = f" for each{by.removeprefix(' and')}" if by else ""
        text = f"sends, masked,{listed or ' over all rows'}: people, {', '.join(returned)}; no key and no label leaves"
    lines.append(Line(step="return", subject=part.provider, text=text))
    clipped = [measure.column for measure in part.measures if measure.clip]
    if clipped:
        lines.append(Line(step="return", subject=part.provider, text=f"clips to the declared bounds: {', '.join(clipped)}"))
    prefix = f"{part.asset}."
    dropped = [name.removeprefix(prefix) for name in plan.dropped if name.startswith(prefix)]
    if dropped:
        lines.append(Line(step="drop", subject=part.provider, text=f"does not read {', '.join(dropped)}"))
    return lines


def _columns(part: PlanInput) -> list[str]:
    expressions = (*part.filters, *(group.expression for group in part.groups))
    names = sorted(set().union(*(columns_of(item) for item in expressions)))
    return list(dict.fromkeys((*names, *(measure.column for measure in part.measures))))


def _cells(plan: Plan, rows: str) -> str:
    groups = ", ".join(group.name for group in plan.groups)
    aggregates = ", ".join(_aggregate(plan, aggregate) for aggregate in plan.aggregates)
    return f"{aggregates} " + (f"for each {groups}" if groups else f"over all {rows}")


def _rules(plan: Plan) -> list[str]:
    rules = plan.rules
    if rules.model is not None:
        return _model_rules(plan, rules.model)
    lines = [
        f"profile {rules.profile}, version {rules.version}",
        f"at least {rules.min_keys} keys in a cell, {rules.min_contributors} with a value behind each aggregate",
        f"at least {rules.min_freedom} keys beyond the parameters of a line (CORR, COVAR, REGR), which is no perfect fit",
    ]
    if plan.federation is None:
        lines.append(f"at least {rules.min_pattern} keys to a pattern of groups, {rules.min_list} rows to a provider's list")
    else:
        lines.append(
            f"no combination with earlier releases that speaks of fewer than {plan.federation.min_parties} parts alone"
        )
    lines.append(f"at least {rules.min_difference} keys of difference to every earlier release")
    shares = [
        (rules.dominance_1, "the largest contributor holds at most {} % of a sum"),
        (rules.dominance_2, "the two largest contributors hold at most {} % of a sum"),
        (rules.p_percent, "no contribution can be estimated to within {} %"),
    ]
    return lines + [text.format(figure) for figure, text in shares if figure is not None]


def _model_rules(plan: Plan, rules: ModelRules) -> list[str]:
    fewest = rules.min_parties if plan.federation is None else max(rules.min_parties, plan.federation.min_parties)
    return [
        f"profile {plan.rules.profile}, version {plan.rules.version}",
        f"at least {rules.min_rows} rows of each part, and behind each class, and behind each cluster whose centre moves",
        f"at least {fewest} parts behind each sum, and {rules.min_degrees_of_freedom} rows more than coefficients",
        f"no combination with earlier releases that speaks of fewer than {fewest} parts alone",
        f"at least {plan.rules.min_difference} people of difference to every earlier release",
    ]


def _answer(plan: Plan) -> list[str]:
    if plan.fit is not None:
        text = f"columns: {', '.join(plan.fit.columns)}; the whole model, or nothing"
        return [text, f"goes to {', '.join(plan.recipients)} for {plan.purpose}"]
    lines = [f"columns: {', '.join(item.name for item in plan.select)}; cells that fail a check stay as NULL with a reason"]
    if plan.having is not None:
        lines.append(f"then keeps rows where {show_expression(plan, plan.having)}")
    if plan.order_by:
        lines.append(f"then sorts by {', '.join(_order(plan, order) for order in plan.order_by)}")
    if plan.limit is not None:
        lines.append(f"then keeps the first {plan.limit} rows")
    return [*lines, f"goes to {', '.join(plan.recipients)} for {plan.purpose}"]


def _order(plan: Plan, order: Order) -> str:
    nulls = "FIRST" if order.nulls_first else "LAST"
    return f"{show_expression(plan, order.by)}{' DESC' * order.descending} NULLS {nulls}"


def _aggregate(plan: Plan, aggregate: Aggregate) -> str:
    if aggregate.function == "count_rows":
        return "COUNT(*)"
    if aggregate.function == "count_keys" or aggregate.input is None or aggregate.measure is None:
        return "COUNT(DISTINCT key)"
    columns = [_measured(plan, aggregate.input, aggregate.measure)]
    if aggregate.other_input is not None and aggregate.other_measure is not None:
        columns.append(_measured(plan, aggregate.other_input, aggregate.other_measure))
    return f"{aggregate.function.upper()}({', '.join(columns)})"


def _measured(plan: Plan, index: int, measure: int) -> str:
    part = plan.inputs[index]
    return f"{part.alias}.{part.measures[measure].column}"


def _case(plan: Plan, expression: Case) -> str:
    branches = "".join(
        f" WHEN {show_expression(plan, branch.condition)} THEN {_literal(branch.result)}" for branch in expression.branches
    )
    otherwise = "" if expression.otherwise is None else f" ELSE {_literal(expression.otherwise)}"
    return f"CASE{branches}{otherwise} END"


def _bracketed(plan: Plan, expression: Expression) -> str:
    text = show_expression(plan, expression)
    return f"({text})" if isinstance(expression, Logic | Not) else text


def _literal(literal: Literal) -> str:
    match literal.type:
        case "null":
            return "NULL"
        case "text":
            return "'" + literal.value.replace("'", "''").replace("\n", " ").replace("\r", " ") + "'"
        case "date" | "timestamp":
            return f"{literal.type.upper()} '{literal.value}'"
        case _:
            return literal.value
