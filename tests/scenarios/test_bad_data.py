"""Tables that are not as declared, and disks and clocks that fail: one typed error each, no value in it, and nothing lost."""

from __future__ import annotations

import errno
import math
import os
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support import agencies, canaries

import sandbox
from protocols.errors import ProtocolError
from sandbox.audit.files import DiskFiles
from sandbox.errors import Denied, SandboxError, SourceError, StateError, Withheld, exit_code
from sandbox.node import provider as provider_module
from sandbox.node import workspace as workspace_module

ODD = 918_273_645


def two(people: Any, tests: Any) -> dict[str, dict[str, Any]]:
    return {"registry": {"people": people}, "lab": {"tests": tests}}


def refused(make: Callable[[], Any], kind: type[BaseException], code: int, *values: Any) -> str:
    """Do what must fail; return the message once nothing in its whole chain of causes shows one of the values."""
    with pytest.raises((SandboxError, ProtocolError)) as caught:
        make()
    error = caught.value
    assert isinstance(error, kind), repr(error)
    assert exit_code(error) == code
    text = canaries.chain(error)
    assert not canaries.found_in(text.encode(), values), text
    assert str(error)
    return str(error)


NUMBERS: dict[str, tuple[Any, str]] = {
    "NaN in a float column": (pa.table({"x": pa.array([math.nan], pa.float64())}), "value"),
    "infinity": (pa.table({"x": pa.array([math.inf], pa.float64())}), "value"),
    "minus infinity": (pa.table({"x": pa.array([-math.inf], pa.float64())}), "value"),
    "1e308": (pa.table({"x": pa.array([1e308], pa.float64())}), "value"),
    "beyond the bounds": (pa.table({"x": pa.array([float(ODD)], pa.float64())}), "value"),
    "below the bounds": (pa.table({"x": pa.array([-float(ODD)], pa.float64())}), "value"),
    "the smallest int64": (pa.table({"x": pa.array([-(2**63)], pa.int64())}), "value"),
    "the largest int64": (pa.table({"x": pa.array([2**63 - 1], pa.int64())}), "value"),
    "a decimal beyond": (pa.table({"x": pa.array([Decimal("918273645.25")], pa.decimal128(30, 2))}), "value"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_measure_that_is_not_as_declared_refuses_the_job(name: str, scratch: Path, in_process: None) -> None:
    column = NUMBERS[name][0].column("x")
    frame = agencies.measurements()
    values = pa.concat_arrays([pa.array(frame["value"]).cast(column.type), column.combine_chunks()])
    table = pa.table({"id": [*frame["id"].tolist(), 3], "value": values})
    with agencies.make(scratch / "w", two(agencies.people_table(), agencies.lab_table(table))) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        message = refused(lambda: network.run(explanation, grant=grant), SourceError, 6, ODD, 2**63, 2**63 - 1, 1e308)
        assert "lab.tests" in message
        assert "value" in message
        assert "1" in message
        assert agencies.uses(network) == 0
        network.add_table("lab", "tests", agencies.lab_table())
        assert agencies.answer(network).rows()
        agencies.require_sound(network, scratch)


def test_clipping_moves_values_to_the_bounds_and_the_card_says_so(scratch: Path, in_process: None) -> None:
    frame = agencies.measurements()
    frame.loc[5, "value"] = 10**9
    frame.loc[6, "value"] = -7
    clipped = frame.assign(value=frame["value"].clip(0, 1000))
    tables = two(agencies.people_table(), agencies.lab_table(frame, clip=True))
    with agencies.make(scratch / "w", tables) as network:
        product = agencies.answer(network)
        sums = clipped.groupby(clipped["id"] % 2)["value"].sum()
        assert [row[2] for row in product.rows()] == [int(sums[0]), int(sums[1])]
        assert {source.asset: source.clipped for source in product.card.sources} == {
            "registry.people": (),
            "lab.tests": ("value",),
        }


def test_pandas_nan_is_null_and_skipped(scratch: Path, in_process: None) -> None:
    frame = agencies.measurements().astype({"value": float})
    frame.loc[frame["id"] < 20, "value"] = np.nan
    with agencies.make(scratch / "w", two(agencies.people_table(), agencies.lab_table(frame))) as network:
        rows = agencies.answer(network, agencies.QUESTION.replace("COUNT(*)", "COUNT(t.value)")).rows()
        assert [row[1] for row in rows] == [50, 50]
        assert sum(row[2] for row in rows) == frame["value"].sum()


# Keys

HALF = [f"k{number:04d}" for number in range(120)]
FULL = [f"ｋ{str(number).zfill(4).translate({48 + d: 0xFF10 + d for d in range(10)})}" for number in range(120)]
COMPOSED = [f"caf\u00e9 {number}" for number in range(120)]
COMBINING = [f"cafe\u0301 {number}" for number in range(120)]
BLANKS = [f"{key}  " if number % 2 else f" {key}" for number, key in enumerate(HALF)]
UPPER = [key.upper() for key in HALF]
SPELLINGS: dict[str, tuple[list[str], list[str], dict[str, bool], Callable[[str], str]]] = {
    "full-width digits": (HALF, FULL, {"nfkc": True}, lambda key: unicodedata.normalize("NFKC", key)),
    "combining characters": (COMPOSED, COMBINING, {"nfkc": True}, lambda key: unicodedata.normalize("NFKC", key)),
    "blanks": (HALF, BLANKS, {"trim": True}, lambda key: key.strip(" ")),
    "case": (HALF, UPPER, {"fold_case": True}, str.casefold),
}


def spelled(keys: Sequence[str | None], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": pd.Series(keys, dtype=object), **columns})


def oracle(people: pd.DataFrame, tests: pd.DataFrame, normal: Callable[[str], str]) -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    for name, frame in (("people", people), ("tests", tests)):
        connection.register(name, frame.assign(id=[None if key is None else normal(key) for key in frame["id"]]))
    return connection.execute(
        "SELECT p.sex, COUNT(*), CAST(SUM(t.value) AS BIGINT), COUNT(DISTINCT p.id) "
        "FROM people p JOIN tests t ON t.id = p.id GROUP BY p.sex ORDER BY p.sex"
    ).fetchall()


COUNTED = agencies.QUESTION.replace("AS total", "AS total, COUNT(DISTINCT p.id) AS persons")


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_are_one_key_where_the_domain_says_so_and_two_where_not(name: str, scratch: Path, in_process: None) -> None:
    left, right, rules, normal = SPELLINGS[name]
    people = spelled([*left, None], sex=[number % 2 for number in range(121)])
    # Each key comes in its own spelling and in the other one: they are merged.
    tests = spelled([*left, *right, None], value=[500 + number % 9 for number in range(241)])
    for merges in (True, False):
        domain = sandbox.KeyDomain(name="person", types=("text",), **(rules if merges else {}))
        tables = two(
            agencies.people_table(people, key_domain=domain, bounds={}, unique=False),
            agencies.lab_table(tests, key_domain=domain),
        )
        with agencies.make(scratch / f"w{merges}", tables) as network:
            rows = [tuple(row) for row in agencies.answer(network, COUNTED).rows()]
            assert rows == oracle(people, tests, normal if merges else str)
            assert sum(row[1] for row in rows) == (240 if merges else 120)


def test_two_spellings_in_a_unique_table_break_its_uniqueness(scratch: Path, in_process: None) -> None:
    people = spelled([*HALF, FULL[0]], sex=[0] * 121)
    tests = spelled(HALF, value=[500] * 120)
    domain = sandbox.KeyDomain(name="person", types=("text",), nfkc=True)
    tables = two(agencies.people_table(people, key_domain=domain, bounds={}), agencies.lab_table(tests, key_domain=domain))
    with agencies.make(scratch / "w", tables) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        message = refused(lambda: network.run(explanation, grant=grant), SourceError, 6, HALF[0], FULL[0])
        assert "1 of its keys" in message
        assert agencies.uses(network) == 0


def test_a_repeated_key_in_a_unique_table_is_counted_and_not_shown(scratch: Path, in_process: None) -> None:
    people = agencies.people()
    people.loc[7, "id"] = 6
    with agencies.make(scratch / "w", two(agencies.people_table(people), agencies.lab_table())) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        message = refused(lambda: network.run(explanation, grant=grant), SourceError, 6)
        assert "registry.people" in message


def test_null_keys_match_nothing_and_a_column_of_them_joins_nobody(scratch: Path, in_process: None) -> None:
    nobody = agencies.measurements().assign(id=pd.array([None] * agencies.ROWS, dtype="Int64"))
    tables = two(agencies.people_table(), agencies.lab_table(nobody, types={"id": "integer"}))
    with agencies.make(scratch / "w", tables) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        with pytest.raises(Withheld, match=r"minimum of 100 rows"):
            network.run(explanation, grant=grant)
        assert agencies.uses(network) == 1
        agencies.require_sound(network, scratch)


def test_a_hundred_thousand_rows_of_one_key(scratch: Path, in_process: None) -> None:
    many = 100_000
    frame = pd.DataFrame({"id": [0] * many + list(range(120)), "value": [1] * many + [500] * 120})
    with agencies.make(scratch / "w", two(agencies.people_table(), agencies.lab_table(frame))) as network:
        product = agencies.answer(network)
        reasons = {item.reason for item in product.withheld}
        assert [row[1] for row in product.rows()] == [many + 60, 60]
        # One person's contribution dominates the first total.
        assert [row[2] for row in product.rows()] == [None, 30_000]
        assert "DOMINANCE" in reasons


# Files


def test_a_header_only_file_is_refused_at_registration(scratch: Path) -> None:
    path = scratch / "tests.csv"
    path.write_text("id,value\n")
    message = refused(
        lambda: agencies.make(scratch / "w", two(agencies.people_table(), agencies.lab_table(path))), SourceError, 6
    )
    assert "no rows" in message


def test_a_gb18030_file_is_read_as_it_is(scratch: Path) -> None:
    path = scratch / "people.csv"
    names = ("东区医院", "西区医院")
    lines = ["id,place", *(f"{number},{names[number % 2]}" for number in range(120))]
    path.write_bytes("\n".join(lines).encode("gb18030"))
    people = sandbox.table(path, key="id", key_domain="person", unique=True, roles={"place": "quasi_identifier"})
    sql = "SELECT p.place AS place, COUNT(*) AS n FROM registry.people p JOIN lab.tests t ON t.id = p.id GROUP BY p.place"
    with agencies.make(scratch / "w", two(people, agencies.lab_table())) as network:
        assert agencies.answer(network, sql).rows() == [[name, 60] for name in sorted(names)]


@pytest.mark.parametrize("change", ["rewritten", "appended", "removed", "directory"])
def test_a_file_that_changed_since_its_registration(change: str, scratch: Path, in_process: None) -> None:
    path = scratch / "tests.csv"
    agencies.measurements().to_csv(path, index=False)
    with agencies.make(scratch / "w", two(agencies.people_table(), agencies.lab_table(path))) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
        if change == "appended":
            with path.open("a") as file:
                file.write(f"3,{ODD}\n")
        else:
            path.unlink()
            if change == "rewritten":
                agencies.measurements().assign(value=ODD).to_csv(path, index=False)
            elif change == "directory":
                path.mkdir()
        refused(lambda: network.run(explanation, grant=grant), SourceError, 6, ODD)
        assert agencies.uses(network) == 0
        assert agencies.kinds(network)["task.aborted"] == 1
        agencies.require_sound(network, scratch)


def test_a_column_that_went_away_between_two_openings(scratch: Path, in_process: None) -> None:
    people, tests = scratch / "people.csv", scratch / "tests.csv"
    agencies.people().to_csv(people, index=False)
    agencies.measurements().to_csv(tests, index=False)
    with agencies.make(scratch / "w", two(agencies.people_table(people), agencies.lab_table(tests))) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation)
    agencies.measurements().rename(columns={"value": "result"}).to_csv(tests, index=False)
    with sandbox.Embedded(network.workspace.open(scratch / "w"), terms="written", insecure_test_keys=True) as again:
        message = refused(lambda: again.run(explanation, grant=grant), SourceError, 6)
        assert "value" in message
        agencies.require_sound(again, scratch)


# Disks and clocks


def fault(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def failing(original: Callable[..., Any], code: int, chosen: Callable[[int], bool]) -> Callable[..., Any]:
    calls: list[int] = []

    def broken(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if chosen(calls[-1]):
            raise fault(code)
        return original(*arguments, **options)

    return broken


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("log", errno.ENOSPC),
        ("log", errno.EMFILE),
        ("witness", errno.EIO),
        ("secret", errno.EROFS),
        ("bundle", errno.ENOSPC),
        ("fsync", errno.EIO),
    ],
)
def test_a_disk_that_fails_in_a_run_loses_nothing(
    place: str, code: int, scratch: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agencies.make(scratch / "w") as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=3)
        first = network.run(explanation, grant=grant)
        with monkeypatch.context() as patch:
            break_disk(patch, place, code)
            with pytest.raises(StateError) as caught:
                network.run(explanation, grant=grant)
            assert exit_code(caught.value) == 1
            assert os.strerror(code) in str(caught.value)
    with agencies.make(scratch / "w") as network:
        agencies.require_sound(network, scratch)
        done = len(network.products())
        assert done in (1, 2)
        assert (done == 2) == (place == "bundle")
        assert network.products()[0].id == first.id
        assert network.run(explanation, grant=grant).rows() == first.rows()
        agencies.require_sound(network, scratch)


def break_disk(patch: pytest.MonkeyPatch, place: str, code: int) -> None:
    if place == "log":
        patch.setattr(DiskFiles, "write", failing(DiskFiles.write, code, lambda call: call == 0))
    elif place == "witness":
        # The log writes three files and more for an entry; a witness writes one, called `seen.new`.
        original = DiskFiles.write

        def write(files: DiskFiles, path: Path, data: bytes) -> None:
            if path.name.startswith("seen"):
                raise fault(code)
            original(files, path, data)

        patch.setattr(DiskFiles, "write", write)
    elif place == "secret":
        patch.setattr(provider_module, "write_secret", broken_secret(code))
    elif place == "bundle":
        from sandbox.audit import bundle

        patch.setattr(bundle, "_write", failing(bundle._write, code, lambda _: True))
    else:
        patch.setattr(os, "fsync", failing(os.fsync, code, lambda _: True))


def broken_secret(code: int) -> Callable[[Path, bytes], None]:
    def write(path: Path, data: bytes) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", failing(os.fsync, code, lambda _: True))
            workspace_module.write_secret(path, data)

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_file_is_replaced_whole_or_stays(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.json"
    workspace_module.write_atomically(path, b"old")
    for place, name in ((os, "fsync"), (os, "open"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, failing(getattr(place, name), code, lambda _: True))
            with pytest.raises(StateError, match=os.strerror(code)):
                workspace_module.write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert [item.name for item in tmp_path.iterdir()] == ["network.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_workspace_is_refused(tmp_path: Path, in_process: None) -> None:
    with agencies.make(tmp_path / "w") as network:
        agencies.answer(network)
    folders = [tmp_path / "w", *(path for path in (tmp_path / "w").rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    try:
        with pytest.raises(StateError):
            agencies.answer(agencies.make(tmp_path / "w"))
    finally:
        for path in folders:
            path.chmod(0o700)
    with agencies.make(tmp_path / "w") as network:
        agencies.require_sound(network, tmp_path)


def test_a_place_where_no_workspace_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none/w")):
        with pytest.raises(StateError):
            agencies.make(path)


def test_a_damaged_workspace_says_what_is_damaged(scratch: Path, in_process: None) -> None:
    with agencies.make(scratch / "w") as network:
        agencies.answer(network)
    damage = {
        "network.json": b"{",
        "nodes/manager/log/checkpoint": b"nothing",
        "nodes/manager/state.sqlite": b"not a database" * 100,
        "nodes/lab/catalogue.sqlite": b"not a database" * 100,
        "nodes/lab/identity.key": b"short",
    }
    for name, data in damage.items():
        path = scratch / "w" / name
        kept = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(SandboxError) as caught:
            agencies.make(scratch / "w").close()
        assert str(caught.value)
        path.write_bytes(kept)
        with agencies.make(scratch / "w") as network:
            assert len(network.products()) == 1


def test_a_clock_set_back_a_day_changes_nothing_but_new_times(scratch: Path, in_process: None) -> None:
    clock = agencies.Hand()
    with agencies.make(scratch / "w", clock=clock) as network:
        explanation = agencies.ask(network)
        grant = network.approve(explanation, calls=4, days=1)
        network.run(explanation, grant=grant)
        clock.turn(hours=23)
    clock.turn(days=-1)
    with agencies.make(scratch / "w", clock=clock) as network:
        second = network.run(explanation, grant=grant)
        assert second.rows()
        agencies.require_sound(network, scratch)
        clock.turn(days=1, hours=2)
        with pytest.raises(Denied, match="expired"):
            network.run(explanation, grant=grant)
        clock.turn(days=-1)
        with pytest.raises(Denied, match="expired"):
            network.run(explanation, grant=grant)
        assert agencies.uses(network) == 2
