"""What parties, operator and gate refuse, and whom they name: equivocation, replay, forged, foreign and missing pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from support import families
from support.families import Altered

from protocols import aggregation
from protocols.aggregation import sharing
from protocols.aggregation.messages import (
    Advertise,
    Confirmation,
    Consistency,
    Delivery,
    GateAdvertise,
    MaskedInput,
    MaskedSum,
    Opening,
    Openings,
    PublicState,
    Reveal,
    Roster,
    Shares,
    Survivors,
)
from protocols.errors import EncodingOverflow, MisuseError, ParameterError, PartiesLost, PeerError
from protocols.local import run_local
from protocols.message import Message

PARTIES = 5
Change = Callable[[str, Message], Iterable[Message]]


def vectors(parties: int = PARTIES) -> dict[str, Any]:
    return {f"p{index}": np.full(40, index, dtype=np.int64) for index in range(parties)}


def only(kind: type[Message], change: Callable[[str, Any], Message | None], *, to: str | None = None) -> Change:
    """Change messages of one kind, to one recipient or all; None drops them."""

    def altered(recipient: str, message: Message) -> Iterable[Message]:
        if not isinstance(message, kind) or (to is not None and recipient != to):
            return (message,)
        changed = change(recipient, message)
        return () if changed is None else (changed,)

    return altered


def run_with(cheat: str, change: Change, parties: int = PARTIES, **changes: Any) -> dict[str, Any]:
    roles = families.sum_roles(families.sum_params(parties, **changes), vectors(parties))
    roles[cheat] = Altered(roles[cheat], change)
    return run_local(roles)


def flipped(data: Any) -> Any:
    """The same bytes or rows with one bit changed in the first one."""
    if isinstance(data, bytes):
        return bytes([data[0] ^ 1]) + data[1:]
    changed = data.copy()
    changed.reshape(-1)[0] ^= 1
    return changed


def with_field(name: str, change: Callable[[Any], Any] = flipped) -> Callable[[str, Any], Message]:
    return lambda _, message: dataclasses.replace(message, **{name: change(getattr(message, name))})


def without_row(index: int) -> Callable[[str, Any], Message]:
    """The same message without one row of every column."""

    def change(_: str, message: Any) -> Message:
        arrays = {
            field.name: np.delete(getattr(message, field.name), index, axis=0)
            for field in dataclasses.fields(message)
            if isinstance(getattr(message, field.name), np.ndarray)
        }
        return dataclasses.replace(message, **arrays)

    return change


# An operator that does not follow the protocol: (what it changes, what the refusal says).
OPERATOR_CHEATS: dict[str, tuple[Change, str]] = {
    "leaves a party out of the roster": (only(Roster, without_row(1), to="p1"), "left p1 out of the roster"),
    "puts another key for a party": (only(Roster, with_field("mask_keys")), "put other keys there"),
    "puts another gate key": (only(Roster, with_field("gate_key"), to="p1"), "does not verify"),
    "puts another gate key, to the gate": (only(Roster, with_field("gate_key"), to="gate"), "put another key for gate"),
    "puts another key for a neighbour": (
        only(Roster, with_field("mask_keys", lambda rows: np.concatenate([flipped(rows[:1]), rows[1:]])), to="p1"),
        "keys of p0 are not signed",
    ),
    "opens another nonce": (only(Openings, with_field("nonces"), to="p1"), "does not fit its commitment"),
    "leaves our nonce out": (only(Openings, without_row(1), to="p1"), "left p1 out of the openings"),
    "shows two parties two sets of openings": (only(Openings, without_row(4), to="p1"), "dealt shares to others"),
    "delivers a changed box": (only(Delivery, with_field("boxes"), to="p1"), "was not sealed to us"),
    "delivers boxes of others": (
        only(Delivery, with_field("boxes", lambda rows: np.roll(rows, 1, axis=0)), to="p1"),
        "was not sealed to us",
    ),
    "holds boxes back": (only(Delivery, without_row(0), to="p1"), "names other dealers"),
    "counts a live party out": (
        only(Survivors, with_field("kept", lambda flags: np.array([[1], [0], [1], [1], [1]], dtype=np.uint8)), to="p1"),
        "counts p1 out",
    ),
    "shrinks the survivors for one": (
        only(Survivors, with_field("kept", lambda flags: np.array([[0], [1], [1], [1], [1]], dtype=np.uint8)), to="p1"),
        "does not verify",
    ),
    "shrinks the survivors below the threshold": (
        only(Survivors, with_field("kept", lambda flags: np.array([[0], [1], [0], [1], [1]], dtype=np.uint8)), to="p1"),
        "names 3 survivors where a sum takes 4",
    ),
    "names other dealers": (only(Survivors, without_row(0), to="p1"), "names other dealers"),
    "shows too few signatures": (
        only(Confirmation, lambda to, message: without_row(0)(to, without_row(0)(to, message)), to="p1"),
        "shows 3 signatures on the survivor set where 4 are needed",
    ),
    "shows a forged signature": (only(Confirmation, with_field("signatures"), to="p1"), "another survivor set"),
    "shows a signature of one who is not in the set": (
        only(Confirmation, with_field("signers", lambda rows: np.array([0, 1, 2, 3, 9], dtype=np.uint32)), to="p1"),
        "not in the survivor set",
    ),
    "shows the gate other survivors": (
        only(Survivors, with_field("kept", lambda flags: np.array([[0], [1], [1], [1], [1]], dtype=np.uint8)), to="gate"),
        "not in the survivor set|another survivor set",
    ),
    "shows the gate too few survivors": (
        only(Survivors, with_field("kept", lambda flags: np.array([[0], [1], [0], [1], [1]], dtype=np.uint8)), to="gate"),
        "fewer than 4",
    ),
    "shows the gate too few signatures": (
        only(Confirmation, lambda to, message: without_row(0)(to, without_row(0)(to, message)), to="gate"),
        "shows 3 signatures",
    ),
    "sends the gate a part of the sum twice": (
        only(MaskedSum, with_field("first", lambda first: 0), to="gate"),
        "does not follow",
    ),
    "sends the gate another ring": (
        only(MaskedSum, with_field("words", lambda words: np.repeat(words, 2, axis=1)), to="gate"),
        "another ring",
    ),
}


@pytest.mark.parametrize("name", OPERATOR_CHEATS)
def test_a_cheating_operator_is_refused_by_name(name: str) -> None:
    change, problem = OPERATOR_CHEATS[name]
    with pytest.raises(PeerError, match=problem) as caught:
        run_with("operator", change)
    # Where the victim itself goes on with what it was shown, the honest operator's own check of the victim speaks.
    victims = {"shrinks the survivors for one", "shows two parties two sets of openings"}
    assert caught.value.culprit == ("p1" if name in victims else "operator")


PARTY_CHEATS: dict[str, tuple[Change, str]] = {
    "advertises unsigned keys": (only(Advertise, with_field("mask_key")), "not signed with its identity"),
    "runs with other parameters": (only(Advertise, with_field("params")), "runs with other parameters"),
    "opens another nonce": (only(Opening, with_field("nonce")), "does not fit its commitment"),
    "deals to fewer": (only(Shares, without_row(0)), "dealt shares to others than its neighbours"),
    "sends a chunk of input twice": (
        lambda _, message: (message, message) if isinstance(message, MaskedInput) else (message,),
        "elements at 0 where 16 at 16 are due",
    ),
    "sends input of another ring": (only(MaskedInput, with_field("words", lambda w: np.repeat(w, 2, axis=1))), "are due"),
    "signs something else": (only(Consistency, with_field("signature")), "does not verify"),
    "reveals fewer shares": (only(Reveal, without_row(0)), "revealed shares of others than its neighbours"),
    "reveals a changed share": (only(Reveal, with_field("shares", lambda rows: rows ^ 1)), "revealed a changed share"),
    "reveals the share of another": (
        only(Reveal, with_field("shares", lambda rows: np.roll(rows, 1, axis=0))),
        "revealed a changed share",
    ),
}


@pytest.mark.parametrize("name", PARTY_CHEATS)
def test_a_cheating_party_is_refused_by_name(name: str) -> None:
    change, problem = PARTY_CHEATS[name]
    with pytest.raises(PeerError, match=problem) as caught:
        run_with("p0", change)
    assert caught.value.culprit == "p0"


def test_a_cheating_gate_is_refused_by_name() -> None:
    for field, problem in (("mask_key", "does not verify"), ("params", "runs with other parameters")):
        with pytest.raises(PeerError, match=problem) as caught:
            run_with("gate", only(GateAdvertise, with_field(field)))
        assert caught.value.culprit == "gate"


STATE = b"weights"


def told(cheat: str | None = None, change: Change = lambda to, message: (message,), state: bytes = STATE) -> dict[str, Any]:
    """A sum whose vectors follow from what the gate tells."""
    made = {name: lambda content, own=own: own * len(content) for name, own in vectors().items()}
    roles = families.sum_roles(families.sum_params(PARTIES, state=state), made, state=state)
    if cheat is not None:
        roles[cheat] = Altered(roles[cheat], change)
    return run_local(roles)


def test_vectors_follow_from_what_the_gate_tells() -> None:
    assert told()["gate"].values.tolist() == [sum(range(PARTIES)) * len(STATE)] * 40


@pytest.mark.parametrize(
    ("cheat", "change", "problem"),
    [
        ("gate", only(PublicState, with_field("content")), "tells a public state that the parameters do not name"),
        ("gate", only(PublicState, lambda to, message: None), "did not tell the public state"),
        ("operator", only(PublicState, with_field("content"), to="p2"), "not the one that the parameters"),
        ("operator", only(PublicState, lambda to, message: None, to="p2"), "sent the roster before the public state"),
        ("operator", lambda to, message: (message,) * (1 + isinstance(message, PublicState)), "told a public state twice"),
    ],
)
def test_another_public_state_than_the_agreed_one_is_refused_by_name(cheat: str, change: Change, problem: str) -> None:
    with pytest.raises(PeerError, match=problem) as caught:
        told(cheat, change)
    assert caught.value.culprit == cheat


def test_a_public_state_and_the_vectors_that_need_it_belong_together() -> None:
    params = families.sum_params(PARTIES, state=STATE)
    with pytest.raises(MisuseError, match="a function of the public state"):
        families.sum_roles(params, vectors(), state=STATE)
    with pytest.raises(MisuseError, match="a function of the public state"):
        families.sum_roles(families.sum_params(PARTIES), {name: lambda content: content for name in vectors()})
    with pytest.raises(ParameterError, match="not the one that the parameters of this sum name"):
        aggregation.SumGate("gate", params, families.identity("gate").sign, state=b"other")
    with pytest.raises(ParameterError, match="state is the SHA-256"):
        msgspec.structs.replace(params, state="abc")


def test_shares_that_do_not_meet_in_the_commitment_are_the_dealers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = sharing.deal

    def deal(context: Any, dealer: int, recipients: Any, secrets: Any, **rest: Any) -> dict[int, bytes]:
        if dealer == 2:
            secrets = dataclasses.replace(secrets, seed=bytes(32))
        return honest(context, dealer, recipients, secrets, **rest)

    monkeypatch.setattr(sharing, "deal", deal)
    with pytest.raises(PeerError, match="do not meet in what it committed to") as caught:
        run_local(families.sum_roles(families.sum_params(PARTIES), vectors()))
    assert caught.value.culprit == "p2"


def test_a_dealer_whose_share_is_not_signed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = families.sum_roles(families.sum_params(PARTIES), vectors())
    signs = families.identity("p3").sign
    roles["p3"]._sign = lambda data: flipped(signs(data)) if b"aggregation/1/share" in data else signs(data)
    with pytest.raises(PeerError, match="share of p3 does not bear its signature"):
        run_local(roles)


def recorded(params: aggregation.SumParams, seed: str) -> dict[tuple[str, type[Message]], Message]:
    """Every party's messages of one honest run."""
    from protocols.wire import decode_frame

    found: dict[tuple[str, type[Message]], Message] = {}

    def keep(sender: str, _: str, frame: bytes) -> None:
        message = decode_frame(frame)[1]
        found[sender, type(message)] = message

    run_local(families.sum_roles(params, vectors(), seed=seed), on_frame=keep)
    return found


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        (Advertise, "left p0 out of the roster, or put other keys there"),
        (Opening, "does not fit its commitment"),
        (Shares, "was not sealed to us"),
        (Consistency, "does not verify"),
        (Reveal, "revealed a changed share"),
    ],
)
def test_messages_of_an_earlier_run_of_the_same_round_are_refused(kind: type[Message], problem: str) -> None:
    params = families.sum_params(PARTIES)
    before = recorded(params, "before")
    with pytest.raises(PeerError, match=problem):
        run_with("p0", only(kind, lambda *_: before["p0", kind]))


