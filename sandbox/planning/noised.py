"""Questions under a profile with noise: what of SQL stays possible."""

from __future__ import annotations

from sandbox.model.plan import Function, Plan
from sandbox.planning.question import Question

NOISED: frozenset[Function] = frozenset({"count_rows", "count", "sum", "avg"})


def require_noise(question: Question, plan: Plan) -> None:
    """Return only if a plan can be answered with the noise that its profile asks for, if any. Raises QuestionError."""
    if plan.rules.noise is None:
        return
    profile = plan.rules.profile
    if plan.federation is None:
        hint = "ask a federated table, or take a profile without noise"
        raise question.error(0, f"the profile {profile} adds noise, which joined tables do not take", hint)
    if any(aggregate.function not in NOISED for aggregate in plan.aggregates):
        problem = f"under the profile {profile} only COUNT(*), COUNT(x), SUM(x) and AVG(x) are answered"
        raise question.error(0, problem, "take a profile without noise for spreads and for COUNT(DISTINCT key)")
    repeating = [entry.asset for entry in plan.inputs if not entry.unique]
    if repeating:
        problem = f"noise needs a limit on one person's rows, and {repeating[0]} does not declare its key unique"
        raise question.error(0, problem, "declare the key unique, if each person has one row, or take a profile without noise")
