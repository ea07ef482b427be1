"""Errors of the sandbox, and the one table that maps any error to an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.errors import Cancelled, ParameterError, PeerError

if TYPE_CHECKING:
    from sandbox.model.decision import Decision, Finding


class SandboxError(Exception):
    """Base of the sandbox's errors: what was wrong, where, and what to do. Never a cell value, never a secret."""


class UsageError(SandboxError):
    """A parameter, file or question is unusable as written."""


class QuestionError(UsageError):
    """A question that cannot be accepted, with the place in its text.

    line and column count from 1; excerpt is the line of the question; hint says what would be allowed.
    """

    def __init__(self, problem: str, *, line: int = 0, column: int = 0, excerpt: str = "", hint: str = "") -> None:
        self.problem = problem
        self.line = line
        self.column = column
        self.excerpt = excerpt
        self.hint = hint
        super().__init__(self._render())

    def _render(self) -> str:
        if not self.line:
            return "\n".join(part for part in (self.problem, self.hint) if part)
        caret = " " * (self.column - 1) + "^"
        parts = (f"line {self.line}, column {self.column}: {self.problem}", f"  {self.excerpt}", f"  {caret}", self.hint)
        return "\n".join(part for part in parts if part.strip())


class DocumentError(UsageError):
    """A document (policy, grant, plan, job, trust file) is malformed: where, and what is expected there."""


class NotFound(SandboxError):  # noqa: N818  (the name that interfaces promise)
    """Something named does not exist here."""


class Denied(SandboxError):  # noqa: N818  (the name that interfaces promise)
    """Policy, grant or ledger refuses; `decision` holds every reason."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__("denied: " + "; ".join(finding.message for finding in decision.findings if finding.verdict != "pass"))


class Withheld(SandboxError):  # noqa: N818  (the name that interfaces promise)
    """The gate released nothing; `findings` say why, without any value."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        reasons = "; ".join(f"{finding.check}: {finding.message}" for finding in findings if finding.verdict != "pass")
        super().__init__(f"nothing could be released: {reasons}")


class LinkError(SandboxError):
    """A peer cannot be reached, stays silent or does not prove who it is."""


class StateError(SandboxError):
    """A workspace, store or task is not in a state that allows this."""


class AuditError(SandboxError):
    """Evidence does not hold. `place` names the first fault; `kind` is `invalid`, `incomplete` or `untrusted`."""

    def __init__(self, problem: str, *, place: str, kind: str = "invalid") -> None:
        self.problem = problem
        self.place = place
        self.kind = kind
        super().__init__(f"{kind} at {place}: {problem}")


class SourceError(SandboxError):
    """A provider's source cannot be read as declared: file, line, column name, row count; never a value."""


EXIT_DONE = 0
EXIT_OTHER = 1


def exit_code(error: BaseException) -> int:
    """Return the command line's exit code for an error."""
    if isinstance(error, AuditError):
        return 7 if error.kind == "invalid" else 8
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return EXIT_OTHER


_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (UsageError, 2),
    (Denied, 3),
    (Withheld, 4),
    (LinkError, 5),
    (PeerError, 5),
    (SourceError, 6),
    (NotFound, 9),
    (ParameterError, 2),
    (Cancelled, 1),
)
