"""The release of a desensitised table as a task's method."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from protocols import handover
from protocols.disclosure import Disclosure
from sandbox.errors import UsageError
from sandbox.model.evidence import InputCommitment, payload_digest
from sandbox.model.plan import Plan
from sandbox.model.release import ReleaseSpec
from sandbox.model.statement import TableStatement
from sandbox.tasks.method import Cost, Method
from sandbox.tasks.released.measuring import measure_rows
from sandbox.tasks.released.people import people_in_rows

if TYPE_CHECKING:
    from sandbox.tasks.released.desensitising import LocalTable, TagArray

VALUE_BYTES = 12
TAG_BYTES = 8


def release_of(plan: Plan) -> ReleaseSpec:
    """Return what a plan releases. Raises UsageError for a plan that releases no rows of one table."""
    if plan.release is None or len(plan.inputs) != 1:
        raise UsageError("the plan releases no rows of one table; explain the job again")
    return plan.release


def handover_params(plan: Plan) -> handover.HandoverParams:
    """Return the parameters of the session in which the provider's table reaches the gate."""
    release_of(plan)
    return handover.HandoverParams(plan=plan.digest(), provider=plan.inputs[0].provider, operator=plan.operator, gate=plan.gate)


def statement_of(plan: Plan, local: LocalTable, commitment: InputCommitment) -> TableStatement:
    """Return what a provider says of the table that it hands over."""
    return TableStatement(
        version=1,
        task=commitment.task,
        plan=plan.digest(),
        provider=commitment.provider,
        asset=commitment.asset,
        asset_version=commitment.asset_version,
        root=commitment.root,
        table=payload_digest(local.table),
        tags=tags_digest(local.tags),
        rows=len(local.tags),
        left_out=local.left_out,
        findings=local.findings,
    )


def tags_digest(tags: TagArray) -> str:
    """Return `sha256:<hex>` over tags as little-endian 64-bit numbers."""
    return "sha256:" + hashlib.sha256(tags.astype("<u8").tobytes()).hexdigest()


def _disclosure(plan: Plan) -> Disclosure:
    release = release_of(plan)
    columns = tuple(column.name for column in release.released)
    keyed = any(column.undone_by == "key holder" for column in release.released)
    return handover.disclosure(handover_params(plan), columns=columns, keyed=keyed)


def _title(plan: Plan) -> str:
    release = release_of(plan)
    search = "" if release.k_anonymity is None else f", then the {release.k_anonymity.measure}-optimal generalisation"
    return f"rows of {release.asset} under rules for each column{search} ({plan.protocol}); {release.label}"


def _cost(plan: Plan) -> tuple[Cost, ...]:
    columns = len(release_of(plan).released)
    what = f"{columns} desensitised columns and a tag, straight to the gate; about"
    return (Cost(provider=plan.inputs[0].provider, what=what, bytes=VALUE_BYTES * columns + TAG_BYTES, per="row"),)


METHOD = Method(disclosure=_disclosure, cost=_cost, title=_title, measure=measure_rows, attack=people_in_rows)
