"""Grant: an approval of one plan, or of a plan with other literals, signed by the authoriser and by each provider."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any, Self
from typing import Literal as OneOf

import msgspec

from sandbox.errors import AuditError, DocumentError
from sandbox.model.canonical import Document, canonical, digest
from sandbox.model.party import Party, check_distinct, check_name
from sandbox.model.plan import Plan
from sandbox.model.policy import ColumnUses, check_columns, check_names
from sandbox.model.signature import SIGNATURE_BYTES, PrivateIdentity

GRANT_CONTEXT = "grant/1"
REVOCATION_CONTEXT = "revocation/1"
TEMPLATE = "plan-template/1"
MAX_CALLS = 10**9
DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class GrantedAsset(Document, frozen=True, kw_only=True):
    """One asset at one version, with the columns and uses that are granted."""

    asset: str
    version: int
    columns: tuple[ColumnUses, ...]


class Grant(Document, frozen=True, kw_only=True):
    """Who may do what, how often, when. `plan` is the digest of the plan, or of its template, as `by` says.

    not_before and expires are UTC; the grant holds for not_before <= now < expires.
    parent: digest of the grant that this one narrows; delegated_by: that grant's requester, who signs too.
    """

    version: OneOf[1]
    id: str
    requester: str
    purpose: str
    recipients: tuple[str, ...]
    profile: str
    by: OneOf["plan", "template"]
    plan: str
    assets: tuple[GrantedAsset, ...]
    calls: int
    not_before: datetime.datetime
    expires: datetime.datetime
    authoriser: str
    providers: tuple[str, ...]
    parent: str | None = None
    delegated_by: str | None = None

    def __post_init__(self) -> None:
        for field in ("id", "requester", "purpose", "profile", "authoriser"):
            check_name(getattr(self, field), field=field)
        check_digest(self.plan, field="plan")
        if self.parent is not None:
            check_digest(self.parent, field="parent")
        check_names(self.recipients, field="recipients")
        check_names(self.providers, field="providers")
        check_distinct(tuple(item.asset for item in self.assets), field="assets")
        for item in self.assets:
            check_columns(item.columns, field=f"assets.{item.asset}")
        if not 1 <= self.calls <= MAX_CALLS:
            raise DocumentError(f"calls: {self.calls} is outside 1..{MAX_CALLS}")
        check_utc(self.not_before, field="not_before")
        check_utc(self.expires, field="expires")
        if self.expires <= self.not_before:
            raise DocumentError("expires: the grant would end before it begins")
        if (self.parent is None) != (self.delegated_by is None):
            raise DocumentError("delegated_by: a grant with a parent names who delegates, and only such a grant does")

    def digest(self) -> str:
        """Return `sha256:<hex>` over the grant's canonical bytes: its identity for counting and revoking."""
        return digest(self)

    @property
    def signers(self) -> tuple[str, ...]:
        """Everyone whose signature makes the grant valid."""
        named = (self.authoriser, *self.providers, *(() if self.delegated_by is None else (self.delegated_by,)))
        return tuple(dict.fromkeys(named))


class Signature(Document, frozen=True, kw_only=True):
    """A party's detached Ed25519 signature over a document's canonical bytes, 128 hex digits."""

    party: str
    signature: str

    def to_bytes(self, *, place: str) -> bytes:
        """Return the 64 bytes. Raises AuditError if the text is anything but lower-case hex of that length."""
        try:
            raw = bytes.fromhex(self.signature)
        except ValueError:
            raw = b""
        if len(raw) != SIGNATURE_BYTES or raw.hex() != self.signature:
            raise AuditError(f"a signature is written as {2 * SIGNATURE_BYTES} lower-case hex digits", place=place)
        return raw


class SignedGrant(Document, frozen=True, kw_only=True):
    """A grant with the signatures gathered so far."""

    grant: Grant
    signatures: tuple[Signature, ...] = ()

    def sign(self, party: str, identity: PrivateIdentity) -> Self:
        """Return a copy with one more signature. Raises DocumentError if this party is no signer, or signed before."""
        if party not in self.grant.signers:
            raise DocumentError(f"{party} does not sign grant {self.grant.id}; {', '.join(self.grant.signers)} do")
        signature = Signature(party=party, signature=identity.sign(GRANT_CONTEXT, canonical(self.grant)).hex())
        signatures = (*self.signatures, signature)
        check_distinct(tuple(item.party for item in signatures), field="signatures")
        return msgspec.structs.replace(self, signatures=signatures)


class Revocation(Document, frozen=True, kw_only=True):
    """The authoriser's, a provider's or the requester's word that a grant ends. It works at once, whatever `at` says."""

    version: OneOf[1]
    grant: str
    by: str
    at: datetime.datetime
    reason: str

    def __post_init__(self) -> None:
        check_digest(self.grant, field="grant")
        check_name(self.by, field="by")
        check_utc(self.at, field="at")
        if not self.reason.isprintable() or len(self.reason) > 500:
            raise DocumentError("reason: at most 500 printable characters")


class SignedRevocation(Document, frozen=True, kw_only=True):
    """A revocation with its author's signature."""

    revocation: Revocation
    signature: Signature

    @classmethod
    def sign(cls, revocation: Revocation, identity: PrivateIdentity) -> Self:
        """Return the revocation, signed by the party that it names."""
        raw = identity.sign(REVOCATION_CONTEXT, canonical(revocation))
        return cls(revocation=revocation, signature=Signature(party=revocation.by, signature=raw.hex()))


