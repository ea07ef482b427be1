"""Finding and Decision: what a check found, with a reason that a person can act on and never a value."""

from __future__ import annotations

from typing import Literal as OneOf

from sandbox.model.canonical import Document

Verdict = OneOf["pass", "fail", "inconclusive"]
Reason = OneOf["BELOW_K", "DOMINANCE", "SECONDARY", "DIFFERENCE", "RECONSTRUCTION", "RARE_GROUP", "NO_VALUES"]


class Finding(Document, frozen=True, kw_only=True):
    """One check's result. check: its name. subject: what it judged (asset, column, party, cell by labels, product)."""

    check: str
    verdict: Verdict
    subject: str
    message: str
    reason: Reason | None = None


class Decision(Document, frozen=True, kw_only=True):
    """Allowed only if every finding passes and there is at least one."""

    findings: tuple[Finding, ...]

    @property
    def allowed(self) -> bool:
        """True if there are findings and all of them pass."""
        return bool(self.findings) and all(finding.verdict == "pass" for finding in self.findings)
