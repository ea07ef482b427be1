"""Every bad source gets one error: its code and place, what to do, and no value of any cell."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.errors import SourceError, exit_code
from sandbox.model.source import SourceSpec
from sandbox.sources import SourceFault, open_source

CANARY = "canary-51ab"
TEXTS = {
    "empty": (b"", "empty-file", {}),
    "blank lines": (b"\n\r\n\n", "empty-file", {}),
    "header only": (b"id,age\n", "no-rows", {}),
    "too few fields": (f'id,v\n1,{CANARY}\n\n"a\nb",2\n{CANARY}\n'.encode(), "ragged", {"line": 6, "found": 1, "expected": 2}),
    "too many fields": (f"id,v\n1,{CANARY},{CANARY}\n".encode(), "ragged", {"line": 2, "found": 3, "expected": 2}),
    "open quote": (f'id,v\n1,2\n3,"{CANARY}\n4,5\n'.encode(), "open-quote", {"line": 3}),
    "NUL": (f"id,v\n1,2\n3,{CANARY}\0\n".encode(), "nul", {"line": 3}),
    "NUL in the names": (b"id,v\0\n1,2\n", "nul", {"line": 1}),
    "no header": (b"1,2024-01-01\n2,2024-01-02\n", "no-header", {}),
    "empty name": (b"id,\n1,2\n", "column-name", {"position": 2}),
    "control character in a name": (b"id,a\x1b[31m\n1,2\n", "column-name", {"position": 2}),
    "same name": (b"id,Age,age\n1,2,3\n", "duplicate-name", {"first": 2, "second": 3}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_bad_csv(tmp_path: Path, name: str) -> None:
    data, code, places = TEXTS[name]
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    assert _refused(code, path).places == places


def test_wrong_encoding_given(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"id,v\n1,2\n3,{CANARY}é\n".encode("latin-1"))
    fault = _refused("encoding", SourceSpec(kind="csv", path=str(path), encoding="utf-8"))
    assert fault.places == {"line": 3, "encoding": "utf-8"}
    _refused("encoding-unknown", SourceSpec(kind="csv", path=str(path), encoding="rot13"))
    _refused("delimiter", SourceSpec(kind="csv", path=str(path), delimiter="::"))


def test_paths(tmp_path: Path) -> None:
    _refused("missing", tmp_path / "none.csv")
    _refused("missing", "bad\0name.csv")
    _refused("directory", tmp_path)
    (tmp_path / "t.xlsx").write_bytes(b"x")
    _refused("kind", tmp_path / "t.xlsx")
    os.mkfifo(tmp_path / "t.csv")
    _refused("not-regular", tmp_path / "t.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\n1\n")
    path.chmod(0)
    _refused("permission", path)


def test_no_permission_as_any_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\n1\n")
    monkeypatch.setattr(os, "access", lambda *_arguments, **_names: False)
    _refused("permission", path)


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [CANARY] * 1000}), path)
    whole = path.read_bytes()
    for kept in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        _refused("unreadable", path)
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), path)
    _refused("no-rows", path)
    pq.write_table(pa.table({"l": [[1]], "b": [b"x"]}), path)
    _refused("no-columns", path)


def test_duckdb_files(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    path.write_bytes(CANARY.encode() * 1000)
    _refused("unreadable", path)
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS id; CREATE TABLE b AS SELECT 2 AS id, [1] AS l")
        connection.execute("CREATE VIEW v AS SELECT * FROM read_csv('/etc/passwd')")
    assert _refused("table-needed", path).places == {"count": 2}
    assert "main.a, main.b" in str(_refused("table-missing", SourceSpec(kind="duckdb", path=str(path), table="c")))
    _refused("table-view", SourceSpec(kind="duckdb", path=str(path), table="v"))
    source = open_source(SourceSpec(kind="duckdb", path=str(path), table="main.b"))
    assert source.left_out == (("l", "INTEGER[]"),)
    assert source.query(["SELECT * FROM source"])[0].to_pydict() == {"id": [2]}
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO b VALUES (3, NULL)")
        _refused("locked", SourceSpec(kind="duckdb", path=str(path), table="b"))


def test_frames() -> None:
    _refused("mixed", pd.DataFrame({"id": [1, CANARY]}))
    _refused("mixed", pd.DataFrame({"id": [1, 2**70]}, dtype=object))
    _refused("column-label", pd.DataFrame({0: [1]}))
    _refused("duplicate-name", pd.DataFrame([[1, 2]], columns=["a", "A"]))
    _refused("no-rows", pd.DataFrame({"id": []}))
    _refused("no-columns", pd.DataFrame(index=[0, 1]))
    _refused("frame-missing", SourceSpec(kind="frame"))
    _refused("kind", [1, 2])


def test_pandas_nan_is_null_and_an_arrow_nan_stays() -> None:
    count = "SELECT count(x) AS n, count(*) FILTER (WHERE isnan(x)) AS nans FROM source"
    values = [1.0, float("nan")]
    assert open_source(pd.DataFrame({"x": values})).query([count])[0].to_pylist() == [{"n": 1, "nans": 0}]
    assert open_source(pa.table({"x": values})).query([count])[0].to_pylist() == [{"n": 2, "nans": 1}]


def test_a_frame_is_a_snapshot() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    source = open_source(frame)
    before = source.fingerprint()
    frame.loc[0, "x"] = 99
    assert source.query(["SELECT sum(x) AS s FROM source"])[0]["s"].to_pylist() == [3]
    assert source.fingerprint() == before


def test_declared_types() -> None:
    frame = pd.DataFrame({"whole": [1.0, None, 3.0], "half": [1.0, 0.5, 2.0], "code": [0, 1, 1]})
    spec = SourceSpec(kind="frame", types=(("whole", "integer"), ("code", "boolean")))
    assert dict(open_source(spec, frame=frame).schema()) == {"whole": "integer", "half": "float", "code": "boolean"}
    wrong = SourceSpec(kind="frame", types=(("half", "integer"),))
    with pytest.raises(SourceFault, match="1 of 3 rows are not integer"):
        open_source(wrong, frame=frame)
    for types, code in (((("code", "date"),), "type-conversion"), ((("none", "text"),), "type-unknown-column")):
        with pytest.raises(SourceFault) as caught:
            open_source(SourceSpec(kind="frame", types=types), frame=frame)  # type: ignore[arg-type]
        assert caught.value.code == code


def test_texts_that_can_be_no_key() -> None:
    source = open_source(pa.table({"a": ["x\0", "y", None], "b": ["x" * 10_240, "y", None], "c": ["x", "y", None]}))
    source.check_text(["c"])
    for name, code in (("a", "text-nul"), ("b", "text-long")):
        with pytest.raises(SourceFault) as caught:
            source.check_text([name])
        assert caught.value.code == code
        assert caught.value.places["rows"] == 1


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\n" + "1\n" * 1000)
    source = open_source(path)
    slow = "SELECT sum(a.range * b.range % 7) FROM range(20000) a, range(20000) b"
    writer = threading.Timer(0.4, lambda: path.write_text("id\n2\n"))
    writer.start()
    with pytest.raises(SourceFault) as caught:
        source.query([slow])
    writer.join()
    assert caught.value.code == "changed"


def _refused(code: str, what: object) -> SourceFault:
    with pytest.raises(SourceError) as caught:
        open_source(what)  # type: ignore[arg-type]
    fault = caught.value
    assert isinstance(fault, SourceFault)
    assert fault.code == code, fault
    assert exit_code(fault) == 6
    seen: BaseException | None = fault
    while seen is not None:
        assert CANARY not in f"{seen} {seen.args}"
        seen = seen.__cause__ or seen.__context__
    assert f" [{code}]" in str(fault)
    assert ": ?" not in str(fault)
    return fault
