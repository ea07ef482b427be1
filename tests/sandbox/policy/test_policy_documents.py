"""Parties, policy.toml and grants as documents: strict, canonical, and errors that name the field."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.policy_cases import DAY, IDENTITIES, NOW, granted, party, plan

from sandbox.errors import AuditError, DocumentError
from sandbox.model.canonical import canonical, parse
from sandbox.model.expression import Case, ColumnRef, Compare, FloorDivide, In, Literal
from sandbox.model.grant import (
    Grant,
    Revocation,
    SignedGrant,
    SignedRevocation,
    request_grant,
    template_digest,
    verify_grant,
    verify_revocation,
)
from sandbox.model.party import Party, owner, share_owner
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy, policy_from_toml

TOML = """
asset = "lab.measurements"
purposes = ["chronic-disease-statistics"]
recipients = ["city-health-operator"]
profiles = ["statistics-controlled"]
min_cell = 10
min_list = 100
max_calls = 50
expires = 2027-12-31
[columns]
id = ["join_key"]
test = ["filter", "group"]
value = ["count", "sum", "mean", "variance"]
"""
EVERYONE = {name: party(name, "provider") for name in ("registry", "lab", "manager", "operator", "stranger")}
replace = msgspec.structs.replace


def test_the_documented_policy() -> None:
    policy = policy_from_toml(TOML, version=2)
    assert policy.expires == datetime.date(2027, 12, 31)
    assert policy.matching == ("blinded",)
    assert policy.uses_of("test") == ("filter", "group")
    assert policy.uses_of("absent") == ()
    assert parse(canonical(policy), Policy, what="policy") == policy
    assert policy.digest() != policy_from_toml(TOML, version=3).digest()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("min_cell = 10", "min_cell = 10\nmoon = 1", "unknown field `moon`"),
        ("min_cell = 10\n", "", "missing required field `min_cell`"),
        ("min_cell = 10", 'min_cell = "10"', r"Expected `int`, got `str` - at `\$.min_cell`"),
        ("min_cell = 10", "min_cell = true", r"\$.min_cell"),
        ("min_cell = 10", "min_cell = 10.0", r"\$.min_cell"),
        ("min_cell = 10", "min_cell = 1", "min_cell: 1 is outside 2"),
        ("min_cell = 10", "min_cell = " + "9" * 5000, "policy.toml: "),
        ("max_calls = 50", "max_calls = -1", "max_calls: -1 is outside 0"),
        ("max_calls = 50", "max_calls = 50\nmax_calls = 51", "near 'max_calls'"),
        ("max_calls = 50", "年龄 = 50", "near '年龄'; a name beyond ASCII letters stands in double quotes"),
        ("expires = 2027-12-31", 'expires = "2027-12-31"', "expires: write a TOML date"),
        ("expires = 2027-12-31", "expires = 2027-12-31T00:00:00Z", r"\$.expires"),
        ("expires = 2027-12-31", "expires = 2027-02-30", "near 'expires'"),
        ("expires = 2027-12-31", "expires = 2027", "expires: write a TOML date"),
        ('["city-health-operator"]', '["a", "a"]', "recipients: 'a' is there twice"),
        ('["city-health-operator"]', "[]", "recipients: name at least one"),
        ('["city-health-operator"]', '["a\\u001b[31m"]', r"recipients\[0\]: 'a\\x1b\[31m' is not a name"),
        ('["city-health-operator"]', '["<b>"]', r"recipients\[0\]"),
        ('["city-health-operator"]', '["операtor"]', r"recipients\[0\]"),
        ('["city-health-operator"]', '"city-health-operator"', r"\$.recipients"),
        ('test = ["filter", "group"]', 'test = ["filter", "filter"]', "columns.test: 'filter' is there twice"),
        ('test = ["filter", "group"]', 'test = ["read"]', "columns.test: Invalid enum value 'read'.*the uses are join_key"),
        ('test = ["filter", "group"]', "test = 1", "columns.test"),
        ('test = ["filter", "group"]', '"te\\nst" = ["filter"]', "not a column's name|no column's name"),
        ('test = ["filter", "group"]', 'id = ["filter"]', "near 'id'"),
        ("[columns]", 'matching = ["open"]\n[columns]', "matching.*each is blinded or keyed"),
        ("[columns]", 'matching = ["keyed", "keyed"]\n[columns]', "matching: 'keyed' is there twice"),
        ("[columns]", "a = " + "[" * 100_000 + "\n[columns]", "nested too deeply|policy.toml: "),
        ("[columns]", "\x00", "policy.toml: "),
        ('asset = "lab.measurements"', 'asset = "lab measurements"', "asset: 'lab measurements' is not a name"),
    ],
)
def test_bad_policies_name_the_field(old: str, new: str, says: str) -> None:
    assert old in TOML
    with pytest.raises(DocumentError, match=says) as caught:
        policy_from_toml(TOML.replace(old, new, 1), version=1)
    assert str(caught.value).isprintable()


def test_a_huge_text_is_refused_unread() -> None:
    with pytest.raises(DocumentError, match="the limit is"):
        policy_from_toml("#" * (2 << 20), version=1)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(TOML) - 1), byte=st.characters(max_codepoint=0x2FF))
def test_any_change_is_read_or_refused_by_one_error(place: int, byte: str) -> None:
    assert refusal(TOML[:place] + byte + TOML[place + 1 :]).isprintable()


def refusal(text: str) -> str:
    try:
        policy_from_toml(text, version=1)
    except DocumentError as error:
        return str(error)
    return ""


def test_parties() -> None:
    with pytest.raises(DocumentError, match="is not a name"):
        replace(party("lab"), name="a b")
    with pytest.raises(DocumentError, match="roles: 'operator' is there twice"):
        party("operator", "operator", "operator")
    with pytest.raises(DocumentError, match="ed25519"):
        replace(party("operator", "operator"), key="ed25519:AA==")
    assert parse(canonical(party("lab", "provider")), Party, what="party") == party("lab", "provider")


def test_owners_follow_the_chain_of_parents() -> None:
    chain = {"lab": party("lab", parent="registry"), "registry": party("registry", parent="holding"), "buyer": party("buyer")}
    assert owner("lab", chain) == "holding"
    assert owner("buyer", chain) == "buyer"
    assert owner("stranger", chain) is None
    assert share_owner("lab", "registry", chain)
    assert not share_owner("lab", "buyer", chain)
    assert share_owner("lab", "stranger", chain)
    circle = {"lab": party("lab", parent="registry"), "registry": party("registry", parent="lab"), "buyer": party("buyer")}
    assert owner("lab", circle) is None
    assert share_owner("lab", "buyer", circle)


def test_a_complete_grant_verifies() -> None:
    signed = granted()
    assert signed.grant.signers == ("manager", "registry", "lab")
    verify_grant(signed, EVERYONE)
    again = parse(canonical(signed), SignedGrant, what="grant")
    assert again == signed
    verify_grant(again, EVERYONE)


def test_each_signature_is_needed_and_no_other_counts() -> None:
    signed = granted()
    for missing in range(3):
        kept = tuple(item for index, item in enumerate(signed.signatures) if index != missing)
        with pytest.raises(AuditError, match=signed.signatures[missing].party) as caught:
            verify_grant(replace(signed, signatures=kept), EVERYONE)
        assert caught.value.kind == "incomplete"
    with pytest.raises(DocumentError, match="stranger does not sign"):
        signed.sign("stranger", IDENTITIES["stranger"])
    with pytest.raises(DocumentError, match="twice"):
        signed.sign("lab", IDENTITIES["lab"])
    first = signed.signatures[0]
    for extra in (first, replace(first, party="stranger")):
        with pytest.raises(AuditError, match="does not sign this grant"):
            verify_grant(replace(signed, signatures=(*signed.signatures, extra)), EVERYONE)
    with pytest.raises(AuditError, match="unknown"):
        verify_grant(signed, {name: item for name, item in EVERYONE.items() if name != "lab"})


def test_a_signature_by_another_key_or_over_another_grant_is_named() -> None:
    signed = granted()
    with pytest.raises(AuditError, match="lab"):
        verify_grant(request_grant_signed_by_stranger(), EVERYONE)
    widened = replace(signed, grant=replace(signed.grant, calls=99))
    with pytest.raises(AuditError, match="signature 0"):
        verify_grant(widened, EVERYONE)
    for text in ("", "zz" * 64, signed.signatures[0].signature.upper(), signed.signatures[0].signature + "00"):
        bad = replace(signed, signatures=(replace(signed.signatures[0], signature=text), *signed.signatures[1:]))
        with pytest.raises(AuditError, match="128 lower-case hex"):
            verify_grant(bad, EVERYONE)


def request_grant_signed_by_stranger() -> SignedGrant:
    signed = request_grant(plan(), id="g", authoriser="manager", calls=1, not_before=NOW, expires=NOW + DAY)
    for name, key in (("manager", "manager"), ("registry", "registry"), ("lab", "stranger")):
        signed = signed.sign(name, IDENTITIES[key])
    return signed


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("calls", 0, "calls: 0 is outside 1"),
        ("not_before", datetime.datetime(2026, 1, 1), "not_before: write the time in UTC"),
        ("expires", NOW.astimezone(datetime.timezone(datetime.timedelta(hours=8))) + DAY, "expires: write the time in UTC"),
        ("expires", NOW - 2 * DAY, "would end before it begins"),
        ("plan", "sha256:xyz", "plan: .* is not a digest"),
        ("parent", "sha256:" + "0" * 64, "delegated_by"),
        ("providers", (), "providers: name at least one"),
        ("id", "a\nb", "id: .* is not a name"),
    ],
)
def test_grants_that_make_no_sense(field: str, value: object, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        replace(granted().grant, **{field: value})


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[1]",
        b'{"calls":1,"calls":2}',
        b'{"calls":NaN}',
        b'{"calls":1e999}',
        b"[" * 100_000,
        b'{"calls":' + b"9" * 5000 + b"}",
    ],
)
def test_documents_that_are_none(text: bytes) -> None:
    with pytest.raises(DocumentError):
        parse(text, Grant, what="grant")


def test_other_forms_of_the_same_grant_are_refused() -> None:
    data = canonical(granted().grant)
    assert parse(data, Grant, what="grant") == granted().grant
    for other in (data.replace(b"Z", b"+00:00", 1), data.replace(b"{", b"{ ", 1), data.replace(b'"calls":3', b'"calls":"3"')):
        assert other != data
        with pytest.raises(DocumentError):
            parse(other, Grant, what="grant")


def test_revocations() -> None:
    revocation = Revocation(version=1, grant=granted().grant.digest(), by="lab", at=NOW, reason="patients objected")
    signed = SignedRevocation.sign(revocation, IDENTITIES["lab"])
    verify_revocation(parse(canonical(signed), SignedRevocation, what="revocation"), EVERYONE)
    with pytest.raises(AuditError):
        verify_revocation(SignedRevocation.sign(revocation, IDENTITIES["stranger"]), EVERYONE)
    with pytest.raises(AuditError):
        verify_revocation(replace(signed, revocation=replace(revocation, by="registry")), EVERYONE)
    with pytest.raises(DocumentError, match="reason"):
        replace(revocation, reason="a\nb")


def text(value: str) -> Literal:
    return Literal(type="text", value=value)


def with_filter(expression: Compare | In) -> Plan:
    first, second = plan().inputs
    return replace(plan(), inputs=(first, replace(second, filters=(expression,))))


TEST = ColumnRef(name="test")
BANDS = FloorDivide(operand=ColumnRef(name="age"), divisor=10)
FREE: dict[str, Plan] = {
    "a filter's literal": with_filter(Compare(op="=", left=TEST, right=text("ldl"))),
    "a HAVING literal": replace(
        plan(),
        having=replace(plan().having, right=Literal(type="integer", value="99")),  # type: ignore[type-var]
    ),
    "title and text": replace(plan(), title="other", sql="SELECT 1", dropped=("a.b",)),
    "the number of LIMIT": replace(plan(), limit=7),
    "who asks": replace(plan(), operator="affiliate", recipients=("buyer",)),
}
FIXED: dict[str, Plan] = {
    "a literal's type": with_filter(Compare(op="=", left=TEST, right=Literal(type="null", value=""))),
    "the operator of a comparison": with_filter(Compare(op="<>", left=TEST, right=text("hdl"))),
    "another column": with_filter(Compare(op="=", left=ColumnRef(name="value"), right=text("hdl"))),
    "how many literals": with_filter(In(operand=TEST, options=(text("a"), text("b")))),
    "no LIMIT": replace(plan(), limit=None),
    "no HAVING": replace(plan(), having=None),
    "another purpose": replace(plan(), purpose="research"),
    "another gate": replace(plan(), gate="affiliate"),
    "weaker rules": replace(plan(), rules=replace(plan().rules, min_keys=2)),
    "a newer asset": replace(plan(), inputs=(replace(plan().inputs[0], asset_version=4), plan().inputs[1])),
    "an output's name": replace(plan(), select=plan().select[:1]),
}


@pytest.mark.parametrize("other", FREE.values(), ids=FREE.keys())
def test_templates_leave_these_free(other: Plan) -> None:
    assert other.digest() != plan().digest()
    assert template_digest(other) == template_digest(plan())


@pytest.mark.parametrize("other", FIXED.values(), ids=FIXED.keys())
def test_templates_fix_these(other: Plan) -> None:
    assert template_digest(other) != template_digest(plan())


def test_bands_of_groups_belong_to_the_template() -> None:
    def grouped(expression: FloorDivide | Case) -> Plan:
        first, second = plan().inputs
        return replace(plan(), inputs=(replace(first, groups=(replace(first.groups[0], expression=expression),)), second))

    by_ten, by_five = grouped(BANDS), grouped(replace(BANDS, divisor=5))
    assert template_digest(by_ten) != template_digest(by_five)
    named = [grouped(Case(branches=(), otherwise=text(label))) for label in ("old", "young")]
    assert template_digest(named[0]) != template_digest(named[1])


@settings(max_examples=50, deadline=None)
@given(first=st.text(), second=st.text())
def test_all_literals_of_one_type_share_a_template(first: str, second: str) -> None:
    one, two = (with_filter(In(operand=TEST, options=(text(value),))) for value in (first, second))
    assert template_digest(one) == template_digest(two)
