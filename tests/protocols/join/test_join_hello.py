"""The first round: everyone must run with the same parameters, and whoever does not is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from support import families
from support.families import join_params, join_roles_of, join_rows, provider_spec

from protocols import join
from protocols.errors import MisuseError, ParameterError, PeerError
from protocols.join.messages import GateHello, ListChunk, OperatorHello, ProviderHello
from protocols.join.params import MAX_LIST_ROWS
from protocols.local import run_local
from protocols.primitives import ristretto255
from protocols.primitives.rng import OsRng
from protocols.psi.keys import KeyDomain

SPECS = (
    provider_spec("left", carries=True, opens_multiplicity=False, measures=(families.MEASURE,)),
    provider_spec("right"),
)
RAW_LEFT: list[Any] = [(key, key % 2, (key,)) for key in range(12)]
RAW_RIGHT: list[Any] = [(key, key % 2, ()) for key in range(4, 14)]


def roles(params: join.JoinParams | None = None) -> dict[str, Any]:
    rows = {"left": join_rows(RAW_LEFT, 1), "right": join_rows(RAW_RIGHT, 0)}
    return join_roles_of(params or join_params(SPECS), rows)


def left_spec(**changes: Any) -> tuple[join.ProviderSpec, ...]:
    fields: dict[str, Any] = {"carries": True, "opens_multiplicity": False, "measures": (families.MEASURE,)}
    return (provider_spec("left", **(fields | changes)), SPECS[1])


def measure(**changes: Any) -> tuple[join.MeasureSpec, ...]:
    fields: dict[str, Any] = {"bound": 100, "sums": True, "squares": True, "signed": False, "dominance": True}
    return (join.MeasureSpec(**(fields | changes)),)


def with_product(**changes: Any) -> join.JoinParams:
    columns = {"measures": (families.MEASURE,) * 2}
    specs = (provider_spec("left", carries=True, **columns), provider_spec("right", **columns))
    fields: dict[str, Any] = {"left": (0, 0), "right": (1, 0), "nulls": True, "dominance": True}
    return join_params(specs, products=(join.ProductSpec(**(fields | changes)),))


OTHER_PARAMS: dict[str, join.JoinParams] = {
    "plan": join_params(SPECS, plan="sha256:other"),
    "key_domain.name": join_params(SPECS, key_domain=KeyDomain(name="household", types=("integer",))),
    "key_domain.types": join_params(SPECS, key_domain=KeyDomain(name="person", types=("text",))),
    "key_domain.trim": join_params(SPECS, key_domain=KeyDomain(name="person", types=("integer",), trim=True)),
    "key_domain.case": join_params(SPECS, key_domain=KeyDomain(name="person", types=("integer",), case="fold")),
    "key_domain.unicode": join_params(SPECS, key_domain=KeyDomain(name="person", types=("integer",), unicode="NFKC")),
    "providers": join_params((*SPECS, provider_spec("third"))),
    "providers, order": join_params(SPECS[::-1]),
    "provider.name": join_params((SPECS[0], provider_spec("right2"))),
    "provider.unique": join_params((SPECS[0], provider_spec("right", unique=True))),
    "provider.carries": join_params(
        (provider_spec("left", measures=(families.MEASURE,)), provider_spec("right", carries=True))
    ),
    "provider.opens_multiplicity": join_params(left_spec(opens_multiplicity=True)),
    "provider.padded_rows": join_params(left_spec(padded_rows=100)),
    "provider.other": join_params(left_spec(other=b"other")),
    "measures": join_params(left_spec(measures=())),
    "measure.bound": join_params(left_spec(measures=measure(bound=101))),
    "measure.sums": join_params(left_spec(measures=measure(sums=False))),
    "measure.squares": join_params(left_spec(measures=measure(squares=False))),
    "measure.signed": join_params(left_spec(measures=measure(signed=True))),
    "measure.dominance": join_params(left_spec(measures=measure(dominance=False))),
    "operator": join_params(SPECS, operator="operator2"),
    "gate": join_params(SPECS, gate="gate2"),
    "gate_key": join_params(SPECS, gate_key="00" * 32),
    "key_bits": join_params(SPECS, key_bits=1024),
    "noise": join_params(SPECS, noise="subgroup"),
    "min_keys": join_params(SPECS, min_keys=3),
    "min_pattern": join_params(SPECS, min_pattern=2),
    "min_list": join_params(SPECS, min_list=2),
    "chunk_rows": join_params(SPECS, chunk_rows=6),
    "matching": join_params(SPECS, matching="keyed"),
    "products": with_product(),
    "product.left": with_product(left=(0, 1)),
    "product.right": with_product(right=(1, 1)),
    "product.nulls": with_product(nulls=False, dominance=False),
    "product.dominance": with_product(dominance=False),
}


def test_every_field_of_the_parameters_is_in_the_digest() -> None:
    named = {name.split(",")[0] for name in OTHER_PARAMS}
    kinds = (
        (join.JoinParams, ""),
        (join.ProviderSpec, "provider."),
        (join.MeasureSpec, "measure."),
        (join.ProductSpec, "product."),
    )
    for kind, prefix in kinds:
        for field in kind.__struct_fields__:
            known = {f"{prefix}{field}", field} & named or any(name.startswith(f"{field}.") for name in named)
            assert known, f"{prefix}{field} has no case"
    digests = [params.digest() for params in (join_params(SPECS), *OTHER_PARAMS.values())]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("changed", sorted(OTHER_PARAMS))
@pytest.mark.parametrize("receiver", ["left", "operator", "gate"])
def test_whoever_runs_with_other_parameters_is_named(changed: str, receiver: str) -> None:
    role = roles()[receiver]
    role.start()
    with pytest.raises(PeerError, match="other parameters") as caught:
        role.receive("right", ProviderHello(params=OTHER_PARAMS[changed].digest(), rows=10))
    assert caught.value.culprit == "right"
    assert role.state == "failed"


@pytest.mark.parametrize("culprit", ["left", "right", "operator", "gate"])
def test_a_run_in_which_one_party_has_other_parameters_stops_before_any_row_travels(culprit: str) -> None:
    mixed = roles()
    mixed[culprit] = roles(OTHER_PARAMS["plan"])[culprit]
    kinds: list[bytes] = []
    with pytest.raises(PeerError, match="other parameters"):
        run_local(mixed, on_frame=lambda _, __, frame: kinds.append(frame))
    assert not any(b"list-chunk" in frame or b"tag-table" in frame or b"labels" in frame for frame in kinds)


def gate_hello(role: Any, **changes: Any) -> GateHello:
    gate = role["gate"]
    hello = next(iter(gate.start().sends)).message
    return GateHello(**({"params": hello.params, "public_key": hello.public_key, "box_key": hello.box_key} | changes))


def operator_hello(params: join.JoinParams, seal_key: bytes) -> OperatorHello:
    return OperatorHello(params=params.digest(), seal_key=seal_key)


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("another key", {"public_key": families.insecure_key("another").public_key.to_bytes()}),
        ("no key", {"public_key": b""}),
        ("not JSON", {"public_key": b"\0" * 100}),
        ("box key of 31 bytes", {"box_key": bytes(31)}),
        ("box key of small order", {"box_key": bytes(32)}),
    ],
)
def test_a_gate_with_an_unusable_or_another_key_is_named(why: str, changes: dict[str, bytes]) -> None:
    role = roles()
    role["left"].start()
    with pytest.raises(PeerError) as caught:
        role["left"].receive("gate", gate_hello(role, **changes))
    assert caught.value.culprit == "gate", why


def test_a_short_gate_key_is_refused_unless_allowed_by_name() -> None:
    params = join_params(SPECS)
    provider = join.JoinProvider("left", params, join_rows(RAW_LEFT, 1))
    provider.start()
    with pytest.raises(PeerError, match="512") as caught:
        provider.receive("gate", gate_hello(roles()))
    assert caught.value.culprit == "gate"


def test_a_gate_refuses_to_start_with_a_key_that_is_not_the_one_agreed() -> None:
    with pytest.raises(ParameterError, match="not the one that the parameters name"):
        join.JoinGate("gate", join_params(SPECS), families.insecure_key("another"))


@pytest.mark.parametrize(
    "seal_key",
    [b"", bytes(31), bytes(33), bytes(32), b"\xff" * 32, b"\1" + bytes(31)],
    ids=["empty", "31 bytes", "33 bytes", "identity", "not canonical", "off the group"],
)
def test_an_operator_with_an_unusable_seal_key_is_named(seal_key: bytes) -> None:
    role = roles()["left"]
    role.start()
    with pytest.raises(PeerError) as caught:
        role.receive("operator", operator_hello(join_params(SPECS), seal_key))
    assert caught.value.culprit == "operator"


def test_a_good_seal_key_is_taken() -> None:
    role = roles()["left"]
    role.start()
    key = ristretto255.multiply_base(ristretto255.random_scalars(OsRng(), 1)).tobytes()
    role.receive("operator", operator_hello(join_params(SPECS), key))
    assert role.state == "hello"


def test_a_hello_in_a_role_that_is_not_the_senders_is_refused() -> None:
    params = join_params(SPECS)
    for sender, hello in (
        ("operator", ProviderHello(params=params.digest(), rows=10)),
        ("right", operator_hello(params, bytes(32))),
    ):
        role = roles()["left"]
        role.start()
        with pytest.raises(PeerError, match="not its own") as caught:
            role.receive(sender, hello)
        assert caught.value.culprit == sender


def test_a_list_below_the_minimum_or_of_an_impossible_size_is_refused() -> None:
    params = join_params(SPECS, min_list=10)
    role = roles(params)["left"]
    role.start()
    with pytest.raises(PeerError, match="shorter than the minimum of 10") as caught:
        role.receive("right", ProviderHello(params=params.digest(), rows=9))
    assert caught.value.culprit == "right"
    for rows in (-1, MAX_LIST_ROWS + 1, 2**62):
        with pytest.raises(ParameterError):
            ProviderHello(params=params.digest(), rows=rows)
    with pytest.raises(ParameterError, match=r"left's list is shorter than the minimum of 13 rows"):
        roles(join_params(SPECS, min_list=13))


def test_a_provider_takes_no_space_on_the_word_of_one_chunk() -> None:
    """A chunk that claims a huge list, before or after the first round is over, allocates nothing."""
    taken: list[tuple[int, int]] = []

    def scratch(rows: int, width: int) -> Any:
        taken.append((rows, width))
        raise AssertionError("space was asked for")

    params = join_params(SPECS)
    provider = join.JoinProvider("left", params, join_rows(RAW_LEFT, 1), scratch=scratch, allow_insecure_key=True)
    provider.start()
    chunk = ListChunk(
        owner="right",
        first=0,
        total=2**60,
        points=np.zeros((1, 64), dtype=np.uint8),
        tags=np.zeros((1, 64), dtype=np.uint8),
        ciphertexts=np.zeros((1, 1 << 20), dtype=np.uint8),
    )
    provider.receive("right", chunk)
    assert taken == []


def test_a_list_for_which_there_is_no_room_is_refused() -> None:
    def full(rows: int, width: int) -> Any:
        raise MemoryError

    params = join_params(SPECS)
    crowded = roles()
    crowded["operator"] = join.JoinOperator("operator", params, scratch=full, allow_insecure_key=True)
    with pytest.raises(ParameterError, match="no room for a list of 12 rows"):
        run_local(crowded)


@pytest.mark.parametrize("claimed", [2**60, 9, 11])
def test_a_chunk_of_another_total_than_announced_is_refused_by_name(claimed: int) -> None:
    def change(recipient: str, message: Any) -> list[Any]:
        if isinstance(message, ListChunk):
            columns = {name: getattr(message, name)[:claimed] for name in ("points", "tags", "ciphertexts")}
            return [dataclasses.replace(message, total=claimed, **columns)]
        return [message]

    altered = roles(join_params(SPECS, chunk_rows=100))
    altered["right"] = families.Altered(altered["right"], change)
    with pytest.raises(PeerError, match="announced") as caught:
        run_local(altered)
    assert caught.value.culprit == "right"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_join_takes_two_to_four_providers(count: int) -> None:
    specs = tuple(provider_spec(f"p{at}", carries=at == 0) for at in range(count))
    with pytest.raises(ParameterError, match=f"2 to 4 providers, not {count}"):
        join_params(specs)


@pytest.mark.parametrize(
    ("specs", "changes"),
    [
        ((provider_spec("a", carries=True), provider_spec("a")), {}),
        ((provider_spec("gate", carries=True), provider_spec("b")), {}),
        ((provider_spec("a", carries=True), provider_spec("operator")), {}),
        ((provider_spec("a", carries=True), provider_spec("b")), {"operator": "x", "gate": "x"}),
    ],
)
def test_two_parties_of_one_name_are_refused(specs: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="a name of its own"):
        join_params(specs, **changes)


@pytest.mark.parametrize(
    "specs",
    [
        (provider_spec("a"), provider_spec("b")),
        (provider_spec("a", carries=True), provider_spec("b", carries=True)),
        (provider_spec("a", carries=True), provider_spec("b", opens_multiplicity=False)),
    ],
)
def test_parameters_that_cannot_count_rows_are_refused(specs: Any) -> None:
    with pytest.raises(ParameterError, match=r"carries the row count|must be opened"):
        join_params(specs)


@pytest.mark.parametrize("changes", [{"min_keys": 0}, {"min_pattern": 0}, {"min_list": -1}, {"chunk_rows": 0}])
def test_impossible_minimum_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        join_params(SPECS, **changes)


def test_a_role_under_a_name_that_is_not_its_own_is_refused() -> None:
    params = join_params(SPECS)
    with pytest.raises(ParameterError, match="no provider"):
        join.JoinProvider("stranger", params, join_rows(RAW_LEFT, 1))
    with pytest.raises(ParameterError, match="the parameters name operator"):
        join.JoinOperator("gate", params)
    with pytest.raises(ParameterError, match="the parameters name gate"):
        join.JoinGate("operator", params, families.insecure_key())


@pytest.mark.parametrize("silent", ["left", "right", "operator", "gate"])
def test_one_silent_party_leaves_the_waiting_ones_named(silent: str) -> None:
    """Who says nothing is found by the driver's timeout; here the run ends and says who is still waiting, and where."""
    altered = roles()
    altered[silent] = families.Altered(altered[silent], lambda _, __: [])
    with pytest.raises(MisuseError, match="still waiting") as caught:
        run_local(altered)
    for name in {"left", "right"} - {silent}:
        assert f"{name} (hello)" in str(caught.value)
    if silent != "gate":
        assert "gate (collect)" in str(caught.value)


def test_a_provider_that_stops_before_its_list_leaves_operator_and_gate_waiting() -> None:
    altered = roles()
    altered["right"] = families.Altered(
        altered["right"], lambda _, message: [] if isinstance(message, ListChunk) else [message]
    )
    with pytest.raises(MisuseError) as caught:
        run_local(altered)
    assert "operator (lists)" in str(caught.value)
    assert "gate (collect)" in str(caught.value)
