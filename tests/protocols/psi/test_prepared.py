"""Lookups in a prepared list against numpy, through real frames, and what each role refuses."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng
from support.families import Altered

from protocols import psi
from protocols.errors import ParameterError, PeerError
from protocols.local import run_local
from protocols.message import Message
from protocols.psi import oprf
from protocols.psi.messages import ListOffer, RaisedPoints, Tokens

DOMAIN = psi.KeyDomain(name="people", types=("integer",))


def keys(values: Iterable[int | None]) -> psi.EncodedKeys:
    return psi.encode_keys([list(values)], DOMAIN)


def prepared(values: Iterable[int | None], seed: str = "list") -> psi.PreparedList:
    return psi.PreparedList(keys(values), DOMAIN, rng=DeterministicRng(seed))


def client(values: Iterable[int | None], domain: psi.KeyDomain = DOMAIN, **options: object) -> psi.LookupClient:
    return psi.LookupClient("client", "server", domain, keys(values), rng=DeterministicRng("client"), **options)


def server(ready: psi.PreparedList, max_rows: int = 100, **options: object) -> psi.LookupServer:
    return psi.LookupServer("server", "client", ready, max_rows=max_rows, **options)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-9, 9), max_size=20), st.lists(st.integers(-9, 9), max_size=40), st.integers(1, 7))
def test_as_numpy(elements: list[int], others: list[int], chunk_rows: int) -> None:
    roles = {
        "client": client(elements, chunk_rows=chunk_rows),
        "server": server(prepared(others), chunk_rows=chunk_rows),
    }
    outputs = run_local(roles)
    expected = np.flatnonzero(np.isin(elements, others))
    assert outputs["client"].tolist() == expected.tolist()
    assert outputs["server"] == len(set(elements))
    assert psi.isin(elements, others).tolist() == np.isin(elements, others).tolist()


def test_null_is_in_no_list() -> None:
    assert psi.isin([1, None, 2], [None, 2]).tolist() == [False, False, True]


def test_one_list_answers_many_clients_of_a_session() -> None:
    ready = prepared(range(10, 30))
    for values in ([10, 5], [29], range(40)):
        found = run_local({"client": client(values), "server": server(ready)})["client"]
        assert found.tolist() == [row for row, value in enumerate(values) if 10 <= value < 30]


def test_two_sessions_have_no_token_in_common() -> None:
    first, second = prepared(range(50), "one"), prepared(range(50), "two")
    assert not {row.tobytes() for row in first.tokens} & {row.tobytes() for row in second.tokens}


def test_tokens_are_the_functions_values_in_ascending_order() -> None:
    ready = prepared([7, 3, 3, 5])
    values = oprf.evaluate_directly(ready.key, oprf.domain_inputs(b"people", keys([3, 5, 7]).keys))
    assert sorted(value[:16].tobytes() for value in values) == [row.tobytes() for row in ready.tokens]


def test_a_prepared_list_shows_and_keeps_no_secret() -> None:
    ready = prepared([4417])
    assert "4417" not in repr(ready)
    assert ready.key.scalar.hex() not in repr(vars(ready))
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(ready)


def test_more_keys_than_allowed_are_refused_before_a_token_leaves() -> None:
    with pytest.raises(PeerError, match="3 inputs where at most 2"):
        run_local({"client": client([1, 2, 3]), "server": server(prepared([1]), max_rows=2)})


def test_other_terms_are_refused() -> None:
    other = dataclasses.replace(DOMAIN, name="patients")
    with pytest.raises(PeerError, match="other terms"):
        run_local({"client": client([1], other), "server": server(prepared([1]))})
    with pytest.raises(PeerError, match="other terms"):
        run_local({"client": client([1], context=b"monday"), "server": server(prepared([1]), context=b"tuesday")})


def test_a_longer_list_than_agreed_is_refused() -> None:
    with pytest.raises(PeerError, match="offers 5 keys where at most 4"):
        run_local({"client": client([1], max_server_rows=4), "server": server(prepared(range(5)))})


def _tokens(change: Callable[[Tokens], Iterable[Message]]) -> Callable[[str, Message], Iterable[Message]]:
    return lambda _, message: change(message) if isinstance(message, Tokens) else [message]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: [dataclasses.replace(m, tokens=m.tokens[::-1])], "not ascending"),
        (lambda m: [dataclasses.replace(m, tokens=np.repeat(m.tokens[:1], len(m.tokens), axis=0))], "not ascending"),
        (lambda m: [m, m], "after"),
        (lambda m: [dataclasses.replace(m, first_row=m.first_row + 1)], "after"),
        (lambda m: [dataclasses.replace(m, tokens=np.concatenate([m.tokens, m.tokens]))], "after"),
        (lambda m: [dataclasses.replace(m, tokens=m.tokens[:0])], "sent 0 tokens"),
    ],
)
def test_a_list_that_is_not_as_offered_names_the_server(change: Callable[[Tokens], Iterable[Message]], told: str) -> None:
    roles = {"client": client([1, 2]), "server": Altered(server(prepared(range(6))), _tokens(change))}
    with pytest.raises(PeerError, match=told) as caught:
        run_local(roles)
    assert caught.value.culprit == "server"


def test_points_of_no_order_name_the_server() -> None:
    def zeros(_: str, message: Message) -> Iterable[Message]:
        if isinstance(message, RaisedPoints):
            return [dataclasses.replace(message, points=np.zeros_like(message.points))]
        return [message]

    with pytest.raises(PeerError) as caught:
        run_local({"client": client([1, 2]), "server": Altered(server(prepared([1])), zeros)})
    assert caught.value.culprit == "server"


def test_strangers_are_refused() -> None:
    role = client([1])
    role.start()
    with pytest.raises(PeerError, match="is not the server"):
        role.receive("mallory", ListOffer(parameters=bytes(32), rows=1))
    role = server(prepared([1]))
    role.start()
    with pytest.raises(PeerError, match="is not the client"):
        role.receive("mallory", ListOffer(parameters=bytes(32), rows=1))


def test_lists_of_two_types_are_refused() -> None:
    with pytest.raises(ParameterError, match="nothing is cast"):
        psi.isin([1], ["1"])
