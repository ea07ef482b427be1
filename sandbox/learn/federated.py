"""Fits whose rows stay at their providers: asked, approved, counted, judged and released as any question is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sandbox.errors import UsageError
from sandbox.learn.joined import Network
from sandbox.learn.tables import class_labels, model_of
from sandbox.model.fit import Estimator, FitQuestion

PROFILE = "model-controlled"
_LOCAL = ("bounds", "target_bound", "rules", "threshold", "dropped_after", "classes")


class FittedFederated:
    """What every secure estimator can besides `fit`: a fit over a federated table, through its owners and the gate."""

    def explain_federated(
        self,
        network: Network,
        *,
        table: str,
        features: Sequence[str],
        purpose: str,
        target: str | None = None,
        where: str = "",
        profile: str = PROFILE,
        **options: Any,
    ) -> Any:
        """Return the fit's plan: who reads what, who learns what, what it costs, what the owners' terms say. Nothing runs."""
        self._require_plain()
        names = tuple(features)
        question = FitQuestion(estimator=self._document_of(len(names)), table=table, features=names, target=target, where=where)
        return network.explain(question, purpose=purpose, profile=profile, **options)

    def fit_federated(
        self,
        network: Network,
        *,
        table: str,
        features: Sequence[str],
        purpose: str,
        target: str | None = None,
        where: str = "",
        profile: str = PROFILE,
        grant: Any = None,
        timeout_s: float = 60.0,
        **options: Any,
    ) -> Self:
        """Fit over the parts of a federated table, one secure sum a round; the gate judges the model before anyone has it.

        network: `sandbox.Embedded`. table: `group.table`. where: SQL conditions on single rows; rows that lack a value in a
        column take no part. grant: an approval that stands already; otherwise everyone concerned is asked. options: title,
        recipients. Bounds and classes are those that the table declares. Attributes: as after `fit`, and product_.
        Raises Denied, Withheld, QuestionError, PartiesLost, and what `network.run` raises.
        """
        explanation = self.explain_federated(
            network, table=table, features=features, purpose=purpose, target=target, where=where, profile=profile, **options
        )
        approved = network.approve(explanation) if grant is None else grant
        self.product_ = network.run(explanation, grant=approved, timeout_s=timeout_s)
        spec, self.record_ = explanation.plan.fit, self.product_.card.model
        self.n_features_in_ = len(spec.features)
        self.feature_names_in_ = np.asarray(spec.features, dtype=object)
        if spec.classes:
            self.classes_ = np.array(class_labels(spec))
        last = self.record_.rounds[-1]
        rounds = sum(item.statistic == last.statistic for item in self.record_.rounds)
        columns = self.product_.to_arrow().to_pydict()
        self._keep(model_of(spec, columns, rows=last.rows, rounds=rounds, converged=self.record_.converged))
        return self

    @abstractmethod
    def _keep(self, model: Any) -> None:
        """Set the fitted attributes."""

    @abstractmethod
    def _document_of(self, width: int) -> Estimator:
        """Return the parameters as a plan states them. width: number of features."""

    def _require_plain(self) -> None:
        given = [name for name in _LOCAL if getattr(self, name, None) is not None]
        if given or getattr(self, "clip", False):
            name = given[0] if given else "clip"
            raise UsageError(f"{name} is for rows in this process; here the catalogue's declarations and the profile say it")
