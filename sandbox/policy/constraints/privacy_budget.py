"""Privacy budget: noise where the owner asks for it, within ε per release, and enough of the total left for every recipient."""

from __future__ import annotations

from fractions import Fraction

from sandbox.errors import UsageError
from sandbox.model.decision import Finding
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.privacy import NoiseRules, budget_subject, budget_units, cost_units
from sandbox.policy.case import Case, Constraint, each_term, finding, unknown

NAME = "privacy_budget"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. This explains; that the total holds under parallel runs is the ledger's work."""
    plan = case.plan

    def judge(policy: Policy) -> Finding:
        noise = plan.rules.noise
        if noise is None:
            passes = policy.privacy is None
            message = f"the owner of {policy.asset} sets no privacy budget, and no noise is added"
            asked = f"the owner of {policy.asset} releases it with noise only: take a profile that adds some"
            return finding(NAME, passes=passes, subject=policy.asset, message=message if passes else asked)
        problem = _too_much(policy, noise)
        if problem is not None:
            return finding(NAME, passes=False, subject=policy.asset, message=problem)
        try:
            return _judge_total(case, plan, policy, noise)
        except UsageError as error:
            return unknown(NAME, subject=policy.asset, message=f"the budget of {policy.asset} cannot be judged: {error}")

    return each_term(case, NAME, judge)


def _too_much(policy: Policy, noise: NoiseRules) -> str | None:
    """What a single release alone does wrong."""
    terms = policy.privacy
    if terms is None:
        return None
    if Fraction(noise.epsilon) > Fraction(terms.epsilon_per_release):
        return f"a release spends ε = {noise.epsilon}; the owner of {policy.asset} allows {terms.epsilon_per_release}"
    if noise.kind == "gaussian" and Fraction(noise.delta) > Fraction(terms.delta):
        return f"a release has δ = {noise.delta}; the owner of {policy.asset} allows {terms.delta}"
    return None


def _judge_total(case: Case, plan: Plan, policy: Policy, noise: NoiseRules) -> Finding:
    cost, budget = cost_units(noise), budget_units(noise, policy.privacy)
    left: list[int] = []
    for recipient in plan.recipients:
        spent = case.history.spent.get(budget_subject(policy.asset, recipient))
        if spent is None or spent < 0:
            message = f"what {recipient} has learned of {policy.asset} so far was not given"
            return unknown(NAME, subject=policy.asset, message=message)
        left.append((budget - spent) // cost)
        if left[-1] < 1:
            message = f"the privacy budget of {policy.asset} towards {recipient} does not hold another release"
            return finding(NAME, passes=False, subject=policy.asset, message=message)
    message = f"{policy.asset}: {noise.guarantee().rstrip(',')}; the budget holds {min(left, default=0)} such releases"
    return finding(NAME, passes=bool(left), subject=policy.asset, message=message)


CONSTRAINT = Constraint(name=NAME, terms=("privacy",), check=check)