@pytest.mark.parametrize(
    "changes",
    [{"session": bytes(15) + b"1"}, {"round_number": 1}, {"inputs": "others"}, {"bound": 999}, {"cipher": "aes256ctr"}],
)
def test_an_advertisement_of_another_session_round_or_plan_is_refused(changes: dict[str, Any]) -> None:
    other = recorded(families.sum_params(PARTIES, **changes), "other")
    with pytest.raises(PeerError, match="runs with other parameters") as caught:
        run_with("p0", only(Advertise, lambda *_: other["p0", Advertise]))
    assert caught.value.culprit == "p0"


def test_a_second_sum_of_the_same_inputs_over_other_survivors_is_refused_by_the_gate() -> None:
    params = families.sum_params(PARTIES)
    first = run_local(families.sum_roles(params, vectors()))["gate"]
    history = first.history

    def again(drops: tuple[str, ...], **changes: Any) -> Any:
        roles = families.sum_roles(families.sum_params(PARTIES, session=b"1" * 16, **changes), vectors(), history=history)
        return run_local(roles, falls_silent=lambda sender, message: sender in drops and isinstance(message, Shares))["gate"]

    assert again(()).values.tolist() == first.values.tolist()
    assert again(("p3",), inputs="another month").survivors == ("p0", "p1", "p2", "p4")
    with pytest.raises(PeerError, match=r"summed already over other survivors \(p3 differ\)"):
        again(("p3",))
    assert aggregation.SumHistory({"contract": tuple(sorted(vectors()))}) == history


