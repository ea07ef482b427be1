"""Classification and profiles: from counts alone, and never a small one."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.catalogue import classify, declare, evidence_statement, profile_statement, read_profile, table
from sandbox.catalogue.profile import suppress
from sandbox.errors import UsageError
from sandbox.model.expression import ColumnType


def _identity_number(at: int) -> str:
    body = f"11010119900101{at:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


FRAME = pd.DataFrame(
    {
        "id": range(100),
        "x1": [_identity_number(at) for at in range(100)],
        "x2": [_identity_number(at)[:-1] + "A" for at in range(100)],
        "x3": [f"138{at:08d}" for at in range(100)],
        "x4": ["a@example.org"] * 90 + ["none"] * 10,
        "性别": ["男", "女"] * 50,
        "diagnosis": ["x"] * 100,
        "bmi": [20.0 + at / 100 for at in range(100)],
        "na{me}": ["x"] * 100,
        "flag": [True] * 100,
    }
)
TYPES: dict[str, ColumnType] = {"id": "integer", "bmi": "float", "flag": "boolean"}
SCHEMA = tuple((name, TYPES.get(name, "text")) for name in FRAME.columns)


def _row(sql: str, parameters: tuple[str, ...] = ()) -> list[int]:
    with duckdb.connect() as connection:
        connection.register("source", FRAME)
        row = connection.execute(sql, list(parameters)).fetchone()
    assert row is not None
    return list(row)


def test_roles_are_proposed_from_values_names_and_uniqueness() -> None:
    found = {proposal.column: proposal for proposal in classify(SCHEMA, _row(evidence_statement(SCHEMA)))}
    assert {name: proposal.role for name, proposal in found.items()} == {
        "id": "key",
        "x1": "direct_identifier",
        "x2": "direct_identifier",
        "x3": "direct_identifier",
        "x4": "direct_identifier",
        "性别": "quasi_identifier",
        "diagnosis": "sensitive",
        "bmi": "measure",
        "na{me}": "unclassified",
        "flag": "unclassified",
    }
    assert "check digit" in found["x1"].reason
    assert "own value" in found["x2"].reason
    by_name = {proposal.column: proposal.role for proposal in classify(SCHEMA)}
    assert (by_name["x1"], by_name["性别"]) == ("unclassified", "quasi_identifier")
    with pytest.raises(UsageError, match="count it again"):
        classify(SCHEMA, [1, 2])


def test_profiles_hold_declared_bins_and_nothing_small() -> None:
    definition = table(FRAME, key="id", bounds={"bmi": (20, 22)}, codes={"性别": ["男", "女"]})
    asset = declare("registry", "patients", definition, SCHEMA)
    counts = _row(*profile_statement(asset))
    profile = read_profile(asset, counts)
    columns = {column.name: column for column in profile.columns}
    assert set(columns) == {"id", "bmi", "性别"}
    assert [(found.label, found.rows) for found in columns["性别"].bins] == [("男", 50), ("女", 50)]
    assert [found.rows for found in columns["bmi"].bins] == [20, 20, 20, 20, 20, 0, 0, 0, 0, 0]
    assert columns["bmi"].bins[-1].label == "21.8 to 22"
    assert (profile.rows, columns["id"].distinct, columns["id"].missing) == (100, 100, 0)
    small = read_profile(asset, counts, min_count=101)
    assert (small.rows, small.columns) == (None, ())
    with pytest.raises(UsageError, match="count them again"):
        read_profile(asset, counts[1:])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 15))
def test_suppressed_parts_cannot_be_worked_out(parts: list[int], min_count: int) -> None:
    shown = suppress(parts, min_count)
    assert all(count is None or count == part for count, part in zip(shown, parts, strict=True))
    assert all(count is None or count == 0 or count >= min_count for count in shown)
    hidden = [part for count, part in zip(shown, parts, strict=True) if count is None]
    everything = [part for part in parts if part]
    assert (
        not hidden
        or hidden == everything
        or sorted(hidden) == sorted(everything)
        or (len(hidden) >= 2 and sum(hidden) >= min_count)
    )
