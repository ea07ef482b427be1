"""`sandbox risk` on files that nothing here made."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from cli_running import Run

ROWS = (
    [("20-29", "a", "flu")] * 6
    + [("20-29", "a", "cold")] * 6
    + [("30-39", "b", "flu")] * 12
    + [("40-49", "b", "gout"), ("*", "*", "flu")]
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "people.csv"
    path.write_text("age,town,ill\n" + "".join(",".join(row) + "\n" for row in ROWS))
    return str(path)


def test_a_table_is_measured_attacked_and_judged(run: Run, file: str) -> None:
    found = run("risk", file, "--quasi", "age,town", "--sensitive", "ill", "--json")
    assert found.code == 0
    document = found.document
    assert (document["rows"], document["suppressed"], document["k"], document["classes"]) == (26, 1, 1, 3)
    assert document["prosecutor"]["highest"] == 1.0
    assert document["diversity"]["ill"]["distinct"] == 1
    assert {item["name"]: item["verdict"] for item in document["gates"]} == {"k": "FAIL", "l": "FAIL", "t": "FAIL"}
    assert document["attacks"][0]["verdict"] == "FAIL"
    assert "13 of 26 rows" in document["attacks"][0]["message"]
    assert (document["verdict"], document["grade"]["grade"]) == ("FAIL", 2)
    text = run("risk", file, "--quasi", "age, town", "--sensitive", "ill")
    assert text.code == 0
    assert "verdict: FAIL" in text.out
    assert not any(value in text.out + found.out for value in ("gout", "40-49"))


def test_a_population_judges_by_the_crowd(run: Run, file: str, tmp_path: Path) -> None:
    people = tmp_path / "all.csv"
    people.write_text("town,age\n" + "a,20-29\n" * 30 + "b,30-39\n" * 40 + "b,40-49\n" * 11)
    found = run("risk", file, "--quasi", "age,town", "--population", str(people), "--json").document
    assert found["journalist"]["highest"] == pytest.approx(1 / 11)
    assert found["gates"][0]["verdict"] == "PASS"
    assert found["verdict"] == "PASS"
    assert (
        run("risk", file, "--quasi", "age,town", "--population", str(people), "--k", "12", "--json").document["verdict"]
        == "FAIL"
    )


def people(path: Path, rng: Random, *, detail: int) -> str:
    """Write 1,000 people whose secret follows from nothing; detail: how many values an age has."""
    lines = [f"age{rng.randrange(detail)},town{rng.randrange(2)},{rng.choice(['flu', 'cold'])}\n" for _ in range(1000)]
    path.write_text("age,town,ill\n" + "".join(lines))
    return str(path)


def test_attacks_with_a_control_group_find_a_leak_and_name_it_to_the_auditor_only(run: Run, tmp_path: Path) -> None:
    rng = Random(5)
    leak, others = people(tmp_path / "leak.csv", rng, detail=3000), people(tmp_path / "others.csv", rng, detail=3000)
    good, strangers = people(tmp_path / "good.csv", rng, detail=20), people(tmp_path / "strangers.csv", rng, detail=20)
    asked = ("--quasi", "age,town", "--sensitive", "ill", "--json")

    found = run("risk", leak, *asked, "--original", leak, "--control", others, "--exposed", str(tmp_path / "who.json"))
    verdicts = {item["name"]: item["verdict"] for item in found.document["attacks"]}
    assert verdicts == dict.fromkeys(("homogeneity", "linkage", "singling out", "inference"), "FAIL")
    who = {item["attack"]: item for item in json.loads((tmp_path / "who.json").read_text())}
    assert len(who["linkage"]["exposed"]) > 500
    assert who["linkage"]["of"] == "original"
    assert all(len(predicate) == 3 for predicate in who["singling out"]["exposed"])
    assert (tmp_path / "who.json").stat().st_mode & 0o777 == 0o600
    assert "age1" not in found.out

    found = run("risk", good, *asked, "--original", good, "--control", strangers)
    verdicts = {item["name"]: item["verdict"] for item in found.document["attacks"]}
    assert verdicts["linkage"] == verdicts["singling out"] == verdicts["homogeneity"] == "PASS"
    # Nobody's secret follows from what is known, so the attack does no better than guessing: that shows nothing.
    assert verdicts["inference"] in ("PASS", "INCONCLUSIVE")
    assert found.document["verdict"] == verdicts["inference"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--quasi", "age,street"], 2, "no column 'street'"),
        (["--quasi", "age,,town"], 2, "commas between"),
        (["--quasi", "age", "--sensitive", "age"], 2, "one or the other"),
        (["--quasi", "age", "--k", "0"], 2, "from 1 on"),
        ([], 2, "--quasi"),
        (["--quasi", "age", "--original", "nowhere.csv"], 2, "go together"),
        (["--quasi", "age", "--population", "nowhere.csv"], 6, "no such file"),
    ],
)
def test_wrong_input_is_refused_in_words(run: Run, file: str, arguments: list[str], code: int, words: str) -> None:
    found = run("risk", file, *arguments)
    assert found.code == code
    assert words in found.err


def test_a_file_that_is_not_there(run: Run) -> None:
    assert run("risk", "nowhere.csv", "--quasi", "a").code == 6
