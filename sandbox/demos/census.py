"""`sandbox demo census`: income by education and experience over twenty statistical offices, of which three fall silent."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.catalogue import FederationDefinition, TableDefinition, federation, table
from sandbox.demos import data
from sandbox.demos.result import DemoResult, Trial
from sandbox.demos.stage import answer, job_options, new_directory, read_job
from sandbox.demos.trials import differencing, tampering
from sandbox.embedded import Embedded
from sandbox.errors import StateError
from sandbox.model.policy import policy_from_toml
from sandbox.node.provider import Cut
from sandbox.node.session import OnProgress
from sandbox.tasks.product import Product

if TYPE_CHECKING:
    import pandas as pd

OPERATOR = "labour-institute"
MANAGER = "data-bureau"
OFFICES = tuple(f"office_{number:02}" for number in range(1, 21))
MIN_PARTIES = 10
SILENT: dict[str, Cut] = {"office_05": "advertise", "office_11": "share", "office_16": "masked_input"}
"""Offices whose line is cut, each after another step: the totals of the last one have arrived by then, and count."""
DIFFERENCING = """
SELECT c.education, COUNT(*) AS people FROM census.people c GROUP BY c.education ORDER BY c.education
"""


def tables(rows: int | None = None) -> dict[str, pd.DataFrame]:
    """Return each office's people: those of every twentieth state, in the order of their names."""
    people = data.census(rows)
    places = {state: number % len(OFFICES) for number, state in enumerate(sorted(people["state"].unique()))}
    office = people["state"].map(places)
    columns = ["id", "education", "experience", "income"]
    return {name: people.loc[office == number, columns].reset_index(drop=True) for number, name in enumerate(OFFICES)}


def definitions(frames: dict[str, pd.DataFrame]) -> dict[str, dict[str, TableDefinition]]:
    """Return the offices' tables with what each declares about them: the same."""
    return {
        name: {
            "people": table(
                frame,
                key="id",
                key_domain="person",
                unique=True,
                codes={"education": data.EDUCATION},
                bounds={"experience": (0, 60), "income": (0, 150_000)},
            )
        }
        for name, frame in frames.items()
    }


def federated() -> dict[str, FederationDefinition]:
    """Return the one federated table: everyone lives in one state, so that no two offices share a person."""
    parts = [f"{name}.people" for name in OFFICES]
    return {"census.people": federation(parts, disjoint=True, min_parties=MIN_PARTIES)}


def job() -> dict[str, Any]:
    """Return the demo's question as its job file states it."""
    return read_job("census")


def run(
    *,
    out: Path | None = None,
    rows: int | None = None,
    on_progress: OnProgress | None = None,
) -> DemoResult:
    """Run the demo in a new workspace and return its result.

    out: a directory that is new or empty; by default one below the system's temporary directory, which is kept. rows: only
    the first so many people. Raises StateError if `out` is in use, UsageError if the demo data is not installed.
    """
    directory = new_directory(out, "census")
    question, frames = job(), tables(rows)
    with Embedded.create(
        directory / "workspace",
        definitions(frames),
        federations=federated(),
        operator=OPERATOR,
        manager=MANAGER,
        terms="written",
    ) as network:
        _set_terms(network)
        for office, step in SILENT.items():
            network.cut_line(office, after=step)
        answered = answer(network, question, directory / "bundle", on_progress)
        for office in SILENT:
            network.cut_line(office, after=None)
        trust = network.write_trust(directory / "trust.toml")
        trials = (
            _pooled(answered.product, question["sql"], frames),
            differencing(network, DIFFERENCING, job_options(question), on_progress, differs_by="offices"),
            tampering(answered.bundle, trust),
        )
    return DemoResult(answers=(answered,), directory=directory, trust=trust, trials=trials)


def _set_terms(network: Embedded) -> None:
    text = resources.files(__package__).joinpath("terms", "census.toml").read_text(encoding="utf-8")
    terms = policy_from_toml(text, version=1)
    for office in OFFICES:
        network.set_policy(msgspec.structs.replace(terms, asset=f"{office}.people"))


def _pooled(product: Product, sql: str, frames: dict[str, pd.DataFrame]) -> Trial:
    """Compare with DuckDB over the rows of the offices in the sum, put together. Raises StateError where they differ."""
    import duckdb
    import pandas as pd

    counted = [source.provider for source in product.card.sources]
    with duckdb.connect() as connection:
        connection.register("people", pd.concat([frames[name] for name in counted]))
        expected = connection.execute(sql.replace("census.people", "people")).fetchall()
    released, compared = {tuple(row[:2]): row[2:] for row in product.rows()}, 0
    for row in expected:
        for mine, true in zip(released.pop(row[:2]), row[2:], strict=True):
            if mine is None:
                continue
            if not math.isclose(mine, true, rel_tol=1e-9, abs_tol=1e-9):
                raise StateError("a released number is not that of the pooled rows")
            compared += 1
    if released or not compared:
        raise StateError("the released cells are not those of the pooled rows")
    outcome = f"all {compared} released numbers are equal, to the last digits of a double"
    return Trial(
        title=f"the same question in DuckDB, over the rows of the {len(counted)} offices put together", outcome=outcome
    )
