"""What the gate refuses from operator and providers, and what it never learns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import families
from support.families import Altered, join_params, join_roles_of, join_rows, provider_spec

from protocols.errors import MisuseError, PeerError
from protocols.join.messages import Cells, CellSums, SealedLabels
from protocols.local import run_local
from protocols.primitives import prf
from protocols.primitives.rng import OsRng

C_BYTES = 128


def roles(**changes: Any) -> dict[str, Any]:
    """Groups 0 and 1 have five keys each, group 2 one key: below the threshold of 2."""
    params = join_params(
        (
            provider_spec("left", unique=True, carries=True, measures=(families.MEASURE,)),
            provider_spec("right", unique=True),
        ),
        **changes,
    )
    raw = [(key, key % 2, (key,)) for key in range(10)] + [(10, 2, (99,))]
    return join_roles_of(
        params, {"left": join_rows(raw, 1), "right": join_rows([(key, 0, ()) for key in range(11)], 0)}, seed="gate"
    )


def run_with(name: str, kind: type[Any], change: Callable[[Any], list[Any]]) -> Any:
    parties = roles()
    parties[name] = Altered(parties[name], lambda _, message: change(message) if isinstance(message, kind) else [message])
    return run_local(parties)


def refused(name: str, kind: type[Any], change: Callable[[Any], list[Any]], match: str, culprit: str | None = None) -> None:
    with pytest.raises(PeerError, match=match) as caught:
        run_with(name, kind, change)
    assert caught.value.culprit == (culprit or name)


def test_small_cells_come_as_labels_without_any_count() -> None:
    result = run_local(roles())["gate"]
    assert sorted((cell.labels, cell.keys, cell.moments[0][0].total) for cell in result.cells) == [
        ((b"0", b"0"), 5, 20),
        ((b"1", b"0"), 5, 25),
    ]
    assert result.below == ((b"2", b"0"),)


def test_no_ciphertext_of_a_small_cell_is_sent() -> None:
    seen: list[Any] = []

    def change(_: str, message: Any) -> list[Any]:
        seen.append(message)
        return [message]

    parties = roles()
    parties["operator"] = Altered(parties["operator"], change)
    run_local(parties)
    (cells,) = (message for message in seen if isinstance(message, Cells))
    (sums,) = (message for message in seen if isinstance(message, CellSums))
    assert sorted(cells.keys.tolist()) == [0, 5, 5]
    assert sums.ciphertexts.shape == (2, C_BYTES)


def replaced(**changes: Any) -> Callable[[Any], list[Any]]:
    return lambda message: [dataclasses.replace(message, **{name: make(message) for name, make in changes.items()})]


def test_a_cell_below_the_threshold_with_a_count_is_refused() -> None:
    refused("operator", Cells, replaced(keys=lambda m: np.where(m.keys == 0, 1, m.keys).astype(np.uint64)), "fewer than 2 keys")


def test_sums_of_more_cells_than_reach_the_threshold_are_refused() -> None:
    refused("operator", CellSums, replaced(ciphertexts=lambda m: m.ciphertexts[[0, 1, 1]]), "do not match its cells")
    refused("operator", CellSums, replaced(ciphertexts=lambda m: m.ciphertexts[:1]), "do not match its cells")
    refused("operator", CellSums, replaced(ciphertexts=lambda m: m.ciphertexts[:, :-1]), "do not match its cells")


def test_a_cell_twice_is_refused() -> None:
    change = replaced(groups=lambda m: m.groups[[0, 0, 1, 2]], keys=lambda m: m.keys[[0, 0, 1, 2]])
    refused("operator", Cells, change, "one cell twice")


def test_cells_of_another_number_of_providers_or_an_unknown_group_are_refused() -> None:
    refused("operator", Cells, replaced(groups=lambda m: np.hstack((m.groups, m.groups))), "another number of providers")
    refused("operator", Cells, replaced(groups=lambda m: np.ascontiguousarray(m.groups[:, :7])), "another number of providers")
    beyond = replaced(groups=lambda m: np.vstack((np.full((1, 8), 255, dtype=np.uint8), m.groups[1:])))
    refused("operator", Cells, beyond, "unknown group")


@pytest.mark.parametrize("power", [None, 1, 2], ids=["0", "n", "n²"])
def test_sums_that_are_no_ciphertexts_are_refused(power: int | None) -> None:
    number = 0 if power is None else families.insecure_key().public_key.n ** power
    row = np.frombuffer(number.to_bytes(C_BYTES, "little"), dtype=np.uint8)
    refused("operator", CellSums, replaced(ciphertexts=lambda m: np.vstack((row, m.ciphertexts[1:]))), "not a ciphertext")


def test_cells_sums_and_labels_twice_or_from_the_wrong_party_are_refused() -> None:
    refused("operator", Cells, lambda message: [message, message], "again")
    with pytest.raises(MisuseError, match="gate is done and takes no message"):
        run_with("operator", CellSums, lambda message: [message, message])
    refused("operator", CellSums, replaced(provider=lambda _: "right"), "none")
    refused("operator", CellSums, replaced(provider=lambda _: "stranger"), "none")
    refused("left", SealedLabels, lambda message: [message, message], "again")
    sums = CellSums(provider="left", ciphertexts=np.ones((2, C_BYTES), dtype=np.uint8))
    refused("left", SealedLabels, lambda _: [sums], "not the operator")
    cells = Cells(groups=np.zeros((0, 8), dtype=np.uint8), keys=np.zeros(0, dtype=np.uint64))
    refused("right", SealedLabels, lambda _: [cells], "not the operator")
    refused("operator", Cells, lambda _: [SealedLabels(box=b"")], "is no provider")


def test_sums_left_out_leave_the_gate_waiting_without_a_result() -> None:
    with pytest.raises(MisuseError, match=r"still waiting: gate \(collect\)"):
        run_with("operator", CellSums, lambda _: [])


def run_with_labels(plain: bytes, context: bytes | None = None) -> Any:
    """A run in which `left` seals other bytes to the gate."""
    parties = roles()
    gate = parties["gate"]
    fitting = b"public-data-sandbox/join/1/labels" + gate._params.digest() + b"left"
    box = prf.seal(gate._box_key, plain, fitting if context is None else context, OsRng())
    parties["left"] = Altered(
        parties["left"], lambda _, message: [SealedLabels(box=box)] if isinstance(message, SealedLabels) else [message]
    )
    return run_local(parties)


GOOD_BOOK = (
    b'{"labels":["MA==","MQ==","Mg=="],"merged_keys":0,"merged_rows":0,"merged":[],'
    b'"removed_keys":0,"removed_rows":0,"vanished":[]}'
)


def test_labels_made_by_hand_open() -> None:
    assert len(run_with_labels(GOOD_BOOK)["gate"].cells) == 2


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"null",
        b"{}",
        GOOD_BOOK.replace(b"MA==", b"M"),
        GOOD_BOOK.replace(b'"merged_keys":0,"merged_rows":0,"merged":[],"removed_keys":0', b'"removed_keys":"0"'),
        GOOD_BOOK.replace(b"}", b',"more":1}'),
        GOOD_BOOK[:-1] + b"\xff",
        b"[" * 200_000,
        GOOD_BOOK.replace(b'"MA=="', b"[" * 100_000),
    ],
)
def test_labels_that_cannot_be_read_are_refused(plain: bytes) -> None:
    with pytest.raises(PeerError, match="cannot be read") as caught:
        run_with_labels(plain)
    assert caught.value.culprit == "left"


def test_labels_of_another_run_or_provider_do_not_open() -> None:
    for context in (b"", b"public-data-sandbox/join/1/labels" + bytes(32) + b"left"):
        with pytest.raises(PeerError, match="does not open") as caught:
            run_with_labels(GOOD_BOOK, context)
        assert caught.value.culprit == "left"
    refused("left", SealedLabels, lambda _: [SealedLabels(box=bytes(10))], "at least")


def test_a_book_with_fewer_labels_than_groups_is_refused() -> None:
    with pytest.raises(PeerError, match="unknown group"):
        run_with_labels(GOOD_BOOK.replace(b'"MA==","MQ==","Mg=="', b'"MA=="'))
