"""Terms that follow from a table's declaration, for a network whose owner has not written any."""

from __future__ import annotations

import datetime

from sandbox.model.asset import Asset, Column
from sandbox.model.federation import MIN_PARTIES
from sandbox.model.plan import Plan, Use
from sandbox.model.policy import ColumnUses, Policy

DECLARED_CALLS = 10**6
DECLARED_DAYS = 365
NAMED_RECIPIENTS = ("statistics-controlled", "model-controlled")


def declared_terms(asset: Asset, plan: Plan, now: datetime.datetime, *, version: int) -> Policy:
    """Return terms that allow what an asset's declaration is for, for this plan's purpose, profile and recipients.

    The key may join and count people; a measure may be counted, summed, averaged, correlated and filtered by; every other
    classified column may group, filter and be counted; all but the key may train models. For a plan that releases rows every
    column may be desensitised. Beside the plan's profile those for named recipients are allowed. Only for networks whose one
    owner holds all nodes; elsewhere owners write theirs.
    """
    return Policy(
        asset=asset.name,
        version=version,
        purposes=(plan.purpose,),
        recipients=plan.recipients,
        profiles=tuple(dict.fromkeys((plan.rules.profile, *NAMED_RECIPIENTS))),
        min_cell=max(2, plan.rules.min_keys),
        min_list=max(1, plan.rules.min_list),
        max_calls=DECLARED_CALLS,
        min_parties=MIN_PARTIES if plan.federation is None else plan.federation.min_parties,
        expires=(now + datetime.timedelta(days=DECLARED_DAYS)).date(),
        columns=tuple(
            ColumnUses(column=column.name, uses=_uses(column, asset, plan))
            for column in asset.columns
            if column.role not in ("unclassified", "direct_identifier") or column.name in asset.key or plan.release is not None
        ),
    )


def _uses(column: Column, asset: Asset, plan: Plan) -> tuple[Use, ...]:
    if plan.release is not None:
        return (*_counted(column, asset), "desensitise")
    return _counted(column, asset)


def _counted(column: Column, asset: Asset) -> tuple[Use, ...]:
    if column.role == "direct_identifier" and column.name not in asset.key:
        return ()
    if column.name in asset.key:
        return ("join_key", "count")
    if column.role == "measure":
        return ("filter", "group", "count", "sum", "mean", "variance", "moments", "train")
    return ("filter", "group", "count", "train")
