"""What operator and gate see, alone and together, is simulated from the sum alone; and no longer once any mask is left out.

Two arguments together. Every message but the masked inputs is the same, bit by bit, for other inputs with the same sum: it
carries nothing else about them. And masked inputs, after everything that operator and gate can take away has been taken away,
are uniform but for their sum.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support import families

from protocols.aggregation import masking, party, sharing
from protocols.aggregation.messages import MaskedInput, MaskedSum, Opening, Shares
from protocols.local import run_local
from protocols.primitives.keystream import apply_keystreams
from protocols.wire import decode_frame

LENGTH = 8192
PARTIES = 5
DROPPED = "p4"
STAY = PARTIES - 1


@dataclasses.dataclass
class View:
    """Everything that was sent, and what operator and gate compute from it together.

    residuals: of each survivor, its masked input without its own mask (its seed is open), the gate's, and those with the
    dropped one (its mask key is open). late: the dropped one's input, had it come late, without pair masks and the gate's.
    """

    messages: list[tuple[str, str, Any]]
    total: Any
    residuals: list[Any]
    late: Any
    result: Any


def small_vectors(seed: int) -> dict[str, Any]:
    """Small numbers: without a mask they do not look uniform. One vector makes the sum the same for all seeds."""
    source = np.random.default_rng(seed)
    vectors = {f"p{index}": source.integers(-50, 51, LENGTH) for index in range(PARTIES)}
    vectors["p3"] = np.arange(LENGTH) % 7 - sum(vectors[f"p{index}"] for index in range(STAY - 1))
    return vectors


def view_of(vectors: dict[str, Any], seed: str = "view") -> View:
    params = families.sum_params(PARTIES, length=LENGTH, bound=1000, chunk_words=LENGTH)
    roles = families.sum_roles(params, vectors, seed=seed)
    messages: list[tuple[str, str, Any]] = []
    outputs = run_local(
        roles,
        on_frame=lambda sender, recipient, frame: messages.append((sender, recipient, decode_frame(frame)[1])),
        falls_silent=lambda sender, message: sender == DROPPED and isinstance(message, Shares),
    )
    inputs = {
        sender: message.words.view("<u4")[:, 0].copy() for sender, _, message in messages if isinstance(message, MaskedInput)
    }
    context, gate = roles["p0"]._context, roles["gate"]
    secrets = {index: roles[f"p{index}"]._secrets for index in range(PARTIES)}
    total = next(message.words.view("<u4")[:, 0] for _, _, message in messages if isinstance(message, MaskedSum))
    residuals = []
    for index in range(STAY):
        element = inputs[f"p{index}"]
        own = [masking.self_mask(context, index, secrets[index].seed), *masking.gate_masks(context, [index], gate._key).minus]
        own.append(pair_key(context, STAY, index, secrets[STAY]))  # the survivor has the lower index: it added
        apply_keystreams(element, 0, minus=own)
        residuals.append(element)
    late = masking.to_ring(vectors[DROPPED], 32)
    keys = party.party_masks(context, STAY, range(STAY), secrets[STAY])
    apply_keystreams(late, 0, plus=keys.plus, minus=keys.minus)
    for index in range(STAY):
        apply_keystreams(late, 0, plus=[pair_key(context, STAY, index, secrets[STAY])])
    apply_keystreams(late, 0, minus=masking.gate_masks(context, [STAY], gate._key).minus)
    return View(messages, total, residuals, late, outputs["gate"])


def pair_key(context: Any, index: int, neighbour: int, secrets: sharing.RoundSecrets) -> bytes:
    from protocols.primitives.prf import KeyAgreement

    return masking.pair_masks(context, index, [neighbour], KeyAgreement(secrets.mask))[neighbour]


def simulated(total: Any, seed: int) -> list[Any]:
    """Residuals made from the sum alone: uniform, but for their sum."""
    source = np.random.default_rng(seed)
    drawn = [source.integers(0, 2**32, LENGTH, dtype=np.uint32) for _ in range(STAY - 1)]
    return [*drawn, (total - sum(drawn)).astype(np.uint32)]


def looks_uniform(words: Any) -> bool:
    """Chi-square over each of the four bytes; a false alarm once in ten million."""
    for byte in words.reshape(-1, 1).view(np.uint8).T:
        counts = np.bincount(byte, minlength=256)
        if stats.chisquare(counts).pvalue < 1e-7:
            return False
    return True


def faults(residuals: list[Any], late: Any, masked_total: Any) -> set[str]:
    """What a distinguisher finds: the operator alone, operator and gate together, and of a vector that came too late."""
    found = set()
    if not looks_uniform(masked_total):
        found.add("operator alone sees the sum")
    for size in range(1, len(residuals)):
        for chosen in itertools.combinations(range(len(residuals)), size):
            if not looks_uniform(sum(residuals[index] for index in chosen)):
                found.add("operator and gate see a part of the sum")
    for first, second in itertools.combinations(residuals, 2):
        if not looks_uniform(first - second):
            found.add("operator and gate see a difference")
    if not looks_uniform(late):
        found.add("operator and gate see a late vector")
    return found


def test_views_are_those_of_a_simulator_that_knows_the_sum_only() -> None:
    vectors = small_vectors(1)
    view = view_of(vectors)
    exact = sum(vectors[f"p{index}"] for index in range(STAY))
    np.testing.assert_array_equal(view.result.values, exact)
    np.testing.assert_array_equal(sum(view.residuals), exact.astype(np.uint32))
    assert faults(view.residuals, view.late, view.total) == set()
    source = np.random.default_rng(2)
    noise = source.integers(0, 2**32, (2, LENGTH), dtype=np.uint32)
    assert faults(simulated(exact.astype(np.uint32), 3), noise[0], noise[1]) == set()


def test_all_but_the_masked_inputs_is_the_same_for_other_inputs_with_the_same_sum() -> None:
    first, second = view_of(small_vectors(1)), view_of(small_vectors(9))
    assert len(first.messages) == len(second.messages)
    changed = 0
    for (sender, to, message), (other_sender, other_to, other) in zip(first.messages, second.messages, strict=True):
        assert (sender, to, type(message)) == (other_sender, other_to, type(other))
        for field in dataclasses.fields(message):
            ours, theirs = getattr(message, field.name), getattr(other, field.name)
            if isinstance(message, MaskedInput) and field.name == "words":
                assert ours.shape == theirs.shape
                changed += not np.array_equal(ours, theirs)
            else:
                assert np.array_equal(ours, theirs), f"{type(message).__name__}.{field.name} depends on the inputs"
    assert changed == STAY


def test_other_randomness_gives_other_views() -> None:
    """The comparison above compares something: only the same secrets give the same messages."""
    first, second = view_of(small_vectors(1)), view_of(small_vectors(1), seed="other")
    pairs = zip(first.messages, second.messages, strict=True)
    assert not any(message.nonce == other.nonce for (_, _, message), (_, _, other) in pairs if isinstance(message, Opening))


@pytest.mark.parametrize(
    ("left_out", "fault"),
    [
        ("self", "operator and gate see a late vector"),
        ("gate", "operator alone sees the sum"),
        ("pairs", "operator and gate see a part of the sum"),
        ("one pair", "operator and gate see a part of the sum"),
    ],
)
def test_the_distinguisher_finds_a_mask_that_is_left_out(left_out: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = masking.party_masks

    def careless(context: Any, index: int, neighbours: Any, secrets: Any) -> masking.MaskKeys:
        keys = honest(context, index, neighbours, secrets)
        own, gate, *plus = keys.plus
        if left_out == "pairs":
            # Survivors forget each other; the masks with the dropped one stay, for the operator takes them away.
            return masking.MaskKeys((own, gate, *plus[-1:]), ()) if index < STAY else keys
        if left_out == "one pair":
            # The graph falls into {p0, p1} and {p2, p3}.
            kept = [key for at, key in zip(range(index + 1, PARTIES), plus, strict=True) if {index, at} in SIDES or at == STAY]
            taken = [key for at, key in zip(range(index), keys.minus, strict=True) if {index, at} in SIDES or index == STAY]
            return masking.MaskKeys((own, gate, *kept), tuple(taken))
        return masking.MaskKeys((gate, *plus) if left_out == "self" else (own, *plus), keys.minus)

    monkeypatch.setattr(party, "party_masks", careless)
    view = view_of(small_vectors(1))
    assert fault in faults(view.residuals, view.late, view.total)


SIDES = ({0, 1}, {2, 3})
