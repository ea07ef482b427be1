"""Intersection and count against numpy, through real frames, and what each role refuses."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols import psi
from protocols.errors import Cancelled, MisuseError, ParameterError, PeerError
from protocols.local import run_local
from protocols.party import Party, Progress
from protocols.primitives import ristretto255
from protocols.psi.messages import BlindedPoints, ListOffer, RaisedPoints

DOMAIN = psi.KeyDomain(name="people", types=("integer",))
PARTIES = ("hospital", "registry")
CANARY = "canary-4417"


def terms(reveal: str = "rows", receivers: tuple[str, ...] = ("hospital",), **changes: object) -> psi.Terms:
    return psi.Terms(**{"domain": DOMAIN, "parties": PARTIES, "receivers": receivers, "reveal": reveal, **changes})


def role(name: str, keys: list[int | None], agreed: psi.Terms | None = None, **options: object) -> psi.Intersecting:
    rng = DeterministicRng(name)
    return psi.Intersecting(name, agreed or terms(), psi.encode_keys([keys], DOMAIN), rng=rng, **options)


def run(left: list[int | None], right: list[int | None], agreed: psi.Terms, **options: object) -> dict[str, object]:
    return run_local(
        {"hospital": role("hospital", left, agreed, **options), "registry": role("registry", right, agreed, **options)}
    )


lists = st.one_of(
    st.tuples(*[st.lists(st.integers(-4, 4) | st.integers(-(2**63), 2**63 - 1), max_size=12)] * 2),
    st.tuples(*[st.lists(st.sampled_from(["", "a", "b", "ab", "é", "e\u0301", "0", "00"]), max_size=12)] * 2),
    st.tuples(*[st.lists(st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 9)), max_size=12)] * 2),
)


@settings(max_examples=60, deadline=None)
@given(lists)
def test_as_numpy(pair: tuple[list, list]) -> None:
    left, right = pair
    dtype = object if any(isinstance(value, dt.date) for value in left + right) else None
    arrays = [np.array(side, dtype=dtype if side else type(next(iter(left + right), 0))) for side in pair]
    expected = np.intersect1d(*arrays, return_indices=True)
    found = psi.intersect(left, right, return_indices=True)
    assert isinstance(found, tuple)
    for ours, numpys in zip(found, expected, strict=True):
        assert ours.tolist() == numpys.tolist()
    assert psi.cardinality(left, right) == len(expected[0])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.array([3, 1, 2], np.int16), np.array([2, 3, 9], np.uint64)),
        (pa.array([3, 1, 2]), pd.Series([2, 3, 9])),
        (pd.Series([3, None, 2], dtype="Int64"), [2, 3, None]),
        (pa.chunked_array([[3], [None, 2]]), (2, 3)),
    ],
)
def test_containers_mix_freely(left: object, right: object) -> None:
    assert psi.intersect(left, right).tolist() == [2, 3]
    assert psi.cardinality(left, right) == 2


def test_nullable_integers_keep_every_bit() -> None:
    large = 2**53
    column = pd.Series([large, large + 1, None], dtype="Int64")
    assert psi.intersect(column, [large + 1]).tolist() == [large + 1]


def test_numpy_dtypes_stay() -> None:
    assert psi.intersect(np.array([1, 2], np.int16), [2]).dtype == np.int16
    assert psi.intersect(np.array(["a", "b"]), np.array(["b"])).dtype.kind == "U"
    assert psi.intersect(["a\0", "b"], ["a\0", "a"]).tolist() == ["a\0"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1], ["1"]),
        ([True], [1]),
        ([1, "1"], [1]),
        ([1.0], [1]),
        ([1], np.array([1.0])),
        ([b"a"], [b"a"]),
        ([CANARY, 1], [CANARY]),
    ],
)
def test_mixed_types_are_refused(left: object, right: object) -> None:
    with pytest.raises(ParameterError) as caught:
        psi.intersect(left, right)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("left", "right"), [([], []), ([], [1]), ([1], []), ([None], [1]), ([None, None], [None])])
def test_empty_lists(left: list, right: list) -> None:
    assert psi.intersect(left, right).tolist() == []
    assert psi.cardinality(left, right) == 0


def test_the_same_list_on_both_sides_and_a_million_times_the_same_key() -> None:
    assert psi.intersect([5, 6], [5, 6]).tolist() == [5, 6]
    assert psi.cardinality(np.full(1_000_000, 7), [7, 7]) == 1


@pytest.mark.parametrize("chunk_rows", [1, 2, 5, 100])
@pytest.mark.parametrize("receivers", [("hospital",), ("registry",), PARTIES])
@pytest.mark.parametrize("reveal", ["rows", "count"])
def test_who_learns_what(reveal: str, receivers: tuple[str, ...], chunk_rows: int) -> None:
    outputs = run([9, None, 3, 4, 3, 8], [8, 3, 1], terms(reveal, receivers), chunk_rows=chunk_rows)
    rows = {"hospital": [2, 5], "registry": [0, 1]}
    for name in PARTIES:
        if name not in receivers:
            assert outputs[name] is None
        elif reveal == "count":
            assert outputs[name] == 2
        else:
            assert outputs[name].tolist() == rows[name]


def test_threads() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert psi.cardinality(range(300), range(100, 400), mapper=pool.map) == 200


def test_frames_carry_fresh_points_only() -> None:
    """Two runs over the same lists share no point, and no point is the bare hash of a key."""
    keys = psi.encode_keys([[1, 2, 3]], DOMAIN)
    bare = set(ristretto255.point_rows(ristretto255.hash_to_group(keys.keys, DOMAIN.dst)))
    seen: list[set[bytes]] = []
    for seed in (1, 2):
        points: set[bytes] = set()
        parties = {
            name: psi.Intersecting(name, terms("rows", PARTIES), keys, rng=DeterministicRng(f"{name}{seed}"))
            for name in PARTIES
        }
        for sender in parties.values():
            watch(sender, points)
        run_local(parties)
        seen.append(points)
    assert len(seen[0]) == len(seen[1]) == 9  # 3 and 3 once blinded, 3 twice blinded and equal on both sides
    assert not seen[0] & seen[1]
    assert not (seen[0] | seen[1]) & bare


def watch(party: Party, points: set[bytes]) -> None:
    receive = party.receive

    def watched(sender: str, message: object) -> object:
        if isinstance(message, BlindedPoints | RaisedPoints):
            points.update(ristretto255.point_rows(message.points))
        return receive(sender, message)

    party.receive = watched


def test_counted_lists_come_back_in_another_order() -> None:
    agreed = terms("count")
    hospital, registry = (role(name, list(range(40)), agreed) for name in PARTIES)
    registry.start()
    (offer,) = hospital.start().sends
    registry.receive("hospital", offer.message)
    blinded = ristretto255.hash_to_group([b"%d" % index for index in range(40)], b"test/points")
    step = registry.receive("hospital", BlindedPoints(first_row=0, points=blinded))
    (raised,) = (send.message for send in step.sends)
    in_order = ristretto255.multiply(registry._scalar, blinded)
    assert (raised.points != in_order).any()
    assert set(ristretto255.point_rows(raised.points)) == set(ristretto255.point_rows(in_order))


@pytest.mark.parametrize(
    "other",
    [
        terms("count"),
        terms("rows", PARTIES),
        terms(context=b"another session"),
        terms(domain=psi.KeyDomain(name="cars", types=("integer",))),
    ],
)
def test_other_terms_stop_before_anything_is_blinded(other: psi.Terms) -> None:
    frames: list[bytes] = []
    with pytest.raises(PeerError, match="other terms") as caught:
        run_local(
            {"hospital": role("hospital", [1]), "registry": role("registry", [1], other)},
            on_frame=lambda sender, recipient, frame: frames.append(frame),
        )
    assert caught.value.culprit in PARTIES
    assert all(b"psi/1/list-offer" in frame for frame in frames)


def test_short_and_long_lists_are_refused_before_anything_is_blinded() -> None:
    for options, rows in (({"min_peer_rows": 3}, 2), ({"max_peer_rows": 3}, 4)):
        party = role("registry", [1, 2], **options)
        party.start()
        with pytest.raises(PeerError, match=f"offers {rows} keys"):
            party.receive("hospital", ListOffer(parameters=terms().digest(), rows=rows))
        assert party.state == "failed"


def waiting_role(rows: int = 3, agreed: psi.Terms | None = None) -> psi.Intersecting:
    """Return a started hospital (keys 0, 1, 2) that has accepted a peer's offer."""
    agreed = agreed or terms()
    party = role("hospital", [0, 1, 2], agreed)
    party.start()
    sends = party.receive("registry", ListOffer(parameters=agreed.digest(), rows=rows)).sends
    party.sent_points = np.concatenate([send.message.points for send in sends])
    return party


