"""Lists on their way round the ring: what a hop that does not follow the protocol can do, and what shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gmpy2
import numpy as np
import pytest
from support import families
from support.deterministic import DeterministicRng
from support.families import Altered, join_params, join_roles_of, join_rows, provider_spec

from protocols.errors import MisuseError, ParameterError, PeerError
from protocols.join.messages import ListChunk, TagTable
from protocols.local import run_local
from protocols.primitives import ristretto255
from protocols.primitives.rng import OsRng
from protocols.psi.sealing import seal

ROWS = 10
C_BYTES = 128  # a ciphertext under a 512-bit key


def roles(**changes: Any) -> dict[str, Any]:
    """Three providers; list p0 goes p0 -> p1 -> p2 -> operator. p0 has a measure, one group per key in every list."""
    params = join_params(
        (
            provider_spec("p0", unique=True, carries=True, measures=(families.MEASURE,)),
            provider_spec("p1"),
            provider_spec("p2"),
        ),
        min_keys=1,
        chunk_rows=100,
        **changes,
    )
    return join_roles_of(
        params,
        {
            "p0": join_rows([(key, key % 2, (key,)) for key in range(ROWS)], 1),
            "p1": join_rows([(key, 0, ()) for key in range(ROWS)], 0),
            "p2": join_rows([(key, 0, ()) for key in range(ROWS)], 0),
        },
        seed="lists",
    )


def run_with(hop: str, change: Callable[[ListChunk], list[Any]], owner: str = "p0", recipient: str | None = None) -> Any:
    """A run in which one hop changes the rows of one list before it sends them."""

    def altered(to: str, message: Any) -> list[Any]:
        if isinstance(message, ListChunk) and message.owner == owner and recipient in (None, to):
            return change(message)
        return [message]

    parties = roles()
    parties[hop] = Altered(parties[hop], altered)
    return run_local(parties)


def put(chunk: ListChunk, field: str, data: bytes, *, row: int = 3, at: int = 0) -> ListChunk:
    array = np.array(getattr(chunk, field))
    array[row, at : at + len(data)] = np.frombuffer(data, dtype=np.uint8)
    return dataclasses.replace(chunk, **{field: array})


def chosen(chunk: ListChunk, rows: list[int]) -> ListChunk:
    return dataclasses.replace(
        chunk, points=chunk.points[rows], tags=chunk.tags[rows], ciphertexts=chunk.ciphertexts[rows], total=len(rows)
    )


def cells(outputs: dict[str, Any]) -> list[tuple[Any, ...]]:
    return sorted((cell.labels, cell.keys, cell.rows, cell.moments[0][0].total) for cell in outputs["gate"].cells)


def test_an_unchanged_run_gives_the_plain_result() -> None:
    for hop in ("p0", "p1", "p2"):
        outputs = run_with(hop, lambda chunk: [chunk])
        assert cells(outputs) == [((b"0", b"0", b"0"), 5, 5, 20), ((b"1", b"0", b"0"), 5, 5, 25)]


# RFC 9496, appendix A.2: encodings that are not canonical, negative, or not squares.
BAD_POINTS = {
    "identity": bytes(32),
    "not canonical": bytes.fromhex("00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
    "field element not reduced": bytes.fromhex("f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "negative": bytes.fromhex("0100000000000000000000000000000000000000000000000000000000000000"),
    "off the group": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
}


@pytest.mark.parametrize("why", sorted(BAD_POINTS))
@pytest.mark.parametrize("field", ["points", "tags"])
@pytest.mark.parametrize("half", [0, 32])
@pytest.mark.parametrize("hop", ["p0", "p1", "p2"])
def test_a_point_that_is_none_is_refused_by_whoever_gets_it(why: str, field: str, half: int, hop: str) -> None:
    with pytest.raises(PeerError) as caught:
        run_with(hop, lambda chunk: [put(chunk, field, BAD_POINTS[why], at=half)])
    assert caught.value.culprit == hop


@pytest.mark.parametrize("field", ["points", "tags"])
def test_a_sealed_identity_is_refused_when_it_is_opened(field: str) -> None:
    parties = roles()
    public = parties["operator"]._seal_key
    scalar = ristretto255.random_scalars(OsRng(), 1)
    sealed = ristretto255.multiply_base(scalar).tobytes() + ristretto255.multiply_each(scalar, public).tobytes()
    parties["p2"] = Altered(
        parties["p2"],
        lambda to, message: [put(message, field, sealed) if isinstance(message, ListChunk) and to == "operator" else message],
    )
    with pytest.raises(PeerError) as caught:
        run_local(parties)
    assert caught.value.culprit == "p2"


@pytest.mark.parametrize("width", [31, 32, 33, 63, 65])
@pytest.mark.parametrize("field", ["points", "tags"])
def test_points_of_another_width_make_no_message(width: int, field: str) -> None:
    good = {"points": 64, "tags": 64, "ciphertexts": 1} | {field: width}
    with pytest.raises(ParameterError, match="bytes wide"):
        ListChunk(owner="p0", first=0, total=2, **{name: np.zeros((2, size), dtype=np.uint8) for name, size in good.items()})


def bad_ciphertexts() -> dict[str, int]:
    n = gmpy2.mpz(families.insecure_key().public_key.n)
    p = families.insecure_key().primes[0]
    odd = next(number for number in range(2, 1000) if gmpy2.jacobi(number, n) == -1)
    return {
        "0": 0,
        "n²": int(n * n),
        "beyond n²": int(n * n) + 1,
        "all ones": (1 << 8 * C_BYTES) - 1,
        "n": int(n),
        "multiple of a prime": int(p) * 12345,
        "Jacobi −1": int(gmpy2.powmod(odd, n, n * n)),
    }


@pytest.mark.parametrize("why", sorted(bad_ciphertexts()))
@pytest.mark.parametrize("hop", ["p0", "p1", "p2"])
def test_a_number_that_is_no_ciphertext_is_refused_by_whoever_gets_it(why: str, hop: str) -> None:
    data = bad_ciphertexts()[why].to_bytes(C_BYTES, "little")
    with pytest.raises(PeerError, match="not a ciphertext of this key") as caught:
        run_with(hop, lambda chunk: [put(chunk, "ciphertexts", data)])
    assert caught.value.culprit == hop


def test_another_keys_ciphertext_spoils_its_cell_and_the_gate_refuses_it() -> None:
    """It may be in range and of the right symbol, so that no hop sees it; its plaintext is garbage that fits no slot."""
    key, other = families.insecure_key().public_key, families.insecure_key("another").public_key
    rng = DeterministicRng("strays")
    strays = (bytes(row) for _ in range(50) for row in other.encrypt([1], bound=1, rng=rng).to_wire())
    stray = next(
        row
        for row in strays
        if (number := int.from_bytes(row, "little")) < key.n**2 and gmpy2.jacobi(number % key.n, key.n) == 1
    )
    with pytest.raises(PeerError, match="more than its slots") as caught:
        run_with("p2", lambda chunk: [put(chunk, "ciphertexts", stray)])
    assert caught.value.culprit == "operator"  # whose frame it was that did not decrypt


@pytest.mark.parametrize("width", [1, C_BYTES, 3 * C_BYTES - 1, 4 * C_BYTES])
def test_ciphertexts_of_another_width_are_refused(width: int) -> None:
    def change(chunk: ListChunk) -> list[Any]:
        assert chunk.ciphertexts.shape[1] == 3 * C_BYTES
        return [dataclasses.replace(chunk, ciphertexts=np.ones((ROWS, width), dtype=np.uint8))]

    with pytest.raises(PeerError, match="wrong width") as caught:
        run_with("p2", change)
    assert caught.value.culprit == "p2"


# Rows duplicated, dropped, swapped.


@pytest.mark.parametrize("hop", ["p1", "p2"])
def test_a_list_shorter_or_longer_than_announced_is_refused(hop: str) -> None:
    for rows in (list(range(ROWS - 1)), [*range(ROWS), 0], []):
        with pytest.raises(PeerError, match="announced") as caught:
            run_with(hop, lambda chunk, rows=rows: [chosen(chunk, rows)])
        assert caught.value.culprit == hop


def test_a_row_duplicated_over_another_is_refused_where_key_and_group_repeat() -> None:
    with pytest.raises(PeerError, match="1 rows repeat a key and group") as caught:
        run_with("p2", lambda chunk: [chosen(chunk, [0, 0, *range(2, ROWS)])])
    assert caught.value.culprit == "p2"


def test_a_row_replaced_by_filler_goes_unseen_and_the_key_is_missing() -> None:
    """Nothing proves that a hop passes on what it got: stated in the README, shown by a replay of its frames."""

    def change(chunk: ListChunk) -> list[Any]:
        scalars = ristretto255.random_scalars(OsRng(), 2)
        return [put(chunk, "points", ristretto255.multiply_base(scalars).tobytes())]

    outputs = run_with("p2", change)
    assert outputs["operator"].common_keys == ROWS - 1
    assert sum(keys for _, keys, _, _ in cells(outputs)) == ROWS - 1


def test_values_swapped_between_rows_go_unseen_and_the_total_stays() -> None:
    """Ciphertexts are not bound to their rows: a hop can move values between keys, not read or invent what it moves."""

    def change(chunk: ListChunk) -> list[Any]:
        return [dataclasses.replace(chunk, ciphertexts=np.roll(chunk.ciphertexts, 1, axis=0))]

    honest, moved = cells(run_with("p2", lambda chunk: [chunk])), cells(run_with("p2", change))
    assert [cell[:3] for cell in moved] == [cell[:3] for cell in honest]
    assert sum(cell[3] for cell in moved) == sum(cell[3] for cell in honest) == sum(range(ROWS))
    assert moved != honest


# Order and origin of chunks.


def test_the_same_list_twice_is_refused() -> None:
    with pytest.raises((PeerError, MisuseError), match=r"again|done and takes no message"):
        run_with("p2", lambda chunk: [chunk, chunk])
    with pytest.raises(PeerError, match="sent list p0 again") as caught:
        run_with("p0", lambda chunk: [chunk, chunk])
    assert caught.value.culprit == "p0"


def test_a_chunk_left_out_repeated_or_out_of_order_is_refused() -> None:
    def pieces(chunk: ListChunk) -> list[ListChunk]:
        parts = [chosen(chunk, list(range(first, first + 5))) for first in (0, 5)]
        return [dataclasses.replace(part, first=first, total=ROWS) for part, first in zip(parts, (0, 5), strict=True)]

    empty = {name: np.zeros((0, size), dtype=np.uint8) for name, size in (("points", 64), ("tags", 64))}
    for change, match in (
        (lambda chunk: pieces(chunk)[1:], "do not continue"),
        (lambda chunk: pieces(chunk)[::-1], "do not continue"),
        (lambda chunk: [pieces(chunk)[0]] * 2, "do not continue"),
        (lambda chunk: [dataclasses.replace(chunk, **empty, ciphertexts=chunk.ciphertexts[:0]), chunk], "empty chunk"),
    ):
        with pytest.raises(PeerError, match=match) as caught:
            run_with("p2", change)
        assert caught.value.culprit == "p2"
    assert cells(run_with("p2", pieces)) == cells(run_with("p2", lambda chunk: [chunk]))


@pytest.mark.parametrize("owner", ["p1", "p2", "nobody", ""])
def test_a_list_under_another_name_is_refused(owner: str) -> None:
    with pytest.raises((PeerError, MisuseError)):
        run_with("p2", lambda chunk: [dataclasses.replace(chunk, owner=owner)], recipient="operator")


def test_a_chunk_beyond_its_list_makes_no_message() -> None:
    def chunk(first: int, total: int) -> ListChunk:
        sizes = {"points": 64, "tags": 64, "ciphertexts": 1}
        return ListChunk(
            owner="p0", first=first, total=total, **{name: np.zeros((2, size), dtype=np.uint8) for name, size in sizes.items()}
        )

    for first, total in ((0, 1), (-1, 5), (4, 5), (0, -1)):
        with pytest.raises(ParameterError, match="does not fit"):
            chunk(first, total)


# Tags.


def test_an_unknown_tag_is_refused() -> None:
    parties = roles()
    point = ristretto255.hash_to_group([b"a tag of its own"], b"test")
    sealed = seal(point, parties["operator"]._seal_key, OsRng()).tobytes()
    parties["p2"] = Altered(
        parties["p2"],
        lambda to, message: [put(message, "tags", sealed) if isinstance(message, ListChunk) and to == "operator" else message],
    )
    with pytest.raises(PeerError, match=r"1 rows of list p. with unknown tags") as caught:
        run_local(parties)
    assert caught.value.culprit == "p2"


@pytest.mark.parametrize(
    ("provider", "multiplicity", "match"),
    [("p1", 0, "out of range"), ("p1", 2**20 + 1, "out of range"), ("p1", 2**32 - 1, "out of range"), ("p0", 2, "not open")],
)
def test_a_multiplicity_out_of_range_or_not_opened_is_refused(provider: str, multiplicity: int, match: str) -> None:
    def change(_: str, message: Any) -> list[Any]:
        if isinstance(message, TagTable):
            return [dataclasses.replace(message, multiplicities=np.full(len(message.points), multiplicity, dtype=np.uint32))]
        return [message]

    parties = roles()
    parties[provider] = Altered(parties[provider], change)
    with pytest.raises(PeerError, match=match) as caught:
        run_local(parties)
    assert caught.value.culprit == provider


def test_weights_beyond_the_limit_are_refused_with_a_count() -> None:
    def change(_: str, message: Any) -> list[Any]:
        if isinstance(message, TagTable):
            return [dataclasses.replace(message, multiplicities=np.full(len(message.points), 2**20, dtype=np.uint32))]
        return [message]

    parties = roles()
    for name in ("p1", "p2"):
        parties[name] = Altered(parties[name], change)
    with pytest.raises(ParameterError, match=f"{ROWS} joined rows stand for more than {2**31}"):
        run_local(parties)


def test_a_table_that_repeats_a_tag_or_comes_twice_is_refused() -> None:
    def repeated(_: str, message: Any) -> list[Any]:
        if isinstance(message, TagTable):
            twice = [0, *range(len(message.points))]
            return [
                TagTable(
                    points=message.points[twice], groups=message.groups[twice], multiplicities=message.multiplicities[twice]
                )
            ]
        return [message]

    for change, match in ((repeated, "repeat one"), (lambda _, m: [m, m] if isinstance(m, TagTable) else [m], "again")):
        parties = roles()
        parties["p0"] = Altered(parties["p0"], change)
        with pytest.raises(PeerError, match=match) as caught:
            run_local(parties)
        assert caught.value.culprit == "p0"
