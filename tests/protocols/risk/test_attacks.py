"""Attacks where the truth is known: clean releases pass, planted leaks of a known size are found, bad releases fail."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np
import pandas as pd
import pytest
from support.deterministic import DeterministicRng

from protocols import desensitise, risk
from protocols.desensitise import models as privacy
from protocols.errors import ParameterError
from protocols.risk import identifiers

COLUMNS = ["age", "height", "weight", "town", "job", "income"]


def people(number: int, seed: int) -> pd.DataFrame:
    """A population in which columns hang together, as they do: a release teaches about everybody."""
    rng = np.random.default_rng(seed)
    town = rng.integers(0, 6, number)
    job = (town + (rng.random(number) < 0.3) * rng.integers(0, 6, number)) % 6
    age = np.clip(rng.normal(40 + 3 * job, 12, number).round(), 18, 95)
    return pd.DataFrame(
        {
            "age": age,
            "height": rng.normal(170, 10, number).round(1),
            "weight": rng.normal(70, 12, number).round(1),
            "town": [f"t{n}" for n in town],
            "job": [f"j{n}" for n in job],
            "income": np.array([f"band {n}" for n in (job + (rng.random(number) < 0.7) * rng.integers(0, 6, number)) % 6]),
        }
    )


def mixed(original: pd.DataFrame, leak: float, seed: int) -> pd.DataFrame:
    """A release of other people from the same population, but for a part that is copied from the original."""
    fresh = people(len(original), seed)
    copied = np.random.default_rng(seed).random(len(original)) < leak
    fresh.loc[copied] = original.loc[copied]
    return fresh


ORIGINAL, CONTROL = people(1500, 1), people(1500, 2)


def attack(name: str, release: pd.DataFrame, seed: int, original: pd.DataFrame = ORIGINAL) -> risk.Finding:
    rng = DeterministicRng(b"attack" + bytes([seed]))
    if name == "linkability":
        return risk.linkability(
            release, original, CONTROL, ["height", "town", "income"], ["weight", "age", "job"], attempts=1500, rng=rng
        )
    if name == "inference":
        return risk.inference(
            release, original, CONTROL, ["age", "height", "weight", "town", "job"], "income", attempts=1500, rng=rng
        )
    return risk.singling_out(release, original, CONTROL, COLUMNS, width=3, attempts=1500, rng=rng)


@pytest.mark.parametrize("name", ["inference", "singling out"])
def test_a_release_without_a_leak_passes(name: str) -> None:
    verdicts = [attack(name, people(1500, 10 + seed), seed).verdict for seed in range(2)]
    assert verdicts == ["PASS", "PASS"]


def test_an_attack_that_never_works_shows_nothing() -> None:
    found = attack("linkability", people(1500, 10), 0)
    assert (found.verdict, found.blocks) == ("INCONCLUSIVE", True)
    assert "no better than guessing" in found.message


@pytest.mark.parametrize("name", ["linkability", "inference", "singling out"])
def test_a_planted_leak_fails(name: str) -> None:
    found = attack(name, mixed(ORIGINAL, 0.6, 20), 1)
    assert found.verdict == "FAIL"
    assert found.exposed
    assert "band" not in found.message


@pytest.mark.parametrize("leak", [0.2, 0.5, 0.9])
def test_the_size_of_a_leak_is_found(leak: float) -> None:
    """Copied people are linked; others meet by chance at the control's rate, which the excess takes off."""
    found = attack("linkability", mixed(ORIGINAL, leak, 30), 2)
    assert found.risk is not None
    assert found.risk.value == pytest.approx(leak, abs=0.12)  # a little less: ties go to the first row
    inferred = attack("inference", mixed(ORIGINAL, leak, 31), 3)
    assert inferred.risk is not None
    assert inferred.risk.value == pytest.approx(leak, abs=0.13)


def test_k_anonymity_stops_linkage() -> None:
    trees = {"age": desensitise.Interval(widths=(10, 20, 40)), "town": [(f"t{n}", f"half {n % 2}", "*") for n in range(6)]}
    safe = desensitise.k_anonymise(ORIGINAL, quasi=["age", "town"], hierarchies=trees, k=12)
    labels = {
        name: desensitise.hierarchy.as_hierarchy(trees[name]).apply(ORIGINAL[name], level)
        for name, level in safe.levels.items()
    }
    truth = list(range(len(ORIGINAL)))
    rng = DeterministicRng(b"linkage")
    assert risk.linkage(safe.frame, ORIGINAL.assign(**labels), ["age", "town"], truth, rng=rng).verdict == "PASS"
    raw = risk.linkage(ORIGINAL, ORIGINAL, ["age", "height", "town", "job"], truth, rng=rng)
    assert raw.verdict == "FAIL"
    assert len(raw.exposed) > 1000


