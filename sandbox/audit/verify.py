"""verify: a bundle before an auditor's trust file. No network, nothing heavy; the first fault is raised with its place.

Imports the standard library, msgspec, rfc8785 and cryptography only.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from sandbox.audit import check_authority, check_certificate, check_data, check_log, check_parts, check_release
from sandbox.audit.bundle import parse_bundle, read_bundle
from sandbox.audit.case import Case, Check, Report
from sandbox.audit.trust import Trust, load_trust
from sandbox.errors import AuditError, DocumentError
from sandbox.model.canonical import digest

CHECKS: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("payload", check_data.payload),
    ("checkpoint", check_log.checkpoint),
    ("inclusion", check_log.inclusion),
    ("signatures", check_log.signatures),
    ("citations", check_log.citations),
    ("continuity", check_log.continuity),
    ("log before effect", check_log.log_before_effect),
    ("plan", check_authority.plan),
    ("grants", check_authority.grants),
    ("scope", check_authority.scope),
    ("period", check_authority.period),
    ("revocation", check_authority.revocation),
    ("decision", check_authority.decision),
    ("parts", check_parts.parts),
    ("commitments", check_data.commitments),
    ("transcripts", check_data.transcripts),
    ("rows", check_release.rows),
    ("product", check_data.product),
    ("certificate", check_certificate.certificate),
)
"""From the outside in: bytes, then the log that nobody here controls, then who said what, then what it means."""

NOT_PROVED = (
    "that the committed tables are the ones that were used: only a replay with rows and seed opened shows that",
    "that no revocation was left out of the bundle: compare with the whole log (`sandbox audit reconcile`)",
    "that the released numbers are right: the operator is assumed to follow the protocol, and a replay would show otherwise",
    "that the providers' rows are true",
    "that the certificate's figures are right: `sandbox audit attack` recomputes those that can be",
)


def verify(bundle: str | Path, trust: Trust | str | Path, *, now: datetime.datetime | None = None) -> Report:
    """Return what a bundle proves under a trust file; raise AuditError at the first thing that does not hold.

    now: the auditor's clock; if given, cosignatures dated later are refused. Errors name the place; kind `invalid` is evidence
    that contradicts itself, `incomplete` evidence that is missing, `untrusted` a key or origin that the trust file lacks.
    """
    loaded = trust if isinstance(trust, Trust) else load_trust(trust)
    manifest, payload = read_bundle(Path(bundle))
    return verify_bytes(manifest, payload, loaded, now=now)


def verify_bytes(manifest: bytes, payload: bytes, trust: Trust, *, now: datetime.datetime | None = None) -> Report:
    """As verify, over the bytes of the two files."""
    case = Case(bundle=parse_bundle(manifest), payload=payload, trust=trust, now=now)
    if not case.bundle.grants:
        raise AuditError("there is no grant", place="grants", kind="incomplete")
    passed = [Check(name="form", detail=f"{len(manifest)} bytes of canonical JSON")]
    for name, check in CHECKS:
        try:
            passed.append(Check(name=name, detail=check(case)))
        except DocumentError as error:
            raise AuditError(str(error), place=name) from None
    checkpoint = case.checkpoint.checkpoint
    return Report(
        task=case.bundle.task,
        plan=case.bundle.plan.digest(),
        product=digest(case.bundle.product),
        payload=case.bundle.product.payload,
        origin=checkpoint.origin,
        log_size=checkpoint.size,
        log_root=checkpoint.root.hex(),
        witnesses=tuple(sorted(case.checkpoint.cosigned)),
        checks=tuple(passed),
        not_proved=NOT_PROVED,
    )
