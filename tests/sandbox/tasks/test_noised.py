"""Noise on a vector of totals: where it goes, what becomes 0, and that noisy cells are cells that some rows could have."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import federated
from support.deterministic import DeterministicRng

from sandbox.errors import UsageError
from sandbox.gate.cells import validate
from sandbox.model.plan import Plan
from sandbox.model.privacy import cost_of
from sandbox.planning import rules_for
from sandbox.tasks.noised import noise_of, with_noise
from sandbox.tasks.totals import layout_of, totals_table

pytest.importorskip("dp_accounting", reason="the extra `privacy` is not installed")
SQL = f"SELECT sex, COUNT(*) AS n, AVG(income) AS mean, SUM(paid) AS paid FROM {federated.NAME} t GROUP BY sex"
RULES = rules_for("statistics-noised")
assert RULES.noise is not None


def plan(*, disjoint: bool = True, epsilon: str = "1", bounds: tuple[int, int] = (-1000, 2000)) -> Plan:
    fixed = {"age": (-5, 80), "score": (-1, 1), "paid": (0, 100)}
    assets = federated.assets_of(3, unique=True, bounds={**fixed, "income": bounds})
    rules = msgspec.structs.replace(RULES, noise=msgspec.structs.replace(RULES.noise, epsilon=epsilon))
    return federated.compiled(SQL, assets, federated.federated(assets, disjoint=disjoint), rules)


def test_rows_values_and_sums_get_noise_of_their_sensitivity_and_all_else_becomes_zero() -> None:
    asked = plan()
    layout, noise = layout_of(asked), noise_of(asked, shares=1)
    assert [entry.column for entry in layout.entries] == ["m", "persons", "c_0", "z_0", "s_0", "c_1", "z_1", "s_1"]
    assert [block.sensitivity for block in noise.blocks] == [1, 1, 2000, 1, 100 * 100]
    assert {block.length for block in noise.blocks} == {layout.cells}
    spent = cost_of(asked.rules.noise)  # type: ignore[arg-type]
    assert 0.99 * spent < noise.cost <= spent
    rng = DeterministicRng("noise")
    exact = np.full(layout.length, 1000, dtype=np.int64)
    draws = np.stack([with_noise(asked, exact, noise, rng).reshape(layout.cells, layout.width) for _ in range(400)])
    at = 0
    for entry in layout.entries:
        lowest, rest = draws[:, :, at], draws[:, :, at + 1 : at + entry.digits]
        if entry.column in ("m", "c_0", "s_0", "c_1", "s_1"):
            sensitivity = {"s_0": 2000, "s_1": 10_000}.get(entry.column, 1)
            assert (lowest - 1000).std() == pytest.approx(sensitivity * math.sqrt(5 / (2 * spent)), rel=0.1)
            assert (rest == 1000).all()
        else:
            assert not lowest.any()
            assert not rest.any()
        at += entry.digits
    assert (exact == 1000).all(), "the exact vector was changed"


def test_one_person_in_several_parts_counts_in_each() -> None:
    apart, shared = noise_of(plan(), shares=1), noise_of(plan(disjoint=False), shares=1)
    assert [block.sensitivity for block in shared.blocks] == [3 * block.sensitivity for block in apart.blocks]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60), epsilon=st.sampled_from(["0.1", "1", "8"]))
def test_noisy_cells_are_cells_that_the_gate_takes(seed: int, rows: int, epsilon: str) -> None:
    """However small the counts and large the noise: no negative count, no more values than rows, no sum beyond its bound."""
    asked = plan(epsilon=epsilon)
    layout = layout_of(asked)
    exact = np.zeros((layout.cells, layout.width), dtype=np.int64)
    exact[0] = rows
    noisy = with_noise(asked, exact.reshape(-1), noise_of(asked, shares=1), DeterministicRng(seed))
    table = totals_table(asked, noisy, [0, 1, 2])
    validate(asked, table)
    for cell in table.cells:
        assert cell.rows == cell.keys >= asked.rules.min_keys
        for (_, index), moments in cell.moments.items():
            assert 0 <= moments.contributors == moments.count <= cell.rows
            assert moments.sum is not None
            assert abs(moments.sum) <= asked.inputs[0].measures[index].bound * moments.count


def test_plans_without_noise_and_noise_beyond_the_vector_are_refused() -> None:
    without = msgspec.structs.replace(plan(), rules=rules_for("statistics-controlled"))
    with pytest.raises(UsageError, match="under a profile that asks for it"):
        noise_of(without, shares=1)
    with pytest.raises(UsageError, match="too large"):
        noise_of(plan(bounds=(0, 10**13)), shares=1)