def test_linkage_without_the_truth_draws_and_takes_off_what_outsiders_match() -> None:
    rng = DeterministicRng(b"draws")
    classes = pd.DataFrame({"q": np.repeat(np.arange(100), 4)})
    found = risk.linkage(classes, pd.concat([classes] * 5), ["q"], rng=rng)
    assert found.risk is not None
    assert found.risk.value == pytest.approx(1 / 4, abs=0.03)
    shifted = risk.linkage(classes, pd.concat([classes] * 5), ["q"], control=pd.concat([classes] * 5), rng=rng)
    assert shifted.risk is not None
    assert shifted.risk.low == 0
    absent = risk.linkage(classes, pd.DataFrame({"q": [500, 501]}), ["q"], [-1, -1], rng=rng)
    assert absent.exposed == ()
    with pytest.raises(ParameterError, match="one row of the release"):
        risk.linkage(classes, classes, ["q"], [0])


def test_homogeneous_classes_are_found_and_named_to_the_auditor_only() -> None:
    frame = pd.DataFrame({"q": ["a"] * 4 + ["b"] * 4, "ill": ["hiv"] * 4 + ["flu", "hiv", "flu", "flu"]})
    found = risk.homogeneity(frame, ["q"], "ill", rng=DeterministicRng(b"h"))
    assert (found.verdict, found.exposed) == ("FAIL", (0, 1, 2, 3))
    assert "hiv" not in found.message + repr(found)
    hidden = frame.assign(q=["a"] * 4 + ["*"] * 4, ill=["hiv"] * 8)
    assert risk.homogeneity(hidden, ["q"], "ill").exposed == (0, 1, 2, 3)
    assert risk.homogeneity(frame, ["q"], "ill", harmless=["hiv"]).verdict == "PASS"
    assert risk.homogeneity(frame, ["q"], "ill", share=0.7).exposed == (0, 1, 2, 3, 4, 6, 7)


def digests(values: list[str], kind: str, salt: bytes = b"") -> list[str]:
    return [hashlib.new(kind, salt + value.encode()).hexdigest() for value in values]


PHONES = [f"1380013{n:04}" for n in range(0, 9000, 900)]


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_hashed_phone_numbers_are_found(kind: str) -> None:
    found = risk.dictionary(digests(PHONES, kind), identifiers.mobiles(["1380013"]), rng=DeterministicRng(b"d"))
    assert found.verdict == "FAIL"
    assert "10 of 10 values found" in found.message
    assert dict(found.exposed)[hashlib.new(kind, PHONES[3].encode()).digest()] == PHONES[3]
    assert not any(phone in found.message + repr(found) for phone in PHONES)


def test_a_fixed_salt_that_leaked_does_not_help_and_an_unknown_one_does() -> None:
    column = digests(PHONES, "sha256", b"pepper")
    space = identifiers.mobiles(["1380013"])
    known = identifiers.hash_transforms(salts=[b"other", b"pepper"])
    assert risk.dictionary(column, space, transforms=known).verdict == "FAIL"
    found = risk.dictionary(column, space)
    assert found.verdict == "PASS"  # the whole space was tried
    assert "control 0 of 10" in found.message


def test_a_budget_that_ends_first_is_inconclusive() -> None:
    column = digests(["19912345678"], "sha256")
    found = risk.dictionary(column, identifiers.mobiles(), budget=4000)
    assert found.verdict == "INCONCLUSIVE"
    assert "the budget ended first" in found.message


def test_identity_numbers_carry_their_check_digit() -> None:
    day = datetime.date(1949, 12, 31)
    space = identifiers.id_numbers(["110105"], day, day + datetime.timedelta(days=1))
    assert space.size == 2000
    assert space.at(2) == "11010519491231002X"  # the example of GB 11643-1999
    found = risk.dictionary(digests(["11010519491231002X"], "sha1"), space)
    assert (found.verdict, found.exposed[0][1]) == ("FAIL", "11010519491231002X")


