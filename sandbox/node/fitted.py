"""A model fitted over nodes: the steps of a fit at the gate, each a secure sum over the parts that are left."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import cast

import msgspec

from protocols import aggregation
from protocols.errors import PartiesLost
from sandbox.errors import Withheld
from sandbox.gate.model import model_record
from sandbox.learn.request import Request
from sandbox.learn.rounds import Rounds, Taken
from sandbox.model.product import AbsentPart, AbsentStep
from sandbox.node.conduct import Conduct
from sandbox.node.gate import tell
from sandbox.node.machinery import Machines
from sandbox.node.manager import ManagerNode
from sandbox.node.parts import NOT_READ, gather, quiet, run_sum
from sandbox.node.provider import Contribution, ProviderNode
from sandbox.node.session import SessionResult
from sandbox.tasks.casefile import Task
from sandbox.tasks.fragments import LocalSample
from sandbox.tasks.judging import Judge
from sandbox.tasks.models.fitting import fewest_parties, overlap_of, round_params, spec_of, steps_of
from sandbox.tasks.models.modelling import fitted, judge_of_model

__all__ = ["gather", "play"]


def play(
    manager: ManagerNode,
    nodes: Mapping[str, ProviderNode],
    task: Task,
    contributions: Mapping[str, Contribution],
    *,
    machines: Machines,
    conduct: Conduct,
) -> tuple[tuple[SessionResult, ...], Judge]:
    """Play the rounds of the fit; return their sessions, and the judge of the model, which nobody else sees.

    A rule that fails ends the rounds, and is the judge's word.
    """
    plan = task.plan
    rounds = NodeRounds(manager, nodes, task, contributions, machines=machines, conduct=conduct)
    model = None
    try:
        rounds.require_party_rows(rounds.parties_with_few_rows())
        model = steps_of(plan, at_gate=True).run(rounds)
    except Withheld:
        pass
    outcome = fitted(plan, model, rounds, coarse=sorted(rounds.coarse_columns))
    return tuple(rounds.sessions), judge_of_model(plan, outcome, absent=rounds.absent())


class NodeRounds(Rounds):
    """Rounds over nodes: one session each, with the parties that stayed to the end of the last one.

    sessions: of the rounds so far. coarse_columns: features whose values are few units of their bounds.
    """

    def __init__(
        self,
        manager: ManagerNode,
        nodes: Mapping[str, ProviderNode],
        task: Task,
        contributions: Mapping[str, Contribution],
        *,
        machines: Machines,
        conduct: Conduct,
    ) -> None:
        plan = task.plan
        rules = msgspec.structs.replace(spec_of(plan)[1], min_parties=fewest_parties(plan))
        super().__init__(len(contributions), rules, overlap=overlap_of(plan, len(contributions)))
        self._manager, self._nodes, self._plan = manager, nodes, plan
        self._contributions, self._machines, self._conduct = contributions, machines, conduct
        self._task = task
        self._living = tuple(contributions)
        self._told_over: tuple[str, ...] = ()
        self._lost: dict[str, tuple[AbsentStep, int]] = {
            entry.provider: (NOT_READ, 0) for entry in plan.inputs if entry.provider not in contributions
        }
        self.sessions: list[SessionResult] = []
        self.coarse_columns: set[int] = set()

    def parties_with_few_rows(self) -> list[str]:
        """Return the parties that have fewer rows than the rules ask for, by their own word."""
        samples = {name: item.local for name, item in self._contributions.items()}
        return [
            name
            for name, local in samples.items()
            if isinstance(local, LocalSample) and len(local.part.X) < self.rules.min_rows
        ]

    def take(self, number: int, request: Request) -> Taken:
        """Play one round over the link. Raises PartiesLost, which names the silent, Cancelled, what the roles raise."""
        plan, manager, clockwork = self._plan, self._manager, self._conduct.clockwork
        if len(self._living) < self.rules.min_parties:
            raise PartiesLost(
                sorted(self._lost), f"{len(self._living)} parts are left where {self.rules.min_parties} are needed"
            )
        params = round_params(
            plan,
            number,
            request,
            session=secrets.token_bytes(16),
            keys={name: self._nodes[name].identity.public.to_bytes() for name in self._living},
            gate_key=manager.identity.public.to_bytes(),
            parties=self._living,
        )
        silent = quiet(self._conduct)
        silent.check()
        parties = {
            name: self._nodes[name].fit_role(plan, params, self._contributions[name], progress=silent) for name in self._living
        }
        if request.state:
            self._tell()
        result, total = run_sum(
            manager,
            self._nodes,
            params,
            parties,
            conduct=self._conduct,
            progress=silent,
            mapper=self._machines.mapper,
            state=request.encode(),
            number=number,
        )
        clockwork.update(f"round {number}: {request.statistic}", 1, 1)
        self.sessions.append(result)
        taken = Taken(values=total.values, parties=self._living, survivors=total.survivors, session=params.session)
        self._leave(number, result)
        return taken

    def _tell(self) -> None:
        """Have the history judge what weights would tell, before they leave the gate, and anew whenever a part was lost.

        Raises Withheld where they would tell of too few, beside what was released or told before.
        """
        if not self.rounds:
            return  # what the plan says itself, and no sum
        survivors = self.rounds[-1].survivors
        if survivors != self._told_over:
            parts = tuple(entry.asset for entry in self._plan.inputs if entry.provider in survivors)
            overlap = overlap_of(self._plan, len(parts))
            found = tell(self._manager, self._task, model_record(self._plan, rows=self.rows, parts=parts, overlap=overlap))
            if found.verdict != "pass":
                self.findings.append(found)
                raise Withheld(tuple(self.findings))
            self._told_over = survivors
        self._conduct.told.set()

    def coarse(self, columns: Mapping[int, float]) -> None:
        """Keep which columns they are; their deviations stay here."""
        self.coarse_columns |= set(columns)

    def absent(self) -> tuple[AbsentPart, ...]:
        """Return the parts that fell silent: in which round and step, and whether their rows are in the last sum."""
        counted = self.rounds[-1].survivors if self.rounds else ()
        return tuple(
            AbsentPart(
                provider=entry.provider,
                asset=entry.asset,
                step=self._lost[entry.provider][0],
                counted=entry.provider in counted,
                round=self._lost[entry.provider][1],
            )
            for entry in self._plan.inputs
            if entry.provider in self._lost
        )

    def _leave(self, number: int, result: SessionResult) -> None:
        """Note who fell silent in this round; who did stays out of all later ones."""
        outcome: aggregation.SumOutcome = result.outputs[self._plan.operator]
        for name in self._living:
            if name not in result.outputs:
                self._lost[name] = (cast(AbsentStep, outcome.dropped.get(name, "unmask")), number)
        self._living = tuple(name for name in self._living if name not in self._lost)
