"""The constraints that terms can set, one file each. A term that none of them judges denies every plan."""

from __future__ import annotations

from sandbox.policy.case import Constraint
from sandbox.policy.constraints import (
    asset_version,
    call_count,
    classification,
    column_use,
    disclosure,
    expiry,
    matching_mode,
    minimum_cell,
    minimum_list,
    minimum_parties,
    privacy_budget,
    profile,
    purpose,
    recipient,
    released_rows,
    separate_parties,
)

CONSTRAINTS: tuple[Constraint, ...] = (
    asset_version.CONSTRAINT,
    separate_parties.CONSTRAINT,
    classification.CONSTRAINT,
    column_use.CONSTRAINT,
    purpose.CONSTRAINT,
    recipient.CONSTRAINT,
    profile.CONSTRAINT,
    minimum_cell.CONSTRAINT,
    minimum_list.CONSTRAINT,
    minimum_parties.CONSTRAINT,
    matching_mode.CONSTRAINT,
    disclosure.CONSTRAINT,
    released_rows.CONSTRAINT,
    expiry.CONSTRAINT,
    privacy_budget.CONSTRAINT,
    call_count.CONSTRAINT,
)
