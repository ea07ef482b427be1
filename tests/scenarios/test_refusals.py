"""Every refusal has its reason, stands in the log, and comes before anything is read or sent."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import agencies

from sandbox.audit.verify import verify
from sandbox.embedded import Embedded
from sandbox.errors import Denied, NotFound, UsageError, Withheld, exit_code
from sandbox.model.canonical import digest
from sandbox.model.grant import SignedGrant, request_grant
from sandbox.model.party import Party
from sandbox.model.policy import Policy
from sandbox.model.signature import PrivateIdentity
from sandbox.tasks.casefile import KeptGrant
from sandbox.tasks.explain import Explanation


@pytest.fixture
def clock() -> agencies.Hand:
    return agencies.Hand()


@pytest.fixture
def network(scratch: Path, in_process: None, watch: agencies.Watch, clock: agencies.Hand) -> Iterator[Embedded]:
    """Two agencies with written terms that allow the question."""
    with agencies.make(scratch / "w", terms="written", clock=clock) as network:
        network.set_policy(agencies.people_terms())
        network.set_policy(agencies.lab_terms())
        yield network


def refused(network: Embedded, watch: agencies.Watch, act: Callable[[], Any], *checks: str, says: str = "") -> Denied:
    """Do what must be refused; return the refusal once everything about it holds."""
    before, uses, tasks = agencies.kinds(network), agencies.uses(network), network.manager.records.tasks()
    queries, frames = watch.queries, len(watch.frames)
    with pytest.raises(Denied) as caught:
        act()
    error = caught.value
    blocking = {finding.check: finding.message for finding in error.decision.findings if finding.verdict != "pass"}
    assert set(checks) <= set(blocking), blocking
    assert says in str(error)
    assert all(message and message in str(error) for message in blocking.values())
    assert exit_code(error) == 3
    assert (watch.queries, len(watch.frames)) == (queries, frames)
    after = agencies.kinds(network)
    assert after["request.denied"] == before["request.denied"] + 1
    assert after["task.authorised"] == before["task.authorised"]
    assert agencies.uses(network) == uses
    assert network.manager.records.tasks() == tasks
    assert agencies.log_findings(network) == ()
    return error


def runs(network: Embedded, watch: agencies.Watch, plan: Explanation, grant: SignedGrant) -> Callable[[], Any]:
    return lambda: network.run(plan, grant=grant, on_frame=watch.on_frame)


TERMS: dict[str, tuple[Callable[[], Policy], dict[str, Any], str, str]] = {
    "unlisted column": (lambda: agencies.terms("registry.people", {"id": ("join_key",)}), {}, "column_use", "sex"),
    "unlisted use": (
        lambda: agencies.terms("lab.tests", {"id": ("join_key",), "value": ("count", "mean")}),
        {},
        "column_use",
        "value",
    ),
    "key not for joining": (
        lambda: agencies.terms("lab.tests", {"id": ("count",), "value": ("sum",)}),
        {},
        "column_use",
        "join_key",
    ),
    "other purpose": (lambda: agencies.lab_terms(purposes=("research",)), {}, "purpose", "statistics"),
    "question's purpose": (agencies.lab_terms, {"purpose": "advertising"}, "purpose", "advertising"),
    "other recipient": (lambda: agencies.people_terms(recipients=("bureau",)), {}, "recipient", "operator"),
    "question's recipient": (agencies.lab_terms, {"recipients": ("registry",)}, "recipient", "registry"),
    "other profile": (lambda: agencies.people_terms(profiles=("statistics-open",)), {}, "profile", "statistics-controlled"),
    "question's profile": (agencies.lab_terms, {"profile": "statistics-open"}, "profile", "statistics-open"),
    "larger cells": (lambda: agencies.people_terms(min_cell=11), {}, "minimum_cell", "11"),
    "longer lists": (lambda: agencies.lab_terms(min_list=101), {}, "minimum_list", "101"),
    "no calls": (lambda: agencies.lab_terms(max_calls=0), {}, "call_count", "0"),
    "expired": (lambda: agencies.lab_terms(expires=datetime.date(2020, 1, 1)), {}, "expiry", "2020-01-01"),
    "matching": (lambda: agencies.people_terms(matching=("keyed",)), {}, "matching_mode", "blinded"),
}


@pytest.mark.parametrize("name", TERMS)
def test_what_an_owners_terms_do_not_allow_is_not_approved(name: str, network: Embedded, watch: agencies.Watch) -> None:
    policy, options, check, says = TERMS[name]
    network.set_policy(policy())
    explanation = agencies.ask(network, **options)
    assert not explanation.decision.allowed
    assert check in {item.check for item in explanation.decision.findings if item.verdict != "pass"}
    assert "DENIED" in explanation.text()
    refused(network, watch, lambda: network.approve(explanation), check, says=says)
    assert watch.idle


@pytest.mark.parametrize("name", [name for name, case in TERMS.items() if not case[1]])
def test_terms_that_change_after_the_grant_hold_for_the_next_run(name: str, network: Embedded, watch: agencies.Watch) -> None:
    policy, _, check, says = TERMS[name]
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=5)
    network.set_policy(policy())
    refused(network, watch, runs(network, watch, explanation, grant), check, says=says)
    network.set_policy(agencies.people_terms())
    network.set_policy(agencies.lab_terms())
    assert network.run(explanation, grant=grant).rows()


def test_a_table_without_terms_is_denied(scratch: Path, in_process: None, watch: agencies.Watch) -> None:
    with agencies.make(scratch / "w", terms="written") as network:
        network.set_policy(agencies.people_terms())
        explanation = agencies.ask(network)
        refused(network, watch, lambda: network.approve(explanation), says="lab.tests")
        assert watch.idle


def test_an_unclassified_column_and_an_unknown_profile_take_no_part(network: Embedded, watch: agencies.Watch) -> None:
    sql = agencies.QUESTION.replace("p.sex", "p.name")
    columns = {"id": ("join_key",), "name": ("group",)}
    network.set_policy(agencies.terms("registry.people", columns))
    try:
        explanation = agencies.ask(network, sql)
    except UsageError:
        pass
    else:
        refused(network, watch, lambda: network.approve(explanation), "classification", says="name")
    with pytest.raises(UsageError, match="statistics-controlled"):
        agencies.ask(network, profile="everything")
    assert watch.idle


def test_terms_calls_are_counted_over_all_grants(network: Embedded, watch: agencies.Watch) -> None:
    network.set_policy(agencies.lab_terms(max_calls=1))
    explanation = agencies.ask(network)
    first, second = network.approve(explanation), network.approve(explanation)
    network.run(explanation, grant=first)
    refused(network, watch, runs(network, watch, explanation, second), "call_count")
    assert agencies.asset_uses(network, "lab.tests") == 1


# Grants


def test_a_grant_that_is_used_up(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=1)
    network.run(explanation, grant=grant)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.calls", says="used up: 1 of 1")


def test_a_grant_holds_in_its_period_only_and_a_clock_set_back_revives_nothing(
    network: Embedded, watch: agencies.Watch, clock: agencies.Hand, scratch: Path
) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=5, days=2)
    clock.turn(days=1)
    network.run(explanation, grant=grant)
    clock.turn(days=1)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.period", says="expired")
    clock.turn(days=-1, hours=-6)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.period", says="expired")
    network.close()
    with agencies.make(scratch / "w", terms="written", clock=clock) as again:
        refused(again, watch, runs(again, watch, explanation, grant), "grant.period", says="expired")


def keep(network: Embedded, plan: Explanation, **fields: Any) -> SignedGrant:
    """A grant as its signers would make it outside `approve`, kept and issued here."""
    now = network.manager.now().replace(microsecond=0)
    defaults: dict[str, Any] = {
        "id": "grant-by-hand",
        "authoriser": network.manager.name,
        "calls": 2,
        "not_before": now,
        "expires": now + datetime.timedelta(days=2),
    }
    signed = request_grant(plan.plan, **(defaults | fields))
    for party in signed.grant.signers:
        signed = signed.sign(party, network.workspace.identity(party))
    submitted = network.manager.event(
        "plan.submitted", task=signed.grant.id, subjects={"plan": plan.digest()}, cites=[], party=plan.plan.operator
    )
    return network.manager.keep_grant(KeptGrant(signed=signed, plan=plan.plan, submitted=submitted, issued=None)).signed


def test_a_grant_that_begins_later(network: Embedded, watch: agencies.Watch, clock: agencies.Hand) -> None:
    explanation = agencies.ask(network)
    start = network.manager.now().replace(microsecond=0) + datetime.timedelta(hours=1)
    grant = keep(network, explanation, not_before=start)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.period", says="not valid yet")
    clock.turn(hours=1)
    assert network.run(explanation, grant=grant).rows()


@pytest.mark.parametrize("by", ["registry", "lab", "manager", "operator"])
def test_a_revoked_grant(by: str, network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=5)
    network.revoke(grant, by=by, reason="the purpose has ended")
    assert agencies.kinds(network)["grant.revoked"] == 1
    refused(network, watch, runs(network, watch, explanation, grant), "grant.revoked", says=f"revoked by {by}")


def test_only_those_concerned_revoke(network: Embedded, watch: agencies.Watch) -> None:
    network.add_table("lab", "others", agencies.lab_table())
    network.workspace.admit_provider("hospital")
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    refused(network, watch, lambda: network.revoke(grant, by="hospital", reason="no reason"), "grant.revocation")
    assert network.run(explanation, grant=grant).rows()


def test_a_widened_grant(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=1)
    for change in ({"calls": 100}, {"expires": grant.grant.expires + datetime.timedelta(days=1)}):
        wider = msgspec.structs.replace(grant, grant=msgspec.structs.replace(grant.grant, **change))
        refused(network, watch, runs(network, watch, explanation, wider), "grant.signatures")
    assert network.run(explanation, grant=grant).rows()


def test_a_grant_without_all_signatures(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.request(explanation)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.signatures", says="manager, registry, lab")
    for party, missing in (("manager", "registry, lab"), ("registry", "lab")):
        grant = network.sign(grant.grant.id, party)
        refused(network, watch, runs(network, watch, explanation, grant), "grant.signatures", says=missing)
    grant = network.sign(grant.grant.id, "lab")
    assert network.run(explanation, grant=grant).rows()


def test_a_grant_signed_with_another_key(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    forged = msgspec.structs.replace(
        grant,
        signatures=tuple(msgspec.structs.replace(item, party=p) for item, p in zip(grant.signatures, CROSSED, strict=True)),
    )
    refused(network, watch, runs(network, watch, explanation, forged), "grant.signatures")


CROSSED = ("registry", "lab", "manager")


def test_a_grant_of_another_network(network: Embedded, watch: agencies.Watch, scratch: Path) -> None:
    with agencies.make(scratch / "other") as other:
        theirs = agencies.ask(other)
        grant = other.approve(theirs)
    explanation = agencies.ask(network)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.signatures")


def test_a_grant_that_its_signers_made_outside_of_the_log(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    now = network.manager.now().replace(microsecond=0)
    signed = request_grant(
        explanation.plan,
        id="grant-outside",
        authoriser="manager",
        calls=1,
        not_before=now,
        expires=now + datetime.timedelta(days=1),
    )
    for party in signed.grant.signers:
        signed = signed.sign(party, network.workspace.identity(party))
    refused(network, watch, runs(network, watch, explanation, signed), "grant.issued", says="not in this log")


def test_a_grant_of_another_plan(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation, calls=5)
    for sql in (
        agencies.QUESTION.replace("SUM(t.value) AS total", "COUNT(t.value) AS total"),
        agencies.QUESTION + " ORDER BY n",
    ):
        other = agencies.ask(network, sql)
        assert other.decision.allowed
        refused(network, watch, runs(network, watch, other, grant), "grant.plan", says="another plan")
    other = agencies.ask(network, key_bits=768)
    refused(network, watch, runs(network, watch, other, grant), "grant.plan")


FILTERED = agencies.QUESTION.replace("GROUP BY", "WHERE p.age >= {age} GROUP BY")


def test_a_template_covers_other_literals_and_nothing_else(network: Embedded, watch: agencies.Watch) -> None:
    network.set_policy(
        agencies.terms("registry.people", {"id": ("join_key",), "sex": ("group",), "age": ("filter",)}, min_list=100)
    )
    first = agencies.ask(network, FILTERED.format(age=0))
    grant = network.request(first, calls=5, by="template")
    for party in grant.grant.signers:
        grant = network.sign(grant.grant.id, party)
    assert network.run(first, grant=grant).rows()
    assert network.run(agencies.ask(network, FILTERED.format(age=1)), grant=grant).rows()
    without = agencies.ask(network)
    refused(network, watch, runs(network, watch, without, grant), "grant.plan", says="does not use")
    turned = agencies.ask(network, FILTERED.format(age=0).replace(">=", "<"))
    refused(network, watch, runs(network, watch, turned, grant), "grant.plan")
    assert agencies.uses(network) == 2


def test_a_list_below_the_minimum_costs_a_use_so_that_sizes_cannot_be_tried(network: Embedded) -> None:
    network.set_policy(
        agencies.terms("registry.people", {"id": ("join_key",), "sex": ("group",), "age": ("filter",)}, min_list=100)
    )
    asked = agencies.ask(network, FILTERED.format(age=1000))
    grant = network.approve(asked)
    before, uses = agencies.kinds(network), agencies.uses(network)
    with pytest.raises(Withheld, match="registry's list is shorter than the minimum of 100 rows") as caught:
        network.run(asked, grant=grant)
    assert exit_code(caught.value) == 4
    assert [finding.check for finding in caught.value.findings] == ["minimum_list"]
    assert agencies.uses(network) == uses + 1
    assert agencies.kinds(network)["product.withheld"] == before["product.withheld"] + 1
    assert [task.state for task in network.manager.records.tasks()][-1] == "withheld"
    assert agencies.log_findings(network) == ()


def test_a_delegated_grant_narrows_is_counted_twice_and_ends_with_its_parent(
    network: Embedded, watch: agencies.Watch, scratch: Path
) -> None:
    explanation = agencies.ask(network)
    parent = network.approve(explanation, calls=2, days=3)
    wider = keep(network, explanation, id="wider", parent=parent.grant, calls=3)
    refused(network, watch, runs(network, watch, explanation, wider), "grant.delegation", says="calls")
    child = keep(network, explanation, id="child", parent=parent.grant, calls=1)
    product = network.run(explanation, grant=child)
    assert agencies.uses(network) == 2
    refused(network, watch, runs(network, watch, explanation, child), "grant.calls")
    other = keep(network, explanation, id="other", parent=parent.grant, calls=2)
    network.revoke(parent, by="lab", reason="no more")
    refused(
        network, watch, runs(network, watch, explanation, other), "grant.revoked", says=f"grant {parent.grant.id} was revoked"
    )
    report = verify(product.bundle(scratch / "bundle"), network.write_trust(scratch / "trust.toml"))
    assert report.task == product.id


# Parties


def change_party(network: Embedded, name: str, **fields: Any) -> None:
    """What a registration office does to a party's entry."""
    parties = tuple(
        msgspec.structs.replace(party, **fields) if party.name == name else party for party in network.workspace.network.parties
    )
    network.workspace.network = msgspec.structs.replace(network.workspace.network, parties=parties)


