"""Margins come after suppression: totals of what was released, and nothing of what was withheld."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import sandbox
from sandbox.errors import UsageError

SQL = """SELECT p.sex, r.kind, COUNT(*) AS n, COUNT(DISTINCT p.id) AS people, SUM(r.value) AS total, AVG(r.value) AS mean
FROM registry.people p JOIN lab.results r ON r.id = p.id GROUP BY p.sex, r.kind"""


def test_totals_are_those_of_released_cells(tmp_path: Path) -> None:
    people = pd.DataFrame({"id": range(300), "sex": [n % 2 for n in range(300)]})
    kinds = ["rare" if n < 48 and n % 3 == 0 else "common" if n % 5 else "other" for n in range(300)]
    results = pd.DataFrame({"id": range(300), "kind": kinds, "value": [40 + n % 37 for n in range(300)]})
    tables = {
        "registry": {"people": sandbox.table(people, key="id", unique=True, codes={"sex": [0, 1]})},
        "lab": {
            "results": sandbox.table(results, key="id", bounds={"value": (0, 100)}, codes={"kind": ["rare", "common", "other"]})
        },
    }
    with sandbox.Embedded.create(tmp_path / "w", tables, insecure_test_keys=True) as network:
        plan = network.explain(SQL, purpose="test", key_bits=512)
        product = network.run(plan, grant=network.approve(plan))
    released = product.to_pandas()
    assert product.withheld
    shown = released[released["n"].notna()]
    by_sex = product.margins("sex")
    assert list(by_sex.columns) == ["sex", "n", "total", "cells", "lacking"]
    for row in by_sex.to_dict("records"):
        part = shown[shown["sex"] == row["sex"]]
        assert row["n"] == part["n"].sum()
        assert row["total"] == part["total"].sum()
        assert row["cells"] == len(part)
    (everything,) = product.margins().to_dict("records")
    assert everything["n"] == shown["n"].sum() < 300
    assert everything["lacking"] == len(released) - len(shown)
    with pytest.raises(UsageError, match="no group"):
        product.margins("people")
