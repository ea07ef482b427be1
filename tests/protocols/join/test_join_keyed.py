"""Keyed matching: the tokens, who gets the shared key, and what each role refuses. Results are compared in test_join_random."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from support import families
from support.deterministic import DeterministicRng

from protocols import join
from protocols.errors import ParameterError, PeerError
from protocols.join.keyed import made_tokens
from protocols.join.messages import KeyedChunk, ListChunk, ProviderHello, SharedKey, TagTable
from protocols.local import run_local
from protocols.message import Message
from protocols.primitives.prf import length_prefixed
from protocols.psi.keys import encode_keys

SPECS = (
    families.provider_spec("left", carries=True, opens_multiplicity=False, measures=(families.MEASURE,)),
    families.provider_spec("middle"),
    families.provider_spec("right"),
)


def params(**changes: Any) -> join.JoinParams:
    return families.join_params(SPECS, **({"matching": "keyed"} | changes))


def rows(keys: Iterable[int], measures: int) -> join.ProviderRows:
    return families.join_rows([(key, key % 2, (key,) * measures) for key in keys], measures)


def roles(seed: str = "keyed") -> dict[str, Any]:
    tables = {"left": rows(range(12), 1), "middle": rows(range(2, 20), 0), "right": rows(range(4, 14), 0)}
    return families.join_roles_of(params(), tables, seed=seed)


def recorded(found: list[tuple[str, str, Message]]) -> dict[str, Any]:
    def keep(name: str) -> Callable[[str, Message], Iterable[Message]]:
        def change(recipient: str, message: Message) -> Iterable[Message]:
            found.append((name, recipient, message))
            return [message]

        return change

    return {name: families.Altered(role, keep(name)) for name, role in roles().items()}


def test_tokens_are_hmac_of_the_domain_and_the_key() -> None:
    keys = encode_keys([np.arange(10)], families.DOMAIN).keys
    tokens = np.empty((10, 32), dtype=np.uint8)
    made_tokens(keys, b"domain", b"k" * 32, tokens)
    expected = [hmac.digest(b"k" * 32, length_prefixed(b"domain") + key, hashlib.sha256) for key in keys]
    assert [row.tobytes() for row in tokens] == expected


def test_lists_go_to_the_operator_alone_in_the_order_of_tokens() -> None:
    found: list[tuple[str, str, Message]] = []
    run_local(recorded(found))
    chunks = [(sender, recipient, message) for sender, recipient, message in found if isinstance(message, KeyedChunk)]
    assert {recipient for _, recipient, _ in chunks} == {"operator"}
    for name in ("left", "middle", "right"):
        tokens = [row.tobytes() for sender, _, message in chunks if sender == name for row in message.tokens]
        assert tokens == sorted(tokens)
        assert len(tokens) >= 10


def test_operator_and_gate_never_get_the_shared_key_and_each_provider_gets_it_once() -> None:
    found: list[tuple[str, str, Message]] = []
    run_local(recorded(found))
    dealt = [(sender, recipient) for sender, recipient, message in found if isinstance(message, SharedKey)]
    assert dealt == [("left", "middle"), ("left", "right")]


def test_two_sessions_have_no_token_in_common() -> None:
    seen: list[set[bytes]] = []
    for seed in ("first", "second"):
        tokens: set[bytes] = set()

        def keep(_: str, message: Message, tokens: set[bytes] = tokens) -> Iterable[Message]:
            if isinstance(message, KeyedChunk):
                tokens.update(row.tobytes() for row in message.tokens)
            return [message]

        run_local({name: families.Altered(role, keep) for name, role in roles(seed=seed).items()})
        seen.append(tokens)
    assert all(seen)
    assert not seen[0] & seen[1]


def altered(name: str, change: Callable[[Message], Iterable[Message]]) -> dict[str, Any]:
    found = roles()
    found[name] = families.Altered(found[name], lambda _, message: change(message))
    return found


def only(kind: type[Message], change: Callable[[Any], Iterable[Message]]) -> Callable[[Message], Iterable[Message]]:
    return lambda message: change(message) if isinstance(message, kind) else [message]


@pytest.mark.parametrize(
    ("culprit", "change", "told"),
    [
        ("left", only(SharedKey, lambda m: [dataclasses.replace(m, box=m.box[:-1] + bytes([m.box[-1] ^ 1]))]), "open"),
        ("middle", only(ProviderHello, lambda m: [dataclasses.replace(m, box_key=bytes(32))]), "key"),
        ("middle", only(ProviderHello, lambda m: [dataclasses.replace(m, box_key=b"")]), "key"),
        (
            "middle",
            only(
                TagTable,
                lambda m: [
                    dataclasses.replace(m, groups=m.groups[:1], points=m.points[:1], multiplicities=m.multiplicities[:1])
                ],
            ),
            "unknown tags",
        ),
        ("middle", only(KeyedChunk, lambda m: [dataclasses.replace(m, owner="right")]), "from their owner alone"),
        (
            "middle",
            only(
                KeyedChunk,
                lambda m: [
                    dataclasses.replace(
                        m, tokens=np.repeat(m.tokens[:1], len(m.tokens), 0), places=np.repeat(m.places[:1], len(m.tokens), 0)
                    )
                ],
            ),
            "repeat",
        ),
        ("middle", only(KeyedChunk, lambda m: [m, m]), "continue"),
    ],
)
def test_what_a_provider_does_wrong_names_it(culprit: str, change: Callable[[Message], Iterable[Message]], told: str) -> None:
    with pytest.raises(PeerError, match=told) as caught:
        run_local(altered(culprit, change))
    assert caught.value.culprit == culprit


def test_a_key_from_anyone_but_the_first_provider_is_refused() -> None:
    role = roles()["right"]
    role.start()
    with pytest.raises(PeerError, match="not the provider that deals it"):
        role.receive("middle", SharedKey(box=b"box"))


def test_each_way_of_matching_refuses_the_others_messages_and_parameters() -> None:
    blinded = families.join_params(SPECS)
    with pytest.raises(ParameterError, match="use KeyedProvider"):
        join.JoinProvider("left", params(), rows(range(12), 1))
    with pytest.raises(ParameterError, match="use JoinProvider"):
        join.KeyedProvider("left", blinded, rows(range(12), 1))
    operator = join.JoinOperator("operator", params(), allow_insecure_key=True)
    operator.start()
    wide = np.zeros((1, 64), dtype=np.uint8)
    with pytest.raises(PeerError, match="matched keyed"):
        operator.receive("left", ListChunk(owner="left", first=0, total=1, points=wide, tags=wide, ciphertexts=wide))


def test_the_disclosure_says_that_one_colluding_provider_opens_all_keys() -> None:
    found = join.disclosure(params())
    assert found.protocol == "keyed-join/1"
    assert any(item.fact == "key" and item.visibility == "under_collusion" for item in found.learned)
    assert not any(item.fact == "key" for item in join.disclosure(families.join_params(SPECS)).learned)


def test_no_secret_shows() -> None:
    provider = join.KeyedProvider("left", params(), rows(range(12), 1), rng=DeterministicRng("s"), allow_insecure_key=True)
    assert repr(provider) == "<KeyedProvider left: new>"