def some_points(count: int) -> np.ndarray:
    return ristretto255.hash_to_group([b"%d" % index for index in range(count)], b"test/points")


def with_row(points: np.ndarray, row: int, encoding: bytes) -> np.ndarray:
    changed = points.copy()
    changed[row] = np.frombuffer(encoding, dtype=np.uint8)
    return changed


@pytest.mark.parametrize(
    ("points", "first_row", "problem"),
    [
        (some_points(4), 0, "4 rows more after 0 of 3"),
        (some_points(0), 0, "0 rows more"),
        (some_points(3), 1, "row 0 is due"),
        (with_row(some_points(3), 2, bytes(32)), 0, "row 2 is the identity"),
        (with_row(some_points(3), 1, b"\xff" * 32), 0, "row 1 is not the canonical"),
        (with_row(some_points(3), 1, bytes([2]) + bytes(31)), 0, "row 1 is not the canonical"),
        (with_row(some_points(3), 1, some_points(1).tobytes()), 0, "1 points more than once"),
    ],
)
@pytest.mark.parametrize("kind", [BlindedPoints, RaisedPoints])
def test_bad_lists_name_the_sender(kind: type, points: np.ndarray, first_row: int, problem: str) -> None:
    party = waiting_role()
    if kind is RaisedPoints:
        party.receive("registry", BlindedPoints(first_row=0, points=some_points(3)))
    with pytest.raises(PeerError, match=problem) as caught:
        party.receive("registry", kind(first_row=first_row, points=points))
    assert caught.value.culprit == "registry"
    with pytest.raises(MisuseError, match="failed"):
        party.receive("registry", kind(first_row=0, points=some_points(1)))