def test_a_roster_of_other_parties_counts_as_other_survivors() -> None:
    history = aggregation.SumHistory().with_sum("june", ["a", "b", "c", "d"])
    assert history.with_sum("june", ["d", "c", "b", "a"]) == history
    with pytest.raises(ParameterError, match=r"\(d, e differ\)"):
        history.with_sum("june", ["a", "b", "c", "e"])


def test_survivors_before_the_input_was_sent_are_refused() -> None:
    """An operator that asks for signatures, and so for shares, while the party is still sending."""
    params = families.sum_params(PARTIES)
    before = recorded(params, "run")
    party = families.sum_roles(params, vectors(), seed="run")["p0"]
    list(party.start().sends)
    party.receive("operator", before["operator", Roster])
    list(party.receive("operator", before["operator", Openings]).sends)
    deliveries: list[Message] = []
    change = only(Delivery, lambda _, message: deliveries.append(message) or message, to="p0")  # type: ignore[func-returns-value]
    roles = families.sum_roles(params, vectors(), seed="run")
    roles["operator"] = Altered(roles["operator"], change)
    run_local(roles)
    sends = iter(party.receive("operator", deliveries[0]).sends)
    next(sends)
    with pytest.raises(PeerError, match="before p0 has sent its input") as caught:
        party.receive("operator", before["operator", Survivors])
    assert caught.value.culprit == "operator"


