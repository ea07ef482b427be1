"""The same keys and numbers in phe, which shares no code with us."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols import paillier
from protocols.errors import EncodingOverflow, NotFresh, ParameterError
from protocols.paillier import PrivateKey, PublicKey, interop

Pair = tuple[PublicKey, PrivateKey]


@pytest.fixture(scope="module")
def phe_keys() -> tuple[Any, Any]:
    phe = pytest.importorskip("phe", reason="phe is not installed")
    public_key, private_key = phe.generate_paillier_keypair(n_length=512)
    return public_key, private_key


def test_our_numbers_in_phe(keypair: Pair) -> None:
    pytest.importorskip("phe", reason="phe is not installed")
    public_key, private_key = keypair
    theirs = interop.private_key_to_phe(private_key)
    assert interop.public_key_to_phe(public_key) == theirs.public_key
    values = [0, 1, -1, 2.5, -1000.0625]
    array = public_key.encrypt(values, scale=2**16, bound=10**4)
    numbers = interop.numbers_to_phe(array)
    assert [theirs.decrypt(number) for number in numbers] == values
    assert theirs.decrypt(numbers[3] + numbers[4] * 2 - 7) == 2.5 - 2000.125 - 7
    with pytest.raises(NotFresh):
        interop.numbers_to_phe(array)
    for scale in (2, 10, 2**17):
        with pytest.raises(ParameterError, match="power of 16"):
            interop.numbers_to_phe(public_key.encrypt([1], scale=scale))


@given(values=st.lists(st.one_of(st.integers(-(2**70), 2**70), st.floats(-1e9, 1e9)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_their_numbers_with_us(phe_keys: tuple[Any, Any], values: list[float]) -> None:
    their_public, their_private = phe_keys
    private_key = interop.private_key_from_phe(their_private, allow_insecure=True)
    public_key = interop.public_key_from_phe(their_public, allow_insecure=True)
    assert public_key == private_key.public_key
    if min((abs(value) for value in values if value), default=1) < 1e-9:
        values = [round(value * 16) / 16 for value in values]
    array = interop.numbers_from_phe([their_public.encrypt(value) for value in values], public_key)
    assert not array.is_fresh
    assert private_key.decrypt(array, kind="float").tolist() == [float(value) for value in values]
    total = interop.numbers_to_phe(array.rerandomise())
    assert [float(their_private.decrypt(number)) for number in total] == [float(value) for value in values]


def test_sums_are_the_same_on_both_sides(full: Pair) -> None:
    pytest.importorskip("phe", reason="phe is not installed")
    public_key, private_key = full
    theirs = interop.public_key_to_phe(public_key)
    ours = interop.numbers_from_phe([theirs.encrypt(x) for x in (1, 2, -30)], public_key, bound=100)
    assert private_key.decrypt(ours @ [3, 2, 1]).tolist() == [-23]
    assert interop.private_key_to_phe(private_key).decrypt(interop.numbers_to_phe(ours.sum().rerandomise())[0]) == -27


def test_what_is_refused(full: Pair, djn: Pair, phe_keys: tuple[Any, Any]) -> None:
    import phe

    public_key, _ = full
    number = phe_keys[0].encrypt(1)
    with pytest.raises(ParameterError, match="another key"):
        interop.numbers_from_phe([number], public_key)
    with pytest.raises(ParameterError, match="full noise"):
        interop.numbers_from_phe([number], djn[0])
    with pytest.raises(ParameterError, match="insecure"):
        interop.public_key_from_phe(phe_keys[0])
    theirs = interop.public_key_to_phe(public_key)
    with pytest.raises(EncodingOverflow, match="too far apart"):
        interop.numbers_from_phe([theirs.encrypt(1), phe.EncryptedNumber(theirs, 5, exponent=-(10**9))], public_key)
    for bad in (0, public_key.n**2, public_key.n):
        with pytest.raises(ParameterError, match="ciphertext"):
            interop.numbers_from_phe([phe.EncryptedNumber(theirs, bad)], public_key)


def test_a_missing_phe_says_how_to_install_it(djn: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phe", None)
    for ask in (lambda: interop.public_key_to_phe(djn[0]), lambda: interop.numbers_to_phe(djn[0].encrypt([1]))):
        with pytest.raises(ParameterError, match=r'pip install "public-data-sandbox\[phe\]"'):
            ask()


def test_the_family_works_without_phe() -> None:
    assert "interop" not in paillier.__all__
