"""Secure sums against numpy: every schedule of dropouts for few parties, random ones for more; who is revealed to whom."""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import families

from protocols import aggregation
from protocols.aggregation.local import finishes
from protocols.aggregation.messages import MaskedInput, Reveal, Survivors
from protocols.errors import PartiesLost
from protocols.local import run_local
from protocols.wire import decode_frame

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
