"""authorise: may this party do this? Roles and separation of duty by Cedar, denied unless it is cleanly allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, get_args
from typing import Literal as OneOf

import cedarpy

from sandbox.model.decision import Decision, Finding
from sandbox.model.party import Party, owner
from sandbox.policy.case import finding

Action = OneOf[
    "register_asset",
    "classify_asset",
    "publish_asset",
    "cancel_asset",
    "set_policy",
    "explain",
    "request",
    "approve",
    "revoke",
    "run",
    "contribute",
    "stop",
    "release",
    "read",
    "derive",
    "withdraw",
    "audit",
    "maintain",
    "admit",
    "suspend",
    "dismiss",
]
ACTIONS: tuple[str, ...] = get_args(Action)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetResource:
    """A table, by the provider that answers for it."""

    name: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResource:
    """A question that somebody wants approved."""

    name: str
    requester: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantResource:
    """An approval."""

    name: str
    requester: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResource:
    """A run of a plan, by its nodes' parties."""

    name: str
    operator: str
    gate: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductResource:
    """A task's result."""

    name: str
    operator: str
    gate: str
    providers: tuple[str, ...]
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogResource:
    """The log, by its origin."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResource:
    """A node, by the party that keeps it."""

    name: str
    keeper: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyResource:
    """A party that is to be admitted, suspended or dismissed; it stands among the parties with the roles it would have."""

    name: str


Resource = (
    AssetResource
    | RequestResource
    | GrantResource
    | TaskResource
    | ProductResource
    | LogResource
    | NodeResource
    | PartyResource
)


def authorise(principal: str, action: Action, resource: Resource, parties: Mapping[str, Party]) -> Decision:
    """Return whether a party may do this, with the rule that decided. Unknown parties, owners and actions are denied.

    parties: everyone known, by name. Owners come from their chains of parents, so an affiliate counts as the party.
    """
    check = f"roles.{action}"
    subject = f"{principal} on {_kind(resource)} {resource.name}"
    problem = _problem(principal, action, resource, parties)
    if problem is not None:
        return Decision(findings=(finding(check, passes=False, subject=subject, message=problem),))
    request = {"principal": _uid("Party", principal), "action": _uid("Action", action), "resource": _resource_uid(resource)}
    entities = json.dumps(_entities(principal, resource, parties))
    result = cedarpy.is_authorized(request, _policies(), entities, schema=_schema())
    return Decision(findings=(_explained(result, check, subject, f"{principal} may not {action} {resource.name}"),))


def _explained(result: cedarpy.AuthzResult, check: str, subject: str, refusal: str) -> Finding:
    """A rule that fails while it is evaluated drops out of Cedar's verdict, a `forbid` too: any error is a denial."""
    if result.diagnostics.errors:
        message = f"{refusal}: its rules could not be evaluated"
        return finding(check, passes=False, subject=subject, message=message)
    rules = tuple(sorted(result.diagnostics.id_annotations_by_reason.values()))
    if result.decision is cedarpy.Decision.Allow and rules:
        return finding(check, passes=True, subject=subject, message="; ".join(rules))
    message = f"{refusal}: " + ("; ".join(rules) if rules else "no rule allows it to this party and role")
    return finding(check, passes=False, subject=subject, message=message)


def _problem(principal: str, action: str, resource: Resource, parties: Mapping[str, Party]) -> str | None:
    if action not in ACTIONS:
        return f"{action} is no known action; the actions are {', '.join(ACTIONS)}"
    for name in _involved(principal, resource):
        if name not in parties or parties[name].name != name:
            return f"{name} is no known party"
        if owner(name, parties) is None:
            return f"the owner of {name} cannot be told, since its chain of parents runs in a circle"
    return None


def _involved(principal: str, resource: Resource) -> tuple[str, ...]:
    names = [principal]
    if isinstance(resource, PartyResource):
        names.append(resource.name)
    for value in _attributes(resource).values():
        names += [value] if isinstance(value, str) else value
    return tuple(dict.fromkeys(names))


def _attributes(resource: Resource) -> dict[str, str | tuple[str, ...]]:
    return {field.name: getattr(resource, field.name) for field in fields(resource) if field.name != "name"}


def _entities(principal: str, resource: Resource, parties: Mapping[str, Party]) -> list[dict[str, Any]]:
    owners = {name: owner(name, parties) for name in parties}
    found = [_party_entity(parties[name], parties, owners) for name in _involved(principal, resource)]
    if isinstance(resource, PartyResource):
        return found
    attributes: dict[str, Any] = {}
    for name, value in _attributes(resource).items():
        attributes[name] = _reference(value) if isinstance(value, str) else [_reference(item) for item in value]
    if isinstance(resource, TaskResource | ProductResource):
        attributes["provider_owners"] = sorted({owners[name] or "" for name in resource.providers})
    return [*found, {"uid": _resource_uid(resource), "attrs": attributes, "parents": []}]


def _party_entity(party: Party, parties: Mapping[str, Party], owners: Mapping[str, str | None]) -> dict[str, Any]:
    """Affiliates that have left keep no role; those whose owner cannot be told count as everybody's."""
    group = {
        role
        for name, other in parties.items()
        if other.status != "exited" and owners[name] in (owners[party.name], None)
        for role in other.roles
    }
    attributes = {
        "roles": list(party.roles),
        "group_roles": sorted(group | set(party.roles)),
        "owner": owners[party.name],
        "status": party.status,
    }
    return {"uid": _uid("Party", party.name), "attrs": attributes, "parents": []}


def _kind(resource: Resource) -> str:
    return type(resource).__name__.removesuffix("Resource")


def _resource_uid(resource: Resource) -> dict[str, str]:
    return _uid(_kind(resource), resource.name)


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _reference(name: str) -> dict[str, Any]:
    return {"__entity": _uid("Party", name)}


def _text(name: str) -> str:
    return resources.files("sandbox.policy").joinpath(name).read_text(encoding="utf-8")


@cache
def _policies() -> cedarpy.PolicySet:
    return cedarpy.PolicySet.from_str(_text("roles.cedar"))


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(_text("roles.cedarschema"))
