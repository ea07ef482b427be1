"""The encrypted join over random tables against a join in plain Python."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from support import families, join_oracle
from support.deterministic import DeterministicRng

from protocols import join, paillier
from protocols.join import lists, matching, operator, partitions
from protocols.local import run_local


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
                other=random_.choice((None, None, b"1", b"9")),
            )
        )
    return {
        "specs": tuple(specs),
        "raw": raw,
        "min_keys": random_.choice((1, 2, 3)),
        "min_pattern": random_.choice((1, 1, 2, 3)),
    }


def prepared_tables(case: dict[str, Any]) -> list[dict[Any, dict[int, dict[str, Any]]]]:
    """What the rules for rare groups and patterns leave of each provider's rows."""
    tables = []
    for rows, spec in zip(case["raw"], case["specs"], strict=True):
        table = join_oracle.local_rows(rows, len(spec.measures))
        if spec.other is not None:
            table = join_oracle.merge_rare(table, case["min_pattern"], int(spec.other))
        tables.append(join_oracle.drop_rare(table, case["min_pattern"], not spec.unique))
    return tables


def padded(specs: tuple[join.ProviderSpec, ...], tables: list[Any], random_: random.Random) -> tuple[join.ProviderSpec, ...]:
    """Pad some of the lists that have a row, by none or many."""
    sizes = [sum(len(groups) for groups in table.values()) for table in tables]
    return tuple(
        msgspec.structs.replace(spec, padded_rows=size + random_.choice((0, 1, 17)) if size and random_.random() < 0.4 else 0)
        for spec, size in zip(specs, sizes, strict=True)
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions, runs and batches of a few rows, so that small lists take every path of long ones."""
    monkeypatch.setattr(partitions, "PARTITION_ROWS", 4)
    monkeypatch.setattr(partitions, "MAX_PARTITIONS", 8)
    monkeypatch.setattr(operator, "RUN_ROWS", 6)
    monkeypatch.setattr(operator, "CHECKED_ROWS", 4)
    monkeypatch.setattr(matching, "JOINED_ROWS", 5)
    monkeypatch.setattr(lists, "COPIED_ROWS", 2)


def make_roles(case: dict[str, Any], gate_key: paillier.PrivateKey, seed: Any) -> dict[str, Any]:
    params = families.join_params(
        case["specs"],
        plan="sha256:test",
        gate_key=gate_key.public_key.fingerprint,
        min_keys=case["min_keys"],
        min_pattern=case["min_pattern"],
        min_list=0,
        chunk_rows=7,
        matching=case.get("matching", "blinded"),
    )
    rows = {
        spec.name: families.join_rows(raw, len(spec.measures)) for spec, raw in zip(case["specs"], case["raw"], strict=True)
    }
    return families.join_roles_of(params, rows, seed=seed, key=gate_key)


@pytest.mark.parametrize("seed", range(75))
def test_result_equals_plain_join(seed: int, gate_key: paillier.PrivateKey) -> None:
    require_plain_result(seed, gate_key)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("seed", range(75, 150))
def test_result_in_small_parts_equals_plain_join(seed: int, gate_key: paillier.PrivateKey) -> None:
    require_plain_result(seed, gate_key)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("seed", range(150, 200))
def test_keyed_matching_equals_plain_join(seed: int, gate_key: paillier.PrivateKey) -> None:
    require_plain_result(seed, gate_key, matching="keyed")


def require_plain_result(seed: int, gate_key: paillier.PrivateKey, matching: str = "blinded") -> None:
    case = random_case(random.Random(seed)) | {"matching": matching}
    tables = prepared_tables(case)
    case["specs"] = padded(case["specs"], tables, random.Random(seed))
    outputs = run_local(make_roles(case, gate_key, seed), rng=DeterministicRng(seed))
    counts = [len(spec.measures) for spec in case["specs"]]
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
    sizes = [sum(len(groups) for groups in table.values()) for table in tables]
    assert report.list_rows == tuple(spec.padded_rows or size for spec, size in zip(case["specs"], sizes, strict=True))
    for spec, size in zip(case["specs"], sizes, strict=True):
        assert outputs[spec.name].dummies == (spec.padded_rows or size) - size
    assert report.common_keys == len(set.intersection(*(set(table) for table in tables)))
    assert report.cells == len(expected)
