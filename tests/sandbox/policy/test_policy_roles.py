"""Who may do what: the whole table of roles and actions, separation of duty, and denial of everything that is not clean."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from typing import Any

import cedarpy
import pytest
from support.policy_cases import party

from sandbox.model.party import Party
from sandbox.policy import (
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
    roles,
)

PARTIES = {
    "registry": party("registry", "provider"),
    "lab": party("lab", "provider"),
    "manager": party("manager", "authoriser"),
    "operator": party("operator", "operator"),
    "buyer": party("buyer", "scenario_developer", "user"),
    "auditor": party("auditor", "supervisor"),
    "affiliate": party("affiliate", "operator", "scenario_developer", parent="operator"),
    "stranger": party("stranger", "service_provider"),
}
ASSET = AssetResource(name="lab.measurements", provider="lab")
REQUEST = RequestResource(name="r1", requester="operator", providers=("lab",))
GRANT = GrantResource(name="g1", requester="operator", providers=("lab",))
TASK = TaskResource(name="t1", operator="operator", gate="manager", providers=("lab",))
PRODUCT = ProductResource(name="p1", operator="operator", gate="manager", providers=("lab",), recipients=("buyer", "affiliate"))
EVERYBODY = set(PARTIES)

# The actions, as a person would list them: on what, and which of the eight parties may.
ALLOWED: dict[tuple[str, Resource], set[str]] = {
    ("register_asset", ASSET): {"lab"},
    ("classify_asset", ASSET): {"lab"},
    ("publish_asset", ASSET): {"lab"},
    ("cancel_asset", ASSET): {"lab"},
    ("set_policy", ASSET): {"lab"},
    ("explain", REQUEST): EVERYBODY - {"stranger"},
    ("request", REQUEST): {"operator"},
    ("approve", REQUEST): {"manager", "lab"},
    ("revoke", GRANT): {"manager", "lab", "operator"},
    ("run", TASK): {"operator"},
    ("contribute", TASK): {"lab"},
    ("stop", TASK): {"operator", "lab", "manager"},
    ("release", PRODUCT): {"manager"},
    ("read", PRODUCT): {"buyer", "affiliate"},
    ("derive", PRODUCT): {"buyer"},
    ("withdraw", PRODUCT): {"manager"},
    ("audit", LogResource(name="log")): {"auditor"},
    ("audit", TASK): {"auditor"},
    ("audit", PRODUCT): {"auditor"},
    ("maintain", NodeResource(name="n1", keeper="lab")): {"lab", "stranger"},
    ("admit", PartyResource(name="buyer")): {"manager"},
    ("suspend", PartyResource(name="operator")): {"manager"},
    ("dismiss", PartyResource(name="operator")): {"manager"},
}


def allowed(name: str, action: Any, resource: Resource, **changed: Party) -> bool:
    return authorise(name, action, resource, {**PARTIES, **changed}).allowed


def reason(name: str, action: Any, resource: Resource, **changed: Party) -> str:
    decision = authorise(name, action, resource, {**PARTIES, **changed})
    assert not decision.allowed
    return decision.findings[0].message


def test_the_table_names_each_action() -> None:
    assert {action for action, _ in ALLOWED} == set(roles.ACTIONS)


@pytest.mark.parametrize(("action", "resource"), ALLOWED, ids=[f"{a} {type(r).__name__}" for a, r in ALLOWED])
def test_who_may(action: Action, resource: Resource) -> None:
    assert {name for name in PARTIES if allowed(name, action, resource)} == ALLOWED[action, resource]


@pytest.mark.parametrize(("action", "resource"), ALLOWED, ids=[f"{a} {type(r).__name__}" for a, r in ALLOWED])
@pytest.mark.parametrize("status", ["suspended", "exiting", "exited"])
def test_only_the_admitted_act(action: Action, resource: Resource, status: str) -> None:
    for name in ALLOWED[action, resource]:
        changed = {name: party(name, *PARTIES[name].roles, parent=PARTIES[name].parent, status=status)}
        assert "only an admitted party acts" in reason(name, action, resource, **changed)


@pytest.mark.parametrize("action", roles.ACTIONS)
def test_an_action_on_a_resource_of_another_kind_is_denied(action: Action) -> None:
    meant = {type(resource) for known, resource in ALLOWED if known == action}
    for resource in {type(resource): resource for _, resource in ALLOWED}.values():
        if type(resource) not in meant:
            assert not any(allowed(name, action, resource) for name in PARTIES)


def test_nobody_approves_their_own_request_nor_an_affiliates() -> None:
    both = party("operator", "operator", "authoriser", "provider")
    own = RequestResource(name="r", requester="operator", providers=("operator",))
    assert "nobody approves their own request" in reason("operator", "approve", own, operator=both)
    for parents in ({"manager": "operator"}, {"operator": "manager"}, {"manager": "holding", "operator": "holding"}):
        changed = {name: party(name, *PARTIES[name].roles, parent=parent) for name, parent in parents.items()}
        assert "nor that of an affiliate" in reason("manager", "approve", REQUEST, **changed)
    between = {
        "manager": party("manager", "authoriser", parent="stranger"),
        "stranger": party("stranger", "service_provider", parent="registry"),
        "operator": party("operator", "operator", parent="registry"),
    }
    assert "nor that of an affiliate" in reason("manager", "approve", REQUEST, **between)


def test_operator_and_supervisor_are_never_one() -> None:
    assert "never one party" in reason("operator", "run", TASK, operator=party("operator", "operator", "supervisor"))
    sister = party("auditor", "supervisor", parent="operator")
    assert "never one party" in reason("auditor", "audit", TASK, auditor=sister)
    assert "never one party" in reason("operator", "run", TASK, auditor=sister)
    gone = party("auditor", "supervisor", parent="operator", status="exited")
    assert allowed("operator", "run", TASK, auditor=gone)
    assert "nobody is admitted who would be" in reason("manager", "admit", PartyResource(name="auditor"), auditor=sister)


def test_operator_gate_and_providers_have_three_owners() -> None:
    gate = party("manager", "authoriser", parent="operator")
    for name, action in (("operator", "run"), ("lab", "contribute")):
        assert "operator and gate never have one owner" in reason(name, action, TASK, manager=gate)
    assert "operator and gate" in reason("manager", "release", PRODUCT, manager=gate)
    gate = party("manager", "authoriser", parent="lab")
    for name, action in (("operator", "run"), ("lab", "contribute")):
        assert "the gate shares no owner with a provider" in reason(name, action, TASK, manager=gate)
    assert "shares an owner with a provider" in reason("manager", "release", PRODUCT, manager=gate)


def test_no_redevelopment() -> None:
    assert "do not redevelop" in reason("affiliate", "derive", PRODUCT)


def test_nobody_admits_an_affiliate() -> None:
    branch = party("buyer", "user", parent="manager")
    assert "nor an affiliate" in reason("manager", "admit", PartyResource(name="buyer"), buyer=branch)


def test_what_is_unknown_is_denied() -> None:
    assert "nobody is no known party" in reason("nobody", "run", TASK)
    assert "nobody is no known party" in reason(
        "operator", "run", TaskResource(name="t", operator="nobody", gate="manager", providers=())
    )
    assert "no known action" in reason("manager", "fly", TASK)
    assert "circle" in reason("operator", "run", TASK, manager=party("manager", "authoriser", parent="manager"))
    assert "no known party" in reason("operator", "run", TASK, manager=party("stranger", "authoriser"))
    strange = AssetResource(name='x"\n}, {', provider="lab")
    assert allowed("lab", "set_policy", strange)


def test_a_rule_that_fails_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "permit (principal, action, resource); forbid (principal, action, resource) when { principal.absent == 1 };"
    monkeypatch.setattr(roles, "_policies", lambda: cedarpy.PolicySet.from_str(broken))
    assert "could not be evaluated" in reason("operator", "run", TASK)
    monkeypatch.setattr(roles, "_policies", lambda: cedarpy.PolicySet.from_str("permit (principal, action, resource);"))
    assert not allowed("operator", "run", TASK)


def test_the_rules_agree_with_their_schema_and_each_says_why() -> None:
    rules, schema = (
        resources.files("sandbox.policy").joinpath(name).read_text(encoding="utf-8")
        for name in ("roles.cedar", "roles.cedarschema")
    )
    assert cedarpy.validate_policies(rules, schema).validation_passed
    statements = rules.count("\npermit (") + rules.count("\nforbid (")
    assert statements == rules.count('@id("') > 20


def test_the_rules_are_part_of_the_package_and_import_no_sibling() -> None:
    code = (
        "import sys, sandbox.policy\n"
        "siblings = {'catalogue', 'sources', 'planning', 'ledger', 'gate', 'audit', 'tasks'}\n"
        "print([name for name in sys.modules if name.startswith('sandbox.') and name.split('.')[1] in siblings])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
