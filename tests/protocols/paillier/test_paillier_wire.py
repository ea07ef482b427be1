"""Freshness, and everything a received array is refused for."""

from __future__ import annotations

import copy
import pickle

import gmpy2
import numpy as np
import pytest
from support.deterministic import DeterministicRng

from protocols import paillier
from protocols.errors import MisuseError, NotFresh, ParameterError
from protocols.paillier import EncryptedArray, NoisePool, Packing, PrivateKey, PublicKey, Slot

Pair = tuple[PublicKey, PrivateKey]


def _matrix(public_key: PublicKey, numbers: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    size = public_key.ciphertext_bytes
    return np.frombuffer(b"".join(x.to_bytes(size, "little") for x in numbers), dtype=np.uint8).reshape(-1, size)


def _numbers(array: EncryptedArray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in array.limbs]


def test_sending_consumes_freshness(keypair: Pair) -> None:
    public_key, private_key = keypair
    for send in (EncryptedArray.to_bytes, EncryptedArray.to_wire):
        array = public_key.encrypt([1, 2])
        assert array.is_fresh
        send(array)  # type: ignore[operator]
        assert not array.is_fresh
        with pytest.raises(NotFresh, match="rerandomise"):
            send(array)  # type: ignore[operator]
        again = array.rerandomise()
        send(again)  # type: ignore[operator]
        assert private_key.decrypt(again).tolist() == [1, 2]
    assert issubclass(NotFresh, MisuseError)


def test_everything_computed_is_not_fresh(djn: Pair) -> None:
    public_key, private_key = djn
    a = public_key.encrypt([1, 2])
    data = public_key.encrypt([1, 2]).to_bytes()
    for result in (
        a + a, a + 1, a - 1, -a, a * 1, 1 * a, a.sum(), a.segment_sum([0, 1, 2]), a @ [1, 0], a[:], a[0], a[[0, 1]],
        paillier.concatenate([a]), a.weighted_segment_sum([0], [1], [0, 1]), EncryptedArray.from_bytes(data, public_key),
        EncryptedArray.from_wire(public_key.encrypt([1]).to_wire(), public_key), copy.copy(a), copy.deepcopy(a),
        pickle.loads(pickle.dumps(a)),  # noqa: S301
    ):  # fmt: skip
        assert not result.is_fresh
        with pytest.raises(NotFresh):
            result.to_bytes()
        assert result.rerandomise().is_fresh
    assert a.is_fresh
    assert private_key.decrypt(a).tolist() == [1, 2]
    assert public_key.encrypt([1]).is_fresh
    assert private_key.encrypt([1]).is_fresh


def test_rerandomising_changes_every_row_and_no_plaintext(keypair: Pair) -> None:
    public_key, private_key = keypair
    a = public_key.encrypt([7] * 20)
    for towards_owner in (False, True):
        b = a.rerandomise(towards_owner=towards_owner)
        assert len({*_numbers(a), *_numbers(b)}) == 40
        assert private_key.decrypt(b).tolist() == [7] * 20


def test_bytes_carry_the_layout(keypair: Pair) -> None:
    public_key, private_key = keypair
    numbers = public_key.encrypt([1.5, -2], scale=10**2, bound=1000)
    received = EncryptedArray.from_bytes(numbers.to_bytes(), public_key)
    assert received.layout == numbers.layout
    assert private_key.decrypt(received).tolist() == [1.5, -2]
    packing = Packing(slots=(Slot(name="数量", bound=5), Slot(name="total", bound=2**40, scale=100)), max_weight=9)
    packed = (public_key.encrypt_packed([[5], [-(2**40)]], packing) * 3).rerandomise()
    received = EncryptedArray.from_bytes(packed.to_bytes(), public_key)
    assert received.layout == packed.layout
    assert received.packing == packing
    assert private_key.decrypt_packed(received) == {"数量": [15], "total": [-3 * 2**40]}


def test_ciphertexts_that_are_refused(djn: Pair, other: Pair) -> None:
    public_key, private_key = djn
    n, (p, q) = public_key.n, private_key.primes
    good = _numbers(public_key.encrypt([1, 2, 3]))
    marked = next(x for x in range(2, 100) if gmpy2.jacobi(x, n) == -1)
    for bad, reason in (
        (0, "between 0 and n²"),
        (n * n, "between 0 and n²"),
        (n * n + 1, "between 0 and n²"),
        ((1 << 1024) - 1, "between 0 and n²"),
        (p, "not coprime"),
        (q * 12345, "not coprime"),
        (n, "not coprime"),
        (marked, "Jacobi"),
        (good[1] * marked % (n * n), "Jacobi"),
    ):
        with pytest.raises(ParameterError, match=f"row 1: .*{reason}"):
            EncryptedArray.from_wire(_matrix(public_key, [good[0], bad, good[2]]), public_key)
    assert len(EncryptedArray.from_wire(_matrix(public_key, good), public_key)) == 3
    with pytest.raises(ParameterError, match="another key"):
        EncryptedArray.from_bytes(other[0].encrypt([1]).to_bytes(), public_key)


def test_full_noise_has_either_jacobi_symbol(full: Pair) -> None:
    public_key, private_key = full
    a = public_key.encrypt(range(40))
    assert {gmpy2.jacobi(x, public_key.n) for x in _numbers(a)} == {1, -1}
    received = EncryptedArray.from_wire(a.to_wire(), public_key)
    assert private_key.decrypt(received).tolist() == list(range(40))


def test_rows_are_named_across_chunks(djn: Pair) -> None:
    public_key, _ = djn
    rows = _numbers(public_key.encrypt([1])) * 5000
    rows[4500] = rows[4999] = 0
    with pytest.raises(ParameterError, match=r"2 rows \(4500, 4999\)"):
        EncryptedArray.from_wire(_matrix(public_key, rows), public_key)


def test_matrices_of_the_wrong_shape(djn: Pair) -> None:
    public_key, _ = djn
    matrix = public_key.encrypt([1, 2]).to_wire()
    assert matrix.shape == (2, public_key.ciphertext_bytes) == (2, 128)
    assert matrix.dtype == np.uint8
    for bad in (matrix[:, :-8], matrix[:, :-1], matrix[0], np.pad(matrix, ((0, 0), (0, 8))), matrix.astype(np.int64)):
        with pytest.raises(ParameterError):
            EncryptedArray.from_wire(bad, public_key)


def test_encodings_that_are_refused(djn: Pair) -> None:
    public_key, _ = djn
    data = public_key.encrypt([1, 2], scale=16, bound=100).to_bytes()
    size = int.from_bytes(data[4:8], "little")
    header = data[8 : 8 + size]

    def with_header(changed: bytes) -> bytes:
        return data[:4] + len(changed).to_bytes(4, "little") + changed + data[8 + size :]

    assert len(EncryptedArray.from_bytes(with_header(header), public_key)) == 2
    for bad in (
        b"", data[:4], data[:20], b"PPA2" + data[4:], data[:-1], data + b"\0",
        data[: 8 + size], data[:4] + b"\xff" * 4 + data[8:],
        *(with_header(changed) for changed in (
            header.replace(b'"rows":2', b'"rows":3'), header.replace(b'"rows":2', b'"rows":-2'),
            header.replace(b'"rows":2', b'"rows":2.0'), header.replace(b'"scale":"10"', b'"scale":"0"'),
            header.replace(b'"scale":"10"', b'"scale":"010"'), header.replace(b'"scale":"10"', b'"scale":"-10"'),
            header.replace(b'"scale":"10"', b'"scale":""'), header.replace(b'"scale":"10"', b'"scale":"zz"'),
            header.replace(b'"bound":"640"', b'"bound":"' + b"f" * 200 + b'"'), header.replace(b'"rows"', b'"x":1,"rows"'),
            header.replace(b'"rows":2', b'"rows":2,"rows":2'), header.replace(b'"slots":[]', b'"slots":' + b"[" * 9999),
            header.replace(b'"slots":[]', b'"slots":[{"bound":"1","name":"","scale":"1"}]'), header + b" ", b"\xff", b"null",
        )),
    ):  # fmt: skip
        with pytest.raises(ParameterError):
            EncryptedArray.from_bytes(bad, public_key)


def test_a_layout_that_does_not_fit_the_key_is_refused(djn: Pair) -> None:
    public_key, _ = djn
    matrix = public_key.encrypt([1]).to_wire()
    with pytest.raises(ParameterError, match="bits"):
        EncryptedArray.from_wire(matrix, public_key, bound=public_key.n)
    with pytest.raises(ParameterError, match="bits"):
        EncryptedArray.from_wire(matrix, public_key, packing=Packing(slots=(Slot(name="a", bound=2**600),)))
    with pytest.raises(ParameterError, match="weight"):
        EncryptedArray.from_wire(matrix, public_key, packing=Packing(slots=(Slot(name="a", bound=1),)), weight=2)


def test_a_ciphertext_of_no_key_is_refused_by_a_subgroup_key() -> None:
    public_key, private_key = paillier.generate_insecure_keypair(512, "subgroup", DeterministicRng(5))
    stray = next(x for x in range(2, 100) if gmpy2.jacobi(x, public_key.n) == 1)
    array = EncryptedArray.from_wire(_matrix(public_key, [*_numbers(public_key.encrypt([1])), stray]), public_key)
    with pytest.raises(ParameterError, match="row 1 cannot be decrypted"):
        private_key.decrypt(array)


def test_pooled_noise_is_used_once(keypair: Pair, other: Pair) -> None:
    public_key, private_key = keypair
    pool = NoisePool(public_key)
    pool.prepare(300)
    assert len(pool) == 300
    first = public_key.encrypt([1] * 200, pool=pool)
    assert len(pool) == 100
    second = public_key.encrypt([1] * 200, pool=pool)
    assert len(pool) == 0
    assert len({*_numbers(first), *_numbers(second)}) == 400
    assert private_key.decrypt(paillier.concatenate([first, second])).tolist() == [1] * 400
    assert len(pool.take(5)) == 0
    with pytest.raises(ParameterError, match="another key"):
        other[0].encrypt([1], pool=pool)
    with pytest.raises(ParameterError, match="once"):
        pickle.dumps(pool)
    assert repr(pool) == "<NoisePool: 0 rows>"


def test_tables_grow_with_use_and_are_reported() -> None:
    public_key, private_key = paillier.generate_insecure_keypair(128, "djn", DeterministicRng(6))
    assert public_key.prepare(0) == {"window_bits": 0, "size_bytes": 0}
    few = public_key.prepare(1)
    many = public_key.prepare(10_000, towards_owner=True)
    assert 0 < few["window_bits"] <= many["window_bits"]
    assert few["size_bytes"] < many["size_bytes"] <= 64 << 20
    assert private_key.decrypt(public_key.encrypt([5]).rerandomise(towards_owner=True)).tolist() == [5]
