"""Thresholds: the bounds against counting by hand, the graph's shape, and that nobody chooses it."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import families

from protocols.aggregation import thresholds
from protocols.aggregation.graph import Graph
from protocols.aggregation.thresholds import choose, disconnected, hypergeometric_at_least
from protocols.errors import ParameterError


@pytest.mark.parametrize(("parties", "degree", "shares"), [(50, 12, 6), (100, 22, 11), (1000, 48, 27)])
def test_the_published_choices(parties: int, degree: int, shares: int) -> None:
    found = choose(parties)
    assert (found.neighbours, found.shares) == (degree, shares)
    assert found.signatures == 2 * parties // 3 + 1


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n), st.integers(0, n + 1))))
@settings(max_examples=60, deadline=None)
def test_hypergeometric_tails_by_counting(case: tuple[int, int, int, int]) -> None:
    population, marked, drawn, least = case
    draws = list(itertools.combinations(range(population), drawn))
    hits = sum(sum(item < marked for item in draw) >= least for draw in draws)
    assert hypergeometric_at_least(population, marked, drawn, least) == Fraction(hits, len(draws))


def test_hypergeometric_tails_against_scipy() -> None:
    for n, c, k, t in ((999, 100, 48, 20), (99, 10, 22, 6), (999, 899, 48, 40)):
        ours = float(hypergeometric_at_least(n, c, k, t))
        assert ours == pytest.approx(stats.hypergeom.sf(t - 1, n, c, k), rel=1e-6)


def test_the_disconnection_bound_covers_every_small_case() -> None:
    """All ways to remove parties from rings of up to 10: the bound is never below the share that cuts the graph."""
    for n, k in ((7, 2), (8, 2), (9, 4), (10, 4)):
        for gone in range(1, n - 1):
            cut = total = 0
            for removed in itertools.combinations(range(n), gone):
                total += 1
                cut += not connected(n, k, set(removed))
            assert Fraction(cut, total) <= disconnected(n, k, gone), (n, k, gone)


def connected(n: int, k: int, removed: set[int]) -> bool:
    left = [place for place in range(n) if place not in removed]
    seen, frontier = {left[0]}, [left[0]]
    while frontier:
        place = frontier.pop()
        for step in range(1, k // 2 + 1):
            for other in ((place + step) % n, (place - step) % n):
                if other not in removed and other not in seen:
                    seen.add(other)
                    frontier.append(other)
    return len(seen) == len(left)


@given(
    parties=st.integers(2, 140), dropout=st.sampled_from([0.05, 0.1, 0.2]), corruption=st.sampled_from([0.05, 0.1, 0.2, 0.3])
)
@settings(max_examples=60, deadline=None)
def test_every_choice_keeps_what_it_promises(parties: int, dropout: float, corruption: float) -> None:
    try:
        found = choose(parties, dropout=dropout, corruption=corruption)
    except ParameterError:
        # Refused only where the complete graph of as many parties cannot bear what is asked.
        found = choose(parties)
        asked = math.ceil(Fraction(str(dropout)) * parties), math.ceil(Fraction(str(corruption)) * parties)
        most = parties - (2 * parties // 3 + 1), found.colluding
        assert asked[0] > most[0] or asked[1] > most[1] or not found.is_complete
    assert 2 * found.signatures > parties + found.colluding
    assert found.shares > found.colluding or parties == 2 or not found.is_complete
    if found.is_complete:
        # Every secret can be opened by the T signers alone, without its owner.
        assert found.shares <= max(1, found.signatures - 1)
        assert not found.bounds
    else:
        assert found.neighbours % 2 == 0
        assert 2 * found.neighbours < parties
        assert all(bound.value <= Fraction(1, 2**bound.limit_bits) for bound in found.bounds)
        fewer = tuple(
            thresholds.bounds_of(parties, found.neighbours - 2, shares, found.colluding, found.dropping)
            for shares in range(1, found.neighbours - 1)
        )
        assert not any(all(bound.value <= Fraction(1, 2**bound.limit_bits) for bound in bounds) for bounds in fewer)


def test_the_readme_has_the_choices() -> None:
    text = Path(thresholds.__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (.*?) \| (.*?) \| (.*?) \|$", text, flags=re.MULTILINE)
    assert len(rows) >= 8
    for parties, signatures, *cells in rows:
        for share, cell in zip((0.05, 0.1, 0.2), cells, strict=True):
            if cell == "refused":
                with pytest.raises(ParameterError, match="would bear"):
                    choose(int(parties), dropout=share, corruption=share)
                continue
            found = choose(int(parties), dropout=share, corruption=share)
            shown = (
                f"all, {found.shares} (c = {found.colluding})" if found.is_complete else f"{found.neighbours}, {found.shares}"
            )
            assert (int(signatures), cell) == (found.signatures, shown)


def test_explanations_name_numbers_and_reasons() -> None:
    text = choose(100).explain()
    for part in ("n = 100", "c = 10", "T = 67", "(n + c) / 2 = 55", "k = 22", "t = 11", "cannot happen (at most 2^-41)"):
        assert part in text
    assert "complete graph, k = 4; t = 3 shares" in choose(5).explain()
    assert "27 colluders among its 48 neighbours: 2^-42.7 (at most 2^-41)" in choose(1000).explain()
    assert "&lt;" in choose(100)._repr_html_()


@pytest.mark.parametrize(
    "bad",
    [
        {"parties": 1},
        {"parties": 5, "threshold": 2},
        {"parties": 5, "threshold": 6},
        {"parties": 5, "dropout": -0.1},
        {"parties": 20, "dropout": 0.4},
        {"parties": 60, "threshold": 55, "dropout": 0.3},
    ],
)
def test_nonsense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        choose(**bad)  # type: ignore[arg-type]


def nonces(parties: int, seed: int) -> dict[int, bytes]:
    source = np.random.default_rng(seed)
    return {index: source.bytes(32) for index in range(parties)}


@pytest.mark.parametrize("parties", [50, 61, 100])
def test_the_graph_is_regular_symmetric_and_connected(parties: int) -> None:
    params = families.sum_params(parties)
    graph = Graph(params, nonces(parties, 1))
    neighbours = [graph.neighbours(index) for index in range(parties)]
    assert all(len(others) == params.neighbours and index not in others for index, others in enumerate(neighbours))
    assert all(index in neighbours[other] for index, others in enumerate(neighbours) for other in others)


def test_small_rounds_are_complete() -> None:
    graph = Graph(families.sum_params(5), {})
    assert [graph.neighbours(index) for index in range(5)] == [frozenset(range(5)) - {index} for index in range(5)]


def test_every_nonce_decides_over_the_whole_graph() -> None:
    params, known = families.sum_params(60), nonces(60, 2)
    before = Graph(params, known).neighbours(0)
    for index in (0, 17, 59):
        changed = Graph(params, known | {index: bytes(32)}).neighbours(0)
        # Independent neighbourhoods of 16 among 59 share about four.
        assert len(before & changed) < 13
    other = families.sum_params(60, session=b"x" * 16)
    assert Graph(other, known).neighbours(0) != before


def test_neighbourhoods_are_uniform() -> None:
    params, draws = families.sum_params(50), 400
    counted = Counter(other for seed in range(draws) for other in Graph(params, nonces(50, seed)).neighbours(7))
    expected = draws * params.neighbours / 49
    statistic = sum((counted[other] - expected) ** 2 / expected for other in range(50) if other != 7)
    # Draws without replacement vary less than independent ones: chi-square with 48 degrees, scaled by 1 − k/49.
    assert statistic < stats.chi2.ppf(1 - 1e-6, 48)
