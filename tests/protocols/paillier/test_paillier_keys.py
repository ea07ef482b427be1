"""Keys: every condition of generated ones, every refusal of received ones, and what never leaves a private key."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import pickle
import warnings
from pathlib import Path

import gmpy2
import pytest
from support.deterministic import DeterministicRng

from protocols import paillier
from protocols.errors import ParameterError
from protocols.paillier import PrivateKey, PublicKey, checks
from protocols.paillier.checks import NOISE_MODES, NoiseMode
from protocols.paillier.keys import subgroup_prime_bits

Pair = tuple[PublicKey, PrivateKey]
_SMALL_KEYS = 700


@pytest.mark.parametrize("noise", NOISE_MODES)
def test_small_generated_keys_meet_every_condition(noise: NoiseMode) -> None:
    rng = DeterministicRng(f"small keys {noise}")
    for index in range(_SMALL_KEYS):
        key_bits = (64, 96, 128)[index % 3]
        public_key, private_key = paillier.generate_insecure_keypair(key_bits, noise, rng)
        n, (p, q) = public_key.n, private_key.primes
        assert n == p * q
        assert n.bit_length() == key_bits == public_key.key_bits
        assert p.bit_length() == q.bit_length() == key_bits // 2
        assert p != q
        assert p % 4 == q % 4 == 3
        assert math.gcd(p - 1, q - 1) == 2
        assert math.gcd(n, (p - 1) * (q - 1)) == 1
        assert sum(pow(base, p - 1, p) != 1 or pow(base, q - 1, q) != 1 for base in (2, 3, 5, 7)) == 0
        if noise == "full":
            assert public_key.h is None
        else:
            h = public_key.h or 0
            assert 1 < h < n - 1
            assert gmpy2.jacobi(h, n) == 1
            assert math.gcd(h * (h * h - 1), n) == 1
            assert gmpy2.legendre(-h, p) == gmpy2.legendre(-h, q) == 1
        if noise == "subgroup":
            document = json.loads(private_key.to_secret_bytes())
            small_p, small_q = (int(x, 16) for x in document["factors"])
            assert small_p.bit_length() == small_q.bit_length() == subgroup_prime_bits(key_bits)
            assert len({small_p, small_q, p, q}) == 4
            assert (p - 1) % (2 * small_p) == (q - 1) % (2 * small_q) == 0
            assert math.gcd(small_p * small_q, ((p - 1) // (2 * small_p)) * ((q - 1) // (2 * small_q))) == 1
            assert pow(h, 2 * small_p, p) == pow(h, 2 * small_q, q) == 1
            assert 1 not in (pow(h, 2, p), pow(h, 2, q), pow(h, small_p, p), pow(h, small_q, q))
        values = [0, 1, -1]
        assert private_key.decrypt(public_key.encrypt(values, rng=rng)).tolist() == values


def test_parameters_of_the_noise_modes() -> None:
    assert [subgroup_prime_bits(bits) * 2 for bits in (2048, 3072, 4096)] == [448, 512, 608]
    for noise, short, owner in (("djn", 256, 576), ("full", 512, 576), ("subgroup", 128, 194)):
        key, _ = paillier.generate_insecure_keypair(512, noise, DeterministicRng(noise))  # type: ignore[arg-type]
        assert (key.exponent_bits, key.owner_exponent_bits) == (short, owner)


def test_sizes_that_are_refused() -> None:
    for key_bits in (0, 511, 512, 1024, 2047, 2049, 8192):
        with pytest.raises(ParameterError, match="key_bits"):
            paillier.generate_keypair(key_bits)
    for key_bits in (0, 62, 511, 2047, 2048, 3072):
        with pytest.raises(ParameterError, match="key_bits"):
            paillier.generate_insecure_keypair(key_bits)
    with pytest.raises(ParameterError, match="noise"):
        paillier.generate_keypair(3072, "none")  # type: ignore[arg-type]


def test_a_2048_bit_key_warns_and_works() -> None:
    with pytest.warns(paillier.ShortKeyWarning):
        public_key, private_key = paillier.generate_keypair(2048, rng=DeterministicRng("2048"))
    assert not public_key.is_insecure
    assert public_key.ciphertext_bytes == 512
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert PublicKey.from_bytes(public_key.to_bytes()) == public_key
    assert private_key.decrypt(public_key.encrypt([2**63 - 1, -(2**63)])).tolist() == [2**63 - 1, -(2**63)]


def test_keys_travel_and_have_one_fingerprint(keypair: Pair) -> None:
    public_key, private_key = keypair
    data = public_key.to_bytes()
    received = PublicKey.from_bytes(data, allow_insecure=True)
    assert received == public_key
    assert hash(received) == hash(public_key)
    assert received.fingerprint == hashlib.sha256(data).hexdigest()
    assert pickle.loads(pickle.dumps(public_key)) == public_key  # noqa: S301
    restored = PrivateKey.from_secret_bytes(private_key.to_secret_bytes())
    assert restored.decrypt(public_key.encrypt([5, -7])).tolist() == [5, -7]


def test_an_insecure_key_is_refused_unless_named(keypair: Pair) -> None:
    public_key, _ = keypair
    assert public_key.is_insecure
    assert "INSECURE" in repr(public_key)
    with pytest.raises(ParameterError, match="insecure"):
        PublicKey.from_bytes(public_key.to_bytes())
    with pytest.raises(ParameterError, match="insecure"):
        public_key.check()


@pytest.mark.parametrize("bits", [511, 512, 1024, 2047])
def test_short_moduli_are_refused(bits: int) -> None:
    n = (1 << (bits - 1)) | 1
    with pytest.raises(ParameterError, match=f"{bits} bits"):
        PublicKey(n=n, h=5, noise="djn").check()


def test_moduli_that_are_refused(djn: Pair) -> None:
    public_key, private_key = djn
    p, _ = private_key.primes
    bad = {
        "even": 1 << 511,
        "factor below": 65521 * int(gmpy2.next_prime(1 << 500)),
        "prime": _prime_one_mod_four(),
        "perfect power": p * p,
        "not 1 modulo 4": _product_three_mod_four(p),
        "key length": (1 << 62) + 1,
    }
    for reason, n in bad.items():
        with pytest.raises(ParameterError, match=reason):
            checks.check_modulus(n, "djn", allow_insecure=True)
    checks.check_modulus(bad["not 1 modulo 4"], "full", allow_insecure=True)
    with pytest.raises(ParameterError, match="even"):
        PublicKey(n=public_key.n - 1, h=public_key.h, noise="djn")


def _prime_one_mod_four() -> int:
    candidate = (1 << 511) + 1
    while not gmpy2.is_prime(candidate):
        candidate += 4
    return candidate


def _product_three_mod_four(p: int) -> int:
    other = int(gmpy2.next_prime(p))
    while other % 4 == 3:
        other = int(gmpy2.next_prime(other))
    return p * other


def test_bases_that_are_refused(djn: Pair) -> None:
    public_key, private_key = djn
    n, h, (p, _) = public_key.n, public_key.h or 0, private_key.primes
    nonresidue = next(x for x in range(2, 100) if gmpy2.jacobi(x, n) == -1)
    root_of_unity = int(2 * p * gmpy2.invert(p, n // p) - 1) % n
    for bad, reason in (
        (0, "between"),
        (1, "between"),
        (n - 1, "between"),
        (n, "between"),
        (None, "between"),
        (p, "factor"),
        (root_of_unity, "factor"),
        (nonresidue, "Jacobi"),
        (pow(h, 2, n), "hash"),
        (n - pow(3, 2, n), "hash"),
    ):
        with pytest.raises(ParameterError, match=reason):
            PublicKey(n=n, h=bad, noise="djn").check(allow_insecure=True)
    PublicKey(n=n, h=n - 9, noise="subgroup").check(allow_insecure=True)
    with pytest.raises(ParameterError, match="no h"):
        PublicKey(n=n, h=h, noise="full").check(allow_insecure=True)


def test_encodings_that_are_refused(djn: Pair) -> None:
    public_key, _ = djn
    data = public_key.to_bytes()
    document = json.loads(data)
    for bad in (
        b"",
        b"null",
        b"[" * 10_000,
        data[:-1],
        data + b" ",
        b" " + data,
        data.replace(b'"version":1', b'"version":2'),
        data.replace(b'"n":"', b'"n":"0'),
        data.replace(b'"n":"', b'"n":"-'),
        data.replace(b'"noise"', b'"extra":1,"noise"'),
        data.replace(b'"version":1', b'"version":1,"version":1'),
        data.replace(b"djn", b"none"),
        data.replace(b"djn", b"full"),
        json.dumps(document).encode(),
        json.dumps(document | {"n": document["n"].upper()}, sort_keys=True, separators=(",", ":")).encode(),
        data + b" " * (1 << 14),
    ):
        with pytest.raises(ParameterError):
            PublicKey.from_bytes(bad, allow_insecure=True)


def test_the_proof_of_the_modulus(keypair: Pair) -> None:
    public_key, private_key = keypair
    roots = private_key.prove()
    public_key.verify(roots)
    for bad in (roots[:-1], (*roots, 1), (roots[1], *roots[1:]), (0, *roots[1:]), (roots[0] + public_key.n, *roots[1:])):
        with pytest.raises(ParameterError, match="proof"):
            public_key.verify(bad)


def test_a_modulus_that_shares_a_factor_with_its_order_has_no_proof() -> None:
    p = int(gmpy2.next_prime(1 << 40))
    q = next(p * k + 1 for k in range(2, 10_000, 2) if gmpy2.is_prime(p * k + 1))
    with pytest.raises(ParameterError, match="gcd"):
        checks.prove_modulus(p * q, p, q)
    with pytest.raises(ParameterError, match="factor below"):
        checks.verify_modulus(65521 * p, (1,) * 8)


def test_a_private_key_shows_and_copies_nothing(keypair: Pair) -> None:
    _, private_key = keypair
    p, q = private_key.primes
    for text in (repr(private_key), str(private_key), f"{private_key}"):
        assert "redacted" in text
        assert not any(part in text for part in (str(p), str(q), f"{p:x}", f"{q:x}"))
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ParameterError, match="not pickled"):
            copier(private_key)
    assert "redacted" in repr(private_key._noise)


def test_private_encodings_that_are_refused(keypair: Pair, other: Pair) -> None:
    public_key, private_key = keypair
    data = private_key.to_secret_bytes()
    document = json.loads(data)
    p, q = document["primes"]
    for change in ({"primes": [q, q]}, {"primes": [f"{int(p, 16) + 2:x}", q]}, {"factors": ["3", "3"]}, {"version": 2}):
        with pytest.raises(ParameterError) as caught:
            PrivateKey.from_secret_bytes(json.dumps(document | change, sort_keys=True, separators=(",", ":")).encode())
        assert p not in str(caught.value)
    for bad in (b"", b"{}", data[:-1], data + b"\n"):
        with pytest.raises(ParameterError):
            PrivateKey.from_secret_bytes(bad)
    with pytest.raises(ParameterError, match="do not belong"):
        PrivateKey(public_key, other[1].primes)


def test_the_same_generator_gives_the_same_key_and_ciphertexts() -> None:
    first, second = (paillier.generate_insecure_keypair(128, "djn", DeterministicRng(7)) for _ in range(2))
    assert first[0] == second[0]
    rows = [key.encrypt(range(600), rng=DeterministicRng(8)).to_wire().tobytes() for key, _ in (first, second)]
    assert rows[0] == rows[1]


def test_primality_against_published_vectors() -> None:
    folder = os.environ.get("SANDBOX_VECTORS")
    if not folder:
        pytest.skip("SANDBOX_VECTORS is not set: no reference vectors")
    document = json.loads((Path(folder) / "wycheproof" / "primality_test.json").read_text())
    checked = 0
    for group in document["testGroups"]:
        for test in group["tests"]:
            value = int.from_bytes(bytes.fromhex(test["value"]), "big", signed=True)
            if test["result"] != "acceptable":
                assert checks.is_probable_prime(value) == (test["result"] == "valid"), test["tcId"]
                checked += 1
    assert checked > 250