def test_a_party_answers_one_survivor_set_only() -> None:
    """Whatever an operator shows it afterwards, the other share of each pair stays where it is: it is not even kept."""
    params = families.sum_params(PARTIES)
    before = recorded(params, "once")
    roles = families.sum_roles(params, vectors(), seed="once")
    run_local(roles)
    assert roles["p0"]._pairs == {}
    for kind in (Survivors, Confirmation):
        with pytest.raises(MisuseError, match="takes no message"):
            roles["p0"].receive("operator", before["operator", kind])


def test_silence_is_named() -> None:
    params = families.sum_params(PARTIES)
    operator = families.sum_roles(params, vectors())["operator"]
    operator.start()
    assert operator.awaiting == {*vectors(), "gate"}
    assert operator.absent({"p1"}).sends == ()
    assert operator.awaiting == {"p0", "p2", "p3", "p4", "gate"}
    with pytest.raises(PeerError, match="without the gate there is no sum") as caught:
        operator.absent({"gate"})
    assert caught.value.culprit == "gate"
    for name in ("p0", "gate"):
        role = families.sum_roles(params, vectors())[name]
        role.start()
        assert role.absent({"p1"}).sends == ()
        with pytest.raises(PeerError, match="operator: fell silent"):
            role.absent({"operator"})


