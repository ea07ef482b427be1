"""The catalogue: versions, lifecycle, many writers, and what it says when something is not there."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import msgspec
import pandas as pd
import pytest

from sandbox.catalogue import Catalogue, declare, open_catalogue, table
from sandbox.catalogue.lifecycle import MOVES, WAY_TO_PUBLISHED
from sandbox.errors import NotFound, StateError, UsageError
from sandbox.model.asset import Lifecycle
from sandbox.model.source import SourceSpec

FRAME = pd.DataFrame({"id": [1]})
SCHEMA: tuple[tuple[str, Any], ...] = (("id", "integer"), ("age", "integer"))
FIRST = table(FRAME, key="id", bounds={"age": (0, 120)})
SECOND = table(FRAME, key="id", bounds={"age": (0, 130)})
NAME = "registry.patients"


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return open_catalogue(tmp_path / "catalogue.sqlite")


def test_versions_count_changes_only(catalogue: Catalogue) -> None:
    first = catalogue.add("registry", "patients", FIRST, SCHEMA)
    assert catalogue.add("registry", "patients", FIRST, SCHEMA) == first
    second = catalogue.add("registry", "patients", SECOND, SCHEMA)
    assert (first.version, second.version, second.lifecycle) == (1, 2, "draft")
    assert catalogue.publish(NAME).lifecycle == "published"
    assert catalogue.add("registry", "patients", SECOND, SCHEMA).lifecycle == "published"
    third = catalogue.add("registry", "patients", FIRST, SCHEMA)
    assert (third.version, third.lifecycle) == (3, "changed")
    assert catalogue.get(NAME) == third
    assert catalogue.get(NAME, version=1) == first
    assert catalogue.get(NAME, version=2).lifecycle == "published"
    assert catalogue.list() == (third,)
    assert catalogue.list(provider="lab") == ()


def test_it_outlives_its_process(catalogue: Catalogue, tmp_path: Path) -> None:
    asset = catalogue.add("registry", "patients", FIRST, SCHEMA)
    catalogue.close()
    again = open_catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    assert again.get(NAME) == asset
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_specs_stay_beside_the_asset(catalogue: Catalogue) -> None:
    spec = SourceSpec(kind="csv", path="/data/é.csv", types=SCHEMA)
    catalogue.add("registry", "patients", FIRST, SCHEMA, spec=spec)
    assert catalogue.spec(NAME) == spec
    catalogue.add("registry", "patients", SECOND, SCHEMA, spec=msgspec.structs.replace(spec, path="/data/new.csv"))
    assert catalogue.spec(NAME).path == "/data/new.csv"
    catalogue.add("lab", "results", FIRST, SCHEMA)
    with pytest.raises(NotFound, match="not at this node"):
        catalogue.spec("lab.results")


def test_near_names_are_offered(catalogue: Catalogue) -> None:
    catalogue.add("registry", "patients", FIRST, SCHEMA)
    with pytest.raises(NotFound, match=r"no 'registry.patient\\n'; near it: registry.patients"):
        catalogue.get("registry.patient\n")
    with pytest.raises(NotFound, match="version 7 of"):
        catalogue.get(NAME, version=7)


def test_only_the_table_of_moves_is_legal(catalogue: Catalogue) -> None:
    asset = declare("registry", "patients", FIRST, SCHEMA)
    states: tuple[Lifecycle, ...] = get_args(Lifecycle)
    assert set(MOVES) == set(states)
    for number, now in enumerate(states):
        for to in states:
            name = f"t{number}_{to}"
            catalogue.receive(msgspec.structs.replace(asset, table=name, lifecycle=now))
            if to in MOVES[now]:
                assert catalogue.move(f"registry.{name}", to).lifecycle == to
            else:
                with pytest.raises(StateError, match=f"is {now} and cannot become {to}"):
                    catalogue.move(f"registry.{name}", to)
                assert catalogue.get(f"registry.{name}").lifecycle == now


def test_the_way_to_publication_is_legal() -> None:
    for start, way in WAY_TO_PUBLISHED.items():
        now = start
        for to in way:
            assert to in MOVES[now]
            now = to


def test_cancelled_is_final(catalogue: Catalogue) -> None:
    catalogue.add("registry", "patients", FIRST, SCHEMA)
    catalogue.cancel(NAME)
    for use in (
        lambda: catalogue.publish(NAME),
        lambda: catalogue.cancel(NAME),
        lambda: catalogue.add("registry", "patients", FIRST, SCHEMA),
        lambda: catalogue.add("registry", "patients", SECOND, SCHEMA),
    ):
        with pytest.raises(StateError, match="cancelled is final"):
            use()


def test_received_assets_cannot_be_rewritten(catalogue: Catalogue) -> None:
    asset = declare("lab", "results", FIRST, SCHEMA, lifecycle="published")
    catalogue.receive(asset)
    catalogue.receive(msgspec.structs.replace(asset, lifecycle="coded"))
    assert catalogue.get("lab.results").lifecycle == "coded"
    with pytest.raises(StateError, match="another declaration"):
        catalogue.receive(declare("lab", "results", SECOND, SCHEMA))


def test_writers_queue(tmp_path: Path) -> None:
    catalogue = open_catalogue(tmp_path / "c.sqlite")

    def add(at: int) -> int:
        definition = table(FRAME, key="id", bounds={"age": (0, at)})
        return catalogue.add("registry", "patients", definition, SCHEMA).version

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(add, range(1, 25))) == list(range(1, 25))


def test_addresses(tmp_path: Path) -> None:
    for address in ("sqlite://", "sqlite:///:memory:", "nonsense://x"):
        with pytest.raises(UsageError):
            open_catalogue(address)
    with pytest.raises(StateError, match="cannot be used"):
        open_catalogue(tmp_path / "no" / "such" / "folder.sqlite")
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    with pytest.raises(StateError, match="cannot be used"):
        open_catalogue(tmp_path / "junk")
