"""The owners' terms, grants and roles: pure judgements over values, each with its reasons. Imports no sibling."""

from __future__ import annotations

from sandbox.policy.case import History
from sandbox.policy.decide import decide
from sandbox.policy.grants import check_grant, check_revocation
from sandbox.policy.roles import (
    Action,
    AssetResource,
    GrantResource,
    LogResource,
    NodeResource,
    PartyResource,
    ProductResource,
    RequestResource,
    Resource,
    TaskResource,
    authorise,
)

__all__ = [
    "Action",
    "AssetResource",
    "GrantResource",
    "History",
    "LogResource",
    "NodeResource",
    "PartyResource",
    "ProductResource",
    "RequestResource",
    "Resource",
    "TaskResource",
    "authorise",
    "check_grant",
    "check_revocation",
    "decide",
]
