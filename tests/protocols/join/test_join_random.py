"""The encrypted join over random tables against a join in plain Python."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from support import join_oracle
from support.deterministic import DeterministicRng

from protocols import join, paillier
from protocols.local import run_local
from protocols.psi.keys import KeyDomain, encode_keys

DOMAIN = KeyDomain(name="person", types=("integer",))


@pytest.fixture(scope="module")
def gate_key() -> paillier.PrivateKey:
    return paillier.generate_insecure_keypair(key_bits=512, noise="djn", rng=DeterministicRng("join"))[1]


def random_case(random_: random.Random) -> dict[str, Any]:
    providers = random_.choice((2, 2, 3, 3, 4))
    population = random_.choice((0, 1, 5, 12, 25))
    specs, raw = [], []
    carrier = random_.randrange(providers)
    measure_counts = [random_.choice((0, 1, 2)) if providers < 4 else random_.choice((0, 1)) for _ in range(providers)]
    for at in range(providers):
        unique = random_.random() < 0.4
        bound = random_.choice((1, 50, 10**6))
        signed = random_.random() < 0.5
        rows: list[join_oracle.Row] = []
        groups = random_.choice((1, 2, 3))
        skew = random_.random() < 0.2
        keys = [*range(population)] if unique else [random_.randrange(population + 1) for _ in range(2 * population)]
        for key in keys:
            if unique and random_.random() < 0.3:
                continue
            values = tuple(
                None if random_.random() < 0.2 else random_.randint(-bound if signed else 0, bound)
                for _ in range(measure_counts[at])
            )
            group = 0 if skew else random_.randrange(groups)
            null = not unique and random_.random() < 0.1
            rows.append((None if null else key, group, values))
        raw.append(rows)
        measure = join.MeasureSpec(
            bound=bound, sums=True, squares=random_.random() < 0.7, signed=signed, dominance=random_.random() < 0.7
        )
        specs.append(
            join.ProviderSpec(
                name=f"p{at}",
                unique=unique,
                carries=at == carrier,
                opens_multiplicity=not unique,
                measures=(measure,) * measure_counts[at],
            )
        )
    return {
        "specs": tuple(specs),
        "raw": raw,
        "min_keys": random_.choice((1, 2, 3)),
        "min_pattern": random_.choice((1, 1, 2, 3)),
    }


def provider_rows(table: dict[Any, dict[int, dict[str, Any]]], measures: int) -> join.ProviderRows:
    flat = [(key, group, entry) for key, groups in table.items() for group, entry in groups.items()]
    return join.ProviderRows(
        keys=encode_keys([np.array([key for key, _, _ in flat], dtype=np.int64)], DOMAIN).keys,
        groups=np.array([group for _, group, _ in flat], dtype=np.int64),
        labels=(b"0", b"1", b"2"),
        multiplicities=np.array([entry["m"] for _, _, entry in flat], dtype=np.int64),
        measures=tuple(
            join.MeasureRows(
                counts=np.array([entry["c"][number] for _, _, entry in flat], dtype=np.int64),
                sums=[entry["s"][number] for _, _, entry in flat],
                squares=[entry["q"][number] for _, _, entry in flat],
            )
            for number in range(measures)
        ),
    )


def make_roles(case: dict[str, Any], gate_key: paillier.PrivateKey, seed: Any) -> dict[str, Any]:
    key = gate_key.public_key
    params = join.JoinParams(
        plan="sha256:test",
        key_domain=DOMAIN,
        providers=case["specs"],
        operator="operator",
        gate="gate",
        gate_key=key.fingerprint,
        key_bits=key.key_bits,
        noise="djn",
        min_keys=case["min_keys"],
        min_pattern=case["min_pattern"],
        min_list=0,
        chunk_rows=7,
    )
    common: dict[str, Any] = {"rng": DeterministicRng(seed), "allow_insecure_key": True}
    roles: dict[str, Any] = {
        spec.name: join.JoinProvider(
            spec.name, params, provider_rows(join_oracle.local_rows(rows, len(spec.measures)), len(spec.measures)), **common
        )
        for spec, rows in zip(case["specs"], case["raw"], strict=True)
    }
    roles["operator"] = join.JoinOperator("operator", params, **common)
    roles["gate"] = join.JoinGate("gate", params, gate_key, **common)
    return roles


@pytest.mark.parametrize("seed", range(150))
def test_result_equals_plain_join(seed: int, gate_key: paillier.PrivateKey) -> None:
    case = random_case(random.Random(seed))
    outputs = run_local(make_roles(case, gate_key, seed), rng=DeterministicRng(seed))
    counts = [len(spec.measures) for spec in case["specs"]]
    tables = [
        join_oracle.drop_rare(join_oracle.local_rows(rows, count), case["min_pattern"], not spec.unique)
        for rows, count, spec in zip(case["raw"], counts, case["specs"], strict=True)
    ]
    expected = join_oracle.cells(tables, counts)
    result = outputs["gate"]
    large = {groups: cell for groups, cell in expected.items() if cell["keys"] >= case["min_keys"]}
    assert {tuple(map(int, labels)) for labels in result.below} == set(expected) - set(large)
    assert {tuple(map(int, cell.labels)) for cell in result.cells} == set(large)
    for cell in result.cells:
        reference = large[tuple(map(int, cell.labels))]
        assert (cell.keys, cell.rows) == (reference["keys"], reference["rows"])
        for provider, spec in enumerate(case["specs"]):
            for number, measure in enumerate(spec.measures):
                z, c, s, q, d, a = reference["moments"][provider][number]
                moments = cell.moments[provider][number]
                assert (moments.contributors, moments.count, moments.total) == (z, c, s)
                assert moments.squares == (q if measure.squares else None)
                assert moments.contribution_squares == (d if measure.dominance else None)
                assert moments.absolute == (a if measure.dominance and measure.signed else None)
    report = outputs["operator"]
    assert report.list_rows == tuple(sum(len(groups) for groups in table.values()) for table in tables)
    assert report.common_keys == len(set.intersection(*(set(table) for table in tables)))
    assert report.cells == len(expected)
