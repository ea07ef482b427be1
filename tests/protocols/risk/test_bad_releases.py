"""Three releases that must not go out: each fails, and who or what was found is for the auditor alone."""

from __future__ import annotations

import hashlib

import pandas as pd
from support.deterministic import DeterministicRng

from protocols import risk
from protocols.risk import identifiers
from protocols.risk.reconstruction import History, published, suppressed

PHONE = "13800138000"


def told(found: risk.Finding) -> str:
    """Everything that others than the auditor may see of a finding."""
    whole = risk.together([found])
    return found.message + repr(found) + whole.to_frame().to_string() + whole._repr_html_()


def test_identifiers_that_were_only_hashed() -> None:
    column = [hashlib.sha256(number.encode()).hexdigest() for number in (PHONE, "13800130001")]
    found = risk.dictionary(column, identifiers.mobiles(["1380013"]), rng=DeterministicRng(b"bad"))
    assert found.verdict == "FAIL"
    assert PHONE in dict(found.exposed).values()
    assert PHONE not in told(found)
    assert column[0] not in told(found)


def test_a_table_whose_margins_tell_a_suppressed_cell() -> None:
    counts = pd.DataFrame([[31, 14, 25], [12, 7, 40]])
    number = {(row, column): row * 3 + column for row in range(2) for column in range(3)}
    history = History(6)
    history.add(published([at], int(counts.iat[cell])) for cell, at in number.items() if cell != (1, 1))
    history.add([suppressed([number[1, 1]], 10)])
    assert history.judge([number[1, 1]]).verdict == "PASS"
    found = history.with_release([published([3, 4, 5], 59, "total of the second row")]).judge([number[1, 1]])
    assert (found.verdict, found.exposed) == ("FAIL", ((4, 7.0, 7.0),))
    assert "7.0" not in told(found)


def test_two_releases_that_differ_by_one_person() -> None:
    """The same question before and after somebody moved in: the difference is their diagnosis."""
    # cells: the others with and without the illness, the new one with and without it
    history = History(4, upper=[500, 500, 1, 1])
    history.add([published([0], 41), published([1], 159)])
    history.add([published([2, 3], 1, "known: somebody moved in")])
    assert history.judge([2, 3]).verdict == "PASS"
    grown = history.with_release([published([0, 2], 42), published([1, 3], 159)])
    found = grown.judge([2, 3])
    assert found.verdict == "FAIL"
    assert found.exposed == ((2, 1.0, 1.0), (3, 0.0, 0.0))
    assert "1.0" not in told(found)
