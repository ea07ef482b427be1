"""Products across providers against raw joined rows in plain Python; what the gate refuses; what it never receives."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from support import families, join_oracle
from support.deterministic import DeterministicRng

from protocols import join, paillier
from protocols.errors import EncodingOverflow, ParameterError, PeerError
from protocols.join import masking
from protocols.join.messages import Cells, Corrections, MaskedFactors
from protocols.join.products import GROWTH_BITS, factor_packs, mask_bits, pair_plans
from protocols.local import run_local


@pytest.fixture(scope="module")
def gate_key() -> paillier.PrivateKey:
    return paillier.generate_insecure_keypair(key_bits=512, noise="djn", rng=DeterministicRng("products"))[1]


def random_case(random_: random.Random) -> dict[str, Any]:
    """Two or three providers, two measures at each of the first two, products between any of them."""
    providers = random_.choice((2, 2, 3))
    population = random_.choice((0, 4, 8, 12))
    specs, raw = [], []
    for at in range(providers):
        unique = random_.random() < 0.5
        bound = random_.choice((1, 50, 1000))
        signed = random_.random() < 0.5
        count = random_.choice((1, 2)) if at < 2 else random_.choice((0, 1))
        keys = [*range(population)] if unique else [random_.randrange(population + 1) for _ in range(population + 4)]
        rows: list[join_oracle.Row] = [
            (
                key,
                random_.randrange(2),
                tuple(
                    None if random_.random() < 0.2 else random_.randint(-bound if signed else 0, bound) for _ in range(count)
                ),
            )
            for key in keys
            if random_.random() < 0.9
        ]
        raw.append(rows)
        measure = join.MeasureSpec(
            bound=bound, sums=random_.random() < 0.5, squares=False, signed=signed, dominance=random_.random() < 0.5
        )
        specs.append(
            join.ProviderSpec(
                name=f"p{at}", unique=unique, carries=at == 0, opens_multiplicity=not unique, measures=(measure,) * count
            )
        )
    places = [(at, number) for at, spec in enumerate(specs) for number in range(len(spec.measures))]
    pairs = [pair for pair in itertools.product(places, repeat=2) if pair[0][0] < pair[1][0]]
    products = []
    for left, right in random_.sample(pairs, min(len(pairs), random_.choice((1, 2, 3)))):
        nulls = random_.random() < 0.7
        products.append(
            join.ProductSpec(
                left=left,
                right=right,
                nulls=nulls,
                dominance=nulls and random_.random() < 0.7,
            )
        )
    return {"specs": tuple(specs), "raw": raw, "products": tuple(products), "min_keys": random_.choice((1, 2, 3))}


def expected_products(case: dict[str, Any]) -> dict[tuple[int, ...], dict[str, Any]]:
    """Cell -> keys, and per product the sums over raw joined rows: every combination of raw rows that share a key."""
    by_key = [collections.defaultdict(list) for _ in case["raw"]]  # type: ignore[var-annotated]
    for table, rows in zip(by_key, case["raw"], strict=True):
        for key, group, values in rows:
            table[key].append((group, values))
    cells: dict[tuple[int, ...], dict[str, Any]] = {}
    for key in set.intersection(*(set(table) for table in by_key)):
        for rows in itertools.product(*(table[key] for table in by_key)):
            cell = cells.setdefault(tuple(group for group, _ in rows), {"keys": set(), "rows": collections.defaultdict(list)})
            cell["keys"].add(key)
            for number, product in enumerate(case["products"]):
                x, y = (rows[place][1][measure] for place, measure in (product.left, product.right))
                cell["rows"][number].append((key, x, y))
    return cells


def check_product(case: dict[str, Any], number: int, moments: join.ProductMoments, rows: list[Any]) -> None:
    product = case["products"][number]
    both = [(key, x, y) for key, x, y in rows if x is not None and y is not None]
    assert moments.total == sum(x * y for _, x, y in both)
    if not product.nulls:
        assert moments.left is None
        assert moments.right is None
        return
    for side, at, place in ((moments.left, 1, product.left), (moments.right, 2, product.right)):
        shares = collections.Counter[Any]()
        for row in both:
            shares[row[0]] += row[at]
        signed = case["specs"][place[0]].measures[place[1]].signed
        assert side == join.Moments(
            contributors=len({key for key, _, _ in both}),
            count=len(both),
            total=sum(row[at] for row in both),
            squares=sum(row[at] ** 2 for row in both),
            contribution_squares=sum(share**2 for share in shares.values()) if product.dominance else None,
            absolute=sum(map(abs, shares.values())) if product.dominance and signed else None,
        )


@pytest.mark.parametrize(
    ("seed", "matching"), [*((seed, "blinded") for seed in range(40)), *((seed, "keyed") for seed in range(40, 52))]
)
def test_products_equal_those_of_raw_joined_rows(seed: int, matching: str, gate_key: paillier.PrivateKey) -> None:
    case = random_case(random.Random(seed))
    params = families.join_params(
        case["specs"],
        gate_key=gate_key.public_key.fingerprint,
        min_keys=case["min_keys"],
        min_list=0,
        chunk_rows=3,
        products=case["products"],
        matching=matching,
    )
    rows = {
        spec.name: families.join_rows(raw, len(spec.measures)) for spec, raw in zip(case["specs"], case["raw"], strict=True)
    }
    result = run_local(families.join_roles_of(params, rows, seed=seed, key=gate_key), rng=DeterministicRng(seed))["gate"]
    large = {group: cell for group, cell in expected_products(case).items() if len(cell["keys"]) >= case["min_keys"]}
    assert {tuple(map(int, cell.labels)) for cell in result.cells} == set(large)
    for cell in result.cells:
        reference = large[tuple(map(int, cell.labels))]
        for number, moments in enumerate(cell.products):
            check_product(case, number, moments, reference["rows"][number])


def two_columns(**changes: Any) -> tuple[join.JoinParams, dict[str, Any]]:
    """Groups 0 and 1 with six keys each and group 2 with one, which stays below the threshold of 2."""
    measure = join.MeasureSpec(bound=100, sums=False, squares=False, signed=True, dominance=False)
    specs = (
        families.provider_spec("left", unique=True, carries=True, measures=(measure,)),
        families.provider_spec("right", unique=True, measures=(measure,)),
    )
    product = join.ProductSpec(left=(0, 0), right=(1, 0), nulls=True, dominance=True)
    params = families.join_params(specs, products=(product,), **changes)
    raw = [(key, key % 2, (key - 6,)) for key in range(12)] + [(12, 2, (99,))]
    rows = {
        "left": families.join_rows(raw, 1),
        "right": families.join_rows([(key, 0, (7 * key - 40,)) for key in range(13)], 1),
    }
    return params, rows


def run_with(kind: type[Any], change: Callable[[Any], list[Any]]) -> Any:
    params, rows = two_columns()
    parties = families.join_roles_of(params, rows, seed="products")
    parties["operator"] = families.Altered(
        parties["operator"], lambda _, message: change(message) if isinstance(message, kind) else [message]
    )
    return run_local(parties)


def test_only_rows_of_large_cells_are_masked_and_sent() -> None:
    sent: list[Any] = []
    run_with((MaskedFactors, Corrections, Cells), lambda message: [sent.append(message), message][1:])  # type: ignore[arg-type]
    (cells,) = (message for message in sent if isinstance(message, Cells))
    counted = np.concatenate([message.cells for message in sent if isinstance(message, MaskedFactors)])
    assert sorted(cells.keys.tolist()) == [0, 6, 6]
    assert np.bincount(counted).tolist() == [6, 6]
    (corrections,) = (message for message in sent if isinstance(message, Corrections))
    assert len(corrections.ciphertexts) == 2


def replaced(**changes: Any) -> Callable[[Any], list[Any]]:
    return lambda message: [dataclasses.replace(message, **{name: make(message) for name, make in changes.items()})]


@pytest.mark.parametrize(
    ("kind", "change", "match"),
    [
        (MaskedFactors, replaced(cells=lambda m: m.cells + np.uint32(2)), "a cell that does not exist"),
        (MaskedFactors, lambda m: [m, m], "more joined rows than a cell has keys"),
        (MaskedFactors, lambda _: [], "fewer joined rows than a cell has keys"),
        (MaskedFactors, replaced(factors=lambda m: m.factors[:, :-1]), "wrong width"),
        (MaskedFactors, replaced(factors=lambda m: np.zeros_like(m.factors)), "not a ciphertext"),
        (MaskedFactors, replaced(right=lambda _: 2), "not agreed"),
        (Corrections, replaced(ciphertexts=lambda m: m.ciphertexts[:1]), "do not match its cells"),
        (Corrections, replaced(ciphertexts=lambda m: m.ciphertexts[::-1]), "do not belong together"),
    ],
)
def test_the_gate_refuses_and_names_the_operator(kind: type[Any], change: Callable[[Any], list[Any]], match: str) -> None:
    with pytest.raises(PeerError, match=match) as caught:
        run_with(kind, change)
    assert caught.value.culprit == "operator"


def test_masked_values_look_like_uniform_numbers_whatever_they_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gate decrypts in two runs with other values but equal sums: numbers, scaled to [0, 1), uniform in both."""
    measure = join.MeasureSpec(bound=1, sums=False, squares=False, signed=True, dominance=False)
    specs = (
        families.provider_spec("left", unique=True, carries=True, measures=(measure,)),
        families.provider_spec("right", unique=True, measures=(measure,)),
    )
    product = join.ProductSpec(left=(0, 0), right=(1, 0), nulls=False, dominance=False)
    params = families.join_params(specs, products=(product,), chunk_rows=64)
    decrypt, decrypted = paillier.PrivateKey.decrypt_packed, list[int]()

    def watched(self: Any, array: Any, mapper: Any = map) -> Any:
        columns: dict[str, list[int]] = decrypt(self, array, mapper=mapper)
        if len(array) > 1:  # of factors; the one cell's corrections are a row each
            decrypted.extend(columns["s0@0"] + columns["s0@1"])
        return columns

    monkeypatch.setattr(paillier.PrivateKey, "decrypt_packed", watched)
    seen: list[set[int]] = []
    for flip in (1, -1):
        decrypted.clear()
        raw: list[join_oracle.Row] = [(key, 0, (flip if key % 2 else 1,)) for key in range(400)]
        rows = {name: families.join_rows(raw, 1) for name in ("left", "right")}
        result = run_local(families.join_roles_of(params, rows, seed=flip))["gate"]
        assert result.cells[0].products[0].total == 400
        masked = np.sort([float(Fraction(value - 1, 1 << mask_bits(1))) for value in decrypted])
        assert len(masked) == 800
        largest_gap = np.abs(masked - (np.arange(800) + 0.5) / 800).max()
        assert largest_gap < 1.95 / np.sqrt(800), "Kolmogorov-Smirnov, beyond the 0.1 % level"
        seen.append(set(decrypted))
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("bound", [1, 2, 10**6, 2**60, 10**40])
def test_masks_hide_every_bounded_value_in_a_run_of_2_to_the_32(bound: int) -> None:
    modulus = 1 << mask_bits(bound)
    # v + r is uniform over a range of `modulus` numbers that starts at v + bound: two values differ in 2·bound of them.
    assert Fraction(2 * bound, modulus) * 2**32 < Fraction(1, 2**40)

    class Constant:
        def __init__(self, byte: int) -> None:
            self.byte = byte

        def bytes(self, count: int) -> bytes:
            return bytes([self.byte]) * count

    assert masking.masks(Constant(0), 2, bound) == [bound, bound]
    assert masking.masks(Constant(255), 2, bound) == [bound + modulus - 1] * 2
    assert bound + modulus - 1 < bound << GROWTH_BITS


