"""The encrypted join as a task's method."""

from __future__ import annotations

from protocols import join
from protocols.disclosure import Disclosure
from sandbox.model.plan import Plan
from sandbox.tasks.measuring import measure_cells
from sandbox.tasks.method import Cost, Method
from sandbox.tasks.people import people_in_cells
from sandbox.tasks.protocol import join_params

POINT_BYTES = 64
TOKEN_BYTES = 36
UNKNOWN_KEY = "sha256:unknown"


def _disclosure(plan: Plan) -> Disclosure:
    return join.disclosure(join_params(plan, UNKNOWN_KEY))


def _title(plan: Plan) -> str:
    how = plan.protocol + ("" if plan.protocol == "join/1" else ", keys under a secret that the providers share")
    return (
        f"encrypted join over {len(plan.inputs)} providers ({how}), Paillier {plan.parameters.key_bits} bits, "
        f"noise {plan.parameters.noise}, key domain {plan.key_domain.name}"
    )


def _cost(plan: Plan) -> tuple[Cost, ...]:
    """Return what each row of a list costs over all hops. Where sizes of lists are not known, all of it scales with them."""
    params, bits = join_params(plan, UNKNOWN_KEY), plan.parameters.key_bits
    is_blinded = params.matching == "blinded"
    hops, sealed = (len(plan.inputs), 2 * POINT_BYTES) if is_blinded else (1, TOKEN_BYTES)
    # Slot widths grow with the logarithm of the lists' sizes; a million rows stands for any size here.
    rows = (1_000_000,) * len(plan.inputs)
    found = []
    for index, entry in enumerate(plan.inputs):
        ciphertexts = len(join.packs(params, index, rows, bits - 1))
        size = hops * (sealed + ciphertexts * bits // 4)
        what = f"{ciphertexts} ciphertexts, {hops} hop{'s' if hops > 1 else ''}"
        found.append(Cost(provider=entry.provider, what=what, bytes=size, per="row"))
    for pair in join.pair_plans(params, rows, bits - 1):
        ciphertexts = len(pair.shipments)
        names = " and ".join(params.provider_names[side] for side in (pair.left_provider, pair.right_provider))
        what = f"products of {names}, {ciphertexts} ciphertexts to the gate"
        found.append(Cost(provider=plan.operator, what=what, bytes=ciphertexts * bits // 4, per="joined row"))
    return tuple(found)


METHOD = Method(disclosure=_disclosure, cost=_cost, title=_title, measure=measure_cells, attack=people_in_cells)
