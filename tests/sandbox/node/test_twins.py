"""Twins of assets: what the catalogue declares decides what takes part; what does not pass is withheld."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sandbox
from sandbox.embedded import Embedded
from sandbox.errors import NotFound, UsageError

ROWS = 3600


def residents(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sex = rng.integers(0, 2, rows)
    born = [datetime.date(1950, 1, 1) + datetime.timedelta(days=int(day)) for day in rng.integers(0, 18_000, rows)]
    return pd.DataFrame(
        {
            "id": np.arange(rows) + 100_000,
            "sex": sex,
            "weight": np.clip(rng.normal(60 + 12 * sex, 12, rows), 30, 200).round(1),
            "born": born,
            "姓名": [f"王{at}" for at in range(rows)],
            "card": [f"62220000{at:08d}" for at in range(rows)],
            "illness": rng.choice(["none", "asthma", "diabetes"], rows, p=[0.7, 0.2, 0.1]),
            "income": rng.integers(0, 10**6, rows),
            "religion": ["x"] * rows,
            "remark": ["y"] * rows,
        }
    )


def definition(frame: pd.DataFrame, **more: object) -> sandbox.catalogue.TableDefinition:  # type: ignore[name-defined]
    declared: dict[str, object] = {
        "key": "id",
        "unique": True,
        "codes": {"sex": [0, 1], "illness": ["none", "asthma", "diabetes"]},
        "bounds": {"weight": (30, 200)},
        "roles": {
            "姓名": "direct_identifier",
            "card": "direct_identifier",
            "born": "quasi_identifier",
            "illness": "sensitive",
            "income": "sensitive",
            "religion": "sensitive",
        },
        "grades": {"religion": "core"},
    }
    return sandbox.table(frame, **(declared | more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    tables = {
        "people": definition(residents(ROWS)),
        "few": definition(residents(60)),
        "handful": definition(residents(12)),
        "wrong": definition(residents(400).assign(weight=900.0)),
        "sealed": definition(residents(400), grades={"id": "secret"}),
    }
    with sandbox.Embedded.create(tmp_path_factory.mktemp("twins") / "network", providers={"registry": tables}) as found:
        yield found


def test_a_twin_takes_what_is_declared_and_leaves_out_the_rest(network: Embedded) -> None:
    steps: list[tuple[str, int, int]] = []
    twin = network.twin("registry.people", seed=2, on_progress=lambda *step: steps.append(step))
    assert twin.left_out == {
        "income": "is a number without declared bounds or codes",
        "religion": "is of grade core",
        "remark": "is unclassified",
    }
    assert {item.verdict for item in twin.findings.items} == {"PASS"}
    assert [item.message.split("secret ")[1].split(";")[0] for item in twin.findings.items if item.attack == "inference"] == [
        "'illness'"
    ]
    table = twin.to_arrow()
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("id", "int64"),
        ("sex", "int64"),
        ("weight", "double"),
        ("born", "date32[day]"),
        ("姓名", "string"),
        ("card", "string"),
        ("illness", "string"),
    ]
    assert table.schema.metadata[b"synthetic"] == b"true"
    frame = twin.to_pandas()
    assert len(frame) == ROWS
    assert frame["id"].is_unique
    assert frame["weight"].between(30, 200).all()
    assert set(frame["illness"]) == {"none", "asthma", "diabetes"}
    assert frame["姓名"].str.startswith("拟").all()
    assert frame["card"].str.startswith("synthetic-").all()
    assert abs(frame.groupby("sex")["weight"].mean().diff().iloc[1] - 12) < 3
    assert steps[-1][1] == steps[-1][2] == 4
    assert "<b>synthetic</b>" in twin._repr_html_()
    assert repr(twin) == f"<AssetTwin of registry.people: {ROWS} synthetic rows>"


@pytest.mark.parametrize(("asset", "verdict"), [("few", "inconclusive"), ("handful", "inconclusive")])
def test_a_twin_that_does_not_pass_is_withheld(network: Embedded, asset: str, verdict: str) -> None:
    with pytest.raises(sandbox.Withheld) as refused:
        network.twin(f"registry.{asset}", seed=1)
    assert verdict in {item.verdict for item in refused.value.findings}
    assert "too few attempts" in str(refused.value) or "at least 20 people" in str(refused.value)


def test_refusals_name_what_is_wrong(network: Embedded, tmp_path: Path) -> None:
    with pytest.raises(sandbox.SourceError, match=r"registry\.wrong: column 'weight': 400 values, first in row 1, are outside"):
        network.twin("registry.wrong")
    with pytest.raises(UsageError, match="key column 'id' is of grade secret"):
        network.twin("registry.sealed")
    with pytest.raises(NotFound):
        network.twin("registry.nothing")
    with pytest.raises(NotFound):
        network.twin("nobody.people")
