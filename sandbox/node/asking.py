"""AsksForRows: how a network is asked to release one table's rows, beside its questions in SQL."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.model.plan import Plan
from sandbox.model.policy import Policy
from sandbox.model.release import JobKAnonymity
from sandbox.node.manager import ManagerNode
from sandbox.node.workspace import Workspace
from sandbox.planning import plan_release, rules_for
from sandbox.tasks.explain import Explanation, explained
from sandbox.tasks.released.rulebook import release_request

RELEASE_PROFILE = "release-controlled"


class AsksForRows(ABC):
    """A network with a manager, in whose workspace it works."""

    workspace: Workspace
    manager: ManagerNode

    @abstractmethod
    def _effective_terms(self, plan: Plan) -> dict[str, Policy]:
        """Return the terms that hold for a plan's assets."""

    def explain_release(
        self,
        asset: str,
        *,
        rules: str | os.PathLike[str],
        quasi: Sequence[str],
        sensitive: Sequence[str] = (),
        k_anonymity: Mapping[str, Any] | JobKAnonymity | None = None,
        purpose: str,
        profile: str = RELEASE_PROFILE,
        title: str = "",
        recipients: Sequence[str] = (),
    ) -> Explanation:
        """Return the plan to release one table's rows, desensitised, with what becomes of each column and what terms say.

        rules: the path of a rule file as `sandbox desensitise` takes it, or its text. quasi: what an attacker may know of a
        person, at least what the catalogue declares; sensitive: what they want to know. k_anonymity: a search after the rules,
        {"hierarchies": {"age": {"widths": [5, 10]}}, "measure": "entropy", "suppression_limit": 0.01}.
        Raises UsageError, NotFound, RuleError with the line of the rule file.
        """
        plan = plan_release(
            release_request(asset, rules, quasi, sensitive, k_anonymity),
            assets=self.manager.assets(),
            title=title or f"rows of {asset}, desensitised",
            purpose=purpose,
            recipients=tuple(recipients) or (self.workspace.network.operator,),
            rules=rules_for(profile),
            operator=self.workspace.network.operator,
            gate=self.workspace.network.manager,
        )
        return explained(plan, self.manager.judge(plan, self._effective_terms(plan)))
