"""Minimum cell: the gate will ask for at least as many keys and contributors behind a cell as the owner does."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding

NAME = "minimum_cell"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset: keys, contributors, rare patterns and differences, each against `min_cell`."""
    rules = case.plan.rules
    asked = {
        "distinct keys": rules.min_keys,
        "contributors": rules.min_contributors,
        "keys that share a pattern": rules.min_pattern,
        "keys in a difference": rules.min_difference,
        **({} if rules.model is None else {"rows behind a round of a fit": rules.model.min_rows}),
    }

    def judge(policy: Policy) -> Finding:
        short = [f"{number} {what}" for what, number in asked.items() if number < policy.min_cell]
        if short:
            message = f"the gate would accept {', '.join(short)}; the owner of {policy.asset} asks for {policy.min_cell}"
            return finding(NAME, passes=False, subject=policy.asset, message=message)
        message = f"every cell over {policy.asset} needs {min(asked.values())} people, and its owner asks for {policy.min_cell}"
        return finding(NAME, passes=True, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("min_cell",), check=check)
