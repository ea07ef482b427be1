"""Ed25519 and X25519 on the lanes of every instruction path: the decisions and secrets of `cryptography`, for every input."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ristretto_oracle as oracle
from support.deterministic import DeterministicRng
from support.vectors import load_vectors

from protocols.errors import ParameterError
from protocols.primitives import lanes, prf, signing
from protocols.primitives.signing import Signed

pytest.importorskip("protocols.primitives._native_group")

from protocols.primitives.native_group import NativeGroup, available_paths

P, L = oracle.P, oracle.ORDER
each_path = pytest.mark.parametrize("path", available_paths())
each_engine = pytest.mark.parametrize("engine", ["native", "portable"])


def decode(encoding: bytes) -> oracle.Element | None:
    """RFC 8032, section 5.1.3, but lenient where OpenSSL is: y modulo p, and the sign of x = 0 ignored."""
    number = int.from_bytes(encoding, "little")
    y, sign = number % 2**255 % P, number >> 255
    is_square, x = oracle.sqrt_ratio_m1(y * y - 1, oracle.D * y * y + 1)
    if not is_square:
        return None
    x = -x % P if x % 2 != sign else x
    return oracle.Element(x, y, 1, x * y % P)


def encode(point: oracle.Element) -> bytes:
    z = pow(point.Z, -1, P)
    x, y = point.X * z % P, point.Y * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode(((4 * pow(5, -1, P)) % P).to_bytes(32, "little")) or oracle.IDENTITY


def challenge(public: bytes, message: bytes, signature: bytes) -> int:
    return int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L


def torsion() -> list[oracle.Element]:
    """The eight points of small order, as multiples of one of order 8."""
    for seed in range(100):
        point = decode(hashlib.sha256(bytes([seed])).digest())
        small = L * (point or oracle.IDENTITY)
        if encode(4 * small) != encode(oracle.IDENTITY):
            return [k * small for k in range(8)]
    raise AssertionError("an eighth of all points would do")


TORSION = torsion()
# Every way to write a point of small order: non-canonical y (0, 1 and −1 plus p where that fits 255 bits), either sign.
SMALL_KEYS = sorted(
    {encode(point) for point in TORSION}
    | {(y | sign << 255).to_bytes(32, "little") for y in (0, 1, P - 1, P, P + 1) for sign in (0, 1)}
)


def by_cryptography(case: Signed) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(case.public).verify(case.signature, case.statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def by_path(path: str, cases: list[Signed]) -> list[bool]:
    hashes = [hashlib.sha512(case.signature[:32] + case.public + case.statement).digest() for case in cases]

    def rows(items: list[bytes], width: int) -> np.ndarray:
        return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(-1, width)

    group = NativeGroup(path)
    found = group.verify(rows([c.public for c in cases], 32), rows(hashes, 64), rows([c.signature for c in cases], 64))
    return found.tolist()


def honest(count: int, seed: int = 0) -> list[Signed]:
    rng = DeterministicRng(f"signatures {seed}")
    keys = [Ed25519PrivateKey.from_private_bytes(rng.bytes(32)) for _ in range(count)]
    messages = [rng.bytes(row % 40) for row in range(count)]
    return [
        Signed(key.public_key().public_bytes_raw(), message, key.sign(message))
        for key, message in zip(keys, messages, strict=True)
    ]


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "little") ^ 1 << bit % (8 * len(data))).to_bytes(len(data), "little")


@each_path
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 16, 17, 255, 257, 300])
def test_signatures_of_every_batch_size(path: str, count: int) -> None:
    cases = honest(count)
    assert by_path(path, cases) == [True] * count
    for row in range(0, count, 3):
        public, message, signature = cases[row]
        cases[row] = (
            Signed(flipped(public, 5 * row), message, signature),
            Signed(public, message + b"x", signature),
            Signed(public, message, flipped(signature, 7 * row)),
        )[row % 9 // 3]
    expected = [by_cryptography(case) for case in cases]
    assert sum(expected) == count - len(range(0, count, 3))
    assert by_path(path, cases) == expected


@each_path
def test_every_changed_bit_is_refused(path: str) -> None:
    public, message, signature = honest(1)[0]
    cases = [Signed(public, message, flipped(signature, bit)) for bit in range(512)]
    cases += [Signed(flipped(public, bit), message, signature) for bit in range(256)]
    assert not any(by_path(path, cases))


@each_path
def test_published_signatures(path: str) -> None:
    groups = load_vectors("wycheproof/ed25519_test.json")["testGroups"]
    tests = [(group.get("publicKey", group.get("key"))["pk"], test) for group in groups for test in group["tests"]]
    cases = [Signed(*map(bytes.fromhex, (key, test["msg"], test["sig"]))) for key, test in tests]
    whole = [
        (case, test["result"] == "valid") for case, (_, test) in zip(cases, tests, strict=True) if len(case.signature) == 64
    ]
    assert 50 < sum(valid for _, valid in whole) < len(whole) - 20
    assert by_path(path, [case for case, _ in whole]) == [valid for _, valid in whole]


def small_order_cases() -> list[Signed]:
    """A and R of small order, canonical or not; s is 0, the order, or what would hold with the cofactor."""
    scalars = [0, L, 8, L - 1, 2**252, 2**255 - 1, 2**256 - 1]
    return [
        Signed(public, bytes([message]), r + s.to_bytes(32, "little"))
        for public in SMALL_KEYS
        for r in SMALL_KEYS
        for message in range(4)
        for s in (scalars if message == 0 else scalars[:1])
    ]


def mixed_order_cases() -> list[Signed]:
    """A, R or both with a part of small order, and an s for which the equation holds up to that part; s + order too."""
    rng = DeterministicRng("mixed")
    cases = []
    for key_part in range(8):
        secret = int.from_bytes(rng.bytes(32), "little") % L
        key = secret * BASE + TORSION[key_part]
        for nonce_part in range(8):
            for message in range(4):
                nonce = int.from_bytes(rng.bytes(32), "little") % L
                r = encode(nonce * BASE + TORSION[nonce_part])
                h = challenge(encode(key), bytes([message]), r)
                s = (nonce + h * secret) % L
                cases.append(Signed(encode(key), bytes([message]), r + s.to_bytes(32, "little")))
            cases.append(cases[-1]._replace(signature=r + (s + L).to_bytes(32, "little")))
    return cases


def non_canonical_cases() -> list[Signed]:
    """Encodings of y >= p for the A and the R of signatures that would hold otherwise: all y below 19 that are points."""
    cases = []
    for y in range(19):
        for sign in (0, 1):
            written = (y + P | sign << 255).to_bytes(32, "little")
            plain = (y | sign << 255).to_bytes(32, "little")
            for public in (written, plain):
                # s = 0 asks for R = −[h]A, which is computed from the A that is read.
                point = decode(public)
                if point is None:
                    cases.append(Signed(public, b"", bytes(64)))
                    continue
                for r in (written, plain, encode(point), encode(oracle.IDENTITY)):
                    cases.append(Signed(public, b"n", r + bytes(32)))
    return cases


def by_definition(case: Signed) -> bool:
    """RFC 8032 without the cofactor, in plain integers."""
    point, s = decode(case.public), int.from_bytes(case.signature[32:], "little")
    if point is None or s >= L:
        return False
    h = challenge(case.public, case.statement, case.signature)
    return encode(s * BASE - h * point) == case.signature[:32]


@pytest.mark.parametrize("make", [small_order_cases, mixed_order_cases, non_canonical_cases])
def test_special_cases_are_judged_as_cryptography_judges_them(make: Callable[[], list[Signed]]) -> None:
    """After Chalkias, Garillot, Nikolaenko, Taming the many EdDSAs, 2020: where implementations are known to differ."""
    cases = make()
    expected = [by_cryptography(case) for case in cases]
    if make is not non_canonical_cases:
        assert 20 < sum(expected) < len(cases) - 20
    some = range(0, len(cases), max(1, len(cases) // 60))
    assert [by_definition(cases[row]) for row in some] == [expected[row] for row in some]
    for path in available_paths():
        assert by_path(path, cases) == expected, path


@each_path
def test_keys_that_are_no_points_leave_their_neighbours_alone(path: str) -> None:
    cases = honest(300)
    rng = DeterministicRng("no points")
    for row in range(1, 300, 2):
        cases[row] = cases[row]._replace(public=rng.bytes(32))
    assert sum(decode(case.public) is None for case in cases) > 50
    assert by_path(path, cases) == [row % 2 == 0 for row in range(300)]


@each_engine
def test_a_wrong_signature_among_many_is_named(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    signing._accepted.clear()
    assert (lanes.curve_lanes() is None) == (engine == "portable")
    cases = honest(40, seed=1)
    signing.verify_each([])
    signing.verify_each(cases)
    signing.verify(*cases[3])
    for bad in (
        cases[17]._replace(statement=b"other"),
        cases[17]._replace(public=bytes(31)),
        cases[17]._replace(signature=b""),
    ):
        signing._accepted.clear()
        with pytest.raises(signing.BadSignatureError) as caught:
            signing.verify_each([*cases[:17], bad, *cases[18:30], bad])
        assert caught.value.row == 17
        with pytest.raises(signing.BadSignatureError):  # what was right before it is remembered; itself it is not
            signing.verify_each([*cases[:17], bad])
        with pytest.raises(ParameterError, match="does not verify"):
            signing.verify(*bad)


def test_what_is_remembered_is_bounded_and_binds_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_REMEMBERED", 8)
    signing._accepted.clear()
    cases = honest(20, seed=2)
    for first in range(0, 20, 5):
        signing.verify_each(cases[first : first + 5])
    assert 0 < len(signing._accepted) <= 8
    signing.verify(*cases[-1])
    for changed in (
        cases[-1]._replace(statement=b"?"),
        cases[-1]._replace(public=cases[0].public),
        cases[-1]._replace(signature=flipped(cases[-1].signature, 500)),
        cases[-1]._replace(signature=flipped(cases[-1].signature, 5)),
    ):
        with pytest.raises(signing.BadSignatureError):
            signing.verify(*changed)


@each_path
def test_published_exchanges(path: str) -> None:
    cases = [test for group in load_vectors("wycheproof/x25519_test.json")["testGroups"] for test in group["tests"]]
    group = NativeGroup(path)
    for case in cases:
        public = np.frombuffer(bytes.fromhex(case["public"]), dtype=np.uint8)
        found = group.agree(bytes.fromhex(case["private"]), np.stack([public] * 2))
        assert [row.tobytes().hex() for row in found] == [case["shared"]] * 2


@each_path
@pytest.mark.parametrize("count", [0, 1, 8, 9, 100, 260])
def test_exchanges_of_every_batch_size(path: str, count: int) -> None:
    rng = DeterministicRng(f"exchange {count}")
    own = prf.KeyAgreement(secret := rng.bytes(32))
    publics = np.frombuffer(rng.bytes(32 * count), dtype=np.uint8).reshape(count, 32)
    found = NativeGroup(path).agree(secret, publics)
    assert [row.tobytes() for row in found] == [own.exchange(row.tobytes()) for row in publics]


@each_path
@settings(max_examples=25, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), public=st.binary(min_size=32, max_size=32))
def test_exchanges_with_any_bytes(path: str, secret: bytes, public: bytes) -> None:
    tops = [(2**255 + offset).to_bytes(32, "little") for offset in range(-20, 2)]
    rows = [public, bytes(32), bytes([1]) + bytes(31), bytes([9]) + bytes(31), *tops]
    found = NativeGroup(path).agree(secret, np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32))
    for row, shared in zip(rows, found, strict=True):
        try:
            assert shared.tobytes() == prf.exchange(secret, row)
        except ParameterError:
            assert not shared.any()


@each_engine
def test_many_exchanges_equal_single_ones(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    rng = DeterministicRng("agreements")
    own, others = prf.KeyAgreement(rng.bytes(32)), [prf.KeyAgreement(rng.bytes(32)) for _ in range(20)]
    for count in (0, 1, 3, 4, 20):
        found = own.exchange_each([other.public for other in others[:count]])
        assert found == [other.exchange(own.public) for other in others[:count]]
    publics = [other.public for other in others]
    with pytest.raises(ParameterError, match="small order"):
        own.exchange_each([*publics, bytes(32)])
    with pytest.raises(ParameterError, match="32 bytes"):
        own.exchange_each([*publics[:5], bytes(31)])


def test_an_extension_from_older_sources_leaves_it_to_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", "auto")
    monkeypatch.setattr("protocols.primitives.native_group.has_lanes", lambda: False)
    lanes._lanes.cache_clear()
    try:
        assert lanes.curve_lanes() is None
        signing._accepted.clear()
        signing.verify_each(honest(3, seed=3))
    finally:
        lanes._lanes.cache_clear()


def test_wrong_shapes_are_refused_by_the_extension() -> None:
    from protocols.primitives import _native_group

    group = _native_group.Group(available_paths()[0])
    keys, wide = np.zeros((3, 32), dtype=np.uint8), np.zeros((3, 64), dtype=np.uint8)
    for refused in (
        lambda: group.verify(keys, wide[:2], wide),
        lambda: group.verify(keys, wide, wide[:2]),
        lambda: group.verify(wide, wide, wide),
        lambda: group.verify(keys, keys, wide),
        lambda: group.agree(keys[:2], keys),
        lambda: group.agree(keys, wide),
    ):
        with pytest.raises(ValueError, match="array"):
            refused()
