"""Check on a federated table: which parts are in the sum, as the parties signed it, and which fell silent, as the card says."""

from __future__ import annotations

from sandbox.audit.case import Case
from sandbox.errors import AuditError
from sandbox.model.canonical import canonical
from sandbox.model.fit import Round
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart

CARD = "product card"


def parts(case: Case) -> str:
    """The card's parts are the plan's: in the sum or named as absent, as many as the plan asks for, as the parties signed."""
    plan, absent = case.bundle.plan, case.bundle.product.card.absent
    _check_model(case)
    if plan.federation is None:
        if absent or any(item.transcript.survivors for item in case.bundle.transcripts):
            raise AuditError("only a federated table has parts that could be missing", place=CARD)
        if plan.release is not None:
            return "one table's rows: its provider takes part"
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
    survivors = {item.session: item.survivors for item in rounds_of(case)}
    for index, signed in enumerate(case.bundle.transcripts):
        if signed.transcript.survivors != survivors.get(signed.transcript.session, counted):
            place = f"transcript {index} ({signed.transcript.party})"
            raise AuditError("it names other parts of the sum than the product card", place=place)
    silent = ", ".join(f"{item.provider} ({item.step})" for item in absent)
    sums = "the sum" if plan.fit is None else f"the last of {len(rounds_of(case))} sums"
    return f"{len(counted)} of {len(plan.inputs)} parts in {sums}" + (f"; silent: {silent}" if silent else "")


def rounds_of(case: Case) -> tuple[Round, ...]:
    """Return the rounds of a fitted model, as its card names them; none for any other product."""
    model = case.bundle.product.card.model
    return () if model is None else model.rounds


def silent_in(case: Case, number: int) -> frozenset[str]:
    """Return the providers that had fallen silent by the end of round `number`."""
    return frozenset(item.provider for item in case.bundle.product.card.absent if item.round <= number)


def left_out(absent: tuple[AbsentPart, ...]) -> frozenset[str]:
    """Return the providers whose totals are not in the product."""
    return frozenset(item.provider for item in absent if not item.counted)


def _check_model(case: Case) -> None:
    """The record is that of the plan's model: its rules, each round with the parties that the one before left, none failed."""
    plan, card = case.bundle.plan, case.bundle.product.card
    if (card.model is None) != (plan.fit is None) or (plan.fit is None) != (plan.protocol != "fit/1"):
        raise AuditError("it holds a model's record and the plan fits none, or the other way round", place=CARD)
    if plan.fit is None or card.model is None:
        return
    record = card.model
    if (record.estimator, record.parameters, record.rules) != (
        plan.fit.kind,
        canonical(plan.fit.estimator).decode(),
        plan.rules.model,
    ):
        raise AuditError("the model's record names another estimator, or other parameters or rules, than the plan", place=CARD)
    if any(finding.verdict != "pass" for finding in record.findings) or not record.findings:
        raise AuditError("a rule for models failed, or none was judged, and the model was released", place=CARD)
    everyone = tuple(item.provider for item in plan.inputs)
    not_read = {item.provider for item in card.absent if item.step == "input"}
    left = tuple(name for name in everyone if name not in not_read)
    for number, item in enumerate(record.rounds):
        place = f"round {number} of the model"
        if item.number != number or item.parties != left or not set(item.survivors) <= set(left):
            raise AuditError("its parties are not those that the round before left", place=place)
        if len(item.survivors) < record.rules.min_parties:
            raise AuditError(f"{len(item.survivors)} parties are behind it, fewer than the rules ask for", place=place)
        gone = silent_in(case, number)
        left = tuple(name for name in left if name not in gone)
    counted = tuple(name for name in everyone if name not in left_out(card.absent))
    if not record.rounds or record.rounds[-1].survivors != counted:
        raise AuditError("its last sum is over other parts than the card's sources", place=CARD)
    if len({item.session for item in record.rounds}) != len(record.rounds):
        raise AuditError("two rounds are said to be one session", place=CARD)


def _check_absent(plan: Plan, absent: tuple[AbsentPart, ...]) -> None:
    known = [(item.provider, item.asset) for item in plan.inputs]
    named = [(item.provider, item.asset) for item in absent]
    if [pair for pair in known if pair in named] != named:
        raise AuditError("its absent parts are not parts of the plan, each once, in order", place=CARD)
