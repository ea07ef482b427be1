"""Reconstruction of textbook cases, differencing over a history, and ranges against trying every table."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import ParameterError
from protocols.risk.reconstruction import Constraint, History, published, rounded, suppressed, weighted, within

SEXES, RACES, STATES = ("F", "M"), ("B", "W"), ("S", "M")
AGES = range(116)
# Garfinkel, Abowd, Martindale, "Understanding Database Reconstruction Attacks on Public Data", ACM Queue 16(5), 2018: table 1.
# (group, count, median, mean); (D) marks counts below 3.
BLOCK = [
    ("", 7, 30, 38),
    ("F", 4, 30, 33.5),
    ("M", 3, 30, 44),
    ("B", 4, 51, 48.5),
    ("W", 3, 24, 24),
    ("married adult", 4, 51, 54),
    ("FB", 3, 36, 36.7),
]
SUPPRESSED = ["single adult", "MB", "MW", "FW", "under 5", "under 18", "64 and over"]
SEVEN = {
    (8, "F", "B", "S"),
    (18, "M", "W", "S"),
    (24, "F", "W", "S"),
    (30, "M", "W", "M"),
    (36, "F", "B", "M"),
    (66, "F", "B", "M"),
    (84, "M", "B", "M"),
}
CELLS = list(itertools.product(AGES, SEXES, RACES, STATES))


def in_group(cell: tuple[int, str, str, str], group: str) -> bool:
    age, sex, race, state = cell
    tests = {
        "married adult": age >= 18 and state == "M",
        "single adult": age >= 18 and state == "S",
        "under 5": age < 5,
        "under 18": age < 18,
        "64 and over": age >= 64,
    }
    return tests[group] if group in tests else all(letter in (sex, race) for letter in group)


def block() -> History:
    """Cells are people by age, sex, race and state; a few more unknowns choose the two middle ages of even groups."""
    pairs: list[tuple[int, int]] = []
    constraints: list[Constraint] = []
    for group, count, median, mean in BLOCK:
        members = [at for at, cell in enumerate(CELLS) if in_group(cell, group)]
        ages = [CELLS[at][0] for at in members]
        constraints.append(published(members, count, group))
        slack = 0.05 * count if mean != int(mean * 2) / 2 else 0  # printed to one decimal
        constraints.append(weighted(members, ages, mean * count - slack, mean * count + slack, f"mean of {group}"))
        younger = [at for at in members if CELLS[at][0] < median]
        if count % 2:
            constraints.append(within(younger, 0, count // 2, f"median of {group}"))
            constraints.append(within([at for at in members if CELLS[at][0] <= median], count // 2 + 1, count))
        else:
            choices = [(low, 2 * median - low) for low in range(max(0, 2 * median - AGES[-1]), median + 1)]
            first = len(CELLS) + len(pairs)
            pairs += choices
            constraints.append(published(range(first, first + len(choices)), 1, f"middle ages of {group}"))
            for at, (low, high) in enumerate(choices, start=first):
                # If chosen, at least half are at most `low`, at least half at least `high`, and fewer than half below or above.
                for sign, end in ((1, low), (-1, high)):
                    part = [member for member in members if sign * CELLS[member][0] <= sign * end]
                    outer = [member for member in members if sign * CELLS[member][0] < sign * end]
                    constraints.append(weighted([*part, at], [1.0] * len(part) + [-count / 2], 0, np.inf))
                    constraints.append(weighted([*outer, at], [1.0] * len(outer) + [count / 2 + 1], 0, count))
    constraints.append(
        published([at for at, cell in enumerate(CELLS) if cell[0] < 18 and cell[3] == "M"], 0, "minors are single")
    )
    constraints += [
        suppressed([at for at, cell in enumerate(CELLS) if in_group(cell, group)], 3, group) for group in SUPPRESSED
    ]
    upper = np.ones(len(CELLS) + len(pairs))
    upper[: len(CELLS)] = 7
    history = History(len(upper), upper)
    history.add(constraints)
    return history


def test_the_census_block_of_seven_people_is_reconstructed() -> None:
    history = block()
    found = history.solution()
    assert found is not None
    assert {CELLS[at] for at in np.flatnonzero(found[: len(CELLS)])} == SEVEN
    # Nobody else fits: no table has anybody outside these cells.
    others = [at for at, cell in enumerate(CELLS) if cell not in SEVEN]
    with pytest.raises(ParameterError, match="contradict"):
        history.with_release([within(others, 1, 7)]).solution()


def index(row: int, column: int) -> int:
    return row * 3 + column


ROWS = [[index(row, column) for column in range(3)] for row in range(3)]
COLUMNS = [[index(row, column) for row in range(3)] for column in range(3)]
TABLE = [20, 50, 10, 8, 19, 22, 17, 32, 12]


def margins() -> list[Constraint]:
    return [published(cells, sum(TABLE[at] for at in cells)) for cells in [*ROWS, *COLUMNS]]


def test_one_suppressed_cell_in_a_row_is_read_off_the_margin() -> None:
    history = History(9)
    history.add([*margins(), *(published([at], TABLE[at]) for at in range(9) if at != 3), suppressed([3], 10)])
    found = history.judge([3])
    assert (found.verdict, found.exposed) == ("FAIL", ((3, 8.0, 8.0),))
    assert "8" not in found.message.split("small cells")[1].split("by")[0]


def test_complementary_suppression_that_holds_and_one_that_does_not() -> None:
    shown = [at for at in range(9) if at not in (0, 1, 3, 4)]
    history = History(9)
    history.add([*margins(), *(published([at], TABLE[at]) for at in shown)])
    assert history.judge([3]).verdict == "PASS"
    assert [(item.low, item.high) for item in history.ranges([3, 0])] == [(0, 27), (1, 28)]
    # Three cells in two rows, one of them alone in its row: two others in the same row do not protect it.
    leaky = History(9)
    leaky.add([*margins(), *(published([at], TABLE[at]) for at in range(9) if at not in (3, 7, 8))])
    assert leaky.judge([3]).exposed == ((3, 8.0, 8.0),)


def test_rounding_protects_until_the_intervals_meet() -> None:
    history = History(3)
    history.add([rounded([0], 5, 5), rounded([1], 0, 5), rounded([0, 1], 10, 5)])
    assert [(item.low, item.high) for item in history.ranges([0, 1])] == [(6, 7), (1, 2)]
    assert history.judge([1], narrowest=1).verdict == "FAIL"
    assert history.judge([1]).verdict == "PASS"


def test_a_history_of_tables_that_are_safe_alone_is_refused_at_the_last_one() -> None:
    """Three people of one age band in one street; each release shows only counts from 10 on."""
    # cells: 0 street A young, 1 street A old, 2 street B young, 3 street B old
    history, truth = History(4), [3, 14, 21, 30]
    releases = [[[0, 1, 2, 3]], [[2, 3]], [[1, 3]], [[2]]]
    verdicts = []
    for release in releases:
        assert all(sum(truth[at] for at in cells) >= 10 for cells in release)
        alone = History(4)
        alone.add(published(cells, sum(truth[at] for at in cells)) for cells in release)
        assert alone.judge([0]).verdict == "PASS"
        grown = history.with_release(published(cells, sum(truth[at] for at in cells)) for cells in release)
        verdicts.append(grown.judge([0]).verdict)
        if verdicts[-1] == "PASS":
            history = grown
    assert verdicts == ["PASS", "PASS", "PASS", "FAIL"]
    assert len(history.constraints) == 3


def test_two_releases_that_differ_by_one_person() -> None:
    history = History(3, upper=400)
    history.add([published([0, 1], 120, "all")])
    found = history.with_release([published([0], 119, "all without the new one")]).judge([1])
    assert (found.verdict, found.exposed) == ("FAIL", ((1, 1.0, 1.0),))


def test_a_table_of_whole_numbers_can_be_narrower_than_its_relaxation() -> None:
    """2x + 2y = 2 and 2y + 2z = 2, x + z at most 1: the relaxation allows halves, whole numbers fewer."""
    history = History(3, upper=1)
    history.add([within([0, 1], 1, 1), within([1, 2], 1, 1), within([0, 2], 1, 2)])
    assert [(item.low, item.high) for item in history.ranges()] == [(1, 1), (0, 0), (1, 1)]
    assert history.is_unique() is True


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_ranges_are_those_of_every_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    number, top = int(rng.integers(2, 5)), 4
    truth = rng.integers(0, top + 1, number)
    constraints = []
    for _ in range(int(rng.integers(0, 5))):
        cells = np.flatnonzero(rng.random(number) < 0.6)
        if len(cells):
            value = int(truth[cells].sum())
            low, high = value - int(rng.integers(0, 3)), value + int(rng.integers(0, 3))
            constraints.append(within(cells, low, high))
    history = History(number, upper=top)
    history.add(constraints)
    tables = [
        table
        for table in itertools.product(range(top + 1), repeat=number)
        if all(item.low <= sum(table[at] for at in item.cells) <= item.high for item in constraints)
    ]
    for item in history.ranges():
        assert item.exact
        assert (item.low, item.high) == (min(t[item.cell] for t in tables), max(t[item.cell] for t in tables))
    assert history.is_unique() is (len(tables) == 1)


def test_an_unbounded_cell_is_wide_and_a_contradiction_is_said() -> None:
    history = History(2)
    assert history.ranges([0])[0].high == np.inf
    history.add([published([0], 3), published([0], 4)])
    with pytest.raises(ParameterError, match="contradict"):
        history.judge([0])


def test_a_time_out_is_inconclusive() -> None:
    rng = np.random.default_rng(1)
    number = 400
    history = History(number, upper=1)
    truth = rng.integers(0, 2, number)
    history.add(
        published(cells, int(truth[cells].sum())) for cells in (np.flatnonzero(rng.random(number) < 0.5) for _ in range(60))
    )
    assert history.judge([0], seconds=0.01).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: published([], 3), "at least one cell"),
        (lambda: published([1, 1], 3), "each once"),
        (lambda: within([0], 4, 3), "at most its high"),
        (lambda: rounded([0], 7, 5), "multiple of its base"),
        (lambda: History(2).add([published([2], 1)]), "numbered from 0 to 1"),
    ],
)
def test_misuse_is_refused(make: object, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()  # type: ignore[operator]
