"""The encrypted join as a task's method."""

from __future__ import annotations

from protocols import join
from protocols.disclosure import Disclosure
from sandbox.model.plan import Plan
from sandbox.tasks.method import Cost, Method
from sandbox.tasks.protocol import join_params

POINT_BYTES = 64
UNKNOWN_KEY = "sha256:unknown"


def _disclosure(plan: Plan) -> Disclosure:
    return join.disclosure(join_params(plan, UNKNOWN_KEY))


def _title(plan: Plan) -> str:
    return (
        f"encrypted join over {len(plan.inputs)} providers ({plan.protocol}), Paillier {plan.parameters.key_bits} bits, "
        f"noise {plan.parameters.noise}, key domain {plan.key_domain.name}"
    )


def _cost(plan: Plan) -> tuple[Cost, ...]:
    """Return what each row of a list costs over all hops. Where sizes of lists are not known, all of it scales with them."""
    params, bits, hops = join_params(plan, UNKNOWN_KEY), plan.parameters.key_bits, len(plan.inputs)
    # Slot widths grow with the logarithm of the lists' sizes; a million rows stands for any size here.
    rows = (1_000_000,) * hops
    found = []
    for index, entry in enumerate(plan.inputs):
        ciphertexts = len(join.packs(params, index, rows, bits - 1))
        size = hops * (2 * POINT_BYTES + ciphertexts * bits // 4)
        found.append(Cost(provider=entry.provider, what=f"{ciphertexts} ciphertexts, {hops} hops", bytes=size, per="row"))
    for pair in join.pair_plans(params, rows, bits - 1):
        ciphertexts = len(pair.shipments)
        names = " and ".join(params.provider_names[side] for side in (pair.left_provider, pair.right_provider))
        what = f"products of {names}, {ciphertexts} ciphertexts to the gate"
        found.append(Cost(provider=plan.operator, what=what, bytes=ciphertexts * bits // 4, per="joined row"))
    return tuple(found)


METHOD = Method(disclosure=_disclosure, cost=_cost, title=_title)