def test_a_late_message_of_one_that_was_given_up_is_ignored() -> None:
    params = families.sum_params(PARTIES)
    roles = families.sum_roles(params, vectors(), seed="late")
    operator = roles["operator"]
    operator.start()
    steps = {name: role.start() for name, role in roles.items() if name != "operator"}
    operator.absent({"p1"})
    for name, step in steps.items():
        for send in step.sends:
            operator.receive(name, send.message)
    assert operator.state == "open"
    assert operator.awaiting == {"p0", "p2", "p3", "p4"}


def test_a_party_that_does_not_open_its_nonce_ends_a_round_whose_graph_depends_on_it() -> None:
    parties = 60
    params = families.sum_params(parties)
    assert not params.is_complete
    with pytest.raises(PartiesLost, match="p7: fell silent before opening its nonce") as caught:
        run_local(
            families.sum_roles(params, vectors(parties)),
            falls_silent=lambda sender, message: sender == "p7" and isinstance(message, Advertise),
        )
    assert caught.value.names == ("p7",)


def test_an_operator_cannot_leave_nonces_out_of_a_graph_that_depends_on_them() -> None:
    with pytest.raises(PeerError, match="left nonces out") as caught:
        run_with("operator", only(Openings, without_row(7), to="p1"), parties=60)
    assert caught.value.culprit == "operator"


def neighbours_of(roles: dict[str, Any], name: str) -> list[str]:
    """Who turned out to be next to a party, from its own state after a run."""
    return [f"p{index}" for index in sorted(roles[name]._neighbours)]


def test_nobody_is_left_alone_in_a_regular_graph() -> None:
    """Drops that follow the graph, as only an operator that knows it could arrange them, would strip one party of its masks."""
    params = families.sum_params(60)
    honest = families.sum_roles(params, vectors(60), seed="alone")
    run_local(honest)
    around = neighbours_of(honest, "p1")
    lost = around[: len(around) - params.shares + 1]
    assert len(lost) <= 60 - params.threshold
    with pytest.raises(PartiesLost, match="keep fewer than") as caught:
        run_local(
            families.sum_roles(params, vectors(60), seed="alone"),
            falls_silent=lambda sender, message: sender in lost and isinstance(message, Shares),
        )
    assert set(caught.value.names) == set(lost)

    def strip(message: Any) -> Message:
        kept = message.kept.copy()
        kept[np.isin(message.dealers, [int(name[1:]) for name in lost])] = 0
        return dataclasses.replace(message, kept=kept)

    roles = families.sum_roles(params, vectors(60), seed="alone")
    roles["operator"] = Altered(roles["operator"], only(Survivors, lambda _, message: strip(message), to="p1"))
    with pytest.raises(PeerError, match=f"leaves p1 fewer than {params.shares} neighbours in the sum") as refused:
        run_local(roles)
    assert refused.value.culprit == "operator"


