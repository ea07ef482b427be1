"""Explanation: everything about a question before it runs: steps, who learns what, cost, decisions, the gate's checks."""

from __future__ import annotations

import collections
import dataclasses
import html
from collections.abc import Sequence

from protocols.disclosure import Disclosure
from sandbox.model.decision import Decision, Finding
from sandbox.model.plan import Plan
from sandbox.planning import Fragment, Line, describe, fragment
from sandbox.tasks.method import Cost
from sandbox.tasks.methods import method_of
from sandbox.tasks.product import html_table

MOST_ALIKE = 6
"""Of a check with more findings that pass, text shows one: a federated table of many parts asks each owner the same."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A plan with all that `explain` prints. decision: what every owner's terms say of it now."""

    plan: Plan
    lines: tuple[Line, ...]
    fragments: tuple[Fragment, ...]
    disclosure: Disclosure
    cost: tuple[Cost, ...]
    decision: Decision

    def digest(self) -> str:
        """Return the plan's digest."""
        return self.plan.digest()

    def text(self) -> str:
        """Return the explanation as lines for a terminal."""
        learned = [
            f"  {item.who:<20} {item.about}" + ("" if item.visibility == "by_design" else "  (only if they collude)")
            for item in self.disclosure.learned
        ]
        cost = [f"  {item.provider:<20} {item.what}: {item.bytes} bytes a {item.per}" for item in self.cost]
        decided = [f"  {item.verdict:<12} {item.check}: {message}" for item, message in _said_once(self.decision.findings)]
        sections = (
            (f"Question: {self.plan.title}", [f"  plan {self.digest()}", f"  purpose {self.plan.purpose}"]),
            ("Steps", [f"  {line.step:<8} {line.subject:<20} {line.text}" for line in self.lines]),
            (
                f"Protocol {self.disclosure.protocol}: {self.disclosure.adversary}",
                [f"  {x}" for x in self.disclosure.assumptions],
            ),
            ("Who learns what", learned),
            ("Cost", cost),
            ("Owners' terms: " + ("allowed" if self.decision.allowed else "DENIED"), decided),
        )
        return "\n".join("\n".join((title, *lines)) for title, lines in sections)

    def _repr_html_(self) -> str:
        verdict = "allowed" if self.decision.allowed else "DENIED"
        judged = [(item.check, item.verdict, item.message) for item in self.decision.findings]
        refused = [finding for finding in judged if finding[1] != "pass"]
        learned = [
            (item.who, item.about, "by design" if item.visibility == "by_design" else "only if they collude")
            for item in self.disclosure.learned
        ]
        cost = [(item.provider, item.what, f"{item.bytes} a {item.per}") for item in self.cost]
        terms = html_table(("check", "verdict", "message"), judged)
        title = f"Owners' terms: {verdict}; {len(judged) - len(refused)} of {len(judged)} checks pass"
        parts = [
            html_table(
                ("question", "purpose", "plan"), [(self.plan.title, self.plan.purpose, self.digest())], caption="Question"
            ),
            html_table(("step", "who", "what"), [(x.step, x.subject, x.text) for x in self.lines], caption="Steps"),
            html_table(("who", "learns", "when"), learned, caption="Who learns what"),
            html_table(
                ("protocol", "adversary", "assumptions"),
                [(self.disclosure.protocol, self.disclosure.adversary, "; ".join(self.disclosure.assumptions))],
                caption="Protocol",
            ),
            html_table(("provider", "sends", "bytes"), cost, caption="Cost"),
            html_table(("check", "verdict", "message"), refused, caption="Not allowed") if refused else "",
            f"<details><summary>{html.escape(title)}</summary>{terms}</details>",
        ]
        return "".join(parts)

    def __repr__(self) -> str:
        verdict = "allowed" if self.decision.allowed else "denied"
        return f"<Explanation of {self.plan.title!r}: {len(self.plan.inputs)} providers, {verdict}>"


def _said_once(findings: Sequence[Finding]) -> list[tuple[Finding, str]]:
    """Findings with their messages, in order; of a check that passes for many tables, the first and how many others."""
    passing = collections.Counter(item.check for item in findings if item.verdict == "pass")
    told: set[str] = set()
    shown = []
    for item in findings:
        if item.verdict != "pass" or passing[item.check] <= MOST_ALIKE:
            shown.append((item, item.message))
        elif item.check not in told:
            told.add(item.check)
            shown.append((item, f"{item.message}; {passing[item.check] - 1} other findings pass as well"))
    return shown


def explained(plan: Plan, decision: Decision) -> Explanation:
    """Return the explanation of a plan that was judged.

    Where one party would be two of operator, gate and providers, no protocol runs, and nobody learns anything.
    """
    method, runs = method_of(plan), plan.has_separate_parties
    nothing = Disclosure(protocol=plan.protocol, adversary="does not run between these parties", assumptions=(), learned=())
    return Explanation(
        plan=plan,
        lines=describe(plan, fewest=method.fewest(plan) if runs else 0),
        fragments=() if plan.release else tuple(fragment(plan, index) for index in range(len(plan.inputs))),
        disclosure=method.disclosure(plan) if runs else nothing,
        cost=method.cost(plan) if runs else (),
        decision=decision,
    )
