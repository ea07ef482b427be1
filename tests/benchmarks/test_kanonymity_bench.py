"""The benchmark of k-anonymity runs, at a small size, and says what it did."""

from __future__ import annotations

import pytest

from benchmarks.desensitise.kanonymity import CASES, case


@pytest.mark.parametrize("name", CASES)
def test_a_case_runs_on_few_rows(name: str) -> None:
    found = case(name, 2_000, None)
    assert found["rows"] == 2_000
    assert found["smallest"] >= 5  # type: ignore[operator]
    assert found["checked"] >= 1  # type: ignore[operator]
    assert found["suppressed"] <= 20  # type: ignore[operator]