@pytest.mark.parametrize(
    ("vector", "error", "problem"),
    [
        (np.zeros(39, dtype=np.int64), ParameterError, "39 elements where the sum has 40"),
        (np.zeros(40), ParameterError, "one-dimensional int64"),
        (np.zeros((40, 1), dtype=np.int64), ParameterError, "one-dimensional int64"),
        ([0] * 40, ParameterError, "one-dimensional int64"),
        (np.full(40, 1001), EncodingOverflow, "40 elements, the first at 0, are beyond the declared bound of ±1000"),
        (np.array([0] * 39 + [np.iinfo(np.int64).min]), EncodingOverflow, "1 elements, the first at 39"),
    ],
)
def test_vectors_that_cannot_be_summed_are_refused_before_anything_is_sent(vector: Any, error: type, problem: str) -> None:
    with pytest.raises(error, match=problem):
        aggregation.SumParty("p0", families.sum_params(PARTIES), vector, families.identity("p0").sign)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"threshold": 2}, "threshold of 5 parties is from 3 to 5"),
        ({"threshold": 6}, "threshold of 5 parties is from 3 to 5"),
        ({"length": 0}, "1 to"),
        ({"chunk_words": 24}, "multiple of 16"),
        ({"cipher": "rc4"}, "chacha20 or aes256ctr, not 'rc4'"),
        ({"cipher": "aes256ctr", "length": 2**30 + 1, "bound": 1}, "masks by aes256ctr end after"),
        ({"bound": 2**63 // 5 + 1}, "can leave the ring of 2\\^64"),
        ({"bound": -1}, "can leave the ring"),
        ({"session": bytes(15)}, "16 bytes"),
        ({"operator": "gate"}, "names of their own"),
        ({"gate": "p1"}, "names of their own"),
        ({"gate_key": bytes(31)}, "32 bytes"),
        ({"dropout": 1.0}, "from 0 to below 1"),
        ({"min_parties": 6}, "below the minimum"),
    ],
)
def test_parameters_that_cannot_hold_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        families.sum_params(PARTIES, **changes)


def test_two_parties_are_refused_unless_the_plan_says_otherwise() -> None:
    with pytest.raises(ParameterError, match="2 parties is below the minimum of 3"):
        aggregation.secure_sum(vectors(2))
    params = families.sum_params(2, min_parties=2)
    assert run_local(families.sum_roles(params, vectors(2)))["gate"].values.tolist() == [1] * 40


def test_calls_that_make_no_sense_are_refused() -> None:
    good = vectors()
    with pytest.raises(ParameterError, match="ghost, who has no vector"):
        aggregation.secure_sum(good, dropped_after={"ghost": "share"})
    for step in ("unmask", None):
        with pytest.raises(ParameterError, match=f"not {step!r}"):
            aggregation.secure_sum(good, dropped_after={"p1": step})  # type: ignore[dict-item]
    for wrong in (good["p1"] * 1.5, good["p1"].astype(np.int32), list(good["p1"]), good["p1"].reshape(1, -1)):
        with pytest.raises(ParameterError, match="the vector of p1 is no one-dimensional int64 array"):
            aggregation.secure_sum(good | {"p1": wrong})
    with pytest.raises(ParameterError, match="one length"):
        aggregation.secure_sum(good | {"p1": np.zeros(3, dtype=np.int64)})
    with pytest.raises(ParameterError, match="one length"):
        aggregation.secure_sum({})
    with pytest.raises(EncodingOverflow, match="beyond the declared bound"):
        aggregation.secure_sum(good, bound=3)
    params = families.sum_params(PARTIES)
    with pytest.raises(MisuseError, match="name operator as the operator"):
        aggregation.SumOperator("p1", params)
    with pytest.raises(MisuseError, match="name gate as the gate"):
        aggregation.SumGate("p1", params, families.identity("p1").sign)
    with pytest.raises(ParameterError, match="no party of this sum"):
        aggregation.SumParty("gate", params, good["p1"], families.identity("gate").sign)
