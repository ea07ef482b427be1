"""The lines that `sandbox init` prints under "more": released rows and a model over a federated table, to verified bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_running import Run

from sandbox.cli.example import TABLES, more_commands


def test_more_lines_lead_to_rows_and_a_model_that_an_auditor_verifies(run: Run, workspace: Path) -> None:
    for lines in more_commands().values():
        for line in lines:
            found = run(*line.split()[1:])
            assert found.code == 0, (line, found.err)

    given = pd.read_csv("example/registry/patients.csv")
    rows = pd.read_csv("rows/product.csv")
    assert list(rows.columns) == list(given.columns)
    assert set(rows["age"]) == {"[20, 55)", "[55, 90)"}
    for male, people in given.groupby("male"):
        young = (rows["male"] == male) & (rows["age"] == "[20, 55)")
        assert young.sum() == (people["age"] < 55).sum()
    assert not set(rows["id"]) & set(given["id"].astype(str))
    assert rows["weight"].mean() == pytest.approx(given["weight"].mean(), abs=0.2)

    staff = pd.concat(pd.read_csv(f"example/{provider}/staff.csv") for provider in TABLES)
    features = np.column_stack([staff["age"], staff["nights"]]).astype(float)
    centred = features - features.mean(axis=0)
    penalty = np.identity(2)  # the default alpha
    expected = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (staff["sick_days"] - staff["sick_days"].mean()))
    coefficients = pd.read_csv("model/product.csv").set_index("term")["coefficient"]
    np.testing.assert_allclose(coefficients[["age", "nights"]], expected, rtol=1e-4)

    for product in ("rows", "model"):
        assert run("audit", "verify", f"{product}/bundle", "--trust", "trust.toml").code == 0
