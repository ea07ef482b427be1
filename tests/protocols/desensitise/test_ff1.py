"""FF1 over columns: NIST's samples, libffx, every container, and what is refused."""

from __future__ import annotations

import json
import os
import random
import string
from pathlib import Path

import ffx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.desensitise import ff1
from protocols.errors import ParameterError

KEY = bytes(range(16))
LETTERS = string.digits + string.ascii_lowercase
VECTORS = os.environ.get("SANDBOX_VECTORS")
RANDOM_TEXTS = int(os.environ.get("SANDBOX_FF1_TEXTS", "3000"))
EVERYTHING = "".join(map(chr, (*range(0x20, 0xD800), *range(0xE000, 0x13000))))
CHINESE = "赵钱孙李周吴郑王冯陈褚卫𠮷"


@pytest.mark.skipif(VECTORS is None, reason="SANDBOX_VECTORS is not set")
def test_the_nist_samples() -> None:
    cases = json.loads((Path(str(VECTORS)) / "ff1.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 9
    for case in cases:
        terms = {"key": bytes.fromhex(case["key"]), "tweak": bytes.fromhex(case["tweak"])}
        alphabet = LETTERS[: case["radix"]]
        assert ff1.encrypt([case["plaintext"]], alphabet=alphabet, **terms) == [case["ciphertext"]]
        assert ff1.decrypt([case["ciphertext"]], alphabet=alphabet, **terms) == [case["plaintext"]]


def test_random_columns_agree_with_libffx() -> None:
    """Random alphabets, key sizes, tweaks and lengths, every length many times in one column."""
    source, done = random.Random(7), 0
    everything = [chr(code) for code in (*range(0x21, 0x7F), *range(0x4E00, 0x4E80), *range(0x1F300, 0x1F340))]
    while done < RANDOM_TEXTS:
        alphabet = "".join(source.sample(everything, source.choice([2, 3, 10, 16, 26, 36, 62, 200])))
        least = next(n for n in range(2, 21) if len(alphabet) ** n >= 10**6)
        key, tweak = source.randbytes(source.choice([16, 24, 32])), source.randbytes(source.choice([0, 1, 7, 11, 16, 40]))
        lengths = [source.randrange(least, least + source.choice([3, 20, 70])) for _ in range(4)]
        texts = ["".join(source.choices(alphabet, k=source.choice(lengths))) for _ in range(60)]
        cipher = ffx.FF1(key, alphabet=alphabet)
        found = ff1.encrypt(texts, key=key, tweak=tweak, alphabet=alphabet)
        assert found == [cipher.encrypt(text, tweak=tweak) for text in texts]
        assert ff1.decrypt(found, key=key, tweak=tweak, alphabet=alphabet) == texts
        done += len(texts)


@given(st.integers(2, 65536), st.integers(2, 24), st.binary(max_size=20), st.data())
@settings(max_examples=25, deadline=None)
def test_any_radix_agrees_with_libffx(radix: int, length: int, tweak: bytes, data: st.DataObject) -> None:
    if radix**length < 10**6:
        return
    alphabet = EVERYTHING[:radix]
    text = "".join(alphabet[data.draw(st.integers(0, radix - 1))] for _ in range(length))
    expected = ffx.FF1(KEY, alphabet=alphabet).encrypt(text, tweak=tweak)
    assert ff1.encrypt([text], key=KEY, tweak=tweak, alphabet=alphabet) == [expected]


@pytest.mark.parametrize("alphabet", [string.digits, CHINESE], ids=["digits", "chinese"])
@pytest.mark.parametrize(
    "pack",
    [
        list,
        tuple,
        pa.array,
        lambda texts: pa.array(texts, pa.large_string()),
        lambda texts: pa.array(["other", *texts, None]).slice(1, len(texts)),
        lambda texts: pa.chunked_array([texts[:3], texts[3:]]),
        lambda texts: pa.array(texts).dictionary_encode(),
        lambda texts: pd.Series(texts, index=range(10, 10 + len(texts)), name="card"),
        lambda texts: np.array(texts, dtype=object),
    ],
)
def test_every_container_comes_back_as_it_was(pack: object, alphabet: str) -> None:
    source = random.Random(1)
    texts = [None if n % 5 == 0 else "".join(source.choices(alphabet, k=7 + n % 3)) for n in range(23)]
    values = pack(texts)  # type: ignore[operator]
    found = ff1.encrypt(values, key=KEY, alphabet=alphabet)
    assert isinstance(found, list if isinstance(values, tuple) else type(values)) or isinstance(values, pa.DictionaryArray)
    back = ff1.decrypt(found, key=KEY, alphabet=alphabet)
    plain = back.to_pylist() if isinstance(back, pa.Array | pa.ChunkedArray) else list(back)
    assert [text if isinstance(text, str) else None for text in plain] == texts
    shown = found.to_pylist() if isinstance(found, pa.Array | pa.ChunkedArray) else list(found)
    assert all(new != old and len(new) == len(old) for new, old in zip(shown, texts, strict=True) if old is not None)
    if isinstance(found, pd.Series):
        assert list(found.index) == list(values.index) and found.name == "card"  # type: ignore[attr-defined]  # noqa: PT018
    if isinstance(found, pa.Array):
        found.validate(full=True)


def test_empty_columns_stay_empty() -> None:
    assert ff1.encrypt([], key=KEY) == []
    assert ff1.encrypt([None, None], key=KEY) == [None, None]


def test_keys_tweaks_and_lengths_matter() -> None:
    values = ["0000000000"] * 2
    found = {tuple(ff1.encrypt(values, key=key, tweak=tweak)) for key in (KEY, bytes(32)) for tweak in (b"", b"\0", b"b")}
    assert len(found) == 6
    assert all(first == second for first, second in found)


@given(st.integers(10**6, 2**60), st.lists(st.integers(0, 2**60), min_size=1, max_size=40), st.binary(max_size=9))
@settings(max_examples=60, deadline=None)
def test_numbers_are_permuted_within_their_range(size: int, numbers: list[int], tweak: bytes) -> None:
    given_numbers = np.array([number % size for number in numbers], dtype=np.uint64)
    found = ff1.encrypt_numbers(given_numbers, size=size, key=KEY, tweak=tweak)
    assert int(found.max()) < size
    assert len(set(found.tolist())) == len(set(given_numbers.tolist()))
    assert np.array_equal(ff1.decrypt_numbers(found, size=size, key=KEY, tweak=tweak), given_numbers)


def test_a_whole_range_is_permuted() -> None:
    found = ff1.encrypt_numbers(np.arange(1_000_003, dtype=np.uint64), size=1_000_003, key=KEY)
    assert np.array_equal(np.sort(found), np.arange(1_000_003))


@pytest.mark.parametrize(
    ("values", "terms", "message"),
    [
        (["12345"], {}, "at least 6"),
        ([""], {}, "at least 6"),
        (["1234567", "12345x7"], {}, "row 1"),
        (["１２３４５６７"], {}, "outside the alphabet"),
        (["ab"], {"alphabet": "aab"}, "distinct"),
        (["ab"], {"alphabet": "a"}, "distinct"),
        (["1234567"], {"key": b"short"}, "16, 24 or 32"),
        (["1234567"], {"tweak": bytes(70_000)}, "tweak"),
        (["1234567"], {"tweak": "text"}, "tweak is bytes"),
        (["1234567"], {"key": "sixteen letters!"}, "key is bytes"),
        ("1234567", {}, "one text"),
        ([1234567], {}, "not text"),
        (["1234567", 5], {}, "mixes kinds"),
        (pa.array([[1]]), {}, "not text"),
    ],
)
def test_what_cannot_be_encrypted_is_refused_without_being_quoted(
    values: object, terms: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message) as refused:
        ff1.encrypt(values, **({"key": KEY} | terms))  # type: ignore[arg-type]
    assert "12345" not in str(refused.value)


def test_numbers_outside_their_range_are_refused() -> None:
    for wrong in (np.array([10**6, 5], dtype=np.uint64), np.array([-1, 5])):
        with pytest.raises(ParameterError, match="1 numbers"):
            ff1.encrypt_numbers(wrong, size=10**6, key=KEY)
    with pytest.raises(ParameterError, match="float64"):
        ff1.encrypt_numbers(np.array([1.5]), size=10**6, key=KEY)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="10\\^6"):
        ff1.encrypt_numbers(np.array([5], dtype=np.uint64), size=999_999, key=KEY)
