"""check_grant: every way in which a grant does not allow a plan, each with its reason; and what it does allow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.policy_cases import DAY, IDENTITIES, NOW, granted, parties, party, plan, signed

from sandbox.model.expression import AggregateRef, ColumnRef, Compare, Literal
from sandbox.model.grant import GrantedAsset, Revocation, SignedGrant, SignedRevocation, request_grant
from sandbox.model.plan import ColumnUse, Plan
from sandbox.policy import check_grant, check_revocation

replace = msgspec.structs.replace


def judged(grant: SignedGrant, asked: Plan | None = None, **given: Any) -> dict[str, list[str]]:
    """Reasons by check, of what does not pass."""
    ancestors = given.get("ancestors", ())
    defaults: dict[str, Any] = {
        "revocations": (),
        "parties": parties(),
        "now": NOW,
        "usage": {item.grant.digest(): 0 for item in (grant, *ancestors)},
    }
    decision = check_grant(asked or plan(), grant, **{**defaults, **given})
    failing: dict[str, list[str]] = {}
    for finding in decision.findings:
        assert finding.message.isprintable()
        if finding.verdict != "pass":
            failing.setdefault(finding.check, []).append(finding.message)
    assert decision.allowed == (not failing)
    assert {finding.check for finding in decision.findings} == CHECKS
    return failing


CHECKS = {
    "grant.signatures",
    "grant.parties",
    "grant.plan",
    "grant.requester",
    "grant.scope",
    "grant.period",
    "grant.calls",
    "grant.revoked",
    "grant.delegation",
}


def with_other_literal() -> Plan:
    first, second = plan().inputs
    other = Compare(op="=", left=ColumnRef(name="test"), right=Literal(type="text", value="ldl"))
    return replace(plan(), inputs=(first, replace(second, filters=(other,))), having=plan().having, limit=3)


def altered(grant: SignedGrant, **fields: Any) -> SignedGrant:
    """The grant with other content, signed by everyone: what signatures alone would accept."""
    return signed(SignedGrant(grant=replace(grant.grant, **fields)))


def test_a_grant_allows_its_plan() -> None:
    assert judged(granted()) == {}


def test_a_template_allows_other_literals_and_a_plan_grant_does_not() -> None:
    assert judged(granted(by="template"), with_other_literal()) == {}
    assert list(judged(granted(by="plan"), with_other_literal())) == ["grant.plan"]
    weaker = replace(
        with_other_literal(), having=Compare(op="<", left=AggregateRef(index=0), right=Literal(type="text", value=""))
    )
    assert list(judged(granted(by="template"), weaker)) == ["grant.plan"]


def test_missing_and_forged_signatures() -> None:
    grant = granted()
    assert "lab is missing" in judged(replace(grant, signatures=grant.signatures[:2]))["grant.signatures"][0]
    forged = replace(grant, grant=replace(grant.grant, calls=100))
    assert list(judged(forged)) == ["grant.signatures"]


def test_the_period() -> None:
    assert "is not valid yet" in judged(granted(), now=NOW - 2 * DAY)["grant.period"][0]
    assert judged(granted(), now=NOW - DAY) == {}
    assert "expired at 2026-06-30" in judged(granted(), now=NOW + 29 * DAY)["grant.period"][0]
    assert "no zone" in judged(granted(), now=NOW.replace(tzinfo=None))["grant.period"][0]


@pytest.mark.parametrize(
    ("used", "says"), [(3, "used up: 3 of 3"), (4, "used up"), (None, "were not given"), (-1, "were not given")]
)
def test_calls(used: int | None, says: str) -> None:
    grant = granted()
    usage = {} if used is None else {grant.grant.digest(): used}
    assert says in judged(grant, usage=usage)["grant.calls"][0]


def revoked_by(name: str, grant: SignedGrant, key: str | None = None) -> SignedRevocation:
    revocation = Revocation(version=1, grant=grant.grant.digest(), by=name, at=NOW + 5 * DAY, reason="enough")
    return SignedRevocation.sign(revocation, IDENTITIES[key or name])


@pytest.mark.parametrize("name", ["manager", "lab", "registry", "operator"])
def test_whoever_signed_or_asked_may_revoke_at_once(name: str) -> None:
    grant = granted()
    assert f"revoked by {name}" in judged(grant, revocations=[revoked_by(name, grant)])["grant.revoked"][0]


def test_revocations_of_others_do_not_count() -> None:
    grant = granted()
    other = [
        revoked_by("buyer", grant),
        revoked_by("lab", grant, key="stranger"),
        revoked_by("lab", granted(id="g2")),
    ]
    assert judged(grant, revocations=other) == {}


def test_a_revocation_is_judged_before_it_is_kept() -> None:
    grant = granted()
    assert check_revocation(revoked_by("lab", grant), grant, parties()).allowed
    assert check_revocation(revoked_by("operator", grant), grant, parties()).allowed
    for word, says in (
        (revoked_by("buyer", grant), "buyer cannot end grant g1, or did not sign; manager, registry, lab, operator can"),
        (revoked_by("lab", grant, key="stranger"), "lab cannot end grant g1, or did not sign"),
        (revoked_by("lab", granted(id="g2")), "of another grant"),
    ):
        decision = check_revocation(word, grant, parties())
        assert not decision.allowed
        assert says in decision.findings[0].message


def test_a_foreign_party_or_plan() -> None:
    by_affiliate = replace(plan(), operator="affiliate")
    assert set(judged(granted(), by_affiliate)) == {"grant.plan", "grant.requester"}
    assert judged(granted(by="template"), by_affiliate) == {
        "grant.requester": ["grant g1 belongs to operator, and affiliate runs the plan"]
    }
    assert "another plan" in judged(granted(), replace(plan(), title="x"))["grant.plan"][0]


WIDER: dict[str, dict[str, Any]] = {
    "purpose": {"purpose": "research"},
    "profile": {"profile": "open"},
    "recipients": {"recipients": ("buyer",)},
    "providers": {"providers": ("lab",)},
    "assets' versions": {"assets": tuple(replace(item, version=9) for item in granted().grant.assets)},
    "which the grant does not name": {
        "assets": tuple(replace(item, columns=item.columns[:1]) for item in granted().grant.assets)
    },
    "which the plan does not use": {
        "assets": tuple(
            replace(item, columns=tuple(replace(column, uses=("join_key", "sum")) for column in item.columns))
            for item in granted().grant.assets
        )
    },
}


@pytest.mark.parametrize("fields", WIDER.values(), ids=WIDER.keys())
def test_a_grant_of_other_scope_is_refused(fields: dict[str, Any]) -> None:
    assert list(judged(altered(granted(), **fields))) == ["grant.scope"]


def test_a_plan_that_understates_its_uses_needs_a_grant_of_the_real_ones() -> None:
    quiet = replace(plan(), uses=())
    assert "the plan uses lab.measurements.value for mean" in " ".join(judged(granted(quiet), quiet)["grant.scope"])
    loud = replace(plan(), uses=(*plan().uses, ColumnUse(asset="tax.income", column="x", uses=("sum",))))
    assert "grant.scope" in judged(granted(loud), loud)


def test_parties_must_be_admitted_and_in_their_roles() -> None:
    gone = {**parties(), "lab": party("lab", "provider", status="suspended")}
    assert "lab is not an admitted party" in judged(granted(), parties=gone)["grant.parties"][0]
    roleless = {**parties(), "manager": party("manager", "supervisor")}
    assert "has no such role" in judged(granted(), parties=roleless)["grant.parties"][0]


@pytest.mark.parametrize("approver", ["manager", "lab"])
def test_nobody_approves_an_affiliates_request(approver: str) -> None:
    roles = {"manager": "authoriser", "lab": "provider"}
    owned = {**parties(), approver: party(approver, roles[approver], parent="holding")}
    owned["operator"] = party("operator", "operator", parent="holding")
    assert f"{approver} may not approve a request of operator" in judged(granted(), parties=owned)["grant.parties"][0]


def delegated(**terms: Any) -> tuple[SignedGrant, SignedGrant, Plan]:
    """operator lets its affiliate ask the same question once, with other literals."""
    parent = granted(by="template", id="parent")
    asked = replace(with_other_literal(), operator="affiliate")
    defaults = {
        "id": "child",
        "authoriser": "manager",
        "calls": 1,
        "not_before": NOW,
        "expires": NOW + DAY,
        "parent": parent.grant,
    }
    return parent, signed(request_grant(asked, **{**defaults, **terms})), asked


def test_a_delegated_grant_that_narrows_is_allowed() -> None:
    parent, child, asked = delegated()
    assert child.grant.signers == ("manager", "registry", "lab", "operator")
    assert judged(child, asked, ancestors=[parent]) == {}
    parent, child, asked = delegated(by="template")
    assert judged(child, asked, ancestors=[parent]) == {}


@pytest.mark.parametrize(
    ("axis", "terms"),
    [
        ("calls", {"calls": 4}),
        ("period", {"expires": NOW + 40 * DAY}),
        ("period", {"not_before": NOW - 5 * DAY}),
    ],
)
def test_a_delegated_grant_never_widens(axis: str, terms: dict[str, Any]) -> None:
    parent, child, asked = delegated(**terms)
    assert f"which it should narrow, in {axis}" in judged(child, asked, ancestors=[parent])["grant.delegation"][0]


@pytest.mark.parametrize(
    ("axis", "fields"),
    [
        ("authoriser", {"authoriser": "auditor"}),
        ("purpose", {"purpose": "research"}),
        ("profile", {"profile": "open"}),
        ("recipients", {"recipients": ("buyer",)}),
        ("providers", {"providers": ("lab",)}),
        ("assets", {"assets": (GrantedAsset(asset="lab.measurements", version=8, columns=()),)}),
        ("columns", {"assets": ()}),
        ("plan", {"plan": "sha256:" + "0" * 64}),
    ],
)
def test_each_axis_of_a_delegation_is_compared(axis: str, fields: dict[str, Any]) -> None:
    parent, child, asked = delegated(by="template")
    narrower = altered(parent, **fields)
    child = altered(child, parent=narrower.grant.digest())
    reasons = judged(child, asked, ancestors=[narrower])["grant.delegation"]
    assert axis in reasons[0].partition("in ")[2]


def test_a_parent_binds_its_children() -> None:
    parent, child, asked = delegated()
    chain = {"ancestors": [parent]}
    assert (
        "grant parent was revoked" in judged(child, asked, revocations=[revoked_by("lab", parent)], **chain)["grant.revoked"][0]
    )
    usage = {parent.grant.digest(): 3, child.grant.digest(): 0}
    assert "grant parent is used up" in judged(child, asked, usage=usage, **chain)["grant.calls"][0]
    assert "was not given" in judged(child, asked)["grant.delegation"][0]
    unsigned = replace(parent, signatures=())
    assert "grant parent" in judged(child, asked, ancestors=[unsigned])["grant.signatures"][0]
    unasked = replace(child, signatures=child.signatures[:3])
    assert "operator is missing" in judged(unasked, asked, **chain)["grant.signatures"][0]
    wrong = altered(child, delegated_by="lab")
    assert "delegator" in judged(wrong, asked, **chain)["grant.delegation"][0]
