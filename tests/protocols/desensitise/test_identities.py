"""Encrypted 身份证 and mobile numbers: form, check digit, nobody's, and back."""

from __future__ import annotations

import datetime
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import numdb
from stdnum.cn import ric

from protocols.desensitise import identities
from protocols.errors import ParameterError

KEY = bytes(range(32))
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def id_number(source: random.Random) -> str:
    day = datetime.date(1900, 1, 1) + datetime.timedelta(days=source.randrange(73_049))
    body = f"{source.choice(identities.PROVINCES)}{source.randrange(10_000):04}{day:%Y%m%d}{source.randrange(1000):03}"
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_identity_numbers_keep_their_form_and_are_nobodys(seed: int) -> None:
    source = random.Random(seed)
    given_numbers = [id_number(source) for _ in range(40)]
    found = identities.encrypt_id_numbers(given_numbers, key=KEY, tweak=b"hospital")
    for number in found:
        assert len(number) == 18
        assert ric.calc_check_digit(number) == number[17]
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        assert int(number[:2]) not in identities.PROVINCES
    assert len(set(found)) == len(set(given_numbers))
    assert identities.decrypt_id_numbers(found, key=KEY, tweak=b"hospital") == given_numbers
    assert identities.encrypt_id_numbers(given_numbers, key=KEY, tweak=b"bank") != found


def test_no_province_in_use_is_one_of_ours() -> None:
    """Against python-stdnum's table of GB/T 2260, where every county's first two digits stand."""
    used = {int(entry[1]) for entry in numdb.get("cn/loc").prefixes}
    assert {11, 44, 65} <= used <= set(identities.PROVINCES)
    assert set(identities.NO_PROVINCES).isdisjoint(identities.PROVINCES)
    assert len(set(identities.NO_PROVINCES)) == len(identities.PROVINCES)


def test_old_numbers_of_fifteen_digits_stay_so() -> None:
    source = random.Random(3)
    old = [number[:6] + number[8:17] for number in (id_number(source) for _ in range(400)) if number[6:8] == "19"]
    found = identities.encrypt_id_numbers(old, key=KEY)
    assert {len(number) for number in found} == {15}
    assert all(int(number[:2]) in identities.NO_PROVINCES for number in found)
    assert identities.decrypt_id_numbers(found, key=KEY) == old


def test_mobiles_get_a_first_digit_that_no_mobile_has() -> None:
    source = random.Random(4)
    given_numbers = [f"1{source.randrange(3, 10)}{source.randrange(10**9):09}" for _ in range(2000)]
    found = identities.encrypt_mobiles(pa.array(given_numbers), key=KEY)
    assert all(len(number) == 11 and number[0] == "2" and number[1] in "3456789" for number in found.to_pylist())
    assert len(set(found.to_pylist())) == len(set(given_numbers))
    assert identities.decrypt_mobiles(found, key=KEY).to_pylist() == given_numbers


def test_other_spellings_are_the_same_person() -> None:
    mobiles = ["13812345678", "+86 138-1234-5678", "008613812345678", "１３８１２３４５６７８", " 13812345678 "]
    assert len(set(identities.encrypt_mobiles(mobiles, key=KEY))) == 1
    numbers = ["11010519491231002X", "11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", "\u300011010519491231002x"]
    assert len(set(identities.encrypt_id_numbers(numbers, key=KEY))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "110105194912310021",  # check digit
        "110105194902300021",  # 30 February
        "10010519491231002X",  # no such province
        "11010518991231002X",  # before the calendar
        "1101054912310022",  # sixteen digits
        "110105490230002",  # fifteen digits, 30 February
        "",
        "中文",
        "1101051949\x00231002X",
    ],
)
def test_what_is_no_identity_number_is_refused_or_suppressed(wrong: str) -> None:
    values = ["11010519491231002X", None, wrong]
    with pytest.raises(ParameterError, match=r"1 of 3 values .* row 2") as refused:
        identities.encrypt_id_numbers(values, key=KEY)
    assert not wrong or wrong not in str(refused.value)
    found = identities.encrypt_id_numbers(values, key=KEY, invalid="suppress")
    assert found[0] is not None
    assert found[1:] == [None, None]


def test_a_number_is_not_encrypted_twice_unnoticed() -> None:
    once = identities.encrypt_id_numbers(["11010519491231002X"], key=KEY)
    with pytest.raises(ParameterError):
        identities.encrypt_id_numbers(once, key=KEY)
    mobile = identities.encrypt_mobiles(["13812345678"], key=KEY)
    with pytest.raises(ParameterError):
        identities.encrypt_mobiles(mobile, key=KEY)
    with pytest.raises(ParameterError):
        identities.decrypt_mobiles(["13812345678"], key=KEY)
