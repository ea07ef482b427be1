"""A fitted model before history: as if the count of its rows and every moment of its columns had been released."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sandbox.gate.checks import difference, reconstruction
from sandbox.gate.history.comparison import compare
from sandbox.gate.record import inputs_of
from sandbox.model.decision import Finding, Verdict
from sandbox.model.plan import Aggregate, Plan
from sandbox.model.product import RecordedCell, RecordedParts, ReleasedCount, ReleaseRecord


def model_record(plan: Plan, *, rows: int, parts: tuple[str, ...], overlap: int) -> ReleaseRecord:
    """Return what the history keeps of a model: the population that it was fitted on, and of which columns. No coefficient.

    rows: behind the last sum. parts: assets in it. overlap: parts in which one person may be. A model of a kind says less than
    all moments do; so what the history allows beside it is safe beside any model of these rows.
    """
    (whole,) = inputs_of(plan, ())
    fitted = msgspec.structs.replace(whole.input, filters=whole.input.complete, groups=())
    aggregates = [Aggregate(function="count_rows")]
    aggregates += [Aggregate(function="var_samp", input=0, measure=at) for at in range(len(fitted.measures))]
    counts = tuple(ReleasedCount(aggregate=at, rows=rows, keys=rows) for at in range(len(aggregates)))
    return ReleaseRecord(
        version=1,
        plan_digest=plan.digest(),
        key_domain=plan.key_domain.name,
        inputs=(msgspec.structs.replace(whole, input=fitted),),
        groups=(),
        aggregates=tuple(aggregates),
        cells=(RecordedCell(labels=(), counts=counts),),
        parts=RecordedParts(
            assets=parts, min_parties=1 if plan.federation is None else plan.federation.min_parties, overlap=overlap
        ),
    )


def judge_model(plan: Plan, record: ReleaseRecord, history: Sequence[ReleaseRecord]) -> Finding:
    """Return the finding of `difference`, or of `reconstruction` where that one refuses.

    With all earlier releases, the model tells of enough people and of enough parts, and bounds no small count too closely.
    """
    comparison = compare(record, [earlier for earlier in history if earlier.cells], rules=plan.rules)
    answer = difference.check(comparison)
    if not answer.refused:
        bounded = reconstruction.check(comparison)
        if bounded.refused:
            return _bounds(bounded)
        return Finding(check=difference.NAME, verdict="pass", subject="model", message=answer.remark)
    verdict: Verdict = "fail" if "fail" in answer.refused.values() else "inconclusive"
    message = (
        f"beside earlier releases the model would tell of too few people or parts, or that cannot be excluded ({answer.remark})"
    )
    return Finding(check=difference.NAME, verdict=verdict, subject="model", message=message, reason="DIFFERENCE")


def _bounds(answer: reconstruction.Answer) -> Finding:
    verdict: Verdict = "fail" if "fail" in answer.refused.values() else "inconclusive"
    message = f"the model's count of rows would bound a small count too closely, or that cannot be excluded ({answer.remark})"
    return Finding(check=reconstruction.NAME, verdict=verdict, subject="model", message=message, reason=reconstruction.REASON)