def request_grant(
    plan: Plan,
    *,
    id: str,
    authoriser: str,
    calls: int,
    not_before: datetime.datetime,
    expires: datetime.datetime,
    by: OneOf["plan", "template"] = "plan",
    parent: Grant | None = None,
) -> SignedGrant:
    """Return the unsigned grant that a plan needs: exactly its assets, columns and uses, no more."""
    grant = Grant(
        version=1,
        id=id,
        requester=plan.operator,
        purpose=plan.purpose,
        recipients=plan.recipients,
        profile=plan.rules.profile,
        by=by,
        plan=plan.digest() if by == "plan" else template_digest(plan),
        assets=granted_assets(plan),
        calls=calls,
        not_before=not_before,
        expires=expires,
        authoriser=authoriser,
        providers=tuple(dict.fromkeys(item.provider for item in plan.inputs)),
        parent=None if parent is None else parent.digest(),
        delegated_by=None if parent is None else parent.requester,
    )
    return SignedGrant(grant=grant)


def granted_assets(plan: Plan) -> tuple[GrantedAsset, ...]:
    """Return a plan's assets, versions, columns and uses as a grant states them, sorted."""
    versions = {item.asset: item.asset_version for item in plan.inputs}
    uses: dict[str, dict[str, set[Any]]] = {asset: {} for asset in versions}
    for item in plan.uses:
        uses.setdefault(item.asset, {}).setdefault(item.column, set()).update(item.uses)
    return tuple(
        GrantedAsset(
            asset=asset,
            version=versions.get(asset, 0),
            columns=tuple(ColumnUses(column=name, uses=tuple(sorted(columns[name]))) for name in sorted(columns)),
        )
        for asset, columns in sorted(uses.items())
    )


def verify_grant(signed: SignedGrant, parties: Mapping[str, Party], *, place: str = "grant") -> None:
    """Return only if the authoriser, every provider and the delegator signed, and nobody else. Raises AuditError.

    Judges signatures alone: neither time, revocation nor scope (`sandbox.policy.check_grant` does).
    """
    data = canonical(signed.grant)
    signed_by = [item.party for item in signed.signatures]
    for index, item in enumerate(signed.signatures):
        here = f"{place} {signed.grant.id}, signature {index} ({item.party[:40]!a})"
        if item.party not in signed.grant.signers or item.party in signed_by[:index]:
            raise AuditError("this party does not sign this grant, or signed before", place=here)
        if item.party not in parties:
            raise AuditError("the party is unknown, so no key can verify it", place=here, kind="untrusted")
        parties[item.party].identity.verify(GRANT_CONTEXT, data, item.to_bytes(place=here), place=here)
    missing = [name for name in signed.grant.signers if name not in signed_by]
    if missing:
        problem = f"the signature of {', '.join(missing)} is missing; have it approved"
        raise AuditError(problem, place=f"{place} {signed.grant.id}", kind="incomplete")


def verify_revocation(signed: SignedRevocation, parties: Mapping[str, Party], *, place: str = "revocation") -> None:
    """Return only if the party that the revocation names signed it. Raises AuditError."""
    by = signed.revocation.by
    if signed.signature.party != by or by not in parties:
        raise AuditError(f"the signature must be by {by}, a known party", place=place, kind="untrusted")
    data = canonical(signed.revocation)
    parties[by].identity.verify(REVOCATION_CONTEXT, data, signed.signature.to_bytes(place=place), place=place)


def template_digest(plan: Plan) -> str:
    """Return the digest of a plan's template: the same question with other literals, by whomever it is asked.

    Free: the values of literals in filters and HAVING (their types and number stay), LIMIT's number (its presence stays),
    title, sql, the notes on dropped columns; operator and recipients, which the grant names itself. Everything else stays,
    the bands and divisors of GROUP BY included, since they decide which cells exist.
    """
    fields: dict[str, Any] = msgspec.to_builtins(plan)
    for name in ("title", "sql", "dropped", "operator", "recipients"):
        del fields[name]
    fields["limit"] = plan.limit is not None
    fields["having"] = _without_values(fields["having"])
    for item in fields["inputs"]:
        item["filters"] = _without_values(item["filters"])
    return digest({"template": TEMPLATE, "plan": fields})


def _without_values(node: Any) -> Any:
    """The same tree with every literal reduced to its type."""
    if isinstance(node, dict):
        kept = {key: _without_values(value) for key, value in node.items()}
        if node.get("node") == "literal":
            del kept["value"]
        return kept
    if isinstance(node, list | tuple):
        return [_without_values(item) for item in node]
    return node


def check_digest(value: str, *, field: str) -> None:
    """Return only if a text is a digest, `sha256:` and 64 lower-case hex digits. Raises DocumentError that names the field."""
    if not DIGEST.fullmatch(value):
        raise DocumentError(f"{field}: {value[:80]!a} is not a digest (`sha256:` and 64 lower-case hex digits)")


def check_utc(value: datetime.datetime, *, field: str) -> None:
    """Return only if a time is in UTC. Raises DocumentError that names the field."""
    if value.utcoffset() != datetime.timedelta(0):
        raise DocumentError(f"{field}: write the time in UTC, such as 2027-12-31T00:00:00Z")
