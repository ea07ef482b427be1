"""Secure aggregation over a federated table as a task's method."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from protocols import aggregation
from protocols.disclosure import Disclosure
from sandbox.errors import UsageError
from sandbox.model.federation import Federation
from sandbox.model.plan import Plan
from sandbox.tasks.measuring import measure_cells
from sandbox.tasks.method import Cost, Method
from sandbox.tasks.noised import noise_of
from sandbox.tasks.people import people_in_cells
from sandbox.tasks.totals import layout_of

BYTES_PER_NEIGHBOUR = 400
"""Two sealed boxes and a revealed share, rounded up."""


def sum_params(
    plan: Plan, *, session: bytes, keys: Mapping[str, bytes], gate_key: bytes, inputs: str, parties: Mapping[str, str]
) -> aggregation.SumParams:
    """Return the parameters of a round. keys: Ed25519 public key of each provider that takes part; parties: its asset.

    inputs: names what is summed, for the gate's rule that the same inputs are never summed over two sets of survivors.
    Raises UsageError, ParameterError, EncodingOverflow where a sum could leave the ring.
    """
    layout = layout_of(plan)
    return aggregation.plan_sum(
        {name: keys[name] for name in parties},
        operator=plan.operator,
        gate=plan.gate,
        gate_key=gate_key,
        length=layout.length,
        bound=layout.bound + _reach(plan, len(parties)),
        session=session,
        plan=plan.digest(),
        inputs=inputs,
        min_parties=federation_of(plan).min_parties,
        cipher=plan.parameters.cipher,
    )


def federation_of(plan: Plan) -> Federation:
    """Return the federated table of a plan. Raises UsageError for a plan that has none, or whose inputs are not its parts."""
    found = plan.federation
    if found is None or tuple(entry.asset for entry in plan.inputs) != found.parts:
        raise UsageError("the plan adds up parts that are not those of its federated table; compile the question again")
    return found


def planned_params(plan: Plan) -> aggregation.SumParams:
    """Return the parameters that a round over all parts would have, with stand-ins for keys that only a session makes."""
    names = {entry.provider: entry.asset for entry in plan.inputs}
    keys = {name: hashlib.sha256(name.encode()).digest() for name in (*names, plan.gate)}
    return sum_params(plan, session=bytes(16), keys=keys, gate_key=keys[plan.gate], inputs=plan.digest(), parties=names)


def fewest_parts(plan: Plan) -> int:
    """Return how many parts a sum needs to the end: as many as the plan says, and as sign the survivor set."""
    params = planned_params(plan)
    return max(params.min_parties, params.threshold)


def shares_of(params: aggregation.SumParams) -> int:
    """Return how many shares of noise a guarantee counts: those of the fewest that stay, without those that may collude."""
    return params.threshold - params.colluding


def _reach(plan: Plan, parties: int) -> int:
    """What a part's share of noise can add to an element."""
    if plan.rules.noise is None or plan.rules.noise.where != "shares":
        return 0
    chosen = aggregation.choose(parties)
    return noise_of(plan, shares=chosen.signatures - chosen.colluding).reach


def _disclosure(plan: Plan) -> Disclosure:
    return aggregation.disclosure(planned_params(plan))


def _title(plan: Plan) -> str:
    federation = federation_of(plan)
    people = "disjoint" if federation.disjoint else "that may share people"
    title = f"secure aggregation over {len(plan.inputs)} parts of {federation.name}, {people}, "
    title += f"masks by {plan.parameters.cipher} ({plan.protocol})"
    noise = plan.rules.noise
    if noise is None:
        return title
    who = "by the gate" if noise.where == "gate" else "in shares by the parts"
    return f"{title}; discrete {noise.kind.capitalize()} noise {who}, {noise.guarantee()} for each person"


def _cost(plan: Plan) -> tuple[Cost, ...]:
    params = planned_params(plan)
    cells, size = layout_of(plan).cells, params.length * params.ring_bits // 8 + params.neighbours * BYTES_PER_NEIGHBOUR
    what = f"{params.length} masked numbers of {cells} cells, shares for {params.neighbours} neighbours"
    return (Cost(provider="each part", what=what, bytes=size, per="session"),)


METHOD = Method(
    disclosure=_disclosure, cost=_cost, title=_title, measure=measure_cells, attack=people_in_cells, fewest=fewest_parts
)