def test_an_encryption_whose_key_leaked_is_a_transform() -> None:
    key = bytes(16)
    column = list(desensitise.ff1.encrypt(PHONES, key=key))
    way = {"FF1": lambda data: desensitise.ff1.encrypt([data.decode()], key=key)[0].encode()}
    assert risk.dictionary(column, identifiers.listed([*PHONES, "13800139999"]), transforms=way).verdict == "FAIL"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: risk.dictionary([], identifiers.listed(["a"])), "no values"),
        (lambda: risk.dictionary(["x"], identifiers.listed([])), "no identifiers"),
        (lambda: risk.dictionary(["x"], identifiers.listed(["a"]), budget=0), "at least one"),
        (lambda: identifiers.mobiles(["138", "13"]), "the same number"),
        (lambda: identifiers.id_numbers(["11"], datetime.date(2000, 1, 1), datetime.date(2000, 1, 1)), "6 digits"),
        (lambda: risk.inference(ORIGINAL, ORIGINAL, CONTROL, ["age"], "age"), "the secret is none"),
        (lambda: risk.linkability(ORIGINAL, ORIGINAL, CONTROL, ["age"], ["age"]), "different columns"),
        (lambda: risk.singling_out(ORIGINAL, ORIGINAL, CONTROL, COLUMNS, width=9), "from 1 to all"),
        (lambda: risk.homogeneity(ORIGINAL, ["age"], "age"), "no quasi-identifier"),
        (lambda: risk.membership([1.0], [0.0]), "two outsiders"),
        (lambda: risk.membership([1.0], [0.0, float("nan")]), "NaN"),
    ],
)
def test_misuse_is_refused(make: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()  # type: ignore[operator]


def test_membership_of_an_overfitted_model_fails_and_of_a_dull_one_passes() -> None:
    rng = np.random.default_rng(5)
    outside = rng.normal(0, 1, 20_000)
    overfitted = risk.membership(rng.normal(3, 1, 5_000), outside, rng=DeterministicRng(b"m"))
    assert [item.verdict for item in overfitted.items] == ["FAIL", "FAIL"]
    risk_at_one = overfitted.items[1].risk
    assert risk_at_one is not None
    assert risk_at_one.value == pytest.approx(0.75, abs=0.05)  # 1 − Φ(2.326 − 3)
    dull = risk.membership(rng.normal(0, 1, 5_000), outside, rng=DeterministicRng(b"m"))
    assert "FAIL" not in [item.verdict for item in dull.items]
    assert all(item.risk is not None and item.risk.high < 0.01 for item in dull.items)
    few = risk.membership(rng.normal(0, 1, 50), rng.normal(0, 1, 60), rng=DeterministicRng(b"m"))
    assert few.verdict == "INCONCLUSIVE"
    assert "too few to set" in few.items[0].message


SPLIT = {"q": [("a", "ab", "*"), ("b", "ab", "*"), ("c", "c", "*")]}


def diverse(frame: pd.DataFrame) -> pd.DataFrame:
    """The optimal table of 2 different illnesses a class: it says by its levels that the finer one was not diverse."""
    return desensitise.k_anonymise(
        frame, quasi=["q"], hierarchies=SPLIT, k=2, models=[privacy.DistinctDiversity(column="ill", l=2)]
    ).frame


def test_a_minimality_replay_finds_what_an_optimal_table_tells() -> None:
    """Released as "ab", the table tells that a or b was all alike; of these values only the two in a can have been."""
    frame = pd.DataFrame({"q": list("aabbbcc"), "ill": ["hiv", "hiv", "flu", "cold", "gout", "flu", "hiv"]})
    release = diverse(frame)
    assert release["q"].tolist() == ["ab"] * 5 + ["c"] * 2
    found = risk.minimality(release, frame[["q"]], ["q"], "ill", diverse)
    assert "12 of 120 possible tables" in found.message
    assert (found.verdict, found.exposed) == ("FAIL", ((0, "hiv"), (1, "hiv")))
    assert "hiv" not in found.message


def test_a_procedure_that_does_not_look_at_the_secret_tells_nothing_by_replay() -> None:
    frame = pd.DataFrame({"q": list("aabb"), "ill": ["hiv", "flu", "flu", "flu"]})

    def blunt(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(q="*")

    found = risk.minimality(blunt(frame), frame[["q"]], ["q"], "ill", blunt)
    assert (found.verdict, found.message.split()[0]) == ("PASS", "4")
    assert risk.minimality(blunt(frame), frame[["q"]], ["q"], "ill", blunt, budget=3).verdict == "INCONCLUSIVE"
    wrong = risk.minimality(blunt(frame), frame[["q"]], ["q"], "ill", lambda table: table)
    assert wrong.verdict == "INCONCLUSIVE"


def test_downcoding_undoes_labels_that_are_as_fine_as_they_can_be() -> None:
    """Labels are the least interval around both of a pair: one row at 3, the other must be at 7."""

    def tight(frame: pd.DataFrame) -> pd.DataFrame:
        ages = frame["age"].astype(int)
        return frame.assign(age=f"{ages.min()}-{ages.max()}")

    release = tight(pd.DataFrame({"age": [3, 7], "name": ["x", "y"]}))
    assert release["age"].tolist() == ["3-7", "3-7"]
    found = risk.downcoding(release, [[3, 4], [4, 5, 6, 7]], "age", tight)
    assert (found.verdict, dict(found.exposed)) == ("FAIL", {0: 3, 1: 7})

    def wide(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(age="0-9")

    assert risk.downcoding(wide(release), [[3, 4], [4, 5]], "age", wide).verdict == "PASS"
    assert risk.downcoding(release, [[3, 4], [4, 5]], "age", tight, budget=3).verdict == "INCONCLUSIVE"
