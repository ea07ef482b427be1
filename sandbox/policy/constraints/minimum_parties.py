"""Minimum parties: sums over a federated table have at least as many parts in them as the owner asks for."""

from __future__ import annotations

from sandbox.model.decision import Finding
from sandbox.model.policy import Policy
from sandbox.policy.case import Case, Constraint, each_term, finding

NAME = "minimum_parties"


def check(case: Case) -> tuple[Finding, ...]:
    """Yield one finding per asset. Of n parts, n − 1 can subtract their own: with two, each sees the other's numbers."""
    federation = case.plan.federation

    def judge(policy: Policy) -> Finding:
        if federation is None:
            if case.plan.joins:
                message = f"{policy.asset} is joined, not added up with other parts"
                return finding(NAME, passes=True, subject=policy.asset, message=message)
            if case.plan.release is not None:
                message = f"rows of {policy.asset} are released, and added up with nobody's"
                return finding(NAME, passes=True, subject=policy.asset, message=message)
            message = f"the plan adds up {policy.asset} and names no federated table that says with how many parts"
            return finding(NAME, passes=False, subject=policy.asset, message=message)
        fewest = min(federation.min_parties, len(case.plan.inputs))
        passes = fewest >= policy.min_parties
        words = "as its owner asks" if passes else f"and the owner of {policy.asset} asks for {policy.min_parties}"
        message = f"every sum with {policy.asset} has at least {fewest} parts in it, {words}"
        return finding(NAME, passes=passes, subject=policy.asset, message=message)

    return each_term(case, NAME, judge)


CONSTRAINT = Constraint(name=NAME, terms=("min_parties",), check=check)
