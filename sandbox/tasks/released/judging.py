"""From the table that reached the gate to what may be published: all of it, or nothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocols.handover import HandedOver
from sandbox.errors import AuditError, DocumentError, UsageError
from sandbox.gate.rows.judge import JudgedRows, judge_rows
from sandbox.gate.rows.table import RowTable, read_table
from sandbox.model.canonical import parse
from sandbox.model.decision import Finding, Verdict
from sandbox.model.evidence import InputCommitment, payload_digest
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard, ProductColumn, ReleaseNote, ReleaseRecord
from sandbox.model.signature import PublicIdentity
from sandbox.model.statement import SignedStatement
from sandbox.tasks.card import card_of, sources_of
from sandbox.tasks.judging import Judge, Judged
from sandbox.tasks.measured import Measured
from sandbox.tasks.methods import method_of
from sandbox.tasks.released.attacking import attacks_asked
from sandbox.tasks.released.measuring import told
from sandbox.tasks.released.releasing import release_of, tags_digest

if TYPE_CHECKING:
    import pyarrow as pa

PRIVATE = ("statement", "together", "draws", "difference", "provider.")
"""Checks that need what only the gate saw, or its provider."""


def judge_of_rows(plan: Plan, received: HandedOver, commitment: InputCommitment, provider: PublicIdentity) -> Judge:
    """Return the judge of a table. commitment: its provider's, from before the session; provider: the key of its signatures."""
    return functools.partial(_judge, plan, received, commitment, provider)


def _judge(
    plan: Plan,
    received: HandedOver,
    commitment: InputCommitment,
    provider: PublicIdentity,
    history: Sequence[ReleaseRecord],
) -> Judged:
    problem, signed, table = "", None, None
    try:
        signed = parse(received.document, SignedStatement, what="the provider's statement")
        signed.verify(provider, place="the provider's statement")
        table = read_table(received.table)
    except (AuditError, DocumentError, UsageError) as error:
        problem = str(error)
    if signed is None or table is None or problem:
        return _refused(plan, _finding(plan, "fail", problem or "the provider made no statement"))
    word = _word(plan, signed, received, commitment)
    attacks = _told(plan, signed.statement.findings)
    if word.verdict != "pass" or any(item.verdict != "pass" for item in attacks):
        return _refused(plan, word, *attacks)
    rows = RowTable(plan=plan, table=table, tags=received.tags, root=commitment.root, committed=commitment.rows)
    judged = judge_rows(rows, history)
    findings = (word, *judged.findings, *attacks)
    if not judged.passes or judged.record is None:
        return _refused(plan, *findings)
    card = _card(plan, table, findings, signed, judged)
    # The rest is in the table, and measured from it.
    only_here = [item for item in findings if item.check.startswith(PRIVATE)]
    return Judged(
        payload=received.table,
        arrow_schema=table.schema.to_string(),
        card=card,
        measured=method_of(plan).measure(plan, table, card).and_also(told(only_here)),
        record=judged.record,
        nothing_released=False,
    )


def _word(plan: Plan, signed: SignedStatement, received: HandedOver, commitment: InputCommitment) -> Finding:
    """Whether what the provider signed is about this task, its committed table, and the bytes that arrived."""
    said = signed.statement
    matches = (
        ("task", said.task == commitment.task),
        ("plan", said.plan == plan.digest()),
        ("table at its provider", (said.provider, said.asset, said.asset_version, said.root) == _source(commitment)),
        ("table", said.table == payload_digest(received.table)),
        ("tags", said.tags == tags_digest(received.tags) and said.rows == len(received.tags)),
        ("rows left out", said.left_out == commitment.rows - said.rows),
    )
    wrong = [name for name, true in matches if not true]
    if wrong:
        return _finding(plan, "fail", f"the provider signed another {wrong[0]} than this one")
    return _finding(plan, "pass", f"{said.provider} signed for this table and for what its attacks found")


def _source(commitment: InputCommitment) -> tuple[str, str, int, str]:
    return (commitment.provider, commitment.asset, commitment.asset_version, commitment.root)


def _told(plan: Plan, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the provider's findings, with an inconclusive one for each attack that was asked for and is not among them."""
    named = {(item.check, item.subject) for item in findings}
    blocked = any(item.verdict != "pass" for item in findings)
    missing = [] if blocked else sorted(attacks_asked(release_of(plan)) - named)
    made = (Finding(check=name, verdict="inconclusive", subject=of, message="not made") for name, of in missing)
    return (*findings, *made)


def _finding(plan: Plan, verdict: Verdict, message: str) -> Finding:
    return Finding(check="statement", verdict=verdict, subject=release_of(plan).asset, message=message)


def _refused(plan: Plan, *findings: Finding) -> Judged:
    """Nothing of the table: the card carries the findings only, and is not published."""
    empty = ReleaseRecord(
        version=1,
        plan_digest=plan.digest(),
        key_domain=plan.key_domain.name,
        inputs=(),
        groups=(),
        aggregates=(),
        cells=(),
    )
    card = card_of(plan, sources=sources_of(plan, ()), columns=(), rows=0, findings=findings)
    return Judged(payload=b"", arrow_schema="", card=card, measured=Measured(measures=()), record=empty, nothing_released=True)


def _card(
    plan: Plan, table: pa.Table, findings: tuple[Finding, ...], signed: SignedStatement, judged: JudgedRows
) -> ProductCard:
    release = release_of(plan)
    note = ReleaseNote(
        label=release.label,
        columns=release.columns,
        quasi=release.quasi,
        sensitive=release.sensitive,
        figures=judged.figures,
        statement=signed,
    )
    columns = tuple(ProductColumn(name=column.name, type=column.type or "") for column in release.released)
    rows = table.num_rows
    return card_of(plan, sources=sources_of(plan, ()), columns=columns, rows=rows, findings=findings, release=note)
