"""Secure sums against numpy: every schedule of dropouts for few parties, random ones for more; who is revealed to whom."""

from __future__ import annotations

import itertools
import os
import re
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import families

from protocols import aggregation
from protocols.aggregation.local import finishes
from protocols.aggregation.messages import MaskedInput, Reveal, Survivors
from protocols.aggregation.uploads import Uploads
from protocols.errors import PartiesLost
from protocols.local import run_local
from protocols.wire import decode_frame

CIPHERS = ("chacha20", "aes256ctr")
STEPS = ("advertise", "share", "masked_input", "consistency")
FULL = os.environ.get("SANDBOX_LONG_TESTS") == "1"


def vectors_of(parties: int, length: int = 20, seed: int = 0) -> dict[str, Any]:
    source = np.random.default_rng(seed)
    return {f"p{index}": source.integers(-1000, 1001, length) for index in range(parties)}


def expected_survivors(parties: int, drops: dict[str, str], threshold: int, shares: int) -> list[str] | None:
    """The oracle: who is in the sum of a complete graph, or None where too few remain. Only sets, no cryptography."""
    names = [f"p{index}" for index in range(parties)]

    def heard(step: str) -> set[str]:
        """Who finishes this step: everyone who does not fall silent after an earlier one."""
        earlier = STEPS[: STEPS.index(step)]
        return {name for name in names if drops.get(name) not in earlier}

    dealt, masked, signed = heard("share"), heard("masked_input"), heard("consistency")
    unmask = signed - {name for name, step in drops.items() if step == "consistency"}
    if min(len(dealt), len(masked), len(signed)) < threshold:
        return None
    if any(len(unmask - {dealer}) < shares for dealer in dealt):
        return None
    return [name for name in names if name in masked]


