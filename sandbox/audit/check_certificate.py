"""Check on the certificate: the gate signed it, for this product, plan, profile and history, and nothing in it blocks.

Whether its figures are right is not this check's: they are recomputed from the product by `sandbox audit attack`.
"""

from __future__ import annotations

from collections import Counter

from sandbox.audit.case import Case
from sandbox.errors import AuditError
from sandbox.model.canonical import canonical, digest
from sandbox.model.certificate import CERTIFICATE_CONTEXT, Certificate

PLACE = "certificate"


def certificate(case: Case) -> str:
    """The gate's certificate is of this product, the release and the card name it, and every verdict in it is PASS."""
    release, signed, record = case.only("product.released"), case.bundle.certificate, case.bundle.product
    if record.card.certificate is None:
        raise AuditError("the card names no certificate", place="product card", kind="incomplete")
    case.require_subjects(release, "certificate", {digest(signed)})
    if record.card.certificate != digest(signed):
        raise AuditError("the card names another certificate than the bundle holds", place="product card")
    found = signed.certificate
    gate = case.trust.require(found.gate, at=case.events[release].time, place=PLACE)
    if signed.signature.party != found.gate:
        raise AuditError(f"it is signed as {signed.signature.party[:40]!a}", place=PLACE)
    gate.identity.verify(CERTIFICATE_CONTEXT, canonical(found), signed.signature.to_bytes(place=PLACE), place=PLACE)
    _check_bound(case, found)
    return _verdicts(found)


def _check_bound(case: Case, found: Certificate) -> None:
    plan, record = case.bundle.plan, case.bundle.product
    bound = (
        ("task", found.task == case.bundle.task),
        ("gate", found.gate == plan.gate),
        ("payload", found.payload == record.payload),
        ("plan", found.plan == plan.digest()),
        ("profile", (found.profile, found.profile_version) == (plan.rules.profile, plan.rules.version)),
        ("earlier products", found.history.products == record.card.lineage),
    )
    for name, same in bound:
        if not same:
            raise AuditError(f"its {name} is not that of the released product", place=PLACE)


def _verdicts(found: Certificate) -> str:
    if not found.measures or not found.software:
        missing = "measure" if not found.measures else "software version"
        raise AuditError(f"it holds no {missing}", place=PLACE, kind="incomplete")
    for item in found.blocking:
        problem = f"{item.name} of {item.subject[:60]!a} is {item.verdict}, and the product was released"
        raise AuditError(problem, place=PLACE)
    hows = Counter(item.how for item in found.measures)
    return (
        f"{len(found.measures)} measures ({hows['bundle']} to recompute, {hows['gate']} by the gate alone), "
        f"{len(found.attacks)} attacks, all PASS; {len(found.history.products)} earlier products"
    )
