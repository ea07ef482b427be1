"""Shamir's sharing against arithmetic by hand, all subsets of shares, and what fewer than the threshold tell."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols.errors import ParameterError
from protocols.primitives import shamir

P = 2**256 + 297


def test_the_field_is_prime_and_the_smallest_above_256_bits() -> None:
    import gmpy2

    assert shamir.PRIME == P == gmpy2.next_prime(2**256)


@given(secret=st.binary(min_size=32, max_size=32), count=st.integers(1, 7), data=st.data(), seed=st.integers())
@settings(max_examples=40, deadline=None)
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, count: int, data: st.DataObject, seed: int) -> None:
    threshold = data.draw(st.integers(1, count))
    points = data.draw(st.lists(st.integers(1, 10_000), min_size=count, max_size=count, unique=True))
    shares = dict(zip(points, shamir.share(secret, threshold, points, DeterministicRng(seed)), strict=True))
    for subset in itertools.combinations(points, threshold):
        assert shamir.reconstruct({x: shares[x] for x in subset}) == secret


def test_all_bits_of_a_secret_survive() -> None:
    for secret in (bytes(32), b"\xff" * 32, (P % 2**256).to_bytes(32, "big")):
        shares = shamir.share(secret, 3, [1, 2, 3], DeterministicRng(1))
        assert shamir.reconstruct(dict(zip([1, 2, 3], shares, strict=True))) == secret


def test_shares_are_values_of_one_polynomial() -> None:
    """Against Lagrange's interpolation in rational numbers, reduced at the end."""
    points = [1, 2, 5, 9]
    shares = dict(zip(points, shamir.share(b"s" * 32, 3, points, DeterministicRng(2)), strict=True))
    values = {x: int.from_bytes(data, "big") for x, data in shares.items()}
    at_nine = Fraction(0)
    for x in points[:3]:
        term = Fraction(values[x])
        for other in points[:3]:
            if other != x:
                term *= Fraction(9 - other, x - other)
        at_nine += term
    assert at_nine.numerator * pow(at_nine.denominator, -1, P) % P == values[9]


def test_fewer_shares_fit_every_secret() -> None:
    points = [1, 2, 3]
    shares = dict(zip(points, shamir.share(b"a" * 32, 3, points, DeterministicRng(3)), strict=True))
    two = {x: shares[x] for x in (1, 2)}
    for claimed in (b"b" * 32, bytes(32)):
        # There is a third share with which the two give any secret one likes.
        weights = dict(zip(points, shamir.lagrange_at_zero(points), strict=True))
        partial = sum(int.from_bytes(two[x], "big") * weights[x] for x in two)
        third = (int.from_bytes(claimed, "big") - partial) * pow(weights[3], -1, P) % P
        assert shamir.reconstruct({**two, 3: third.to_bytes(33, "big")}) == claimed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((bytes(31), 2, [1, 2]), "32 bytes"),
        ((bytes(32), 3, [1, 2]), "threshold"),
        ((bytes(32), 0, [1, 2]), "threshold"),
        ((bytes(32), 2, [1, 1]), "distinct"),
        ((bytes(32), 2, [0, 1]), "value at 0 is the secret"),
        ((bytes(32), 2, [1, P]), "distinct"),
    ],
)
def test_what_cannot_be_shared_is_refused(arguments: tuple[bytes, int, list[int]], problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        shamir.share(*arguments, DeterministicRng(4))


def test_malformed_shares_are_refused() -> None:
    good = shamir.share(bytes(32), 2, [1, 2], DeterministicRng(5))
    for bad, problem in ((good[1][:-1], "not 33 bytes"), (P.to_bytes(33, "big"), "below the field"), (b"\xff" * 33, "below")):
        with pytest.raises(ParameterError, match=problem):
            shamir.reconstruct({1: good[0], 2: bad})
    with pytest.raises(ParameterError, match="do not meet"):
        shamir.reconstruct({1: (2**256).to_bytes(33, "big")})