def test_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(aggregation.__file__).with_name("README.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102  (the project's own document)
    claimed = re.findall(r"^print\(.*\)  # (.*)$", text, flags=re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == claimed


class Watch:
    """What the operator could put together from what it was sent: which secrets, and whose masked vectors."""

    def __init__(self, params: aggregation.SumParams) -> None:
        self.params = params
        self.kinds: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.inputs: set[str] = set()
        self.kept: set[int] = set()

    def __call__(self, sender: str, recipient: str, frame: bytes) -> None:
        message = decode_frame(frame)[1]
        if isinstance(message, Survivors):
            self.kept = set(message.dealers[message.kept[:, 0] == 1].tolist())
        if isinstance(message, MaskedInput):
            self.inputs.add(sender)
        if isinstance(message, Reveal):
            for dealer in message.dealers.tolist():
                kind = "seed" if dealer in self.kept else "key"
                self.kinds[kind][dealer].add(sender)

    def assert_no_vector_is_open(self) -> None:
        """No party's seed and mask key are both open, even with all colluding parties' shares."""
        extra = self.params.colluding
        for dealer in range(len(self.params.parties)):
            both = [len(self.kinds[kind][dealer]) for kind in ("seed", "key")]
            assert not all(both), "both secrets of one party were revealed"
            assert min(both) + extra < self.params.shares


def run(parties: int, drops: dict[str, str], **changes: Any) -> tuple[Any, aggregation.SumParams]:
    params = families.sum_params(parties, length=20, **changes)
    vectors = vectors_of(parties)
    watch = Watch(params)
    try:
        outputs = run_local(
            families.sum_roles(params, vectors),
            on_frame=watch,
            falls_silent=lambda sender, message: sender in drops and finishes(params, drops[sender], message),  # type: ignore[arg-type]
        )
    finally:
        watch.assert_no_vector_is_open()
    result = outputs["gate"]
    np.testing.assert_array_equal(result.values, sum(vectors[name] for name in result.survivors))
    assert result.survivors == outputs["operator"].survivors
    for name, seen in outputs.items():
        if name not in ("operator", "gate"):
            assert seen.survivors == result.survivors
    assert set(outputs["operator"].dropped) >= {name for name, step in drops.items() if step in ("advertise", "share")}
    return result, params


def schedules(parties: int) -> Iterable[dict[str, str]]:
    """All schedules; from four parties on, one of each kind: the complete graph does not tell parties apart."""
    names = [f"p{index}" for index in range(parties)]
    if FULL or parties <= 3:
        choices: Iterable[tuple[str | None, ...]] = itertools.product((None, *STEPS), repeat=parties)
    else:
        choices = itertools.combinations_with_replacement((None, *STEPS), parties)
    for turn, choice in enumerate(choices):
        turned = names[turn % parties :] + names[: turn % parties]
        yield {name: step for name, step in zip(turned, choice, strict=True) if step}


@pytest.mark.parametrize("parties", [3, 4, 5, 6])
def test_every_schedule_of_dropouts_gives_the_exact_sum_or_names_the_lost(parties: int) -> None:
    done = lost = 0
    for drops in schedules(parties):
        params = families.sum_params(parties, length=20)
        expected = expected_survivors(parties, drops, params.threshold, params.shares)
        if expected is None:
            with pytest.raises(PartiesLost) as caught:
                run(parties, drops)
            assert set(caught.value.names) <= set(drops)
            assert caught.value.names
            lost += 1
        else:
            result, _ = run(parties, drops)
            assert list(result.survivors) == expected
            done += 1
    assert lost
    assert done > 1 or parties == 3


@st.composite
def rounds(draw: st.DrawFn) -> dict[str, Any]:
    """Some parties, some of whom drop, a ring, a vector longer or shorter than a chunk, values up to the bound."""
    parties = draw(st.integers(3, 9))
    threshold = draw(st.none() | st.integers(max(3, parties // 2 + 1), parties))
    length = draw(st.integers(1, 50))
    # 2^31 and 2^63: the largest bounds that leave room in either ring.
    most = draw(st.sampled_from([1, 1000, (2**31 - 1) // parties, (2**63 - 1) // parties]))
    seed = draw(st.integers(0, 2**32))
    drops = draw(st.dictionaries(st.integers(0, parties - 1), st.sampled_from(STEPS), max_size=3))
    fields = {"length": length, "bound": most, "threshold": threshold, "cipher": draw(st.sampled_from(CIPHERS))}
    return {"parties": parties, "seed": seed, "drops": drops, **fields}


@settings(max_examples=40, deadline=None)
@given(case=rounds())
def test_any_sum_is_exact_in_either_ring(case: dict[str, Any]) -> None:
    n, bound = case["parties"], case["bound"]
    source = np.random.default_rng(case["seed"])
    edges = np.array([bound, -bound, 0])
    values = {
        f"p{index}": np.where(
            source.random(case["length"]) < 0.5,
            source.choice(edges, case["length"]),
            source.integers(-bound, bound, case["length"], endpoint=True),
        )
        for index in range(n)
    }
    drops = {f"p{index}": step for index, step in case["drops"].items() if index < n}
    fields = {name: case[name] for name in ("length", "bound", "threshold", "cipher")}
    params = families.sum_params(n, **fields)
    assert params.ring_bits == (32 if n * bound < 2**31 else 64)
    expected = expected_survivors(n, drops, params.threshold, params.shares)
    roles = families.sum_roles(params, values)

    def silent(sender: str, message: Any) -> bool:
        return sender in drops and finishes(params, drops[sender], message)  # type: ignore[arg-type]

    if expected is None:
        with pytest.raises(PartiesLost):
            run_local(roles, falls_silent=silent)
        return
    result = run_local(roles, falls_silent=silent)["gate"]
    assert list(result.survivors) == expected
    exact = [sum(int(values[name][at]) for name in expected) for at in range(case["length"])]
    assert result.values.tolist() == exact


@pytest.mark.parametrize("drops", [{}, {"p3": "share", "p9": "share", "p20": "masked_input", "p31": "consistency"}])
def test_sums_over_a_regular_graph_are_exact(drops: dict[str, str]) -> None:
    result, params = run(50, drops, dropout=0.1, corruption=0.1)
    assert (params.neighbours, params.shares) == (12, 6)
    assert set(drops) & set(result.survivors) == {name for name, step in drops.items() if step in STEPS[2:]}


def test_more_drops_than_a_regular_graph_is_made_for_end_the_round_and_are_named() -> None:
    drops = {f"p{index}": "share" for index in range(17)}
    params = families.sum_params(50)
    assert len(drops) > 50 - params.threshold
    with pytest.raises(PartiesLost, match="33 of 50 remain where 34 are needed") as caught:
        run(50, drops)
    assert set(caught.value.names) == set(drops)


@pytest.mark.parametrize("parties_at_once", [1, 2])
def test_a_party_that_drops_amid_its_vector_leaves_no_trace(parties_at_once: int) -> None:
    params = families.sum_params(5, length=100)
    vectors = vectors_of(5, length=100)
    sent = [0]

    def silent(sender: str, message: Any) -> bool:
        sent[0] += sender == "p2" and isinstance(message, MaskedInput)
        return sender == "p2" and sent[0] == 3

    roles = families.sum_roles(params, vectors)
    roles["operator"] = aggregation.SumOperator("operator", params, buffer_bytes=parties_at_once * 400)
    arriving: list[str] = []

    def watch(sender: str, _: str, frame: bytes) -> None:
        message = decode_frame(frame)[1]
        if isinstance(message, MaskedInput):
            arriving.append(sender)
            unfinished = {name for name in arriving if arriving.count(name) < (3 if name == "p2" else 7)}
            assert len(unfinished) <= parties_at_once

    outputs = run_local(roles, falls_silent=silent, on_frame=watch)
    assert outputs["gate"].survivors == ("p0", "p1", "p3", "p4")
    assert outputs["operator"].dropped == {"p2": "masked_input"}
    np.testing.assert_array_equal(outputs["gate"].values, sum(vectors[name] for name in outputs["gate"].survivors))


def test_the_operator_keeps_one_sum_however_many_parties_send() -> None:
    length, words = 1 << 12, 1 << 8
    params = families.sum_params(12, length=length, chunk_words=words)
    vectors = vectors_of(12, length=length)
    uploads = Uploads(params, buffer_bytes=2 * 4 * length)
    assert uploads.places == 2
    chunk = np.zeros((words, 4), dtype=np.uint8)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for index in range(12):
            for first in range(0, length, words):
                uploads.take(index, MaskedInput(first=first, words=chunk))
        assert tracemalloc.get_traced_memory()[1] - before < 2 * 4 * length
    finally:
        tracemalloc.stop()
    roles = families.sum_roles(params, vectors)
    roles["operator"] = aggregation.SumOperator("operator", params, buffer_bytes=2 * 4 * length)
    np.testing.assert_array_equal(run_local(roles)["gate"].values, sum(vectors.values()))


def test_unmasking_in_threads_gives_the_same_sum() -> None:
    vectors = vectors_of(6, length=(1 << 18) + 100)
    drops: Any = {"p1": "share"}
    with ThreadPoolExecutor(2) as pool:
        result = aggregation.secure_sum(vectors, dropped_after=drops, mapper=pool.map)
    np.testing.assert_array_equal(result.values, sum(vectors[name] for name in result.survivors))


def test_names_do_not_collide_with_the_services() -> None:
    vectors = {name: np.array([1]) for name in ("operator", "gate", "x")}
    assert aggregation.secure_sum(vectors).survivors == ("operator", "gate", "x")
