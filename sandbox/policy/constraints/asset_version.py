"""Asset version: every asset has terms and is, in the plan, what the catalogue declares today."""

from __future__ import annotations

from sandbox.model.asset import Asset
from sandbox.model.canonical import digest
from sandbox.model.decision import Finding
from sandbox.model.plan import PlanInput
from sandbox.policy.case import Case, Constraint, finding, unknown

NAME = "asset_version"
USABLE = ("published", "coded", "changed")


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset about its terms, and one per input about its version."""
    if not case.plan.inputs:
        return (finding(NAME, passes=False, subject="plan", message="the plan reads no asset"),)
    terms = tuple(_has_terms(case, asset) for asset in case.assets)
    return terms + tuple(_is_current(source, case.history.assets.get(source.asset)) for source in case.plan.inputs)


def _has_terms(case: Case, asset: str) -> Finding:
    policy = case.policies.get(asset)
    if policy is None:
        message = f"{asset} has no terms in force, or more than one set; its owner must set exactly one policy"
        return finding(NAME, passes=False, subject=asset, message=message)
    return finding(NAME, passes=True, subject=asset, message=f"{asset} is judged by version {policy.version} of its terms")


def _is_current(source: PlanInput, asset: Asset | None) -> Finding:
    name = source.asset
    if asset is None:
        return unknown(NAME, subject=name, message=f"the catalogue knows no {name}; register and publish it first")
    if asset.provider != source.provider or asset.name != name:
        message = f"the plan takes {name} from {source.provider}, and the catalogue from {asset.provider}"
        return finding(NAME, passes=False, subject=name, message=message)
    if asset.lifecycle not in USABLE:
        message = f"{name} is {asset.lifecycle}; only a published asset takes part"
        return finding(NAME, passes=False, subject=name, message=message)
    if (asset.version, digest(asset)) != (source.asset_version, source.asset_digest):
        message = (
            f"the plan was made for version {source.asset_version} of {name}; version {asset.version} is current: plan again"
        )
        return finding(NAME, passes=False, subject=name, message=message)
    return finding(NAME, passes=True, subject=name, message=f"{name} is at version {asset.version}, as planned")


CONSTRAINT = Constraint(name=NAME, terms=("asset", "version"), check=check)
