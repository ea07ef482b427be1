"""Products across providers: what a joined row costs the operator, who masks it, and the gate, who decrypts it.

Under pytest-benchmark, one case after another (`poe bench -k products`); times are per batch of 512 joined rows, one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from protocols import join, paillier
from protocols.join.masking import ProductMasker
from protocols.join.moments import ProductReader
from protocols.primitives.rng import OsRng
from protocols.psi.keys import KeyDomain

ROWS, CELLS, BOUND, LIST_ROWS = 512, 4, 10**6, 10**6
KEY_BITS = 3072


@pytest.fixture(scope="module")
def keys() -> tuple[paillier.PublicKey, paillier.PrivateKey]:
    """A key of the default size; its tables are built by the first encryption."""
    return paillier.generate_keypair(key_bits=KEY_BITS, noise="djn")


def pair_plan(public_key: paillier.PublicKey, *, nulls: bool, unique: bool) -> Any:
    """The terms between two providers with a measure of 0 to 10⁶ each, lists of a million rows."""
    measure = join.MeasureSpec(bound=BOUND, sums=not nulls, squares=not nulls, signed=False, dominance=True)
    params = join.JoinParams(
        plan="sha256:benchmark",
        key_domain=KeyDomain(name="person", types=("integer",)),
        providers=tuple(
            join.ProviderSpec(name=name, unique=unique, carries=name == "a", opens_multiplicity=not unique, measures=(measure,))
            for name in "ab"
        ),
        operator="operator",
        gate="gate",
        gate_key=public_key.fingerprint,
        key_bits=KEY_BITS,
        noise="djn",
        min_keys=10,
        min_pattern=1,
        min_list=0,
        products=(join.ProductSpec(left=(0, 0), right=(1, 0), nulls=nulls, dominance=nulls),),
    )
    (pair,) = join.pair_plans(params, (LIST_ROWS, LIST_ROWS), KEY_BITS - 1)
    return pair


def factors(public_key: paillier.PublicKey, packings: tuple[paillier.Packing, ...]) -> list[paillier.EncryptedArray]:
    """Factors of 1 in every slot, as received."""
    arrays = []
    for packing in packings:
        array = public_key.encrypt_packed([[1] * ROWS for _ in packing.slots], packing)
        arrays.append(paillier.EncryptedArray.from_wire(array.to_wire(), public_key, packing=packing))
    return arrays


@pytest.mark.parametrize("role", ["operator", "gate"])
@pytest.mark.parametrize("unique", [True, False], ids=["unique", "repeating"])
@pytest.mark.parametrize("nulls", [False, True], ids=["complete", "nulls"])
def test_products(benchmark: Any, keys: Any, nulls: bool, unique: bool, role: str) -> None:
    public_key, private_key = keys
    pair = pair_plan(public_key, nulls=nulls, unique=unique)
    left, right = factors(public_key, pair.left), factors(public_key, pair.right)
    cells = np.arange(ROWS) * CELLS // ROWS

    def mask() -> Any:
        return ProductMasker(pair, public_key, CELLS, rng=OsRng()).factors(left, right, np.ones(ROWS, dtype=np.int64), cells)

    message = mask()

    def read() -> None:
        ProductReader(pair, private_key, np.bincount(cells).tolist()).add(message)

    step: Callable[[], Any] = mask if role == "operator" else read
    benchmark.extra_info.update(joined_rows=ROWS, bytes_a_row=message.factors.shape[1])
    benchmark.pedantic(step, rounds=3, warmup_rounds=0)
