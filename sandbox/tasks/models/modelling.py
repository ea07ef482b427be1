"""From a finished fit to what may be published: the model as a table, its card, its record, its judge."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import msgspec
import pyarrow as pa

from sandbox.gate.model import judge_model, model_record
from sandbox.learn.rounds import Rounds
from sandbox.learn.steps import KMeansModel, LogisticModel, Model
from sandbox.learn.tables import model_columns
from sandbox.model.canonical import canonical
from sandbox.model.decision import Finding
from sandbox.model.fit import FitSpec, ModelRecord, Round
from sandbox.model.payload import arrow_file
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart, ProductColumn, ReleaseRecord
from sandbox.tasks.card import card_of, sources_of
from sandbox.tasks.judging import Judge, Judged
from sandbox.tasks.methods import method_of
from sandbox.tasks.models.fitting import overlap_of, spec_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fit that has ended, at the gate. model: None where a rule failed. parts: assets in the last sum. rows: behind it."""

    model: Model | None
    record: ModelRecord
    parts: tuple[str, ...]
    rows: int


def fitted(plan: Plan, model: Model | None, rounds: Rounds, *, coarse: Sequence[int] = ()) -> Fitted:
    """Return what a fit came to. coarse: features, by number, whose values are few units of the encoding."""
    spec, rules = spec_of(plan)
    last = rounds.rounds[-1] if rounds.rounds else None
    names = [*spec.features, *([] if spec.target is None else [spec.target])]
    notes = [f"{names[at]} varies by few units of its declared bounds: coefficients lose digits" for at in coarse]
    record = ModelRecord(
        estimator=spec.kind,
        parameters=canonical(spec.estimator).decode(),
        rules=rules,
        bounds="declared",
        rounds=tuple(_told(item, last) for item in rounds.rounds),
        findings=tuple(rounds.findings),
        converged=not isinstance(model, LogisticModel | KMeansModel) or model.converged,
        notes=tuple(notes),
    )
    survivors = () if last is None else last.survivors
    parts = tuple(entry.asset for entry in plan.inputs if entry.provider in survivors)
    return Fitted(model=model, record=record, parts=parts, rows=0 if last is None else rounds.rows)


def judge_of_model(plan: Plan, outcome: Fitted, *, absent: tuple[AbsentPart, ...] = ()) -> Judge:
    """Return the judge of a fit. absent: parts that fell silent."""
    return functools.partial(_judge, plan, outcome, absent)


def _judge(plan: Plan, outcome: Fitted, absent: tuple[AbsentPart, ...], history: Sequence[ReleaseRecord]) -> Judged:
    overlap = overlap_of(plan, len(outcome.parts))
    record = model_record(plan, rows=outcome.rows, parts=outcome.parts, overlap=overlap)
    findings = _by_check(outcome.record.findings)
    model = outcome.model
    if model is not None:
        difference = judge_model(plan, record, history)
        findings = (*findings, difference)
        model = model if difference.verdict == "pass" else None
    spec, _ = spec_of(plan)
    table = _table(spec, model)
    payload, schema = arrow_file(table)
    card = card_of(
        plan,
        sources=sources_of(plan, outcome.parts),
        columns=tuple(ProductColumn(name=field.name, type=_type_name(field.type)) for field in table.schema),
        rows=len(table),
        findings=findings,
        absent=absent,
        model=outcome.record,
    )
    return Judged(
        payload=payload,
        arrow_schema=schema,
        card=card,
        measured=method_of(plan).measure(plan, table, card),
        record=record,
        nothing_released=model is None,
    )


def _told(item: Round, last: Round | None) -> Round:
    """Rows are told of rounds over the last round's parts alone: others would tell, beside these, of parts that were lost."""
    alike = last is not None and item.survivors == last.survivors
    return item if alike else msgspec.structs.replace(item, rows=None)


def _by_check(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for each check, the last, which is the one that failed if any did; the record has every round's."""
    last = {item.check: item for item in findings}
    times = {name: sum(item.check == name for item in findings) for name in last}
    return tuple(
        item if times[name] == 1 or item.verdict != "pass" else msgspec.structs.replace(item, subject=f"{times[name]} rounds")
        for name, item in last.items()
    )


def _table(spec: FitSpec, model: Model | None) -> pa.Table:
    columns = {name: [] for name in spec.columns} if model is None else model_columns(spec, model)
    types = {"integer": pa.int64(), "text": pa.string(), "boolean": pa.bool_()}
    kinds = {"term": pa.string(), "cluster": pa.int64(), "component": pa.int64()}
    if spec.classes:
        kinds["class"] = types[spec.classes[0].type]
    return pa.table({name: pa.array(values, type=kinds.get(name, pa.float64())) for name, values in columns.items()})


def _type_name(kind: pa.DataType) -> str:
    names = {pa.string(): "text", pa.int64(): "integer", pa.bool_(): "boolean"}
    return names.get(kind, "float")
