"""Small, complete runs of every protocol family, for the suite that all roles pass."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from support.deterministic import DeterministicRng

from protocols import join, paillier
from protocols.party import Party
from protocols.psi.keys import KeyDomain, encode_keys

DOMAIN = KeyDomain(name="person", types=("integer",))


@functools.cache
def insecure_key() -> paillier.PrivateKey:
    """One 512-bit key for all tests that only need some key."""
    return paillier.generate_insecure_keypair(key_bits=512, noise="djn", rng=DeterministicRng("families"))[1]


def join_roles() -> dict[str, Party]:
    """Two providers with a dozen keys, one measure."""
    key = insecure_key()
    measure = join.MeasureSpec(bound=100, sums=True, squares=True, signed=False, dominance=True)
    params = join.JoinParams(
        plan="sha256:contract",
        key_domain=DOMAIN,
        providers=(
            join.ProviderSpec(name="left", unique=False, carries=True, opens_multiplicity=False, measures=(measure,)),
            join.ProviderSpec(name="right", unique=False, carries=False, opens_multiplicity=True, measures=()),
        ),
        operator="operator",
        gate="gate",
        gate_key=key.public_key.fingerprint,
        key_bits=512,
        noise="djn",
        min_keys=2,
        min_pattern=1,
        min_list=1,
        chunk_rows=5,
    )

    def rows(keys: range, measures: tuple[join.MeasureRows, ...]) -> join.ProviderRows:
        count = len(keys)
        return join.ProviderRows(
            keys=encode_keys([np.arange(keys.start, keys.stop)], DOMAIN).keys,
            groups=np.arange(count, dtype=np.int64) % 2,
            labels=(b"even", b"odd"),
            multiplicities=np.ones(count, dtype=np.int64),
            measures=measures,
        )

    values = list(range(12))
    amounts = join.MeasureRows(counts=np.ones(12, dtype=np.int64), sums=values, squares=[value**2 for value in values])
    return {
        "left": join.JoinProvider("left", params, rows(range(12), (amounts,)), allow_insecure_key=True),
        "right": join.JoinProvider("right", params, rows(range(4, 14), ()), allow_insecure_key=True),
        "operator": join.JoinOperator("operator", params, allow_insecure_key=True),
        "gate": join.JoinGate("gate", params, key, allow_insecure_key=True),
    }


FAMILIES: dict[str, Callable[[], dict[str, Party]]] = {"join": join_roles}
