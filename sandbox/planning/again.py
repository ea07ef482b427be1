"""plan_again: the plan that a plan's own text, rules or model makes of today's declarations, to be compared with it.

A plan is a document that its operator hands in: bounds, groups, gate rules or the text that owners read could be anything. Who
compiles it again need not look for what was changed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.errors import UsageError
from sandbox.model.asset import Asset
from sandbox.model.federation import Federation
from sandbox.model.fit import FitQuestion
from sandbox.model.plan import Plan
from sandbox.planning.compiler import compile_question
from sandbox.planning.fitting import compile_fit, conditions_of
from sandbox.planning.profiles import rules_for
from sandbox.planning.release import plan_release, request_of


def plan_again(plan: Plan, *, assets: Mapping[str, Asset], federations: Mapping[str, Federation], gate: str) -> Plan:
    """Return the plan that this one's question makes now, under its profile as it stands here and with this gate.

    Raises UsageError (a QuestionError with its place), NotFound, RuleError for a question that makes no plan.
    """
    rules = rules_for(plan.rules.profile)
    if plan.release is not None:
        return plan_release(
            request_of(plan.release),
            assets=assets,
            title=plan.title,
            purpose=plan.purpose,
            recipients=plan.recipients,
            rules=rules,
            operator=plan.operator,
            gate=gate,
        )
    if plan.fit is not None:
        return compile_fit(
            _fit_question(plan),
            assets=assets,
            federations=federations,
            title=plan.title,
            purpose=plan.purpose,
            recipients=plan.recipients,
            rules=rules,
            parameters=plan.parameters,
            operator=plan.operator,
            gate=gate,
        )
    return compile_question(
        plan.sql,
        assets=assets,
        federations=federations,
        title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        rules=rules,
        parameters=plan.parameters,
        matching="keyed" if plan.protocol == "keyed-join/1" else "blinded",
        operator=plan.operator,
        gate=gate,
    )


def _fit_question(plan: Plan) -> FitQuestion:
    if plan.fit is None or plan.federation is None:
        raise UsageError("the plan fits a model, and names no federated table")
    columns = (*plan.fit.features, *(() if plan.fit.target is None else (plan.fit.target,)))
    return FitQuestion(
        estimator=plan.fit.estimator,
        table=plan.federation.name,
        features=plan.fit.features,
        target=plan.fit.target,
        where=conditions_of(plan.sql, plan.federation.name, columns),
    )
