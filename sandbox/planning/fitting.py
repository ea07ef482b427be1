"""compile_fit: from the model that an operator asks for to a Plan over the parts of a federated table."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from sandbox.errors import QuestionError, UsageError
from sandbox.model.asset import Asset, Column
from sandbox.model.expression import ColumnRef, Literal
from sandbox.model.federation import Federation
from sandbox.model.fit import PCA, WITH_TARGET, FitQuestion, FitSpec, KMeans, Logistic
from sandbox.model.plan import ColumnUse, GateRules, LocalGroup, Measure, Parameters, Plan
from sandbox.planning.compiler import USES, Reading, check_cipher, check_texts
from sandbox.planning.federated import FederatedTable, part_dropped, part_inputs, part_uses
from sandbox.planning.generate import quote
from sandbox.planning.scope import UNUSABLE_GRADES

MAX_FEATURES = 200
_NUMBERS = ("integer", "decimal", "float")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BOUND = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_BEFORE_WHERE = 3
_JOINED = ") AND "


def compile_fit(
    question: FitQuestion,
    *,
    assets: Mapping[str, Asset],
    federations: Mapping[str, Federation],
    title: str,
    purpose: str,
    recipients: Sequence[str],
    rules: GateRules,
    parameters: Parameters,
    operator: str,
    gate: str,
) -> Plan:
    """Return the Plan of a model over one of these federated tables.

    Raises QuestionError that names the field (`model.features[1]`, and in `model.where` the place), UsageError for a title,
    purpose, recipient or cipher that cannot be used.
    """
    check_texts(title, purpose, recipients)
    check_cipher(parameters.cipher)
    _check_profile(rules)
    reading, table = _read(question, assets, federations)
    columns = _columns(question, table)
    spec = _spec(question, columns)
    named = [column.name for column in columns]
    numbers = columns[:-1] if spec.classes else columns
    groups = [LocalGroup(expression=ColumnRef(name=columns[-1].name), type=columns[-1].type)] if spec.classes else []
    uses = _uses(table.whole, named, [name for _, name in reading.cells.uses])
    read = {use.column for use in uses}
    dropped = [f"{table.whole.name}.{column.name}" for column in table.whole.columns if column.name not in read]
    return Plan(
        version=1,
        title=title,
        purpose=purpose,
        recipients=tuple(recipients),
        sql=_rows(table.federation.name, question.where.strip(), named),
        protocol="fit/1",
        key_domain=table.whole.key_domain,
        inputs=part_inputs(table, reading.scope, reading.filters[0], groups, tuple(map(_measure, numbers))),
        groups=(),
        aggregates=(),
        select=(),
        having=None,
        order_by=(),
        limit=None,
        uses=part_uses(table, uses),
        dropped=part_dropped(table, dropped),
        rules=rules,
        parameters=parameters,
        operator=operator,
        gate=gate,
        federation=table.federation,
        fit=spec,
    )


def _check_profile(rules: GateRules) -> None:
    if rules.model is None:
        why = "adds noise, which models do not take" if rules.noise is not None else "judges tables"
        raise QuestionError(f"the profile {rules.profile} {why}", hint="take the profile model-controlled")


def _read(
    question: FitQuestion, assets: Mapping[str, Asset], federations: Mapping[str, Federation]
) -> tuple[Reading, FederatedTable]:
    """Return the conditions of `where`, read as those of a question over the table. Raises QuestionError with its place."""
    if not _TABLE.fullmatch(question.table):
        raise QuestionError(f"model.table: {question.table[:80]!a} names no federated table", hint="write it as group.table")
    lines = ["SELECT COUNT(*)", f"FROM {question.table} t"]
    if question.where.strip():
        lines += ["WHERE", question.where]
    try:
        reading = Reading("\n".join(lines), assets, federations)
    except QuestionError as error:
        raise _placed(error) from None
    table = reading.federated
    if table is None:
        raise QuestionError(f"model.table: {question.table} is no federated table", hint="a model is fitted over its parts")
    if reading.having is not None or reading.order_by or reading.limit is not None or reading.cells.groups:
        raise QuestionError("model.where: it holds conditions and nothing else", hint="join conditions by AND, OR, NOT")
    repeating = [part.name for part in table.parts if not part.unique]
    if repeating:
        problem = f"model.table: one person may have several rows in {repeating[0]}, so that rows would not count people"
        raise QuestionError(problem, hint="declare the key unique, or fit on a table with one row for each person")
    return reading, table


def _placed(error: QuestionError) -> QuestionError:
    """Return an error of the whole text as one of the field that it is about."""
    field, before = ("where", _BEFORE_WHERE) if error.line > _BEFORE_WHERE else ("table", error.line)
    return QuestionError(
        f"model.{field}: {error.problem}",
        line=error.line - before,
        column=error.column if error.line > before else 0,
        excerpt=error.excerpt if error.line > before else "",
        hint=error.hint,
    )


def _columns(question: FitQuestion, table: FederatedTable) -> list[Column]:
    """Return the features, then the target. Raises QuestionError for one that cannot be fitted on."""
    with_target = isinstance(question.estimator, WITH_TARGET)
    kind = question.estimator.__struct_config__.tag
    if (question.target is not None) != with_target:
        problem = f"a model of kind {kind} {'needs a column to predict' if with_target else 'predicts no column'}"
        raise QuestionError(f"model.target: {problem}", hint="name it" if with_target else "leave target out")
    if not 1 <= len(question.features) <= MAX_FEATURES:
        raise QuestionError(f"model.features: name 1 to {MAX_FEATURES} columns")
    fields = [(f"model.features[{at}]", name) for at, name in enumerate(question.features)]
    if question.target is not None:
        fields.append(("model.target", question.target))
    found: dict[str, Column] = {}
    for field, name in fields:
        if name in found:
            raise QuestionError(f"{field}: the column {name} is named twice")
        found[name] = _column(table, field, name)
        if not (field == "model.target" and isinstance(question.estimator, Logistic)):
            _check_number(table.whole, field, found[name])
    return list(found.values())


def _column(table: FederatedTable, field: str, name: str) -> Column:
    whole = table.whole
    column = whole.column(name)
    shown = ascii(name[:80])[1:-1]
    if column is None:
        if table.parts[0].column(name) is not None:
            problem, hint = f"{shown} is not classified yet", "its providers classify it; such columns take no part in anything"
            raise QuestionError(f"{field}: {problem}", hint=hint)
        known = [other.name for other in whole.columns]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"its columns: {', '.join(known[:12])}"
        raise QuestionError(f"{field}: {whole.name} has no column {shown}", hint=hint)
    if name in whole.key or column.role in ("direct_identifier", "key"):
        raise QuestionError(f"{field}: {shown} says who somebody is", hint="a model is fitted on what people have in common")
    if column.grade in UNUSABLE_GRADES:
        raise QuestionError(f"{field}: {shown} is of grade {column.grade}", hint="such columns take no part in any question")
    return column


def _check_number(whole: Asset, field: str, column: Column) -> None:
    if column.type not in _NUMBERS:
        hint = "features, and targets of a regression, are integer, decimal or float columns"
        raise QuestionError(f"{field}: {column.name} is of type {column.type}", hint=hint)
    if column.bounds is None:
        hint = f"each part's provider declares the lowest and the highest value of {column.name} at registration"
        raise QuestionError(f"{field}: {column.name} of {whole.name} has no declared bounds", hint=hint)
    low, high = column.bounds
    if not (_BOUND.fullmatch(low) and _BOUND.fullmatch(high) and Fraction(low) <= Fraction(high)):
        raise QuestionError(f"{field}: the bounds of {column.name} are unusable as declared", hint="have them corrected")


def _spec(question: FitQuestion, columns: Sequence[Column]) -> FitSpec:
    estimator, width = question.estimator, len(question.features)
    if isinstance(estimator, PCA) and (estimator.n_components or 1) > width:
        raise QuestionError(f"model.n_components: there are {width} features", hint=f"1 to {width}, or leave it out")
    if isinstance(estimator, KMeans) and estimator.init is not None and len(estimator.init[0]) != width:
        raise QuestionError(f"model.init: each centre has one number for each of {width} features")
    classes = _classes(columns[-1]) if isinstance(estimator, Logistic) else ()
    return FitSpec(estimator=estimator, features=question.features, target=question.target, classes=classes)


def _classes(target: Column) -> tuple[Literal, ...]:
    """Return the labels of a classifier's target, as declared, in scikit-learn's order."""
    if target.type == "boolean":
        return (Literal(type="boolean", value="false"), Literal(type="boolean", value="true"))
    if target.codes is None or target.type not in ("integer", "text"):
        hint = "its providers declare a code list, so that no part shows which classes it holds"
        raise QuestionError(f"model.target: the classes of {target.name} follow from no declaration", hint=hint)
    if len(target.codes) < 2:
        raise QuestionError(f"model.target: the code list of {target.name} has fewer than two classes")
    return tuple(sorted(target.codes, key=lambda code: int(code.value) if code.type == "integer" else code.value))


def _measure(column: Column) -> Measure:
    """Return a column as numbers that enter sums: in its own unit, within its bounds."""
    low, high = column.bounds or ("0", "0")
    largest = max(abs(Fraction(low)), abs(Fraction(high)))
    return Measure(
        column=column.name,
        type=column.type,
        needs_sum=True,
        needs_squares=False,
        bound=-(-largest.numerator // largest.denominator),
        lowest=low,
        highest=high,
        clip=column.clip,
    )


def _uses(whole: Asset, trained: Sequence[str], filtered: Sequence[str]) -> list[ColumnUse]:
    found = []
    for column in whole.columns:
        uses = {use for use, names in (("train", trained), ("filter", filtered)) if column.name in names}
        if column.name in whole.key:
            uses.add("count")
        if uses:
            found.append(ColumnUse(asset=whole.name, column=column.name, uses=tuple(use for use in USES if use in uses)))
    return found


def conditions_of(sql: str, table: str, columns: Sequence[str]) -> str:
    """Return the conditions that a plan's text of rows was made with; columns: features, then the target.

    Raises UsageError for a text that no plan over these columns has.
    """
    before, after = _around(table, columns)
    middle = sql[len(before) : len(sql) - len(after)]
    if before + middle + after == sql:
        if not middle:
            return ""
        if middle.startswith("(") and middle.endswith(_JOINED):
            return middle[1 : -len(_JOINED)]
    raise UsageError("the plan's text is not that of a model over its columns; compile the model again")


def _rows(table: str, where: str, columns: Sequence[str]) -> str:
    """Return, as SQL, which rows are fitted on. Nobody gets them: this is what a reader of the card sees."""
    before, after = _around(table, columns)
    return before + (f"({where}{_JOINED}" if where else "") + after


def _around(table: str, columns: Sequence[str]) -> tuple[str, str]:
    """Return the text of rows before and after its conditions."""
    names = [name if _NAME.fullmatch(name) else quote(name) for name in columns]
    listed = ", ".join(f"t.{name}" for name in names)
    # Not run anywhere: providers run what follows from the plan.
    return f"SELECT {listed} FROM {table} t WHERE ", " AND ".join(f"t.{name} IS NOT NULL" for name in names)  # noqa: S608