def test_every_mask_is_new_and_no_repr_shows_one() -> None:
    drawn = masking.masks(DeterministicRng("masks"), 1000, 5)
    assert len(set(drawn)) == 1000
    params, _ = two_columns()
    (pair,) = pair_plans(params, (13, 13), 511)
    key = families.insecure_key()
    masker = masking.ProductMasker(pair, key.public_key, 1, rng=DeterministicRng(1))
    assert repr(masker) == "<ProductMasker: redacted>"
    moments = join.ProductMoments(total=123456, left=None, right=None)
    assert "123456" not in repr(moments)


def test_a_run_masks_no_more_numbers_than_are_hidden_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two cells of six keys: 12 rows of 4 factors a side (c, S, S², |S|), then 2 cells of 12 corrections of 2 slots.
    monkeypatch.setattr(masking, "MAX_MASKED", 12 * 8 + 2 * 12 * 2)
    params, rows = two_columns()
    run_local(families.join_roles_of(params, rows, seed="enough"))
    monkeypatch.setattr(masking, "MAX_MASKED", 12 * 8 + 2 * 12 * 2 - 1)
    with pytest.raises(ParameterError, match="mask more than 143 numbers"):
        run_local(families.join_roles_of(params, rows, seed="too many"))


def test_lists_share_a_ciphertext_where_their_factors_fit_together() -> None:
    params, _ = two_columns()
    (wide,) = pair_plans(params, (10**6, 10**6), 3071)
    assert [(one.power, one.left, one.right) for one in wide.shipments] == [(0, 0, 0)]
    assert wide.left == wide.right
    (narrow,) = pair_plans(params, (10**6, 10**6), 511)
    assert all(
        one.left is None or one.right is None or narrow.left[one.left] == narrow.right[one.right] for one in narrow.shipments
    )
    assert len(narrow.shipments) > 1
    for packing in (*wide.left, *narrow.left, *narrow.right):
        assert packing.bits <= (3071 if packing in wide.left else 511)
    measure = join.MeasureSpec(bound=100, sums=True, squares=True, signed=False, dominance=False)
    specs = tuple(families.provider_spec(name, unique=name != "c", carries=name == "a", measures=(measure,)) for name in "abc")
    places = [((0, 0), (1, 0)), ((0, 0), (2, 0)), ((1, 0), (2, 0))]
    products = tuple(join.ProductSpec(left=left, right=right, nulls=True, dominance=True) for left, right in places)
    three = pair_plans(families.join_params(specs, products=products), (10**6,) * 3, 3071)
    # Keys repeat at c: its multiplicity weights a · b, so that each power of a's factors travels by itself, b's with the first.
    assert [[(one.power, one.left, one.right) for one in pair.shipments] for pair in three] == [
        [(0, 0, 0), (1, 0, None), (2, 0, None)],
        [(0, 0, 0)],
        [(0, 0, 0)],
    ]
    assert three[0].left == three[2].right


def test_a_key_too_short_for_a_product_is_refused_before_anything_is_encrypted() -> None:
    params, _ = two_columns()
    with pytest.raises(EncodingOverflow, match="declare tighter bounds, or use a longer key"):
        factor_packs(params, 0, (10**8, 10**8), 200)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"right": (1, 1)}, "names two measures"),
        ({"left": (1, 0)}, "before the right one's"),
        ({"nulls": False}, "judged by its moments"),
    ],
)
def test_products_that_make_no_sense_are_refused(changes: dict[str, Any], match: str) -> None:
    params, _ = two_columns()
    fields = {"left": (0, 0), "right": (1, 0), "nulls": True, "dominance": True}
    with pytest.raises(ParameterError, match=match):
        families.join_params(params.providers, products=(join.ProductSpec(**(fields | changes)),))
    with pytest.raises(ParameterError, match="named twice"):
        families.join_params(params.providers, products=params.products * 2)