def register(network: Embedded, name: str, *, parent: str) -> None:
    """A company that owns, and takes no part itself."""
    entry = Party(name=name, roles=("user",), key=str(PrivateIdentity.generate().public), parent=parent)
    known = network.workspace.network
    network.workspace.network = msgspec.structs.replace(known, parties=(*known.parties, entry))


def test_nobody_approves_an_affiliates_request(network: Embedded, watch: agencies.Watch, clock: agencies.Hand) -> None:
    explanation = agencies.ask(network)
    grant = network.request(explanation)
    for approver in ("manager", "lab"):
        change_party(network, approver, parent="holding")
        change_party(network, "operator", parent="holding")
        refused(network, watch, lambda name=approver: network.sign(grant.grant.id, name), "roles.approve", says="affiliate")
        change_party(network, approver, parent=None)
        change_party(network, "operator", parent=None)
    clock.turn(seconds=1)
    change_party(network, "lab", parent="group")
    change_party(network, "operator", parent="company")
    register(network, "company", parent="group")
    refused(network, watch, lambda: network.sign(grant.grant.id, "lab"), "roles.approve")
    assert watch.idle


@pytest.mark.parametrize("affiliate", ["manager", "registry"])
def test_a_run_by_an_affiliate_of_gate_or_provider(affiliate: str, network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    change_party(network, "operator", parent="holding")
    change_party(network, affiliate, parent="holding")
    checks = ("grant.parties", "roles.run") if affiliate == "manager" else ("grant.parties",)
    refused(network, watch, runs(network, watch, explanation, grant), *checks)


def test_a_gate_of_a_providers_owner(network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    change_party(network, "manager", parent="lab")
    refused(network, watch, runs(network, watch, explanation, grant), "roles.run", "roles.contribute")


def test_an_operator_asks_nothing_of_its_own_table(scratch: Path, in_process: None, watch: agencies.Watch) -> None:
    with agencies.make(scratch / "w", operator="lab") as network:
        explanation = agencies.ask(network)
        assert not explanation.decision.allowed
        assert "DENIED" in explanation.text()
        assert explanation.disclosure.learned == explanation.cost == ()
        denied = refused(network, watch, lambda: network.approve(explanation), "separate_parties", says="lab (provider)")
        logged = [event.event for event in network.manager.logbook.events() if event.event.kind == "request.denied"]
        assert [item.digest for item in logged[-1].subjects if item.role == "decision"] == [digest(denied.decision)]
        grant = keep(network, explanation)
        refused(network, watch, runs(network, watch, explanation, grant), "separate_parties", "grant.parties")
        assert watch.idle


def test_a_provider_approves_its_own_data_only(network: Embedded, watch: agencies.Watch) -> None:
    network.workspace.admit_provider("hospital")
    grant = network.request(agencies.ask(network))
    for name in ("hospital", "operator"):
        refused(network, watch, lambda party=name: network.sign(grant.grant.id, party), "roles.approve", says=name)
    with pytest.raises(NotFound, match="grant-0"):
        network.sign("grant-0", "lab")
    assert watch.idle


@pytest.mark.parametrize("name", ["registry", "operator", "manager"])
@pytest.mark.parametrize("status", ["suspended", "exited"])
def test_a_party_that_is_not_admitted_any_more(name: str, status: str, network: Embedded, watch: agencies.Watch) -> None:
    explanation = agencies.ask(network)
    grant = network.approve(explanation)
    change_party(network, name, status=status)
    refused(network, watch, runs(network, watch, explanation, grant), "grant.parties", says=name)
    if name == "operator":
        refused(network, watch, lambda: network.request(explanation), "roles.request", says="admitted")
    change_party(network, name, status="admitted")
    assert network.run(explanation, grant=grant).rows()


def test_a_refusal_is_kept_over_a_restart(network: Embedded, watch: agencies.Watch, scratch: Path) -> None:
    explanation = agencies.ask(network, purpose="advertising")
    refused(network, watch, lambda: network.approve(explanation), "purpose")
    network.close()
    with agencies.make(scratch / "w", terms="written") as again:
        assert agencies.kinds(again)["request.denied"] == 1
        agencies.require_sound(again, scratch)
