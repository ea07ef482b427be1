"""Check on a federated table: which parts are in the sum, as the parties signed it, and which fell silent, as the card says."""

from __future__ import annotations

from sandbox.audit.case import Case
from sandbox.errors import AuditError
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart

CARD = "product card"


def parts(case: Case) -> str:
    """The card's parts are the plan's: in the sum or named as absent, as many as the plan asks for, as the parties signed."""
    plan, absent = case.bundle.plan, case.bundle.product.card.absent
    if plan.federation is None:
        if absent or any(item.transcript.survivors for item in case.bundle.transcripts):
            raise AuditError("a join has no parts that could be missing", place=CARD)
        if not plan.joins:
            raise AuditError("the plan adds up parts, and names no federated table", place="plan")
        return "a join: every provider takes part"
    if plan.joins or tuple(item.asset for item in plan.inputs) != plan.federation.parts:
        raise AuditError("the plan's inputs are not the parts of its federated table", place="plan")
    _check_absent(plan, absent)
    counted = tuple(item.provider for item in plan.inputs if item.provider not in left_out(absent))
    if len(counted) < plan.federation.min_parties:
        problem = f"{len(counted)} parts are in the sum, fewer than the {plan.federation.min_parties} that the plan asks for"
        raise AuditError(problem, place=CARD)
    for index, signed in enumerate(case.bundle.transcripts):
        if signed.transcript.survivors != counted:
            place = f"transcript {index} ({signed.transcript.party})"
            raise AuditError("it names other parts of the sum than the product card", place=place)
    silent = ", ".join(f"{item.provider} ({item.step})" for item in absent)
    return f"{len(counted)} of {len(plan.inputs)} parts in the sum" + (f"; silent: {silent}" if silent else "")


def left_out(absent: tuple[AbsentPart, ...]) -> frozenset[str]:
    """Return the providers whose totals are not in the product."""
    return frozenset(item.provider for item in absent if not item.counted)


def _check_absent(plan: Plan, absent: tuple[AbsentPart, ...]) -> None:
    known = [(item.provider, item.asset) for item in plan.inputs]
    named = [(item.provider, item.asset) for item in absent]
    if [pair for pair in known if pair in named] != named:
        raise AuditError("its absent parts are not parts of the plan, each once, in order", place=CARD)
