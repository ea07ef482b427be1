"""The SQL that a provider runs: generated from the Plan alone, over its own table under the fixed name `source`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal as OneOf

from sandbox.errors import SourceError, UsageError
from sandbox.model.asset import Asset, Column
from sandbox.model.canonical import digest
from sandbox.model.expression import ColumnRef, Expression, In
from sandbox.model.plan import Measure, Plan, PlanInput
from sandbox.planning.generate import Parameter, Writer, columns_of, decimal_type, quote
from sandbox.planning.part import Total, part_statement, part_totals

Part = OneOf["key", "group", "value"] | Total
Kind = OneOf["rows_read", "null_keys", "repeated_keys", "not_finite", "out_of_bounds", "uncoded"]

MAX_TOTAL = 10**38 - 1
MAX_PART_ROWS = 10**8
_NO_LIMIT = 2**63 - 1
_DUCKDB_TYPES: dict[str, tuple[str, ...]] = {
    "integer": ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    "text": ("VARCHAR", "ENUM"),
    "boolean": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    "float": ("FLOAT", "DOUBLE"),
}
_DUCKDB_TYPES["decimal"] = ("DECIMAL", *_DUCKDB_TYPES["integer"])
_RESULT_TYPES = {"integer": "BIGINT", "text": "VARCHAR", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}
_FAULTS: dict[Kind, tuple[str, str]] = {
    "null_keys": ("rows have no key", "a federated table counts people by their keys: fill them in, or keep such rows out"),
    "repeated_keys": ("rows repeat a key that is declared unique", "remove the duplicates, or declare that keys repeat"),
    "not_finite": ("values are NaN or infinite", "make them NULL at the source"),
    "out_of_bounds": ("values are beyond the declared bounds", "correct the source, the bounds, or declare clip"),
    "uncoded": ("values are not in the declared code list", "correct the source or the code list"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Generated SQL with numbered parameters $1, $2, …: DuckDB takes `parameters` as a list."""

    sql: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One count of the `checks` statement: its name there, what it counts, over which column.

    must_be_zero: any other count refuses the job. What may be positive is reported: rows read, rows without a key, rows
    whose value is clipped.
    """

    name: str
    kind: Kind
    column: str
    must_be_zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One column of the `rows` statement: its name and DuckDB type, and what it is. index: which key part, group, measure."""

    name: str
    part: Part
    index: int
    sql_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What one provider runs: first `checks` (one row of counts), then `rows`: one row per key and local groups.

    For a part of a federated table `rows` has one row per local groups, and never a key; for a fit each row that is fitted
    on, which stays at the provider.

    columns: the source columns that are read, and no others. max_rows: above it, a sum could pass 38 digits.
    merge_after_normalising: the key domain folds keys, so rows of keys that become equal are to be added up. least_told: below
    it no number of faulty rows is told, since the question chose the rows: its conditions would count people one by one.
    """

    asset: str
    columns: tuple[str, ...]
    checks: Statement
    counts: tuple[Check, ...]
    rows: Statement
    outputs: tuple[Output, ...]
    max_rows: int
    merge_after_normalising: bool
    least_told: int = 0

    @property
    def sql(self) -> str:
        """The `rows` statement with its parameters listed, to be read by people."""
        shown = [f"${number} = {_shown(value)}" for number, value in enumerate(self.rows.parameters, 1)]
        return "\n".join((self.rows.sql, *(f"-- {line}" for line in shown)))


def fragment(plan: Plan, index: int, *, asset: Asset | None = None) -> Fragment:
    """Return what provider `index` of a plan runs.

    asset: the declaration that the plan was made for; with it, code lists of group columns are checked as well. Raises
    UsageError if the plan was made for another version of it, or is not one that can be run.
    """
    if not 0 <= index < len(plan.inputs):
        raise UsageError(f"the plan has {len(plan.inputs)} inputs, none with index {index}")
    part = plan.inputs[index]
    if asset is not None and digest(asset) != part.asset_digest:
        raise UsageError(f"the plan was made for another version of {part.asset}; compile the question again")
    coded = _coded_columns(part, asset)
    return Fragment(
        asset=part.asset,
        columns=_columns(part),
        checks=_write_checks(part, coded),
        counts=_counts(plan, part, coded),
        rows=_write(plan, part),
        outputs=_described(plan, part),
        max_rows=_max_rows(plan, part),
        merge_after_normalising=plan.key_domain.trim or plan.key_domain.fold_case or plan.key_domain.nfkc,
        least_told=plan.rules.min_keys if part.filters else 0,
    )


def require_types(found: Fragment, asset: Asset, types: Mapping[str, str]) -> None:
    """Raise SourceError unless the source has every column that is read, in a DuckDB type that fits its declaration.

    types: column name -> type, as DuckDB's DESCRIBE gives them. To be called before anything runs: no value is converted.
    """
    for name in found.columns:
        column, present = asset.column(name), types.get(name)
        if column is None or present is None:
            raise SourceError(f"{found.asset} has no column {name}; register the table again")
        stem = present.split("(")[0].upper()
        if stem not in _DUCKDB_TYPES[column.type]:
            raise SourceError(
                f"column {name} of {found.asset} is declared {column.type} but stored as {stem}; correct one of them"
            )


def require_sound(found: Fragment, counts: Mapping[str, int]) -> None:
    """Raise SourceError, with numbers of rows and never a value, if the counts of `checks` refuse the job."""
    for check in found.counts:
        count = counts[check.name]
        if check.must_be_zero and count:
            problem, remedy = _FAULTS[check.kind]
            where = f", column {check.column}" if check.column else ""
            told = count if count >= found.least_told else f"fewer than {found.least_told}"
            raise SourceError(f"{found.asset}{where}: {told} {problem}; {remedy}")
        if check.kind == "rows_read" and count > found.max_rows:
            raise SourceError(f"{found.asset}: {count} rows could sum beyond 38 digits; declare narrower bounds")


def _write(plan: Plan, part: PlanInput) -> Statement:
    if plan.fit is not None:
        return _write_sample(part)
    return _write_rows(plan, part) if plan.federation is None else _write_part(plan, part)


def _described(plan: Plan, part: PlanInput) -> tuple[Output, ...]:
    if plan.fit is not None:
        return _sample_outputs(part)
    return _outputs(plan, part) if plan.federation is None else _part_outputs(part)


def _columns(part: PlanInput) -> tuple[str, ...]:
    expressions = (*part.filters, *(group.expression for group in part.groups))
    names = [*part.key, *sorted(set().union(*(columns_of(item) for item in expressions)))]
    names += [name for measure in part.measures for name in (measure.column, measure.given) if name is not None]
    return tuple(dict.fromkeys(names))


def _coded_columns(part: PlanInput, asset: Asset | None) -> list[Column]:
    names = sorted(set().union(*(columns_of(group.expression) for group in part.groups)))
    columns = [asset.column(name) for name in names] if asset is not None else []
    return [column for column in columns if column is not None and column.codes is not None]


def _row_limit(part: PlanInput, measure: Measure) -> int:
    largest = measure.bound**2 if measure.needs_squares else measure.bound
    if measure.times is not None:
        largest *= part.measures[measure.times].bound
    return MAX_TOTAL // largest if measure.needs_sum and largest else _NO_LIMIT


def _max_rows(plan: Plan, part: PlanInput) -> int:
    """Return above how many rows a sum could pass 38 digits; in a part all rows may be one person's, whose sum is squared."""
    most = min((_row_limit(part, measure) for measure in part.measures), default=_NO_LIMIT)
    if plan.federation is None:
        return most
    bounds = [measure.bound for measure in part.measures if measure.needs_sum and measure.bound and measure.times is None]
    squared = min((math.isqrt(MAX_TOTAL) // bound for bound in bounds), default=_NO_LIMIT)
    return min(most, squared, MAX_PART_ROWS)


def _counts(plan: Plan, part: PlanInput, coded: list[Column]) -> tuple[Check, ...]:
    checks = [
        Check(name="rows_read", kind="rows_read", column="", must_be_zero=False),
        Check(name="null_keys", kind="null_keys", column="", must_be_zero=plan.federation is not None),
    ]
    if part.unique:
        checks.append(Check(name="repeated_keys", kind="repeated_keys", column="", must_be_zero=True))
    for index, measure in enumerate(part.measures):
        if measure.times is not None:
            continue
        if measure.type == "float":
            checks.append(Check(name=f"not_finite_{index}", kind="not_finite", column=measure.column, must_be_zero=True))
        if measure.needs_sum:
            must = not measure.clip
            checks.append(Check(name=f"out_of_bounds_{index}", kind="out_of_bounds", column=measure.column, must_be_zero=must))
    for index, column in enumerate(coded):
        checks.append(Check(name=f"uncoded_{index}", kind="uncoded", column=column.name, must_be_zero=True))
    return tuple(checks)


def _write_checks(part: PlanInput, coded: list[Column]) -> Statement:
    writer = Writer()
    key = ", ".join(quote(name) for name in part.key)
    complete = " AND ".join(f"{quote(name)} IS NOT NULL" for name in part.key)
    parts = ["COUNT(*) AS rows_read", f"COUNT(*) FILTER (WHERE NOT ({complete})) AS null_keys"]
    if part.unique:
        distinct = f"COUNT(DISTINCT {key if len(part.key) == 1 else f'row({key})'})"
        parts.append(f"COUNT(*) FILTER (WHERE {complete}) - {distinct} FILTER (WHERE {complete}) AS repeated_keys")
    for index, measure in enumerate(part.measures):
        if measure.times is not None:
            continue
        name = quote(measure.column)
        if measure.type == "float":
            parts.append(f"COUNT(*) FILTER (WHERE NOT isfinite({name})) AS not_finite_{index}")
        if measure.needs_sum:
            low, high = _bounds(writer, measure)
            finite = f"isfinite({name}) AND " if measure.type == "float" else ""
            condition = f"{finite}({name} < {low} OR {name} > {high})"
            parts.append(f"COUNT(*) FILTER (WHERE {condition}) AS out_of_bounds_{index}")
    for index, column in enumerate(coded):
        known = In(operand=ColumnRef(name=column.name), options=column.codes or (), negated=True)
        condition = writer.expression(known) if known.options else f"{quote(column.name)} IS NOT NULL"
        parts.append(f"COUNT(*) FILTER (WHERE {condition}) AS uncoded_{index}")
    sql = "SELECT\n  " + ",\n  ".join(parts) + "\nFROM source" + _where(writer, part.filters)
    return Statement(sql=sql, parameters=tuple(writer.parameters))


def _write_rows(plan: Plan, part: PlanInput) -> Statement:
    writer = Writer()
    keys, by, prepared = _prepared(writer, plan, part)
    totals = ["COUNT(*) AS m"]
    for index, measure in enumerate(part.measures):
        value = f"v_{index}" if measure.times is None else f"v_{index} * v_{measure.times}"
        totals.append(f"COUNT({value}) AS c_{index}")
        if measure.needs_sum:
            totals.append(f"COALESCE(SUM({value}), 0) AS s_{index}")
        if measure.needs_squares:
            totals.append(f"COALESCE(SUM({value} * {value}), 0) AS q_{index}")
    complete = " AND ".join(f"{name} IS NOT NULL" for name in keys)
    listed, grouped = ", ".join((*by, *totals)), ", ".join(by)
    sql = f"WITH prepared AS (\n{prepared}\n)\nSELECT {listed}\nFROM prepared\nWHERE {complete}\nGROUP BY {grouped}"
    return Statement(sql=sql, parameters=tuple(writer.parameters))


def _write_part(plan: Plan, part: PlanInput) -> Statement:
    writer = Writer()
    keys, by, prepared = _prepared(writer, plan, part)
    return Statement(sql=part_statement(part, keys, by, prepared), parameters=tuple(writer.parameters))


def _write_sample(part: PlanInput) -> Statement:
    """Return the query for the rows of a fit: v_<i> as doubles, group_<i> the label of a class, none of them NULL."""
    writer = Writer()
    listed = [f"{_number(writer, measure)} AS v_{index}" for index, measure in enumerate(part.measures)]
    listed += [
        f"{_label(writer.expression(group.expression), group.type)} AS group_{index}" for index, group in enumerate(part.groups)
    ]
    sql = "SELECT\n  " + ",\n  ".join(listed) + "\nFROM source" + _where(writer, part.complete)
    return Statement(sql=sql, parameters=tuple(writer.parameters))


def _number(writer: Writer, measure: Measure) -> str:
    """Return a column as a double, clipped where its declaration says so; other values beyond the bounds refuse the job."""
    name = quote(measure.column)
    value = f"CAST({name} AS DOUBLE)"
    if not measure.clip:
        return value
    low, high = (writer.bind(float(Fraction(end or 0)), "DOUBLE") for end in (measure.lowest, measure.highest))
    return f"CASE WHEN {value} < {low} THEN {low} WHEN {value} > {high} THEN {high} ELSE {value} END"


def _prepared(writer: Writer, plan: Plan, part: PlanInput) -> tuple[list[str], list[str], str]:
    """Return the names of the keys, of keys and groups, and the query that makes them, with values as integers, row by row."""
    prepared = [
        f"CAST({quote(name)} AS {_RESULT_TYPES[kind]}) AS key_{index}"
        for index, (name, kind) in enumerate(zip(part.key, plan.key_domain.types, strict=True))
    ]
    for index, group in enumerate(part.groups):
        prepared.append(f"{_label(writer.expression(group.expression), group.type)} AS group_{index}")
    for index, measure in enumerate(part.measures):
        prepared.append(f"{_value(writer, measure)} AS v_{index}")
    keys = [f"key_{index}" for index in range(len(part.key))]
    by = keys + [f"group_{index}" for index in range(len(part.groups))]
    return keys, by, "  SELECT\n    " + ",\n    ".join(prepared) + "\n  FROM source" + _where(writer, part.filters, indent="  ")


def _where(writer: Writer, filters: tuple[Expression, ...], *, indent: str = "") -> str:
    terms = [writer.expression(condition) for condition in filters]
    return f"\n{indent}WHERE " + f"\n{indent}  AND ".join(terms) if terms else ""


def _label(expression: str, kind: str) -> str:
    return f"CAST({expression} AS {_RESULT_TYPES[kind]})" if kind in _RESULT_TYPES else expression


def _bounds(writer: Writer, measure: Measure) -> tuple[str, str]:
    """Return the declared bounds as parameters that compare with the column without any rounding of its values."""
    low, high = Fraction(measure.lowest or 0), Fraction(measure.highest or 0)
    if measure.type == "float":
        return writer.bind(float(low), "DOUBLE"), writer.bind(float(high), "DOUBLE")
    if measure.type == "integer":
        return writer.bind(math.ceil(low), "HUGEINT"), writer.bind(math.floor(high), "HUGEINT")
    ends = [Decimal(measure.lowest or 0), Decimal(measure.highest or 0)]
    return writer.bind(ends[0], decimal_type(ends[0])), writer.bind(ends[1], decimal_type(ends[1]))


def _value(writer: Writer, measure: Measure) -> str:
    integer = _integer(writer, measure)
    return integer if measure.given is None else f"CASE WHEN {quote(measure.given)} IS NOT NULL THEN {integer} END"


def _integer(writer: Writer, measure: Measure) -> str:
    """Return the expression of value -> integer: round half to even of value · scale, within the declared bounds.

    Beyond them it is the bound where clipping is declared, else NULL, so that no sum can overflow: `checks` has counted those
    rows and refused the job.
    """
    name = quote(measure.column)
    if not measure.needs_sum:
        return name
    low, high = _bounds(writer, measure)
    if measure.type == "float":
        scaled = f"CAST(round_even(CAST({name} AS DOUBLE) * {writer.bind(measure.scale, 'DOUBLE')}, 0) AS HUGEINT)"
    elif measure.type == "integer":
        scaled = f"CAST({name} AS HUGEINT) * {writer.bind(measure.scale, 'HUGEINT')}"
    else:
        product = f"{name} * {writer.bind(measure.scale, f'DECIMAL({len(str(measure.scale))},0)')}"
        scaled = f"CAST(round_even({product}, 0) AS HUGEINT)"
    if not measure.clip:
        return f"CASE WHEN {name} >= {low} AND {name} <= {high} THEN {scaled} END"
    lowest, highest = (writer.bind(_scaled_end(measure, end), "HUGEINT") for end in (measure.lowest, measure.highest))
    return f"CASE WHEN {name} < {low} THEN {lowest} WHEN {name} > {high} THEN {highest} ELSE {scaled} END"


def _scaled_end(measure: Measure, end: str | None) -> int:
    value = Fraction(end or 0)
    return round(float(value) * measure.scale) if measure.type == "float" else round(value * measure.scale)


def _outputs(plan: Plan, part: PlanInput) -> tuple[Output, ...]:
    found = [
        Output(name=f"key_{index}", part="key", index=index, sql_type=_RESULT_TYPES[kind])
        for index, kind in enumerate(plan.key_domain.types)
    ]
    for index, group in enumerate(part.groups):
        sql_type = _RESULT_TYPES.get(group.type, "DECIMAL")
        found.append(Output(name=f"group_{index}", part="group", index=index, sql_type=sql_type))
    found.append(Output(name="m", part="rows", index=0, sql_type="BIGINT"))
    for index, measure in enumerate(part.measures):
        found.append(Output(name=f"c_{index}", part="count", index=index, sql_type="BIGINT"))
        if measure.needs_sum:
            found.append(Output(name=f"s_{index}", part="sum", index=index, sql_type="HUGEINT"))
        if measure.needs_squares:
            found.append(Output(name=f"q_{index}", part="squares", index=index, sql_type="HUGEINT"))
    return tuple(found)


def _part_outputs(part: PlanInput) -> tuple[Output, ...]:
    groups = [
        Output(name=f"group_{index}", part="group", index=index, sql_type=_RESULT_TYPES.get(group.type, "DECIMAL"))
        for index, group in enumerate(part.groups)
    ]
    totals = [Output(name=name, part=total, index=index, sql_type=kind) for name, total, index, kind in part_totals(part)]
    return (*groups, *totals)


def _sample_outputs(part: PlanInput) -> tuple[Output, ...]:
    values = [Output(name=f"v_{index}", part="value", index=index, sql_type="DOUBLE") for index in range(len(part.measures))]
    groups = [
        Output(name=f"group_{index}", part="group", index=index, sql_type=_RESULT_TYPES.get(group.type, "DECIMAL"))
        for index, group in enumerate(part.groups)
    ]
    return (*values, *groups)


def _shown(value: Parameter) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
