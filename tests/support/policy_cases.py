"""A plan over two agencies' tables that every term allows, with its terms, parties and grant."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import msgspec

from protocols.disclosure import Disclosure, Learned
from sandbox.model.asset import Asset, Column, KeyDomain
from sandbox.model.canonical import digest
from sandbox.model.expression import AggregateRef, ColumnRef, Compare, GroupRef, Literal
from sandbox.model.grant import SignedGrant, request_grant
from sandbox.model.party import Party
from sandbox.model.plan import (
    Aggregate,
    ColumnUse,
    GateRules,
    Group,
    LocalGroup,
    Measure,
    Parameters,
    Plan,
    PlanInput,
    SelectItem,
)
from sandbox.model.policy import ColumnUses, Policy
from sandbox.model.signature import PrivateIdentity
from sandbox.policy import History

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
DOMAIN = KeyDomain(name="person", types=("integer",))
IDENTITIES = {
    name: PrivateIdentity.from_secret_bytes(bytes([index]) * 32)
    for index, name in enumerate(
        ("registry", "lab", "manager", "operator", "buyer", "auditor", "affiliate", "stranger"), start=1
    )
}
DISCLOSURE = Disclosure(
    protocol="join/1",
    adversary="semi-honest",
    assumptions=(),
    learned=(
        Learned(who="provider", fact="list_size", about="rows of each list"),
        Learned(who="gate", fact="released_aggregate", about="cells that reach k"),
        Learned(who="operator + provider", fact="membership", about="of own keys", visibility="under_collusion"),
    ),
)


@dataclass(frozen=True)
class Question:
    """Everything that `decide` takes."""

    plan: Plan
    policies: tuple[Policy, ...]
    history: History
    now: datetime.datetime


def party(name: str, *roles: str, parent: str | None = None, status: str = "admitted") -> Party:
    return msgspec.convert(
        {"name": name, "roles": roles, "key": str(IDENTITIES[name].public), "parent": parent, "status": status}, Party
    )


def parties() -> dict[str, Party]:
    known = (
        party("registry", "provider"),
        party("lab", "provider"),
        party("manager", "authoriser"),
        party("operator", "operator"),
        party("buyer", "user", "scenario_developer"),
        party("auditor", "supervisor"),
        party("affiliate", "operator", "scenario_developer", parent="operator"),
    )
    return {item.name: item for item in known}


def assets() -> dict[str, Asset]:
    def column(name: str, role: str, type: str = "integer") -> Column:
        return msgspec.convert({"name": name, "type": type, "role": role, "grade": "general"}, Column)

    patients = (
        column("id", "key"),
        column("male", "quasi_identifier"),
        column("age", "quasi_identifier"),
        column("name", "direct_identifier", "text"),
    )
    measurements = (column("id", "key"), column("test", "other", "text"), column("value", "measure", "decimal"))
    known = (
        Asset(provider="registry", table="patients", version=3, columns=patients, key=("id",), key_domain=DOMAIN, unique=True),
        Asset(provider="lab", table="measurements", version=1, columns=measurements, key=("id",), key_domain=DOMAIN),
    )
    return {asset.name: asset for asset in known}


def policies() -> tuple[Policy, ...]:
    def terms(asset: str, **columns: tuple[str, ...]) -> Policy:
        return Policy(
            asset=asset,
            version=1,
            purposes=("research", "statistics"),
            recipients=("operator", "role:user"),
            profiles=("statistics-controlled",),
            min_cell=10,
            min_list=100,
            max_calls=5,
            expires=datetime.date(2026, 6, 30),
            columns=tuple(ColumnUses(column=name, uses=uses) for name, uses in columns.items()),  # type: ignore[arg-type]
        )

    return (
        terms("registry.patients", id=("join_key",), male=("group",), age=("filter", "group")),
        terms("lab.measurements", id=("join_key",), test=("filter",), value=("count", "mean", "sum")),
    )


def plan() -> Plan:
    known = assets()
    test = Compare(op="=", left=ColumnRef(name="test"), right=Literal(type="text", value="hdl"))
    age = Compare(op=">=", left=ColumnRef(name="age"), right=Literal(type="integer", value="40"))
    male = LocalGroup(expression=ColumnRef(name="male"), type="integer")
    value = Measure(column="value", type="decimal", needs_sum=True, needs_squares=True, scale=100, bound=10**6)

    def source(name: str, **parts: object) -> PlanInput:
        asset = known[name]
        fixed = {"provider": asset.provider, "asset": name, "asset_version": asset.version, "asset_digest": digest(asset)}
        nothing = {"filters": (), "groups": (), "measures": (), "carries": False, "opens_multiplicity": False}
        return PlanInput(**{**fixed, "alias": name[0], "key": ("id",), "unique": asset.unique, **nothing, **parts})  # type: ignore[arg-type]

    return Plan(
        version=1,
        title="Mean by sex",
        purpose="statistics",
        recipients=("operator",),
        sql="SELECT …",
        protocol="join/1",
        key_domain=DOMAIN,
        inputs=(
            source("registry.patients", filters=(age,), groups=(male,)),
            source("lab.measurements", filters=(test,), measures=(value,), carries=True),
        ),
        groups=(Group(name="sex", input=0, local=0, type="integer"),),
        aggregates=(Aggregate(function="count_rows"), Aggregate(function="avg", input=1, measure=0)),
        select=(SelectItem(name="sex", source=GroupRef(index=0)), SelectItem(name="mean", source=AggregateRef(index=1))),
        having=Compare(op=">", left=AggregateRef(index=0), right=Literal(type="integer", value="20")),
        order_by=(),
        limit=10,
        uses=(
            ColumnUse(asset="registry.patients", column="id", uses=("join_key",)),
            ColumnUse(asset="registry.patients", column="male", uses=("group",)),
            ColumnUse(asset="registry.patients", column="age", uses=("filter",)),
            ColumnUse(asset="lab.measurements", column="id", uses=("join_key",)),
            ColumnUse(asset="lab.measurements", column="test", uses=("filter",)),
            ColumnUse(asset="lab.measurements", column="value", uses=("mean",)),
        ),
        dropped=(),
        rules=GateRules(
            profile="statistics-controlled", version=1, min_keys=10, min_contributors=10, min_pattern=10, min_list=100
        ),
        parameters=Parameters(),
        operator="operator",
        gate="manager",
    )


def question() -> Question:
    counted = {"registry.patients": 0, "lab.measurements": 4}
    history = History(assets=assets(), calls=counted, parties=parties(), disclosure=DISCLOSURE)
    return Question(plan=plan(), policies=policies(), history=history, now=NOW)


def signed(grant: SignedGrant) -> SignedGrant:
    """The grant with every signature that it needs."""
    for name in grant.grant.signers:
        grant = grant.sign(name, IDENTITIES[name])
    return grant


def granted(asked: Plan | None = None, **terms: object) -> SignedGrant:
    """A complete grant for a plan: three calls, thirty days."""
    defaults = {"id": "g1", "authoriser": "manager", "calls": 3, "not_before": NOW - DAY, "expires": NOW + 29 * DAY}
    return signed(request_grant(asked or plan(), **{**defaults, **terms}))  # type: ignore[arg-type]
