"""Every protocol that a plan can run, by the name that the plan gives it."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.model.plan import Plan
from sandbox.tasks import adding, joining
from sandbox.tasks.method import Method
from sandbox.tasks.models import fitting
from sandbox.tasks.released import releasing

METHODS: Mapping[str, Method] = {
    "join/1": joining.METHOD,
    "keyed-join/1": joining.METHOD,
    "aggregation/1": adding.METHOD,
    "fit/1": fitting.METHOD,
    "release/1": releasing.METHOD,
}


def method_of(plan: Plan) -> Method:
    """Return the method of a plan."""
    return METHODS[plan.protocol]
