"""Check on released rows: the card tells what the plan promised, and the provider signed for this table and its attacks."""

from __future__ import annotations

from sandbox.audit.case import Case
from sandbox.errors import AuditError
from sandbox.model.plan import Plan
from sandbox.model.product import ReleaseNote
from sandbox.model.statement import TableStatement

CARD = "product card"
STATEMENT = "the provider's statement"


def rows(case: Case) -> str:
    """A release of rows has its provider's statement, over the bytes that were released; nothing else has one."""
    plan, note = case.bundle.plan, case.bundle.product.card.release
    if plan.release is None or plan.protocol != "release/1":
        if note is not None or plan.release is not None or plan.protocol == "release/1":
            raise AuditError("rows are released by a plan that does not say which", place=CARD)
        return "no rows are released"
    if note is None:
        raise AuditError("the plan releases rows, and no statement of their provider is there", place=CARD, kind="incomplete")
    told = (note.label, note.columns, note.quasi, note.sensitive)
    if told != (plan.release.label, plan.release.columns, plan.release.quasi, plan.release.sensitive):
        raise AuditError("its columns, their recoverability or its label are not the plan's", place=CARD)
    if len(plan.inputs) != 1 or len(case.bundle.commitments) != 1 or plan.inputs[0].asset != plan.release.asset:
        raise AuditError("rows of one table are released, and the plan has other inputs", place="plan")
    _check_statement(case, plan, note)
    found = note.statement.statement
    undone = [column.name for column in plan.release.released if column.undone_by == "key holder"]
    keyed = f"; {', '.join(undone)} can be undone by the key holder" if undone else ""
    return f"{found.rows} rows, {found.left_out} left out, {len(found.findings)} findings of {found.provider}{keyed}"


def _check_statement(case: Case, plan: Plan, note: ReleaseNote) -> None:
    said, commitment, record = note.statement.statement, case.bundle.commitments[0], case.bundle.product
    at = case.events[case.only("product.released")].time
    party = case.trust.require(plan.inputs[0].provider, at=at, place=STATEMENT)
    if note.statement.signature.party != party.name or said.provider != party.name:
        raise AuditError(f"it is not by {party.name}", place=STATEMENT)
    note.statement.verify(party.identity, place=STATEMENT)
    for name, true in _matches(said, case, plan):
        if not true:
            raise AuditError(f"it is about another {name}", place=STATEMENT)
    if said.rows != record.card.rows or said.rows + said.left_out != commitment.rows:
        raise AuditError("its rows are not those of the card, or not those committed to less those left out", place=STATEMENT)
    if any(item.verdict != "pass" for item in said.findings) or not said.findings:
        raise AuditError("an attack did not pass, or none was made, and the table was released", place=STATEMENT)


def _matches(said: TableStatement, case: Case, plan: Plan) -> tuple[tuple[str, bool], ...]:
    commitment = case.bundle.commitments[0]
    source = (commitment.asset, commitment.asset_version, commitment.root)
    return (
        ("task", said.task == case.bundle.task),
        ("plan", said.plan == plan.digest()),
        ("source", (said.asset, said.asset_version, said.root) == source),
        ("table", said.table == case.bundle.product.payload),
    )