@pytest.mark.parametrize("width", [31, 33])
def test_points_of_other_widths_make_no_message(width: int) -> None:
    with pytest.raises(ParameterError, match=f"{width} bytes wide"):
        BlindedPoints(first_row=0, points=np.ones((2, width), dtype=np.uint8))


def test_the_same_chunk_twice_is_refused() -> None:
    party = waiting_role()
    chunk = BlindedPoints(first_row=0, points=some_points(2))
    party.receive("registry", chunk)
    with pytest.raises(PeerError, match="row 2 is due"):
        party.receive("registry", chunk)


def test_our_own_list_sent_back_is_refused() -> None:
    party = waiting_role()
    with pytest.raises(PeerError, match="our own list"):
        party.receive("registry", BlindedPoints(first_row=0, points=party.sent_points))


def test_a_raised_list_that_nobody_asked_for_is_refused() -> None:
    party = waiting_role(agreed=terms(receivers=("registry",)))
    with pytest.raises(PeerError, match="3 rows more after 0 of 0"):
        party.receive("registry", RaisedPoints(first_row=0, points=some_points(3)))


def test_strangers_and_wrong_moments_are_refused() -> None:
    with pytest.raises(PeerError, match="stranger: takes no part"):
        waiting_role().receive("stranger", BlindedPoints(first_row=0, points=some_points(3)))
    party = role("hospital", [1])
    with pytest.raises(MisuseError, match="new"):
        party.receive("registry", ListOffer(parameters=terms().digest(), rows=1))
    party.start()
    with pytest.raises(PeerError, match="expects ListOffer"):
        party.receive("registry", BlindedPoints(first_row=0, points=some_points(3)))


@pytest.mark.parametrize(
    "changes",
    [{"parties": ("a", "a")}, {"parties": ("a", "")}, {"receivers": ()}, {"receivers": ("x",)}, {"reveal": "keys"}],
)
def test_unusable_terms_are_refused(changes: dict) -> None:
    with pytest.raises(ParameterError):
        terms(**changes)


def test_a_stranger_cannot_hold_a_role() -> None:
    with pytest.raises(ParameterError, match="not one of"):
        role("stranger", [1])


@pytest.mark.parametrize(("parameters", "rows"), [(b"", 1), (bytes(31), 1), (bytes(32), -1)])
def test_malformed_offers_are_refused(parameters: bytes, rows: int) -> None:
    with pytest.raises(ParameterError, match="list offer"):
        ListOffer(parameters=parameters, rows=rows)


def test_progress_and_cancellation() -> None:
    seen: list[tuple[str, int, int]] = []
    progress = Progress(on_update=lambda *update: seen.append(update))
    parties = {"hospital": role("hospital", [1, 2, 3], progress=progress, chunk_rows=2), "registry": role("registry", [1])}
    run_local(parties)
    assert seen == [("blind", 2, 3), ("blind", 3, 3), ("raise", 1, 1)]
    stopped = role("hospital", [1, 2, 3], progress=Progress(is_cancelled=lambda: True))
    with pytest.raises(Cancelled):
        run_local({"hospital": stopped, "registry": role("registry", [1])})
    assert stopped.state == "failed"


def test_nothing_secret_in_repr() -> None:
    party = role("hospital", [1])
    assert repr(party) == "<Intersecting hospital: new>"


def test_disclosure_follows_the_terms() -> None:
    facts = {
        (item.who, item.fact) for item in psi.intersection_disclosure(terms("rows")).learned if item.visibility == "by_design"
    }
    assert facts == {
        ("hospital", "list_size"),
        ("hospital", "intersection_size"),
        ("hospital", "membership"),
        ("registry", "list_size"),
    }
    counted = psi.intersection_disclosure(terms("count", PARTIES))
    assert {item.fact for item in counted.of("registry")} == {"list_size", "intersection_size"}
