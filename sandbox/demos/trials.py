"""What every demo tries after the product: to find one person by a second question, and to change the evidence."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from sandbox.audit.verify import verify
from sandbox.demos.result import Trial
from sandbox.embedded import Embedded
from sandbox.errors import AuditError, StateError, Withheld
from sandbox.model.decision import Finding
from sandbox.node.session import OnProgress


def differencing(
    network: Embedded, sql: str, options: dict[str, Any], on_progress: OnProgress | None, *, differs_by: str
) -> Trial:
    """Ask a question whose answer would differ from an earlier one by a few of something; return what the gate said.

    Raises StateError if the gate released everything: then the demo shows nothing.
    """
    explanation = network.explain(sql, **options)
    grant = network.approve(explanation)
    try:
        product = network.run(explanation, grant=grant, on_progress=on_progress)
    except Withheld as refused:
        outcome = "refused: " + _failed(refused.findings)
    else:
        if not product.withheld:
            raise StateError("the differencing question was answered in full; the gate's history check did not see it")
        outcome = f"{len(product.withheld)} of its numbers withheld: " + _failed(product.findings)
    return Trial(title=f"another question that differs from the first by a few {differs_by}", outcome=outcome)


def tampering(bundle: Path, trust: Path) -> Trial:
    """Verify a bundle, then change one bit of the product in a copy of it; return what the verifier says of both.

    Raises AuditError if the bundle itself does not verify, StateError if the verifier accepts the changed one.
    """
    passed = len(verify(bundle, trust).checks)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "bundle"
        shutil.copytree(bundle, copy)
        payload = copy / "product.arrow"
        data = bytearray(payload.read_bytes())
        data[len(data) // 2] ^= 1
        payload.write_bytes(bytes(data))
        try:
            verify(copy, trust)
        except AuditError as refused:
            title = f"the bundle, which passes {passed} checks, with one bit of the product changed"
            return Trial(title=title, outcome=str(refused))
    raise StateError("the verifier accepted a changed bundle")


def _failed(findings: tuple[Finding, ...]) -> str:
    return "; ".join(f"{finding.check}: {finding.message}" for finding in findings if finding.verdict != "pass")
